//! One `[mcp_servers.NAME]` table becomes a [`Server`], or the first reason why it cannot.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::env::Env;
use super::fields::{Fields, FromNode, Kind, Millis};
use super::node::{Node, Value};
use super::place::{Place, Problem};
use super::secret::{Address, Secret};
use super::types::{
    ApprovalMode, Gate, Http, Origin, Prefix, Protocol, Server, ServerLimits, Startup, Stdio, Transport, Trust, Written,
};

/// Keys that say how a server is reached: an entry with one of them stands on its own.
pub(super) const TRANSPORT_KEYS: [&str; 2] = ["command", "url"];

/// Keys that Codex does not know. It drops them when it rewrites its file, or refuses to start.
const OWN_KEYS: [&str; 12] = [
    "startup",
    "protocol",
    "prefix",
    "trust",
    "read_only",
    "idle_timeout_sec",
    "limits",
    "version",
    "transport",
    "type",
    "headers",
    "description",
];

/// Keys of Codex.
const CODEX_KEYS: [&str; 30] = [
    "command",
    "args",
    "env",
    "env_vars",
    "cwd",
    "url",
    "bearer_token_env_var",
    "bearer_token",
    "http_headers",
    "env_http_headers",
    "http_headers_helper",
    "auth",
    "oauth",
    "oauth_resource",
    "scopes",
    "environment_id",
    "enabled",
    "required",
    "startup_timeout_sec",
    "startup_timeout_ms",
    "tool_timeout_sec",
    "startup_readiness",
    "default_tools_approval_mode",
    "enabled_tools",
    "disabled_tools",
    "tools",
    "supports_parallel_tool_calls",
    "omit_tools_from",
    "tool_input_schema_max_bytes",
    "name",
];

const STDIO_KEYS: [&str; 5] = ["command", "args", "env", "env_vars", "cwd"];
const HTTP_KEYS: [&str; 10] = [
    "url",
    "http_headers",
    "headers",
    "env_http_headers",
    "http_headers_helper",
    "bearer_token_env_var",
    "auth",
    "oauth",
    "oauth_resource",
    "scopes",
];

/// Whether a key means something in a server's entry.
pub(super) fn is_known(key: &str) -> bool {
    CODEX_KEYS.contains(&key) || OWN_KEYS.contains(&key)
}

/// Whether Codex would stumble over this setting: a key it does not know, or the approval mode `deny`.
pub(super) fn is_own(key: &str, node: &Node) -> bool {
    match (key, &node.value) {
        ("default_tools_approval_mode", value) => is_deny(value),
        ("tools", Value::Table(tools)) => tools.values().any(|tool| match &tool.value {
            Value::Table(tool) => tool.get("approval_mode").is_some_and(|mode| is_deny(&mode.value)),
            _ => false,
        }),
        _ => OWN_KEYS.contains(&key),
    }
}

fn is_deny(value: &Value) -> bool {
    matches!(value, Value::Text(mode) if mode == ApprovalMode::Deny.word())
}

/// What an entry is read with.
pub(super) struct Context<'a> {
    pub(super) env: &'a Env,
    pub(super) gate: &'a Gate,
    pub(super) limits: &'a ServerLimits,
}

