//! `toolgate mcp refresh [NAME…]`: asks servers again for everything they list, and says how much that is.

use clap::Args;
use serde::Serialize;

use super::visit::visit;
use super::{Context, items, unknown_server};
use crate::ui::{Failure, Report, Table};
use crate::wire::{House, Selection};
use gate::{Code, Face, Fault, ItemKind, ServerName, State};

/// Arguments of `refresh`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  toolgate mcp refresh
  toolgate mcp refresh github slack --json

Exit status: 0; 1 if a server that was named, or every server, could not be asked.")]
pub struct RefreshArgs {
    /// The servers; all that are enabled if left out.
    names: Vec<String>,
}

/// Asks.
pub fn run(args: &RefreshArgs, cx: &Context) -> Result<(), Failure> {
    let config = cx.config()?;
    if let Some(unknown) = args.names.iter().find(|name| !config.servers.contains_key(*name)) {
        return Err(unknown_server(unknown, &config));
    }
    visit(&config, cx, &Selection::Enabled, async |house| {
        let mut servers = items::everyone(house);
        servers.retain(|server| args.names.is_empty() || args.names.iter().any(|name| name == server.as_str()));
        let faults = items::ask(house, &servers, cx).await;
        let fault = |server: &ServerName| faults.iter().find(|(silent, _)| silent == server).map(|(_, fault)| fault);
        let mut rows: Vec<_> = servers.iter().map(|server| Row::of(server, fault(server), house)).collect();
        let off = args.names.iter().filter(|name| !servers.iter().any(|server| server.as_str() == *name));
        rows.extend(off.map(|name| Row::off(name)));
        let failed = rows.iter().filter(|row| !row.ok).count();
        cx.ui.report(&Refreshed { schema: "toolgate.refresh/1", ok: failed == 0, servers: &rows })?;
        items::warn(&faults, cx);
        if failed == 0 || args.names.is_empty() && failed < rows.len() {
            return Ok(());
        }
        Err(Failure::new(Code::UpstreamUnavailable, format!("{failed} of {} servers could not be asked", rows.len())))
    })
}

#[derive(Serialize)]
struct Refreshed<'a> {
    schema: &'static str,
    ok: bool,
    servers: &'a [Row],
}

/// How much one server lists, before policy.
#[derive(Serialize)]
struct Row {
    server: String,
    ok: bool,
    state: State,
    tools: usize,
    prompts: usize,
    resources: usize,
    templates: usize,
    error: Option<String>,
}

impl Row {
    fn of(server: &ServerName, fault: Option<&Fault>, house: &House) -> Self {
        let face = Face::Only(server.clone());
        let count = |kind| house.gate.catalog().items(&face, kind).1.len();
        Self {
            server: server.to_string(),
            ok: fault.is_none(),
            state: house.upstream(server.as_str()).map_or(State::NotStarted, |up| up.status().state),
            tools: count(ItemKind::Tool),
            prompts: count(ItemKind::Prompt),
            resources: count(ItemKind::Resource),
            templates: count(ItemKind::Template),
            error: fault.map(ToString::to_string),
        }
    }

    /// A server that is configured and not used.
    fn off(name: &str) -> Self {
        let error = Some(format!("server `{name}` is not in use; `toolgate mcp get {name}` says why"));
        let (state, server) = (State::NotStarted, name.to_owned());
        Self { server, ok: false, state, tools: 0, prompts: 0, resources: 0, templates: 0, error }
    }
}

impl Report for Refreshed<'_> {
    fn human(&self) -> String {
        let mut table = Table::new(["Server", "State", "Tools", "Prompts", "Resources", "Templates"]);
        for row in self.servers {
            let counts = [row.tools, row.prompts, row.resources, row.templates].map(|count| count.to_string());
            table.row([row.server.clone(), row.state.label()].into_iter().chain(counts));
        }
        if table.is_empty() { "No servers to ask.\n".to_owned() } else { table.text() }
    }
}
