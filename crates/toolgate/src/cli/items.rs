//! `toolgate mcp tools|prompts|resources`: what servers list, as the policy lets it be seen.

use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde::Serialize;
use serde_json::value::RawValue;

use super::declared;
use super::visit::visit;
use super::{Context, content, runtime};
use crate::config::{Prefix, ToolNames};
use crate::ui::{Failure, Report, Table};
use crate::wire::{self, House, Log, Selection};
use gate::{Face, Fault, Item, ItemKind, ServerName, Target};
use mcp::view;
use store::lock::Collector;

/// How long one server may take to be listed.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Which servers are asked, and when.
#[derive(Debug, Args)]
struct Which {
    /// One server; all if left out.
    name: Option<String>,
    /// Ask the servers, whatever was seen before.
    #[arg(long)]
    refresh: bool,
}

/// Arguments of `tools`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  toolgate mcp tools
  toolgate mcp tools github --refresh
  toolgate mcp tools --json | jq -r '.tools[].name'
  toolgate mcp tools --format openai > functions.json

Lists come from what was last seen; a server that was never seen is started and asked, all at once, and
given ten seconds. `--refresh` asks every server again. `--format openai` prints the `tools` of a chat completion
request; a call of one of those names is `toolgate mcp call NAME`.")]
pub struct ToolsArgs {
    #[command(flatten)]
    which: Which,
    /// Print the tools in the form that another interface takes.
    #[arg(long, value_enum, value_name = "FORM")]
    format: Option<Format>,
}

/// Forms of a list of tools.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// OpenAI's function tools.
    Openai,
}

/// Arguments of `prompts`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  toolgate mcp prompts
  toolgate mcp prompts github --refresh --json")]
pub struct PromptsArgs {
    #[command(flatten)]
    which: Which,
}

/// Arguments of `resources`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  toolgate mcp resources
  toolgate mcp resources github
  toolgate mcp resources --all --json | jq -r '.resources[] | .server + \" \" + .rawName'")]
pub struct ResourcesArgs {
    #[command(flatten)]
    which: Which,
    /// Those of all servers, which is what there is without a name, too.
    #[arg(long, conflicts_with = "name")]
    all: bool,
}

/// Lists tools.
pub fn tools(args: &ToolsArgs, cx: &Context) -> Result<(), Failure> {
    match args.format {
        None => list(&args.which, ItemKind::Tool, cx),
        Some(Format::Openai) => openai(&args.which, cx),
    }
}

/// Lists prompts.
pub fn prompts(args: &PromptsArgs, cx: &Context) -> Result<(), Failure> {
    list(&args.which, ItemKind::Prompt, cx)
}

/// Lists resources.
pub fn resources(args: &ResourcesArgs, cx: &Context) -> Result<(), Failure> {
    list(&args.which, ItemKind::Resource, cx)
}

fn list(which: &Which, kind: ItemKind, cx: &Context) -> Result<(), Failure> {
    let config = cx.config()?;
    let name = which.name.as_deref();
    let declared = if kind == ItemKind::Tool { declared::rows(&config, name) } else { Vec::new() };
    if name.is_some_and(|name| declared::is_alone(&config, name)) {
        return cx.ui.report(&List { kind, items: declared, faults: Vec::new() });
    }
    visit(&config, cx, &which.selection(), async |house| {
        let faults = which.ask(house, cx).await;
        let (_, items) = house.gate.visible(&Face::All, kind);
        let items = items.iter().map(|item| Row::of(item, house)).chain(declared).collect();
        let report = List { kind, items, faults };
        cx.ui.report(&report)?;
        which.judge(report.faults, cx)
    })
}

/// The tools under the names and in the shape that models are given functions in. Nothing is pinned under names that
/// were made for this list.
fn openai(which: &Which, cx: &Context) -> Result<(), Failure> {
    let mut config = cx.config()?;
    config.gate.tool_names = ToolNames::Mcp;
    config.servers.values_mut().for_each(|server| server.prefix = Prefix::Always);
    wire::start_logging(&cx.env, &cx.home, Log::Terminal);
    runtime::block_on(async {
        let house = wire::build_unpinned(&config, &cx.env, &which.selection(), Arc::new(Collector::default()))?;
        house.warn(&cx.ui);
        let faults = which.ask(&house, cx).await;
        let (_, items) = house.gate.visible(&Face::All, ItemKind::Tool);
        let tools: Vec<_> = items.iter().map(|item| Row::of(item, &house).as_function()).collect();
        house.stop().await;
        let text = serde_json::to_string_pretty(&tools).map_err(Failure::bug)?;
        cx.ui.out(&format!("{text}\n"))?;
        which.judge(faults, cx)
    })
}

impl Which {
    fn selection(&self) -> Selection {
        self.name.clone().map_or(Selection::Enabled, Selection::Only)
    }

    async fn ask(&self, house: &House, cx: &Context) -> Faults {
        if self.refresh { ask(house, &everyone(house), cx).await } else { ask_cold(house, cx).await }
    }

    /// Says who did not answer; for a server that was named that is a failure.
    fn judge(&self, faults: Faults, cx: &Context) -> Result<(), Failure> {
        if self.name.is_none() {
            warn(&faults, cx);
            return Ok(());
        }
        // Told once, as the failure.
        faults.into_iter().next().map_or(Ok(()), |(_, fault)| Err(gate::Failure::Broke(fault).into()))
    }
}

