//! `toolgate mcp read`: reads one resource through the gate.

use std::io::IsTerminal;

use clap::Args;

use super::agent::Agent;
use super::visit::visit;
use super::{Context, content, items};
use crate::ui::Failure;
use crate::wire::Selection;
use gate::Face;
use mcp::view;

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
    let selection = args.server.clone().map_or(Selection::Enabled, Selection::Only);
    let answer = visit(&config, cx, &selection, async |house| {
        items::warn(&items::ask_cold(house, cx).await, cx);
        let params = format!(r#"{{"uri":{}}}"#, view::quoted(&args.uri));
        Agent::asks(house.gate.clone(), Face::All, "resources/read", &params).await
    })?;
    if cx.ui.json() {
        return cx.ui.out(&content::with_schema(answer.raw(), "toolgate.read/1"));
    }
    cx.ui.out(&content::human(answer.raw(), std::io::stdout().is_terminal()))
}
