//! The handle to one server: what the gate calls.

use crate::lifecycle::{Event, LinkState};
use crate::options::{Options, Transport, World};
use crate::probe::{Probe, Probed};
use crate::session::{Session, Signals, Trouble, error_code, said, wire};
use crate::status;
use crate::supervisor::Shared;
use bytes::Bytes;
use gate::ports::{BoxFuture, Readiness, Source};
use gate::state::{Change, Status};
use gate::{Fault, Permit, ReplyKind, ServerName, StartPermit, Target, Unmasked};
use mcp::revision::code;
use mcp::{Frame, Kind, Span, view};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{SemaphorePermit, watch};
use tokio::time::{Instant, timeout};

/// A server we call. Starts nothing by itself: that takes a [`StartPermit`].
pub struct Upstream {
    shared: Arc<Shared>,
}

impl Upstream {
    /// A handle to the server that `options` describe; it does not run yet.
    pub fn new(options: Options, world: Arc<World>) -> Arc<Self> {
        Arc::new(Self { shared: Arc::new(Shared::new(options, world)) })
    }

    /// Where the link stands, and from now on each change of it.
    pub fn state(&self) -> watch::Receiver<LinkState> {
        self.shared.state.subscribe()
    }

    /// All that is known of the server: its state, why, since when, and what to do next.
    pub fn status(&self) -> Status {
        status::of(&self.shared)
    }

    /// How long it may take until it is up and has listed everything, or failed at it.
    pub fn patience(&self) -> Duration {
        // One start, and four lists.
        self.shared.options.startup_timeout.saturating_mul(5)
    }

    /// What is different from when the server was seen last, if anything is. Known once its lists are.
    pub fn version_change(&self) -> Option<Arc<Change>> {
        self.shared.change.load_full()
    }

    /// Stops the server: its input is closed, after a while it is ended; a session over HTTP is given back.
    /// Returns when nothing of it is left. A later call with leave may start it again.
    pub async fn stop(&self) {
        self.shared.on(Event::Stopping);
        let mut state = self.state();
        // The sender lives in `shared`, so there is always a next state.
        let _ = state.wait_for(|state| !matches!(state, LinkState::Draining)).await;
    }

    /// Ends it for good: the calls that were begun may end by themselves within the time of one call, then it is
    /// stopped. Nothing starts it again.
    pub async fn retire(&self) {
        self.shared.retire();
        // What is left then is ended by the stop, and told so.
        let _ = timeout(self.shared.options.call_timeout, self.shared.calls.wait()).await;
        self.stop().await;
    }

    /// Whether it is the server that `options` describe, down to the last of them.
    pub fn is_of(&self, options: &Options) -> bool {
        self.shared.options == *options
    }

    /// Whether it runs, or is about to.
    pub fn is_running(&self) -> bool {
        let state = self.shared.state.borrow();
        matches!(&*state, LinkState::Starting | LinkState::Connected | LinkState::Ready(_))
    }

    /// How long the server takes to answer when it is asked for nothing.
    ///
    /// # Errors
    /// A [`Fault`] if it is not running or does not answer in time.
    pub async fn ping(&self) -> Result<Duration, Fault> {
        let session = self.session().await?;
        let began = Instant::now();
        let method = if session.is_modern() { "server/discover" } else { "ping" };
        let limit = self.shared.options.call_timeout;
        match timeout(limit, session.ask(method, "")).await {
            Ok(Ok(_)) => Ok(Instant::now() - began),
            Ok(Err(trouble)) => Err(trouble.into_fault(&self.shared.faults)),
            Err(_) => Err(self.shared.faults.call_timeout(limit)),
        }
    }

    /// Asks the server for what nobody has, to see whether it says so.
    ///
    /// # Errors
    /// A [`Fault`] if it is not running or does not answer in time.
    pub async fn probe(&self, probe: Probe) -> Result<Probed, Fault> {
        let session = self.session().await?;
        let (method, params) = probe.request();
        let limit = self.shared.options.call_timeout;
        match timeout(limit, session.ask(method, &params)).await {
            Ok(Ok(frame)) => Ok(Probed::of(&frame)),
            Ok(Err(trouble)) => Err(trouble.into_fault(&self.shared.faults)),
            Err(_) => Err(self.shared.faults.call_timeout(limit)),
        }
    }

