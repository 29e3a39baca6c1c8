//! Tools that somebody declared and nobody serves: listed as such, and why a call of one cannot be.

use std::collections::BTreeMap;

use serde_json::Value;
use serde_json::value::RawValue;

use super::items::Row;
use crate::config::{Config, DeclaredTool, Server, Transport};
use crate::ui::Failure;
use crate::wire;

/// The declared tools of all enabled servers that are nothing else, or of one of them.
pub fn rows(config: &Config, name: Option<&str>) -> Vec<Row> {
    let chosen = servers(config).filter(|server| name.is_none_or(|name| name == server.name));
    chosen.flat_map(|server| server.declared.iter().map(|tool| row(server, tool))).collect()
}

/// Whether a server is only declared.
pub fn is_alone(config: &Config, name: &str) -> bool {
    servers(config).any(|server| server.name == name)
}

/// Fails for a tool that is declared and not served, called by its name on the gate.
///
/// # Errors
/// Why it cannot be called.
pub fn callable(config: &Config, tool: &str) -> Result<(), Failure> {
    let tool = tool.strip_prefix("mcp__").unwrap_or(tool);
    let meant = |server: &&Server| server.declared.iter().any(|declared| exposed(server, declared) == tool);
    servers(config).find(meant).map_or(Ok(()), |server| Err(wire::no_transport(server)))
}

/// What a server offers otherwise than its entry declares, a line each. `offered` are raw names and definitions.
pub fn drift<'a>(declared: &[DeclaredTool], offered: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Vec<String> {
    let offered: BTreeMap<&str, &[u8]> = offered.into_iter().collect();
    let schema =
        |definition: &[u8]| serde_json::from_slice::<Value>(definition).map(|mut tool| tool["inputSchema"].take());
    let mut lines = Vec::new();
    for tool in declared {
        match offered.get(tool.name.as_str()) {
            None => lines.push(format!("declared, but not offered: {}", tool.name)),
            Some(live) if schema(live).ok() != schema(tool.definition().as_bytes()).ok() => {
                lines.push(format!("differs: {}", tool.name));
            }
            Some(_) => {}
        }
    }
    let new = offered.keys().filter(|name| declared.iter().all(|tool| tool.name != **name));
    lines.extend(new.map(|name| format!("offered, but not declared: {name}")));
    lines
}

fn servers(config: &Config) -> impl Iterator<Item = &Server> {
    config.servers.values().filter(|server| server.enabled && server.transport == Transport::Declared)
}

fn exposed(server: &Server, tool: &DeclaredTool) -> String {
    format!("{}__{}", server.name, tool.name)
}

fn row(server: &Server, tool: &DeclaredTool) -> Row {
    Row {
        name: exposed(server, tool),
        server: server.name.clone(),
        raw_name: tool.name.clone(),
        decision: None,
        declared: true,
        definition: RawValue::from_string(tool.definition()).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_offered_otherwise_than_declared_is_told() {
        let tool = |name: &str| DeclaredTool {
            name: name.to_owned(),
            description: None,
            input_schema: r#"{"type":"object","required":["a"]}"#.to_owned(),
            exec: None,
        };
        let same: &[u8] = br#"{"name":"same","description":"x","inputSchema":{"required":["a"],"type":"object"}}"#;
        let other: &[u8] = br#"{"name":"other","inputSchema":{"type":"object"}}"#;
        let declared = [tool("same"), tool("other"), tool("gone")];
        let lines = drift(&declared, [("same", same), ("other", other), ("new", other)]);
        assert_eq!(lines, ["differs: other", "declared, but not offered: gone", "offered, but not declared: new"]);
        assert!(drift(&declared[..1], [("same", same)]).is_empty());
    }
}
