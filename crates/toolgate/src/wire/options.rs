//! One server's configuration, as each room wants to hear it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::{Selection, System, bounds, handlers};
use crate::config::{self, ApprovalMode, Config, Env, Http, Prefix, Server, Stdio, ToolNames, Transport};
use crate::ui::Failure;
use gate::Code;
use gate::{Mode, Naming, PrefixStyle, Secret, ServerName};
use upstream::oauth::{Settings, Tokens};

/// Tells a server the homes of the gates above it, so that a gate among its own servers is found out.
const WITHIN: &str = "TOOLGATE_WITHIN";

/// Whether this process runs as a server of a gate with the same home: it would start itself without end.
pub fn is_own_server(config: &Config, env: &Env) -> bool {
    std::env::split_paths(env.get(WITHIN).unwrap_or_default()).any(|home| home == config.home)
}

/// Whether this process was started by a gate, of whatever home.
pub fn is_within(env: &Env) -> bool {
    env.get(WITHIN).is_some()
}

/// Whether a server is this very program on the same home, as it stands in Codex's file for Codex's use.
pub fn is_ourselves(server: &Server, env: &Env) -> bool {
    let Transport::Stdio(stdio) = &server.transport else { return false };
    let path = env.get("PATH").unwrap_or_default();
    let program = sandbox::resolve_program(stdio.command.as_ref(), stdio.cwd.as_deref(), path.as_ref());
    let same = |program: PathBuf| match (program.canonicalize(), std::env::current_exe()) {
        (Ok(program), Ok(own)) => program == own.canonicalize().unwrap_or(own),
        _ => false,
    };
    let home = stdio.env.get("CODEX_HOME").map(|home| PathBuf::from(home.expose()));
    home.is_none_or(|home| env.codex_home() == Some(home)) && program.is_ok_and(same)
}

/// The server names a gate shows, in order.
pub fn names(servers: &[&Server], selection: &Selection) -> Vec<ServerName> {
    let ours = selection.own(servers).into_iter().map(|own| ServerName::from(own.name()));
    servers.iter().map(|server| ServerName::from(server.name.as_str())).chain(ours).collect()
}

/// How tools are named.
pub fn naming(config: &Config, servers: &[&Server]) -> Naming {
    let per_server = servers.iter().map(|server| (server.name.as_str().into(), prefix(server.prefix)));
    // Callers know these tools by the names that are documented for them.
    let ours = [builtin::codex::NAME, builtin::workspace::NAME];
    let bare = ours.into_iter().map(|name| (name.into(), PrefixStyle::Never));
    Naming {
        prefix: prefix(config.gate.prefix),
        per_server: bare.chain(per_server).collect(),
        mcp_prefix: config.gate.tool_names == ToolNames::Mcp,
        ..Naming::default()
    }
}

fn prefix(prefix: Prefix) -> PrefixStyle {
    match prefix {
        Prefix::Always => PrefixStyle::Always,
        Prefix::Conditional => PrefixStyle::Conditional,
        Prefix::Never => PrefixStyle::Never,
    }
}

/// An approval mode, in the gate's words.
pub fn mode(mode: ApprovalMode) -> Mode {
    match mode {
        ApprovalMode::Auto => Mode::Auto,
        ApprovalMode::Prompt => Mode::Prompt,
        ApprovalMode::Writes => Mode::Writes,
        ApprovalMode::Approve => Mode::Approve,
        ApprovalMode::Deny => Mode::Deny,
    }
}

/// Every secret these servers are given.
pub fn secrets(config: &Config, servers: &[&Server], env: &Env) -> Vec<Secret> {
    let written = servers.iter().flat_map(|server| config::secrets(server, env));
    let web = servers.iter().filter(|server| matches!(server.transport, Transport::Http(_)));
    let granted = web.flat_map(|server| upstream::oauth::secrets(&config.state_dir(), &server.name));
    written.chain(granted).collect()
}

/// Who we are to servers.
pub fn client_info() -> upstream::ClientInfo {
    upstream::ClientInfo { name: "toolgate".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() }
}

