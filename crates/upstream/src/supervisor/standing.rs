//! Where an upstream stands, as it is told to others: its state, its last failure, how its last call went, what it is
//! kept in. Not here: what leads from one state to the next.

use super::{Shared, last};
use crate::lifecycle::LinkState;
use crate::options::Transport;
use gate::state::Last;
use gate::{Delivery, Fault, State};
use std::sync::Arc;
use tokio::time::Instant;

impl Shared {
    /// Where it stands, why, and since when.
    pub fn standing(&self) -> (State, Option<Fault>, u64) {
        let inner = self.inner();
        let (state, fault) = inner.lifecycle.standing(&self.faults, Instant::now());
        (state, fault, inner.since)
    }

    /// The last failure, whatever came after it.
    pub fn last_error(&self) -> Option<Last> {
        self.inner().last_error.clone()
    }

    /// Notes how a call went. A server without a process shows only so that it went away or wants a login.
    pub fn answered(&self, outcome: Result<(), &Fault>) {
        match outcome {
            // Reading comes first: it costs every call something, and writing more.
            Ok(()) if self.refused.load().is_some() => self.refused.store(None),
            Err(fault) if matches!(self.options.transport, Transport::Http(_)) => {
                // One torn answer says nothing of the next call.
                let gone = fault.state == State::Unreachable && fault.delivery == Delivery::NotDelivered;
                let tells = gone || fault.state == State::AuthRequired;
                if tells && self.refused.load().as_ref().is_none_or(|refused| refused.0.state != fault.state) {
                    let now = self.world.clock.wall_micros();
                    self.inner().last_error = Some(last(fault, now));
                    self.refused.store(Some(Arc::new((fault.clone(), now))));
                }
            }
            _ => {}
        }
    }

    /// Why calls are refused although it is up, and since when.
    pub fn refused(&self) -> Option<(Fault, u64)> {
        self.refused.load_full().map(|refused| (*refused).clone())
    }

    /// Whether what it lists has been asked for since it is up.
    pub fn is_listed(&self) -> bool {
        matches!(&*self.state.borrow(), LinkState::Ready(_))
    }

    /// What the process runs under, once it does.
    pub fn bound(&self, effective: &sandbox::Effective) {
        if effective.degraded() {
            let server = &self.options.name;
            tracing::warn!(target: "mcp::manager", %server, "runs with less than it was to be kept in: {effective}");
        }
        self.bounds.store(Some(Arc::new(effective.to_string().into())));
    }
}
