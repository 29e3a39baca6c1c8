//! How a server is shown by `list` and `get`, in Codex's shapes. Secrets are masked unless asked for.

pub mod bounds;

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::content::visible;
use crate::config::{Config, DeclaredTool, Env, Http, Server, Stdio, Transport, is_reference, mask_urls, mask_words};
use crate::wire;
use gate::mask::MASK;
use gate::state::{Auth, Last, Status};
use gate::{Secret, State};

/// Shows servers with or without their secrets.
#[derive(Clone, Copy)]
pub struct Shown<'a> {
    /// Whether secrets are printed in clear.
    pub secrets: bool,
    /// Where forwarded variables have their values.
    pub env: &'a Env,
}

impl Shown<'_> {
    fn secret(self, secret: &Secret) -> String {
        if self.secrets || is_reference(secret.expose()) { secret.expose().to_owned() } else { secret.to_string() }
    }

    fn text(self, text: &str) -> String {
        if self.secrets { text.to_owned() } else { mask_urls(text) }
    }

    fn words(self, words: &[String]) -> Vec<String> {
        if self.secrets { words.to_vec() } else { mask_words(words) }
    }

    fn map(self, map: &BTreeMap<String, Secret>) -> Option<BTreeMap<&str, String>> {
        let pairs = map.iter().map(|(key, value)| (key.as_str(), self.secret(value)));
        (!map.is_empty()).then(|| pairs.collect())
    }

    /// The arguments as Codex shows them: joined by blanks, `-` for none.
    pub fn args(self, stdio: &Stdio) -> String {
        dash(self.words(&stdio.args).join(" "))
    }

    /// The address.
    pub fn url(self, http: &Http) -> String {
        self.text(http.url.expose())
    }

    /// The variables a child gets beyond the common ones, `-` for none.
    pub fn env(self, stdio: &Stdio) -> String {
        let own = stdio.env.iter().map(|(key, value)| format!("{key}={}", self.secret(value)));
        let forwarded = stdio.env_vars.iter().map(|key| match self.env.get(key) {
            Some(value) if self.secrets => format!("{key}={value}"),
            _ => format!("{key}={MASK}"),
        });
        dash(own.chain(forwarded).collect::<Vec<_>>().join(", "))
    }

    /// The static headers, `-` for none.
    pub fn headers(self, http: &Http) -> String {
        let pairs = http.headers.iter().map(|(name, value)| format!("{name}={}", self.secret(value)));
        dash(pairs.collect::<Vec<_>>().join(", "))
    }

    /// The transport as Codex's JSON has it.
    pub fn transport(self, server: &Server) -> impl Serialize {
        match &server.transport {
            Transport::Stdio(stdio) => json!({
                "type": "stdio",
                "command": stdio.command,
                "args": self.words(&stdio.args),
                "env": self.map(&stdio.env),
                "env_vars": stdio.env_vars,
                "cwd": stdio.cwd,
            }),
            Transport::Http(http) => json!({
                "type": if http.sse { "sse" } else { "streamable_http" },
                "url": self.url(http),
                "bearer_token_env_var": http.bearer_token_env_var,
                "http_headers": self.map(&http.headers),
                "env_http_headers": (!http.env_headers.is_empty()).then_some(&http.env_headers),
                "http_headers_helper": http.headers_helper.as_ref().map(|_| "<redacted>"),
            }),
            Transport::Handlers(stdio) => json!({
                "type": "handlers",
                "tools": server.declared.iter().map(|tool| &tool.name).collect::<Vec<_>>(),
                "env": self.map(&stdio.env),
                "env_vars": stdio.env_vars,
                "cwd": stdio.cwd,
            }),
            Transport::Declared => json!({
                "type": "declared",
                "tools": server.declared.iter().map(|tool| &tool.name).collect::<Vec<_>>(),
            }),
        }
    }

    /// What toolgate knows of a server beyond Codex, by the names the settings have in the files.
    pub fn own(self, server: &Server) -> Map<String, Value> {
        let mut own = Map::new();
        let mut put = |key: &str, value: Value| own.insert(key.to_owned(), value);
        put("startup", server.startup.word().into());
        put("protocol", server.protocol.word().into());
        put("prefix", server.prefix.word().into());
        put("trust", server.trust.word().into());
        put("read_only", server.read_only.into());
        put("default_tools_approval_mode", server.default_approval.unwrap_or_default().word().into());
        put("sandbox", server.sandbox.as_ref().map_or(Value::Null, bounds::json));
        put("idle_timeout_sec", server.idle_timeout.map(|time| time.as_secs_f64()).into());
        own
    }

    /// The whole way to a server in one line: a command line or an address.
    pub fn reach(self, server: &Server) -> String {
        match &server.transport {
            Transport::Stdio(stdio) => {
                let words: Vec<_> = std::iter::once(self.text(&stdio.command)).chain(self.words(&stdio.args)).collect();
                shlex::try_join(words.iter().map(String::as_str)).unwrap_or_else(|_| words.join(" "))
            }
            Transport::Http(http) => self.url(http),
            Transport::Declared => declared(server),
            Transport::Handlers(_) => server.declared.iter().filter_map(handler).collect::<Vec<_>>().join("; "),
        }
    }
}

