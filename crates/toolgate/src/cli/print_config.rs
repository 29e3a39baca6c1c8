//! `toolgate mcp print-config`: what a host has to be told so that it starts this gate, printed and nothing else.
//! Writing it into the host's own file is `connect`'s.

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::Context;
use super::context::unknown_server;
use crate::ui::Failure;

/// Arguments of `print-config`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  toolgate mcp print-config --client claude-desktop
  toolgate mcp print-config --client vscode > .vscode/mcp.json
  toolgate mcp print-config --client codex --name github --only github")]
pub struct PrintConfigArgs {
    /// The host.
    #[arg(long, value_enum, value_name = "HOST")]
    client: Client,
    /// What the host is to call it [default: the name of this program, or the server of `--only`].
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Serve one server alone, under its tools' bare names.
    #[arg(long, value_name = "SERVER")]
    only: Option<String>,
}

/// Hosts that start MCP servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Client {
    /// Claude Desktop.
    ClaudeDesktop,
    /// Claude Code.
    ClaudeCode,
    /// Cursor.
    Cursor,
    /// Visual Studio Code.
    Vscode,
    /// The Codex CLI.
    Codex,
}

impl Client {
    /// Where people put it.
    fn place(self) -> &'static str {
        match self {
            Self::ClaudeDesktop => "claude_desktop_config.json, which Settings > Developer > Edit Config opens",
            Self::ClaudeCode => "`.mcp.json` of a project",
            Self::Cursor => "`~/.cursor/mcp.json`, or `.cursor/mcp.json` of a project",
            Self::Vscode => "`.vscode/mcp.json` of a project",
            Self::Codex => "`~/.codex/config.toml`",
        }
    }
}

/// How a host starts a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    /// The program.
    pub command: String,
    /// Its arguments.
    pub args: Vec<String>,
}

/// Prints.
pub fn run(args: &PrintConfigArgs, cx: &Context) -> Result<(), Failure> {
    if let Some(only) = &args.only {
        let config = cx.config()?;
        if !config.servers.contains_key(only) {
            return Err(unknown_server(only, &config));
        }
    }
    let program = cx.ui.program();
    let words = match &args.only {
        Some(only) => vec!["mcp", "serve", "--only", only],
        // Under that name hosts know it as `codex mcp`, which serves where nobody types.
        None if cx.ui.as_codex() => vec!["mcp"],
        None => vec!["mcp", "serve"],
    };
    let start = Start { command: program.to_owned(), args: words.into_iter().map(str::to_owned).collect() };
    let name = args.name.as_deref().or(args.only.as_deref()).unwrap_or(program);
    let entry = entry(args.client, name, &start);
    let text = match args.client {
        Client::Codex if !cx.ui.json() => toml::to_string(&entry).map_err(Failure::bug)?,
        _ => format!("{}\n", serde_json::to_string_pretty(&entry).map_err(Failure::bug)?),
    };
    cx.ui.out(&text)?;
    cx.ui.hint(&format!("it goes into {}", args.client.place()));
    Ok(())
}

/// The document of `client` that holds nothing but the server `name`, started so.
pub fn entry(client: Client, name: &str, start: &Start) -> Value {
    let Start { command, args } = start;
    match client {
        Client::ClaudeDesktop | Client::ClaudeCode | Client::Cursor => {
            json!({"mcpServers": {name: {"command": command, "args": args, "env": {}}}})
        }
        Client::Vscode => json!({"servers": {name: {"type": "stdio", "command": command, "args": args, "env": {}}}}),
        Client::Codex => json!({"mcp_servers": {name: {"command": command, "args": args}}}),
    }
}
