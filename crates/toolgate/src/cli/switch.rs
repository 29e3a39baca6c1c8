//! `toolgate mcp enable NAME…` and `disable NAME…`: one word in a server's own entry, all else stays.

use clap::Args;
use serde::Serialize;

use super::Context;
use super::amend::amend;
use super::context::unknown_server;
use crate::config::{Config, Server, Setting};
use crate::ui::{Failure, Report};
use gate::Code;

/// Arguments of `enable` and `disable`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  toolgate mcp disable github
  toolgate mcp enable github slack

The entries keep everything else that they say. A gate that runs follows at once.")]
pub struct SwitchArgs {
    /// The servers.
    #[arg(required = true)]
    names: Vec<String>,
}

/// Switches all of them, or none if one is unknown.
pub fn run(args: &SwitchArgs, on: bool, cx: &Context) -> Result<(), Failure> {
    let config = cx.files()?;
    let servers: Vec<&Server> = args.names.iter().map(|name| known(name, &config)).collect::<Result<_, _>>()?;
    if let Some(barred) = servers.iter().find_map(|server| untrusted(server).filter(|_| on)) {
        return Err(barred);
    }
    let wrong = servers.iter().filter(|server| wants_edit(server, on));
    let wanted: Vec<_> = wrong.map(|server| (server.name.as_str(), Setting::flag("enabled", on))).collect();
    let now = amend(&wanted, cx)?.config;
    let mut switched = Vec::new();
    for server in servers {
        let new = known(&server.name, &now)?;
        if on && let Some(barred) = &new.barred {
            let why = format!("'{}' stays disabled: {} ({})", new.name, barred.why, barred.rule);
            return Err(Failure::new(Code::PolicyDenied, why));
        }
        switched.push(Switched {
            name: new.name.clone(),
            enabled: new.enabled,
            changed: new.enabled != server.enabled,
        });
    }
    cx.ui.report(&Switches { schema: "toolgate.switch/1", servers: switched })
}

fn known<'a>(name: &str, config: &'a Config) -> Result<&'a Server, Failure> {
    config.servers.get(name).ok_or_else(|| unknown_server(name, config))
}

/// What nobody trusts is not switched on one by one, and nothing is written for it.
fn untrusted(server: &Server) -> Option<Failure> {
    let barred = server.barred.as_ref().filter(|barred| barred.reason == "untrusted")?;
    let failure = Failure::new(Code::PolicyDenied, format!("'{}' stays disabled: {}", server.name, barred.why));
    Some(failure.hint("`toolgate config trust` shows what the project brings, and asks"))
}

/// A barred server is disabled whatever its entry says, so what that says is written in any case.
fn wants_edit(server: &Server, on: bool) -> bool {
    server.enabled != on || server.barred.is_some()
}

#[derive(Serialize)]
struct Switches {
    schema: &'static str,
    servers: Vec<Switched>,
}

#[derive(Serialize)]
struct Switched {
    name: String,
    enabled: bool,
    changed: bool,
}

impl Report for Switches {
    fn human(&self) -> String {
        let line = |server: &Switched| {
            let state = if server.enabled { "enabled" } else { "disabled" };
            let already = if server.changed { "" } else { " already" };
            format!("'{}' is {state}{already}.\n", server.name)
        };
        self.servers.iter().map(line).collect()
    }
}
