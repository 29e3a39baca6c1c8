//! What disconnecting puts back. A file nobody touched since becomes what it was, byte for byte; in one that was
//! changed since, only what connecting did is taken back, and the rest stays.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use toml_edit::{DocumentMut, Item, Value};

use super::ConnectError;
use super::client::Client;
use super::journal::{self, Journal, Record, Round, digest};
use super::plan::{Change, Which, text_of, used_elsewhere};
use super::undo_json::JsonBack;
use crate::config::{Edit, apply_edits};

/// What disconnecting would change.
#[derive(Debug, Default)]
pub struct Undo {
    /// The files, in the order to write them.
    pub files: Vec<Change>,
    /// What does not become what it was, and why.
    pub notes: Vec<String>,
    /// Servers that stay for other clients, which then bear them.
    pub adopted: BTreeMap<Client, BTreeSet<String>>,
}

/// Works out how to disconnect a client; nothing for one that is not connected.
///
/// # Errors
/// A file that cannot be read or edited.
pub fn undo(home: &Path, client: Client) -> Result<Undo, ConnectError> {
    let Some(journal) = journal::read(home, client)? else {
        return Ok(Undo::default());
    };
    let mut undoing = Undoing::of(home, &journal, used_elsewhere(home, client)?);
    for round in (0..journal.rounds.len()).rev() {
        undoing.round(round)?;
    }
    undoing.orphans()?;
    Ok(undoing.finish())
}

/// The same for the last round alone.
pub(super) fn last_round(home: &Path, journal: &Journal) -> Result<Undo, ConnectError> {
    let mut undoing = Undoing { unsure: true, ..Undoing::of(home, journal, BTreeMap::new()) };
    if let Some(last) = journal.rounds.len().checked_sub(1) {
        undoing.round(last)?;
    }
    Ok(undoing.finish())
}

struct Undoing<'a> {
    home: &'a Path,
    journal: &'a Journal,
    /// Servers other clients use.
    wanted: BTreeMap<String, Client>,
    /// Whether the files may never have been written.
    unsure: bool,
    files: Vec<Change>,
    undo: Undo,
}

impl<'a> Undoing<'a> {
    fn of(home: &'a Path, journal: &'a Journal, wanted: BTreeMap<String, Client>) -> Self {
        Self { home, journal, wanted, unsure: false, files: Vec::new(), undo: Undo::default() }
    }

    fn finish(mut self) -> Undo {
        // The client first: it must not be sent to a gate that lacks its servers.
        self.files.sort_by_key(|change| change.which == Which::Gate);
        self.undo.files = self.files;
        self.undo
    }

    fn round(&mut self, index: usize) -> Result<(), ConnectError> {
        let journal = self.journal;
        let round = &journal.rounds[index];
        for (at, record) in round.files.iter().enumerate() {
            let [before, after] = journal.texts(self.home, index, at)?;
            let now = self.now(record.which, &record.path)?;
            let then = self.taken_back(round, record, [before, after, now])?;
            self.set(&record.path, then);
        }
        Ok(())
    }

    /// What the file holds as far as it was worked out.
    fn now(&mut self, which: Which, path: &Path) -> Result<Option<String>, ConnectError> {
        if let Some(change) = self.files.iter().find(|change| change.path == path) {
            return Ok(change.after.clone());
        }
        let text = text_of(path)?;
        self.files.push(Change { which, path: path.to_owned(), before: text.clone(), after: text.clone() });
        Ok(text)
    }

    fn set(&mut self, path: &Path, text: Option<String>) {
        if let Some(change) = self.files.iter_mut().find(|change| change.path == path) {
            change.after = text;
        }
    }

    fn taken_back(
        &mut self,
        round: &Round,
        record: &Record,
        [before, after, now]: [Option<String>; 3],
    ) -> Result<Option<String>, ConnectError> {
        let touched = digest(now.as_deref()) != record.after;
        let kept = record.which == Which::Gate && (self.keeps(round) || !self.journal.adopted.is_empty());
        if !touched && !kept {
            return Ok(before);
        }
        if now == before {
            return Ok(now);
        }
        let (Some(now), Some(after)) = (now, after) else {
            self.note(format!("{} is gone and stays so", record.path.display()));
            return Ok(None);
        };
        if touched {
            self.note(format!("{} was changed since; those changes stay", record.path.display()));
        }
        let texts = Texts { before: before.as_deref(), after: &after, now: &now };
        match (record.which, self.journal.client) {
            (Which::Gate, _) => self.gate_file(round, &texts),
            (Which::Client, Client::Codex) => self.codex_file(round, &texts).map(Some),
            (Which::Client, _) => self.json_file(round, &record.path, &texts),
        }
    }

    fn keeps(&self, round: &Round) -> bool {
        round.moved.iter().any(|moved| moved.added && self.wanted.contains_key(&moved.gate))
    }

    fn note(&mut self, note: String) {
        if !self.undo.notes.contains(&note) {
            self.undo.notes.push(note);
        }
    }

