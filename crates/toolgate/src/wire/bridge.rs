//! The server `codex` put together: its settings out of `[codex]` and the environment, its sessions out of the
//! database, its turns in a session out of locks that every process of this home sees.
//! Not here: what its tools do.

mod sessions;

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use builtin::codex::{Bridge, Contract, DefaultModel, Leave, Parts, Sandbox, Settings};
use tokio_util::task::TaskTracker;

use super::System;
use crate::config::{CodexApprovals, CodexSandbox, Config, Env};

/// As documented for codex-mcp-server.
const DEFAULT_MODEL: &str = "gpt-5.2-codex";
const MAX_SESSIONS: usize = 100;
const SESSION_TTL: Duration = Duration::from_hours(24);
const TIMEOUT: Duration = Duration::from_mins(30);

/// What the CLI gets of our environment: what it needs to find itself, its files, the network, and its credentials.
/// The variables of its configured providers come on top.
const PASSED_ON: [&str; 43] = [
    "ALL_PROXY",
    "AZURE_OPENAI_API_KEY",
    "CODEX_ACCESS_TOKEN",
    "CODEX_API_KEY",
    "CODEX_CA_CERTIFICATE",
    "CODEX_HOME",
    "CODEX_SQLITE_HOME",
    "COLORTERM",
    "CURL_CA_BUNDLE",
    "DBUS_SESSION_BUS_ADDRESS",
    "GIT_AUTHOR_EMAIL",
    "GIT_AUTHOR_NAME",
    "GIT_SSH_COMMAND",
    "GIT_SSL_CAINFO",
    "HOME",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "LOGNAME",
    "NODE_EXTRA_CA_CERTS",
    "NO_PROXY",
    "OPENAI_API_KEY",
    "OPENAI_BASE_URL",
    "OPENAI_ORGANIZATION",
    "OPENAI_PROJECT",
    "PATH",
    "REQUESTS_CA_BUNDLE",
    "SHELL",
    "SSH_AUTH_SOCK",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "TERM",
    "TMPDIR",
    "TZ",
    "USER",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_RUNTIME_DIR",
    "XDG_STATE_HOME",
    "all_proxy",
];
const LOWER_CASE_PROXIES: [&str; 3] = ["http_proxy", "https_proxy", "no_proxy"];

/// Whose results the tools give.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Manner {
    /// Those of codex-mcp-server.
    #[default]
    Documented,
    /// Those of Codex's own server, which Codex no longer has.
    Codex,
}

/// The server.
pub fn bridge(
    config: &Config,
    env: &Env,
    manner: Manner,
    helper: &sandbox::Helper,
    tasks: &TaskTracker,
) -> Arc<Bridge> {
    Bridge::new(Parts {
        settings: settings(config, env, manner),
        sessions: Arc::new(sessions::Shelf::new(&config.state_dir())),
        helper: helper.clone(),
        clock: Arc::new(System),
        ids: Arc::new(System),
        tasks: tasks.clone(),
    })
}

/// Whether there is a CLI to drive.
pub fn has_cli(env: &Env) -> bool {
    let path = env.get("PATH").unwrap_or_default();
    sandbox::resolve_program(program(env).as_ref(), None, path.as_ref()).is_ok()
}

fn program(env: &Env) -> &str {
    env.filled("CODEX_BIN").unwrap_or("codex")
}

/// What the operator decided: `[codex]`, within what the environment says otherwise.
fn settings(config: &Config, env: &Env, manner: Manner) -> Settings {
    let codex = &config.codex;
    let number = |key: &str| env.filled(key).and_then(|text| text.trim().parse::<u64>().ok());
    let millis = |key: &str| number(key).map(Duration::from_millis);
    let cwd = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
    let model = env.filled("CODEX_DEFAULT_MODEL").or(codex.default_model.as_deref()).unwrap_or(DEFAULT_MODEL);
    let count = number("CODEX_MCP_MAX_SESSIONS").and_then(|count| usize::try_from(count).ok());
    Settings {
        program: program(env).into(),
        path: env.get("PATH").unwrap_or_default().into(),
        env: environment(config, env),
        roots: codex.roots.clone().unwrap_or_else(|| default_roots(&cwd, env)),
        cwd,
        default_model: match model {
            "inherit" => DefaultModel::Inherit,
            model => DefaultModel::Named(model.to_owned()),
        },
        default_sandbox: codex.own.sandbox_mode.as_deref().and_then(Sandbox::of),
        ceiling: match codex.sandbox_ceiling {
            CodexSandbox::ReadOnly => Sandbox::ReadOnly,
            CodexSandbox::WorkspaceWrite => Sandbox::WorkspaceWrite,
            CodexSandbox::DangerFullAccess => Sandbox::DangerFullAccess,
        },
        leave: match codex.approvals {
            None => Leave::AsHostsDo,
            Some(CodexApprovals::Ask) => Leave::Ask,
            Some(CodexApprovals::Refuse) => Leave::Refuse,
        },
        timeout: millis("CODEX_TOOL_TIMEOUT_MS").or(codex.timeout).unwrap_or(TIMEOUT),
        at_once: codex.max_concurrent,
        waiting: codex.max_waiting,
        max_sessions: count.or(codex.max_sessions).unwrap_or(MAX_SESSIONS),
        session_ttl: millis("CODEX_MCP_SESSION_TTL_MS").or(codex.session_ttl).unwrap_or(SESSION_TTL),
        auto_session: env.filled("CODEX_MCP_AUTO_SESSION").map(is_on).or(codex.auto_session).unwrap_or(false),
        callback_uri: env.filled("CODEX_MCP_CALLBACK_URI").map(str::to_owned),
        contract: match manner {
            Manner::Codex => Contract::Codex,
            Manner::Documented => {
                Contract::Documented { structured: env.filled("STRUCTURED_CONTENT_ENABLED").is_some_and(is_on) }
            }
        },
    }
}

fn is_on(word: &str) -> bool {
    ["1", "true", "yes", "on"].contains(&word.trim().to_ascii_lowercase().as_str())
}

/// Whoever starts us somewhere means that place, and a person's own files are theirs to have worked on.
fn default_roots(cwd: &std::path::Path, env: &Env) -> Vec<PathBuf> {
    env.filled("HOME").map(PathBuf::from).into_iter().chain([cwd.to_owned()]).collect()
}

fn environment(config: &Config, env: &Env) -> Vec<(OsString, OsString)> {
    let providers = config.codex.own.env_keys.iter().chain(&config.codex.env_vars).map(String::as_str);
    let names = PASSED_ON.into_iter().chain(LOWER_CASE_PROXIES).chain(providers);
    let mut set: Vec<(OsString, OsString)> =
        names.filter_map(|name| Some((name.into(), env.get(name)?.into()))).collect();
    // Ours may have been named otherwise than by the variable.
    set.push(("CODEX_HOME".into(), config.home.clone().into()));
    set.reverse();
    set.sort_by(|a, b| a.0.cmp(&b.0));
    set.dedup_by(|a, b| a.0 == b.0);
    set
}
