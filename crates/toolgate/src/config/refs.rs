//! References in the settings of a server: `${env:NAME}`, `${env:NAME:-DEFAULT}`, `${file:PATH}` and `${keyring:NAME}`
//! stand for what they name, and `$${` for `${` itself. They are resolved when a server is about to be reached, never when files are
//! read: what is shown is the reference.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::env::Env;
use super::node::{Node, Value};
use super::place::Source;
use super::secret::{Address, looks_secret};
use super::transport;
use super::types::{Server, Transport};
use super::vault::{self, VaultError};
use gate::Secret;

/// Why a reference stands for nothing.
#[derive(Debug, thiserror::Error)]
pub enum RefError {
    /// Its variable is not set.
    #[error("`{key}` names the environment variable {variable}, which is not set")]
    Unset {
        /// The setting.
        key: String,
        /// The variable.
        variable: String,
    },
    /// Its file cannot be used.
    #[error("`{key}` names the file {path}, which {why}", path = path.display())]
    File {
        /// The setting.
        key: String,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Its secret is not kept.
    #[error("`{key}` names the secret {name}, which is not kept")]
    NotKept {
        /// The setting.
        key: String,
        /// The secret.
        name: String,
    },
    /// Its secret cannot be had.
    #[error("`{key}` names a secret that cannot be had: {source}")]
    Vault {
        /// The setting.
        key: String,
        /// Why.
        source: VaultError,
    },
    /// A project may not read its user's files and secrets.
    #[error("`{key}` names a file or a secret, and a project's entry may not")]
    OfProject {
        /// The setting.
        key: String,
    },
    /// What it stands for does not fit where it stands.
    #[error("`{key}` is {what} once its references are resolved")]
    Unfit {
        /// The setting.
        key: String,
        /// What it is.
        what: &'static str,
    },
}

impl RefError {
    /// What would help.
    pub fn hint(&self) -> String {
        match self {
            Self::Unset { variable, .. } => format!("export {variable}=… and try again"),
            Self::NotKept { name, .. } => format!("keep it with `toolgate config secret set {name}`"),
            Self::Vault { source, .. } => source.hint().unwrap_or_else(|| "look after the keyring".to_owned()),
            Self::File { .. } => "write the value into that file, and let nobody else read it".to_owned(),
            Self::OfProject { .. } => "export a variable and name it with `${env:NAME}`".to_owned(),
            Self::Unfit { .. } => "check what the reference names".to_owned(),
        }
    }
}

/// A server with all its references resolved. Those of one that is barred stay what they are: it is not reached.
///
/// # Errors
/// The first reference that stands for nothing.
pub fn expanded(server: &Server, env: &Env) -> Result<Server, RefError> {
    let mut copy = server.clone();
    if server.barred.is_none() {
        Resolving::of(server, env).server(&mut copy)?;
    }
    Ok(copy)
}

/// The same, as far as it goes, and the secrets that the references stand for.
pub(super) fn expanded_as_far_as_possible(server: &Server, env: &Env) -> (Server, Vec<String>) {
    let mut copy = server.clone();
    let mut resolving = Resolving::of(server, env);
    if server.barred.is_none() && resolving.server(&mut copy).is_err() {
        copy = server.clone();
    }
    (copy, resolving.secrets)
}

/// Whether a text holds a reference.
pub(super) fn has(text: &str) -> bool {
    pieces(text).iter().any(|piece| !matches!(piece, Piece::Text(_)))
}

/// Whether a text is one reference and nothing else but perhaps the word of a scheme: no secret stands in it.
pub fn is_reference(text: &str) -> bool {
    let text = ["Bearer ", "Basic ", "token "].iter().find_map(|word| text.strip_prefix(word)).unwrap_or(text);
    matches!(pieces(text)[..], [Piece::Variable { default: None, .. } | Piece::File(_) | Piece::Kept(_)])
}

/// Whether a setting holds a reference.
pub(super) fn within(node: &Node) -> bool {
    match &node.value {
        Value::Text(text) => has(text),
        Value::Array(items) => items.iter().any(within),
        Value::Table(table) => table.values().any(within),
        Value::Integer(_) | Value::Float(_) | Value::Bool(_) | Value::Other(_) => false,
    }
}

/// The variables of toolgate's own environment that a server gets, beside those that all get.
pub fn variables(server: &Server) -> Vec<String> {
    let named = |text: &str| -> Vec<String> {
        let name = |piece| match piece {
            Piece::Variable { name, .. } => Some(name.to_owned()),
            Piece::Text(_) | Piece::File(_) | Piece::Kept(_) => None,
        };
        pieces(text).into_iter().filter_map(name).collect()
    };
    let (texts, mut found): (Vec<&str>, Vec<String>) = match &server.transport {
        Transport::Stdio(stdio) | Transport::Handlers(stdio) => {
            let values = stdio.env.values().map(Secret::expose);
            let texts = stdio.args.iter().map(String::as_str).chain(values).chain([stdio.command.as_str()]);
            (texts.chain(stdio.cwd.as_ref().and_then(|cwd| cwd.to_str())).collect(), stdio.env_vars.clone())
        }
        Transport::Http(http) => {
            let texts = http.headers.values().chain(&http.oauth.client_secret);
            let texts = texts.map(Secret::expose).chain([http.url.expose()]);
            let named = http.env_headers.values().chain(&http.bearer_token_env_var);
            (texts.collect(), named.cloned().collect())
        }
        Transport::Declared => (Vec::new(), Vec::new()),
    };
    found.extend(texts.into_iter().flat_map(named));
    found.sort();
    found.dedup();
    found
}

/// A text of Claude Code in our spelling: `${NAME}` and `${NAME:-DEFAULT}` name variables there.
pub(super) fn from_claude(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, after) = rest.split_at(at + 2);
        out.push_str(before);
        let name = after.split(['}', ':']).next().unwrap_or_default();
        let end = &after[name.len()..];
        if is_name(name) && (end.starts_with('}') || end.starts_with(":-")) {
            out.push_str("env:");
        }
        rest = after;
    }
    out + rest
}

