//! What the project that toolgate was started in brings along: servers, and nothing else. Its files came with what
//! somebody cloned, so they are read to be listed; whether they are believed is told by `[projects."DIR"]` of the
//! user's own `config.toml`, and even then they can narrow what may be done but never widen it.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::env::Env;
use super::govern::Barred;
use super::json_layer;
use super::layers::Layer;
use super::node::{self, Node, Table, Value};
use super::place::{Place, Problem, Source};
use super::types::ProjectTrust;

/// The files of a project, the strongest last.
const FILES: [(&str, Reader); 4] = [
    // Of the directory toolgate was started in, all others of the project's root.
    (".fw_data/config.json", json_layer::parse),
    (".mcp.json", json_layer::parse_claudes),
    (".codex/config.json", json_layer::parse),
    (".codex/config.toml", node::from_toml),
];

type Reader = fn(&Arc<Path>, &str) -> (Table, Vec<Problem>);

/// Longer files are not read: somebody else decides what is in them.
const LONGEST: u64 = 64 << 10;

/// What was found in a project.
#[derive(Debug, Default)]
pub(super) struct Project {
    pub(super) layers: Vec<Layer>,
    pub(super) trust: Option<ProjectTrust>,
    /// Every file that was looked for.
    pub(super) files: Vec<PathBuf>,
}

impl Project {
    /// Reads the project around `workspace`, if that is one.
    pub(super) fn read(workspace: &Path, home: &Path, env: &Env, users: &Layer) -> Self {
        let Some(root) = root(workspace, home, env) else {
            return Self::default();
        };
        let mut found = Self::default();
        let mut there = Vec::new();
        for (index, (name, reader)) in FILES.into_iter().enumerate() {
            let path = if index == 0 { workspace.join(name) } else { root.join(name) };
            if let Some(layer) = layer(&root, &path, reader) {
                found.layers.push(layer);
                there.push(path.clone());
            }
            found.files.push(path);
        }
        if !there.is_empty() {
            found.trust = Some(ProjectTrust { trusted: is_trusted(users, &root), root, files: there });
        }
        found
    }
}

/// The directory that is trusted or not: the nearest one with a `.git`, else the one toolgate was started in. The
/// user's home and what holds their configuration are no project.
pub fn root(workspace: &Path, home: &Path, env: &Env) -> Option<PathBuf> {
    let workspace = workspace.canonicalize().ok()?;
    let root = workspace.ancestors().find(|dir| dir.join(".git").exists()).unwrap_or(&workspace);
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let users = env.filled("HOME").is_some_and(|users| real(Path::new(users)) == root);
    let taken = users || root == Path::new("/") || real(home).starts_with(root);
    (!taken).then(|| root.to_owned())
}

/// Whether the user's own file says so; one that is not whole says nothing.
fn is_trusted(users: &Layer, root: &Path) -> bool {
    let inner = |table: &Table, key: &str| match table.get(key) {
        Some(Node { value: Value::Table(inner), .. }) => Some(inner.clone()),
        _ => None,
    };
    let level = || {
        let project = inner(&inner(&users.table, "projects")?, root.to_str()?)?;
        Some(matches!(&project.get("trust_level")?.value, Value::Text(level) if level == "trusted"))
    };
    users.problems.is_empty() && level() == Some(true)
}

fn layer(root: &Path, path: &Path, reader: Reader) -> Option<Layer> {
    let shared: Arc<Path> = path.into();
    let (table, problems) = match text(root, path) {
        Ok(None) => return None,
        Ok(Some(text)) => reader(&shared, &text),
        Err(why) => (Table::new(), vec![Problem::new(&Place::at(&shared, "", 0), why)]),
    };
    Some(Layer { source: Source::Project, table, problems, open: false, readable: false })
}

/// The text of a file, nothing if there is none.
fn text(root: &Path, path: &Path) -> Result<Option<String>, String> {
    let real = match path.canonicalize() {
        Ok(real) => real,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
        Err(error) => return Err(format!("cannot be read: {error}")),
    };
    if !real.starts_with(root) {
        return Err("leads out of the project, so it is not read".to_owned());
    }
    // Opening a pipe would wait without end.
    let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let cannot = |error| format!("cannot be read: {error}");
    let file = OpenOptions::new().read(true).custom_flags(flags).open(&real).map_err(cannot)?;
    if let Some(why) = unfit(&file.metadata().map_err(cannot)?) {
        return Err(why);
    }
    let mut text = String::new();
    file.take(LONGEST).read_to_string(&mut text).map_err(cannot)?;
    // A place that is held, not a file that says anything.
    Ok(Some(text).filter(|text| !text.is_empty()))
}

fn unfit(metadata: &fs::Metadata) -> Option<String> {
    use std::os::unix::fs::MetadataExt;
    if !metadata.is_file() {
        return Some("is no regular file".to_owned());
    }
    if metadata.mode() & 0o002 != 0 {
        return Some("everybody can write to this file, so it is not believed".to_owned());
    }
    (metadata.len() > LONGEST).then(|| format!("is longer than {LONGEST} bytes, so it is not read"))
}

/// Why an entry of a project that nobody trusts may not be used.
pub(super) fn barred() -> Barred {
    Barred {
        rule: "trust".to_owned(),
        why: "it came with a project that is not trusted".to_owned(),
        reason: "untrusted",
    }
}

/// What an entry of a project may say: how the server is reached, and less of what it may do.
const TAKEN: [&str; 27] = [
    "command",
    "args",
    "env",
    "env_vars",
    "cwd",
    "url",
    "transport",
    "type",
    "http_headers",
    "headers",
    "env_http_headers",
    "bearer_token_env_var",
    "name",
    "version",
    "description",
    "enabled",
    "required",
    "startup",
    "startup_timeout_sec",
    "startup_timeout_ms",
    "tool_timeout_sec",
    "enabled_tools",
    "disabled_tools",
    "read_only",
    "scope",
    "protocol",
    "supports_parallel_tool_calls",
];

/// An entry without the settings that would widen what may be done, and a warning for each of those.
pub(super) fn narrowed(name: &str, mut entry: Node) -> (Node, Vec<Problem>) {
    let mut warnings = Vec::new();
    if let Value::Table(table) = &mut entry.value {
        let mut refuse = |path: String, node: &Node| {
            warnings
                .push(Problem::new(&node.place, format!("`mcp_servers.{name}.{path}` is not taken from a project")));
        };
        table.retain(|key, node| {
            let kept = match key.as_str() {
                "default_tools_approval_mode" => is_strict(node),
                "tools" => {
                    narrow_tools(node, &mut refuse);
                    true
                }
                key => TAKEN.contains(&key),
            };
            if !kept {
                refuse(key.clone(), node);
            }
            kept
        });
    }
    (entry, warnings)
}

fn narrow_tools(tools: &mut Node, refuse: &mut dyn FnMut(String, &Node)) {
    let Value::Table(tools) = &mut tools.value else { return };
    for (tool, node) in tools {
        let Value::Table(settings) = &mut node.value else { continue };
        settings.retain(|key, node| {
            let kept = key == "approval_mode" && is_strict(node);
            if !kept {
                refuse(format!("tools.{tool}.{key}"), node);
            }
            kept
        });
    }
}

/// Whether this approval mode asks or refuses whatever else is said.
fn is_strict(mode: &Node) -> bool {
    matches!(&mode.value, Value::Text(mode) if mode == "prompt" || mode == "deny")
}
