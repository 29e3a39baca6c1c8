//! Carries out an order in the gate it was given to.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;

use super::{Done, Order, Restarted};
use crate::wire::{Keeper, settled};
use gate::ports::Source;
use upstream::Upstream;

/// How long a server that was started is waited for; it goes on starting after that.
const PATIENCE: Duration = Duration::from_secs(60);

/// Does what is ordered.
pub async fn carry_out(order: Order, keeper: &Keeper) -> Done {
    let done = match order {
        Order::Status => Done { ok: true, rejected: trouble(keeper), servers: standing(keeper), ..Done::default() },
        Order::Reload => reloaded(keeper).await,
        Order::Restart { servers } => restarted(keeper, servers.as_deref()).await,
    };
    Done { pid: std::process::id(), ..done }
}

fn trouble(keeper: &Keeper) -> Vec<String> {
    keeper.live().trouble().iter().map(|trouble| trouble.to_string()).collect()
}

fn standing(keeper: &Keeper) -> Vec<Restarted> {
    let of = |up: &Arc<Upstream>| {
        let status = up.status();
        let state = status.state.as_str().to_owned();
        Restarted { name: status.name, old_pid: status.pid, new_pid: status.pid, state, restarted: false, ok: true }
    };
    keeper.live().links().iter().map(of).collect()
}

async fn reloaded(keeper: &Keeper) -> Done {
    match keeper.reload().await {
        Ok(reloaded) => {
            let rejected: Vec<_> = reloaded.held.iter().map(ToString::to_string).collect();
            Done {
                ok: rejected.is_empty(),
                changed: Some(reloaded.line()),
                rejected,
                ignored: reloaded.ignored.iter().map(|setting| (*setting).to_owned()).collect(),
                ..Done::default()
            }
        }
        Err(trouble) => Done { rejected: vec![trouble.to_string()], ..Done::default() },
    }
}

/// What is written may be broken; the servers are restarted by what is in force then.
async fn restarted(keeper: &Keeper, names: Option<&[String]>) -> Done {
    let before = keeper.live().links();
    let ran: Vec<(String, Option<u32>)> = before.iter().filter(|up| up.is_running()).map(noted).collect();
    let done = reloaded(keeper).await;
    let links = keeper.live().links();
    let meant = links.iter().filter(|up| names.is_none_or(|names| names.iter().any(|name| name == up.name().as_str())));
    let servers = meant.map(|up| {
        let ran = ran.iter().find(|(name, _)| name == up.name().as_str()).cloned();
        // One that was replaced by what is written now has been stopped already.
        let same = before.iter().any(|was| Arc::ptr_eq(was, up));
        restart(keeper, up, ran, same)
    });
    let servers = join_all(servers).await;
    Done { ok: done.ok && servers.iter().all(|server| server.ok), servers, ..done }
}

fn noted(up: &Arc<Upstream>) -> (String, Option<u32>) {
    (up.name().to_string(), up.status().pid)
}

/// Only what runs is started again: nothing begins to run by being restarted.
async fn restart(keeper: &Keeper, up: &Upstream, ran: Option<(String, Option<u32>)>, same: bool) -> Restarted {
    let mut ok = true;
    if ran.is_some() {
        if same {
            up.stop().await;
        }
        ok = keeper.live().gate().start(up.name()).is_ok() && comes_up(up).await;
    }
    let status = up.status();
    let state = status.state.as_str().to_owned();
    let restarted = ran.is_some();
    Restarted { name: status.name, old_pid: ran.and_then(|(_, pid)| pid), new_pid: status.pid, state, restarted, ok }
}

/// A list that is missing is no reason to say that it does not run.
async fn comes_up(up: &Upstream) -> bool {
    let settled = tokio::time::timeout(up.patience().min(PATIENCE), settled(up)).await;
    settled.is_ok_and(|settled| settled.is_ok()) || up.is_running()
}