enum Piece<'a> {
    Text(&'a str),
    Variable { name: &'a str, default: Option<&'a str> },
    File(&'a str),
    Kept(&'a str),
}

fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let escaped = rest[..at].ends_with('$');
        let reference = reference(&rest[at + 2..]).filter(|_| !escaped);
        let before = if escaped { at - 1 } else { at };
        found.push(Piece::Text(&rest[..before]));
        match reference {
            Some((piece, after)) => (found.push(piece), rest = after),
            None => (found.push(Piece::Text("${")), rest = &rest[at + 2..]),
        };
    }
    found.push(Piece::Text(rest));
    found.retain(|piece| !matches!(piece, Piece::Text("")));
    found
}

/// The reference that begins here, and what is behind it. What is none is text.
fn reference(text: &str) -> Option<(Piece<'_>, &str)> {
    let (body, after) = text.split_once('}')?;
    let piece = if let Some(body) = body.strip_prefix("env:") {
        let (name, default) = body.split_once(":-").map_or((body, None), |(name, default)| (name, Some(default)));
        is_name(name).then_some(Piece::Variable { name, default })?
    } else if let Some(path) = body.strip_prefix("file:") {
        (!path.is_empty()).then_some(Piece::File(path))?
    } else {
        Piece::Kept(body.strip_prefix("keyring:").filter(|name| !name.is_empty())?)
    };
    Some((piece, after))
}

fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

struct Resolving<'a> {
    name: String,
    env: &'a Env,
    /// What relative files are relative to.
    dir: PathBuf,
    of_project: bool,
    secrets: Vec<String>,
}

impl<'a> Resolving<'a> {
    fn of(server: &Server, env: &'a Env) -> Self {
        let dir = server.origin.place.path().and_then(Path::parent).map(Path::to_owned).unwrap_or_default();
        let of_project = server.origin.source == Source::Project;
        Self { name: server.name.clone(), env, dir, of_project, secrets: Vec::new() }
    }

