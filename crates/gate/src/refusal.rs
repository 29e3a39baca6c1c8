//! How a call can fail: we said no, or something broke. Both speak in our words alone.

use crate::approval::Approval;
use crate::code::Code;
use crate::policy::{Denial, Question};
use crate::state::State;
use crate::words::{ItemKind, ServerName};
use std::fmt;
use thiserror::Error;

/// We said no. Nothing was sent to any server.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    /// No such thing for this caller; also the answer for what the caller may not see.
    #[error("unknown {}: {asked}", kind_word(*.kind))]
    Unknown {
        /// What kind of thing was asked for.
        kind: ItemKind,
        /// The name as asked.
        asked: String,
        /// Visible names that resemble it.
        similar: Vec<String>,
    },
    /// The name fits two things.
    #[error("`{asked}` is ambiguous: it names both `{first}` and `{second}`")]
    Ambiguous {
        /// The name as asked.
        asked: String,
        /// One full name.
        first: String,
        /// Another full name.
        second: String,
    },
    /// A rule says no.
    #[error("{0}")]
    Denied(Denial),
    /// A person would have to approve, and none did.
    #[error("{0}")]
    Unapproved(Box<Unapproved>),
    /// A person has to approve, and the face is to ask for it in an answer of its own.
    #[error("tool `{}` of server `{}` requires a person's approval", .0.tool, .0.server)]
    Pending(Box<Approval>),
    /// The state that a repeated call brought along is not one that this gate gave out for this call.
    #[error("the `requestState` that came with the call was not given out for this call, or has expired")]
    BadState,
    /// Nobody could be asked or told apart, because the store of approvals cannot be read or written.
    #[error("the call was not made, because approvals cannot be read or written: {0}")]
    NoDesk(String),
    /// The tool's definition is not the one that was pinned, or is suspicious.
    #[error("{message}")]
    Quarantined {
        /// What the caller is told.
        message: String,
        /// What to do about it.
        hint: String,
    },
    /// The arguments do not fit the tool's schema.
    #[error("the arguments of tool `{tool}` do not fit its schema: {}", .flaws.join("; "))]
    BadArguments {
        /// The tool, by the caller's name.
        tool: String,
        /// What is wrong with them, each on its own.
        flaws: Vec<String>,
    },
    /// As many calls as allowed are in flight.
    #[error("{limit} calls are in flight already, the limit (`[limits] in_flight`); try again shortly")]
    Busy {
        /// The limit.
        limit: usize,
    },
    /// The conversation has used up what it may do.
    #[error("{what}: {limit} is the limit (`[limits] {setting}`)")]
    Exhausted {
        /// What there was too much of.
        what: &'static str,
        /// The setting that says so.
        setting: &'static str,
        /// The limit.
        limit: u64,
    },
    /// The attempt could not be recorded, so the call was not made.
    #[error("the call was not made, because its record could not be written: {0}")]
    NoRecord(String),
}

impl Refusal {
    /// The code of this refusal.
    pub fn code(&self) -> Code {
        match self {
            Self::Unknown { .. } | Self::Ambiguous { .. } => Code::ToolUnknown,
            Self::Denied(_) => Code::PolicyDenied,
            Self::Unapproved(unapproved) if unapproved.why == Why::Expired => Code::ApprovalExpired,
            Self::Unapproved(_) | Self::Pending(_) => Code::ApprovalRefused,
            Self::Quarantined { .. } => Code::ToolQuarantined,
            Self::BadArguments { .. } => Code::ArgsInvalid,
            Self::BadState => Code::ArgsInvalid,
            Self::NoDesk(_) => Code::StoreUnavailable,
            Self::Busy { .. } => Code::LimitBusy,
            Self::Exhausted { .. } => Code::LimitBudget,
            Self::NoRecord(_) => Code::StoreUnavailable,
        }
    }

