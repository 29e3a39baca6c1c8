//! `toolgate mcp health`: does every server answer a ping, now or from now on.

use std::collections::HashMap;
use std::time::Duration;

use clap::Args;
use futures_util::future::join_all;
use serde::Serialize;
use tokio::time::{Instant, sleep, timeout};

use super::visit::visit;
use super::{Context, content, items, runtime, show};
use crate::config::Config;
use crate::ui::{Failure, Report, Table};
use crate::wire::{self, House, Selection, System};
use gate::ports::Clock;
use gate::{Code, ServerName, State};

/// Arguments of `health`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  toolgate mcp health
  toolgate mcp health github --json | jq .ok
  toolgate mcp health --watch --interval 10 --threshold 3

Every server is started if it does not run, and has ten seconds to answer. With `--watch` a line is printed whenever a
server begins or ceases to be healthy (with `--json` one object a line), until the command is interrupted.

Exit status: 0 if all are healthy, 1 if one is not; with `--watch` 0.")]
pub struct HealthArgs {
    /// One server; all that are enabled if left out.
    name: Option<String>,
    /// Go on asking.
    #[arg(long)]
    watch: bool,
    /// How long to wait between two rounds, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 30, requires = "watch",
        value_parser = clap::value_parser!(u64).range(1..))]
    interval: u64,
    /// How many times in a row a server has to fail before it counts as unhealthy.
    #[arg(long, value_name = "N", default_value_t = 3, requires = "watch",
        value_parser = clap::value_parser!(u32).range(1..))]
    threshold: u32,
}

/// Asks.
pub fn run(args: &HealthArgs, cx: &Context) -> Result<(), Failure> {
    let config = cx.config()?;
    let selection = args.name.clone().map_or(Selection::Enabled, Selection::Only);
    visit(&config, cx, &selection, async |house| {
        if args.watch {
            return watch(args, house, cx).await;
        }
        let mut servers = round(house).await;
        if args.name.is_none() {
            servers.extend(unusable(&config, house, cx));
        }
        let ill = servers.iter().filter(|server| !server.healthy).count();
        let report = Round { schema: SCHEMA, ok: ill == 0, servers };
        cx.ui.report(&report)?;
        let text = format!("{ill} of {} servers are not healthy", report.servers.len());
        if ill == 0 { Ok(()) } else { Err(Failure::new(Code::UpstreamUnavailable, text)) }
    })
}

const SCHEMA: &str = "toolgate.health/1";

/// How one server is.
#[derive(Debug, Clone, Serialize)]
struct Health {
    server: String,
    healthy: bool,
    state: State,
    /// How long a ping took.
    ms: Option<u128>,
    reason: Option<String>,
}

/// Asks all of them, at once.
async fn round(house: &House) -> Vec<Health> {
    join_all(items::everyone(house).iter().map(|server| one(house, server))).await
}

async fn one(house: &House, server: &ServerName) -> Health {
    let patience = items::PATIENCE;
    let late = || Err((None, format!("did not answer within {} s", patience.as_secs())));
    let outcome = timeout(patience, ping(house, server)).await.unwrap_or_else(|_| late());
    let state = house.upstream(server.as_str()).map_or(State::NotStarted, |up| up.status().state);
    let server = server.to_string();
    match outcome {
        Ok(took) => Health { server, healthy: true, state, ms: Some(took.as_millis()), reason: None },
        Err((refused, reason)) => {
            Health { server, healthy: false, state: refused.unwrap_or(state), ms: None, reason: Some(reason) }
        }
    }
}

/// How long a ping took; else why there was none, and the state of a server that may not be started.
async fn ping(house: &House, server: &ServerName) -> Result<Duration, (Option<State>, String)> {
    let Some(up) = house.upstream(server.as_str()) else { return Err((None, "has no link".to_owned())) };
    match house.gate.start(server) {
        Ok(()) => {}
        Err(gate::Failure::Refused(refusal)) => {
            return Err((Some(wire::refused(&refusal)), format!("may not be started: {refusal}")));
        }
        Err(gate::Failure::Broke(fault)) => return Err((None, fault.what)),
    }
    // A server that runs and lacks a list is told from others by its state.
    let settled = wire::settled(&up).await;
    match settled {
        Err(fault) if !up.state().borrow().is_up() => Err((None, fault.what)),
        _ => up.ping().await.map_err(|fault| (None, fault.what)),
    }
}