    fn server(&mut self, server: &mut Server) -> Result<(), RefError> {
        match &mut server.transport {
            Transport::Stdio(stdio) | Transport::Handlers(stdio) => {
                self.replace("command", &mut stdio.command)?;
                stdio.args.iter_mut().try_for_each(|arg| self.replace("args", arg))?;
                if let Some(text) = stdio.cwd.as_ref().and_then(|cwd| cwd.to_str()) {
                    stdio.cwd = Some(self.text("cwd", text)?.into());
                }
                for (key, value) in &mut stdio.env {
                    *value = Secret::new(self.text(&format!("env.{key}"), value.expose())?);
                }
            }
            Transport::Http(http) => {
                let url = self.text("url", http.url.expose())?;
                if !transport::is_http(&url) {
                    return Err(self.unfit("url", "no http:// or https:// address"));
                }
                http.url = Address::new(url);
                for (name, value) in &mut http.headers {
                    let key = format!("http_headers.{name}");
                    let text = self.text(&key, value.expose())?;
                    if text.chars().any(char::is_control) {
                        return Err(self.unfit(&key, "no header"));
                    }
                    *value = Secret::new(text);
                }
                if let Some(secret) = &mut http.oauth.client_secret {
                    *secret = Secret::new(self.text("oauth.client_secret", secret.expose())?);
                }
            }
            Transport::Declared => {}
        }
        Ok(())
    }

    fn replace(&mut self, key: &str, text: &mut String) -> Result<(), RefError> {
        *text = self.text(key, text)?;
        Ok(())
    }

    fn text(&mut self, key: &str, text: &str) -> Result<String, RefError> {
        let mut out = String::with_capacity(text.len());
        for piece in pieces(text) {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Variable { name, default } => out.push_str(&self.variable(key, name, default)?),
                Piece::File(path) => out.push_str(&self.file(key, path)?),
                Piece::Kept(name) => out.push_str(&self.kept(key, name)?),
            }
        }
        Ok(out)
    }

    fn variable(&mut self, key: &str, name: &str, default: Option<&str>) -> Result<String, RefError> {
        let value = self.env.filled(name).or(default);
        let value = value.ok_or_else(|| RefError::Unset { key: self.key(key), variable: name.to_owned() })?;
        if looks_secret(name) {
            self.secrets.push(value.to_owned());
        }
        Ok(value.to_owned())
    }

    fn file(&mut self, key: &str, path: &str) -> Result<String, RefError> {
        if self.of_project {
            return Err(RefError::OfProject { key: self.key(key) });
        }
        let home = path.strip_prefix("~/").and_then(|path| Some(Path::new(self.env.filled("HOME")?).join(path)));
        let path = home.unwrap_or_else(|| self.dir.join(path));
        let text = read(&path).map_err(|why| RefError::File { key: self.key(key), path, why })?;
        self.secrets.push(text.clone());
        Ok(text)
    }

    fn kept(&mut self, key: &str, name: &str) -> Result<String, RefError> {
        if self.of_project {
            return Err(RefError::OfProject { key: self.key(key) });
        }
        let vault = vault::vault(self.env);
        let secret = vault.map(|vault| vault.get(name)).transpose();
        let secret = secret.map_err(|source| RefError::Vault { key: self.key(key), source })?.flatten();
        let secret = secret.ok_or_else(|| RefError::NotKept { key: self.key(key), name: name.to_owned() })?;
        self.secrets.push(secret.expose().to_owned());
        Ok(secret.expose().to_owned())
    }

    fn unfit(&self, key: &str, what: &'static str) -> RefError {
        RefError::Unfit { key: self.key(key), what }
    }

    fn key(&self, key: &str) -> String {
        format!("mcp_servers.{}.{key}", self.name)
    }
}

/// The longest file that is taken for one value, in bytes.
const LONGEST: u64 = 64 << 10;

/// A file's text without its last line end.
fn read(path: &Path) -> Result<String, String> {
    let cannot = |error| format!("cannot be read: {error}");
    // A pipe would be waited for without end.
    if !std::fs::metadata(path).map_err(cannot)?.is_file() {
        return Err("is no regular file".to_owned());
    }
    let mut text = String::new();
    File::open(path).and_then(|file| file.take(LONGEST + 1).read_to_string(&mut text)).map_err(cannot)?;
    if text.len() as u64 > LONGEST {
        return Err(format!("is longer than {LONGEST} bytes"));
    }
    let line = text.strip_suffix('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
    Ok(line.unwrap_or(&text).to_owned())
}
