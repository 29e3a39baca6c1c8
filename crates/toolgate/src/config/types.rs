//! The words of the configuration once everything is decided: no `Option` where a default exists.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::bounds::Bounds;
use super::codex::Codex;
use super::declared::DeclaredTool;
use super::govern::{Approvals, Audit, AuthModel, Barred, Data, PolicySettings, Scope, ServerData, ToolSettings};
use super::oauth::OAuth;
use super::place::{Origin, Problem, ServerError, Source};
use super::secret::Address;
use super::workspace::Workspace;
use gate::Secret;

/// Everything people wrote, read and decided.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// `$CODEX_HOME`: where the files and the state are.
    pub home: PathBuf,
    /// Every file that was read or looked for: what the configuration depends on.
    pub files: Vec<PathBuf>,
    /// The projects whose files bring servers.
    pub trust: Vec<ProjectTrust>,
    /// The usable servers by name, disabled ones included.
    pub servers: BTreeMap<String, Server>,
    /// Servers whose entry cannot be used; each at most once, none of them in `servers`.
    pub bad: Vec<ServerError>,
    /// Mistakes outside any server: a file that does not parse, a setting of the gate that is wrong.
    pub broken: Vec<Broken>,
    /// What is odd but harmless, such as an unknown key.
    pub warnings: Vec<Problem>,
    /// What could be better, told only by `toolgate policy lint`.
    pub lints: Vec<Problem>,
    /// `[gate]` of toolgate.toml.
    pub gate: Gate,
    /// `[limits]` of toolgate.toml.
    pub limits: Limits,
    /// `[policy]`, with what managed files add.
    pub policy: PolicySettings,
    /// `[approvals]`, within what managed files leave open.
    pub approvals: Approvals,
    /// `[data]`, within what managed files leave open.
    pub data: Data,
    /// `[audit]`, within what managed files leave open.
    pub audit: Audit,
    /// `[codex]` of toolgate.toml.
    pub codex: Codex,
    /// `[workspace]` of toolgate.toml.
    pub workspace: Workspace,
}

impl Config {
    /// Where toolgate keeps what happened; it may not exist yet.
    pub fn state_dir(&self) -> PathBuf {
        self.home.join("toolgate")
    }

    /// Fails when toolgate's own settings, or those of a managed file, could not be read whole, or when anybody
    /// could have written them. They hold restrictions (rules, `read_only`, `disabled_tools`, limits), so whoever
    /// runs tools must not go on without them; who only lists may.
    ///
    /// # Errors
    /// The first mistake found in a managed file, in toolgate.toml or on the command line.
    pub fn sound(&self) -> Result<(), &Problem> {
        let own = self.broken.iter().find(|broken| broken.grave);
        own.map_or(Ok(()), |broken| Err(&broken.problem))
    }
}

/// A project that brings servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectTrust {
    /// Its directory, absolute.
    pub root: PathBuf,
    /// Whether a person said that its servers may run.
    pub trusted: bool,
    /// Its files that are there.
    pub files: Vec<PathBuf>,
}

/// A mistake that belongs to a layer, not to one server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// The layer.
    pub source: Source,
    /// Where and what.
    pub problem: Problem,
    /// Whether no tool may run until it is mended.
    pub grave: bool,
}

