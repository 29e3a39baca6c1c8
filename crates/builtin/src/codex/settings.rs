//! What the operator decides about driving the Codex CLI. Not here: where it is configured.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// What Codex lets the commands of its model do, from little to much.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sandbox {
    /// Nothing is written.
    ReadOnly,
    /// The working directory is written.
    WorkspaceWrite,
    /// No sandbox at all.
    DangerFullAccess,
}

impl Sandbox {
    /// From little to much.
    pub const ALL: [Self; 3] = [Self::ReadOnly, Self::WorkspaceWrite, Self::DangerFullAccess];

    /// Codex's word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::ReadOnly => "read-only",
            Self::WorkspaceWrite => "workspace-write",
            Self::DangerFullAccess => "danger-full-access",
        }
    }

    /// The sandbox of this word.
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|sandbox| sandbox.word() == word)
    }
}

/// Which model is asked where the caller names none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DefaultModel {
    /// The one that Codex would take.
    Inherit,
    /// This one.
    Named(String),
}

/// Whose results the tools give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contract {
    /// Those of codex-mcp-server: metadata beside the text, and as structured content where that is switched on.
    Documented {
        /// Whether results carry structured content.
        structured: bool,
    },
    /// Those of Codex's own server, which Codex no longer has: thread id and answer as structured content, always.
    Codex,
}

/// Whether people are asked for leave that Codex wants in the middle of a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Leave {
    /// Where the contract is that of Codex's own server, as its callers want it; else nobody is.
    #[default]
    AsHostsDo,
    /// They are, wherever the installed release can ask.
    Ask,
    /// Nobody is: what would need leave is refused.
    Refuse,
}

/// What the operator decides.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The program, by name or path.
    pub program: OsString,
    /// The directories in which it is looked up.
    pub path: OsString,
    /// Its whole environment.
    pub env: Vec<(OsString, OsString)>,
    /// Where it works when the caller does not say.
    pub cwd: PathBuf,
    /// Beneath which directories it may work.
    pub roots: Vec<PathBuf>,
    /// Which model is asked where the caller names none.
    pub default_model: DefaultModel,
    /// The sandbox where the caller names none; none means Codex's own choice.
    pub default_sandbox: Option<Sandbox>,
    /// The widest sandbox.
    pub ceiling: Sandbox,
    /// How long one run may take.
    pub timeout: Duration,
    /// Runs at a time.
    pub at_once: usize,
    /// Runs that may wait for their turn.
    pub waiting: usize,
    /// Sessions that are kept.
    pub max_sessions: usize,
    /// How long a session is kept after its last use.
    pub session_ttl: Duration,
    /// Whether a call without a session begins one.
    pub auto_session: bool,
    /// The callback URI where the caller names none.
    pub callback_uri: Option<String>,
    /// Whose results the tools give.
    pub contract: Contract,
    /// Whether people are asked in the middle of a turn.
    pub leave: Leave,
}
