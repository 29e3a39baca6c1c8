//! `toolgate mcp call-all`: the same call to every server that has the tool, all at once.

use clap::Args;
use futures_util::future::join_all;
use serde::Serialize;
use serde_json::value::RawValue;

use super::agent::Agent;
use super::given::Given;
use super::visit::visit;
use super::{Context, content, items};
use crate::ui::{Failure, Report};
use crate::wire::{House, Selection};
use gate::{Code, Face, ItemKind, ServerName};
use mcp::view;

/// Arguments of `call-all`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  toolgate mcp call-all search --arg query=invoice
  toolgate mcp call-all search --args '{\"query\":\"invoice\"}' --json | jq '.servers[] | select(.ok)'

Every server that has a tool of this very name is called, all at once. A call that needs a person is refused: approve it
for one server with `toolgate mcp call`.

Exit status: 0 if at least one server answered well, else 1; what failed is said in any case.")]
pub struct CallAllArgs {
    /// The tool, by the servers' own name for it.
    #[arg(value_name = "TOOL")]
    tool: String,
    #[command(flatten)]
    given: Given,
}

/// Calls.
pub fn run(args: &CallAllArgs, cx: &Context) -> Result<(), Failure> {
    let arguments = args.given.text()?;
    let config = cx.config()?;
    visit(&config, cx, &Selection::Enabled, async |house| {
        let silent = items::ask_cold(house, cx).await;
        let mut servers =
            join_all(having(&args.tool, house).iter().map(|one| call(args, &arguments, house, one))).await;
        if servers.is_empty() && silent.is_empty() {
            return Err(nobody(&args.tool));
        }
        // Whoever could not be asked may have the tool, too.
        let unknown =
            silent.into_iter().map(|(server, fault)| One::failed(&server, &gate::Failure::Broke(fault).into()));
        servers.extend(unknown);
        let report = All { schema: "toolgate.call_all/1", tool: &args.tool, servers };
        cx.ui.report(&report)?;
        report.judge(cx)
    })
}

/// The servers that show a tool of this name.
fn having(tool: &str, house: &House) -> Vec<ServerName> {
    let (_, items) = house.gate.visible(&Face::All, ItemKind::Tool);
    items.iter().filter(|item| &*item.raw == tool).map(|item| item.server.clone()).collect()
}

fn nobody(tool: &str) -> Failure {
    Failure::new(Code::ToolUnknown, format!("no server has a tool called `{tool}`"))
        .hint("`toolgate mcp tools --json | jq -r '.tools[].rawName'` lists the names")
}

async fn call(args: &CallAllArgs, arguments: &str, house: &House, server: &ServerName) -> One {
    let params = format!(r#"{{"name":{},"arguments":{arguments}}}"#, view::quoted(&args.tool));
    match Agent::asks(house.gate.clone(), Face::Only(server.clone()), "tools/call", &params).await {
        Ok(answer) => match answer.failure() {
            Some(failure) => One::failed(server, &failure),
            None => One {
                server: server.to_string(),
                ok: answer.get("isError") != Some("true"),
                result: RawValue::from_string(answer.raw().to_owned()).ok(),
                error: None,
            },
        },
        Err(failure) => One::failed(server, &failure),
    }
}

#[derive(Serialize)]
struct All<'a> {
    schema: &'static str,
    tool: &'a str,
    servers: Vec<One>,
}

/// How one server answered.
#[derive(Serialize)]
struct One {
    server: String,
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Error>,
}

#[derive(Serialize)]
struct Error {
    code: Code,
    message: String,
    hint: Option<String>,
}

impl One {
    fn failed(server: &ServerName, failure: &Failure) -> Self {
        let error = Error { code: failure.code, message: failure.to_string(), hint: failure.hint.clone() };
        Self { server: server.to_string(), ok: false, result: None, error: Some(error) }
    }
}

impl All<'_> {
    fn judge(&self, cx: &Context) -> Result<(), Failure> {
        let failed = self.servers.iter().filter(|one| !one.ok).count();
        let text = format!("{failed} of {} servers did not answer well", self.servers.len());
        if failed == self.servers.len() {
            return Err(Failure::new(Code::ToolFailed, text));
        }
        if failed > 0 {
            cx.ui.warning(&text, None);
        }
        Ok(())
    }
}

impl Report for All<'_> {
    fn human(&self) -> String {
        let one = |one: &One| {
            let mark = if one.ok { "ok" } else { "FAILED" };
            let text = match (&one.result, &one.error) {
                (Some(result), _) => content::human(result.get(), true),
                (None, Some(error)) => format!("{}\n", content::visible(&error.message)),
                (None, None) => String::new(),
            };
            let text: String = text.lines().map(|line| format!("  {line}\n")).collect();
            format!("{}: {mark}\n{text}", content::visible(&one.server))
        };
        self.servers.iter().map(one).collect()
    }
}
