//! One conversation with a server: its pending requests, its transport and what was agreed with it.
//! Not here: opening it (`start`), or what happens when it ends (`supervisor`).

use crate::chatter::Chatter;
use crate::duplex::Duplex;
use crate::faults::{Faults, in_flight};
use crate::http_link::{HttpLink, Request};
use crate::http_requests;
use crate::offences::Offences;
use crate::outgoing::{self, Hop, Introduction};
use crate::pending::{Caller, Pending};
use crate::supervisor::Shared;
use bytes::Bytes;
use gate::{Dialogue, Fault, ItemKind, Parts, Permit, Place, ReplyKind, Target, Unmasked, Wire};
use mcp::{Era, Frame, Kind, Revision, Span, splice, view};
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

/// However much progress a call makes, it ends after this time (or `call_timeout`, if that is longer).
const LONGEST_CALL: Duration = Duration::from_secs(3600);

/// Errands of one conversation that may be under way: a server that asks without end does not fill the memory.
const ERRANDS: usize = 256;

/// One conversation. Calls hold it while they run; the supervisor's task owns what it runs on.
pub(crate) struct Session {
    pub shared: Arc<Shared>,
    pub pending: Pending,
    pub carrier: Carrier,
    pub signals: Signals,
    peer: OnceLock<Peer>,
    offences: Mutex<Offences>,
    chatter: Mutex<Chatter>,
    listed: AtomicBool,
    /// Whether the server asked for the roots that are ours to tell.
    pub told_roots: AtomicBool,
    /// Whether it wrote what is no message before there was a handshake.
    pub chattered: AtomicBool,
    /// Tasks that wait to send something, or for somebody to answer the server.
    errands: Arc<Semaphore>,
}

/// What carries the messages.
pub(crate) enum Carrier {
    /// One stream each way: stdio, or HTTP+SSE.
    Duplex(Duplex),
    /// Streamable HTTP: each request has an answer of its own.
    Http(HttpLink),
}

/// What the server said about itself.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    pub revision: Revision,
    /// Raw.
    pub capabilities: Bytes,
    /// Raw.
    pub server_info: Option<Bytes>,
    pub instructions: Option<Box<str>>,
}

impl Peer {
    /// Whether the server advertises `path` among its capabilities, other than as `false` or `null`.
    pub fn offers(&self, path: &[&str]) -> bool {
        let raw = std::str::from_utf8(&self.capabilities).unwrap_or("{}");
        view::path(raw, path).is_some_and(|value| !matches!(value, "false" | "null"))
    }
}

/// Why an exchange gave no answer.
#[derive(Debug)]
pub(crate) enum Trouble {
    Fault(Fault),
    /// The server forgot our session; nothing was done.
    SessionLost,
    /// An HTTP status that says that this is not how the server is spoken to, or that it failed.
    Rejected {
        status: u16,
        fault: Fault,
    },
}

impl Trouble {
    /// The fault that it is, seen from outside.
    pub fn into_fault(self, faults: &Faults) -> Fault {
        match self {
            Self::Fault(fault) | Self::Rejected { fault, .. } => fault,
            Self::SessionLost => faults.session_lost(),
        }
    }
}

impl From<Fault> for Trouble {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// What the conversation has to tell its supervisor.
#[derive(Default)]
pub(crate) struct Signals {
    notify: Notify,
    flags: AtomicU8,
    ended: OnceLock<Fault>,
}

impl Signals {
    pub const TOOLS: u8 = 1;
    pub const PROMPTS: u8 = 2;
    pub const RESOURCES: u8 = 4;
    pub const LISTS: u8 = Self::TOOLS | Self::PROMPTS | Self::RESOURCES;
    pub const LOST: u8 = 8;
    pub const INTERESTS: u8 = 16;
    pub const ACKNOWLEDGED: u8 = 32;

    pub fn raise(&self, flags: u8) {
        self.flags.fetch_or(flags, Ordering::AcqRel);
        self.notify.notify_one();
    }

    /// The conversation cannot go on.
    pub fn end(&self, fault: Fault) {
        // The first reason is the cause of all others.
        let _ = self.ended.set(fault);
        self.notify.notify_one();
    }

    /// What was raised since the last time, or why it is over.
    pub async fn next(&self) -> Result<u8, Fault> {
        loop {
            if let Some(fault) = self.ended.get() {
                return Err(fault.clone());
            }
            match self.flags.swap(0, Ordering::AcqRel) {
                0 => self.notify.notified().await,
                flags => return Ok(flags),
            }
        }
    }
}

impl Session {
    pub fn new(shared: Arc<Shared>, carrier: Carrier) -> Arc<Self> {
        Arc::new(Self {
            shared,
            carrier,
            pending: Pending::default(),
            signals: Signals::default(),
            peer: OnceLock::new(),
            offences: Mutex::new(Offences::new(Instant::now())),
            chatter: Mutex::new(Chatter::new(Instant::now())),
            listed: AtomicBool::new(false),
            told_roots: AtomicBool::new(false),
            chattered: AtomicBool::new(false),
            errands: Arc::new(Semaphore::new(ERRANDS)),
        })
    }

