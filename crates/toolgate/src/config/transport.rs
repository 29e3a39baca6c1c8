//! How a server is reached: the keys of a child process or of an HTTP address, checked.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::declared::DeclaredTool;
use super::env::Env;
use super::fields::{Fields, FromNode, Kind};
use super::node::{Node, Value};
use super::oauth::OAuth;
use super::place::{Place, Problem};
use super::refs;
use super::secret::Address;
use super::types::{Http, Stdio, Transport};
use gate::Secret;

const STDIO_KEYS: [&str; 5] = ["command", "args", "env", "env_vars", "cwd"];
const HTTP_KEYS: [&str; 11] = [
    "url",
    "http_headers",
    "headers",
    "env_http_headers",
    "http_headers_helper",
    "bearer_token_env_var",
    "auth",
    "oauth",
    "oauth_resource",
    "oauth_registration",
    "scopes",
];

/// What is wrong with an entry that says in no way how its server is reached.
pub const NO_TRANSPORT: &str = "invalid transport";

/// Takes the transport's keys; a key of the other transport is refused by its name.
pub(super) fn read(fields: &mut Fields, declared: &[DeclaredTool], env: &Env) -> Result<Transport, Problem> {
    let place = fields.place().clone();
    let kind = fields.either::<Kind>("transport", "type")?;
    let inferred = match kind {
        Some(kind) => kind,
        None if fields.has("command") => Kind::Stdio,
        None if fields.has("url") => Kind::StreamableHttp,
        None if declared.iter().any(|tool| tool.exec.is_some()) => return handlers(fields).map(Transport::Handlers),
        None if !declared.is_empty() => return alone(fields),
        None => return Err(Problem::new(&place, NO_TRANSPORT).hint("set `command` or `url`")),
    };
    if let Some(tool) = declared.iter().find(|tool| tool.exec.is_some()) {
        let message = format!("the tool `{}` has `exec`, and its server is reached in another way", tool.name);
        return Err(Problem::new(&place, message).hint("a server with `command` or `url` runs its own tools"));
    }
    refuse_bearer_token(fields, inferred)?;
    if inferred == Kind::Stdio {
        refuse(fields, &HTTP_KEYS, "stdio")?;
        stdio(fields, env).map(Transport::Stdio)
    } else {
        refuse(fields, &STDIO_KEYS, "streamable_http")?;
        http(fields, inferred == Kind::Sse).map(Transport::Http)
    }
}

/// Declared tools alone. What would say how to reach a server says nothing here.
fn alone(fields: &Fields) -> Result<Transport, Problem> {
    refuse(fields, &STDIO_KEYS, "declared tools")?;
    refuse(fields, &HTTP_KEYS, "declared tools")?;
    Ok(Transport::Declared)
}

/// Declared tools that programs are run for. What is said of the programs holds for all of them.
fn handlers(fields: &mut Fields) -> Result<Stdio, Problem> {
    refuse(fields, &["command", "args"], "tools with `exec`")?;
    refuse(fields, &HTTP_KEYS, "tools with `exec`")?;
    let cwd = fields.get("cwd")?;
    let variables = fields.place_of("env");
    let env: BTreeMap<String, Secret> = fields.or("env", BTreeMap::new())?;
    check_names(env.keys(), &variables)?;
    Ok(Stdio { command: String::new(), args: Vec::new(), env, env_vars: env_vars(fields)?, cwd, split: false })
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
    // What a reference makes of it is looked at when it is resolved.
    if !is_http(&url) && !refs::has(&url) {
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
        oauth: OAuth::read(fields)?,
        sse,
    })
}

/// Whether this is the address of a server.
pub(super) fn is_http(url: &str) -> bool {
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
