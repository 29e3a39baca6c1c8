//! How a call can fail: we said no, or something broke. Both speak in our words alone.

use crate::code::Code;
use crate::policy::{Denial, Question};
use crate::state::State;
use crate::words::{ItemKind, ServerName};
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
    /// A person would have to approve, and there is no way to ask.
    #[error("{0}")]
    Unapproved(Question),
    /// As many calls as allowed are in flight.
    #[error("{limit} calls are in flight already, the limit (`[limits] in_flight`); try again shortly")]
    Busy {
        /// The limit.
        limit: usize,
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
            Self::Unapproved(_) => Code::ApprovalRefused,
            Self::Busy { .. } => Code::LimitBusy,
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
            Self::Unapproved(question) => Some(question.hint()),
            Self::Busy { .. } => None,
            Self::NoRecord(_) => Some("check space and permissions of the `toolgate/audit` directory".to_owned()),
        }
    }
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
