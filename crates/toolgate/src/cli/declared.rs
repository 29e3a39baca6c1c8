//! Tools that somebody declared and nobody serves: listed as such, and why a call of one cannot be.

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
