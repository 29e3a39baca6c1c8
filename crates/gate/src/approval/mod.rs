//! A person's word: the question, who may answer it, what an answer is good for, and for how long.
//!
//! An [`Approval`] is one durable object, whichever way it is answered. It is bound by its digest to who called
//! what, under which definition, with which arguments, under which policy; it is good for one call; it expires.
//! Where it lies is a [`crate::ports::Desk`]'s matter; how a client is asked is the face's.

mod asking;
#[cfg(test)]
pub(crate) mod memory;
mod nobody;
mod pattern;
mod within;

pub use asking::{ApprovalRules, Approvals};
pub(crate) use asking::{Asking, Leave};
pub use nobody::NoDesk;
pub use pattern::ArgPattern;
pub use within::{Act, People, Word, Words};

use crate::words::ServerName;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use uuid::Uuid;

/// Names one question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ApprovalId(pub Uuid);

impl fmt::Display for ApprovalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_hyphenated().fmt(f)
    }
}

impl FromStr for ApprovalId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::parse_str(text.trim()).map(Self)
    }
}

/// SHA-256 over principal, server, tool, definition, canonical arguments and policy: an answer is for exactly this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CallDigest(pub [u8; 32]);

impl CallDigest {
    /// As lower-case hex.
    pub fn hex(&self) -> String {
        crate::ledger::hex(&self.0)
    }
}

/// A process, told from another of the same number by when it began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// When it began, in the clock ticks since boot that `/proc/PID/stat` tells.
    pub started: u64,
}

/// One question to a person, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    /// Its name.
    pub id: ApprovalId,
    /// The call it is about.
    pub digest: CallDigest,
    /// Who wants to call: the principal's word.
    pub by: String,
    /// What the caller calls itself.
    pub client: Option<String>,
    /// The conversation the call belongs to.
    pub conversation: Option<String>,
    /// Whose tool.
    pub server: ServerName,
    /// The tool, by its server's name for it.
    pub tool: String,
    /// The hash of the tool's definition.
    pub definition: String,
    /// What the tool can do: `read`, `write` or `high_impact`.
    pub class: String,
    /// The arguments, masked, as JSON text.
    pub arguments: String,
    /// SHA-256 of the canonical arguments, hex.
    pub arguments_digest: String,
    /// The rule that wants a person.
    pub rule: String,
    /// The digest of the policy in force.
    pub policy: String,
    /// When it was asked, in microseconds since 1970.
    pub asked: u64,
    /// From when on no answer counts.
    pub expires: u64,
    /// The processes whose descendants may not answer: the gate, and the client that called.
    pub requesters: Vec<Process>,
    /// What became of it.
    pub state: ApprovalState,
    /// How many rounds of the approved call have run; each may be continued once.
    pub rounds: u32,
}

/// What became of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApprovalState {
    /// Nobody has answered.
    Open,
    /// A person said yes; the call was not made yet.
    Approved(Verdict),
    /// A person said no.
    Denied(Verdict),
    /// The call it was for was made. It is good for nothing more.
    Spent(Verdict),
    /// Nobody answered in time.
    Expired,
}

impl ApprovalState {
    /// The word for it.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Approved(_) => "approved",
            Self::Denied(_) => "denied",
            Self::Spent(_) => "spent",
            Self::Expired => "expired",
        }
    }
}

/// A person's answer, who gave it and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Yes or no.
    pub yes: bool,
    /// Who: a user's name, or the client's.
    pub approver: String,
    /// How it reached us.
    pub way: Way,
    /// When, in microseconds since 1970.
    pub at: u64,
}

/// The ways a person's answer comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// Typed at a terminal.
    Terminal,
    /// With the approver's secret, on the command line.
    Secret,
    /// With the approver's secret, over HTTP.
    Http,
    /// In the client, whose user the operator calls the approver.
    Client,
}

impl Way {
    /// The word the ledger has for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Terminal => "terminal",
            Self::Secret => "secret",
            Self::Http => "http",
            Self::Client => "client",
        }
    }
}

/// Whether an answer was the one that counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// It counts.
    Now(Approval),
    /// Somebody was faster, or it came too late; this is how it stands.
    Already(Approval),
    /// There is no such question.
    Unknown,
}

/// What a client's user answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Yes, once.
    Yes,
    /// Yes, and the same call for the rest of the conversation.
    YesForConversation,
    /// No.
    No,
    /// The dialogue was closed without an answer.
    Dismissed,
}

/// What a repeated call says of the approval it was given, from state that this gate sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Which question.
    pub approval: ApprovalId,
    /// What its user answered, if this repetition brings an answer.
    pub answer: Option<Answer>,
    /// The approved call has begun and goes on with this round.
    pub round: Option<u32>,
}

/// What a call that runs under an approval may be continued as, should the server ask something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Continuation {
    /// Under which approval.
    pub approval: ApprovalId,
    /// The next round's number.
    pub round: u32,
}

/// A person's leave that lasts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StandingGrant {
    /// Its name.
    pub id: Uuid,
    /// For whose calls: the principal's word.
    pub by: String,
    /// Of which server.
    pub server: String,
    /// Of which tool, by its server's name for it.
    pub tool: String,
    /// The hash of the definition it was given for; another definition is another tool.
    pub definition: String,
    /// With which arguments.
    pub arguments: ArgPattern,
    /// In which conversation alone, if so.
    pub conversation: Option<String>,
    /// Until when, in microseconds since 1970.
    pub until: u64,
    /// When it was given.
    pub given: u64,
    /// Who gave it.
    pub giver: String,
    /// The question it was an answer to.
    pub approval: Option<ApprovalId>,
}
