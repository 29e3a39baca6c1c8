//! Every setting as it holds, with where it was written and what it hides. For people who ask why; what the settings
//! mean is told elsewhere.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::draft::to_value;
use super::layers::{Layer, Layers};
use super::node::{Node, Table, Value};
use super::place::{Place, Source};
use super::project;
use super::refs;
use super::resolve::replaces;
use super::secret::{looks_secret, mask_urls, mask_words};
use super::sections::SECTIONS;
use super::server;
use super::types::{Gate, Limits};
use super::{Approvals, Audit, Data};
use gate::mask::MASK;

/// One setting.
#[derive(Debug, Clone, PartialEq)]
pub struct Effective {
    /// Its dotted key, as TOML would have it.
    pub key: String,
    /// What it is, as TOML.
    pub text: String,
    /// The same as JSON.
    pub value: Json,
    /// The layer it was written in; none for a default.
    pub source: Option<Source>,
    /// Where; none for a default.
    pub place: Option<Place>,
    /// Where it was written too, without effect.
    pub shadowed: Vec<Place>,
}

/// All settings by key, first what holds and then what managed files demand; secrets are masked unless `secrets`.
/// What stands in a file that cannot be used whole is none.
pub fn settings(layers: &Layers, secrets: bool) -> Vec<Effective> {
    let mut found = Found { secrets, all: BTreeMap::new() };
    for layer in layers.layers.iter().filter(|layer| layer.problems.is_empty()) {
        found.layer(layer);
    }
    found.defaults();
    let mut managed = Found { secrets, all: BTreeMap::new() };
    for file in layers.managed.iter().filter(|file| file.problems.is_empty()) {
        let ours = |key: &String| SECTIONS.contains(&key.as_str()) || MANAGED.contains(&key.as_str());
        for (key, node) in file.table.iter().filter(|(key, _)| ours(key)) {
            managed.leaves(Source::Managed, &[key], node);
        }
    }
    found.all.into_values().chain(managed.all.into_values()).collect()
}

/// What managed files alone may say.
const MANAGED: [&str; 4] = ["require_decisions", "high_impact", "team", "mcp_servers"];

struct Found {
    secrets: bool,
    all: BTreeMap<String, Effective>,
}

impl Found {
    fn layer(&mut self, layer: &Layer) {
        if let Some(Node { value: Value::Table(servers), .. }) = layer.table.get("mcp_servers") {
            for (name, node) in servers {
                self.server(layer.source, name, node);
            }
        }
        if matches!(layer.source, Source::Toolgate | Source::Override) {
            for (key, node) in layer.table.iter().filter(|(key, _)| SECTIONS.contains(&key.as_str())) {
                self.leaves(layer.source, &[key], node);
            }
        }
    }

    fn server(&mut self, source: Source, name: &str, node: &Node) {
        let node = match source {
            Source::Project => &project::narrowed(name, node.clone()).0,
            _ => node,
        };
        let prefix = format!("{}.", dotted(&["mcp_servers", name]));
        let below: Vec<_> = self.all.keys().filter(|key| key.starts_with(&prefix)).cloned().collect();
        let lowest = below.iter().filter_map(|key| self.all[key].source).min();
        let gone: BTreeMap<_, _> = match lowest {
            Some(lowest) if replaces(lowest, source, node) => {
                below.into_iter().filter_map(|key| self.all.remove_entry(&key)).collect()
            }
            _ => BTreeMap::new(),
        };
        self.leaves(source, &["mcp_servers", name], node);
        for (key, old) in gone {
            if let Some(setting) = self.all.get_mut(&key) {
                setting.shadowed.extend(old.shadowed.into_iter().chain(old.place));
            }
        }
    }

    fn leaves(&mut self, source: Source, path: &[&str], node: &Node) {
        match &node.value {
            Value::Table(table) if !table.is_empty() => {
                for (key, node) in table {
                    self.leaves(source, &[path, &[key]].concat(), node);
                }
            }
            _ => self.leaf(source, path, node),
        }
    }

    fn leaf(&mut self, source: Source, path: &[&str], node: &Node) {
        let mut node = node.clone();
        if !self.secrets {
            mask(path, &mut node.value);
        }
        let value = to_value(&node.value);
        let text = value.as_ref().map_or_else(|| format!("# {}", node.value.kind()), |value| value.to_string());
        let (key, place) = (dotted(path), Some(node.place.clone()));
        let below = if adds(path) { None } else { self.all.remove(&key) };
        let shadowed = below.map(|old| old.shadowed.into_iter().chain(old.place).collect()).unwrap_or_default();
        // The rules of each layer add to those of the others.
        let id = if self.all.contains_key(&key) { format!("{key}\0{}", self.all.len()) } else { key.clone() };
        let text = text.trim().to_owned();
        self.all.insert(id, Effective { key, text, value: json(&node.value), source: Some(source), place, shadowed });
    }

