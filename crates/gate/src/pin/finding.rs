//! What speaks against a definition.

use super::visible::elided;
use serde::Serialize;
use std::fmt;

/// How much of a text is quoted in a finding, in characters.
const LONGEST_QUOTE: usize = 120;

/// What a finding leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// It is shown.
    Note,
    /// What is not pinned is held back until a person approves it.
    Quarantine,
}

/// One thing that speaks against a definition. Safe to print: what it quotes has its hidden characters spelled out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// A stable name for the reason, such as `poison.conceal`.
    pub rule: &'static str,
    /// What it leads to.
    pub severity: Severity,
    /// Where in the definition, as a JSON pointer; empty for all of it.
    pub pointer: String,
    /// What stands there, at most 120 characters.
    pub quote: String,
}

impl Finding {
    pub(crate) fn new(rule: &'static str, severity: Severity, pointer: &str, quote: &str) -> Self {
        Self { rule, severity, pointer: elided(pointer, LONGEST_QUOTE), quote: elided(quote, LONGEST_QUOTE) }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = if self.pointer.is_empty() { "" } else { " at " };
        write!(f, "{}{at}{}: {}", self.rule, self.pointer, self.quote)
    }
}
