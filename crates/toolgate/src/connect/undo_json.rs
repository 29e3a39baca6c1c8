//! A client's JSON that was changed since it was connected, on its way back: our entries go, and what was there comes
//! back as it was written, at its place.

use std::path::Path;

use super::ConnectError;
use super::journal::Round;
use super::json_client::position;
use crate::jsonc::{Doc, EditError};

/// The file as it was and as it is.
pub(super) struct JsonBack<'a> {
    /// Under which its servers stand.
    key: &'static str,
    path: &'a Path,
    was: Option<Doc>,
    now: Doc,
    /// What does not become what it was.
    pub(super) notes: Vec<String>,
}

impl<'a> JsonBack<'a> {
    pub(super) fn of(key: &'static str, path: &'a Path, before: Option<&str>, now: &str) -> Result<Self, ConnectError> {
        let was = before.and_then(|text| Doc::parse(text).ok());
        Ok(Self { key, path, was, now: parse(path, now)?, notes: Vec::new() })
    }

    /// Whether nothing of a round is to be seen in the file: it was never written, or somebody put it back.
    pub(super) fn is_untouched(&self, round: &Round) -> bool {
        if round.ours.is_empty() {
            return round.moved.iter().all(|moved| self.now.get(&[self.key, &moved.name]).is_some());
        }
        !round.ours.iter().any(|ours| self.is_gate(ours) == Some(true))
    }

    /// Takes the round back. Nothing is left of a file that only held what connecting wrote.
    pub(super) fn without(&mut self, round: &Round) -> Result<Option<String>, ConnectError> {
        for ours in &round.ours {
            let replaced = round.moved.iter().any(|moved| moved.name == *ours);
            self.entry_out(ours, replaced)?;
        }
        for name in round.moved.iter().map(|moved| &moved.name).filter(|name| !round.ours.contains(name)) {
            self.original_back(name)?;
        }
        let had = |was: &Doc| was.get(&[self.key]).is_some();
        if !self.was.as_ref().is_some_and(had) && self.is_empty(&[self.key]) {
            self.take(self.now.remove(&[self.key]))?;
        }
        let gone = self.was.is_none() && self.is_empty(&[]);
        Ok((!gone).then(|| self.now.as_str().to_owned()))
    }

    /// One of our entries goes, or becomes again what it stands for.
    fn entry_out(&mut self, ours: &str, replaced: bool) -> Result<(), ConnectError> {
        let path = [self.key, ours];
        match self.is_gate(ours) {
            Some(true) if !replaced => self.take(self.now.remove(&path)),
            Some(true) => match self.was.as_ref().and_then(|was| Some(was.text(was.get(&path)?))) {
                Some(raw) => self.take(self.now.replace(&path, raw)),
                None => Ok(()),
            },
            Some(false) => {
                self.notes.push(format!("`{ours}` was set to something else since and stays so"));
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn original_back(&mut self, name: &str) -> Result<(), ConnectError> {
        let path = [self.key, name];
        let old = self.was.as_ref().and_then(|was| {
            let raw = was.text(was.get(&path)?).to_owned();
            Some((raw, position(was, self.key, name)?))
        });
        let Some((raw, index)) = old else {
            return Ok(());
        };
        if self.now.get(&path).is_some() {
            self.notes.push(format!("`{name}` stands there again and stays so"));
            return Ok(());
        }
        if self.now.get(&[self.key]).is_none() {
            self.take(self.now.insert(&[], self.key, "{}"))?;
        }
        self.take(self.now.insert_at(&[self.key], index, name, &raw))
    }

    /// Whether the entry of this name starts a gate; nothing if there is none.
    fn is_gate(&self, name: &str) -> Option<bool> {
        let entry = self.now.value(self.now.get(&[self.key, name])?);
        let args = entry.get("args").and_then(serde_json::Value::as_array);
        Some(args.is_some_and(|args| args.len() >= 2 && args[0] == "mcp" && args[1] == "serve"))
    }

    fn is_empty(&self, path: &[&str]) -> bool {
        self.now.get(path).is_some_and(|node| self.now.text(node) == "{}")
    }

    fn take(&mut self, edited: Result<String, EditError>) -> Result<(), ConnectError> {
        self.now = parse(self.path, &edited?)?;
        Ok(())
    }
}

fn parse(path: &Path, text: &str) -> Result<Doc, ConnectError> {
    Doc::parse(text).map_err(|mistake| ConnectError::NotJson { path: path.to_owned(), mistake })
}