/// One server, as its link wants to hear it.
///
/// # Errors
/// A variable that has to be set and is not; a reference that stands for nothing.
pub fn upstream(config: &Config, server: &Server, env: &Env) -> Result<upstream::Options, Failure> {
    let server = &config::expanded(server, env)?;
    let transport = match &server.transport {
        Transport::Stdio(stdio) => child(config, server, stdio, env),
        Transport::Http(http) => address(config, server, http, env)?,
        Transport::Handlers(stdio) => handlers::within(config, server, stdio, env, digest(config, server, env)),
        Transport::Declared => return Err(no_transport(server)),
    };
    let limits = mcp::Limits {
        frame_bytes: server.limits.max_message_bytes,
        event_bytes: server.limits.max_message_bytes,
        list_pages: server.limits.max_pages,
        list_items: server.limits.max_tools,
        ..mcp::Limits::default()
    };
    Ok(upstream::Options {
        name: server.name.as_str().into(),
        transport,
        startup_timeout: server.startup_timeout,
        call_timeout: server.tool_timeout,
        idle_timeout: server.idle_timeout,
        protocol: match server.protocol {
            config::Protocol::Auto => upstream::Protocol::Auto,
            config::Protocol::Legacy => upstream::Protocol::Legacy,
            config::Protocol::Modern => upstream::Protocol::Modern,
        },
        roots: roots(server),
        workspace: workspace(env),
        max_concurrent_calls: server.limits.max_concurrent_calls,
        version: server.version.clone(),
        config_digest: digest(config, server, env),
        limits,
    })
}

/// Why a server whose tools are only declared cannot be called.
pub fn no_transport(server: &Server) -> Failure {
    let message = format!("server '{}' declares tools but has no command, url or handler", server.name);
    let hint = format!("say how to reach it, `toolgate mcp configure {} command=…` or `url=…`", server.name);
    Failure::new(gate::State::NoTransport.code(), message).hint(hint)
}

fn child(config: &Config, server: &Server, stdio: &Stdio, env: &Env) -> upstream::Transport {
    let above = std::env::split_paths(env.get(WITHIN).unwrap_or_default());
    let within = std::env::join_paths(above.chain([config.home.clone()])).unwrap_or_default();
    let bounds = server.sandbox.as_ref().map(|bounds| bounds::profile(config, server, stdio, bounds, env));
    let mut env = config::child_env(server, env);
    env.push((WITHIN.to_owned(), within.to_string_lossy().into_owned()));
    let path = env.iter().find(|(key, _)| key == "PATH").map_or_else(String::new, |(_, path)| path.clone());
    upstream::Transport::Stdio(upstream::StdioOptions {
        program: stdio.command.clone().into(),
        args: stdio.args.iter().map(Into::into).collect(),
        env: env.into_iter().map(|(key, value)| (key.into(), value.into())).collect(),
        cwd: stdio.cwd.clone(),
        path_for_lookup: path.into(),
        profile: bounds.map(Box::new),
    })
}

fn address(config: &Config, server: &Server, http: &Http, env: &Env) -> Result<upstream::Transport, Failure> {
    if http.headers_helper.is_some() {
        let message = format!("server `{}`: `http_headers_helper` is not supported yet", server.name);
        return Err(Failure::new(Code::ConfigInvalid, message)
            .hint("use `env_http_headers` or `bearer_token_env_var` with a variable that holds the value"));
    }
    let mut headers: Vec<(String, Secret)> =
        http.headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    for (name, variable) in &http.env_headers {
        // Like Codex, a header whose variable is unset is left away.
        headers.extend(env.filled(variable).map(|value| (name.clone(), Secret::new(value))));
    }
    if let Some(variable) = &http.bearer_token_env_var {
        let token = env.filled(variable).ok_or_else(|| {
            let message = format!("Environment variable {variable} for MCP server '{}' is not set", server.name);
            Failure::new(Code::UpstreamAuthRequired, message).hint(format!("export {variable}=… and try again"))
        })?;
        headers.push(("Authorization".to_owned(), Secret::new(format!("Bearer {token}"))));
    }
    let url = http.url.expose().to_owned();
    let oauth =
        if has_token(http) { None } else { Tokens::new(config.state_dir(), &server.name, &url, Arc::new(System)) };
    Ok(upstream::Transport::Http(upstream::HttpOptions { url, headers, sse: http.sse, oauth }))
}

/// Whether an entry brings its own token: then nobody logs in.
pub fn has_token(http: &Http) -> bool {
    let mut names = http.headers.keys().chain(http.env_headers.keys());
    http.bearer_token_env_var.is_some() || names.any(|name| name.eq_ignore_ascii_case("authorization"))
}

fn no_address() -> Failure {
    Failure::new(Code::ArgsInvalid, "OAuth login is only supported for streamable HTTP servers.")
}

/// A login at a server, as its entry wants it.
///
/// # Errors
/// A server that is a child process; a variable that has to be set and is not.
pub fn login_of(config: &Config, server: &Server, env: &Env) -> Result<upstream::oauth::Login, Failure> {
    let server = &config::expanded(server, env)?;
    let Transport::Http(http) = &server.transport else { return Err(no_address()) };
    let upstream::Transport::Http(link) = address(config, server, http, env)? else { return Err(no_address()) };
    let config::OAuth { client_id, client_secret, callback_port, resource, scopes, registration } = http.oauth.clone();
    let registration = match registration {
        config::Registration::Auto => upstream::oauth::Registration::Auto,
        config::Registration::Cimd => upstream::oauth::Registration::Document,
        config::Registration::Dcr => upstream::oauth::Registration::Dynamic,
    };
    Ok(upstream::oauth::Login {
        state_dir: config.state_dir(),
        server: server.name.clone(),
        url: link.url,
        headers: link.headers,
        settings: Settings { client_id, client_secret, resource, scopes, registration, callback_port },
        scopes: None,
        challenge: None,
        clock: Arc::new(System),
    })
}