/// One MCP server as it is to be reached and governed.
#[derive(Debug, Clone, PartialEq)]
pub struct Server {
    /// Its name: the key in the file.
    pub name: String,
    /// Where its entry stands.
    pub origin: Origin,
    /// A name its author gave it; shown, never used to find it.
    pub label: Option<String>,
    /// A version its author gave it; shown only.
    pub version: Option<String>,
    /// Whether it may be started and its tools shown; never when it is barred.
    pub enabled: bool,
    /// Why it may not be used here, whatever its entry says.
    pub barred: Option<Barred>,
    /// Whether a session must not begin without it.
    pub required: bool,
    /// How it is reached.
    pub transport: Transport,
    /// The tools that its entry says it has.
    pub declared: Vec<DeclaredTool>,
    /// When it is started.
    pub startup: Startup,
    /// How long starting, handshake and first list may take.
    pub startup_timeout: Duration,
    /// How long one call may take.
    pub tool_timeout: Duration,
    /// How long a call may be silent: progress then extends `tool_timeout`. None: progress extends nothing.
    pub idle_timeout: Option<Duration>,
    /// Which of the two timeouts were written, and not defaults.
    pub written: Written,
    /// The only tools to show, by raw name. None: all.
    pub enabled_tools: Option<Vec<String>>,
    /// Tools never to show, by raw name; wins over `enabled_tools`.
    pub disabled_tools: Vec<String>,
    /// What a call needs before it runs, for tools not named in `tool_approvals`. None: nothing was written.
    pub default_approval: Option<ApprovalMode>,
    /// The same for single tools, by raw name.
    pub tool_approvals: BTreeMap<String, ApprovalMode>,
    /// What else was said of tools, by pattern of raw names; the first that fits counts.
    pub tools: Vec<(String, ToolSettings)>,
    /// Where it may be used.
    pub scope: Scope,
    /// What may come back from it.
    pub data: ServerData,
    /// How it knows whose calls it answers.
    pub auth_model: AuthModel,
    /// Where its calls are recorded: the ledger, whose name is `ledger`, or what somebody calls it.
    pub audit_sink: String,
    /// Whether only tools that claim to be read-only may be called.
    pub read_only: bool,
    /// Whether the server's claims about its own tools count.
    pub trust: Trust,
    /// Which protocol era to speak with it.
    pub protocol: Protocol,
    /// Whether its tools carry its name on the aggregated endpoint.
    pub prefix: Prefix,
    /// Whether its tools may run at the same time.
    pub supports_parallel_tool_calls: bool,
    /// What it is kept in, if it is a child process. None: it is supervised, and no more.
    pub sandbox: Option<Bounds>,
    /// The largest that is accepted from it.
    pub limits: ServerLimits,
}

/// Which settings were written by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Written {
    /// `startup_timeout_sec` or `startup_timeout_ms`.
    pub startup_timeout: bool,
    /// `tool_timeout_sec`.
    pub tool_timeout: bool,
}

/// How a server is reached.
#[derive(Debug, Clone, PartialEq)]
pub enum Transport {
    /// A child process that speaks on its standard streams.
    Stdio(Stdio),
    /// An HTTP address.
    Http(Http),
    /// In no way: its entry declares tools, and that is all there is of it.
    Declared,
    /// In no way either, but its entry says what to run for a call of its tools. The programs get these variables and
    /// this directory; `command` and `args` are empty.
    Handlers(Stdio),
}

/// A child process that speaks on its standard streams.
#[derive(Debug, Clone, PartialEq)]
pub struct Stdio {
    /// The program: a path, or a name looked up in `PATH`.
    pub command: String,
    /// Its arguments, literal.
    pub args: Vec<String>,
    /// Variables set for it.
    pub env: BTreeMap<String, Secret>,
    /// Variables passed on from toolgate's own environment.
    pub env_vars: Vec<String>,
    /// Its working directory. None: toolgate's own.
    pub cwd: Option<PathBuf>,
    /// Whether `command` held a whole command line that was split into words.
    pub split: bool,
}

/// An HTTP address.
#[derive(Debug, Clone, PartialEq)]
pub struct Http {
    /// The endpoint, `http://` or `https://`.
    pub url: Address,
    /// Headers sent with every request.
    pub headers: BTreeMap<String, Secret>,
    /// Headers whose value is read from the variable named.
    pub env_headers: BTreeMap<String, String>,
    /// The variable that holds a bearer token.
    pub bearer_token_env_var: Option<String>,
    /// A shell command that prints further headers as a JSON object.
    pub headers_helper: Option<Secret>,
    /// How a person logs in there.
    pub oauth: OAuth,
    /// Whether the server speaks the HTTP+SSE transport of 2024-11-05.
    pub sse: bool,
}

