//! `toolgate mcp caches`: the three caches by the names that scripts of older clients know: which tools each server has,
//! how each was found last, and what went wrong last.

use std::collections::BTreeMap;

use clap::Args;
use serde::Serialize;

use super::visit::visit;
use super::{Context, content};
use crate::ui::{Failure, Report};
use crate::wire::{self, Selection};
use gate::state::{Seen, Status};

/// Arguments of `caches`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  toolgate mcp caches
  toolgate mcp caches --refresh --json | jq '._MCP_STATUS'

Without --refresh nothing is started: it tells what the last start of each server has found. A server that nobody
tried to reach yet has no status, and one that was reached since has no last error.")]
pub struct CachesArgs {
    /// Ask all servers first.
    #[arg(long)]
    refresh: bool,
}

/// Shows.
pub fn run(args: &CachesArgs, cx: &Context) -> Result<(), Failure> {
    let config = cx.config()?;
    if args.refresh {
        visit(&config, cx, &Selection::Enabled, async |house| Ok(wire::ask(&config, &cx.env, house).await))?;
    }
    let mut caches = Caches { schema: "toolgate.caches/1", ..Caches::default() };
    for status in wire::statuses(&config, &cx.env, None) {
        let answer = upstream::last_answer(&config.state_dir(), &status.name.as_str().into());
        caches.add(status, answer);
    }
    cx.ui.report(&caches)
}

#[derive(Default, Serialize)]
struct Caches {
    schema: &'static str,
    /// By server, what it listed last; absent where it never listed anything.
    #[serde(rename = "_MCP_TOOL_CACHE")]
    tools: BTreeMap<String, Vec<String>>,
    /// By server, how it was found last; absent where nobody tried.
    #[serde(rename = "_MCP_STATUS")]
    status: BTreeMap<String, Seen>,
    /// By server, what went wrong last; absent where nothing did since it was reached.
    #[serde(rename = "_MCP_LAST_ERROR")]
    errors: BTreeMap<String, String>,
}

impl Caches {
    /// Adds a server; `answer` is what it said over HTTP when it was found last, if that is why it failed.
    fn add(&mut self, status: Status, answer: Option<String>) {
        let name = status.name;
        // What is known now is newer than what an earlier run has found.
        let (state, reason, answer) = match status.last_seen {
            Some(last) if status.state.seen().is_none() => (last.state, last.reason, answer),
            _ => (status.state, status.reason, None),
        };
        let Some(seen) = state.seen() else {
            self.tools.extend(status.tools.map(|tools| (name, tools)));
            return;
        };
        self.status.insert(name.clone(), seen);
        if seen != Seen::Connected {
            let error = answer.unwrap_or_else(|| error(reason.as_deref().unwrap_or(state.meaning())));
            self.errors.insert(name.clone(), error);
        }
        self.tools.extend(status.tools.map(|tools| (name, tools)));
    }
}

/// A reason as those caches have it: an answer over HTTP by its status, all else in our words.
fn error(reason: &str) -> String {
    let status = reason.split_once("HTTP ").map(|(_, rest)| rest.chars().take_while(char::is_ascii_digit).collect());
    match status {
        Some::<String>(status) if status.len() == 3 => format!("HTTP {status}"),
        _ => reason.to_owned(),
    }
}

impl Report for Caches {
    fn human(&self) -> String {
        let section = |name: &str, lines: Vec<String>| {
            let lines: String = lines.iter().map(|line| format!("  {}\n", content::visible(line))).collect();
            format!("{name}\n{}", if lines.is_empty() { "  -\n".to_owned() } else { lines })
        };
        let tools = self.tools.iter().map(|(name, tools)| format!("{name}: {}", tools.join(", "))).collect();
        let status = self.status.iter().map(|(name, seen)| format!("{name}: {}", seen.as_str())).collect();
        let errors = self.errors.iter().map(|(name, error)| format!("{name}: {error}")).collect();
        [section("_MCP_TOOL_CACHE", tools), section("_MCP_STATUS", status), section("_MCP_LAST_ERROR", errors)].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gate::State;
    use gate::state::Last;

    #[test]
    fn an_error_over_http_is_named_by_its_status() {
        assert_eq!(error("refuses these credentials: it answered HTTP 403"), "HTTP 403");
        assert_eq!(error("answered HTTP 503; try again in 2 s"), "HTTP 503");
        assert_eq!(error("cannot be reached: connection refused"), "cannot be reached: connection refused");
    }

    fn check(status: Status, answer: Option<&str>, seen: Option<Seen>, failed: Option<&str>) {
        let mut caches = Caches::default();
        caches.add(status, answer.map(str::to_owned));
        assert_eq!(caches.status.get("x").copied(), seen);
        assert_eq!(caches.errors.get("x").map(String::as_str), failed);
    }

    #[test]
    fn what_is_known_now_counts_and_else_what_was_found_last() {
        let fresh = || Status::new("x", State::NotStarted);
        let last = |state, reason: &str| Some(Last { state, reason: Some(reason.to_owned()), at_micros: 1 });
        check(fresh(), None, None, None);
        check(
            Status { last_seen: last(State::AuthRequired, "it answered HTTP 401"), ..fresh() },
            None,
            Some(Seen::Unauthorized),
            Some("HTTP 401"),
        );
        let shut = Status { last_seen: last(State::AuthRequired, "it answered HTTP 403"), ..fresh() };
        check(shut, Some("HTTP 403: no"), Some(Seen::Unauthorized), Some("HTTP 403: no"));
        check(Status { last_seen: last(State::Connected, ""), ..fresh() }, None, Some(Seen::Connected), None);
        let now = Status { last_seen: last(State::Crashed, "before"), ..Status::new("x", State::Connected) };
        check(now, Some("HTTP 500"), Some(Seen::Connected), None);
    }
}
