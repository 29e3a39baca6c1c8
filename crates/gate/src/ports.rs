//! What the gate needs of the world. Adapters implement these; the gate calls nothing else.

use crate::approval::{Answer, Approval, ApprovalId, CallDigest, Settled, StandingGrant, Verdict, Words};
use crate::gate::{Permit, StartPermit};
use crate::mask::Unmasked;
use crate::pin::{self, Lock};
use crate::refusal::Fault;
use crate::words::{Principal, ServerName, Wire};
use bytes::Bytes;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use thiserror::Error;
use tokio::sync::oneshot;
use uuid::Uuid;

/// A boxed future, so that ports stay object-safe.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Whether a source can take a call now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readiness {
    /// It runs or is starting; a call waits for it.
    Up,
    /// It has to be started first, which is an act of its own.
    Idle,
}

/// What can run a permitted call: a link to an upstream, or a builtin.
pub trait Source: Send + Sync {
    /// The server's configured name.
    fn name(&self) -> &ServerName;

    /// Whether a start is needed before a call.
    fn readiness(&self) -> Readiness;

    /// Why the last start failed, while nobody tries again.
    fn trouble(&self) -> Option<Fault> {
        None
    }

    /// What it runs under, as far as it is known, where it is to be kept in bounds: a level, and what it leaves open.
    fn bounds(&self) -> Option<Arc<str>> {
        None
    }

    /// Whether it says itself, in words that its callers know, what is wrong with arguments.
    fn checks_arguments(&self) -> bool {
        false
    }

    /// Starts the source unless it is up. Returns at once.
    fn start(&self, permit: StartPermit);

    /// Runs the call. Dropping the future cancels it at the server.
    ///
    /// # Errors
    /// A [`Fault`] when there is no answer. An error answered by the server is an [`Unmasked`].
    fn call(&self, permit: Permit) -> BoxFuture<'_, Result<Unmasked, Fault>>;
}

/// Where what a server says in the middle of a call goes. Called in the order things were said, and
/// always before the call's answer is returned. Must not block.
pub trait Listener: Send + Sync {
    /// A notification about this call, masked. Its `subject` is the progress token to replace, if any.
    fn notify(&self, notification: Wire);

    /// A request to the caller, masked; the answer goes into `answer`, dropping it means "nobody answers".
    fn ask(&self, request: Wire, answer: oneshot::Sender<Wire>);

    /// Asks the caller's user whether the call may run. Dropping `answer` means that nobody could be asked.
    /// Not every listener can; [`crate::Abilities::approves`] says which.
    fn approve(&self, question: &Approval, answer: oneshot::Sender<Answer>) {
        let _ = (question, answer);
    }

    /// The same, in words of the question's own.
    fn approve_in_words(&self, question: &Approval, words: &Words, answer: oneshot::Sender<Answer>) {
        let _ = words;
        self.approve(question, answer);
    }

    /// From now on the call waits for a person, until the other end of `over` is dropped.
    fn waits(&self, over: oneshot::Receiver<()>) {
        drop(over);
    }

    /// Whether the caller wants progress notifications for this call.
    fn wants_progress(&self) -> bool;
}

/// Whole results of which callers were given parts.
pub trait Results: Send + Sync {
    /// Keeps a masked result for `by` alone, and says under which URI it can be read. `None` if it is not kept.
    fn keep(&self, by: &Principal, whole: Bytes) -> Option<String>;

    /// What is kept for `by` under a URI. `None` if nothing is, any more or for this one.
    fn read(&self, by: &Principal, uri: &str) -> Option<Bytes>;
}

/// A place in the ledger up to which something is known to be durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position(pub u64);

/// Why an event could not be recorded.
#[derive(Debug, Clone, Error)]
#[error("{0}")]
pub struct LedgerError(pub String);

/// The append-only record of what happened.
pub trait Ledger: Send + Sync {
    /// Appends one event, a JSON object, with one write. When this returns, a kill of the process cannot
    /// lose it any more; a power failure can, until [`Ledger::durable`].
    ///
    /// # Errors
    /// [`LedgerError`] if not all of it was written. Nothing of it counts then.
    fn append(&self, event: &[u8]) -> Result<Position, LedgerError>;

    /// Appends events that came together, in order, with as few writes as can be.
    ///
    /// # Errors
    /// As [`Ledger::append`]; how many of them count then is not known.
    fn append_all(&self, events: &[Vec<u8>]) -> Result<(), LedgerError> {
        events.iter().try_for_each(|event| self.append(event).map(drop))
    }

    /// Waits until everything up to `position` is on the disk. Many waiters share one sync.
    ///
    /// # Errors
    /// [`LedgerError`] if the disk said no.
    fn durable(&self, position: Position) -> BoxFuture<'_, Result<(), LedgerError>>;
}

