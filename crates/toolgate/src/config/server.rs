//! One `[mcp_servers.NAME]` table becomes a [`Server`], or the first reason why it cannot.

use std::collections::BTreeMap;
use std::time::Duration;

use gate::policy::Declared;

use super::bounds;
use super::decisions::{self, Decisions};
use super::declared;
use super::env::Env;
use super::fields::{Fields, FromNode, Millis};
use super::govern::{Data, PolicySettings, ToolSettings};
use super::managed::Managed;
use super::node::{Node, Value};
use super::place::{Origin, Problem};
use super::refs;
use super::strict;
use super::transport;
use super::types::{ApprovalMode, Gate, Prefix, Protocol, Server, ServerLimits, Startup, Trust, Written};

/// Keys that say how a server is reached: an entry with one of them stands on its own.
const TRANSPORT_KEYS: [&str; 2] = ["command", "url"];

/// Keys that Codex does not know. It drops them when it rewrites its file, or refuses to start.
const OWN_KEYS: [&str; 19] = [
    "sandbox",
    "startup",
    "protocol",
    "prefix",
    "trust",
    "read_only",
    "idle_timeout_sec",
    "limits",
    "version",
    "transport",
    "type",
    "headers",
    "description",
    "scope",
    "data",
    "audit",
    "allow_inline_secrets",
    declared::KEY,
    "oauth_registration",
];

/// Keys of Codex.
const CODEX_KEYS: [&str; 30] = [
    "command",
    "args",
    "env",
    "env_vars",
    "cwd",
    "url",
    "bearer_token_env_var",
    "bearer_token",
    "http_headers",
    "env_http_headers",
    "http_headers_helper",
    "auth",
    "oauth",
    "oauth_resource",
    "scopes",
    "environment_id",
    "enabled",
    "required",
    "startup_timeout_sec",
    "startup_timeout_ms",
    "tool_timeout_sec",
    "startup_readiness",
    "default_tools_approval_mode",
    "enabled_tools",
    "disabled_tools",
    "tools",
    "supports_parallel_tool_calls",
    "omit_tools_from",
    "tool_input_schema_max_bytes",
    "name",
];

/// Whether a key means something in a server's entry.
pub(super) fn is_known(key: &str) -> bool {
    CODEX_KEYS.contains(&key) || OWN_KEYS.contains(&key)
}

/// All keys that mean something there.
pub(super) fn keys() -> impl Iterator<Item = &'static str> {
    CODEX_KEYS.into_iter().chain(OWN_KEYS)
}

/// Whether an entry says how its server is reached.
pub(super) fn defines_transport(entry: &Node) -> bool {
    matches!(&entry.value, Value::Table(table) if TRANSPORT_KEYS.iter().any(|key| table.contains_key(*key)))
}

/// Keys of a tool that Codex does not know.
const OWN_TOOL_KEYS: [&str; 3] = ["read_only", "high_impact", "max_result_bytes"];

/// Whether Codex would stumble over this setting, or take a reference in it for the value itself.
pub(super) fn is_own(key: &str, node: &Node) -> bool {
    is_own_key(key, node) || has_references(key, node)
}

/// Whether this is a setting in which references are resolved, and holds one.
pub(super) fn has_references(key: &str, node: &Node) -> bool {
    WITH_REFERENCES.contains(&key) && refs::within(node)
}

/// Settings in which references are resolved.
const WITH_REFERENCES: [&str; 8] = ["command", "args", "env", "cwd", "url", "http_headers", "headers", "oauth"];

/// Whether Codex would stumble over this setting: a key it does not know, or a value, the approval mode `deny` first.
pub(super) fn is_own_key(key: &str, node: &Node) -> bool {
    match (key, &node.value) {
        ("default_tools_approval_mode", value) => is_deny(value),
        ("tools", Value::Table(tools)) => tools.values().any(|tool| match &tool.value {
            Value::Table(tool) => {
                tool.get("approval_mode").is_some_and(|mode| is_deny(&mode.value))
                    || OWN_TOOL_KEYS.iter().any(|key| tool.contains_key(*key))
                    || tool.iter().any(|(key, node)| strict::refuses_of_tool(key, &node.value))
            }
            _ => false,
        }),
        (key, value) => OWN_KEYS.contains(&key) || strict::refuses(key, value),
    }
}

