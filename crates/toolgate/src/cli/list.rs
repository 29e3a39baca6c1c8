//! `toolgate mcp list`: every configured server, usable or not, and where it stands as far as that is known without
//! connecting. With `--check` it connects.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use serde_json::{Value, json};

use super::content::visible;
use super::features::Features;
use super::show::{self, Shown, auth, dash, seconds};
use super::{Context, status};
use crate::config::{Config, Server, Stdio, Transport};
use crate::ui::{CODEX, Failure, Report, Table};
use crate::wire;
use gate::state::Status;

/// Lines of the log in the report of a server.
const LOGGED: usize = 5;

/// Arguments of `list`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  toolgate mcp list
  toolgate mcp list --check
  toolgate mcp list --verbose
  toolgate mcp list --json | jq -r '.[].name'
  toolgate -c mcp_servers.try.command=\"npx -y some-server\" mcp list")]
pub struct ListArgs {
    /// Connect to every server to find out its state.
    #[arg(long)]
    check: bool,
    /// Connect, and show all there is: where each entry stands and what it shadows, why it is in its state, what it
    /// printed, what gates logged about it, what to do next.
    #[arg(short, long)]
    verbose: bool,
    /// Print secrets in clear.
    #[arg(long)]
    show_secrets: bool,
    #[command(flatten)]
    features: Features,
}

/// Lists.
pub fn run(args: &ListArgs, cx: &Context) -> Result<(), Failure> {
    let config = cx.config()?;
    let shown = Shown { secrets: args.show_secrets, env: &cx.env };
    let states = if args.check || args.verbose {
        status::ask(&config, None, cx)?
    } else {
        wire::statuses(&config, &cx.env, None)
    };
    let states = states.into_iter().map(|status| (status.name.clone(), status)).collect();
    let log = wire::log_file(&cx.home);
    let (home, program) = (cx.home.as_path(), cx.ui.program());
    cx.ui.report(&List { config: &config, shown, verbose: args.verbose, states, log, home, program })
}

struct List<'a> {
    config: &'a Config,
    shown: Shown<'a>,
    verbose: bool,
    states: BTreeMap<String, Status>,
    log: PathBuf,
    home: &'a Path,
    program: &'static str,
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
            (bad.name.as_str(), self.with_state(&bad.name, entry))
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
            "disabled_reason": self.states.get(&server.name).and_then(|status| self.reason(status)),
            "transport": self.shown.transport(server),
            "startup_timeout_sec": seconds(server.written.startup_timeout, server.startup_timeout),
            "tool_timeout_sec": seconds(server.written.tool_timeout, server.tool_timeout),
            "auth_status": auth(self.config, server, self.shown.env).1,
        });
        if self.verbose {
            entry["version"] = json!(server.version);
            entry["source"] = show::source(server);
            entry["log"] = json!(self.log);
            entry["log_lines"] = json!(self.logged(&server.name));
        }
        self.with_state(&server.name, entry)
    }

    /// Whether no more is shown than Codex does.
    fn as_codex(&self) -> bool {
        self.program == CODEX && !self.verbose
    }

    fn reason(&self, status: &Status) -> Option<&'static str> {
        show::disabled_reason(status, self.as_codex())
    }

    /// The entry with where the server stands: in short, or the whole report.
    fn with_state(&self, name: &str, mut entry: Value) -> Value {
        let Some(status) = self.states.get(name).filter(|_| !self.as_codex()) else { return entry };
        entry["state"] = json!(status.state);
        entry["reason"] = json!(status.reason);
        entry["next"] = json!(status.next);
        if self.verbose {
            entry["status"] = json!(status);
        }
        entry
    }

    fn state(&self, name: &str) -> String {
        self.states.get(name).map_or_else(String::new, |status| status.state.label())
    }

    /// The last lines that gates logged about a server.
    fn logged(&self, name: &str) -> Vec<String> {
        wire::log_tail(self.home, name, LOGGED)
    }

    /// The reports under the tables.
    fn reports(&self) -> String {
        let each = self.states.values().map(|status| {
            let logged = self.logged(&status.name).into_iter().map(|line| format!("  logged: {}\n", visible(&line)));
            format!("{}\n{}{}", status.name, show::standing(status, "  "), logged.collect::<String>())
        });
        format!("{}\nlog: {}\n", each.collect::<Vec<_>>().join("\n"), self.log.display())
    }

    fn row(&self, server: &Server, reach: Vec<String>) -> Vec<String> {
        let mut row = vec![server.name.clone()];
        row.extend(reach);
        row.push(if server.enabled { "enabled" } else { "disabled" }.to_owned());
        row.extend((!self.as_codex()).then(|| self.state(&server.name)));
        row.push(auth(self.config, server, self.shown.env).0.to_owned());
        if self.verbose {
            row.push(dash(server.version.clone().unwrap_or_default()));
            row.push(show::origin(server));
        }
        row
    }

    fn columns(&self, reach: &[&'static str]) -> Table {
        let states: &[&str] = if self.as_codex() { &["Status", "Auth"] } else { &["Status", "State", "Auth"] };
        let more: &[&str] = if self.verbose { &["Version", "Source"] } else { &[] };
        Table::new(reach.iter().chain(states).chain(more).copied())
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
            let program = self.program;
            return format!("No MCP servers configured yet. Try `{program} mcp add my-tool -- my-command`.\n");
        }
        let mut stdio = self.columns(&["Name", "Command", "Args", "Env", "Cwd"]);
        let mut http = self.columns(&["Name", "Url", "Bearer Token Env Var"]);
        let mut declared = self.columns(&["Name", "Declared Tools"]);
        for server in self.config.servers.values() {
            match &server.transport {
                Transport::Declared | Transport::Handlers(_) => {
                    declared.row(self.row(server, vec![show::declared(server)]))
                }
                Transport::Stdio(child) => stdio.row(self.row(server, self.stdio(child))),
                Transport::Http(address) => {
                    let token = dash(address.bearer_token_env_var.clone().unwrap_or_default());
                    http.row(self.row(server, vec![self.shown.url(address), token]));
                }
            }
        }
        let mut bad = Table::new(["Name", "Status", "State", "Problem"]);
        for error in &self.config.bad {
            bad.row([error.name.clone(), "invalid".to_owned(), self.state(&error.name), error.problem.to_string()]);
        }
        let text = if self.as_codex() { Table::padded } else { Table::text };
        let mut parts: Vec<_> =
            [stdio, http, declared, bad].iter().filter(|table| !table.is_empty()).map(text).collect();
        parts.extend(self.verbose.then(|| self.reports()));
        parts.join("\n")
    }
}
