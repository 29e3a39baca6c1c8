//! `toolgate mcp tools|prompts|resources`: what servers list, as the policy lets it be seen.

use std::time::Duration;

use clap::Args;
use serde::Serialize;
use serde_json::value::RawValue;

use super::{Context, content, runtime};
use crate::ui::{Failure, Report, Table};
use crate::wire::{self, House, Log, Selection};
use gate::{Face, Fault, Item, ItemKind, ServerName, Target};
use mcp::view;

/// How long one server may take to be listed.
const PATIENCE: Duration = Duration::from_secs(10);

/// Arguments of the listing commands.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  toolgate mcp tools
  toolgate mcp tools github --refresh
  toolgate mcp tools --json | jq -r '.tools[].name'

Lists come from what was last seen; a server that was never seen is started and asked, all at once, and
given ten seconds. `--refresh` asks every server again.")]
pub struct ItemsArgs {
    /// One server; all if left out.
    name: Option<String>,
    /// Ask the servers, whatever was seen before.
    #[arg(long)]
    refresh: bool,
}

/// Lists items of `kind`.
pub fn run(args: &ItemsArgs, kind: ItemKind, cx: &Context) -> Result<(), Failure> {
    let config = cx.config()?;
    wire::start_logging(&cx.env, &cx.home, Log::Terminal);
    let selection = args.name.clone().map_or(Selection::Enabled, Selection::Only);
    runtime::block_on(async {
        let house = wire::build(&config, &cx.env, &selection)?;
        house.warn(&cx.ui);
        let faults = if args.refresh { ask(&house, &everyone(&house), cx).await } else { ask_cold(&house, cx).await };
        let (_, items) = house.gate.visible(&Face::All, kind);
        let report = List { kind, items: items.iter().map(|item| Row::of(item, &house)).collect(), faults };
        let result = cx.ui.report(&report);
        report.warn(cx);
        house.stop().await;
        result?;
        match report.faults.into_iter().next() {
            Some((_, fault)) if args.name.is_some() => Err(gate::Failure::Broke(fault).into()),
            _ => Ok(()),
        }
    })
}

/// Makes sure that the tool `asked` is in the catalog, if any server has it.
///
/// # Errors
/// When nobody has it, and the server it is named after could not be asked: that says more than that it is unknown.
pub async fn know(house: &House, asked: &str, cx: &Context) -> Result<(), Failure> {
    let unknown = || house.gate.catalog().resolve(&Face::All, &Target::Tool(asked.into())).is_err();
    if !unknown() {
        return Ok(());
    }
    let mut faults = ask_cold(house, cx).await;
    let name = asked.strip_prefix("mcp__").unwrap_or(asked);
    faults.retain(|(server, _)| name.strip_prefix(server.as_str()).is_some_and(|tool| tool.starts_with("__")));
    match faults.pop() {
        Some((_, fault)) if unknown() => Err(gate::Failure::Broke(fault).into()),
        _ => Ok(()),
    }
}

fn everyone(house: &House) -> Vec<ServerName> {
    house.gate.catalog().servers(&Face::All)
}

/// Starts the servers that were never seen and waits for their lists.
pub async fn ask_cold(house: &House, cx: &Context) -> Vec<(ServerName, Fault)> {
    let mut cold = everyone(house);
    cold.retain(|server| house.gate.catalog().offer(server).is_none());
    ask(house, &cold, cx).await
}

/// Starts every server and waits as long as each may take to start.
pub async fn ask_patiently(house: &House) -> Vec<(ServerName, Fault)> {
    let mut faults = Vec::new();
    for server in everyone(house) {
        let (Ok(()), Some(up)) = (house.gate.start(&server), house.upstream(server.as_str())) else { continue };
        if let Err(fault) = wire::settled(up).await {
            faults.push((server, fault));
        }
    }
    faults
}

/// Starts `servers` and waits for their lists, all at once.
pub async fn ask(house: &House, servers: &[ServerName], cx: &Context) -> Vec<(ServerName, Fault)> {
    if servers.is_empty() {
        return Vec::new();
    }
    let names: Vec<_> = servers.iter().map(ServerName::as_str).collect();
    let slow = tokio::time::sleep(Duration::from_secs(1));
    let mut slow = std::pin::pin!(slow);
    let asking = futures_util::future::join_all(servers.iter().map(|server| ask_one(house, server)));
    let mut asking = std::pin::pin!(asking);
    let results = tokio::select! {
        results = &mut asking => results,
        () = &mut slow => {
            cx.ui.status(&format!("asking {} …", names.join(", ")));
            asking.await
        }
    };
    servers.iter().cloned().zip(results).filter_map(|(server, result)| Some((server, result.err()?))).collect()
}

