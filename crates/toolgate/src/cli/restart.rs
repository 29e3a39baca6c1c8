//! `toolgate mcp restart [NAME…]`: tells every gate that runs to stop servers and start them again.

use clap::Args;
use serde::Serialize;

use super::{Context, runtime, unknown_server};
use crate::config::Config;
use crate::control::{Done, Gates, Order, Restarted, Spoken};
use crate::ui::{Failure, Report};
use gate::Code;

/// Arguments of `restart`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  toolgate mcp restart
  toolgate mcp restart github
  toolgate mcp restart --json | jq '.gates[].servers[] | [.name, .old_pid, .new_pid]'

Every gate that runs on this home (`toolgate up`, `toolgate mcp serve`) first reads its configuration
again, then stops these servers and starts those that ran. Calls under way end with an error.")]
pub struct RestartArgs {
    /// The servers; all unless named.
    #[arg(value_name = "NAME")]
    names: Vec<String>,
}

/// Restarts, and fails if anything did not come up again.
pub fn run(args: &RestartArgs, cx: &Context) -> Result<(), Failure> {
    let config = cx.config()?;
    let order = Order::Restart { servers: (!args.names.is_empty()).then(|| args.names.clone()) };
    let gates = tell(&config, &order)?;
    known(&args.names, &config, &gates)?;
    cx.ui.report(&Gone { schema: "toolgate.restart/1", gates: &gates, doing: "restart" })?;
    outcome(&gates)
}

/// Tells all gates of this home.
///
/// # Errors
/// When there is no runtime.
pub fn tell(config: &Config, order: &Order) -> Result<Vec<GateSaid>, Failure> {
    let gates = Gates::of(&config.state_dir());
    let spoken = runtime::block_on(async { Ok(gates.tell(order).await) })?;
    Ok(spoken.into_iter().map(GateSaid::from).collect())
}

/// A name that neither the files nor any gate know.
fn known(names: &[String], config: &Config, gates: &[GateSaid]) -> Result<(), Failure> {
    let runs = |name: &&String| gates.iter().any(|gate| gate.done.servers.iter().any(|server| server.name == **name));
    let written = |name: &&String| {
        config.servers.contains_key(name.as_str()) || config.bad.iter().any(|bad| bad.name == name.as_str())
    };
    match names.iter().find(|name| !runs(name) && !written(name)) {
        Some(name) => Err(unknown_server(name, config)),
        None => Ok(()),
    }
}

/// Fails with the first gate that did not do all it was told.
///
/// # Errors
/// What it said.
pub fn outcome(gates: &[GateSaid]) -> Result<(), Failure> {
    let Some(gate) = gates.iter().find(|gate| !gate.done.ok) else { return Ok(()) };
    let GateSaid { done: Done { pid, servers, rejected, error, .. } } = gate;
    if let Some(why) = error {
        return Err(Failure::new(Code::Io, format!("gate {pid}: {why}")));
    }
    if let Some(why) = rejected.first() {
        let failure =
            Failure::new(Code::ConfigInvalid, format!("gate {pid} goes on by what was written before: {why}"));
        return Err(failure.exiting(1));
    }
    let down = servers.iter().filter(|server| !server.ok).map(|server| server.name.as_str());
    let down: Vec<_> = down.collect();
    let failure = Failure::new(Code::UpstreamUnavailable, format!("gate {pid}: {} did not come up", down.join(", ")));
    Err(failure.hint("run `toolgate mcp test NAME` to see why"))
}

/// One gate's answer.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct GateSaid {
    done: Done,
}

impl From<Spoken> for GateSaid {
    fn from(spoken: Spoken) -> Self {
        let Spoken { pid, done } = spoken;
        let done = done.unwrap_or_else(|error| Done { error: Some(error.to_string()), ..Done::default() });
        Self { done: Done { pid, ..done } }
    }
}

/// What all gates said.
#[derive(Serialize)]
pub struct Gone<'a> {
    /// The name of this form.
    pub schema: &'static str,
    /// By process.
    pub gates: &'a [GateSaid],
    /// What they were told, in a word.
    #[serde(skip)]
    pub doing: &'static str,
}

impl Report for Gone<'_> {
    fn human(&self) -> String {
        if self.gates.is_empty() {
            return format!("no gate is running; nothing to {}\n", self.doing);
        }
        self.gates.iter().map(|gate| lines(&gate.done)).collect()
    }
}

fn lines(done: &Done) -> String {
    let Done { pid, servers, changed, rejected, ignored, error, .. } = done;
    let changed = changed.iter().map(|line| format!("gate {pid}: {line}\n"));
    let rejected = rejected.iter().map(|why| format!("gate {pid}: not in force: {why}\n"));
    let ignored = ignored.iter().map(|setting| format!("gate {pid}: `{setting}` takes effect at the next start\n"));
    let error = error.iter().map(|why| format!("gate {pid}: {why}\n"));
    let servers = servers.iter().map(|server| format!("gate {pid}: {}\n", line(server)));
    changed.chain(rejected).chain(ignored).chain(error).chain(servers).collect()
}

fn line(server: &Restarted) -> String {
    let pid = |pid: Option<u32>| pid.map_or("-".to_owned(), |pid| pid.to_string());
    let Restarted { name, old_pid, new_pid, state, restarted, .. } = server;
    match restarted {
        true => format!("{name} {} → {} ({state})", pid(*old_pid), pid(*new_pid)),
        false => format!("{name} did not run"),
    }
}
