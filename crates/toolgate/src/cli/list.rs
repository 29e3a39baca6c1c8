//! `toolgate mcp list`: every configured server, usable or not. Starts and connects to nothing.

use clap::Args;
use serde::Serialize;
use serde_json::{Value, json};

use super::Context;
use super::show::{self, Shown, auth, dash, seconds};
use crate::config::{Config, Server, Stdio, Transport};
use crate::ui::{Failure, Report, Table};

/// Arguments of `list`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  toolgate mcp list
  toolgate mcp list --verbose
  toolgate mcp list --json | jq -r '.[].name'
  toolgate -c mcp_servers.try.command=\"npx -y some-server\" mcp list")]
pub struct ListArgs {
    /// Also show where each entry stands, and what it shadows.
    #[arg(short, long)]
    verbose: bool,
    /// Print secrets in clear.
    #[arg(long)]
    show_secrets: bool,
}

/// Lists.
pub fn run(args: &ListArgs, cx: &Context) -> Result<(), Failure> {
    let config = cx.config()?;
    let shown = Shown { secrets: args.show_secrets, env: &cx.env };
    cx.ui.report(&List { config: &config, shown, verbose: args.verbose })
}

struct List<'a> {
    config: &'a Config,
    shown: Shown<'a>,
    verbose: bool,
}

impl Serialize for List<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut rows: Vec<(&str, Value)> =
            self.config.servers.values().map(|server| (server.name.as_str(), self.entry(server))).collect();
        rows.extend(self.config.bad.iter().map(|bad| {
            let entry = json!({
                "name": bad.name,
                "enabled": false,
                "disabled_reason": format!("invalid: {}", bad.problem),
                "transport": null,
                "startup_timeout_sec": null,
                "tool_timeout_sec": null,
                "auth_status": "unknown",
            });
            (bad.name.as_str(), entry)
        }));
        rows.sort_by_key(|(name, _)| *name);
        serializer.collect_seq(rows.into_iter().map(|(_, entry)| entry))
    }
}

impl List<'_> {
    fn entry(&self, server: &Server) -> Value {
        let mut entry = json!({
            "name": server.name,
            "enabled": server.enabled,
            "disabled_reason": null,
            "transport": self.shown.transport(server),
            "startup_timeout_sec": seconds(server.written.startup_timeout, server.startup_timeout),
            "tool_timeout_sec": seconds(server.written.tool_timeout, server.tool_timeout),
            "auth_status": auth(server).1,
        });
        if self.verbose {
            entry["version"] = json!(server.version);
            entry["source"] = show::source(server);
        }
        entry
    }

    fn row(&self, server: &Server, reach: Vec<String>) -> Vec<String> {
        let mut row = vec![server.name.clone()];
        row.extend(reach);
        row.push(if server.enabled { "enabled" } else { "disabled" }.to_owned());
        row.push(auth(server).0.to_owned());
        if self.verbose {
            row.push(dash(server.version.clone().unwrap_or_default()));
            row.push(show::origin(server));
        }
        row
    }

    fn stdio(&self, stdio: &Stdio) -> Vec<String> {
        let cwd = stdio.cwd.as_ref().map(|cwd| cwd.display().to_string()).unwrap_or_default();
        let mut args = self.shown.args(stdio);
        if self.verbose && stdio.split {
            args.push_str(" (split from `command`)");
        }
        vec![stdio.command.clone(), args, self.shown.env(stdio), dash(cwd)]
    }
}

impl Report for List<'_> {
    fn human(&self) -> String {
        if self.config.servers.is_empty() && self.config.bad.is_empty() {
            return "No MCP servers configured yet. Try `toolgate mcp add my-tool -- my-command`.\n".to_owned();
        }
        let mut stdio = Columns::new(&["Name", "Command", "Args", "Env", "Cwd", "Status", "Auth"], self.verbose);
        let mut http = Columns::new(&["Name", "Url", "Bearer Token Env Var", "Status", "Auth"], self.verbose);
        for server in self.config.servers.values() {
            match &server.transport {
                Transport::Stdio(child) => stdio.0.row(self.row(server, self.stdio(child))),
                Transport::Http(address) => {
                    let token = dash(address.bearer_token_env_var.clone().unwrap_or_default());
                    http.0.row(self.row(server, vec![self.shown.url(address), token]));
                }
            }
        }
        let mut bad = Columns::new(&["Name", "Status", "Problem"], false);
        for error in &self.config.bad {
            bad.0.row([error.name.clone(), "invalid".to_owned(), error.problem.to_string()]);
        }
        let tables = [stdio.0, http.0, bad.0];
        tables.iter().filter(|table| !table.is_empty()).map(Table::text).collect::<Vec<_>>().join("\n")
    }
}

struct Columns(Table);

impl Columns {
    fn new(headings: &[&str], verbose: bool) -> Self {
        let more: &[&str] = if verbose { &["Version", "Source"] } else { &[] };
        Self(Table::new(headings.iter().chain(more).copied()))
    }
}
