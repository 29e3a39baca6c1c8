//! One attempt, one end, always; and the record of every refusal.
//!
//! An attempt is written before the call is made, its end after. The room for the end is taken before the
//! attempt is written, so that ending a call can neither wait nor fail, even in a destructor.

mod events;
mod names;

pub(crate) use events::hex;

use crate::approval::{Approval, Leave, StandingGrant};

use crate::catalog::Item;
use crate::code::Code;
use crate::mask::{Counts, Masks};
use crate::ports::{Clock, Ids, Ledger, LedgerError};
use crate::refusal::{Failure, Refusal};
use crate::words::{Call, CallId, Reply, ReplyKind, ServerName};
use arc_swap::ArcSwap;
use hmac::{Hmac, KeyInit};
use names::Names;
use sha2::Sha256;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use uuid::Uuid;

/// How many ends are written with one write, at most.
const ENDS_AT_ONCE: usize = 64;

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// An answer came.
    Finished { tool_error: bool, rpc_error: bool, bytes: usize, masked: Counts },
    /// Something broke.
    Failed(Code),
    /// The caller went away or cancelled.
    Abandoned,
}

impl End {
    pub(crate) fn of(answer: &Result<Reply, Failure>) -> Self {
        match answer {
            Ok(reply) => Self::Finished {
                tool_error: reply.tool_error,
                rpc_error: reply.kind == ReplyKind::Error,
                bytes: reply.wire.json.len(),
                masked: reply.masked.clone(),
            },
            Err(failure) => Self::Failed(failure.code()),
        }
    }
}

/// An end on its way to the ledger.
struct Ending {
    id: CallId,
    end: End,
    took_micros: u64,
    sandbox: Option<Arc<str>>,
}

/// How much of a call's arguments is recorded, beside their keyed digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KeepArguments {
    /// A masked copy, bounded.
    #[default]
    Masked,
    /// The keyed digest alone.
    Digest,
    /// Nothing of them.
    Nothing,
}

/// How arguments are recorded.
#[derive(Clone)]
pub struct Arguments {
    keep: KeepArguments,
    key: Hmac<Sha256>,
    masks: Arc<ArcSwap<Masks>>,
    names: Arc<Names>,
}

impl Arguments {
    /// So much of them. `key` is that of their digests: without it a digest tells nothing, and cannot be guessed at.
    /// `masks` are for the copy, and for names.
    pub fn new(keep: KeepArguments, key: &[u8; 32], masks: Arc<Masks>) -> Self {
        let key = Hmac::new_from_slice(key).expect("a key of any length will do");
        Self { keep, key, masks: Arc::new(ArcSwap::new(masks)), names: Arc::default() }
    }

    /// Nothing of them is kept.
    pub fn nothing(masks: Arc<Masks>) -> Self {
        Self::new(KeepArguments::Nothing, &[0; 32], masks)
    }
}

/// What a question to a person came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Requested,
    Approved,
    Denied,
    Expired,
}

impl Phase {
    pub(crate) fn of(yes: bool) -> Self {
        if yes { Self::Approved } else { Self::Denied }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Approved => "approved",
            Self::Denied => "denied",
            Self::Expired => "expired",
        }
    }
}

/// What has to be on record before a call that only reads. What may have effects always waits for the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reads {
    /// They wait for the disk too.
    pub durable: bool,
    /// They run even if nothing can be recorded.
    pub unrecorded: bool,
}

/// Writes attempts, ends and refusals.
pub struct Recorder {
    arguments: Arguments,
    reads: Reads,
    ledger: Arc<dyn Ledger>,
    clock: Arc<dyn Clock>,
    ends: mpsc::Sender<Ending>,
    in_flight: usize,
}

/// The other half of a [`Recorder`]: writes the ends. Must be run for as long as calls are made.
pub struct EndWriter {
    ledger: Arc<dyn Ledger>,
    clock: Arc<dyn Clock>,
    ends: mpsc::Receiver<Ending>,
}

/// The open half of a recorded attempt. Dropping it records that the call was abandoned.
pub(crate) struct Entry {
    id: CallId,
    slot: Option<mpsc::OwnedPermit<Ending>>,
    clock: Arc<dyn Clock>,
    opened: u64,
    /// What the server runs under, as far as it is known.
    sandbox: Option<Arc<str>>,
}

impl Recorder {
    /// A recorder for at most `in_flight` calls at a time, and the task that writes their ends.
    pub fn new(
        ledger: Arc<dyn Ledger>,
        clock: Arc<dyn Clock>,
        in_flight: usize,
        arguments: Arguments,
    ) -> (Self, EndWriter) {
        let (sender, receiver) = mpsc::channel(in_flight);
        let writer = EndWriter { ledger: ledger.clone(), clock: clock.clone(), ends: receiver };
        (Self { arguments, reads: Reads::default(), ledger, clock, ends: sender, in_flight }, writer)
    }

    /// The same, with other rules for calls that only read.
    #[must_use]
    pub fn for_reads(self, reads: Reads) -> Self {
        Self { reads, ..self }
    }

    /// From now on by other masks.
    pub(crate) fn renew(&self, masks: Arc<Masks>) {
        self.arguments.masks.store(masks);
    }

