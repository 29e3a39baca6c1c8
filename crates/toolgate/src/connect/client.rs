//! The clients whose servers can be put behind the gate: what they are called, where their servers stand in their
//! files, and how an entry that starts the gate is written for each.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::config::Env;

/// A program that keeps a list of MCP servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Client {
    /// The Codex CLI and its IDE extension.
    Codex,
    /// Claude Code, the servers of the user.
    ClaudeCode,
    /// The desktop application of Claude.
    ClaudeDesktop,
    /// Cursor, the servers of the user.
    Cursor,
    /// Visual Studio Code, the servers of the user.
    Vscode,
}

impl Client {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Codex, Self::ClaudeCode, Self::ClaudeDesktop, Self::Cursor, Self::Vscode];

    /// The word for it on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Codex => "codex",
            Self::ClaudeCode => "claude-code",
            Self::ClaudeDesktop => "claude-desktop",
            Self::Cursor => "cursor",
            Self::Vscode => "vscode",
        }
    }

    /// What people call it.
    pub fn title(self) -> &'static str {
        match self {
            Self::Codex => "Codex",
            Self::ClaudeCode => "Claude Code",
            Self::ClaudeDesktop => "Claude Desktop",
            Self::Cursor => "Cursor",
            Self::Vscode => "VS Code",
        }
    }

    /// What has to be done before it goes by its changed file.
    pub fn restart(self) -> &'static str {
        match self {
            Self::Codex => "start a new Codex session",
            Self::ClaudeCode => "start a new Claude Code session",
            Self::ClaudeDesktop => "quit Claude Desktop and start it again",
            Self::Cursor => "restart Cursor",
            Self::Vscode => "run `MCP: List Servers` in VS Code and restart `toolgate` there, or reload the window",
        }
    }

    /// The key under which its servers stand in its JSON.
    pub(super) fn container(self) -> &'static str {
        match self {
            Self::Codex => "mcp_servers",
            Self::ClaudeCode | Self::ClaudeDesktop | Self::Cursor => "mcpServers",
            Self::Vscode => "servers",
        }
    }
}

/// How a client starts the gate.
#[derive(Debug, Clone)]
pub struct Launch {
    /// The program, with its whole path: applications that were started from a menu have no useful `PATH`.
    pub program: PathBuf,
    /// `$CODEX_HOME`, where it is not the one a program without that variable would take.
    pub home: Option<PathBuf>,
}

impl Launch {
    /// This very program for the home `home`.
    pub fn of(home: &Path, env: &Env) -> Self {
        let own = std::env::current_exe().unwrap_or_else(|_| "toolgate".into());
        let real = |path: &Path| path.canonicalize().ok();
        let dirs = std::env::split_paths(env.get("PATH").unwrap_or_default()).filter(|dir| dir.is_absolute());
        // What stands in `PATH` outlives an update; what it leads to may not.
        let known = dirs.map(|dir| dir.join("toolgate")).find(|path| real(path).is_some() && real(path) == real(&own));
        let usual = env.filled("HOME").map(|user| Path::new(user).join(".codex"));
        Self { program: known.unwrap_or(own), home: (usual.as_deref() != Some(home)).then(|| home.to_owned()) }
    }

    /// The arguments for all servers, or for one.
    pub(super) fn args(only: Option<&str>) -> Vec<String> {
        let words = ["mcp", "serve"].into_iter().chain(match only {
            Some(only) => ["--only", only],
            // What its user had before, and nothing more.
            None => ["--profile", "gateway"],
        });
        words.map(str::to_owned).collect()
    }

    /// The entry in a client's JSON.
    pub(super) fn entry(&self, client: Client, only: Option<&str>) -> Value {
        let mut entry = Map::new();
        if client == Client::Vscode {
            entry.insert("type".to_owned(), json!("stdio"));
        }
        entry.insert("command".to_owned(), json!(self.program.display().to_string()));
        entry.insert("args".to_owned(), json!(Self::args(only)));
        if let Some(home) = &self.home {
            entry.insert("env".to_owned(), json!({"CODEX_HOME": home.display().to_string()}));
        }
        Value::Object(entry)
    }
}