/// Servers that are meant to be used and cannot even be tried.
fn unusable(config: &Config, house: &House, cx: &Context) -> Vec<Health> {
    let mut all = wire::statuses(config, &cx.env, Some(house));
    all.retain(|status| house.upstream(&status.name).is_none() && !status.state.is_disabled());
    let health = |status: gate::state::Status| Health {
        server: status.name,
        healthy: false,
        state: status.state,
        ms: None,
        reason: status.reason,
    };
    all.into_iter().map(health).collect()
}

/// Asks again and again; says what changes.
async fn watch(args: &HealthArgs, house: &House, cx: &Context) -> Result<(), Failure> {
    let mut watched: HashMap<String, Watched> = HashMap::new();
    let mut end = std::pin::pin!(runtime::asked_to_end());
    loop {
        let begun = Instant::now();
        let servers = tokio::select! {
            servers = round(house) => servers,
            _ = &mut end => return Ok(()),
        };
        for health in servers {
            let watched = watched.entry(health.server.clone()).or_default();
            if watched.changes(&health, args.threshold) {
                tell(&health, watched.failures, cx)?;
            }
        }
        let pause = Duration::from_secs(args.interval).saturating_sub(begun.elapsed());
        tokio::select! {
            () = sleep(pause) => {}
            _ = &mut end => return Ok(()),
        }
    }
}

/// What was told of a server.
#[derive(Default)]
struct Watched {
    told: Option<bool>,
    failures: u32,
}

impl Watched {
    /// Whether how it is now has to be told.
    fn changes(&mut self, health: &Health, threshold: u32) -> bool {
        self.failures = if health.healthy { 0 } else { self.failures.saturating_add(1) };
        let settled = health.healthy || self.failures >= threshold;
        let news = settled && self.told != Some(health.healthy);
        if news {
            self.told = Some(health.healthy);
        }
        news
    }
}

fn tell(health: &Health, failures: u32, cx: &Context) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Line<'a> {
        schema: &'static str,
        at: &'a str,
        failures: u32,
        #[serde(flatten)]
        health: &'a Health,
    }
    let at = show::moment(System.wall_micros());
    if cx.ui.json() {
        return cx.ui.line(&Line { schema: SCHEMA, at: &at, failures, health });
    }
    let why = health.reason.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
    let text = format!("{at}  {}  {}  {}{why}", health.server, word(health), health.state.label());
    cx.ui.out(&format!("{}\n", content::visible(&text).replace('\n', " ")))
}

fn word(health: &Health) -> &'static str {
    if health.healthy { "healthy" } else { "UNHEALTHY" }
}

#[derive(Serialize)]
struct Round {
    schema: &'static str,
    ok: bool,
    servers: Vec<Health>,
}

impl Report for Round {
    fn human(&self) -> String {
        let mut table = Table::new(["Server", "Health", "State", "Ping", "Why"]);
        for health in &self.servers {
            table.row([
                health.server.clone(),
                word(health).to_owned(),
                health.state.label(),
                health.ms.map_or("-".to_owned(), |ms| format!("{ms} ms")),
                health.reason.clone().unwrap_or_default(),
            ]);
        }
        if table.is_empty() { "No servers to ask.\n".to_owned() } else { table.text() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_unhealthy_after_some_failures_in_a_row_and_healthy_at_once() {
        let mut watched = Watched::default();
        let health = |healthy| Health { server: "x".into(), healthy, state: State::Connected, ms: None, reason: None };
        let told: Vec<bool> = [true, false, false, true, false, false, false, false, true, true]
            .map(|healthy| watched.changes(&health(healthy), 3))
            .to_vec();
        assert_eq!(told, [true, false, false, false, false, false, true, false, true, false]);
    }
}