    /// What to do next.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unknown { similar, .. } if !similar.is_empty() => {
                Some(format!("did you mean `{}`?", similar.join("`, `")))
            }
            Self::Unknown { .. } => Some("run `toolgate mcp tools` for the names there are".to_owned()),
            Self::Ambiguous { first, .. } => Some(format!("use the full name, `{first}`")),
            Self::Denied(denial) => denial.hint.clone(),
            Self::Unapproved(unapproved) => Some(unapproved.hint()),
            Self::Pending(approval) => Some(answer_hint(approval)),
            Self::Quarantined { hint, .. } => Some(hint.clone()),
            Self::BadArguments { .. } => Some("correct the arguments and call again".to_owned()),
            Self::BadState => Some("call again without it".to_owned()),
            Self::NoDesk(_) => Some("check space and permissions of `toolgate/toolgate.db`".to_owned()),
            Self::Busy { .. } => None,
            Self::Exhausted { .. } => Some("stop, and tell the person; a new session begins anew".to_owned()),
            Self::NoRecord(_) => Some("check space and permissions of the `toolgate/audit` directory".to_owned()),
        }
    }
}

/// Why a call that needs a person's word has none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unapproved {
    /// What the person was to be asked.
    pub question: Question,
    /// The question as it stands, where there is one.
    pub approval: Option<Approval>,
    /// Why there is no yes.
    pub why: Why,
}

/// Why there is no yes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// Nobody has answered yet; the question stays open.
    Unanswered,
    /// Nobody answered in time.
    Expired,
    /// A person said no.
    Declined {
        /// Who.
        by: String,
    },
    /// The dialogue was closed without an answer.
    Dismissed,
    /// The approval was for one call, and that call was made.
    Spent,
    /// What the repeated call brought along is for another call, or not ours.
    Misfit,
    /// Too many questions are open already.
    TooMany {
        /// How many.
        open: usize,
    },
    /// The tool, its server or the rules became others while the question was open.
    Changed,
}

impl fmt::Display for Unapproved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.question)?;
        match &self.why {
            Why::Unanswered => write!(f, "nobody has answered yet, and the question stays open"),
            Why::Expired => write!(f, "nobody answered in time"),
            Why::Declined { by } => write!(f, "{by} said no"),
            Why::Dismissed => write!(f, "the question was closed without an answer"),
            Why::Spent => write!(f, "its approval was for one call, which has been made"),
            Why::Misfit => write!(f, "the approval that came with the call is not for this call"),
            Why::TooMany { open } => write!(f, "{open} questions are open already"),
            Why::Changed => write!(f, "the tool or the rules for it changed while the question was open"),
        }
    }
}

impl Unapproved {
    fn hint(&self) -> String {
        match (&self.why, &self.approval) {
            (Why::Unanswered, Some(approval)) => format!("{}; {}", answer_hint(approval), self.question.hint()),
            (Why::Declined { .. }, _) => "do not try again unless the person asks for it".to_owned(),
            (Why::TooMany { .. }, _) => {
                "have them answered first: `toolgate approvals list` shows them, `toolgate approvals watch` asks"
                    .to_owned()
            }
            _ => format!("call again to ask again; {}", self.question.hint()),
        }
    }
}

fn answer_hint(approval: &Approval) -> String {
    let id = approval.id;
    format!(
        "a person can answer with `toolgate approvals approve {id}` (or `deny`, or `show`); then call again with the same arguments"
    )
}

fn kind_word(kind: ItemKind) -> &'static str {
    match kind {
        ItemKind::Tool => "tool",
        ItemKind::Prompt => "prompt",
        ItemKind::Resource | ItemKind::Template => "resource",
    }
}

/// Whether the server may have seen the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// Provably not: it may be sent again.
    NotDelivered,
    /// It may have been.
    Unknown,
}

/// Something broke between us and a server. Holds only our own words.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("server `{server}` {what}")]
pub struct Fault {
    /// What kind of failure.
    pub code: Code,
    /// Which server.
    pub server: ServerName,
    /// What it did, as the end of a sentence that begins with the server: "did not answer within 30 s".
    pub what: String,
    /// What to do next.
    pub hint: Option<String>,
    /// Whether the server may have seen the call.
    pub delivery: Delivery,
    /// What it says of the server's state.
    pub state: State,
}

/// Why there is no reply.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Failure {
    /// We said no.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Something broke.
    #[error(transparent)]
    Broke(#[from] Fault),
}

impl Failure {
    /// The code of this failure.
    pub fn code(&self) -> Code {
        match self {
            Self::Refused(refusal) => refusal.code(),
            Self::Broke(fault) => fault.code,
        }
    }

    /// What to do next.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Refused(refusal) => refusal.hint(),
            Self::Broke(fault) => fault.hint.clone(),
        }
    }
}