    fn defaults(&mut self) {
        for (key, value) in defaults() {
            let text = if let Json::Array(_) = value { "[]".to_owned() } else { value.to_string() };
            let (key, shadowed) = (key.to_owned(), Vec::new());
            let setting = Effective { key: key.clone(), text, value, source: None, place: None, shadowed };
            self.all.entry(key).or_insert(setting);
        }
    }
}

fn adds(path: &[&str]) -> bool {
    matches!(path, ["policy" | "governance", ..])
}

fn dotted(path: &[&str]) -> String {
    path.iter().map(|key| toml_edit::Key::new(*key).to_string().trim().to_owned()).collect::<Vec<_>>().join(".")
}

fn json(value: &Value) -> Json {
    match value {
        Value::Text(text) => text.as_str().into(),
        Value::Integer(number) => (*number).into(),
        Value::Float(number) => (*number).into(),
        Value::Bool(flag) => (*flag).into(),
        Value::Other(_) => Json::Null,
        Value::Array(items) => items.iter().map(|item| json(&item.value)).collect(),
        Value::Table(table) => Json::Object(object(table)),
    }
}

fn object(table: &Table) -> serde_json::Map<String, Json> {
    table.iter().map(|(key, node)| (key.clone(), json(&node.value))).collect()
}

/// Hides what may be secret of a setting; a reference is none.
fn mask(path: &[&str], value: &mut Value) {
    match value {
        Value::Text(text) if refs::is_reference(text) => {}
        Value::Text(text) if is_secret(path) => MASK.clone_into(text),
        Value::Text(text) => *text = mask_urls(text),
        Value::Array(items) if matches!(path, ["mcp_servers", _, "args"]) => mask_args(items),
        Value::Array(items) => items.iter_mut().for_each(|item| mask(path, &mut item.value)),
        Value::Table(table) => {
            table.iter_mut().for_each(|(key, node)| mask(&[path, &[key]].concat(), &mut node.value));
        }
        Value::Integer(_) | Value::Float(_) | Value::Bool(_) | Value::Other(_) => {}
    }
}

/// Hides what may be secret of arguments; together, because one may say what the next is.
pub(super) fn mask_args(items: &mut [Node]) {
    let text = |item: &Node| if let Value::Text(text) = &item.value { text.clone() } else { String::new() };
    let masked = mask_words(&items.iter().map(text).collect::<Vec<_>>());
    for (item, masked) in items.iter_mut().zip(masked) {
        if let Value::Text(text) = &mut item.value {
            *text = masked;
        }
    }
}

fn is_secret(path: &[&str]) -> bool {
    match path {
        ["mcp_servers", _, "env" | "http_headers" | "headers", ..] => true,
        ["mcp_servers", _, "http_headers_helper" | "bearer_token", ..] => true,
        ["mcp_servers", _, "oauth", key, ..] => looks_secret(key),
        ["mcp_servers", _, key, ..] => !server::is_known(key) && looks_secret(key),
        _ => false,
    }
}

/// What holds where nothing is written.
fn defaults() -> Vec<(&'static str, Json)> {
    let (gate, limits) = (Gate::default(), Limits::default());
    let (approvals, data, audit) = (Approvals::default(), Data::default(), Audit::default());
    vec![
        ("gate.listen", gate.listen.to_string().into()),
        ("gate.prefix", gate.prefix.word().into()),
        ("gate.tool_names", gate.tool_names.word().into()),
        ("gate.profile", gate.profile.word().into()),
        ("gate.startup", gate.startup.word().into()),
        ("limits.max_message_bytes", limits.max_message_bytes.into()),
        ("limits.max_concurrent_calls", limits.max_concurrent_calls.into()),
        ("limits.max_concurrent_calls_per_server", limits.server.max_concurrent_calls.into()),
        ("limits.max_tools", limits.server.max_tools.into()),
        ("limits.max_pages", limits.server.max_pages.into()),
        ("limits.max_output_bytes", limits.max_output_bytes.into()),
        ("approvals.by_client", approvals.by_client.into()),
        ("approvals.timeout_sec", approvals.timeout.as_secs().into()),
        ("approvals.notify", approvals.notify.into()),
        ("data.detect", data.detect.word().into()),
        ("data.handles", data.handles.into()),
        ("audit.args", audit.args.word().into()),
        ("audit.strict", audit.strict.into()),
        ("audit.reads_when_broken", audit.reads_when_broken.into()),
    ]
}
