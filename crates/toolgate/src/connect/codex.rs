//! Codex's own file: every server keeps its name, its place and the settings that Codex goes by; how it is reached
//! becomes the gate's face for that one server.

use std::collections::{BTreeMap, BTreeSet};

use toml_edit::{Array, DocumentMut, InlineTable, TableLike, Value};

use super::ConnectError;
use super::client::Launch;
use super::gate_file::{GateFile, Place};
use super::journal::Moved;
use super::plan::{Ask, Draught, Left, layers};
use crate::config::{self, Edit, Env, Server, Transport, apply_edits, resolve};
use crate::wire;

/// What Codex refuses beside a command, or what is the gate's to know now.
const GONE: [&str; 12] = [
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
    "env",
    "cwd",
];

/// What Codex does not hand to a child unless it is named, and the gate needs or hands on.
const HANDED_ON: [&str; 10] = [
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "all_proxy",
    "XDG_RUNTIME_DIR",
    "DBUS_SESSION_BUS_ADDRESS",
];

/// Which managed files there are and whose rules hold: without these a gate would be laxer than the one at hand.
const GOVERNING: [&str; 3] = ["TOOLGATE_REQUIREMENTS", "CODEX_REQUIREMENTS", "CODEX_TEAM"];

/// What the file becomes.
pub(super) fn draught(
    ask: &Ask<'_>,
    before: Option<&str>,
    excluded: &BTreeMap<String, String>,
    gate: &mut GateFile,
) -> Result<Draught, ConnectError> {
    let text = before.unwrap_or_default();
    let document: DocumentMut = text.parse().map_err(|error: toml_edit::TomlError| ConnectError::Shape {
        path: ask.file.clone(),
        what: error.message().to_owned(),
    })?;
    let alone = resolve(layers(ask)?.as_codex(), ask.env);
    let mut draught = Draught { text: None, moved: vec![], left: vec![], ours: vec![], notes: vec![] };
    let mut edits = Vec::new();
    let servers = document.get("mcp_servers").and_then(toml_edit::Item::as_table_like);
    for (name, entry) in servers.into_iter().flat_map(TableLike::iter) {
        let mut left = |why: String| draught.left.push(Left { name: name.to_owned(), why });
        let (Some(server), Some(table)) = (alone.servers.get(name), entry.as_table_like()) else {
            let bad = alone.bad.iter().find(|bad| bad.name == name);
            left(bad.map_or_else(|| "it is not understood".to_owned(), |bad| bad.problem.message.clone()));
            continue;
        };
        if wire::is_ourselves(server, ask.env) {
            continue;
        }
        if let Some(why) = excluded.get(name).cloned().or_else(|| unfit(server)) {
            left(why);
            continue;
        }
        let (gate_name, added) = match gate.place_codexs(server, table, ask.rename.then_some("codex")) {
            Place::Added(name) => (name, true),
            Place::Shared(name) => (name, false),
            Place::Taken(name) => {
                left(super::json_client::taken(&name, ask));
                continue;
            }
        };
        edits.extend(rewritten(name, &gate_name, server, table, ask));
        if ["auth", "oauth", "scopes"].iter().any(|key| table.contains_key(key)) {
            draught.notes.push(format!("`{name}` was logged in to by Codex: run `toolgate mcp login {gate_name}`"));
        }
        draught.ours.push(name.to_owned());
        draught.moved.push(Moved { name: name.to_owned(), gate: gate_name, added });
    }
    draught.text = if edits.is_empty() { before.map(str::to_owned) } else { Some(apply_edits(text, &edits)?) };
    Ok(draught)
}

/// Why the gate could not stand in for a server.
fn unfit(server: &Server) -> Option<String> {
    match &server.transport {
        Transport::Http(http) if http.headers_helper.is_some() => {
            Some("the gate does not run its `http_headers_helper`".to_owned())
        }
        _ => None,
    }
}

/// The entry of one server, setting by setting.
fn rewritten(name: &str, gate_name: &str, server: &Server, table: &dyn TableLike, ask: &Ask<'_>) -> Vec<Edit> {
    let set = |key: &str, value: Option<Value>| Edit::Set { name: name.to_owned(), path: vec![key.to_owned()], value };
    let mut edits: Vec<_> = GONE.iter().filter(|key| table.contains_key(key)).map(|key| set(key, None)).collect();
    let args: Array = Launch::args(Some(gate_name)).into_iter().collect();
    edits.push(set("command", Some(ask.launch.program.display().to_string().into())));
    edits.push(set("args", Some(args.into())));
    edits.push(set("env_vars", Some(variables(server, table, ask.env).into())));
    if let Some(home) = &ask.launch.home {
        let env: InlineTable = [("CODEX_HOME", Value::from(home.display().to_string()))].into_iter().collect();
        edits.push(set("env", Some(env.into())));
    }
    edits
}

/// The variables Codex has to hand on: those it was told to, those the gate reads for this server, and what a
/// program needs to reach the network and the desktop.
fn variables(server: &Server, table: &dyn TableLike, env: &Env) -> Array {
    let mut list = table.get("env_vars").and_then(|item| item.as_array().cloned()).unwrap_or_default();
    list.decor_mut().clear();
    let name_of = |value: &Value| match value {
        Value::InlineTable(table) => table.get("name").and_then(Value::as_str).map(str::to_owned),
        other => other.as_str().map(str::to_owned),
    };
    let mut known: BTreeSet<String> = list.iter().filter_map(name_of).collect();
    let mut wanted = config::variables(server);
    let governing = GOVERNING.iter().filter(|name| env.filled(name).is_some());
    wanted.extend(HANDED_ON.iter().chain(governing).map(|name| (*name).to_owned()));
    for name in wanted {
        if known.insert(name.clone()) {
            list.push(name);
        }
    }
    list
}
