//! `toolgate mcp describe NAME`: everything one server offers and says of itself, for people, as Markdown for a
//! repository, or as JSON. How that is laid out is `describe/layout`'s.

mod layout;

use clap::Args;
use serde::Serialize;
use serde_json::Value;

use super::Context;
use super::items::{self, Row};
use super::visit::visit;
use crate::ui::{Failure, Report};
use crate::wire::{self, House, Selection};
use gate::state::Status;
use gate::{Face, ItemKind, ServerName, State};

/// Arguments of `describe`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  toolgate mcp describe github
  toolgate mcp describe github --markdown > docs/github-tools.md
  toolgate mcp describe github --json | jq -r '.tools[].rawName'

The server is started and asked. One that cannot be asked now is described as it was last seen, with a warning.
Tools that the policy hides or that are held back are shown, too, and marked.")]
pub struct DescribeArgs {
    /// The server.
    name: String,
    /// Print Markdown; with `--json`, JSON it is.
    #[arg(long)]
    markdown: bool,
}

/// Describes.
pub fn run(args: &DescribeArgs, cx: &Context) -> Result<(), Failure> {
    let config = cx.config()?;
    let description = visit(&config, cx, &Selection::Only(args.name.clone()), async |house| {
        let server = ServerName::from(args.name.as_str());
        let mut faults = items::ask(house, std::slice::from_ref(&server), cx).await;
        if house.gate.catalog().offer(&server).is_none()
            && let Some((_, fault)) = faults.pop()
        {
            return Err(gate::Failure::Broke(fault).into());
        }
        items::warn(&faults, cx);
        Ok(Description::of(house, &server, wire::status(&config, &cx.env, Some(house), &args.name)))
    })?;
    if args.markdown && !cx.ui.json() { cx.ui.out(&description.markdown()) } else { cx.ui.report(&description) }
}

/// What one server offers. All texts in it are the server's, masked.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Description {
    schema: &'static str,
    name: String,
    state: State,
    reason: Option<String>,
    server_info: Option<Value>,
    protocol: Option<String>,
    capabilities: Option<Value>,
    instructions: Option<String>,
    tools: Vec<Row>,
    prompts: Vec<Row>,
    resources: Vec<Row>,
    templates: Vec<Row>,
}

impl Description {
    fn of(house: &House, server: &ServerName, status: Status) -> Self {
        let rows = |kind| {
            let (_, items) = house.gate.catalog().items(&Face::Only(server.clone()), kind);
            items.iter().map(|item| row(item, house)).collect()
        };
        let offer = house.gate.catalog().offer(server);
        let instructions = offer.as_ref().and_then(|offer| offer.instructions.as_deref());
        Self {
            schema: "toolgate.describe/1",
            name: status.name,
            state: status.state,
            reason: status.reason,
            server_info: status.server_info,
            protocol: status.protocol,
            capabilities: status.capabilities,
            instructions: instructions.map(|text| house.gate.masks().text(text).into_owned()),
            tools: rows(ItemKind::Tool),
            prompts: rows(ItemKind::Prompt),
            resources: rows(ItemKind::Resource),
            templates: rows(ItemKind::Template),
        }
    }
}

fn row(item: &gate::Item, house: &House) -> Row {
    let row = Row::of(item, house);
    let held = house.gate.catalog().held(item).is_some();
    Row { decision: if held { Some("held") } else { row.decision }, ..row }
}

impl Report for Description {
    fn human(&self) -> String {
        self.plain()
    }
}
