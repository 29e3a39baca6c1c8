//! The states of a link and what leads from one to the next. Pure: no task, no transport, no clock.

use crate::faults::Faults;
use gate::{Code, Fault, State};
use mcp::Revision;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Failures that are forgiven within [`WINDOW`].
const FORGIVEN: usize = 5;
const WINDOW: Duration = Duration::from_secs(60);
/// The first pause after too many failures; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(30);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// Who ran this long has its earlier failures forgotten.
const HEALTHY: Duration = Duration::from_secs(600);

/// What is known of a server that runs.
#[derive(Debug)]
pub struct Toolset {
    /// The revision spoken with it.
    pub revision: Revision,
    /// Why a list of it is missing or out of date, if one is.
    pub trouble: Option<Arc<Fault>>,
    /// Why its tools are, if they are.
    pub tools_trouble: Option<Arc<Fault>>,
}

/// Where a link stands.
#[derive(Debug, Clone)]
pub enum LinkState {
    /// Not running; a call starts it.
    Idle,
    /// Being started; calls wait.
    Starting,
    /// Calls run; what it lists is still being fetched.
    Connected,
    /// Calls run and its lists are in the catalog.
    Ready(Arc<Toolset>),
    /// It wants a login or a token; the next call tries again.
    AuthRequired(Arc<Fault>),
    /// The last start failed; the next call tries again.
    Failed(Arc<Fault>),
    /// It failed too often: not started again before `until`.
    Backoff {
        /// When it may be tried again.
        until: Instant,
        /// Why it failed last.
        why: Arc<Fault>,
    },
    /// Being stopped.
    Draining,
}

impl LinkState {
    /// Whether a call can be sent now.
    pub fn is_up(&self) -> bool {
        matches!(self, Self::Connected | Self::Ready(_))
    }

    /// Whether a start would be begun now.
    pub(crate) fn may_start(&self, now: Instant) -> bool {
        match self {
            Self::Idle | Self::AuthRequired(_) | Self::Failed(_) => true,
            Self::Backoff { until, .. } => now >= *until,
            Self::Starting | Self::Connected | Self::Ready(_) | Self::Draining => false,
        }
    }

    /// Why a call cannot be sent, if it is no use to wait.
    pub(crate) fn refusal(&self, faults: &Faults, now: Instant) -> Option<Fault> {
        match self {
            Self::Starting | Self::Connected | Self::Ready(_) => None,
            Self::Idle => Some(faults.not_running()),
            Self::AuthRequired(fault) | Self::Failed(fault) => Some((**fault).clone()),
            Self::Backoff { until, why } => Some(faults.backoff(why, until.saturating_duration_since(now))),
            Self::Draining => Some(faults.stopping()),
        }
    }
}

/// What happens to a link.
#[derive(Debug)]
pub(crate) enum Event {
    /// Somebody with leave wants it to run.
    Asked,
    /// The server answered the handshake.
    Opened,
    /// Its lists are known.
    Listed(Arc<Toolset>),
    /// A new session has to be opened over the same transport.
    Renewing,
    /// It could not be started.
    Failed(Arc<Fault>),
    /// It was up and is no more.
    Ended(Arc<Fault>),
    /// It is to be stopped.
    Stopping,
    /// Nothing of it is left.
    Stopped,
}

/// What has to be done about an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    Nothing,
    /// Begin a generation.
    Spawn,
    /// End the generation that runs.
    End,
}

/// Why a link that is idle is.
#[derive(Debug, Clone)]
pub(crate) enum Rest {
    /// It never ran, or was stopped.
    Quiet,
    /// It was stopped before it was up.
    Cancelled,
    /// It was up and ended by itself.
    Ended(Arc<Fault>),
}

/// A link's state and its memory of failures.
pub(crate) struct Lifecycle {
    pub state: LinkState,
    pub rest: Rest,
    failures: VecDeque<Instant>,
    pauses: u32,
    opened: Option<Instant>,
}