    /// toolgate.toml: what this round added goes, unless it was changed since or another client uses it.
    fn gate_file(&mut self, round: &Round, texts: &Texts<'_>) -> Result<Option<String>, ConnectError> {
        let mut edits = Vec::new();
        for name in round.moved.iter().filter(|moved| moved.added).map(|moved| moved.gate.as_str()) {
            if let Some(heir) = self.wanted.get(name).copied() {
                self.note(format!("`{name}` stays behind the gate: {} uses it", heir.title()));
                self.undo.adopted.entry(heir).or_default().insert(name.to_owned());
                continue;
            }
            let [before, after, now] = texts.entries(name);
            match (before, now) {
                (None, Some(now)) if Some(now.to_string()) == after.map(|after| after.to_string()) => {
                    edits.push(Edit::Remove { name: name.to_owned() });
                }
                (None, Some(_)) => self.note(format!(
                    "`{name}` in toolgate.toml was changed since and stays; `toolgate mcp remove {name}` takes it out"
                )),
                (Some(_), Some(_)) => edits.extend(self.settings(name, texts)),
                (_, None) => {}
            }
        }
        Ok(some_toml(apply_edits(texts.now, &edits)?))
    }

    /// config.toml: each entry reaches its server as it did, with what was changed since.
    fn codex_file(&mut self, round: &Round, texts: &Texts<'_>) -> Result<String, ConnectError> {
        let mut edits = Vec::new();
        for name in round.moved.iter().map(|moved| moved.name.as_str()) {
            let [_, after, now] = texts.entries(name);
            let command = |entry: &Option<toml::Table>| entry.as_ref().and_then(|entry| entry.get("command").cloned());
            match &now {
                Some(_) if command(&now) == command(&after) => edits.extend(self.settings(name, texts)),
                Some(_) => self.note(format!("`{name}` was set to something else since and stays so")),
                None => self.note(format!("`{name}` was taken out since and stays so")),
            }
        }
        Ok(apply_edits(texts.now, &edits)?)
    }

    /// The settings of one entry that have to change to be what they were.
    fn settings(&mut self, name: &str, texts: &Texts<'_>) -> Vec<Edit> {
        let [before, after, now] = texts.entries(name).map(Option::unwrap_or_default);
        let old = texts.before.and_then(|text| entry(text, name));
        let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
        let mut edits = Vec::new();
        for key in keys.into_iter().filter(|key| before.get(*key) != after.get(*key)) {
            if now.get(key) != after.get(key) {
                self.note(format!("`{name}.{key}` was changed since and stays so"));
                continue;
            }
            let value = old.as_ref().and_then(|old| value_of(old, key));
            edits.push(Edit::Set { name: name.to_owned(), path: vec![key.clone()], value });
        }
        edits
    }

    /// A client's JSON: our entries go, and what was there comes back as it was written, at its place.
    fn json_file(&mut self, round: &Round, path: &Path, texts: &Texts<'_>) -> Result<Option<String>, ConnectError> {
        let mut back = JsonBack::of(self.journal.client.container(), path, texts.before, texts.now)?;
        if self.unsure && back.is_untouched(round) {
            return Ok(Some(texts.now.to_owned()));
        }
        let text = back.without(round)?;
        back.notes.into_iter().for_each(|note| self.note(note));
        Ok(text)
    }

    /// Servers of clients that are gone, which were kept for this one.
    fn orphans(&mut self) -> Result<(), ConnectError> {
        if self.journal.adopted.is_empty() {
            return Ok(());
        }
        let path = self.home.join("toolgate.toml");
        let Some(now) = self.now(Which::Gate, &path)? else {
            return Ok(());
        };
        let mut edits = Vec::new();
        for name in &self.journal.adopted {
            match self.wanted.get(name) {
                Some(heir) => {
                    self.undo.adopted.entry(*heir).or_default().insert(name.clone());
                }
                None => edits.push(Edit::Remove { name: name.clone() }),
            }
        }
        let text = some_toml(apply_edits(&now, &edits)?);
        self.set(&path, text);
        Ok(())
    }
}

/// The text, unless nothing is in it.
fn some_toml(text: String) -> Option<String> {
    (!text.trim().is_empty()).then_some(text)
}

struct Texts<'a> {
    before: Option<&'a str>,
    after: &'a str,
    now: &'a str,
}

impl Texts<'_> {
    /// A server's entry before, after and now.
    fn entries(&self, name: &str) -> [Option<toml::Table>; 3] {
        let read = |text: &str| {
            let mut all: toml::Table = text.parse().ok()?;
            match all.remove("mcp_servers")?.as_table_mut()?.remove(name)? {
                toml::Value::Table(entry) => Some(entry),
                _ => None,
            }
        };
        [self.before.and_then(read), read(self.after), read(self.now)]
    }
}

fn entry(text: &str, name: &str) -> Option<Item> {
    let document: DocumentMut = text.parse().ok()?;
    Some(document.get("mcp_servers")?.get(name)?.clone())
}

fn value_of(entry: &Item, key: &str) -> Option<Value> {
    let mut value = entry.as_table_like()?.get(key)?.clone().into_value().ok()?;
    value.decor_mut().clear();
    Some(value)
}
