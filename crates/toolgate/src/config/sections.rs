//! The tables of toolgate.toml beside the servers: their names, their keys, and the two that are read nowhere else.
//! Not here: how layers become one table.

use std::net::SocketAddr;

use super::codex::CODEX;
use super::fields::Fields;
use super::governing::{APPROVALS, AUDIT, DATA};
use super::place::Problem;
use super::server;
use super::types::{Gate, Limits};
use super::workspace::WORKSPACE;

/// The tables of toolgate.toml beside the servers.
pub(super) const SECTIONS: [&str; 9] =
    ["gate", "limits", "policy", "governance", "approvals", "data", "audit", "codex", "workspace"];

/// The keys of one of them.
pub(super) fn section_keys(section: &str) -> &'static [&'static str] {
    match section {
        "gate" => &["listen", "prefix", "tool_names", "profile", "startup", "compact_schemas_above"],
        "approvals" => &APPROVALS,
        "data" => &DATA,
        "audit" => &AUDIT,
        "codex" => &CODEX,
        "workspace" => &WORKSPACE,
        _ => &[
            "max_message_bytes",
            "max_concurrent_calls",
            "max_concurrent_calls_per_server",
            "max_tools",
            "max_pages",
            "max_calls_per_session",
            "max_repeated_calls",
            "max_output_bytes",
            "max_result_bytes",
        ],
    }
}

/// `[gate]`.
pub(super) fn gate(fields: &mut Fields) -> Result<Gate, Problem> {
    let default = Gate::default();
    let place = fields.place_of("listen");
    let listen = match fields.get::<String>("listen")? {
        None => default.listen,
        Some(text) => text.parse::<SocketAddr>().map_err(|_| {
            Problem::new(&place, "`listen` is no address with a port").hint("write it like `127.0.0.1:7420`")
        })?,
    };
    Ok(Gate {
        listen,
        prefix: fields.or("prefix", default.prefix)?,
        tool_names: fields.or("tool_names", default.tool_names)?,
        profile: fields.or("profile", default.profile)?,
        startup: fields.or("startup", default.startup)?,
        compact_schemas_above: fields.get("compact_schemas_above")?,
    })
}

/// `[limits]`.
pub(super) fn limits(fields: &mut Fields) -> Result<Limits, Problem> {
    let default = Limits::default();
    let server = server::server_limits(fields, &default.server, "max_concurrent_calls_per_server")?;
    Ok(Limits {
        // One size for both directions, already taken above.
        max_message_bytes: server.max_message_bytes,
        max_concurrent_calls: fields.or("max_concurrent_calls", default.max_concurrent_calls)?,
        max_calls_per_session: fields.get("max_calls_per_session")?,
        max_repeated_calls: fields.get("max_repeated_calls")?,
        max_output_bytes: fields.or("max_output_bytes", default.max_output_bytes)?,
        server,
    })
}
