//! `toolgate mcp get NAME`: one server, whole.

use clap::Args;
use serde::{Serialize, Serializer};
use serde_json::json;

use super::Context;
use super::context::unknown_server;
use super::features::Features;
use super::show::{self, Shown, dash, seconds};
use crate::config::{Server, Transport};
use crate::ui::{Failure, Report};
use crate::wire;
use gate::state::Status;

/// Arguments of `get`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  toolgate mcp get github
  toolgate mcp get github --json | jq .transport")]
pub struct GetArgs {
    /// The server.
    name: String,
    /// Show all there is, whatever name toolgate was called by.
    #[arg(short, long)]
    verbose: bool,
    /// Print secrets in clear.
    #[arg(long)]
    show_secrets: bool,
    #[command(flatten)]
    features: Features,
}

/// Shows it.
pub fn run(args: &GetArgs, cx: &Context) -> Result<(), Failure> {
    let config = cx.config()?;
    if let Some(server) = config.servers.get(&args.name) {
        let shown = Shown { secrets: args.show_secrets, env: &cx.env };
        let status = wire::status(&config, &cx.env, None, &args.name);
        let (program, as_codex) = (cx.ui.program(), cx.ui.as_codex() && !args.verbose);
        return cx.ui.report(&One { server, shown, status, program, as_codex });
    }
    match config.bad.iter().find(|bad| bad.name == args.name) {
        Some(bad) => Err(bad.into()),
        None => Err(unknown_server(&args.name, &config)),
    }
}

struct One<'a> {
    server: &'a Server,
    shown: Shown<'a>,
    status: Status,
    program: &'static str,
    /// Whether no more is shown than Codex does.
    as_codex: bool,
}

impl Serialize for One<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let server = self.server;
        let listed = |tools: &[String]| (!tools.is_empty()).then(|| tools.to_vec());
        let mut one = json!({
            "name": server.name,
            "enabled": server.enabled,
            "disabled_reason": show::disabled_reason(&self.status, self.as_codex),
            "transport": self.shown.transport(server),
            "enabled_tools": server.enabled_tools,
            "disabled_tools": listed(&server.disabled_tools),
            "startup_timeout_sec": seconds(server.written.startup_timeout, server.startup_timeout),
            "tool_timeout_sec": seconds(server.written.tool_timeout, server.tool_timeout),
        });
        if !self.as_codex {
            one["state"] = json!(self.status.state);
            one["reason"] = json!(self.status.reason);
            one["next"] = json!(self.status.next);
            one["label"] = json!(server.label);
            one["version"] = json!(server.version);
            one["gate"] = json!(self.shown.own(server));
            one["source"] = show::source(server);
        }
        one.serialize(serializer)
    }
}

impl Report for One<'_> {
    fn human(&self) -> String {
        let server = self.server;
        if !server.enabled && self.as_codex {
            return format!("{} (disabled)\n", server.name);
        }
        if !server.enabled {
            return format!("{} ({})\n  next: {}\n", server.name, self.status.state.label(), self.status.next);
        }
        let mut lines = vec![("enabled", "true".to_owned())];
        if !self.as_codex {
            lines.push(("state", self.status.state.label()));
            lines.extend(self.status.reason.clone().map(|why| ("why", why)));
        }
        if let Some(tools) = &server.enabled_tools {
            lines.push(("enabled_tools", dash(tools.join(", "))));
        }
        if !server.disabled_tools.is_empty() {
            lines.push(("disabled_tools", server.disabled_tools.join(", ")));
        }
        lines.extend(self.transport());
        lines.extend(self.settings());
        lines.extend((!self.as_codex).then(|| ("source", show::origin(server))));
        lines.push(("remove", format!("{} mcp remove {}", self.program, server.name)));
        let lines = lines.iter().map(|(key, value)| format!("  {key}: {}\n", value.replace('\n', "\\n")));
        format!("{}\n{}", server.name, lines.collect::<String>())
    }
}

impl One<'_> {
    fn transport(&self) -> Vec<(&'static str, String)> {
        match &self.server.transport {
            Transport::Stdio(stdio) => vec![
                ("transport", "stdio".to_owned()),
                ("command", stdio.command.clone()),
                ("args", self.shown.args(stdio)),
                ("cwd", dash(stdio.cwd.as_ref().map(|cwd| cwd.display().to_string()).unwrap_or_default())),
                ("env", self.shown.env(stdio)),
            ],
            Transport::Declared => {
                vec![("transport", "declared".to_owned()), ("tools", show::declared(self.server))]
            }
            Transport::Handlers(stdio) => vec![
                ("transport", "handlers".to_owned()),
                ("runs", self.shown.reach(self.server)),
                ("cwd", dash(stdio.cwd.as_ref().map(|cwd| cwd.display().to_string()).unwrap_or_default())),
                ("env", self.shown.env(stdio)),
            ],
            Transport::Http(http) => {
                let named = http.env_headers.iter().map(|(name, key)| format!("{name}={key}"));
                let helper = http.headers_helper.as_ref().map(|_| "<redacted>".to_owned());
                vec![
                    ("transport", if http.sse { "sse" } else { "streamable_http" }.to_owned()),
                    ("url", self.shown.url(http)),
                    ("bearer_token_env_var", dash(http.bearer_token_env_var.clone().unwrap_or_default())),
                    ("http_headers", self.shown.headers(http)),
                    ("env_http_headers", dash(named.collect::<Vec<_>>().join(", "))),
                    ("http_headers_helper", dash(helper.unwrap_or_default())),
                ]
            }
        }
    }

    /// Settings that were written, or differ from what they are unless told.
    fn settings(&self) -> Vec<(&'static str, String)> {
        let server = self.server;
        let when = |differs: bool, key, text: String| differs.then_some((key, text));
        let time = |time: std::time::Duration| time.as_secs_f64().to_string();
        let codexs = [
            when(server.written.startup_timeout, "startup_timeout_sec", time(server.startup_timeout)),
            when(server.written.tool_timeout, "tool_timeout_sec", time(server.tool_timeout)),
            server.default_approval.map(|mode| ("default_tools_approval_mode", mode.word().to_owned())),
        ];
        let own = [
            server.idle_timeout.map(|idle| ("idle_timeout_sec", time(idle))),
            when(server.required, "required", "true".to_owned()),
            when(server.read_only, "read_only", "true".to_owned()),
            when(server.trust != Default::default(), "trust", server.trust.word().to_owned()),
            when(server.startup != Default::default(), "startup", server.startup.word().to_owned()),
            when(server.protocol != Default::default(), "protocol", server.protocol.word().to_owned()),
            when(server.prefix != Default::default(), "prefix", server.prefix.word().to_owned()),
            server.sandbox.as_ref().map(|bounds| ("sandbox", show::bounds::line(bounds))),
            server.label.clone().map(|label| ("label", label)),
            server.version.clone().map(|version| ("version", version)),
        ];
        let own = own.into_iter().filter(|_| !self.as_codex);
        codexs.into_iter().chain(own).flatten().collect()
    }
}
