//! What a caller asks of the workspace, read from the arguments of a call. Not here: whether it may be had.

use super::files::{Encoding, WriteMode};
use super::tools::Tool;
use crate::given::{Given, Misasked};
use serde_json::Value;

/// The longest time a command may be given.
const TIMEOUT_MAX_MS: u64 = 3_600_000;

/// What is to be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Words {
    /// A line for the shell.
    Line(String),
    /// A program and its arguments.
    Argv(Vec<String>),
}

/// A command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// What is to be run.
    pub words: Words,
    /// Where.
    pub cwd: String,
    /// More variables.
    pub env: Vec<(String, String)>,
    /// What it reads.
    pub stdin: String,
    /// How long it may take, in milliseconds.
    pub timeout_ms: Option<u64>,
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// A command.
    Run(Command),
    /// A patch.
    Patch {
        /// Its text.
        patch: String,
        /// Whether nothing is written.
        dry_run: bool,
    },
    /// A part of a file.
    Read {
        /// Which.
        path: String,
        /// From which line or byte.
        offset: Option<u64>,
        /// How many of them.
        limit: Option<u64>,
        /// As what.
        encoding: Option<Encoding>,
    },
    /// A file with new content.
    Write {
        /// Which.
        path: String,
        /// The content.
        content: String,
        /// What becomes of one that is there.
        mode: WriteMode,
        /// Whether directories are made.
        create_dirs: bool,
    },
    /// What is in a directory.
    List {
        /// Which.
        path: String,
        /// How many levels down.
        depth: usize,
        /// Whether what git ignores is left out.
        gitignore: bool,
    },
}

impl Ask {
    /// What `tool` is asked with `arguments`.
    ///
    /// # Errors
    /// [`Misasked`] names the parameter.
    pub fn read(tool: Tool, arguments: &[u8]) -> Result<Self, Misasked> {
        let mut given = Given::read(arguments)?;
        let ask = match tool {
            Tool::Run => Self::Run(command(&mut given)?),
            Tool::Patch => Self::Patch { patch: given.needed("patch")?, dry_run: given.flag("dry_run")? },
            Tool::Read => Self::Read {
                path: given.needed("path")?,
                offset: given.number("offset")?,
                limit: given.number("limit")?,
                encoding: match given.one_of("encoding", &["auto", "utf-8", "base64"])?.as_deref() {
                    Some("utf-8") => Some(Encoding::Utf8),
                    Some("base64") => Some(Encoding::Base64),
                    _ => None,
                },
            },
            Tool::Write => Self::Write {
                path: given.needed("path")?,
                content: given.string("content")?.ok_or_else(|| Misasked::new("`content` is missing"))?,
                mode: match given.one_of("mode", &["overwrite", "append", "create_new"])?.as_deref() {
                    Some("append") => WriteMode::Append,
                    Some("create_new") => WriteMode::CreateNew,
                    _ => WriteMode::Overwrite,
                },
                create_dirs: given.flag("create_dirs")?,
            },
            Tool::List => list(&mut given)?,
        };
        given.nothing_left(tool.parameters())?;
        Ok(ask)
    }
}

fn command(given: &mut Given) -> Result<Command, Misasked> {
    let words = match given.take("command") {
        None => return Err(Misasked::new("`command` is missing: a line for the shell, or a list of words")),
        Some(Value::String(line)) if line.contains('\0') => {
            return Err(Misasked::new("`command` contains a NUL character"));
        }
        Some(Value::String(line)) if line.trim().is_empty() => return Err(Misasked::new("`command` is empty")),
        Some(Value::String(line)) => Words::Line(line),
        Some(Value::Array(words)) => Words::Argv(argv(words)?),
        Some(_) => return Err(Misasked::new("`command` is neither a string nor a list of strings")),
    };
    let timeout_ms = given.number("timeout_ms")?;
    if timeout_ms.is_some_and(|limit| limit == 0 || limit > TIMEOUT_MAX_MS) {
        return Err(Misasked::new(format!("`timeout_ms` is not from 1 to {TIMEOUT_MAX_MS}")));
    }
    Ok(Command {
        words,
        cwd: given.text("cwd")?.unwrap_or_else(|| ".".to_owned()),
        env: env(given)?,
        stdin: given.string("stdin")?.unwrap_or_default(),
        timeout_ms,
    })
}

