//! `toolgate mcp reload`: tells every gate that runs to read its configuration again, and says what came of it.

use clap::Args;

use super::Context;
use super::restart::{Gone, outcome, tell};
use crate::control::Order;
use crate::ui::Failure;

/// Arguments of `reload`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  toolgate mcp reload
  toolgate mcp reload --json | jq '.gates[] | select(.ok | not) | .rejected'

A gate that runs follows its files by itself, and on SIGHUP; this says at once what it made of them.
Only servers that are reached in another way than before are replaced. What is broken is not taken over.")]
pub struct ReloadArgs {}

/// Reloads, and fails if a gate does not go by what is written.
pub fn run(_: &ReloadArgs, cx: &Context) -> Result<(), Failure> {
    let gates = tell(&cx.config()?, &Order::Reload)?;
    cx.ui.report(&Gone { schema: "toolgate.reload/1", gates: &gates, doing: "reload" })?;
    outcome(&gates)
}
