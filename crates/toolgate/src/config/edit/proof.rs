//! Whether an edit did what it was to do, and nothing else: both texts are read and compared. Not here: editing.

use super::{Edit, EditError, TRUST, setting, trust};
use toml_edit::{DocumentMut, Table};

/// Reads both texts and compares them: the entry is as wanted, nothing else has changed.
pub(super) fn prove(before: &str, after: &str, edit: &Edit) -> Result<(), EditError> {
    let (section, name) = edit.entry();
    let unfaithful = || EditError::Unfaithful(name.to_owned());
    let (old, old_entry) = without(before, section, name).ok_or_else(unfaithful)?;
    let (new, new_entry) = without(after, section, name).ok_or_else(unfaithful)?;
    let entry = old_entry.unwrap_or_default();
    let with = |mut entry: toml::Table, settings: &Table| {
        entry.extend(values(settings).ok_or_else(unfaithful)?);
        Ok::<_, EditError>(Some(entry))
    };
    let less = |mut entry: toml::Table, key: &str| {
        entry.remove(key);
        entry
    };
    let wanted = match edit {
        Edit::Remove { .. } => None,
        Edit::Put { table, .. } => with(toml::Table::new(), table)?,
        Edit::Add { table, .. } => with(entry, table)?,
        Edit::Set { path, value, .. } => {
            let mut entry = entry;
            setting::settle(&mut entry, path, value.as_ref()).ok_or_else(unfaithful)?;
            Some(entry)
        }
        Edit::Project { level: Some(level), .. } => with(entry, &trust(level))?,
        Edit::Project { level: None, .. } => Some(less(entry, TRUST)).filter(|left| !left.is_empty()),
    };
    (old == new && new_entry == wanted).then_some(()).ok_or_else(unfaithful)
}

fn values(table: &Table) -> Option<toml::Table> {
    DocumentMut::from(table.clone()).to_string().parse().ok()
}

/// The text's values without the entry, and the entry's.
fn without(text: &str, section: &str, name: &str) -> Option<(toml::Table, Option<toml::Table>)> {
    let mut all: toml::Table = text.parse().ok()?;
    let mut entry = None;
    if let Some(toml::Value::Table(entries)) = all.get_mut(section) {
        entry = entries.remove(name);
        if entries.is_empty() {
            all.remove(section);
        }
    }
    match entry {
        None => Some((all, None)),
        Some(toml::Value::Table(table)) => Some((all, Some(table))),
        Some(_) => None,
    }
}