/// Reads one entry; warnings are for keys nobody knows.
pub(super) fn read(
    name: &str,
    node: Node,
    origin: Origin,
    context: &Context<'_>,
) -> Result<(Server, Vec<Problem>), Problem> {
    let mut fields = Fields::of(format!("mcp_servers.{name}"), node)?;
    let transport = transport(&mut fields, context.env)?;
    let (startup_timeout, tool_timeout, written) = timeouts(&mut fields)?;
    let (tool_approvals, mut warnings) = tools(name, &mut fields)?;
    let server = Server {
        name: name.to_owned(),
        origin,
        label: fields.get("name")?,
        version: fields.get("version")?,
        enabled: fields.or("enabled", true)?,
        required: fields.or("required", false)?,
        transport,
        startup: fields.or::<Startup>("startup", context.gate.startup)?,
        startup_timeout,
        tool_timeout,
        idle_timeout: fields.get("idle_timeout_sec")?,
        written,
        enabled_tools: fields.get("enabled_tools")?,
        disabled_tools: fields.or("disabled_tools", Vec::new())?,
        default_approval: fields.or("default_tools_approval_mode", ApprovalMode::default())?,
        tool_approvals,
        read_only: fields.or("read_only", false)?,
        trust: fields.or("trust", Trust::default())?,
        protocol: fields.or("protocol", Protocol::default())?,
        prefix: fields.or::<Prefix>("prefix", context.gate.prefix)?,
        supports_parallel_tool_calls: fields.or("supports_parallel_tool_calls", false)?,
        limits: limits(name, &mut fields, context.limits, &mut warnings)?,
    };
    codex_only(&mut fields)?;
    let known: Vec<_> = CODEX_KEYS.into_iter().chain(OWN_KEYS).collect();
    warnings.extend(fields.unknown(&known));
    Ok((server, warnings))
}

const STARTUP_TIMEOUT: Duration = Duration::from_secs(30);
const TOOL_TIMEOUT: Duration = Duration::from_secs(300);

fn timeouts(fields: &mut Fields) -> Result<(Duration, Duration, Written), Problem> {
    let millis = fields.get::<Millis>("startup_timeout_ms")?.map(|Millis(time)| time);
    let startup = fields.get("startup_timeout_sec")?.or(millis);
    let tool = fields.get("tool_timeout_sec")?;
    let written = Written { startup_timeout: startup.is_some(), tool_timeout: tool.is_some() };
    Ok((startup.unwrap_or(STARTUP_TIMEOUT), tool.unwrap_or(TOOL_TIMEOUT), written))
}

/// `tools.T.approval_mode`; the other keys there concern Codex's own model context.
fn tools(name: &str, fields: &mut Fields) -> Result<(BTreeMap<String, ApprovalMode>, Vec<Problem>), Problem> {
    let mut approvals = BTreeMap::new();
    let mut warnings = Vec::new();
    for (tool, node) in fields.get::<BTreeMap<String, Node>>("tools")?.unwrap_or_default() {
        let mut entry = Fields::of(format!("mcp_servers.{name}.tools.{tool}"), node)?;
        entry.get::<usize>("output_token_limit")?;
        if let Some(mode) = entry.get("approval_mode")? {
            approvals.insert(tool, mode);
        }
        warnings.extend(entry.unknown(&["approval_mode", "output_token_limit"]));
    }
    Ok((approvals, warnings))
}

impl FromNode for Node {
    fn from_node(node: Node) -> Result<Self, Problem> {
        Ok(node)
    }
}

fn limits(
    name: &str,
    fields: &mut Fields,
    defaults: &ServerLimits,
    warnings: &mut Vec<Problem>,
) -> Result<ServerLimits, Problem> {
    let Some(node) = fields.node("limits") else {
        return Ok(*defaults);
    };
    let mut fields = Fields::of(format!("mcp_servers.{name}.limits"), node)?;
    let limits = server_limits(&mut fields, defaults, "max_concurrent_calls")?;
    warnings.extend(fields.unknown(&["max_message_bytes", "max_concurrent_calls", "max_tools", "max_pages"]));
    Ok(limits)
}

/// The limits of one server; `calls` is what the number of its calls is called there.
pub(super) fn server_limits(
    fields: &mut Fields,
    defaults: &ServerLimits,
    calls: &str,
) -> Result<ServerLimits, Problem> {
    Ok(ServerLimits {
        max_message_bytes: fields.or("max_message_bytes", defaults.max_message_bytes)?,
        max_concurrent_calls: fields.or(calls, defaults.max_concurrent_calls)?,
        max_tools: fields.or("max_tools", defaults.max_tools)?,
        max_pages: fields.or("max_pages", defaults.max_pages)?,
    })
}