async fn ask_one(house: &House, server: &ServerName) -> Result<(), Fault> {
    let Some(up) = house.upstream(server.as_str()) else { return Ok(()) };
    let fault = |what: String| Fault {
        code: gate::Code::UpstreamTimeout,
        server: server.clone(),
        what,
        hint: Some("run `toolgate mcp test` with its name to see where it hangs".to_owned()),
        delivery: gate::Delivery::NotDelivered,
        state: gate::State::Timeout,
    };
    if let Err(failure) = house.gate.start(server) {
        return Err(match failure {
            gate::Failure::Broke(fault) => fault,
            gate::Failure::Refused(refusal) => fault(format!("may not be started: {refusal}")),
        });
    }
    match tokio::time::timeout(PATIENCE, wire::settled(up)).await {
        Ok(result) => result.map(drop),
        Err(_) => Err(fault(format!("did not list anything within {} s", PATIENCE.as_secs()))),
    }
}

#[derive(Serialize)]
struct Row {
    name: String,
    server: String,
    #[serde(rename = "rawName")]
    raw_name: String,
    /// What a call of it needs: `allow` or `ask`.
    #[serde(skip_serializing_if = "Option::is_none")]
    decision: Option<&'static str>,
    definition: Box<RawValue>,
}

impl Row {
    fn of(item: &Item, house: &House) -> Self {
        let definition = masked(&item.definition, house);
        Self {
            name: house.gate.masks().text(&item.exposed).into_owned(),
            server: item.server.to_string(),
            raw_name: house.gate.masks().text(&item.raw).into_owned(),
            decision: (item.kind == ItemKind::Tool).then(|| house.gate.decision_word(item)),
            definition: RawValue::from_string(definition).unwrap_or_default(),
        }
    }

    fn describe(&self) -> String {
        let text = |key| view::member(self.definition.get(), key).and_then(view::string);
        let text = text("description").or_else(|| text("title")).unwrap_or_default();
        content::visible(text.lines().next().unwrap_or_default())
    }
}

/// A definition as it may be shown: servers write them, so they go through the masks like everything else.
fn masked(definition: &bytes::Bytes, house: &House) -> String {
    String::from_utf8_lossy(&house.gate.masks().definition(definition.clone())).into_owned()
}

struct List {
    kind: ItemKind,
    items: Vec<Row>,
    faults: Vec<(ServerName, Fault)>,
}

impl List {
    fn word(&self) -> &'static str {
        match self.kind {
            ItemKind::Tool => "tools",
            ItemKind::Prompt => "prompts",
            ItemKind::Resource => "resources",
            ItemKind::Template => "templates",
        }
    }

    fn warn(&self, cx: &Context) {
        for (_, fault) in &self.faults {
            cx.ui.warning(&fault.to_string(), fault.hint.as_deref());
        }
    }
}

impl Serialize for List {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap;
        let errors: Vec<_> = self
            .faults
            .iter()
            .map(|(server, fault)| serde_json::json!({"server": server, "code": fault.code, "message": fault.to_string()}))
            .collect();
        let mut map = serializer.serialize_map(Some(3))?;
        map.serialize_entry("schema", &format!("toolgate.{}/1", self.word()))?;
        map.serialize_entry(self.word(), &self.items)?;
        map.serialize_entry("errors", &errors)?;
        map.end()
    }
}

impl Report for List {
    fn human(&self) -> String {
        if self.items.is_empty() {
            return format!("No {} to show.\n", self.word());
        }
        let tools = self.kind == ItemKind::Tool;
        let mut table =
            Table::new(if tools { vec!["Name", "Runs", "Description"] } else { vec!["Name", "Server", "Description"] });
        for row in &self.items {
            let middle = match row.decision {
                Some("allow") => "unasked".to_owned(),
                Some(_) => "needs approval".to_owned(),
                None => row.server.clone(),
            };
            table.row([row.name.clone(), middle, row.describe()]);
        }
        table.text()
    }
}
