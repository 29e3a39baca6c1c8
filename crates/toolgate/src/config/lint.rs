//! What is dangerous in the files although it can be used: secrets written out, and names made to be mistaken.

use std::collections::BTreeMap;
use std::path::Path;

use super::node::{Node, Table, Value};
use super::place::{Origin, Place, Problem, ServerError, Source};
use super::secret::{looks_secret, url_secrets};

/// A secret that stands in a server's entry itself. Its text is never quoted.
pub(super) struct InClear {
    /// Where, and what to do.
    pub(super) problem: Problem,
    /// Whether it is without doubt the token of some maker, and does not just have the name of a secret.
    pub(super) certain: bool,
}

/// The secrets that stand in a server's entry.
pub(super) fn literal_secrets(name: &str, entry: &Node) -> Vec<InClear> {
    let Value::Table(table) = &entry.value else {
        return Vec::new();
    };
    if matches!(table.get("allow_inline_secrets"), Some(Node { value: Value::Bool(true), .. })) {
        return Vec::new();
    }
    let mut found = Vec::new();
    let mut warn = |node: &Node, what: String, text: &str, hint: &str| {
        if let Place::File { .. } = node.place {
            let message = format!("`mcp_servers.{name}.{what}` holds a secret in clear");
            found.push(InClear { problem: Problem::new(&node.place, message).hint(hint), certain: is_token(text) });
        }
    };
    for (key, node, text) in texts(table, "env") {
        if is_secret(key, text) {
            warn(node, format!("env.{key}"), text, "export it and name the variable in `env_vars` instead");
        }
    }
    for (key, node, text) in texts(table, "http_headers").chain(texts(table, "headers")) {
        if is_secret(key, text.rsplit(' ').next().unwrap_or(text)) {
            let hint = "name a variable in `bearer_token_env_var` or `env_http_headers` instead";
            warn(node, format!("http_headers.{key}"), text, hint);
        }
    }
    for (key, node, text) in arguments(table) {
        if is_token(text) || !url_secrets(text).is_empty() {
            warn(node, key.to_owned(), text, "hand it over in a variable named in `env_vars`, or in a header");
        }
    }
    found
}

/// That a file with a secret in it can be read by others.
pub(super) fn readable(path: &Path) -> Problem {
    let place = Place::at(&path.into(), "", 0);
    Problem::new(&place, "this file holds a secret in clear and others can read it")
        .hint(format!("chmod 600 {}", path.display()))
}

fn texts<'a>(table: &'a Table, key: &str) -> impl Iterator<Item = (&'a str, &'a Node, &'a str)> + use<'a> {
    let inner = match table.get(key) {
        Some(Node { value: Value::Table(inner), .. }) => Some(inner),
        _ => None,
    };
    inner.into_iter().flatten().filter_map(|(key, node)| match &node.value {
        Value::Text(text) => Some((key.as_str(), node, text.as_str())),
        _ => None,
    })
}

fn arguments(table: &Table) -> Vec<(&'static str, &Node, &str)> {
    let mut found = Vec::new();
    for key in ["command", "url", "args"] {
        let Some(node) = table.get(key) else { continue };
        let nodes = if let Value::Array(items) = &node.value { items.iter().collect() } else { vec![node] };
        found.extend(nodes.into_iter().filter_map(|node| match &node.value {
            Value::Text(text) => Some((key, node, text.as_str())),
            _ => None,
        }));
    }
    found
}

/// Whether a setting of this name and text is a secret, and no place for one (`${TOKEN}`, `<token>`).
fn is_secret(key: &str, text: &str) -> bool {
    is_token(text) || (looks_secret(key) && text.len() >= 6 && !text.starts_with(['$', '<', '/']))
}

/// How tokens of well-known makers begin.
const TOKENS: [&str; 20] = [
    "ghp_",
    "gho_",
    "ghu_",
    "ghs_",
    "ghr_",
    "github_pat_",
    "glpat-",
    "sk-",
    "sk_live_",
    "rk_live_",
    "xoxb-",
    "xoxp-",
    "xapp-",
    "AKIA",
    "ASIA",
    "AIza",
    "npm_",
    "pypi-",
    "hf_",
    "eyJ",
];

/// Whether a text is without doubt the token of some maker.
pub(crate) fn is_token(text: &str) -> bool {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || "_-.".contains(c)));
    words.into_iter().any(|word| word.len() >= 20 && TOKENS.iter().any(|start| word.starts_with(start)))
}

/// Names that look like an earlier one: each is refused, by the place of the one it looks like.
pub(super) fn lookalikes<'a>(entries: impl IntoIterator<Item = (&'a str, &'a Origin)>) -> Vec<ServerError> {
    let mut entries: Vec<_> = entries.into_iter().collect();
    // In one file the upper one came first, and what a project brings never spoils what its user has.
    entries.sort_by_key(|(_, origin)| order(origin));
    let mut seen: BTreeMap<String, (&str, &Place)> = BTreeMap::new();
    let mut refused = Vec::new();
    for (name, origin) in entries {
        let place = &origin.place;
        let first = *seen.entry(gate::pin::skeleton(name)).or_insert((name, place));
        if first.0 != name {
            let message = format!("its name is too easily taken for `{}`, {}", first.0.escape_debug(), first.1);
            let problem = Problem::new(place, message).hint("give one of them another name");
            refused.push(ServerError { name: name.to_owned(), problem });
        }
    }
    refused
}

fn order(origin: &Origin) -> (u8, usize, usize) {
    let rank = match origin.source {
        Source::Codex => 0,
        Source::Toolgate => 1,
        Source::Json => 2,
        Source::Profile => 3,
        Source::Override | Source::Managed => 4,
        Source::Project => 5,
    };
    match origin.place {
        Place::File { line, column, .. } => (rank, line, column),
        Place::Json { .. } | Place::Override { .. } => (rank, 0, 0),
    }
}