fn is_deny(value: &Value) -> bool {
    matches!(value, Value::Text(mode) if mode == ApprovalMode::Deny.word())
}

/// What an entry is read with.
pub(super) struct Context<'a> {
    pub(super) env: &'a Env,
    pub(super) gate: &'a Gate,
    pub(super) limits: &'a ServerLimits,
    pub(super) data: &'a Data,
    pub(super) policy: &'a PolicySettings,
    pub(super) managed: &'a Managed,
}

/// Reads one entry; warnings are for keys nobody knows.
pub(super) fn read(
    name: &str,
    node: Node,
    origin: Origin,
    context: &Context<'_>,
) -> Result<(Server, Vec<Problem>), Problem> {
    let mut fields = Fields::of(format!("mcp_servers.{name}"), node)?;
    let mut warnings = Vec::new();
    let auth_model = decisions::auth(name, &mut fields, &mut warnings)?;
    let declared = declared::read(&mut fields)?;
    let transport = transport::read(&mut fields, &declared, context.env)?;
    let sandbox = bounds::read(name, &mut fields, &transport, context)?;
    let (startup_timeout, tool_timeout, written) = timeouts(&mut fields)?;
    let Tools { approvals, settings } = tools(name, &mut fields, &mut warnings)?;
    let Decisions { scope, data, auth_model, audit_sink } =
        decisions::read(name, &mut fields, auth_model, context, &mut warnings)?;
    let barred =
        context.managed.bar(name, &transport).or_else(|| decisions::out_of_scope(name, &scope, context.policy));
    let server = Server {
        name: name.to_owned(),
        origin,
        label: fields.get("name")?,
        version: fields.get("version")?,
        enabled: fields.or("enabled", true)? && barred.is_none(),
        barred,
        required: fields.or("required", false)?,
        transport,
        declared,
        startup: fields.or::<Startup>("startup", context.gate.startup)?,
        startup_timeout,
        tool_timeout,
        idle_timeout: fields.get("idle_timeout_sec")?,
        written,
        enabled_tools: fields.get("enabled_tools")?,
        disabled_tools: fields.or("disabled_tools", Vec::new())?,
        default_approval: fields.get("default_tools_approval_mode")?,
        tool_approvals: approvals,
        tools: settings,
        scope,
        data,
        auth_model,
        audit_sink,
        read_only: fields.or("read_only", false)?,
        trust: fields.or("trust", Trust::default())?,
        protocol: fields.or("protocol", Protocol::default())?,
        prefix: fields.or::<Prefix>("prefix", context.gate.prefix)?,
        supports_parallel_tool_calls: fields.or("supports_parallel_tool_calls", false)?,
        sandbox,
        limits: limits(name, &mut fields, context.limits, &mut warnings)?,
    };
    // Looked at before, where the places of the secrets are known.
    fields.get::<bool>("allow_inline_secrets")?;
    codex_only(&mut fields)?;
    warnings.extend(fields.unknown(&keys().collect::<Vec<_>>()));
    Ok((server, warnings))
}

const STARTUP_TIMEOUT: Duration = Duration::from_secs(30);
const TOOL_TIMEOUT: Duration = Duration::from_secs(300);

fn timeouts(fields: &mut Fields) -> Result<(Duration, Duration, Written), Problem> {
    let millis = fields.get::<Millis>("startup_timeout_ms")?.map(|Millis(time)| time);
    let startup = fields.get("startup_timeout_sec")?.or(millis);
    let tool = fields.get("tool_timeout_sec")?;
    let written = Written { startup_timeout: startup.is_some(), tool_timeout: tool.is_some() };
    Ok((startup.unwrap_or(STARTUP_TIMEOUT), tool.unwrap_or(TOOL_TIMEOUT), written))
}

