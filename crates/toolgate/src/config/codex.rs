//! `[codex]` of toolgate.toml: how the Codex CLI is driven. Not here: the environment variables that say the same, or
//! what a setting does.

use std::path::PathBuf;
use std::time::Duration;

use super::fields::Fields;
use super::node::{Table, Value};
use super::place::Problem;

/// What Codex may let the commands of its model do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CodexSandbox {
    /// Nothing is written.
    ReadOnly,
    /// The working directory is written.
    #[default]
    WorkspaceWrite,
    /// No sandbox at all.
    DangerFullAccess,
}

/// Whether people are asked for leave that Codex wants in the middle of a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodexApprovals {
    /// They are, wherever the installed release can ask.
    Ask,
    /// Nobody is: what would need leave is refused.
    Refuse,
}

/// `[codex]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Codex {
    /// The model where the caller names none; `inherit` leaves it to Codex. None: as documented for codex-mcp-server.
    pub default_model: Option<String>,
    /// Sessions that are kept; none means the default.
    pub max_sessions: Option<usize>,
    /// How long a session is kept after its last use; none means the default.
    pub session_ttl: Option<Duration>,
    /// How long one run may take; none means the default.
    pub timeout: Option<Duration>,
    /// The widest sandbox.
    pub sandbox_ceiling: CodexSandbox,
    /// Whether people are asked in the middle of a turn; none leaves it to the contract that is served.
    pub approvals: Option<CodexApprovals>,
    /// Whether a call without a session begins one; none means the default.
    pub auto_session: Option<bool>,
    /// Beneath which directories Codex may work; none means the home directory and the current one.
    pub roots: Option<Vec<PathBuf>>,
    /// Runs at a time.
    pub max_concurrent: usize,
    /// Runs that may wait.
    pub max_waiting: usize,
    /// Variables of the environment that the CLI gets beside those it needs.
    pub env_vars: Vec<String>,
    /// What Codex's own file says: `sandbox_mode`, and the variables that hold the keys of its model providers.
    pub own: CodexOwn,
}

/// What Codex's own file says about itself, as far as whoever drives it has to know.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CodexOwn {
    /// `sandbox_mode`.
    pub sandbox_mode: Option<String>,
    /// `env_key` of each of `model_providers`.
    pub env_keys: Vec<String>,
}

impl CodexOwn {
    pub(super) fn of(table: &Table) -> Self {
        let text = |table: &Table, key: &str| match table.get(key).map(|node| &node.value) {
            Some(Value::Text(text)) => Some(text.clone()),
            _ => None,
        };
        let providers = match table.get("model_providers").map(|node| &node.value) {
            Some(Value::Table(providers)) => providers
                .values()
                .filter_map(|node| match &node.value {
                    Value::Table(provider) => text(provider, "env_key"),
                    _ => None,
                })
                .collect(),
            _ => Vec::new(),
        };
        Self { sandbox_mode: text(table, "sandbox_mode"), env_keys: providers }
    }
}

impl Default for Codex {
    fn default() -> Self {
        Self {
            default_model: None,
            max_sessions: None,
            session_ttl: None,
            timeout: None,
            sandbox_ceiling: CodexSandbox::default(),
            approvals: None,
            auto_session: None,
            roots: None,
            max_concurrent: 4,
            max_waiting: 64,
            env_vars: Vec::new(),
            own: CodexOwn::default(),
        }
    }
}

pub(super) const CODEX: [&str; 11] = [
    "default_model",
    "max_sessions",
    "session_ttl_sec",
    "timeout_sec",
    "sandbox_ceiling",
    "approvals",
    "auto_session",
    "roots",
    "max_concurrent",
    "max_waiting",
    "env_vars",
];

impl Codex {
    pub(super) fn read(fields: &mut Fields) -> Result<Self, Problem> {
        let default = Self::default();
        let roots = fields.get::<Vec<String>>("roots")?;
        Ok(Self {
            default_model: fields.get("default_model")?,
            max_sessions: fields.get("max_sessions")?,
            session_ttl: fields.get("session_ttl_sec")?,
            timeout: fields.get("timeout_sec")?,
            sandbox_ceiling: fields.or("sandbox_ceiling", default.sandbox_ceiling)?,
            approvals: fields.get("approvals")?,
            auto_session: fields.get("auto_session")?,
            roots: roots.map(|roots| roots.into_iter().map(PathBuf::from).collect()),
            max_concurrent: fields.or("max_concurrent", default.max_concurrent)?,
            max_waiting: fields.or("max_waiting", default.max_waiting)?,
            env_vars: fields.or("env_vars", default.env_vars)?,
            own: default.own,
        })
    }
}