    /// What was agreed; `None` until the handshake is done.
    pub fn peer(&self) -> Option<&Peer> {
        self.peer.get()
    }

    /// Whether the server advertises this.
    pub fn offers(&self, path: &[&str]) -> bool {
        self.peer().is_some_and(|peer| peer.offers(path))
    }

    pub fn agree(&self, peer: Peer) {
        // A handshake is done once; a second one would be a defect, and the first stays valid.
        let _ = self.peer.set(peer);
    }

    pub fn is_modern(&self) -> bool {
        self.peer().is_some_and(|peer| peer.revision.era() == Era::Modern)
    }

    /// Whether this is the first time that lists are fetched in it.
    pub fn first_listing(&self) -> bool {
        !self.listed.swap(true, Ordering::AcqRel)
    }

    /// Whether a log line is passed on, or is one too many.
    pub fn may_log(&self) -> bool {
        let mut chatter = self.chatter.lock().unwrap_or_else(PoisonError::into_inner);
        chatter.passes(Instant::now())
    }

    /// Counts a breach of the protocol; too many end the conversation.
    pub fn offence(&self, what: &str) {
        let mut offences = self.offences.lock().unwrap_or_else(PoisonError::into_inner);
        let server = &self.shared.options.name;
        tracing::debug!(target: "mcp::client", %server, count = offences.total + 1, "ignored {what}");
        if offences.add(Instant::now()) {
            self.fail(&self.shared.faults.protocol("keeps sending what is no message; its connection was closed"));
        }
    }

    /// Ends the conversation: what waits fails, what comes later too, and the supervisor hears of it.
    pub fn fail(&self, fault: &Fault) {
        self.pending.close(&in_flight(fault), fault.clone());
        self.signals.end(fault.clone());
    }

    /// Runs a permitted call of what the server defines so.
    pub async fn call(self: &Arc<Self>, permit: &Permit, definition: &Bytes) -> Result<Frame, Trouble> {
        let (id, answer) = self.pending.register(Some(caller(permit)))?;
        let _ticket = Ticket { session: self, id, cancels: true };
        let request = self.splice(permit, id)?;
        let exchange = std::pin::pin!(async {
            match &self.carrier {
                Carrier::Duplex(duplex) => {
                    duplex.send(splice::one_line(request), &self.shared.faults).await?;
                    self.received(answer.await).map_err(Trouble::from)
                }
                Carrier::Http(link) => {
                    let hop = http_requests::for_call(self, permit, definition);
                    Box::pin(link.exchange(self, Request { id, body: request, hop, answer })).await
                }
            }
        });
        self.patiently(id, exchange).await
    }

    /// Makes a request of our own and waits for its answer, without a limit of time.
    pub async fn ask(self: &Arc<Self>, method: &str, params: &str) -> Result<Frame, Trouble> {
        let (id, answer) = self.pending.register(None)?;
        let _ticket = Ticket { session: self, id, cancels: !opens(method) };
        let described = (self.is_modern() || method == "server/discover").then(|| self.shared.introduction());
        let request = Bytes::from(outgoing::own(id, method, params, described.as_deref()));
        match &self.carrier {
            Carrier::Duplex(duplex) => {
                duplex.send(request, &self.shared.faults).await?;
                self.received(answer.await).map_err(Trouble::from)
            }
            Carrier::Http(link) => {
                let hop = http_requests::for_own(self, method);
                Box::pin(link.exchange(self, Request { id, body: request, hop, answer })).await
            }
        }
    }

    /// Sends a notification or an answer; waits until it is on its way.
    pub async fn tell(&self, message: Bytes) -> Result<(), Trouble> {
        match &self.carrier {
            Carrier::Duplex(duplex) => duplex.send(splice::one_line(message), &self.shared.faults).await,
            Carrier::Http(link) => link.tell(self, message).await,
        }
    }

    /// The same from where nobody can wait.
    pub fn tell_later(self: &Arc<Self>, message: Bytes) {
        if let Carrier::Duplex(duplex) = &self.carrier
            && duplex.try_send(message.clone())
        {
            return;
        }
        let Some(turn) = self.errand() else { return self.offence("more than can be answered") };
        let session = self.clone();
        self.shared.world.tasks.spawn(async move {
            let _turn = turn;
            if let Err(Trouble::Fault(fault)) = session.tell(message).await {
                tracing::debug!(target: "mcp::client", %fault, "a message was not sent");
            }
        });
    }

