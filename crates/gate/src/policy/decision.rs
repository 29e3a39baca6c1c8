//! What policy says of a call: leave, a question to a person, or a no; each names its rule.

use super::model::{Class, Mode, RuleId};
use crate::words::ServerName;
use std::fmt;
use std::sync::Arc;

/// Leave by a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    pub(super) rule: RuleId,
    pub(super) class: Class,
}

impl Grant {
    /// The rule that gave leave.
    pub fn rule(&self) -> &RuleId {
        &self.rule
    }

    /// What the tool can do.
    pub fn class(&self) -> Class {
        self.class
    }

    /// Leave by a person's word: only the gate's approvals make one, of a question that policy asked.
    pub(crate) fn by_person(question: &Question, rule: RuleId) -> Self {
        Self { rule, class: question.class }
    }
}

/// A rule's no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// What the caller is told.
    pub message: String,
    /// The rule that said no.
    pub rule: RuleId,
    /// What to do about it.
    pub hint: Option<String>,
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// What made policy ask a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asker {
    /// One of `[[policy.rules]]`, or of the managed file.
    Rule {
        /// Where it stands.
        place: Arc<str>,
        /// What it tells the caller.
        reason: Option<Arc<str>>,
    },
    /// An approval mode of the operator's.
    Mode(Mode),
    /// The tool is of high impact: no allow covers it.
    HighImpact,
    /// What toolgate is shipped with.
    Shipped,
}

/// What a person would be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The server of the tool.
    pub server: ServerName,
    /// The raw name of the tool.
    pub tool: String,
    /// The rule that wants a person.
    pub rule: RuleId,
    /// What the tool can do.
    pub class: Class,
    /// What kind of rule that is.
    pub asker: Asker,
}

impl Question {
    /// How to widen or narrow this, in one line.
    pub fn hint(&self) -> String {
        let Self { server, tool, rule, .. } = self;
        let table = format!("[mcp_servers.{}.tools.{}]", key(server.as_str()), key(tool));
        match &self.asker {
            Asker::Rule { place, .. } => format!("rule `{}` asks ({place}); change it there", rule.0),
            Asker::HighImpact => format!(
                "tools that change money, permissions, customer records or production always ask; if this is none, add `high_impact = false` under `{table}`"
            ),
            Asker::Mode(_) | Asker::Shipped => format!(
                "to let it run always, add `approval_mode = \"approve\"` under `{table}` (`\"deny\"` to never); to let the whole server run, `default_tools_approval_mode = \"approve\"` under `[mcp_servers.{}]`; to say more, write `[[policy.rules]]`",
                key(server.as_str())
            ),
        }
    }
}

/// A key as TOML has to have it written.
fn key(name: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !name.is_empty() && name.chars().all(bare) { name.to_owned() } else { format!("{name:?}") }
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tool `{}` of server `{}` requires a person's approval ({}", self.tool, self.server, self.rule.0)?;
        if let Asker::Rule { reason: Some(reason), .. } = &self.asker {
            write!(f, ": {reason}")?;
        }
        f.write_str(")")
    }
}

/// What policy says of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// It may run.
    Allow(Grant),
    /// A person has to say so.
    Ask(Question),
    /// It may not.
    Deny(Denial),
}

impl Decision {
    /// Which of the three.
    pub fn outcome(&self) -> super::Outcome {
        match self {
            Self::Allow(_) => super::Outcome::Allow,
            Self::Ask(_) => super::Outcome::Ask,
            Self::Deny(_) => super::Outcome::Deny,
        }
    }

    /// The rule that decided.
    pub fn rule(&self) -> &RuleId {
        match self {
            Self::Allow(grant) => &grant.rule,
            Self::Ask(question) => &question.rule,
            Self::Deny(denial) => &denial.rule,
        }
    }
}