    /// Records the attempt. When this returns, the call may be made.
    pub(crate) async fn open(
        &self,
        call: &Call,
        item: &Item,
        leave: &Leave,
        policy: &str,
        sandbox: Option<Arc<str>>,
    ) -> Result<Entry, Refusal> {
        let slot = self.ends.clone().try_reserve_owned().map_err(|error| match error {
            TrySendError::Full(_) => Refusal::Busy { limit: self.in_flight },
            TrySendError::Closed(_) => Refusal::NoRecord("the ledger is closed".to_owned()),
        })?;
        let ts = self.clock.wall_micros();
        let event = events::attempt(call, item, leave, (policy, sandbox.as_deref()), &self.arguments, ts);
        let reads = leave.grant.class().read_only;
        let opened = self.clock.mono_micros();
        let entry = |slot| Entry { id: call.id, slot, clock: self.clock.clone(), opened, sandbox };
        let position = match self.ledger.append(&event) {
            Ok(position) => position,
            Err(error) if reads && self.reads.unrecorded => {
                tracing::error!(target: "mcp::ledger", %error, "a call that only reads runs without a record");
                return Ok(entry(None));
            }
            Err(error) => return Err(no_record(error)),
        };
        let entry = entry(Some(slot));
        if !reads || self.reads.durable {
            // What may have effects is on the disk before it is sent, so that no power failure hides it.
            let durable = self.ledger.durable(position).await;
            if !(reads && self.reads.unrecorded) {
                durable.map_err(no_record)?;
            }
        }
        Ok(entry)
    }

    /// Records that a call was refused before anything was tried.
    pub(crate) fn refuse(&self, call: &Call, item: Option<&Item>, refusal: &Refusal) {
        let event = events::refusal(call, item, refusal, &self.arguments, self.clock.wall_micros());
        // A refusal stands whether or not it could be written: the answer is no either way.
        if let Err(error) = self.ledger.append(&event) {
            tracing::warn!(target: "mcp::ledger", %error, "a refusal could not be recorded");
        }
    }

    /// Records that a server is about to be started.
    pub(crate) fn start(&self, id: CallId, server: &ServerName, rule: &str, policy: &str) -> Result<(), Refusal> {
        let event = events::start(id, server, rule, policy, self.clock.wall_micros());
        self.ledger.append(&event).map(drop).map_err(no_record)
    }
}

impl Recorder {
    /// Records what became of a question. A yes must not count before it is on record.
    pub(crate) fn approval(&self, id: Uuid, approval: &Approval, phase: Phase) -> Result<(), Refusal> {
        let event = events::approval(CallId(id), approval, phase, self.clock.wall_micros());
        self.ledger.append(&event).map(drop).map_err(no_record)
    }

    /// Records that leave was asked for an act within a call, and what it is.
    pub(crate) fn act(&self, call: Uuid, approval: &Approval) -> Result<(), Refusal> {
        let ts = self.clock.wall_micros();
        let event = events::act(CallId(call), approval, self.arguments.keep == KeepArguments::Masked, ts);
        self.ledger.append(&event).map(drop).map_err(no_record)
    }

    /// Records that a person gave leave that lasts.
    pub(crate) fn grant(&self, grant: &StandingGrant) -> Result<(), Refusal> {
        let event = events::grant(grant, self.clock.wall_micros());
        self.ledger.append(&event).map(drop).map_err(no_record)
    }
}

/// Writes down what happened to a server outside any call.
#[derive(Clone)]
pub struct Notes {
    /// Where.
    pub ledger: Arc<dyn Ledger>,
    /// When.
    pub clock: Arc<dyn Clock>,
    /// Under which id.
    pub ids: Arc<dyn Ids>,
}

impl Notes {
    /// Records that `what` happened to `server`; `text` is masked already. That it cannot be recorded harms no call.
    pub fn note(&self, what: &'static str, server: &ServerName, text: &str) {
        let event = events::note(CallId(self.ids.fresh()), what, server, text, self.clock.wall_micros());
        if let Err(error) = self.ledger.append(&event) {
            tracing::warn!(target: "mcp::ledger", %error, "an event about a server could not be recorded");
        }
    }
}

fn no_record(error: LedgerError) -> Refusal {
    Refusal::NoRecord(error.to_string())
}

impl Entry {
    /// Records how the call ended, and what it ran under: it may not have been known before.
    pub(crate) fn close(mut self, end: End, sandbox: Option<Arc<str>>) {
        self.sandbox = sandbox.or_else(|| self.sandbox.take());
        self.send(end);
    }

    fn send(&mut self, end: End) {
        if let Some(slot) = self.slot.take() {
            let took_micros = self.clock.mono_micros().saturating_sub(self.opened);
            slot.send(Ending { id: self.id, end, took_micros, sandbox: self.sandbox.take() });
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.send(End::Abandoned);
    }
}

impl EndWriter {
    /// Writes ends until the recorder and all open calls are gone.
    pub async fn run(mut self) {
        let mut endings = Vec::new();
        while self.ends.recv_many(&mut endings, ENDS_AT_ONCE).await > 0 {
            let ts = self.clock.wall_micros();
            let ended = endings.drain(..).map(|ending| events::end(ending, ts));
            if let Err(error) = self.ledger.append_all(&ended.collect::<Vec<_>>()) {
                // The attempts stay open in the file and will be closed as lost; new calls are refused
                // by the same disk, so nothing runs unrecorded.
                tracing::error!(target: "mcp::ledger", %error, "the ends of calls could not be recorded");
            }
        }
    }
}
