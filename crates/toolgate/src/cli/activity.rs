//! `toolgate mcp activity`: the recent calls, and those that follow.

use clap::Args;

use super::Context;
use super::audit::{self, Calls, calls};
use crate::ui::{Failure, Report};
use store::{Query, TailLine};

/// Arguments of `activity`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  toolgate mcp activity
  toolgate mcp activity github --follow
  toolgate mcp activity --json | jq -r '.[].outcome'")]
pub struct ActivityArgs {
    /// Only calls of this server.
    #[arg(value_name = "NAME")]
    server: Option<String>,
    /// Go on showing calls as they end, until interrupted; with `--json`, one object per line.
    #[arg(short, long)]
    follow: bool,
    /// How many calls.
    #[arg(short = 'n', long, value_name = "N", default_value_t = 50)]
    limit: usize,
}

/// Shows.
pub fn run(args: &ActivityArgs, cx: &Context) -> Result<(), Failure> {
    let dir = audit::of_home(cx);
    let query = Query { server: args.server.clone(), limit: Some(args.limit), ..Query::default() };
    let recent = calls(&dir, &query)?;
    if !args.follow {
        return cx.ui.report(&recent);
    }
    show(&recent, cx)?;
    audit::follow(&dir, 0, cx, |line| match ended(line) {
        Some(id) => show(&calls(&dir, &Query { id: Some(id), ..query.clone() })?, cx),
        None => Ok(()),
    })
}

fn show(calls: &Calls, cx: &Context) -> Result<(), Failure> {
    if cx.ui.json() {
        return calls.0.iter().try_for_each(|call| cx.ui.line(&audit::call_json(call)));
    }
    if calls.0.is_empty() { Ok(()) } else { cx.ui.out(&calls.human()) }
}

/// The id of the call that an event ends or refuses.
fn ended(line: &TailLine) -> Option<String> {
    let ends = [&b"{\"event\":\"end\""[..], b"{\"event\":\"refusal\""].iter().any(|kind| line.bytes.starts_with(kind));
    let event: serde_json::Value = ends.then(|| serde_json::from_slice(&line.bytes).ok())??;
    event["id"].as_str().map(str::to_owned)
}
