//! One setting in a server's entry: written where it stands, or taken out.

use toml_edit::{InlineTable, Item, Table, Value};

use super::EditError;

/// Sets what `path` leads to in the entry of the server `name`; without a `value`, takes it out. What stands around
/// it stays.
pub(super) fn set(entry: &mut Item, name: &str, path: &[String], value: Option<&Value>) -> Result<(), EditError> {
    let Some((key, above)) = path.split_last() else {
        return Ok(());
    };
    let (mut item, mut name) = (entry, name);
    for key in above {
        if value.is_none() && item.get(key).is_none() {
            return Ok(());
        }
        item = below(item, name, key)?;
        name = key;
    }
    let table = item.as_table_like_mut().ok_or_else(|| EditError::NotATable(name.to_owned()))?;
    match (value, table.get_mut(key)) {
        (None, _) => {
            table.remove(key);
        }
        (Some(value), Some(Item::Value(old))) => {
            let decor = old.decor().clone();
            *old = value.clone();
            *old.decor_mut() = decor;
        }
        (Some(value), _) => {
            table.insert(key, Item::Value(value.clone()));
        }
    }
    Ok(())
}

/// The table `key` in the table `name`, made if it is not there in the spelling that is used around it.
fn below<'a>(item: &'a mut Item, name: &str, key: &str) -> Result<&'a mut Item, EditError> {
    let inline = item.is_inline_table();
    let table = item.as_table_like_mut().ok_or_else(|| EditError::NotATable(name.to_owned()))?;
    let dotted = table.is_dotted();
    Ok(table.entry(key).or_insert_with(|| {
        if inline {
            return Item::Value(InlineTable::new().into());
        }
        let mut fresh = Table::new();
        fresh.set_dotted(dotted);
        fresh.set_implicit(true);
        Item::Table(fresh)
    }))
}

/// The same with plain values, to prove an edit by.
pub(super) fn settle(entry: &mut toml::Table, path: &[String], value: Option<&Value>) -> Option<()> {
    let (key, above) = path.split_last()?;
    let mut table = entry;
    for key in above {
        if value.is_none() && !table.contains_key(key) {
            return Some(());
        }
        table = table.entry(key.clone()).or_insert_with(|| toml::Table::new().into()).as_table_mut()?;
    }
    match value {
        Some(value) => {
            let mut read: toml::Table = format!("value = {value}").parse().ok()?;
            table.insert(key.clone(), read.remove("value")?);
        }
        None => {
            table.remove(key);
        }
    }
    Some(())
}