/// Keys that mean something to Codex alone, and those that would mean something here but cannot be met.
fn codex_only(fields: &mut Fields) -> Result<(), Problem> {
    let place = fields.place_of("environment_id");
    if let Some(id) = fields.get::<String>("environment_id")?
        && id != "local"
    {
        return Err(Problem::new(&place, "`environment_id`: toolgate starts servers in the environment `local` only"));
    }
    for ignored in [
        "startup_readiness",
        "omit_tools_from",
        "tool_input_schema_max_bytes",
        "description",
        "auth",
        "oauth",
        "oauth_resource",
        "scopes",
    ] {
        fields.node(ignored);
    }
    Ok(())
}

fn transport(fields: &mut Fields, env: &Env) -> Result<Transport, Problem> {
    let place = fields.place().clone();
    let kind = fields.either::<Kind>("transport", "type")?;
    let inferred = match kind {
        Some(kind) => kind,
        None if fields.has("command") => Kind::Stdio,
        None if fields.has("url") => Kind::StreamableHttp,
        None => return Err(Problem::new(&place, "invalid transport").hint("set `command` or `url`")),
    };
    refuse_bearer_token(fields, inferred)?;
    if inferred == Kind::Stdio {
        refuse(fields, &HTTP_KEYS, "stdio")?;
        stdio(fields, env).map(Transport::Stdio)
    } else {
        refuse(fields, &STDIO_KEYS, "streamable_http")?;
        http(fields, inferred == Kind::Sse).map(Transport::Http)
    }
}

fn refuse(fields: &Fields, keys: &[&str], transport: &str) -> Result<(), Problem> {
    match keys.iter().find(|key| fields.has(key)) {
        Some(key) => Err(Problem::new(&fields.place_of(key), format!("`{key}` is not supported for {transport}"))),
        None => Ok(()),
    }
}

fn refuse_bearer_token(fields: &Fields, kind: Kind) -> Result<(), Problem> {
    if !fields.has("bearer_token") {
        return Ok(());
    }
    let transport = if kind == Kind::Stdio { "stdio" } else { "streamable_http" };
    let message = format!("`bearer_token` is not supported for {transport}");
    let hint = "put the token into an environment variable and name it in `bearer_token_env_var`";
    Err(Problem::new(&fields.place_of("bearer_token"), message).hint(hint))
}

fn stdio(fields: &mut Fields, env: &Env) -> Result<Stdio, Problem> {
    let place = fields.place_of("command");
    let command: String = required(fields, "command")?;
    let args = fields.get("args")?;
    let cwd: Option<PathBuf> = fields.get("cwd")?;
    let (command, args, split) = match args {
        Some(args) => (command, args, false),
        None => split_command(command, cwd.as_deref(), env, &place)?,
    };
    if command.trim().is_empty() {
        return Err(Problem::new(&place, "`command` is empty"));
    }
    let variables = fields.place_of("env");
    let own: BTreeMap<String, Secret> = fields.or("env", BTreeMap::new())?;
    check_names(own.keys(), &variables)?;
    Ok(Stdio { command, args, env: own, env_vars: env_vars(fields)?, cwd, split })
}

fn required(fields: &mut Fields, key: &str) -> Result<String, Problem> {
    let place = fields.place().clone();
    fields.get(key)?.ok_or_else(|| Problem::new(&place, format!("`{key}` is missing")))
}

/// A command that is no file but has blanks is a whole command line: it is split into words, by no shell.
fn split_command(
    command: String,
    cwd: Option<&Path>,
    env: &Env,
    place: &Place,
) -> Result<(String, Vec<String>, bool), Problem> {
    if !command.contains(char::is_whitespace) || is_file(&command, cwd, env) {
        return Ok((command, Vec::new(), false));
    }
    let Some(mut words) = shlex::split(&command) else {
        return Err(Problem::new(place, "`command`: a quote is not closed"));
    };
    if words.is_empty() {
        return Err(Problem::new(place, "`command` is empty"));
    }
    let program = words.remove(0);
    Ok((program, words, true))
}

fn is_file(command: &str, cwd: Option<&Path>, env: &Env) -> bool {
    if command.contains('/') {
        return cwd.unwrap_or(Path::new("")).join(command).is_file();
    }
    let path = env.get("PATH").unwrap_or_default();
    path.split(':').any(|dir| Path::new(dir).join(command).is_file())
}