    /// Asks the server to log from this level on (`debug` to `emergency`).
    pub fn log_level(&self, level: &str) {
        let raw = view::quoted(level);
        self.shared.set_log_level(Some(raw.clone()));
        let Some(session) = self.shared.live.load_full() else { return };
        if session.is_modern() || !session.offers(&["logging"]) {
            return;
        }
        let limit = self.shared.options.call_timeout;
        self.shared.world.tasks.spawn(async move {
            // A server that does not do it logs as it pleases.
            let _ = timeout(limit, session.ask("logging/setLevel", &format!("\"level\":{raw}"))).await;
        });
    }

    /// The last lines the server wrote to standard error, masked, oldest first. They are the server's words.
    pub fn stderr_tail(&self) -> Vec<String> {
        let masks = self.shared.world.hub.masks();
        self.shared.stderr.lines().iter().map(|line| masks.text(line).into_owned()).collect()
    }

    /// The conversation, once there is one.
    async fn session(&self) -> Result<Arc<Session>, Fault> {
        match self.shared.live.load_full() {
            Some(session) => Ok(session),
            None => Box::pin(self.other_than(None)).await,
        }
    }

    /// Waits for a conversation that is not `old`.
    async fn other_than(&self, old: Option<&Arc<Session>>) -> Result<Arc<Session>, Fault> {
        let mut state = self.state();
        loop {
            let now = state.borrow_and_update().clone();
            if let Some(fault) = now.refusal(&self.shared.faults, Instant::now()) {
                return Err(fault);
            }
            let live = self.shared.live.load_full().filter(|live| !old.is_some_and(|old| Arc::ptr_eq(old, live)));
            if let Some(session) = live {
                return Ok(session);
            }
            // The sender lives in `shared`.
            let _ = state.changed().await;
        }
    }