/// Why a server is disabled. Codex does not tell when a person did it.
pub fn disabled_reason(status: &Status, as_codex: bool) -> Option<&'static str> {
    status.disabled_reason.filter(|reason| !(as_codex && *reason == USER))
}

const USER: &str = "user";

/// The word for how a server is authenticated, in the table and in JSON. Nothing is asked over the network for it.
pub fn auth(config: &Config, server: &Server, env: &Env) -> (&'static str, &'static str) {
    match wire::auth(config, server, env) {
        Auth::Unsupported => ("Unsupported", "unsupported"),
        Auth::BearerToken => ("Bearer token", "bearer_token"),
        Auth::Unknown => ("Unknown", "unknown"),
        Auth::NotLoggedIn => ("Not logged in", "not_logged_in"),
        Auth::OAuth => ("OAuth", "o_auth"),
    }
}

/// All that is worth saying of a server's state, one thing per line, each behind `indent`.
pub fn standing(status: &Status, indent: &str) -> String {
    let mut lines = vec![("state", since(status.state.label(), status.since_micros))];
    let mut say = |what: &'static str, text: Option<String>| lines.extend(text.map(|text| (what, text)));
    say("why", status.reason.as_ref().map(|_| status.sentence()));
    say("sandbox", status.sandbox.clone());
    say("tools", status.tools_error.as_ref().map(|why| format!("not known: {why}")));
    say("changed", status.version_changed.as_ref().map(|change| format!("version_changed: {}", change.text())));
    say("last error", status.last_error.as_ref().filter(|_| status.state.is_up()).map(past));
    say("last seen", status.last_seen.as_ref().map(past));
    status.stderr.iter().for_each(|line| say("it printed", Some(line.clone())));
    say("next", (status.state != State::Connected).then(|| status.next.clone()));
    lines.iter().map(|(what, text)| format!("{indent}{what}: {}\n", visible(text).replace('\n', "\\n"))).collect()
}

fn past(last: &Last) -> String {
    let why = last.reason.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
    format!("{} at {}{why}", last.state.label(), moment(last.at_micros))
}

fn since(text: String, micros: Option<u64>) -> String {
    match micros {
        Some(micros) => format!("{text} since {}", moment(micros)),
        None => text,
    }
}

/// A moment as people and machines read it, in seconds of UTC.
pub fn moment(micros: u64) -> String {
    let seconds = i64::try_from(micros / 1_000_000).unwrap_or(i64::MAX);
    jiff::Timestamp::from_second(seconds).map_or_else(|_| "-".to_owned(), |time| time.to_string())
}

/// The names of the tools that an entry declares.
pub fn declared(server: &Server) -> String {
    server.declared.iter().map(|tool| tool.name.as_str()).collect::<Vec<_>>().join(", ")
}

/// A timeout as Codex shows it: only when it was written.
pub fn seconds(written: bool, time: std::time::Duration) -> Option<f64> {
    written.then_some(time.as_secs_f64())
}

/// `-` in the place of nothing.
pub fn dash(text: String) -> String {
    if text.is_empty() { "-".to_owned() } else { text }
}

/// Where a server's entry stands, as JSON.
pub fn source(server: &Server) -> Value {
    let place = &server.origin.place;
    let places = |places: &[crate::config::Place]| places.iter().map(ToString::to_string).collect::<Vec<_>>();
    json!({
        "path": place.path(),
        "place": place.to_string(),
        "key": format!("mcp_servers.{}", server.name),
        "added": places(&server.origin.added),
        "shadowed": places(&server.origin.shadowed),
    })
}

/// The same in words.
pub fn origin(server: &Server) -> String {
    let mut text = server.origin.place.to_string();
    for place in &server.origin.added {
        text.push_str(&format!(", added to by {place}"));
    }
    for place in &server.origin.shadowed {
        text.push_str(&format!(", shadows {place}"));
    }
    text
}

/// What is run for a tool, in one line.
fn handler(tool: &DeclaredTool) -> Option<String> {
    let words = tool.exec.as_ref()?;
    let line = shlex::try_join(words.iter().map(String::as_str)).unwrap_or_else(|_| words.join(" "));
    Some(format!("{}: {}", tool.name, line.replace('\n', "\\n")))
}

/// Well-known servers whose published examples do not work as written.
pub fn known_pitfall(server: &Server) -> Option<&'static str> {
    let Transport::Stdio(stdio) = &server.transport else {
        return None;
    };
    let package = |name: &str| stdio.args.iter().any(|arg| arg.trim_start_matches("@modelcontextprotocol/") == name);
    let has = |key: &str| stdio.env.contains_key(key) || stdio.env_vars.iter().any(|var| var == key);
    if package("server-github") && has("GITHUB_TOKEN") && !has("GITHUB_PERSONAL_ACCESS_TOKEN") {
        return Some("server-github reads GITHUB_PERSONAL_ACCESS_TOKEN, not GITHUB_TOKEN");
    }
    if package("server-postgres") && has("DATABASE_URL") && !stdio.args.iter().any(|arg| arg.contains("://")) {
        return Some("server-postgres takes the database URL as an argument, not from DATABASE_URL");
    }
    None
}
