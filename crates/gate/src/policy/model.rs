//! The words that policy is written in, typed: rules, their predicates and conditions, what was said of servers.
//! Reading them from a file is the configuration's, deciding by them the engine's.

use crate::catalog::Item;
use crate::ports::Paths;
use crate::words::{Principal, ServerName};
use serde::Serialize;
use serde_json::Value;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

/// Which rule decided, in the words of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct RuleId(pub Arc<str>);

/// What a rule says of the calls it matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// They run.
    Allow,
    /// A person is asked.
    Ask,
    /// They do not run.
    Deny,
}

/// Who wrote a rule; within a layer deny wins over ask, and ask over allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Layer {
    /// The managed file: always applies, and can only tighten.
    Managed,
    /// The operator's own rules, and the approval modes below them.
    Operator,
    /// What toolgate is shipped with; asked only where nothing of the operator's matched.
    Shipped,
}

/// One `[[policy.rules]]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// Its `id`, or else `policy.rules[N]`.
    pub id: RuleId,
    /// Where it stands, as people are told: file and line.
    pub place: String,
    /// Whose calls: patterns of [`Principal::word`]; empty means everybody's.
    pub principal: Vec<String>,
    /// Of which servers: patterns of configured names; empty means all.
    pub server: Vec<String>,
    /// Of which tools: patterns of raw names; empty means all, and what is no tool (prompts, resources) too.
    pub tool: Vec<String>,
    /// What holds of the arguments; all of them have to.
    pub args: Vec<(ArgPath, Predicate)>,
    /// What holds besides.
    pub when: When,
    /// What is to become of such calls.
    pub outcome: Outcome,
    /// What the caller is told.
    pub reason: Option<String>,
}

/// Which argument: the keys to go down, written `a.b` or as a JSON pointer `/a/b`. In a list a key is a number.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ArgPath(pub Vec<String>);

/// What can be said of one argument. An argument of a type that it says nothing about does not fit an `allow`,
/// and does fit an `ask` or a `deny`: what cannot be judged is not let through. An argument that is not there fits
/// nothing but [`Predicate::Absent`]; one that is `null` is there.
#[derive(Debug, Clone, PartialEq)]
pub enum Predicate {
    /// Is this value.
    Equals(Value),
    /// Is one of these values.
    In(Vec<Value>),
    /// Is a text that fits one of these patterns (`*` and `?`).
    Glob(Vec<String>),
    /// Is a path at or below one of these directories, links resolved; relative ones are seen from the workspace.
    Under(Vec<PathBuf>),
    /// Is a URL whose host is one of these; `*.example.com` means any host below it.
    HostIn(Vec<String>),
    /// Is a text, list or object of so many characters, elements or members.
    Length {
        /// At least.
        min: Option<u64>,
        /// At most.
        max: Option<u64>,
    },
    /// Is a number in this range, ends included.
    Range {
        /// At least.
        min: Option<f64>,
        /// At most.
        max: Option<f64>,
    },
    /// Is not there (`true`), or is there (`false`).
    Absent(bool),
}

/// Conditions beside the arguments; those that are silent hold.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct When {
    /// The tool only reads.
    pub read_only: Option<bool>,
    /// The tool is one of high impact.
    pub high_impact: Option<bool>,
    /// The conversation has read what strangers wrote.
    pub tainted: Option<bool>,
    /// The workspace fits one of these patterns; empty means any.
    pub workspace: Vec<String>,
    /// The team is one of these; empty means any.
    pub team: Vec<String>,
}

/// The approval mode of a tool or a server, by Codex's words, and `deny`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Runs what only reads, and what is neither destructive nor open to the world; asks for the rest.
    #[default]
    Auto,
    /// Always asks.
    Prompt,
    /// Runs what only reads; asks for the rest.
    Writes,
    /// Always runs, but for tools of high impact.
    Approve,
    /// Never runs.
    Deny,
}

/// What the operator says a tool is; stronger than what its server says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Declared {
    /// It only reads.
    pub read_only: Option<bool>,
    /// It changes money, permissions, customer records or production state.
    pub high_impact: Option<bool>,
}

/// What the operator said about one server.
#[derive(Debug, Clone, Default)]
pub struct ServerRules {
    /// If given, only tools that match one of these patterns exist (`*` and `?`).
    pub enabled_tools: Option<Vec<String>>,
    /// Tools that match one of these do not exist; stronger than `enabled_tools`.
    pub disabled_tools: Vec<String>,
    /// Only tools that only read exist.
    pub read_only: bool,
    /// Whether the server is believed when it says that a tool only reads.
    pub trusted: bool,
    /// The mode of tools without one of their own, if one was written.
    pub default_mode: Option<Mode>,
    /// Modes by raw tool name.
    pub tool_modes: HashMap<String, Mode>,
    /// What the operator says of tools, by pattern of raw names. For each question the first that fits and
    /// answers it counts.
    pub declared: Vec<(String, Declared)>,
    /// Why nobody here may use it (scope, requirements), if so.
    pub barred: Option<Barred>,
}

/// Why a whole server may not be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Barred {
    /// The rule, in the words of the configuration.
    pub rule: RuleId,
    /// What callers are told.
    pub why: String,
}

/// Everything a policy is compiled from.
#[derive(Debug, Clone, Default)]
pub struct PolicySource {
    /// The managed file's rules: `ask` and `deny` alone.
    pub managed: Vec<Rule>,
    /// The operator's rules.
    pub rules: Vec<Rule>,
    /// What was said of each server. A server that is not here is denied everything.
    pub servers: HashMap<ServerName, ServerRules>,
    /// Patterns of raw tool names that are of high impact, beside the shipped words.
    pub high_impact: Vec<String>,
    /// Such patterns of the managed file: what fits them is of high impact even where the operator declares otherwise.
    pub managed_high_impact: Vec<String>,
    /// Where the gate works: relative paths are seen from here, and `when.workspace` is matched against it.
    pub workspace: PathBuf,
    /// The team it works for.
    pub team: Option<String>,
    /// What follows links for [`Predicate::Under`]. Without it paths are judged by their text alone.
    pub paths: Option<Arc<dyn Paths>>,
}

/// What a tool can do, once the operator's word and the server's claims are weighed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Class {
    /// It only reads.
    pub read_only: bool,
    /// It changes money, permissions, customer records or production state.
    pub high_impact: bool,
}

impl Mode {
    /// The word of the configuration.
    pub fn word(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Prompt => "prompt",
            Self::Writes => "writes",
            Self::Approve => "approve",
            Self::Deny => "deny",
        }
    }
}

impl Outcome {
    /// The word of the configuration.
    pub fn word(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Ask => "ask",
            Self::Deny => "deny",
        }
    }
}

impl Class {
    /// The word the ledger has for it.
    pub fn word(self) -> &'static str {
        match self {
            Self { high_impact: true, .. } => "high_impact",
            Self { read_only: true, .. } => "read",
            Self { .. } => "write",
        }
    }
}

/// One thing to decide on.
#[derive(Debug, Clone, Copy)]
pub struct Case<'a> {
    /// Who acts.
    pub by: &'a Principal,
    /// On what.
    pub item: &'a Item,
    /// The raw arguments object; `None` asks what the mildest arguments could get, as lists do. An absent object
    /// is the empty slice.
    pub arguments: Option<&'a [u8]>,
    /// Whether the conversation has read what strangers wrote.
    pub tainted: bool,
}