impl Lifecycle {
    pub fn new() -> Self {
        Self { state: LinkState::Idle, rest: Rest::Quiet, failures: VecDeque::new(), pauses: 0, opened: None }
    }

    pub fn on_event(&mut self, event: Event, now: Instant) -> Effect {
        match (event, &self.state) {
            (Event::Asked, state) if state.may_start(now) => {
                (self.state, self.rest) = (LinkState::Starting, Rest::Quiet);
                return Effect::Spawn;
            }
            (Event::Opened, LinkState::Starting) => {
                self.opened.get_or_insert(now);
                self.state = LinkState::Connected;
            }
            (Event::Listed(toolset), LinkState::Connected | LinkState::Ready(_)) => {
                self.state = LinkState::Ready(toolset);
            }
            (Event::Renewing, LinkState::Connected | LinkState::Ready(_)) => self.state = LinkState::Starting,
            (Event::Stopping, state @ (LinkState::Starting | LinkState::Connected | LinkState::Ready(_))) => {
                self.rest = if matches!(state, LinkState::Starting) { Rest::Cancelled } else { Rest::Quiet };
                self.state = LinkState::Draining;
                return Effect::End;
            }
            (Event::Stopped | Event::Failed(_) | Event::Ended(_), LinkState::Draining) => {
                self.opened = None;
                self.state = LinkState::Idle;
            }
            (Event::Failed(fault), LinkState::Starting) => self.fail(fault, now, LinkState::Failed),
            (Event::Ended(fault), _) => {
                self.rest = Rest::Ended(fault.clone());
                self.fail(fault, now, |_| LinkState::Idle);
            }
            _ => {}
        }
        Effect::Nothing
    }

    /// The state of the one list, and why, as far as it shows without looking at what the server lists.
    pub fn standing(&self, faults: &Faults, now: Instant) -> (State, Option<Fault>) {
        match (&self.state, &self.rest) {
            (LinkState::Starting, _) => (State::Starting, None),
            (LinkState::Connected, _) => (State::Connected, None),
            (LinkState::Ready(toolset), _) => match (&toolset.tools_trouble, &toolset.trouble) {
                (Some(fault), _) if fault.state == State::AuthRequired => (fault.state, Some((**fault).clone())),
                (Some(fault), _) | (None, Some(fault)) => (State::Degraded, Some((**fault).clone())),
                (None, None) => (State::Connected, None),
            },
            (LinkState::AuthRequired(fault) | LinkState::Failed(fault), _) => (fault.state, Some((**fault).clone())),
            (LinkState::Backoff { until, why }, _) => {
                (why.state, Some(faults.backoff(why, until.saturating_duration_since(now))))
            }
            (LinkState::Idle | LinkState::Draining, Rest::Cancelled) => (State::Cancelled, None),
            (LinkState::Idle, Rest::Ended(fault)) => (fault.state, Some((**fault).clone())),
            (LinkState::Idle | LinkState::Draining, _) => (State::NotStarted, None),
        }
    }