/// Why the desk could not say.
#[derive(Debug, Clone, Error)]
#[error("{0}")]
pub struct DeskError(pub String);

/// What the desk answers, in time.
pub type DeskAnswer<'a, T> = BoxFuture<'a, Result<T, DeskError>>;

/// Where questions to people lie until they are answered, seen by every process of one home. Each method is one
/// transaction. Times are microseconds since 1970, from the caller; a question whose time has come is expired
/// whether or not anybody marked it so.
pub trait Desk: Send + Sync {
    /// Lays a question down, durably; or finds the one that is open, or approved and not spent, for the same
    /// digest and principal, and has not expired at `asked.asked`: then that one is returned.
    fn open(&self, asked: Approval) -> DeskAnswer<'_, Approval>;

    /// One question as it stands at `now`.
    fn get(&self, id: ApprovalId, now: u64) -> DeskAnswer<'_, Option<Approval>>;

    /// The open questions as of `now`, or (`all`) every one that is still kept, oldest first.
    fn list(&self, now: u64, all: bool) -> DeskAnswer<'_, Vec<Approval>>;

    /// Answers a question that is open at `verdict.at`. Of any number who try, one succeeds.
    fn settle(&self, id: ApprovalId, verdict: Verdict) -> DeskAnswer<'_, Settled>;

    /// Uses up an approval for the call of this digest: `true` exactly once, and only while it is approved, of
    /// this digest, and not expired at `now`.
    fn spend(&self, id: ApprovalId, digest: CallDigest, now: u64) -> DeskAnswer<'_, bool>;

    /// Uses up the round `round` of a spent approval of this digest: `true` exactly once for each.
    fn advance(&self, id: ApprovalId, digest: CallDigest, round: u32, now: u64) -> DeskAnswer<'_, bool>;

    /// Waits until the question is no longer open, or `until` has come; then how it stands.
    fn wait(&self, id: ApprovalId, until: u64) -> DeskAnswer<'_, Option<Approval>>;

    /// Marks what has expired by `now`. Each expired question is returned to exactly one caller, once.
    fn expire(&self, now: u64) -> DeskAnswer<'_, Vec<Approval>>;

    /// The standing grants for a tool that hold at `now`.
    fn standing(&self, server: &ServerName, tool: &str, now: u64) -> DeskAnswer<'_, Vec<StandingGrant>>;

    /// All standing grants that hold at `now`, newest first.
    fn all_standing(&self, now: u64) -> DeskAnswer<'_, Vec<StandingGrant>>;

    /// Keeps a standing grant.
    fn remember(&self, grant: StandingGrant) -> DeskAnswer<'_, ()>;

    /// Takes a standing grant back. Whether there was one.
    fn revoke(&self, id: Uuid) -> DeskAnswer<'_, bool>;
}

/// Tells a person that a question waits.
pub trait Bell: Send + Sync {
    /// Rings for a question that was just laid down. Must not block, and may fail in silence.
    fn ring(&self, question: &Approval);
}

/// Where paths really lead.
pub trait Paths: Send + Sync + std::fmt::Debug {
    /// The path with every link on the way followed, as far as it exists; what does not exist yet is taken as
    /// written, without `..`. `path` is absolute. `None` if that cannot be told.
    fn resolve(&self, path: &Path) -> Option<PathBuf>;
}

/// A tool that was pinned because it is new.
#[derive(Debug, Clone)]
pub struct FirstPin {
    /// Whose.
    pub server: ServerName,
    /// Its raw name.
    pub tool: Box<str>,
    /// Its definition as the server sent it.
    pub definition: Bytes,
    /// Its pin, without a time.
    pub pin: pin::Pin,
}

/// Where `toolgate.lock` lies.
pub trait LockKeeper: Send + Sync {
    /// Writes first pins down, unless another process was first. Must not block for long.
    fn keep(&self, first: Vec<FirstPin>);

    /// What the file holds, if it is another than at the last look and can be read. A file that is gone cannot.
    fn reload(&self) -> Option<Lock>;

    /// Whether [`LockKeeper::reload`] is worth its price. Asked in each call.
    fn may_have_changed(&self) -> bool {
        false
    }
}

/// Time, from outside.
pub trait Clock: Send + Sync {
    /// Microseconds since 1970-01-01 UTC.
    fn wall_micros(&self) -> u64;
    /// Microseconds since some fixed moment; never goes back.
    fn mono_micros(&self) -> u64;
}

/// Ids, from outside.
pub trait Ids: Send + Sync {
    /// A fresh UUIDv7.
    fn fresh(&self) -> Uuid;
}
