//! `toolgate mcp enable NAME…` and `disable NAME…`: one word in a server's own entry, all else stays.

use std::collections::BTreeMap;

use clap::Args;
use serde::Serialize;

use super::Context;
use super::context::unknown_server;
use crate::config::{Config, Edit, Server, Source, Writer};
use crate::ui::{Failure, Report};
use gate::Code;

/// Arguments of `enable` and `disable`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  toolgate mcp disable github
  toolgate mcp enable github slack

The entries keep everything else that they say. A gate that runs goes on as it is until it is started again.")]
pub struct SwitchArgs {
    /// The servers.
    #[arg(required = true)]
    names: Vec<String>,
}

/// Switches all of them, or none if one is unknown.
pub fn run(args: &SwitchArgs, on: bool, cx: &Context) -> Result<(), Failure> {
    let writer = Writer::lock(&cx.home)?;
    let config = cx.files()?;
    let servers: Vec<&Server> = args.names.iter().map(|name| known(name, &config)).collect::<Result<_, _>>()?;
    let wrong: Vec<&Server> = servers.iter().copied().filter(|server| wants_edit(server, on)).collect();
    write(&writer, wrong.iter().map(|server| (server.origin.source, server.name.as_str())), on)?;
    // toolgate.toml may say otherwise of an entry of Codex's file; what it says counts here.
    let now = cx.files()?;
    let still = wrong.iter().filter_map(|server| now.servers.get(&server.name)).filter(|server| wants_edit(server, on));
    write(&writer, still.map(|server| (Source::Toolgate, server.name.as_str())), on)?;
    let now = cx.files()?;
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

/// A barred server is disabled whatever its entry says, so what that says is written in any case.
fn wants_edit(server: &Server, on: bool) -> bool {
    server.enabled != on || server.barred.is_some()
}

fn write<'a>(writer: &Writer, names: impl Iterator<Item = (Source, &'a str)>, on: bool) -> Result<(), Failure> {
    let mut edits: BTreeMap<Source, Vec<Edit>> = BTreeMap::new();
    for (source, name) in names {
        let mut table = toml_edit::Table::new();
        table.insert("enabled", toml_edit::value(on));
        edits.entry(source).or_default().push(Edit::Add { name: name.to_owned(), table });
    }
    writer.edit(&edits.into_iter().collect::<Vec<_>>())?;
    Ok(())
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
