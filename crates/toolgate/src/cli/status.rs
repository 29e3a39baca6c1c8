//! `toolgate mcp status`: asks servers how they are, and prints all that is known of them. Also what a running gate tells
//! of them.

use std::sync::Arc;

use clap::Args;
use downstream::StatusReport;
use serde::{Serialize, Serializer};

use super::show::{self, dash};
use super::{Context, content, runtime};
use crate::config::Config;
use crate::control::{Gates, Order, Spoken};
use crate::ui::{Failure, Report};
use crate::wire::{self, Live, Log, Selection, Trouble};
use gate::state::Status;
use gate::{Code, State};

/// Arguments of `status`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  toolgate mcp status
  toolgate mcp status github --json | jq .state
  toolgate mcp status --json | jq -r '.servers[] | select(.state != \"connected\") | .name + \": \" + .next'")]
pub struct StatusArgs {
    /// The server; all of them unless named.
    name: Option<String>,
}

/// Asks and reports. A server that is not well is no failure of this command.
pub fn run(args: &StatusArgs, cx: &Context) -> Result<(), Failure> {
    let config = cx.config()?;
    wire::start_logging(&cx.env, &cx.home, Log::Terminal);
    let mut servers = ask(&config, args.name.as_deref(), cx)?;
    warn_of_gates(&config, cx)?;
    let Some(name) = &args.name else {
        return cx.ui.report(&All { servers });
    };
    servers.retain(|status| status.name == *name);
    let one = servers.pop().unwrap_or_else(|| wire::status(&config, &cx.env, None, name));
    cx.ui.report(&One { status: &one })?;
    match one.state {
        State::MissingConfig => Err(Failure::new(Code::UpstreamNotConfigured, one.sentence()).hint(one.next)),
        _ => Ok(()),
    }
}

/// Gates that run may go by something else than what is written.
fn warn_of_gates(config: &Config, cx: &Context) -> Result<(), Failure> {
    let gates = Gates::of(&config.state_dir());
    for Spoken { pid, done } in runtime::block_on(async { Ok(gates.tell(&Order::Status).await) })? {
        for why in done.into_iter().flat_map(|done| done.rejected) {
            let hint = Some("correct it; the gate follows by itself");
            cx.ui.warning(&format!("gate {pid} goes on by what was written before: {why}"), hint);
        }
    }
    Ok(())
}

/// Starts one server or all, and reports every one that is configured. One that cannot be started keeps no other.
pub fn ask(config: &Config, name: Option<&str>, cx: &Context) -> Result<Vec<Status>, Failure> {
    let selection = match name {
        Some(name) if !wire::status(config, &cx.env, None, name).state.may_be_tried() => {
            return Ok(wire::statuses(config, &cx.env, None));
        }
        Some(name) => Selection::Only(name.to_owned()),
        None => Selection::Enabled,
    };
    runtime::block_on(async {
        let house = wire::build(config, &cx.env, &selection)?;
        cx.ui.status("asking …");
        let servers = wire::ask(config, &cx.env, &house).await;
        house.stop().await;
        Ok(servers)
    })
}

/// How the servers of a running gate are, as it tells over HTTP. Asks nobody and starts nothing.
pub fn report(live: Arc<Live>) -> StatusReport {
    #[derive(Serialize)]
    struct Wire {
        schema: &'static str,
        servers: Vec<Status>,
        #[serde(skip_serializing_if = "Option::is_none")]
        config_error: Option<Arc<Trouble>>,
    }
    StatusReport(Arc::new(move || {
        let servers = wire::statuses_of(&live.config(), live.env(), &live.links());
        let report = Wire { schema: SCHEMA, servers, config_error: live.trouble() };
        serde_json::to_vec(&report).expect("states are words and numbers").into()
    }))
}

const SCHEMA: &str = "toolgate.status/1";

struct One<'a> {
    status: &'a Status,
}

impl Serialize for One<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Wire<'a> {
            schema: &'static str,
            #[serde(flatten)]
            status: &'a Status,
        }
        Wire { schema: SCHEMA, status: self.status }.serialize(serializer)
    }
}

impl Report for One<'_> {
    fn human(&self) -> String {
        human(self.status)
    }
}

#[derive(Serialize)]
struct All {
    servers: Vec<Status>,
}

impl Report for All {
    fn human(&self) -> String {
        if self.servers.is_empty() {
            return "No MCP servers configured yet. Try `toolgate mcp add my-tool -- my-command`.\n".to_owned();
        }
        self.servers.iter().map(human).collect::<Vec<_>>().join("\n")
    }
}

fn human(status: &Status) -> String {
    let text = |value: Option<&str>| dash(content::visible(value.unwrap_or_default()));
    let info = |key: &str| status.server_info.as_ref().and_then(|info| info.get(key)?.as_str());
    let counts = status.counts.map_or("-".to_owned(), |counts| {
        let (tools, prompts, resources, templates) = (counts.tools, counts.prompts, counts.resources, counts.templates);
        format!("{tools} tools, {prompts} prompts, {resources} resources, {templates} templates")
    });
    let server = match (info("name"), info("version")) {
        (None, None) => None,
        (name, version) => Some(format!("{} {}", name.unwrap_or("-"), version.unwrap_or_default())),
    };
    let facts = [
        ("server", text(server.as_deref())),
        ("protocol", text(status.protocol.as_deref())),
        ("lists", counts),
        ("auth", status.auth_status.as_str().to_owned()),
        ("process", status.pid.map_or("-".to_owned(), |pid| pid.to_string())),
    ];
    let facts: String = facts.iter().map(|(what, text)| format!("  {what}: {text}\n")).collect();
    format!("{}\n{}{facts}", content::visible(&status.name), show::standing(status, "  "))
}
