//! What `test --strict` asks beyond whether a server can be used: that it keeps to what agents and hosts rely on.

use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use crate::wire::House;
use gate::schema::Validator;
use gate::{Face, Item, ItemKind, ServerName};
use mcp::view;
use upstream::{LinkState, Probe, Upstream};

/// How long a ping may take.
const PING: Duration = Duration::from_secs(1);

/// How long all lists may take.
const LISTS: Duration = Duration::from_secs(2);

/// How many culprits are named.
const NAMED: usize = 5;

/// One thing that was asked.
#[derive(Debug, Serialize)]
pub struct Check {
    /// What.
    pub check: &'static str,
    /// Whether it is so.
    pub ok: bool,
    /// What was found.
    pub detail: String,
}

/// How long the lists of a server take that is being started. Ends when they are there or cannot be.
pub async fn list_time(up: &Upstream) -> Option<Duration> {
    let mut states = up.state();
    let mut begun = None;
    loop {
        match &*states.borrow_and_update() {
            LinkState::Connected => begun = begun.or_else(|| Some(Instant::now())),
            LinkState::Ready(_) => return begun.map(|begun| begun.elapsed()),
            LinkState::Starting => {}
            _ => return None,
        }
        states.changed().await.ok()?;
    }
}

/// Asks a server that is up; its lists took so long.
pub async fn checks(house: &House, up: &Upstream, server: &ServerName, lists: Option<Duration>) -> Vec<Check> {
    let (_, tools) = house.gate.catalog().items(&Face::Only(server.clone()), ItemKind::Tool);
    let mut checks = vec![
        of_tools("schemas compile", &tools, |tool| Validator::of_tool(&tool.definition).is_err()),
        of_tools("names are legal", &tools, |tool| !is_legal(&tool.raw)),
        of_tools("annotations are present", &tools, |tool| !is_annotated(tool)),
        ping(up).await,
    ];
    checks.extend(lists.map(|took| within("lists", took, LISTS)));
    checks.push(refuses("an unknown method is refused", up, Probe::Method).await);
    checks.push(refuses("an unknown tool is refused", up, Probe::Tool).await);
    checks
}

fn of_tools(check: &'static str, tools: &[std::sync::Arc<Item>], wrong: impl Fn(&Item) -> bool) -> Check {
    let culprits: Vec<&str> = tools.iter().filter(|tool| wrong(tool)).map(|tool| &*tool.raw).collect();
    let named = culprits.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
    let detail = match culprits.len() {
        0 => format!("of all {} tools", tools.len()),
        count => format!("not of {count} of {} tools: {named}{}", tools.len(), if count > NAMED { ", …" } else { "" }),
    };
    Check { check, ok: culprits.is_empty(), detail }
}

/// What every agent and model interface takes as a name.
fn is_legal(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    (1..=64).contains(&name.len()) && name.chars().all(plain)
}

fn is_annotated(tool: &Item) -> bool {
    let text = std::str::from_utf8(&tool.definition).unwrap_or_default();
    view::member(text, "annotations").is_some_and(|raw| view::members(raw).is_ok_and(|members| !members.is_empty()))
}

async fn ping(up: &Upstream) -> Check {
    match tokio::time::timeout(PING, up.ping()).await {
        Ok(Ok(took)) => within("ping", took, PING),
        Ok(Err(fault)) => Check { check: "ping", ok: false, detail: fault.what },
        Err(_) => Check { check: "ping", ok: false, detail: format!("no answer within {} s", PING.as_secs()) },
    }
}

fn within(check: &'static str, took: Duration, limit: Duration) -> Check {
    Check { check, ok: took <= limit, detail: format!("{} ms of {} ms", took.as_millis(), limit.as_millis()) }
}

async fn refuses(check: &'static str, up: &Upstream, probe: Probe) -> Check {
    match up.probe(probe).await {
        Ok(answer) => Check { check, ok: answer.is_right(probe), detail: answer.to_string() },
        Err(fault) => Check { check, ok: false, detail: fault.what },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_legal_name_is_one_that_every_interface_takes() {
        for (name, legal) in [("a", true), ("get_x-2", true), ("", false), ("a.b", false), ("é", false)] {
            assert_eq!(is_legal(name), legal, "{name}");
        }
        assert!(is_legal(&"x".repeat(64)) && !is_legal(&"x".repeat(65)));
    }
}
