//! `toolgate mcp read`: reads one resource through the gate.

use std::io::IsTerminal;

use clap::Args;

use super::agent::Agent;
use super::{Context, content, items, runtime};
use crate::ui::Failure;
use crate::wire::{self, Log, Selection};
use gate::Face;
use mcp::{Limits, view};

/// Arguments of `read`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  toolgate mcp read file:///etc/hostname
  toolgate mcp read demo://resource/static/document/features.md --server everything --json")]
pub struct ReadArgs {
    /// The resource's URI, as its server spells it.
    uri: String,
    /// The server it belongs to; found by the URI if left out.
    #[arg(long, value_name = "NAME")]
    server: Option<String>,
}

/// Reads.
pub fn run(args: &ReadArgs, cx: &Context) -> Result<(), Failure> {
    let config = cx.config()?;
    wire::start_logging(&cx.env, &cx.home, Log::Terminal);
    let selection = args.server.clone().map_or(Selection::Enabled, Selection::Only);
    let answer = runtime::block_on(async {
        let house = wire::build(&config, &cx.env, &selection)?;
        house.warn(&cx.ui);
        for (_, fault) in items::ask_cold(&house, cx).await {
            cx.ui.warning(&fault.to_string(), fault.hint.as_deref());
        }
        let mut agent = Agent::meet(house.gate.clone(), Face::All, Limits::default()).await?;
        let params = format!(r#"{{"uri":{}}}"#, view::quoted(&args.uri));
        let answer = agent.request("resources/read", &params, &mut |_| ()).await;
        agent.leave().await;
        house.stop().await;
        answer
    })?;
    if cx.ui.json() {
        return cx.ui.out(&content::with_schema(answer.raw(), "toolgate.read/1"));
    }
    cx.ui.out(&content::human(answer.raw(), std::io::stdout().is_terminal()))
}
