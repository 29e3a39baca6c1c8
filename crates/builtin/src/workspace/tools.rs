//! The tools of the workspace and their definitions. Not here: what they do.

use super::roots::Roots;
use crate::definition::{self, Hints};
use gate::Listed;
use serde_json::{Value, json};

/// One of the tools.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    /// Runs a command.
    Run,
    /// Applies a patch.
    Patch,
    /// Reads a file.
    Read,
    /// Writes a file.
    Write,
    /// Lists a directory.
    List,
}

impl Tool {
    /// In the order in which they are listed.
    pub const ALL: [Self; 5] = [Self::Run, Self::Patch, Self::Read, Self::Write, Self::List];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Run => "execute_command",
            Self::Patch => "apply_patch",
            Self::Read => "read_file",
            Self::Write => "write_file",
            Self::List => "list_directory",
        }
    }

    /// Its parameters.
    pub fn parameters(self) -> &'static [&'static str] {
        match self {
            Self::Run => &["command", "cwd", "env", "stdin", "timeout_ms"],
            Self::Patch => &["patch", "dry_run"],
            Self::Read => &["path", "offset", "limit", "encoding"],
            Self::Write => &["path", "content", "mode", "create_dirs"],
            Self::List => &["path", "recursive", "depth", "include_ignored"],
        }
    }

    /// As the catalog has it; descriptions say where the workspace is.
    pub fn listed(self, roots: &Roots) -> Listed {
        let dirs: Vec<_> = roots.dirs().map(|dir| dir.display().to_string()).collect();
        let place = match dirs.first() {
            Some(first) => format!(
                "Paths are relative to {first} (or to your client's first root, if that lies beneath) or absolute beneath: {}.",
                dirs.join(", ")
            ),
            None => "Paths are relative to the client's first root or absolute beneath one of them.".to_owned(),
        };
        let rest = json!({
            "description": format!("{} {place}", self.description()),
            "inputSchema": self.input(),
            "outputSchema": self.output(),
        });
        definition::tool(self.name(), self.title(), self.hints(), rest)
    }

    fn title(self) -> &'static str {
        match self {
            Self::Run => "Execute Command",
            Self::Patch => "Apply Patch",
            Self::Read => "Read File",
            Self::Write => "Write File",
            Self::List => "List Directory",
        }
    }

    fn hints(self) -> Hints {
        let [read_only, destructive, idempotent, open_world] = match self {
            Self::Run => [false, true, false, true],
            Self::Patch => [false, true, false, false],
            Self::Write => [false, true, true, false],
            Self::Read | Self::List => [true, false, true, false],
        };
        Hints { read_only, destructive, idempotent, open_world }
    }

    fn description(self) -> &'static str {
        match self {
            Self::Run => {
                "Runs a command in the workspace, in a sandbox: no network, nothing but the workspace is writable, and \
                 `.git`, `.codex` and the like are not. A string goes to the shell, a list is a program and its arguments."
            }
            Self::Patch => {
                "Applies a patch to files of the workspace: all of it or nothing. Takes the `*** Begin Patch` form (Add, \
                 Update, Delete File, Move to) and unified diffs."
            }
            Self::Read => "Reads a file of the workspace: text by lines, anything else as base64 by bytes.",
            Self::Write => "Writes a text file of the workspace: all of it or nothing.",
            Self::List => "Lists a directory of the workspace in order, without what git ignores.",
        }
    }

    fn input(self) -> Value {
        let text = |about: &str| json!({"type": "string", "minLength": 1, "description": about});
        let flag = |about: &str| json!({"type": "boolean", "default": false, "description": about});
        let count = |least: u64, about: &str| json!({"type": "integer", "minimum": least, "description": about});
        let (properties, required): (Value, &[&str]) = match self {
            Self::Run => (
                json!({
                    "command": {
                        "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}],
                        "description": "A line for the shell, or a program and its arguments",
                    },
                    "cwd": text("Where it runs; by default where relative paths begin"),
                    "env": {"type": "object", "additionalProperties": {"type": "string"}, "description": "More variables"},
                    "stdin": {"type": "string", "description": "What it reads"},
                    "timeout_ms": {"type": "integer", "minimum": 1, "maximum": 3_600_000, "default": 60_000, "description": "How long it may take"},
                }),
                &["command"],
            ),
            Self::Patch => {
                (json!({"patch": text("The patch"), "dry_run": flag("Only say what would change")}), &["patch"])
            }
            Self::Read => (
                json!({
                    "path": text("Which file"),
                    "offset": count(0, "The first line, from 1; of anything but text the first byte, from 0"),
                    "limit": count(0, "How many lines or bytes"),
                    "encoding": {"type": "string", "enum": ["auto", "utf-8", "base64"], "default": "auto", "description": "How the content is written"},
                }),
                &["path"],
            ),
            Self::Write => (
                json!({
                    "path": text("Which file"),
                    "content": {"type": "string", "description": "What it is to hold"},
                    "mode": {"type": "string", "enum": ["overwrite", "append", "create_new"], "default": "overwrite", "description": "What becomes of a file that is there"},
                    "create_dirs": flag("Make the directories it is in"),
                }),
                &["path", "content"],
            ),
            Self::List => (
                json!({
                    "path": {"type": "string", "minLength": 1, "default": ".", "description": "Which directory"},
                    "recursive": flag("Also what lies further down"),
                    "depth": count(1, "How many levels down"),
                    "include_ignored": flag("Also what git ignores"),
                }),
                &[],
            ),
        };
        json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
    }

    fn output(self) -> Value {
        let text = || json!({"type": "string"});
        let count = || json!({"type": "integer"});
        let flag = || json!({"type": "boolean"});
        let list = |properties: Value, required: &[&str]| json!({"type": "array", "items": {"type": "object", "properties": properties, "required": required}});
        let (properties, required): (Value, &[&str]) = match self {
            Self::Run => (
                json!({
                    "exit_code": count(), "signal": count(), "timed_out": flag(), "disk_full": flag(),
                    "duration_ms": count(),
                    "stdout": text(), "stderr": text(), "stdout_left_out": count(), "stderr_left_out": count(),
                    "stdout_uri": text(), "stderr_uri": text(), "sandbox": text(),
                }),
                &[
                    "timed_out",
                    "disk_full",
                    "duration_ms",
                    "stdout",
                    "stderr",
                    "stdout_left_out",
                    "stderr_left_out",
                    "sandbox",
                ],
            ),
            Self::Patch => (
                json!({
                    "files": list(
                        json!({"path": text(), "action": text(), "to": text(), "added": count(), "removed": count()}),
                        &["path", "action", "added", "removed"],
                    ),
                    "dry_run": flag(),
                }),
                &["files", "dry_run"],
            ),
            Self::Read => (
                json!({
                    "path": text(), "encoding": text(), "content": text(), "size": count(), "offset": count(),
                    "count": count(), "truncated": flag(), "next_offset": count(),
                }),
                &["path", "encoding", "content", "size", "offset", "count", "truncated"],
            ),
            Self::Write => {
                (json!({"path": text(), "bytes": count(), "created": flag()}), &["path", "bytes", "created"])
            }
            Self::List => (
                json!({
                    "path": text(),
                    "entries": list(
                        json!({"path": text(), "type": text(), "size": count(), "modified": text()}),
                        &["path", "type"],
                    ),
                    "truncated": flag(),
                }),
                &["path", "entries", "truncated"],
            ),
        };
        json!({"type": "object", "properties": properties, "required": required})
    }
}