fn check_names<'a>(names: impl IntoIterator<Item = &'a String>, place: &Place) -> Result<(), Problem> {
    let bad = |name: &&String| name.is_empty() || name.contains(['=', '\0']);
    match names.into_iter().find(bad) {
        Some(_) => Err(Problem::new(place, "the name of a variable may not be empty nor hold `=`")),
        None => Ok(()),
    }
}

/// `env_vars`: names, or tables `{name, source}`; a remote source is none that toolgate has.
fn env_vars(fields: &mut Fields) -> Result<Vec<String>, Problem> {
    let place = fields.place_of("env_vars");
    let mut names = Vec::new();
    for node in fields.or::<Vec<Node>>("env_vars", Vec::new())? {
        names.extend(
            env_var(node)
                .map_err(|problem| Problem { message: format!("`env_vars`: {}", problem.message), ..problem })?,
        );
    }
    check_names(&names, &place)?;
    Ok(names)
}

fn env_var(node: Node) -> Result<Option<String>, Problem> {
    if let Value::Text(_) = node.value {
        return String::from_node(node).map(Some);
    }
    let place = node.place.clone();
    let mut fields = Fields::of("env_vars", node)?;
    let name = required(&mut fields, "name")?;
    match fields.get::<String>("source")?.as_deref() {
        None | Some("local") => Ok(Some(name)),
        Some("remote") => Ok(None),
        Some(other) => Err(Problem::new(&place, format!("unsupported source `{other}`, expected `local` or `remote`"))),
    }
}

fn http(fields: &mut Fields, sse: bool) -> Result<Http, Problem> {
    let place = fields.place_of("url");
    let url = required(fields, "url")?;
    if !is_http(&url) {
        return Err(Problem::new(&place, "`url` is not an http:// or https:// address"));
    }
    let written = if fields.has("headers") { "headers" } else { "http_headers" };
    let place = fields.place_of(written);
    let headers: BTreeMap<String, Secret> = fields.either("http_headers", "headers")?.unwrap_or_default();
    check_headers(headers.iter().map(|(name, value)| (name.as_str(), value.expose())), written, &place)?;
    let place = fields.place_of("env_http_headers");
    let env_headers: BTreeMap<String, String> = fields.or("env_http_headers", BTreeMap::new())?;
    check_headers(env_headers.keys().map(|name| (name.as_str(), "")), "env_http_headers", &place)?;
    Ok(Http {
        url: Address::new(url),
        headers,
        env_headers,
        bearer_token_env_var: fields.get("bearer_token_env_var")?,
        headers_helper: helper(fields)?,
        sse,
    })
}

fn is_http(url: &str) -> bool {
    let lower = url.to_ascii_lowercase();
    let rest = lower.strip_prefix("http://").or_else(|| lower.strip_prefix("https://"));
    let host = rest.and_then(|rest| rest.split(['/', '?', '#']).next());
    let host = host.map(|host| host.rsplit('@').next().unwrap_or(host));
    host.is_some_and(|host| !host.is_empty() && !host.starts_with(':')) && !url.contains(|c: char| c <= ' ')
}

fn check_headers<'a>(
    headers: impl IntoIterator<Item = (&'a str, &'a str)>,
    key: &str,
    place: &Place,
) -> Result<(), Problem> {
    for (name, value) in headers {
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b)) {
            return Err(Problem::new(place, format!("`{key}`: `{}` is no header name", name.escape_default())));
        }
        if value.bytes().any(|b| (b < 0x20 && b != b'\t') || b == 0x7f) {
            return Err(Problem::new(place, format!("`{key}`: the value of `{name}` has a control character")));
        }
    }
    Ok(())
}

fn helper(fields: &mut Fields) -> Result<Option<Secret>, Problem> {
    let place = fields.place_of("http_headers_helper");
    match fields.get::<Secret>("http_headers_helper")? {
        Some(helper) if helper.expose().trim().is_empty() => {
            Err(Problem::new(&place, "`http_headers_helper` must not be empty"))
        }
        helper => Ok(helper),
    }
}
