//! How calls are governed, once everything is decided: the words of `[policy]`, `[approvals]`, `[data]` and
//! `[audit]`, and what a server's entry says of the same. Reading them is `governing`'s, deciding by them the gate's.

use std::path::PathBuf;
use std::time::Duration;

use gate::policy::{Declared, Rule};

use super::place::Place;

/// `[policy]`, of this person and of managed files.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PolicySettings {
    /// The rules of managed files: `ask` and `deny` alone.
    pub managed: Vec<Rule>,
    /// The operator's rules, in the order they were written.
    pub rules: Vec<Rule>,
    /// Patterns of raw tool names that are of high impact.
    pub high_impact: Vec<String>,
    /// Those of the managed file, which nothing said of a tool takes back.
    pub managed_high_impact: Vec<String>,
    /// Whether a server needs all five decisions.
    pub require_decisions: bool,
    /// The team this person works for: of a managed file, else `CODEX_TEAM`.
    pub team: Option<String>,
    /// Where toolgate was started, absolute.
    pub workspace: PathBuf,
}

/// `[approvals]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approvals {
    /// Whether what a client's user answers counts as the approval.
    pub by_client: bool,
    /// How long a call waits for a person.
    pub timeout: Duration,
    /// Whether `timeout` was written, and is not the default.
    pub timeout_written: bool,
    /// Whether a desktop notification is shown.
    pub notify: bool,
}

impl Default for Approvals {
    fn default() -> Self {
        Self { by_client: false, timeout: Duration::from_secs(600), timeout_written: false, notify: true }
    }
}

/// What is looked for in results, from least to most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Detect {
    /// Nothing.
    Off,
    /// The secrets that toolgate itself holds.
    Known,
    /// These, and everything that looks like a secret or personal data.
    #[default]
    All,
}

/// `[data]`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Data {
    /// The default of [`ServerData::detect`].
    pub detect: Detect,
    /// The default of [`ServerData::allow`].
    pub allow: Vec<String>,
    /// The default of [`ServerData::handles`].
    pub handles: bool,
    /// What else to look for.
    pub patterns: Vec<DataPattern>,
    /// Countries whose national identity numbers are looked for.
    pub national_ids: Vec<String>,
}

/// One `[[data.patterns]]`; the pattern is known to be a regular expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataPattern {
    /// The class that is counted and can be allowed.
    pub name: String,
    /// A regular expression.
    pub pattern: String,
    /// Where it stands.
    pub place: Place,
}

/// `[mcp_servers.NAME.data]` over `[data]`, within what managed files leave open.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServerData {
    /// What is looked for in what this server says.
    pub detect: Detect,
    /// Classes that may pass.
    pub allow: Vec<String>,
    /// Whether what is masked gets a handle instead of stars.
    pub handles: bool,
    /// Tools (patterns of raw names) in whose arguments this server's handles are put back.
    pub restore: Vec<String>,
}

/// What the ledger keeps of arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AuditArgs {
    /// A masked copy, and a keyed digest.
    #[default]
    Masked,
    /// A keyed digest.
    Digest,
    /// Nothing.
    None,
}

/// `[audit]`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Audit {
    /// What is kept of arguments.
    pub args: AuditArgs,
    /// How long records are kept. None: for ever.
    pub retention_days: Option<usize>,
    /// How much room they may take. None: no bound.
    pub max_bytes: Option<usize>,
    /// Whether every record is on the disk before its call goes on.
    pub strict: bool,
    /// Whether tools that only read still run when nothing can be recorded.
    pub reads_when_broken: bool,
}

/// `[mcp_servers.NAME.scope]`: where a server may be used; empty lists mean everywhere.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    /// Patterns of directories; a workspace at or below one of them is inside.
    pub workspaces: Vec<String>,
    /// Names of teams.
    pub teams: Vec<String>,
}

/// Why a whole server may not be used here, although it is configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Barred {
    /// The rule, in the words of the configuration.
    pub rule: String,
    /// What people are told, as a fragment about the server.
    pub why: String,
    /// The word of the list of states: `out_of_scope` or `requirements`.
    pub reason: &'static str,
}

/// How a server knows whose calls it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AuthModel {
    /// It does not ask, or nobody said.
    #[default]
    None,
    /// A person logs in.
    UserOauth,
    /// One token for everybody.
    ServiceToken,
    /// A credential made for this use alone.
    ScopedCredential,
}

/// What was said of one tool besides its approval mode.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ToolSettings {
    /// What it is.
    pub declared: Declared,
    /// Bytes of a result that reach the model. None: as for its server.
    pub max_result_bytes: Option<usize>,
}

/// What an entry decides of the five, so that those left open can be named.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "five independent yes or no")]
pub(super) struct Decided {
    pub(super) scope: bool,
    pub(super) tools: bool,
    pub(super) data: bool,
    pub(super) auth: bool,
    pub(super) audit: bool,
}

impl Decided {
    /// What is left open: its name, and the settings that would decide it.
    pub(super) fn missing(self) -> Vec<(&'static str, &'static str)> {
        [
            (self.scope, "scope", "`scope.workspaces` or `scope.teams`"),
            (self.tools, "tools", "`enabled_tools`"),
            (self.data, "data", "`data.allow` (`[]` lets nothing pass)"),
            (self.auth, "auth", "`auth.model`"),
            (self.audit, "audit", "`audit.sink`"),
        ]
        .into_iter()
        .filter_map(|(decided, name, setting)| (!decided).then_some((name, setting)))
        .collect()
    }
}
