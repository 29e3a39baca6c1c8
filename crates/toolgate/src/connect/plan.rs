//! What connecting would change: old and new texts of all files, and what is said about it. Reads, and writes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::client::{Client, Launch};
use super::gate_file::GateFile;
use super::journal::{self, Moved};
use super::{ConnectError, codex, failed, json_client};
use crate::config::{self, Config, Env, Layers, Server, Source, identity_line, resolve};

/// What is to be planned.
pub struct Ask<'a> {
    /// For which client.
    pub client: Client,
    /// Its file.
    pub file: PathBuf,
    /// `$CODEX_HOME`.
    pub home: &'a Path,
    /// The environment, for references in entries and the managed files.
    pub env: &'a Env,
    /// How the client starts the gate.
    pub launch: Launch,
    /// Whether each server gets an entry of its own, where one for all is usual.
    pub each: bool,
    /// Whether a server whose name is taken goes behind the gate under another one.
    pub rename: bool,
}

/// Which file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Which {
    /// toolgate.toml.
    Gate,
    /// The client's.
    Client,
}

/// What one file becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Which it is.
    pub which: Which,
    /// Where it is.
    pub path: PathBuf,
    /// What it holds; nothing if it is not there.
    pub before: Option<String>,
    /// What it will hold; nothing if it goes.
    pub after: Option<String>,
}

/// A server that stays where it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Left {
    /// Its name at the client.
    pub name: String,
    /// Why.
    pub why: String,
}

/// A server that a managed file would keep from running once it is rewritten.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Barred {
    /// Its name.
    pub name: String,
    /// What speaks against it.
    pub why: String,
    /// What an administrator would have to add.
    pub line: String,
}

/// What connecting would change. Without files there is nothing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The client.
    pub client: Client,
    /// The files that change, in the order to write them.
    pub files: Vec<Change>,
    /// The servers that go behind the gate.
    pub moved: Vec<Moved>,
    /// Those that stay.
    pub left: Vec<Left>,
    /// The keys under which the gate then stands in the client's file, as far as they are new.
    pub ours: Vec<String>,
    /// What else there is to know.
    pub notes: Vec<String>,
    /// What managed files say against it.
    pub barred: Vec<Barred>,
}

/// What one client's side of the plan comes to.
pub(super) struct Draught {
    pub(super) text: Option<String>,
    pub(super) moved: Vec<Moved>,
    pub(super) left: Vec<Left>,
    pub(super) ours: Vec<String>,
    pub(super) notes: Vec<String>,
}

/// Works it out.
///
/// # Errors
/// A file that cannot be read or edited.
pub fn plan(ask: &Ask<'_>) -> Result<Plan, ConnectError> {
    let mut excluded = BTreeMap::new();
    loop {
        let (plan, config) = attempt(ask, &excluded)?;
        let bad = |moved: &&Moved| !excluded.contains_key(&moved.name) && !config.servers.contains_key(&moved.gate);
        let Some(moved) = plan.moved.iter().find(bad) else {
            return Ok(plan);
        };
        let why = config.bad.iter().find(|bad| bad.name == moved.gate).map(|bad| bad.problem.message.clone());
        excluded.insert(moved.name.clone(), why.unwrap_or_else(|| "the gate cannot use it".to_owned()));
    }
}

fn attempt(ask: &Ask<'_>, excluded: &BTreeMap<String, String>) -> Result<(Plan, Config), ConnectError> {
    let before = text_of(&ask.file)?;
    let mut gate = GateFile::read(ask)?;
    let draught = if ask.client == Client::Codex {
        codex::draught(ask, before.as_deref(), excluded, &mut gate)?
    } else {
        json_client::draught(ask, before.as_deref(), excluded, &mut gate)?
    };
    let own = Change { which: Which::Gate, ..gate.change()? };
    let client = Change { which: Which::Client, path: ask.file.clone(), before, after: draught.text };
    let config = imagined(ask, &own, &client)?;
    let barred = barred(ask, &client, &draught.moved, &config)?;
    let files = [own, client].into_iter().filter(|change| change.before != change.after).collect();
    let Draught { moved, left, ours, notes, .. } = draught;
    Ok((Plan { client: ask.client, files, moved, left, ours, notes, barred }, config))
}

/// The configuration as it would be.
fn imagined(ask: &Ask<'_>, own: &Change, client: &Change) -> Result<Config, ConnectError> {
    let mut files = vec![as_file(Source::Toolgate, own)];
    if ask.client == Client::Codex {
        files.push(as_file(Source::Codex, client));
    }
    Ok(resolve(layers(ask)?.instead(&files), ask.env))
}

fn as_file(source: Source, change: &Change) -> config::Change {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    config::Change { source, path: change.path.clone(), before: text(&change.before), text: text(&change.after) }
}

pub(super) fn layers(ask: &Ask<'_>) -> Result<Layers, ConnectError> {
    Layers::read(ask.home, &[], ask.env)
        .map_err(|error| ConnectError::Shape { path: ask.home.to_owned(), what: error.to_string() })
}

/// What managed files say against the servers in the gate, and Codex's against what Codex would then start.
fn barred(ask: &Ask<'_>, client: &Change, moved: &[Moved], config: &Config) -> Result<Vec<Barred>, ConnectError> {
    let mut found: Vec<_> = moved.iter().filter_map(|moved| objection(config.servers.get(&moved.gate)?)).collect();
    if ask.client == Client::Codex {
        let codex = resolve(layers(ask)?.instead(&[as_file(Source::Codex, client)]).as_codex(), ask.env);
        found.extend(moved.iter().filter_map(|moved| objection(codex.servers.get(&moved.name)?)));
    }
    let mut seen = BTreeSet::new();
    found.retain(|barred| seen.insert(barred.line.clone()));
    Ok(found)
}

fn objection(server: &Server) -> Option<Barred> {
    let barred = server.barred.as_ref().filter(|barred| barred.reason == "requirements")?;
    Some(Barred { name: server.name.clone(), why: barred.why.clone(), line: identity_line(server) })
}

/// What a file holds; nothing if it is not there.
pub(super) fn text_of(path: &Path) -> Result<Option<String>, ConnectError> {
    match fs::read(path) {
        Ok(bytes) => String::from_utf8(bytes)
            .map(Some)
            .map_err(|_| ConnectError::Shape { path: path.to_owned(), what: "it is no UTF-8 text".to_owned() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("read", path)(error)),
    }
}

/// The servers of the gate that other clients use too.
pub(super) fn used_elsewhere(home: &Path, client: Client) -> Result<BTreeMap<String, Client>, ConnectError> {
    let others = journal::connected(home)?.into_iter().filter(|journal| journal.client != client);
    let names = others.map(|journal| {
        journal.gate_names().into_iter().map(|name| (name.to_owned(), journal.client)).collect::<Vec<_>>()
    });
    Ok(names.flatten().collect())
}