    /// A turn among the calls that may be under way at once.
    async fn turn(&self) -> Result<SemaphorePermit<'_>, Fault> {
        if let Ok(turn) = self.shared.turns.try_acquire() {
            return Ok(turn);
        }
        let options = &self.shared.options;
        match Box::pin(timeout(options.call_timeout, self.shared.turns.acquire())).await {
            Ok(Ok(turn)) => Ok(turn),
            _ => Err(self.shared.faults.queue_timeout(options.call_timeout, options.max_concurrent_calls)),
        }
    }

    /// What is rarely needed is boxed: every call moves the room for all that it might do.
    async fn run(&self, permit: Permit) -> Result<Unmasked, Fault> {
        let _begun = self.shared.calls.token();
        let mut session = self.session().await?;
        if matches!(permit.target(), Target::Subscribe(_) | Target::Unsubscribe(_)) {
            return Box::pin(self.subscribe(&session, &permit)).await;
        }
        let _turn = self.turn().await?;
        let mut definition = permit.item().definition.clone();
        let mut repeated = false;
        loop {
            match session.call(&permit, &definition).await {
                Ok(frame) if session.is_modern() && error_code(&frame) == Some(code::HEADER_MISMATCH) && !repeated => {
                    definition = Box::pin(self.listed_anew(&session, &permit)).await.unwrap_or(definition);
                }
                Ok(frame) => {
                    self.shared.answered(Ok(()));
                    return self.answered(&session, &frame, &permit);
                }
                Err(Trouble::SessionLost) if !repeated => {
                    session.signals.raise(Signals::LOST);
                    session = Box::pin(self.other_than(Some(&session))).await?;
                }
                Err(trouble) => {
                    let fault = trouble.into_fault(&self.shared.faults);
                    self.shared.answered(Err(&fault));
                    return Err(fault);
                }
            }
            repeated = true;
        }
    }

    /// The server's answer; what it says about this hop alone is not for the caller.
    fn answered(&self, session: &Session, frame: &Frame, permit: &Permit) -> Result<Unmasked, Fault> {
        let hop = matches!(error_code(frame), Some(code::HEADER_MISMATCH | code::UNSUPPORTED_VERSION));
        if hop && session.is_modern() {
            return Err(self
                .shared
                .faults
                .protocol("refuses how it is spoken to: its revision or its tools have changed"));
        }
        Ok(said(frame, permit.target()))
    }

    /// What is called, as the server defines it now: which headers a tool wants may have changed.
    async fn listed_anew(&self, session: &Session, permit: &Permit) -> Option<Bytes> {
        let mut state = self.state();
        state.mark_unchanged();
        session.signals.raise(Signals::TOOLS);
        timeout(self.shared.options.startup_timeout, state.changed()).await.ok()?.ok()?;
        let offer = self.shared.world.catalog.offer(self.name())?;
        let item = permit.item();
        let mut same = offer.listed.iter().filter(|listed| listed.kind == item.kind && listed.raw == item.raw);
        same.next().map(|listed| listed.definition.clone())
    }

    /// Counts who wants to hear of a resource; the server is told of the first and of the last.
    async fn subscribe(&self, session: &Arc<Session>, permit: &Permit) -> Result<Unmasked, Fault> {
        let interests = &self.shared.interests;
        let (uri, begins) = match permit.target() {
            Target::Subscribe(uri) => (uri, true),
            other => (&Box::from(other.asked()), false),
        };
        if session.is_modern() {
            let changed = if begins { interests.add(uri) } else { interests.remove(uri) };
            if changed {
                session.signals.raise(Signals::INTERESTS);
            }
            return self.done();
        }
        if begins && interests.has(uri) {
            interests.add(uri);
            return self.done();
        }
        if !begins && !interests.remove(uri) {
            return self.done();
        }
        let frame = session
            .call(permit, &permit.item().definition)
            .await
            .map_err(|trouble| trouble.into_fault(&self.shared.faults))?;
        if begins && frame.kind() == Kind::Result {
            interests.add(uri);
        }
        Ok(said(&frame, permit.target()))
    }

    /// An empty result of our own.
    fn done(&self) -> Result<Unmasked, Fault> {
        let json = Bytes::from_static(br#"{"jsonrpc":"2.0","id":0,"result":{}}"#);
        let frame =
            Frame::parse(json, &self.shared.options.limits).map_err(|_| self.shared.faults.bug("has no limits"))?;
        Ok(Unmasked::message(wire(&frame, Span::NONE), ReplyKind::Result))
    }
}

impl Source for Upstream {
    fn name(&self) -> &ServerName {
        &self.shared.options.name
    }

    fn readiness(&self) -> Readiness {
        if self.shared.live.load().is_some()
            || self.shared.is_retired()
            || !self.shared.state.borrow().may_start(Instant::now())
        {
            return Readiness::Up;
        }
        Readiness::Idle
    }

    fn trouble(&self) -> Option<Fault> {
        match &*self.shared.state.borrow() {
            LinkState::AuthRequired(fault) | LinkState::Failed(fault) | LinkState::Backoff { why: fault, .. } => {
                Some((**fault).clone())
            }
            LinkState::Idle
            | LinkState::Starting
            | LinkState::Connected
            | LinkState::Ready(_)
            | LinkState::Draining => None,
        }
    }

    fn bounds(&self) -> Option<Arc<str>> {
        match &self.shared.options.transport {
            // It has no process of its own; what holds those it runs is settled beforehand.
            Transport::Within(server) => Some(server.sandbox.as_str().into()),
            _ => self.shared.bounds.load_full().map(|bounds| (*bounds).clone()),
        }
    }

    fn start(&self, _leave: StartPermit) {
        self.shared.on(Event::Asked);
    }

    fn call(&self, permit: Permit) -> BoxFuture<'_, Result<Unmasked, Fault>> {
        Box::pin(self.run(permit))
    }
}