/// The directories a server is told it may use: `ALLOWED_DIRS` of its environment, else its working directory.
fn roots(server: &Server) -> Vec<upstream::Root> {
    let Transport::Stdio(stdio) = &server.transport else { return Vec::new() };
    let allowed = stdio.env.get("ALLOWED_DIRS").map(|dirs| dirs.expose().to_owned());
    let dirs: Vec<PathBuf> = match &allowed {
        Some(dirs) => dirs.split(':').filter(|dir| !dir.is_empty()).map(PathBuf::from).collect(),
        None => stdio.cwd.iter().cloned().collect(),
    };
    dirs.iter().filter_map(|dir| std::path::absolute(dir).ok()).map(|dir| root(&dir)).collect()
}

/// Where toolgate was started: for an agent's gate, the project the agent works in.
fn workspace(env: &Env) -> Option<upstream::Root> {
    let dir = std::env::current_dir().ok().filter(|dir| *dir != Path::new("/"))?;
    // A gate that was started at home serves no project, and home is no root to hand out unasked.
    (env.filled("HOME").map(Path::new) != Some(&dir)).then(|| root(&dir))
}

fn root(dir: &Path) -> upstream::Root {
    let name = dir.file_name().map(|name| name.to_string_lossy().into_owned());
    upstream::Root { uri: file_uri(dir), name }
}

fn file_uri(dir: &Path) -> String {
    use std::fmt::Write;
    use std::os::unix::ffi::OsStrExt;
    dir.as_os_str().as_bytes().iter().fold("file://".to_owned(), |mut uri, byte| {
        if byte.is_ascii_alphanumeric() || b"/-._~".contains(byte) {
            uri.push(char::from(*byte));
        } else {
            let _ = write!(uri, "%{byte:02X}");
        }
        uri
    })
}

/// Changes when anything changes that could change what the server lists. Holds no secret that could be guessed
/// from it: it is salted with the place of the home.
fn digest(config: &Config, server: &Server, env: &Env) -> String {
    let mut digest = Sha256::new();
    let mut add = |text: &str| {
        digest.update(text.len().to_le_bytes());
        digest.update(text);
    };
    add(&config.home.to_string_lossy());
    match &server.transport {
        Transport::Stdio(stdio) | Transport::Handlers(stdio) => {
            add(&stdio.command);
            stdio.args.iter().for_each(|arg| add(arg));
            add(&format!("{:?}", stdio.cwd));
            stdio.env.iter().for_each(|(key, value)| {
                add(key);
                add(value.expose());
            });
            stdio.env_vars.iter().for_each(|key| add(env.get(key).unwrap_or_default()));
        }
        Transport::Http(http) => {
            add(http.url.expose());
            http.headers.iter().for_each(|(name, value)| {
                add(name);
                add(value.expose());
            });
        }
        Transport::Declared => {}
    }
    server.declared.iter().filter(|tool| tool.exec.is_some()).for_each(|tool| add(&format!("{tool:?}")));
    add(&format!("{:?}", server.protocol));
    server.sandbox.iter().for_each(|bounds| add(&format!("{bounds:?}")));
    digest.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// The bounds on what clients may send.
pub fn client_limits(config: &Config) -> mcp::Limits {
    mcp::Limits { frame_bytes: config.limits.max_message_bytes, ..mcp::Limits::default() }
}

/// What the ledger's files are made with.
///
/// # Errors
/// When the key that signs the record cannot be read or made.
pub fn ledger_door(config: &Config) -> Result<store::Door, Failure> {
    let tool = concat!("toolgate ", env!("CARGO_PKG_VERSION")).into();
    let signer = store::Signer::load_or_make(&config.state_dir()).map_err(|error| {
        Failure::new(Code::StoreUnavailable, "the key that signs the record cannot be used")
            .caused_by(error)
            .hint("check the files `audit.key` and `audit.pub`; to begin with a new key, put both elsewhere")
    })?;
    Ok(store::Door { clock: Arc::new(System), ids: Arc::new(System), tool, signer: Arc::new(signer) })
}

/// How the record is kept.
pub fn ledger_options(config: &Config) -> store::Options {
    let days = |days: usize| Duration::from_secs(days as u64 * 24 * 60 * 60);
    let max_age = config.audit.retention_days.map(days);
    let max_bytes = config.audit.max_bytes.map(|bytes| bytes as u64);
    store::Options { retention: store::Retention { max_age, max_bytes }, ..store::Options::default() }
}
