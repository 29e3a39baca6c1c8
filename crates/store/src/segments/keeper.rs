//! The thread that keeps the record in the background: checkpoints, parts that grow old, ends that are owed to a
//! full disk, and what is too old to be kept. It sleeps until the first event.

use super::state::Chain;
use super::writer::Inner;
use crate::heads;
use crate::prune::{self, Horizon};
use gate::ports::LedgerError;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// How soon ends that the disk did not take are tried again.
const OWED_EVERY: Duration = Duration::from_secs(1);

/// What wakes the thread.
#[derive(Default)]
pub(super) struct Bell {
    orders: Mutex<Orders>,
    rung: Condvar,
}

#[derive(Clone, Copy, Default)]
struct Orders {
    /// There is something to keep.
    begun: bool,
    /// Do not wait for the time to pass.
    now: bool,
    stop: bool,
}

impl Bell {
    /// A part was begun.
    pub fn begin(&self) {
        self.ring(|orders| orders.begun = true);
    }

    /// Something is due.
    pub fn now(&self) {
        self.ring(|orders| orders.now = true);
    }

    pub fn stop(&self) {
        self.ring(|orders| orders.stop = true);
    }

    fn ring(&self, order: impl FnOnce(&mut Orders)) {
        order(&mut self.orders.lock().unwrap_or_else(PoisonError::into_inner));
        self.rung.notify_one();
    }

    /// Sleeps until there is something to do; once there is something to keep, `patience` at most.
    fn wait(&self, patience: Duration) -> Wake {
        let orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        if !orders.begun {
            let asleep = |orders: &mut Orders| !orders.begun && !orders.stop;
            let orders = self.rung.wait_while(orders, asleep).unwrap_or_else(PoisonError::into_inner);
            return if orders.stop { Wake::Stop } else { Wake::Begun };
        }
        let asleep = |orders: &mut Orders| !orders.now && !orders.stop;
        let woken = self.rung.wait_timeout_while(orders, patience, asleep);
        let mut orders = woken.unwrap_or_else(PoisonError::into_inner).0;
        orders.now = false;
        if orders.stop { Wake::Stop } else { Wake::Due }
    }
}

enum Wake {
    /// The first part was begun.
    Begun,
    /// Something is due, or enough time has passed.
    Due,
    Stop,
}

pub(super) struct Keeper(pub Arc<Inner>);

impl Keeper {
    pub fn run(self) {
        let Self(inner) = self;
        let mut patience = inner.options.checkpoint_every;
        let mut horizon = Horizon::default();
        loop {
            match inner.bell.wait(patience) {
                Wake::Stop => return,
                Wake::Begun => {}
                Wake::Due => inner.tick().unwrap_or_else(
                    |error| tracing::warn!(target: "mcp::ledger", %error, "the record could not be signed"),
                ),
            }
            inner.prune(&mut horizon);
            let owes = inner.lock().is_ok_and(|chain| !chain.owed.is_empty());
            patience = if owes { OWED_EVERY } else { inner.options.checkpoint_every };
        }
    }
}

impl Inner {
    /// Does what is due.
    pub(super) fn tick(&self) -> Result<(), LedgerError> {
        let mut chain = self.lock()?;
        if chain.closed {
            return Ok(());
        }
        self.pay(&mut chain)?;
        let now = self.door.clock.wall_micros();
        let age = u64::try_from(self.options.segment_age.as_micros()).unwrap_or(u64::MAX);
        let old = |part: &super::state::Part| part.len > part.head && now.saturating_sub(part.begun) >= age;
        if chain.current.as_ref().is_some_and(old) {
            self.next_part(&mut chain)?;
        }
        self.sign(&mut chain)?;
        self.post(chain)
    }

    /// Signs a checkpoint over all lines so far, and remembers it in the side file.
    pub(super) fn sign_now(&self) -> Result<(), LedgerError> {
        let mut chain = self.lock()?;
        self.sign(&mut chain)?;
        self.post(chain)
    }

    /// Puts new checkpoints into the side file, which takes longer than a call should wait.
    fn post(&self, mut chain: std::sync::MutexGuard<'_, Chain>) -> Result<(), LedgerError> {
        let unposted = std::mem::take(&mut chain.unposted);
        drop(chain);
        if let Err(error) = heads::post(&self.dir, &unposted) {
            self.lock()?.unposted.splice(0..0, unposted);
            return Err(LedgerError(format!("cannot write to `{}`: {error}", heads::path(&self.dir).display())));
        }
        Ok(())
    }

    /// Deletes what is too old, if it is time to look.
    fn prune(&self, horizon: &mut Horizon) {
        let now = self.door.clock.wall_micros();
        if !horizon.is_due(&self.options.retention, now) {
            return;
        }
        let pruned = prune::prune(&self.dir, &self.options.retention, now, |event| self.record_durably(event));
        if let Err(error) = pruned {
            tracing::warn!(target: "mcp::ledger", %error, "old audit files could not be deleted");
        }
    }
}
