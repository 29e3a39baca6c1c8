//! The clients that keep their servers in JSON: one entry for the gate in place of all that went behind it, or one
//! for each.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::ConnectError;
use super::client::Client;
use super::gate_file::{GateFile, Place};
use super::journal::Moved;
use super::plan::{Ask, Draught, Left};
use crate::config::{Draft, Env, Server, Transport, drafts_from_json};
use crate::jsonc::{Doc, Node};
use crate::wire;

/// The key of the one entry.
pub(super) const ENTRY: &str = "toolgate";

/// What the file becomes.
pub(super) fn draught(
    ask: &Ask<'_>,
    before: Option<&str>,
    excluded: &BTreeMap<String, String>,
    gate: &mut GateFile,
) -> Result<Draught, ConnectError> {
    let dir = ask.file.parent().unwrap_or(&ask.file);
    if before.is_none() && !dir.is_dir() {
        return Err(ConnectError::NotThere { title: ask.client.title(), path: dir.to_owned() });
    }
    let doc = parse(ask, before)?;
    let mut draught = Draught { text: None, moved: vec![], left: vec![], ours: vec![], notes: vec![] };
    let (mut known, mut single) = (false, false);
    for member in container(ask, &doc)?.map(Node::members).unwrap_or_default() {
        match sort(ask, &member.key, doc.value(&member.node), excluded, gate) {
            Sorted::Ours(Serves::All) => known = true,
            Sorted::Ours(Serves::One) => single = true,
            Sorted::Ours(Serves::Other) => {}
            Sorted::Left(why) => draught.left.push(Left { name: member.key.clone(), why }),
            Sorted::Moved(moved, notes) => {
                draught.moved.push(moved);
                draught.notes.extend(notes);
            }
        }
    }
    draught.notes.extend(elsewhere(ask.client, &doc));
    // Where each server has its own entry, the one entry for all would show them a second time.
    let apart = ask.each || (single && !known);
    if !known && !apart {
        draught.notes.extend(seen_too(ask.client, &draught.moved, gate));
    }
    draught.text = if apart { each(ask, &doc, &mut draught)? } else { one(ask, &doc, known, &mut draught)? };
    if draught.text.is_none() {
        draught.text = before.map(str::to_owned);
    }
    Ok(draught)
}

fn parse(ask: &Ask<'_>, before: Option<&str>) -> Result<Doc, ConnectError> {
    let text = before.filter(|text| !text.trim_matches(['\u{feff}', ' ', '\t', '\r', '\n']).is_empty());
    Doc::parse(text.unwrap_or("{}\n")).map_err(|mistake| ConnectError::NotJson { path: ask.file.clone(), mistake })
}

fn container<'a>(ask: &Ask<'_>, doc: &'a Doc) -> Result<Option<&'a Node>, ConnectError> {
    let shape = |what: String| ConnectError::Shape { path: ask.file.clone(), what };
    if !doc.root().is_object() {
        return Err(shape("it is no object".to_owned()));
    }
    let key = ask.client.container();
    match doc.get(&[key]) {
        Some(node) if !node.is_object() => Err(shape(format!("`{key}` is no object"))),
        found => Ok(found),
    }
}

/// What becomes of one entry.
enum Sorted {
    Ours(Serves),
    Left(String),
    Moved(Moved, Vec<String>),
}

/// What the client gets of the gate through an entry that starts it.
enum Serves {
    /// All its servers.
    All,
    /// One of them.
    One,
    /// Something else.
    Other,
}

impl Serves {
    fn of(args: &[String]) -> Self {
        let words = || args.iter().flat_map(|arg| arg.split('='));
        let has = |option: &str| words().any(|word| word == option);
        let less = has("--profile") && !(has("gateway") || has("all"));
        match args {
            [mcp, serve, ..] if mcp == "mcp" && serve == "serve" => match (has("--only"), less) {
                (true, _) => Self::One,
                (false, true) => Self::Other,
                (false, false) => Self::All,
            },
            _ => Self::Other,
        }
    }
}

fn sort(
    ask: &Ask<'_>,
    name: &str,
    mut value: Value,
    excluded: &BTreeMap<String, String>,
    gate: &mut GateFile,
) -> Sorted {
    if let Some(why) = excluded.get(name) {
        return Sorted::Left(why.clone());
    }
    if let Err(why) = translate(ask, &mut value) {
        return Sorted::Left(why);
    }
    let (draft, server, notes) = match drafted(ask, name, &value) {
        Ok(found) => found,
        Err(why) => return Sorted::Left(why),
    };
    if let Transport::Stdio(stdio) = &server.transport
        && wire::is_ourselves(&server, ask.env)
    {
        return Sorted::Ours(Serves::of(&stdio.args));
    }
    if name == ENTRY {
        return Sorted::Left("this is the name of the gate's own entry; give the server another one".to_owned());
    }
    if let Transport::Http(http) = &server.transport
        && http.headers_helper.is_some()
    {
        return Sorted::Left("the gate does not run its helper for headers".to_owned());
    }
    let suffix = ask.rename.then_some(ask.client.word());
    let moved = |gate, added| Sorted::Moved(Moved { name: name.to_owned(), gate, added }, notes);
    match gate.place(&server, draft.whole(), suffix) {
        Place::Added(gate) => moved(gate, true),
        Place::Shared(gate) => moved(gate, false),
        Place::Taken(taken) => Sorted::Left(self::taken(&taken, ask)),
    }
}

pub(super) fn taken(name: &str, ask: &Ask<'_>) -> String {
    let word = ask.client.word();
    let way = if ask.rename { String::new() } else { format!("; `--rename` adds it as `{name}-{word}`") };
    format!("`{name}` is already behind the gate with another definition{way}")
}

