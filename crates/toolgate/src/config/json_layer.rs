//! Servers in JSON files: `config.json`, and the files of projects that other programs read too. From text to a tree
//! that knows its places; what the settings mean is told elsewhere.

use std::path::Path;
use std::sync::Arc;

use serde_json::Value as Json;

use super::node::{self, Node, Table, Value};
use super::place::{Place, Problem};
use super::refs;
use crate::jsonc::{Doc, Kind, Node as Found};

/// What the servers' table is called in such files, the best name last.
pub(super) const KEYS: [&str; 2] = ["mcpServers", "mcp_servers"];

/// Reads a file's text; only the servers are taken, under `mcp_servers`. An empty text holds nothing.
pub(super) fn parse(path: &Arc<Path>, text: &str) -> (Table, Vec<Problem>) {
    if text.trim().is_empty() {
        return (Table::new(), Vec::new());
    }
    let doc = match Doc::parse(text) {
        Ok(doc) => doc,
        Err(mistake) => {
            let problem = Problem::new(&Place::at(path, text, mistake.offset), format!("not JSON: {}", mistake.what));
            return (Table::new(), vec![problem]);
        }
    };
    if !doc.root().is_object() {
        let problem = Problem::new(&Place::at(path, text, 0), "invalid type: expected an object");
        return (Table::new(), vec![problem]);
    }
    let mut table = Table::new();
    for key in KEYS {
        if let Some(found) = doc.get(&[key]) {
            let servers = entries(reading(&doc, path, found));
            node::merge(&mut table, Table::from([("mcp_servers".to_owned(), servers)]));
        }
    }
    (table, Vec::new())
}

/// The same of a file in which Claude Code's `${NAME}` stands for a variable.
pub(super) fn parse_claudes(path: &Arc<Path>, text: &str) -> (Table, Vec<Problem>) {
    let (mut table, problems) = parse(path, text);
    table.values_mut().for_each(|node| texts(node, &|text| *text = refs::from_claude(text)));
    (table, problems)
}

fn texts(node: &mut Node, change: &dyn Fn(&mut String)) {
    match &mut node.value {
        Value::Text(text) => change(text),
        Value::Array(items) => items.iter_mut().for_each(|item| texts(item, change)),
        Value::Table(table) => table.values_mut().for_each(|item| texts(item, change)),
        Value::Integer(_) | Value::Float(_) | Value::Bool(_) | Value::Other(_) => {}
    }
}

fn reading(doc: &Doc, path: &Arc<Path>, found: &Found) -> Node {
    let place = Place::at(path, doc.as_str(), found.span.start);
    let value = match &found.kind {
        Kind::Object(members) => {
            Value::Table(members.iter().map(|member| (member.key.clone(), reading(doc, path, &member.node))).collect())
        }
        Kind::Array(items) => Value::Array(items.iter().map(|item| reading(doc, path, item)).collect()),
        Kind::Text(text) => Value::Text(text.clone()),
        Kind::Plain => match doc.value(found) {
            Json::Bool(flag) => Value::Bool(flag),
            Json::Number(number) => node::number(&number),
            _ => Value::Other("null"),
        },
    };
    Node { place, value }
}

/// Other programs write `disabled`, and say what is missing with a null.
fn entries(mut servers: Node) -> Node {
    let Value::Table(table) = &mut servers.value else {
        return servers;
    };
    for node in table.values_mut() {
        let Value::Table(entry) = &mut node.value else { continue };
        entry.retain(|_, node| node.value != Value::Other("null"));
        if let Some(Node { value: Value::Bool(disabled), place }) = entry.get("disabled").cloned() {
            entry.remove("disabled");
            if disabled {
                entry.insert("enabled".to_owned(), Node { place, value: Value::Bool(false) });
            }
        }
    }
    servers
}