/// Servers that did not answer, and why.
pub type Faults = Vec<(ServerName, Fault)>;

/// Says who did not answer.
pub fn warn(faults: &Faults, cx: &Context) {
    for (_, fault) in faults {
        cx.ui.warning(&fault.to_string(), fault.hint.as_deref());
    }
}

/// Makes sure that the tool `asked` is in the catalog, if the server it is named after has it; where no server's name
/// stands in front, if any has it. Other servers are left alone, as the gate leaves them.
///
/// # Errors
/// When nobody has it, and the server it is named after could not be asked: that says more than that it is unknown.
pub async fn know(house: &House, asked: &str, cx: &Context) -> Result<(), Failure> {
    let catalog = house.gate.catalog();
    let unknown = || catalog.resolve(&Face::All, &Target::Tool(asked.into())).is_err();
    if !unknown() {
        return Ok(());
    }
    let mut named = catalog.named_in(&Face::All, asked);
    if named.is_empty() {
        ask_cold(house, cx).await;
        return Ok(());
    }
    named.retain(|server| catalog.offer(server).is_none());
    match ask(house, &named, cx).await.pop() {
        Some((_, fault)) if unknown() => Err(gate::Failure::Broke(fault).into()),
        _ => Ok(()),
    }
}

/// The servers of a gate.
pub fn everyone(house: &House) -> Vec<ServerName> {
    house.gate.catalog().servers(&Face::All)
}

/// Starts the servers that were never seen and waits for their lists.
pub async fn ask_cold(house: &House, cx: &Context) -> Faults {
    let mut cold = everyone(house);
    cold.retain(|server| house.gate.catalog().offer(server).is_none());
    ask(house, &cold, cx).await
}

/// Starts every server and waits as long as each may take to start.
pub async fn ask_patiently(house: &House) -> Faults {
    let mut faults = Vec::new();
    for server in everyone(house) {
        let (Ok(()), Some(up)) = (house.gate.start(&server), house.upstream(server.as_str())) else { continue };
        if let Err(fault) = wire::settled(&up).await {
            faults.push((server, fault));
        }
    }
    faults
}

/// Starts `servers` and waits for their lists, all at once.
pub async fn ask(house: &House, servers: &[ServerName], cx: &Context) -> Faults {
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
    match tokio::time::timeout(PATIENCE, wire::settled(&up)).await {
        Ok(result) => result.map(drop),
        Err(_) => Err(fault(format!("did not list anything within {} s", PATIENCE.as_secs()))),
    }
}

/// One thing that a server lists, as it may be shown.
#[derive(Serialize)]
pub struct Row {
    /// Its exposed name.
    pub name: String,
    /// Whose it is.
    pub server: String,
    /// The server's own name for it.
    #[serde(rename = "rawName")]
    pub raw_name: String,
    /// What a call of it needs: `allow` or `ask`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decision: Option<&'static str>,
    /// Whether it is only declared, and no server has it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub declared: bool,
    /// Its definition as the server sent it, masked.
    pub definition: Box<RawValue>,
}

impl Row {
    /// `item` as it may be shown.
    pub fn of(item: &Item, house: &House) -> Self {
        let definition = masked(&item.definition, house);
        Self {
            name: house.gate.masks().text(&item.exposed).into_owned(),
            server: item.server.to_string(),
            raw_name: house.gate.masks().text(&item.raw).into_owned(),
            decision: (item.kind == ItemKind::Tool).then(|| house.gate.decision_word(item)),
            declared: false,
            definition: RawValue::from_string(definition).unwrap_or_default(),
        }
    }

    fn as_function(&self) -> Function {
        let raw = |key| view::member(self.definition.get(), key);
        let schema = raw("inputSchema").map(str::to_owned).and_then(|raw| RawValue::from_string(raw).ok());
        Function {
            kind: "function",
            function: FunctionBody {
                name: self.name.clone(),
                description: raw("description").and_then(view::string).unwrap_or_default().into_owned(),
                parameters: schema.unwrap_or_default(),
            },
        }
    }

    fn describe(&self) -> String {
        let text = |key| view::member(self.definition.get(), key).and_then(view::string);
        let text = text("description").or_else(|| text("title")).unwrap_or_default();
        content::visible(text.lines().next().unwrap_or_default())
    }
}

#[derive(Serialize)]
struct Function {
    #[serde(rename = "type")]
    kind: &'static str,
    function: FunctionBody,
}

#[derive(Serialize)]
struct FunctionBody {
    name: String,
    description: String,
    parameters: Box<RawValue>,
}

/// A definition as it may be shown: servers write them, so they go through the masks like everything else.
fn masked(definition: &bytes::Bytes, house: &House) -> String {
    String::from_utf8_lossy(&house.gate.masks().definition(definition.clone())).into_owned()
}

struct List {
    kind: ItemKind,
    items: Vec<Row>,
    faults: Faults,
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
                None if row.declared => "declared".to_owned(),
                None => row.server.clone(),
            };
            table.row([row.name.clone(), middle, row.describe()]);
        }
        table.text()
    }
}