fn drafted(ask: &Ask<'_>, name: &str, value: &Value) -> Result<(Draft, Server, Vec<String>), String> {
    let document = ask.file.display().to_string();
    let text = json!({"mcpServers": {name: value}}).to_string();
    let drafts = drafts_from_json(&document, &text, None).map_err(|problem| problem.message)?;
    let mut draft = drafts.into_iter().next().ok_or("it is not understood")?;
    let (server, warnings) = draft.check(ask.env).map_err(|error| error.problem.message)?;
    let notes = warnings.iter().map(|warning| format!("`{name}`: {}", warning.message)).collect();
    Ok((draft, server, notes))
}

/// Spells what a client's entry refers to the gate's way.
fn translate(ask: &Ask<'_>, value: &mut Value) -> Result<(), String> {
    if let Value::Object(members) = value
        && let Some(key) = ["envFile"].into_iter().find(|key| members.contains_key(*key))
    {
        return Err(format!("the gate reads no `{key}`"));
    }
    match value {
        Value::String(text) => *text = translated(ask.client, text, ask.env)?,
        Value::Array(items) => items.iter_mut().try_for_each(|item| translate(ask, item))?,
        Value::Object(members) => members.values_mut().try_for_each(|item| translate(ask, item))?,
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
    Ok(())
}

fn translated(client: Client, text: &str, env: &Env) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once("${") {
        let Some((name, after)) = behind.split_once('}') else { break };
        out.push_str(before);
        out.push_str(&reference(client, name, env)?);
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

/// What `${name}` of a client's file is in toolgate's.
fn reference(client: Client, name: &str, env: &Env) -> Result<String, String> {
    let unknown = || Err(format!("only {} can fill in `${{{name}}}`", client.title()));
    let variable = name.split_once(":-").map_or(name, |(variable, _)| variable);
    let plain = !variable.is_empty() && variable.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    match (client, name.strip_prefix("env:")) {
        (Client::Cursor | Client::Vscode, Some(_)) => Ok(format!("${{{name}}}")),
        (Client::Cursor | Client::Vscode, None) if name == "userHome" => {
            env.filled("HOME").map_or_else(unknown, |home| Ok(home.to_owned()))
        }
        // No reference there, so none here.
        (Client::ClaudeDesktop, _) => Ok(format!("$${{{name}}}")),
        (Client::ClaudeCode, None) if plain => Ok(format!("${{env:{name}}}")),
        _ => unknown(),
    }
}

/// Servers the client had not, and has with the one entry for all.
fn seen_too(client: Client, moved: &[Moved], gate: &GateFile) -> Option<String> {
    let own = |name: &str| moved.iter().any(|moved| moved.gate == name);
    let servers = gate.config.servers.values().filter(|server| server.enabled && !own(&server.name));
    let names: Vec<_> = servers.map(|server| server.name.as_str()).collect();
    let way = "`--each` gives it its own alone";
    (!names.is_empty())
        .then(|| format!("{} will see these servers of the gate too: {}; {way}", client.title(), names.join(", ")))
}

/// Servers of the same client that stand in other places.
fn elsewhere(client: Client, doc: &Doc) -> Vec<String> {
    let projects = (client == Client::ClaudeCode).then(|| doc.get(&["projects"])).flatten();
    let members = projects.map(Node::members).unwrap_or_default().iter();
    let with = members.filter_map(|project| {
        let names: Vec<_> =
            project.node.child("mcpServers")?.members().iter().map(|member| member.key.as_str()).collect();
        (!names.is_empty()).then(|| format!("left where they are: {} of the project {}", names.join(", "), project.key))
    });
    with.collect()
}

/// One entry in place of all.
fn one(ask: &Ask<'_>, doc: &Doc, known: bool, draught: &mut Draught) -> Result<Option<String>, ConnectError> {
    let key = ask.client.container();
    let mut doc = doc.clone();
    let again = |text: String| parse(ask, Some(&text));
    if !known && doc.get(&[key, ENTRY]).is_none() {
        if doc.get(&[key]).is_none() {
            doc = again(doc.insert(&[], key, "{}")?)?;
        }
        let first = draught.moved.first().and_then(|moved| position(&doc, key, &moved.name));
        let raw = doc.spell(&[key], &ask.launch.entry(ask.client, None));
        doc = again(doc.insert_at(&[key], first.unwrap_or(usize::MAX), ENTRY, &raw)?)?;
        draught.ours.push(ENTRY.to_owned());
    } else if !known {
        let what = format!("`{key}.{ENTRY}` is another program; give it another name, or use `--each`");
        return Err(ConnectError::Shape { path: ask.file.clone(), what });
    }
    for moved in &draught.moved {
        doc = again(doc.remove(&[key, &moved.name])?)?;
    }
    Ok((!draught.ours.is_empty() || !draught.moved.is_empty()).then(|| doc.as_str().to_owned()))
}

pub(super) fn position(doc: &Doc, container: &str, name: &str) -> Option<usize> {
    doc.get(&[container])?.members().iter().position(|member| member.key == name)
}

/// One entry in place of each.
fn each(ask: &Ask<'_>, doc: &Doc, draught: &mut Draught) -> Result<Option<String>, ConnectError> {
    let key = ask.client.container();
    let mut doc = doc.clone();
    for moved in &draught.moved {
        let raw = doc.spell(&[key, &moved.name], &ask.launch.entry(ask.client, Some(&moved.gate)));
        doc = parse(ask, Some(&doc.replace(&[key, &moved.name], &raw)?))?;
        draught.ours.push(moved.name.clone());
    }
    Ok((!draught.moved.is_empty()).then(|| doc.as_str().to_owned()))
}