fn argv(words: Vec<Value>) -> Result<Vec<String>, Misasked> {
    let word = |word: Value| match word {
        Value::String(word) if !word.contains('\0') => Ok(word),
        _ => Err(Misasked::new("a word of `command` is not a string, or contains a NUL character")),
    };
    let words: Vec<_> = words.into_iter().map(word).collect::<Result<_, _>>()?;
    match words.first().is_some_and(|program| !program.is_empty()) {
        true => Ok(words),
        false => Err(Misasked::new("`command` names no program")),
    }
}

fn env(given: &mut Given) -> Result<Vec<(String, String)>, Misasked> {
    let table = match given.take("env") {
        None => return Ok(Vec::new()),
        Some(Value::Object(table)) => table,
        Some(_) => return Err(Misasked::new("`env` is not an object")),
    };
    let one = |(name, value): (String, Value)| match value {
        Value::String(value) if !name.is_empty() && !name.contains(['=', '\0']) && !value.contains('\0') => {
            Ok((name, value))
        }
        _ => Err(Misasked::new(format!("`env.{}` cannot be a variable", name.replace('\0', "\\0")))),
    };
    table.into_iter().map(one).collect()
}

fn list(given: &mut Given) -> Result<Ask, Misasked> {
    let path = given.text("path")?.unwrap_or_else(|| ".".to_owned());
    let recursive = given.flag("recursive")?;
    let depth = match given.number("depth")? {
        Some(0) => return Err(Misasked::new("`depth` is at least 1")),
        Some(depth) => usize::try_from(depth).unwrap_or(usize::MAX),
        None if recursive => usize::MAX,
        None => 1,
    };
    let gitignore = !given.flag("include_ignored")?;
    Ok(Ask::List { path, depth, gitignore })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(tool: Tool, arguments: &str, expected: &str) {
        let wrong = Ask::read(tool, arguments.as_bytes()).expect_err(arguments).to_string();
        assert!(wrong.contains(expected), "{arguments}: {wrong}");
    }

    #[test]
    fn what_is_asked_is_understood() {
        let run = Ask::read(Tool::Run, br#"{"command":["ls","-l"],"env":{"A":"b"},"timeout_ms":5}"#).expect("read");
        let command = Command {
            words: Words::Argv(vec!["ls".into(), "-l".into()]),
            cwd: ".".into(),
            env: vec![("A".into(), "b".into())],
            stdin: String::new(),
            timeout_ms: Some(5),
        };
        assert_eq!(run, Ask::Run(command));
        let list = |arguments: &str| match Ask::read(Tool::List, arguments.as_bytes()) {
            Ok(Ask::List { depth, .. }) => depth,
            other => panic!("{other:?}"),
        };
        assert_eq!(
            [list(""), list(r#"{"recursive":true}"#), list(r#"{"recursive":true,"depth":2}"#)],
            [1, usize::MAX, 2]
        );
    }

    #[test]
    fn what_is_not_understood_is_named() {
        refused(Tool::Run, "{}", "`command` is missing");
        refused(Tool::Run, r#"{"command":" "}"#, "`command` is empty");
        refused(Tool::Run, r#"{"command":[]}"#, "names no program");
        refused(Tool::Run, r#"{"command":["a",1]}"#, "a word of `command`");
        refused(Tool::Run, r#"{"command":"a","env":{"A=B":"c"}}"#, "cannot be a variable");
        refused(Tool::Run, r#"{"command":"a","timeout_ms":0}"#, "`timeout_ms` is not from 1");
        refused(Tool::Run, r#"{"command":"a","timeout":1}"#, "unknown parameter `timeout`");
        refused(Tool::Read, "{}", "`path` is missing");
        refused(Tool::Read, r#"{"path":"a","offset":-1}"#, "`offset` is not a whole number");
        refused(Tool::Write, r#"{"path":"a"}"#, "`content` is missing");
        refused(Tool::Write, r#"{"path":"a","content":"","mode":"x"}"#, "`mode` is `x`");
        refused(Tool::List, r#"{"depth":0}"#, "`depth` is at least 1");
    }
}
