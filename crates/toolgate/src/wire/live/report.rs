//! What became of a new configuration, in words: for the caller, the log and the record.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

use super::Live;
use crate::config::Problem;
use crate::ui::Failure;
use crate::wire::System;
use gate::ServerName;
use gate::ports::{Clock, Source};
use upstream::Upstream;

/// What a new configuration changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Reloaded {
    /// Servers that came.
    pub added: Vec<String>,
    /// Servers that went.
    pub removed: Vec<String>,
    /// Servers that are reached in another way, and were therefore replaced.
    pub changed: Vec<String>,
    /// Servers that go on as they were.
    pub kept: Vec<String>,
    /// Servers that cannot be used, and why.
    pub left_out: Vec<String>,
    /// What is wrong with entries that are not in force: their servers go on by what was written before.
    pub held: Vec<Trouble>,
    /// Settings that were changed and take effect at the next start.
    pub ignored: Vec<&'static str>,
    /// Whether anything is different at all.
    pub different: bool,
}

/// What keeps what is written from being in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Trouble {
    /// Where, if it has a place: file, line and column.
    pub place: Option<String>,
    /// What.
    pub message: String,
    /// What would help.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Since when, in microseconds since 1970.
    pub since_micros: u64,
}

impl From<Problem> for Trouble {
    fn from(problem: Problem) -> Self {
        let Problem { place, message, hint } = problem;
        Self { place: Some(place.to_string()), message, hint, since_micros: System.wall_micros() }
    }
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self { place: None, message: failure.to_string(), hint: failure.hint, since_micros: System.wall_micros() }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Some(place) => write!(f, "{place}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl Trouble {
    fn is(&self, other: &Self) -> bool {
        self.place == other.place && self.message == other.message
    }
}

impl Reloaded {
    /// What is other among these links than among those.
    pub(super) fn between(before: &[Arc<Upstream>], after: &[Arc<Upstream>]) -> Self {
        let mut reloaded = Self::default();
        for up in after {
            let list = match before.iter().find(|was| was.name() == up.name()) {
                Some(same) if Arc::ptr_eq(same, up) => &mut reloaded.kept,
                Some(_) => &mut reloaded.changed,
                None => &mut reloaded.added,
            };
            list.push(up.name().to_string());
        }
        let gone = before.iter().filter(|was| !after.iter().any(|up| up.name() == was.name()));
        reloaded.removed = gone.map(|was| was.name().to_string()).collect();
        reloaded
    }

    /// In one line.
    pub fn line(&self) -> String {
        let parts = [("added", &self.added), ("removed", &self.removed), ("replaced", &self.changed)];
        let said = parts.iter().filter(|(_, names)| !names.is_empty());
        let said: Vec<_> = said.map(|(what, names)| format!("{what} {}", names.join(", "))).collect();
        match (said.is_empty(), self.different) {
            (true, false) => "nothing changed".to_owned(),
            (true, true) => "settings changed; every server goes on".to_owned(),
            (false, _) => format!("{}; {} go on", said.join("; "), self.kept.len()),
        }
    }
}

impl Live {
    /// Into the log and onto the record.
    pub(super) fn tell(&self, done: &Result<Reloaded, Trouble>) {
        match done {
            Ok(reloaded) => {
                self.tell_changes(reloaded);
                self.tell_trouble(reloaded.held.first());
            }
            Err(trouble) => self.tell_trouble(Some(trouble)),
        }
    }

    fn tell_changes(&self, reloaded: &Reloaded) {
        if !reloaded.different {
            return;
        }
        tracing::info!(target: "mcp::manager", "configuration reloaded: {}", reloaded.line());
        for setting in &reloaded.ignored {
            tracing::warn!(target: "mcp::manager", "`{setting}` was changed and takes effect at the next start");
        }
        self.note("config_changed", builtin::NAME, &reloaded.line());
        let lists = [
            ("server_added", &reloaded.added),
            ("server_removed", &reloaded.removed),
            ("server_changed", &reloaded.changed),
        ];
        for (what, names) in lists {
            names.iter().for_each(|name| self.note(what, name, "by its entry in the configuration"));
        }
    }

    /// The same trouble is told once.
    fn tell_trouble(&self, trouble: Option<&Trouble>) {
        let known = self.trouble();
        match trouble {
            None => self.trouble.store(None),
            Some(now) if known.is_some_and(|known| known.is(now)) => {}
            Some(now) => {
                tracing::error!(target: "mcp::manager", "what is written is not in force: {now}");
                self.note("config_rejected", builtin::NAME, &now.to_string());
                self.trouble.store(Some(Arc::new(now.clone())));
            }
        }
    }

    fn note(&self, what: &'static str, server: &str, text: &str) {
        let masks = self.world.hub.masks();
        self.world.notes.note(what, &ServerName::from(server), &masks.text(text));
    }
}
