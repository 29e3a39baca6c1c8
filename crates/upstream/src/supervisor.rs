//! The task behind an upstream: one generation of the link from its start to its end. It owns the transport
//! and the process; calls only borrow the conversation. `select!` gathers what happens, `lifecycle` decides.

mod standing;

use crate::catalog_file;
use crate::faults::Faults;
use crate::http_answer::HttpAnswer;
use crate::lifecycle::{Effect, Event, Lifecycle, LinkState, Toolset};
use crate::lists::{Lists, merge};
use crate::options::{Options, World};
use crate::outgoing::{self, Introduction};
use crate::seen;
use crate::session::{Peer, Session, Signals};
use crate::start::{self, Live};
use crate::status::{has_no_tools, last};
use crate::stderr::Tail;
use crate::subscriptions::{Interests, Listening};
use arc_swap::ArcSwapOption;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use gate::state::{Change, Last, Versions};
use gate::{Fault, ItemKind, Offer, State};
use mcp::Era;
use mcp::view;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What the handle, the task and the conversation of one upstream share.
pub(crate) struct Shared {
    pub options: Options,
    pub world: Arc<World>,
    pub faults: Faults,
    /// Our `clientInfo`, raw.
    pub client_info: String,
    pub state: watch::Sender<LinkState>,
    /// The conversation that calls use, while there is one.
    pub live: ArcSwapOption<Session>,
    pub stderr: Tail,
    pub interests: Interests,
    pub turns: Semaphore,
    /// The process, while there is one; else 0.
    pub pid: AtomicU32,
    /// What is different from when it was seen last.
    pub change: ArcSwapOption<Change>,
    /// Why the last call was refused by a server that needs no process, and since when calls are.
    refused: ArcSwapOption<(Fault, u64)>,
    /// What it last answered over HTTP instead of a message.
    pub http_answer: HttpAnswer,
    /// Calls that were begun and have not ended.
    pub calls: TaskTracker,
    /// Not part of the gate any more: nothing starts it again, and what it lists is nobody's.
    retired: AtomicBool,
    /// The log level wanted of the server, raw.
    level: ArcSwapOption<String>,
    /// What the process runs under, while there is one that is kept in bounds.
    pub bounds: ArcSwapOption<Arc<str>>,
    inner: Mutex<Inner>,
}

struct Inner {
    lifecycle: Lifecycle,
    stop: CancellationToken,
    era: Option<Era>,
    /// Since when it is in its state.
    since: u64,
    last_error: Option<Last>,
}

impl Shared {
    pub fn new(options: Options, world: Arc<World>) -> Self {
        let info = &world.client_info;
        let client_info =
            format!("{{\"name\":{},\"version\":{}}}", view::quoted(&info.name), view::quoted(&info.version));
        let era = catalog_file::remembered_era(&world.state_dir, &options);
        let since = world.clock.wall_micros();
        let lifecycle = Lifecycle::new();
        let inner = Inner { lifecycle, stop: CancellationToken::new(), era, since, last_error: None };
        Self {
            faults: Faults(options.name.clone()),
            client_info,
            state: watch::Sender::new(LinkState::Idle),
            live: ArcSwapOption::empty(),
            stderr: Tail::default(),
            interests: Interests::default(),
            turns: Semaphore::new(options.max_concurrent_calls.max(1)),
            pid: AtomicU32::new(0),
            change: ArcSwapOption::empty(),
            refused: ArcSwapOption::empty(),
            http_answer: HttpAnswer::default(),
            calls: TaskTracker::new(),
            retired: AtomicBool::new(false),
            level: ArcSwapOption::empty(),
            bounds: ArcSwapOption::empty(),
            inner: Mutex::new(inner),
            options,
            world,
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // Nothing under the lock panics half-way.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes an event, announces the state it leads to and does what has to be done.
    pub fn on(self: &Arc<Self>, event: Event) {
        if let Event::Failed(fault) | Event::Ended(fault) = &event {
            tracing::warn!(target: "mcp::manager", server = %self.options.name, "{fault}");
        }
        let mut inner = self.inner();
        if matches!(event, Event::Asked) && self.is_retired() {
            return;
        }
        let now = self.world.clock.wall_micros();
        match &event {
            Event::Failed(fault) | Event::Ended(fault) => inner.last_error = Some(last(fault, now)),
            Event::Opened => self.refused.store(None),
            _ => {}
        }
        let before = std::mem::discriminant(&inner.lifecycle.state);
        let effect = inner.lifecycle.on_event(event, Instant::now());
        if before != std::mem::discriminant(&inner.lifecycle.state) {
            inner.since = now;
        }
        self.state.send_replace(inner.lifecycle.state.clone());
        match effect {
            Effect::Nothing => {}
            Effect::End => inner.stop.cancel(),
            Effect::Spawn => {
                inner.stop = CancellationToken::new();
                self.world.tasks.spawn(generation(self.clone(), inner.stop.clone()));
            }
        }
    }

    /// From now on it is started no more; no call is begun that is waited for.
    pub fn retire(&self) {
        // Under the lock: a start comes before this, and is stopped, or after it, and is none.
        let _inner = self.inner();
        self.retired.store(true, Ordering::Relaxed);
        self.calls.close();
    }

    pub fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Relaxed)
    }