/// When a server is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Startup {
    /// At its first use.
    #[default]
    Lazy,
    /// With the gate.
    Eager,
}

/// What a tool call needs before it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ApprovalMode {
    /// Decided by what the tool says of itself and by trust.
    #[default]
    Auto,
    /// Always asks.
    Prompt,
    /// Asks unless the tool only reads.
    Writes,
    /// Runs unasked.
    Approve,
    /// Never runs.
    Deny,
}

/// Whether a server's claims about its own tools count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Trust {
    /// They do: a person wrote this server into their own configuration.
    #[default]
    Trusted,
    /// They do not.
    Untrusted,
}

/// Which protocol era to speak with a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Protocol {
    /// Whichever it understands.
    #[default]
    Auto,
    /// `initialize` and sessions: up to 2025-11-25.
    Legacy,
    /// 2026-07-28.
    Modern,
}

/// Whether tools carry their server's name on the aggregated endpoint. A per-server endpoint shows bare names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Prefix {
    /// Every tool does.
    #[default]
    Always,
    /// Only tools whose bare name is taken twice.
    Conditional,
    /// None does.
    Never,
}

/// How a prefixed tool name is spelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ToolNames {
    /// `server__tool`.
    #[default]
    Plain,
    /// `mcp__server__tool`.
    Mcp,
    /// A namespace `mcp__server` with the tool `tool`.
    Namespace,
}

/// What the gate serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Profile {
    /// The configured servers.
    Gateway,
    /// The built-in workspace tools.
    Workspace,
    /// The tools that drive the Codex CLI.
    Bridge,
    /// All of them.
    #[default]
    All,
}

/// `[gate]`: the gate's own settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gate {
    /// Where `toolgate up` listens.
    pub listen: SocketAddr,
    /// The default of [`Server::prefix`].
    pub prefix: Prefix,
    /// How a prefixed tool name is spelled.
    pub tool_names: ToolNames,
    /// What is served when the command line does not say.
    pub profile: Profile,
    /// The default of [`Server::startup`].
    pub startup: Startup,
    /// Definitions of tools above this many bytes are listed in a shorter form. None: all as they are.
    pub compact_schemas_above: Option<usize>,
}

impl Default for Gate {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 7420)),
            prefix: Prefix::default(),
            tool_names: ToolNames::default(),
            profile: Profile::default(),
            startup: Startup::default(),
            compact_schemas_above: None,
        }
    }
}

/// `[limits]`: how much is too much. None of them is ever zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one message from a client.
    pub max_message_bytes: usize,
    /// Calls in flight in the whole gate; one more is refused as busy.
    pub max_concurrent_calls: usize,
    /// Calls of one session. None: no bound.
    pub max_calls_per_session: Option<usize>,
    /// Calls of the same tool with the same arguments in a row. None: no bound.
    pub max_repeated_calls: Option<usize>,
    /// Bytes of output kept from one built-in command.
    pub max_output_bytes: usize,
    /// The defaults of [`Server::limits`].
    pub server: ServerLimits,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_message_bytes: 16 << 20,
            max_concurrent_calls: 256,
            max_calls_per_session: None,
            max_repeated_calls: None,
            max_output_bytes: 1 << 20,
            server: ServerLimits::default(),
        }
    }
}

/// How much of one server is too much. None of them is ever zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerLimits {
    /// Bytes of one message from it.
    pub max_message_bytes: usize,
    /// Calls in flight to it.
    pub max_concurrent_calls: usize,
    /// Tools (and as many prompts, resources and templates) taken from its lists.
    pub max_tools: usize,
    /// Pages read of one list.
    pub max_pages: usize,
    /// Bytes of a result that reach the model; what is cut stays readable. None: all of them.
    pub max_result_bytes: Option<usize>,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            max_message_bytes: 16 << 20,
            max_concurrent_calls: 64,
            max_tools: 2048,
            max_pages: 100,
            max_result_bytes: None,
        }
    }
}