    fn fail(&mut self, fault: Arc<Fault>, now: Instant, otherwise: fn(Arc<Fault>) -> LinkState) {
        if self.opened.take().is_some_and(|since| now - since >= HEALTHY) {
            (self.pauses, self.failures) = (0, VecDeque::new());
        }
        if fault.code == Code::UpstreamAuthRequired {
            self.state = LinkState::AuthRequired(fault);
            return;
        }
        self.failures.push_back(now);
        while self.failures.front().is_some_and(|at| now - *at > WINDOW) {
            self.failures.pop_front();
        }
        // After a pause one failure is enough for the next.
        if self.failures.len() > FORGIVEN || self.pauses > 0 {
            let pause = FIRST_PAUSE.saturating_mul(1 << self.pauses.min(8)).min(LONGEST_PAUSE);
            self.pauses += 1;
            self.state = LinkState::Backoff { until: now + pause, why: fault };
        } else {
            self.state = otherwise(fault);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(code: Code) -> Arc<Fault> {
        Arc::new(Fault { code, ..Faults("x".into()).unavailable("broke") })
    }

    fn broke() -> Arc<Fault> {
        fault(Code::UpstreamUnavailable)
    }

    fn toolset() -> Arc<Toolset> {
        Arc::new(Toolset { revision: Revision::NEWEST_LEGACY, trouble: None, tools_trouble: None })
    }

    fn word(state: &LinkState) -> &'static str {
        match state {
            LinkState::Idle => "idle",
            LinkState::Starting => "starting",
            LinkState::Connected => "connected",
            LinkState::Ready(_) => "ready",
            LinkState::AuthRequired(_) => "auth",
            LinkState::Failed(_) => "failed",
            LinkState::Backoff { .. } => "backoff",
            LinkState::Draining => "draining",
        }
    }

    /// The effects and states that a series of events leads to.
    fn check(events: Vec<Event>, want: &str) {
        let (mut lifecycle, now) = (Lifecycle::new(), Instant::now());
        let steps: Vec<_> = events
            .into_iter()
            .map(|event| match lifecycle.on_event(event, now) {
                Effect::Nothing => word(&lifecycle.state).to_owned(),
                effect => format!("{effect:?}:{}", word(&lifecycle.state)),
            })
            .collect();
        assert_eq!(steps.join(" "), want);
    }

    #[test]
    fn a_link_is_started_once_and_lists_after_it_connected() {
        use Event::*;
        check(
            vec![Asked, Asked, Opened, Asked, Listed(toolset())],
            "Spawn:starting starting connected connected ready",
        );
        check(vec![Asked, Failed(broke()), Asked], "Spawn:starting failed Spawn:starting");
        check(vec![Asked, Failed(fault(Code::UpstreamAuthRequired)), Asked], "Spawn:starting auth Spawn:starting");
        check(vec![Asked, Opened, Ended(broke()), Asked], "Spawn:starting connected idle Spawn:starting");
        check(vec![Asked, Opened, Renewing, Opened], "Spawn:starting connected starting connected");
    }

    #[test]
    fn a_stop_ends_whatever_runs_and_starts_nothing() {
        use Event::*;
        check(vec![Stopping], "idle");
        check(vec![Asked, Stopping, Asked, Stopped, Asked], "Spawn:starting End:draining draining idle Spawn:starting");
        check(vec![Asked, Opened, Stopping, Ended(broke())], "Spawn:starting connected End:draining idle");
    }

    #[test]
    fn too_many_failures_bring_a_pause_that_grows_until_the_server_is_healthy() {
        let (mut lifecycle, mut now) = (Lifecycle::new(), Instant::now());
        let mut pauses = Vec::new();
        for _ in 0..9 {
            assert_eq!(lifecycle.on_event(Event::Asked, now), Effect::Spawn);
            lifecycle.on_event(Event::Failed(broke()), now);
            if let LinkState::Backoff { until, .. } = lifecycle.state {
                assert_eq!(lifecycle.on_event(Event::Asked, now), Effect::Nothing);
                pauses.push((until - now).as_secs());
                now = until;
            }
        }
        assert_eq!(pauses, [30, 60, 120, 240]);
        lifecycle.on_event(Event::Asked, now);
        lifecycle.on_event(Event::Opened, now);
        now += HEALTHY;
        lifecycle.on_event(Event::Ended(broke()), now);
        assert_eq!(word(&lifecycle.state), "idle");
    }

    #[test]
    fn failures_far_apart_are_forgiven() {
        let (mut lifecycle, mut now) = (Lifecycle::new(), Instant::now());
        for _ in 0..20 {
            assert_eq!(lifecycle.on_event(Event::Asked, now), Effect::Spawn);
            lifecycle.on_event(Event::Failed(broke()), now);
            now += Duration::from_secs(15);
        }
    }
}