    pub fn process_started(&self, pid: u32) {
        self.pid.store(pid, Ordering::Relaxed);
    }

    /// The era that worked last, if it is known.
    pub fn era(&self) -> Option<Era> {
        self.inner().era
    }

    pub fn remember_era(&self, era: Era) {
        self.inner().era = Some(era);
    }

    pub fn log_level(&self) -> Option<Arc<String>> {
        self.level.load_full()
    }

    pub fn set_log_level(&self, raw: Option<String>) {
        self.level.store(raw.map(Arc::new));
    }

    /// The `_meta` of our own self-describing requests.
    pub fn introduction(&self) -> String {
        outgoing::introduce(&Introduction { client_info: &self.client_info, capabilities: "{}", log_level: None })
    }
}

/// Why serving ended.
enum End {
    Stop,
    Renew,
    Died(Fault),
}

async fn generation(shared: Arc<Shared>, stop: CancellationToken) {
    let mut guard = Finally { shared: shared.clone(), armed: true };
    let over = run(&shared, &stop).await;
    shared.pid.store(0, Ordering::Relaxed);
    shared.bounds.store(None);
    match over {
        Over::Stopped => shared.on(Event::Stopped),
        Over::Failed(fault) => {
            tracing::info!(target: "mcp::manager", server = %shared.options.name, "{fault}");
            shared.on(Event::Failed(Arc::new(fault.clone())));
            note_failure(&shared, fault);
        }
        Over::Died(session, fault) => {
            tracing::info!(target: "mcp::manager", server = %shared.options.name, "{fault}");
            // Whoever hears of the failure may start it again at once: the state comes first.
            shared.on(Event::Ended(Arc::new(fault.clone())));
            session.fail(&fault);
            note_failure(&shared, fault);
        }
    }
    guard.armed = false;
}

/// Keeps for later runs how it failed, beside everything else.
fn note_failure(shared: &Arc<Shared>, fault: Fault) {
    let at = shared.clone();
    shared.world.tasks.spawn_blocking(move || {
        let now = last(&fault, at.world.clock.wall_micros());
        let answer = at.http_answer.behind(&fault);
        seen::note(&at.world.state_dir, &at.options.name, &now, None, answer);
    });
}

/// How a generation ended.
enum Over {
    Stopped,
    Failed(Fault),
    Died(Arc<Session>, Fault),
}

/// Leads to a state from which it can be started again, even out of a panic.
struct Finally {
    shared: Arc<Shared>,
    armed: bool,
}

impl Drop for Finally {
    fn drop(&mut self) {
        if self.armed {
            let fault = self.shared.faults.bug("lost its supervisor");
            if let Some(session) = self.shared.live.swap(None) {
                session.fail(&fault);
            }
            self.shared.on(Event::Ended(Arc::new(fault)));
        }
    }
}

async fn run(shared: &Arc<Shared>, stop: &CancellationToken) -> Over {
    loop {
        tracing::debug!(target: "mcp::manager", server = %shared.options.name, "starting");
        let mut live = match stop.run_until_cancelled(start::open(shared)).await {
            None => return Over::Stopped,
            Some(Err(fault)) => return Over::Failed(fault),
            Some(Ok(live)) => live,
        };
        let session = live.session.clone();
        shared.live.store(Some(session.clone()));
        shared.on(Event::Opened);
        let end = serve(shared, &mut live, stop).await;
        shared.live.store(None);
        match end {
            End::Stop => {
                session.fail(&shared.faults.stopping());
                live.close().await;
                return Over::Stopped;
            }
            // Calls of the old session find out by themselves that it is lost, and may yet be answered.
            End::Renew => shared.on(Event::Renewing),
            End::Died(fault) => return Over::Died(session, fault),
        }
    }
}