/// What was said of single tools.
#[derive(Default)]
struct Tools {
    approvals: BTreeMap<String, ApprovalMode>,
    settings: Vec<(String, ToolSettings)>,
}

/// Codex counts a result in tokens, toolgate in bytes.
const BYTES_PER_TOKEN: usize = 4;

const TOOL_KEYS: [&str; 5] = ["approval_mode", "output_token_limit", "read_only", "high_impact", "max_result_bytes"];

fn tools(name: &str, fields: &mut Fields, warnings: &mut Vec<Problem>) -> Result<Tools, Problem> {
    let mut tools = Tools::default();
    for (tool, node) in fields.get::<BTreeMap<String, Node>>("tools")?.unwrap_or_default() {
        let mut entry = Fields::of(format!("mcp_servers.{name}.tools.{tool}"), node)?;
        let tokens = entry.get::<usize>("output_token_limit")?.map(|tokens| tokens.saturating_mul(BYTES_PER_TOKEN));
        let settings = ToolSettings {
            declared: Declared { read_only: entry.get("read_only")?, high_impact: entry.get("high_impact")? },
            max_result_bytes: entry.get("max_result_bytes")?.or(tokens),
        };
        if let Some(mode) = entry.get("approval_mode")? {
            tools.approvals.insert(tool.clone(), mode);
        }
        warnings.extend(entry.unknown(&TOOL_KEYS));
        if settings != ToolSettings::default() {
            tools.settings.push((tool, settings));
        }
    }
    // The first that fits counts, so the one that says most comes first.
    let stars = |pattern: &str| pattern.contains(['*', '?']);
    tools.settings.sort_by_key(|(pattern, _)| (stars(pattern), std::cmp::Reverse(pattern.len())));
    Ok(tools)
}

impl FromNode for Node {
    fn from_node(node: Node) -> Result<Self, Problem> {
        Ok(node)
    }
}

fn limits(
    name: &str,
    fields: &mut Fields,
    defaults: &ServerLimits,
    warnings: &mut Vec<Problem>,
) -> Result<ServerLimits, Problem> {
    let Some(node) = fields.node("limits") else {
        return Ok(*defaults);
    };
    let mut fields = Fields::of(format!("mcp_servers.{name}.limits"), node)?;
    let limits = server_limits(&mut fields, defaults, "max_concurrent_calls")?;
    warnings.extend(fields.unknown(&[
        "max_message_bytes",
        "max_concurrent_calls",
        "max_tools",
        "max_pages",
        "max_result_bytes",
    ]));
    Ok(limits)
}

/// The limits of one server; `calls` is what the number of its calls is called there.
pub(super) fn server_limits(
    fields: &mut Fields,
    defaults: &ServerLimits,
    calls: &str,
) -> Result<ServerLimits, Problem> {
    Ok(ServerLimits {
        max_message_bytes: fields.or("max_message_bytes", defaults.max_message_bytes)?,
        max_concurrent_calls: fields.or(calls, defaults.max_concurrent_calls)?,
        max_tools: fields.or("max_tools", defaults.max_tools)?,
        max_pages: fields.or("max_pages", defaults.max_pages)?,
        max_result_bytes: fields.get("max_result_bytes")?.or(defaults.max_result_bytes),
    })
}

/// Keys that mean something to Codex alone, and those that would mean something here but cannot be met.
fn codex_only(fields: &mut Fields) -> Result<(), Problem> {
    let place = fields.place_of("environment_id");
    if let Some(id) = fields.get::<String>("environment_id")?
        && id != "local"
    {
        return Err(Problem::new(&place, "`environment_id`: toolgate starts servers in the environment `local` only"));
    }
    for ignored in ["startup_readiness", "omit_tools_from", "tool_input_schema_max_bytes", "description", "auth"] {
        fields.node(ignored);
    }
    Ok(())
}
