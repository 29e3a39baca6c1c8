//! toolgate's own environment as a value, and what of it a child process and the masks get.
//! Nothing here reads the process environment: `main` does, once.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::refs;
use super::secret::{looks_secret, url_secrets};
use super::types::{Http, Server, Stdio, Transport};
use gate::Secret;

/// The environment toolgate was started with. Variables that are not UTF-8 are left out.
#[derive(Clone, Default)]
pub struct Env(BTreeMap<String, String>);

impl Env {
    /// The environment as the system gives it.
    pub fn from_os(vars: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let text = |(key, value): (OsString, OsString)| Some((key.into_string().ok()?, value.into_string().ok()?));
        Self(vars.into_iter().filter_map(text).collect())
    }

    /// The same with a variable that is this path, if that is UTF-8.
    #[must_use]
    pub fn with(mut self, key: &str, path: &Path) -> Self {
        if let Some(text) = path.to_str() {
            self.0.insert(key.to_owned(), text.to_owned());
        }
        self
    }

    /// The value of a variable.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// The value of a variable, unless it is empty.
    pub fn filled(&self, key: &str) -> Option<&str> {
        self.get(key).filter(|value| !value.is_empty())
    }

    /// `$CODEX_HOME`, by default `~/.codex`, made absolute. None when `HOME` is not set either.
    pub fn codex_home(&self) -> Option<PathBuf> {
        let home = match self.filled("CODEX_HOME") {
            Some(home) => PathBuf::from(home),
            None => PathBuf::from(self.filled("HOME")?).join(".codex"),
        };
        std::path::absolute(home).ok()
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Env {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        Self(pairs.into_iter().map(|(key, value)| (key.into(), value.into())).collect())
    }
}

/// What a child gets of toolgate's environment without being named: the list of Codex. Proxies, cloud
/// credentials and interpreter options are not on it; `env_vars` passes them on where they are wanted.
const PASSED_ON: [&str; 20] = [
    "HOME",
    "LOGNAME",
    "PATH",
    "SHELL",
    "USER",
    "__CF_USER_TEXT_ENCODING",
    "LANG",
    "LC_ALL",
    "TERM",
    "TMPDIR",
    "TZ",
    "SSL_CERT_FILE",
    "CURL_CA_BUNDLE",
    "REQUESTS_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
    "GIT_SSL_CAINFO",
    "PIP_CERT",
    "NPM_CONFIG_CAFILE",
    "CARGO_HTTP_CAINFO",
    "BUNDLE_SSL_CA_CERT",
];

/// The whole environment of a server's child process, sorted by key: the passed-on list, then `env_vars`
/// (those that are set), then `env`. Empty for a server that is no child process.
pub fn child_env(server: &Server, env: &Env) -> Vec<(String, String)> {
    let (Transport::Stdio(stdio) | Transport::Handlers(stdio)) = &server.transport else {
        return Vec::new();
    };
    let named = stdio.env_vars.iter().map(String::as_str);
    let mut vars: BTreeMap<String, String> =
        PASSED_ON.into_iter().chain(named).filter_map(|key| Some((key.to_owned(), env.get(key)?.to_owned()))).collect();
    vars.extend(stdio.env.iter().map(|(key, value)| (key.clone(), value.expose().to_owned())));
    vars.into_iter().collect()
}

/// Values shorter than this are not masked: they occur by chance.
const SHORTEST_SECRET: usize = 6;

/// The secrets toolgate holds for a server, each once: bearer tokens and header values always (with and
/// without their scheme), the value of a variable whose name looks secret, and what URLs in variables, arguments
/// and the address carry as password or secret parameter (as written and percent-decoded). A plain variable
/// such as a directory or a flag is no secret: masking it would damage innocent results. What a reference to a file
/// or to a variable whose name looks secret stands for is one.
pub fn secrets(server: &Server, env: &Env) -> Vec<Secret> {
    let (server, named) = refs::expanded_as_far_as_possible(server, env);
    let mut found = Found::default();
    named.iter().for_each(|value| found.add(value));
    match &server.transport {
        Transport::Stdio(stdio) | Transport::Handlers(stdio) => found.stdio(stdio, env),
        Transport::Http(http) => found.http(http, env),
        Transport::Declared => {}
    }
    found.0.into_iter().map(Secret::new).collect()
}

#[derive(Default)]
struct Found(BTreeSet<String>);

impl Found {
    fn stdio(&mut self, stdio: &Stdio, env: &Env) {
        for (key, value) in &stdio.env {
            self.variable(key, value.expose());
        }
        for key in &stdio.env_vars {
            self.variable(key, env.get(key).unwrap_or_default());
        }
        for arg in &stdio.args {
            self.urls(arg);
        }
    }

    fn http(&mut self, http: &Http, env: &Env) {
        self.urls(http.url.expose());
        for value in http.headers.values() {
            self.header(value.expose());
        }
        for key in http.env_headers.values().chain(&http.bearer_token_env_var) {
            self.header(env.get(key).unwrap_or_default());
        }
        if let Some(secret) = &http.oauth.client_secret {
            self.add(secret.expose());
        }
    }

    fn variable(&mut self, key: &str, value: &str) {
        if looks_secret(key) {
            self.add(value);
        }
        self.urls(value);
    }

    fn header(&mut self, value: &str) {
        self.add(value);
        if let Some((_scheme, credentials)) = value.trim().split_once(' ') {
            self.add(credentials);
        }
    }

    fn urls(&mut self, text: &str) {
        for range in url_secrets(text) {
            let secret = &text[range];
            self.add(secret);
            self.add(&percent_decoded(secret));
        }
    }

    fn add(&mut self, value: &str) {
        let value = value.trim();
        if value.len() >= SHORTEST_SECRET {
            self.0.insert(value.to_owned());
        }
    }
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let hex = tail.get(..2).filter(|_| first == b'%').and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => (bytes.push(byte), rest = &tail[2..]),
            None => (bytes.push(first), rest = tail),
        };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
