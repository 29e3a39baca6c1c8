//! toolgate.toml while servers are moved into it.

use toml_edit::{DocumentMut, Item, Table, TableLike};

use super::ConnectError;
use super::plan::{Ask, Change, Which, layers, text_of};
use crate::config::{Config, Edit, Server, Source, Transport, apply_edits, resolve};

/// The file, and what is to be added to it.
pub(super) struct GateFile {
    path: std::path::PathBuf,
    before: Option<String>,
    edits: Vec<Edit>,
    names: Vec<String>,
    /// What the files say now.
    pub(super) config: Config,
}

/// Where a server ends up.
pub(super) enum Place {
    /// It is new under this name.
    Added(String),
    /// The gate has the same one under this name.
    Shared(String),
    /// It cannot be put there.
    Taken(String),
}

impl GateFile {
    pub(super) fn read(ask: &Ask<'_>) -> Result<Self, ConnectError> {
        let path = ask.home.join("toolgate.toml");
        let before = text_of(&path)?;
        let config = resolve(layers(ask)?, ask.env);
        if let Some(broken) = config.broken.iter().find(|broken| broken.source == Source::Toolgate) {
            return Err(ConnectError::Shape { path, what: broken.problem.to_string() });
        }
        Ok(Self { path, before, edits: Vec::new(), names: Vec::new(), config })
    }

    /// What becomes of the file.
    pub(super) fn change(&self) -> Result<Change, ConnectError> {
        let after = match (&self.before, self.edits.as_slice()) {
            (None, []) => None,
            (before, edits) => Some(apply_edits(before.as_deref().unwrap_or_default(), edits)?),
        };
        Ok(Change { which: Which::Gate, path: self.path.clone(), before: self.before.clone(), after })
    }

    /// Finds a place for a server of another client.
    pub(super) fn place(&mut self, server: &Server, table: Table, suffix: Option<&str>) -> Place {
        let name = server.name.as_str();
        if !self.is_taken(name) {
            return self.add(name, table);
        }
        if self.same(name, &server.transport) {
            return Place::Shared(name.to_owned());
        }
        self.elsewhere(name, &server.transport, table, suffix)
    }

    /// Finds a place for a server of Codex's own file: settings that stand in toolgate.toml already go before.
    pub(super) fn place_codexs(&mut self, server: &Server, table: &dyn TableLike, suffix: Option<&str>) -> Place {
        let name = server.name.as_str();
        let settings = plain(table);
        match self.entry(name) {
            None => self.add(name, settings),
            Some(own) if !own.contains_key("command") && !own.contains_key("url") => {
                self.names.push(name.to_owned());
                let (name, table) = (name.to_owned(), below(settings, &own));
                self.edits.push(Edit::Add { name: name.clone(), table });
                Place::Added(name)
            }
            Some(_) if self.same(name, &server.transport) => Place::Shared(name.to_owned()),
            Some(_) => self.elsewhere(name, &server.transport, settings, suffix),
        }
    }

    fn elsewhere(&mut self, name: &str, transport: &Transport, table: Table, suffix: Option<&str>) -> Place {
        let Some(suffix) = suffix else {
            return Place::Taken(name.to_owned());
        };
        let other = format!("{name}-{suffix}");
        if !self.is_taken(&other) {
            return self.add(&other, table);
        }
        if self.same(&other, transport) { Place::Shared(other) } else { Place::Taken(other) }
    }

    fn add(&mut self, name: &str, table: Table) -> Place {
        self.names.push(name.to_owned());
        self.edits.push(Edit::Put { name: name.to_owned(), table });
        Place::Added(name.to_owned())
    }

    fn is_taken(&self, name: &str) -> bool {
        let known = self.config.servers.contains_key(name) || self.config.bad.iter().any(|bad| bad.name == name);
        known || self.names.iter().any(|added| added == name) || self.entry(name).is_some()
    }

    fn same(&self, name: &str, transport: &Transport) -> bool {
        self.config.servers.get(name).is_some_and(|server| server.transport == *transport)
    }

    fn entry(&self, name: &str) -> Option<Table> {
        let document: DocumentMut = self.before.as_deref()?.parse().ok()?;
        Some(plain(document.get("mcp_servers")?.get(name)?.as_table_like()?))
    }
}

/// A table's settings without their comments and layout.
fn plain(table: &dyn TableLike) -> Table {
    let mut out = Table::new();
    for (key, item) in table.iter() {
        let item = match item {
            Item::Table(table) => {
                let mut table = plain(table);
                // A header is written for it only where it says something itself.
                table.set_implicit(!table.is_empty() && table.iter().all(|(_, item)| item.is_table()));
                Item::Table(table)
            }
            other => match other.clone().into_value() {
                Ok(mut value) => {
                    value.decor_mut().clear();
                    Item::Value(value)
                }
                Err(_) => continue,
            },
        };
        out.insert(key, item);
    }
    out
}

/// `settings` without those that `own` has, and together with them where both are tables.
fn below(settings: Table, own: &Table) -> Table {
    let mut out = Table::new();
    for (key, item) in settings {
        let Some(high) = own.get(&key) else {
            out.insert(&key, item);
            continue;
        };
        if let (Some(low), Some(high)) = (item.as_table_like(), high.as_table_like()) {
            let mut both = below(plain(low), &plain(high));
            both.extend(plain(high));
            out.insert(&key, Item::Table(both));
        }
    }
    out
}
