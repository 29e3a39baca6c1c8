//! What Codex refuses in its own file. One such value there, and no command of Codex runs any more; so what toolgate
//! writes of that kind goes to toolgate.toml. Not here: keys that Codex does not know (`server`).

use super::env::Env;
use super::layers::Layers;
use super::node::{Table, Value};
use super::place::Source;
use super::resolve::resolve;

/// What `oauth` may hold.
const OAUTH: [&str; 6] =
    ["client_id", "client_secret", "callback_url", "callback_port", "token_endpoint_auth_method", ISSUER];
const ISSUER: &str = "authorization_server_issuer";
/// What of it is for logins that an enterprise manages.
const MANAGED: [&str; 2] = ["token_endpoint_auth_method", ISSUER];

/// Whether Codex refuses this value of one of its own keys.
pub(super) fn refuses(key: &str, value: &Value) -> bool {
    match (key, value) {
        ("auth", value) => !is_word(value, &["oauth", "chatgpt", "ema_auth"]),
        ("startup_readiness", value) => !is_word(value, &["connection", "catalog"]),
        ("omit_tools_from", Value::Array(items)) => {
            !items.iter().all(|item| is_word(&item.value, &["code_mode", "deferred", "direct"]))
        }
        ("tool_input_schema_max_bytes", Value::Integer(number)) => *number <= 0,
        ("oauth", Value::Table(oauth)) => oauth.iter().any(|(key, node)| match key.as_str() {
            "token_endpoint_auth_method" => !is_word(&node.value, &["client_secret_basic", "client_secret_post"]),
            key => !OAUTH.contains(&key),
        }),
        ("omit_tools_from" | "tool_input_schema_max_bytes" | "oauth", _) => true,
        _ => false,
    }
}

/// Whether Codex refuses this value of one of its own keys of a single tool.
pub(super) fn refuses_of_tool(key: &str, value: &Value) -> bool {
    key == "output_token_limit" && !matches!(value, Value::Integer(1..))
}

/// What Codex knows of a single tool.
const TOOL: [&str; 2] = ["approval_mode", "output_token_limit"];

fn has_odd_tools(entry: &Table) -> bool {
    let Some(Value::Table(tools)) = entry.get("tools").map(|tools| &tools.value) else { return false };
    tools.values().any(|tool| match &tool.value {
        Value::Table(tool) => tool.keys().any(|key| !TOOL.contains(&key.as_str())),
        _ => true,
    })
}

fn is_word(value: &Value, words: &[&str]) -> bool {
    matches!(value, Value::Text(text) if words.contains(&text.as_str()))
}

impl Layers {
    /// Why Codex would refuse its own file for what stands there of a server. Nothing when all is well, or when it
    /// says nothing of the server.
    pub fn refused_by_codex(self, server: &str, env: &Env) -> Option<String> {
        let layer = self.layers.iter().find(|layer| layer.source == Source::Codex)?;
        let servers = layer.table.get("mcp_servers")?;
        let Value::Table(servers) = &servers.value else { return None };
        let Value::Table(entry) = &servers.get(server)?.value else { return None };
        if let Some(why) = wrong(entry) {
            return Some(why);
        }
        let alone = resolve(self.as_codex(), env);
        alone.bad.into_iter().find(|bad| bad.name == server).map(|bad| bad.problem.message)
    }
}

/// Whether Codex would refuse this setting in a new entry of its file: for what is in it that nobody knows, or because
/// of the other settings.
pub(super) fn clashes(entry: &Table, key: &str) -> bool {
    (key == "oauth" && unmanaged(entry).is_some()) || (key == "tools" && has_odd_tools(entry))
}

fn wrong(entry: &Table) -> Option<String> {
    if let Some((key, _)) = entry.iter().find(|(key, node)| refuses(key, &node.value)) {
        return Some(format!("`{key}`: Codex knows no such value"));
    }
    unmanaged(entry)
}

/// What of `oauth` is for logins that an enterprise manages, where none does.
fn unmanaged(entry: &Table) -> Option<String> {
    let managed = || matches!(entry.get("auth"), Some(auth) if is_word(&auth.value, &["ema_auth"]));
    match entry.get("oauth").map(|oauth| &oauth.value) {
        Some(Value::Table(oauth)) if !managed() => {
            let key = MANAGED.into_iter().find(|key| oauth.contains_key(*key))?;
            Some(format!("`oauth.{key}` requires `auth = \"ema_auth\"`"))
        }
        _ => None,
    }
}