async fn serve(shared: &Arc<Shared>, live: &mut Live, stop: &CancellationToken) -> End {
    let session = live.session.clone();
    let mut lists = Lists::new(session.clone());
    let mut listening = Listening::new(session.clone());
    let mut first = true;
    let mut troubles: Vec<(ItemKind, Arc<Fault>)> = Vec::new();
    let mut restoring = FuturesUnordered::new();
    let mut ended = std::pin::pin!(live.ended(shared));
    loop {
        tokio::select! {
            () = stop.cancelled() => return End::Stop,
            fault = &mut ended => return End::Died(fault),
            signal = session.signals.next() => match signal {
                Err(fault) => return End::Died(fault),
                Ok(flags) if flags & Signals::LOST != 0 => return End::Renew,
                Ok(flags) => {
                    lists.ask(flags & Signals::LISTS);
                    listening.heard(flags);
                }
            },
            () = listening.run() => {}
            Some(()) = restoring.next(), if !restoring.is_empty() => {}
            listed = lists.run() => {
                // What was fetched is well again, and what was not keeps its trouble.
                troubles.retain(|(kind, _)| !listed.parts.iter().any(|(fetched, _)| fetched == kind));
                for (kind, fault) in listed.troubles {
                    troubles.retain(|(had, _)| *had != kind);
                    troubles.push((kind, Arc::new(fault)));
                }
                let trouble = troubles.first().map(|(_, fault)| fault.clone());
                let of_tools = troubles.iter().find(|(kind, _)| *kind == ItemKind::Tool);
                let tools_trouble = of_tools.map(|(_, fault)| fault.clone());
                publish(shared, &session, listed.parts, first, tools_trouble.is_none()).await;
                if std::mem::take(&mut first) {
                    restoring.push(shared.interests.restore(&session));
                }
                let revision = session.peer().map_or(mcp::Revision::NEWEST_LEGACY, |peer| peer.revision);
                shared.on(Event::Listed(Arc::new(Toolset { revision, trouble, tools_trouble })));
            }
        }
    }
}

const KINDS: [ItemKind; 4] = [ItemKind::Tool, ItemKind::Prompt, ItemKind::Resource, ItemKind::Template];

/// Puts what was listed into the catalog, if it is new, and onto the disk.
async fn publish(shared: &Arc<Shared>, session: &Session, parts: crate::lists::Parts, first: bool, tools_known: bool) {
    let Some(peer) = session.peer().filter(|_| !shared.is_retired()) else { return };
    let name = &shared.options.name;
    let kinds: Vec<ItemKind> = parts.iter().map(|(kind, _)| *kind).collect();
    let before = shared.world.catalog.offer(name);
    let offer = Arc::new(merge(peer, parts, before.as_deref()));
    let changed = changes(before.as_deref(), &offer);
    // What a server announces is passed on even if it lists the same again: that is for the client to find out.
    let announced = |kind: &ItemKind| !first && kinds.contains(kind);
    let same = before.as_deref().is_some_and(|before| changed.is_empty() && catalog_file::same_facts(before, &offer));
    if !same {
        shared.world.catalog.publish(vec![(name.clone(), offer.clone())]);
    }
    let told = KINDS.iter().filter(|kind| changed.contains(kind) || announced(kind));
    told.for_each(|kind| shared.world.hub.list_changed(*kind, name));
    if first || !same {
        let (shared, peer) = (shared.clone(), peer.clone());
        // A failed write costs a slower start next time; it is reported there and harms nothing else.
        let _ = tokio::task::spawn_blocking(move || {
            catalog_file::save(&shared, peer.revision.era(), &offer);
            note_seen(&shared, &peer, &offer, tools_known);
        })
        .await;
    }
}

/// Keeps which versions it has now, and what of them changed.
fn note_seen(shared: &Shared, peer: &Peer, offer: &Offer, tools_known: bool) {
    let versions = Versions {
        server: seen::server_version(peer.server_info.as_deref()),
        config: shared.options.version.clone(),
        protocol: Some(peer.revision.to_string()),
        tools: tools_known.then(|| seen::tools_digest(offer)),
    };
    let state = match (tools_known, has_no_tools(offer)) {
        (false, _) => State::Degraded,
        (true, true) => State::NoTools,
        (true, false) => State::Connected,
    };
    let now = Last { state, reason: None, at_micros: shared.world.clock.wall_micros() };
    let Some(change) = seen::note(&shared.world.state_dir, &shared.options.name, &now, Some(versions), None) else {
        return;
    };
    let told = change.text();
    let masks = shared.world.hub.masks();
    let text = masks.text(&told);
    tracing::info!(target: "mcp::manager", server = %shared.options.name, "version_changed: {text}");
    shared.world.notes.note("version_changed", &shared.options.name, &text);
    shared.change.store(Some(Arc::new(change)));
}

fn changes(before: Option<&Offer>, after: &Offer) -> Vec<ItemKind> {
    let of = |offer: Option<&Offer>, kind: ItemKind| -> Vec<bytes::Bytes> {
        let listed = offer.map_or(&[][..], |offer| &offer.listed);
        listed.iter().filter(|item| item.kind == kind).map(|item| item.definition.clone()).collect()
    };
    KINDS.into_iter().filter(|kind| of(before, *kind) != of(Some(after), *kind)).collect()
}