    /// Leave for one more task of this conversation.
    pub fn errand(&self) -> Option<OwnedSemaphorePermit> {
        self.errands.clone().try_acquire_owned().ok()
    }

    fn received(
        &self,
        answer: Result<Result<Frame, Fault>, tokio::sync::oneshot::error::RecvError>,
    ) -> Result<Frame, Fault> {
        // The sender is only dropped with the table, after which nobody would wait.
        answer.unwrap_or_else(|_| Err(self.shared.faults.bug("lost a request")))
    }

    fn splice(&self, permit: &Permit, id: u64) -> Result<Bytes, Fault> {
        let named = matches!(permit.item().kind, ItemKind::Tool | ItemKind::Prompt);
        let nothing = Bytes::from_static(b"{}");
        let capabilities = match permit.dialogue() {
            Dialogue::Rounds => permit.capabilities().unwrap_or(&nothing),
            Dialogue::None | Dialogue::Live => &nothing,
        };
        let level = self.is_modern().then(|| self.shared.log_level()).flatten();
        let hop = Hop {
            id,
            subject: named.then_some(&*permit.item().raw),
            progress: permit.wants_progress(),
            modern: self.is_modern().then(|| Introduction {
                client_info: &self.shared.client_info,
                capabilities: std::str::from_utf8(capabilities).unwrap_or("{}"),
                log_level: level.as_deref().map(|level| &**level),
            }),
        };
        let spliced = outgoing::request(permit.wire(), &hop).map(Bytes::from);
        spliced.map_err(|error| self.shared.faults.bug(format!("cannot be asked: {error}")))
    }

    /// Waits for `exchange` as long as a call may take; with an idle limit, progress gives it more time.
    async fn patiently<T>(
        &self,
        id: u64,
        mut exchange: Pin<&mut impl Future<Output = Result<T, Trouble>>>,
    ) -> Result<T, Trouble> {
        let options = &self.shared.options;
        let began = Instant::now();
        let mut deadline = began + options.call_timeout;
        loop {
            if let Ok(outcome) = timeout_at(deadline, exchange.as_mut()).await {
                return outcome;
            }
            let heard = options.idle_timeout.and_then(|idle| Some(self.pending.progressed(id)? + idle));
            let latest = began + self.longest_call();
            match heard {
                Some(later) if later > Instant::now() && deadline < latest => deadline = later.min(latest),
                _ => return Err(self.shared.faults.call_timeout(Instant::now() - began).into()),
            }
        }
    }

    /// How long a call can take at most.
    pub fn longest_call(&self) -> Duration {
        let options = &self.shared.options;
        if options.idle_timeout.is_some() { options.call_timeout.max(LONGEST_CALL) } else { options.call_timeout }
    }

    /// How a call is given up at the server.
    fn cancel(self: &Arc<Self>, id: u64) {
        // Over HTTP the stateless era cancels by closing the request, which has happened by now.
        if matches!(self.carrier, Carrier::Http(_)) && self.is_modern() {
            return;
        }
        let params = format!("\"requestId\":{id},\"reason\":\"no longer wanted\"");
        self.tell_later(outgoing::notification("notifications/cancelled", &params).into());
    }
}

/// A request under way; dropping it before it was answered cancels it.
struct Ticket<'a> {
    session: &'a Arc<Session>,
    id: u64,
    cancels: bool,
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        if self.session.pending.forget(self.id) && self.cancels {
            self.session.cancel(self.id);
        }
    }
}

/// Requests that open a conversation: a server may take anything else before their answer for a breach.
fn opens(method: &str) -> bool {
    matches!(method, "initialize" | "server/discover")
}

fn caller(permit: &Permit) -> Caller {
    Caller {
        feed: permit.feed(),
        dialogue: permit.dialogue(),
        capabilities: permit.capabilities().cloned(),
        progress: permit.wants_progress(),
    }
}

/// A frame as the gate takes it.
pub(crate) fn wire(frame: &Frame, subject: Span) -> Wire {
    let place = |span: Span| Place { start: span.start, end: span.end };
    let parts = Parts {
        id: place(frame.id_span()),
        body: place(frame.body_span()),
        subject: place(subject),
        arguments: Place::default(),
        meta: place(frame.meta_span()),
    };
    Wire { json: frame.json().clone(), parts }
}

/// The answer to a call as the gate takes it.
pub(crate) fn said(frame: &Frame, target: &Target) -> Unmasked {
    let kind = if frame.kind() == Kind::Error { ReplyKind::Error } else { ReplyKind::Result };
    let failed = matches!(target, Target::Tool(_)) && frame.get("isError") == Some("true");
    Unmasked::message(wire(frame, Span::NONE), kind).with_tool_error(failed)
}

/// The code of an error answer.
pub(crate) fn error_code(frame: &Frame) -> Option<i64> {
    if frame.kind() == Kind::Error { frame.get("code")?.parse().ok() } else { None }
}
