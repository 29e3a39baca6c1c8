//! Changing a configuration text by as few bytes as possible. Pure: files and locks are in `write`.

mod proof;
mod setting;

use toml_edit::{DocumentMut, Item, Table, TableLike, Value};

/// One change.
#[derive(Debug, Clone)]
pub enum Edit {
    /// Writes a server's entry; an older one of that name is replaced.
    Put {
        /// The server.
        name: String,
        /// Its settings.
        table: Table,
    },
    /// Sets single settings of a server's entry, which is made if it is not there.
    Add {
        /// The server.
        name: String,
        /// The settings.
        table: Table,
    },
    /// Sets one setting of a server's entry, which is made if it is not there, or takes it out.
    Set {
        /// The server.
        name: String,
        /// The keys down to the setting; never empty.
        path: Vec<String>,
        /// What it becomes; nothing takes it out.
        value: Option<Value>,
    },
    /// Takes a server's entry out; nothing happens when it is not there.
    Remove {
        /// The server.
        name: String,
    },
    /// Says how far a project is trusted, or nothing any more.
    Project {
        /// Its directory, absolute.
        root: String,
        /// Codex's word for it.
        level: Option<&'static str>,
    },
}

impl Edit {
    /// The entry that is edited: the table it is in, and its name there.
    fn entry(&self) -> (&'static str, &str) {
        match self {
            Self::Put { name, .. } | Self::Add { name, .. } | Self::Set { name, .. } | Self::Remove { name } => {
                (SERVERS, name)
            }
            Self::Project { root, .. } => (PROJECTS, root),
        }
    }
}

/// Why a text was left as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// It is no TOML, or no JSON.
    #[error("does not parse: {message}")]
    Syntax {
        /// Byte offset of the mistake.
        offset: usize,
        /// What is wrong.
        message: String,
    },
    /// The table of the servers (or projects), or the entry in it, is something else than a table.
    #[error("`{0}` is not a table")]
    NotATable(String),
    /// It is JSON that cannot be edited so.
    #[error(transparent)]
    Json(#[from] crate::jsonc::EditError),
    /// The result would have changed something else too.
    #[error("the entry of `{0}` cannot be edited without touching its surroundings")]
    Unfaithful(String),
}

/// Applies the changes in order. Comments, order, spacing and all other settings stay as they are; the comment
/// block directly above a removed table goes with it.
///
/// # Errors
/// When the text cannot be edited faithfully. The result is proven by reading it again.
pub fn apply(text: &str, edits: &[Edit]) -> Result<String, EditError> {
    parse(text)?;
    let plain = Plain::of(text);
    let mut edited = plain.text.clone();
    for edit in edits {
        edited = apply_one(&edited, edit)?;
    }
    Ok(if edited == plain.text { text.to_owned() } else { plain.restore(&edited) })
}

fn apply_one(text: &str, edit: &Edit) -> Result<String, EditError> {
    let mut document = parse(text)?;
    let (section, name) = edit.entry();
    let there = match edit {
        Edit::Put { table, .. } => put(&mut document, section, name, table.clone()).map(|()| true)?,
        Edit::Add { table, .. } => add(&mut document, section, name, table).map(|()| true)?,
        Edit::Remove { .. } => remove(&mut document, section, name)?,
        Edit::Set { path, value, .. } => set(&mut document, name, path, value.as_ref())?,
        Edit::Project { level: Some(level), .. } => add(&mut document, section, name, &trust(level)).map(|()| true)?,
        Edit::Project { level: None, .. } => forget(&mut document, name)?,
    };
    if !there {
        return Ok(text.to_owned());
    }
    let edited = document.to_string();
    proof::prove(text, &edited, edit)?;
    Ok(edited)
}

/// A text without byte order mark and carriage returns: the editor would drop them from lines that nobody edits.
struct Plain {
    text: String,
    mark: bool,
    returns: bool,
}

const MARK: char = '\u{feff}';

impl Plain {
    fn of(text: &str) -> Self {
        let (mark, text) = (text.starts_with(MARK), text.trim_start_matches(MARK));
        let lines = text.matches('\n').count();
        let returns = lines > 0 && text.matches("\r\n").count() == lines;
        Self { text: if returns { text.replace("\r\n", "\n") } else { text.to_owned() }, mark, returns }
    }

    fn restore(&self, edited: &str) -> String {
        let edited = if self.returns { edited.replace('\n', "\r\n") } else { edited.to_owned() };
        if self.mark { format!("{MARK}{edited}") } else { edited }
    }
}

fn parse(text: &str) -> Result<DocumentMut, EditError> {
    text.parse().map_err(|error: toml_edit::TomlError| EditError::Syntax {
        offset: error.span().map_or(0, |span| span.start),
        message: error.message().to_owned(),
    })
}

const SERVERS: &str = "mcp_servers";
const PROJECTS: &str = "projects";
const TRUST: &str = "trust_level";

fn trust(level: &str) -> Table {
    let mut table = Table::new();
    table.insert(TRUST, toml_edit::value(level));
    table
}

/// The table of all entries of a kind, made if it is not there.
fn entries<'a>(document: &'a mut DocumentMut, section: &str) -> Result<&'a mut dyn TableLike, EditError> {
    let implicit = || {
        let mut table = Table::new();
        table.set_implicit(true);
        Item::Table(table)
    };
    let item = document.entry(section).or_insert_with(implicit);
    item.as_table_like_mut().ok_or_else(|| EditError::NotATable(section.to_owned()))
}

fn put(document: &mut DocumentMut, section: &str, name: &str, mut table: Table) -> Result<(), EditError> {
    let inline = document.get(section).is_some_and(Item::is_inline_table);
    let entries = self::entries(document, section)?;
    if inline {
        entries.insert(name, Item::Value(table.into_inline_table().into()));
        return Ok(());
    }
    match entries.get(name) {
        Some(Item::Table(old)) if !old.is_dotted() => {
            *table.decor_mut() = old.decor().clone();
            table.set_position(old.position());
        }
        _ => at_the_end(document, &mut table),
    }
    self::entries(document, section)?.insert(name, Item::Table(table));
    Ok(())
}

/// Gives a new table the last place in the document, behind what comments stand there.
fn at_the_end(document: &mut DocumentMut, table: &mut Table) {
    table.set_position(Some(last_position(document.as_table()) + 1));
    let trailing = document.trailing().as_str().unwrap_or_default().to_owned();
    if trailing.contains('#') {
        let line_end = if trailing.ends_with('\n') { "" } else { "\n" };
        let gap = if trailing.ends_with("\n\n") { "" } else { "\n" };
        table.decor_mut().set_prefix(format!("{trailing}{line_end}{gap}"));
        document.set_trailing("");
    }
}

fn last_position(table: &Table) -> isize {
    let below = table.iter().flat_map(|(_, item)| tables(item)).map(last_position);
    below.chain(table.position()).max().unwrap_or(0)
}

fn add(document: &mut DocumentMut, section: &str, name: &str, settings: &Table) -> Result<(), EditError> {
    let Some(item) = entries(document, section)?.get_mut(name) else {
        return put(document, section, name, settings.clone());
    };
    let inline = item.is_inline_table();
    let entry = item.as_table_like_mut().ok_or_else(|| EditError::NotATable(format!("{section}.{name}")))?;
    for (key, value) in settings {
        let value = match value {
            Item::Table(table) if inline => Item::Value(table.clone().into_inline_table().into()),
            other => other.clone(),
        };
        entry.insert(key, value);
    }
    Ok(())
}

/// Whether there was anything to do is in the answer.
fn set(document: &mut DocumentMut, name: &str, path: &[String], value: Option<&Value>) -> Result<bool, EditError> {
    let there = document.get(SERVERS).and_then(|servers| servers.get(name)).is_some();
    match (there, value) {
        (false, None) => return Ok(false),
        (false, Some(_)) => put(document, SERVERS, name, Table::new())?,
        (true, _) => {}
    }
    let entry = entries(document, SERVERS)?.get_mut(name);
    setting::set(entry.expect("it was there or was put there"), name, path, value)?;
    Ok(true)
}

/// Takes the word about a project back, and its entry if nothing else stands in it.
fn forget(document: &mut DocumentMut, root: &str) -> Result<bool, EditError> {
    let entry = document.get(PROJECTS).and_then(|projects| projects.get(root)).and_then(Item::as_table_like);
    match entry {
        Some(entry) if entry.contains_key(TRUST) && entry.len() == 1 => remove(document, PROJECTS, root),
        Some(_) => {
            let entry = entries(document, PROJECTS)?.get_mut(root).expect("it was found above");
            setting::set(entry, root, &[TRUST.to_owned()], None).map(|()| true)
        }
        None => Ok(false),
    }
}

/// Whether it was there is in the answer.
fn remove(document: &mut DocumentMut, section: &str, name: &str) -> Result<bool, EditError> {
    if document.get(section).is_none() {
        return Ok(false);
    }
    let entries = self::entries(document, section)?;
    keep_key_comment(entries, name);
    let Some(removed) = entries.remove(name) else {
        return Ok(false);
    };
    let mut headers = Vec::new();
    collect(&removed, &mut headers);
    headers.sort_by_key(|(position, _)| *position);
    // From the end, so that two comments meant for one place keep their order.
    for (position, comment) in headers.into_iter().rev() {
        give_to_next(document, position, &comment);
    }
    Ok(true)
}

/// The comments worth keeping of each table header in `item`, with its position in the document.
fn collect(item: &Item, found: &mut Vec<(isize, String)>) {
    let Some(table) = item.as_table() else {
        return;
    };
    let prefix = table.decor().prefix().and_then(|prefix| prefix.as_str()).unwrap_or_default();
    if let (Some(position), Some(comment)) = (table.position(), apart(prefix)) {
        found.push((position, comment));
    }
    for (_, item) in table {
        collect(item, found);
    }
}

/// The comments in `prefix` that a blank line parts from what follows: they do not belong to it.
fn apart(prefix: &str) -> Option<String> {
    let lines: Vec<_> = prefix.split_inclusive('\n').collect();
    let blank = lines.iter().rposition(|line| line.ends_with('\n') && line.trim().is_empty())?;
    let kept = lines[..=blank].concat();
    kept.contains('#').then_some(kept)
}

fn give_to_next(document: &mut DocumentMut, position: isize, comment: &str) {
    let mut next = None;
    next_position(document.as_table(), position, &mut next);
    let together = |below: &str| {
        let gap = comment.ends_with("\n\n") && (below.starts_with('\n') || below.is_empty());
        format!("{}{below}", if gap { &comment[..comment.len() - 1] } else { comment })
    };
    let table = next.and_then(|position| table_at(document.as_table_mut(), position));
    match table {
        Some(table) => {
            let below = table.decor().prefix().and_then(|prefix| prefix.as_str()).unwrap_or_default().to_owned();
            table.decor_mut().set_prefix(together(&below));
        }
        None => {
            let below = document.trailing().as_str().unwrap_or_default().to_owned();
            document.set_trailing(together(&below));
        }
    }
}

fn tables(item: &Item) -> Vec<&Table> {
    match item {
        Item::Table(table) => vec![table],
        Item::ArrayOfTables(array) => array.iter().collect(),
        Item::None | Item::Value(_) => Vec::new(),
    }
}

fn next_position(table: &Table, after: isize, next: &mut Option<isize>) {
    for below in table.iter().flat_map(|(_, item)| tables(item)) {
        if let Some(position) = below.position()
            && position > after
            && !below.is_dotted()
            && next.is_none_or(|next| position < next)
        {
            *next = Some(position);
        }
        next_position(below, after, next);
    }
}

fn table_at(table: &mut Table, position: isize) -> Option<&mut Table> {
    for (_, item) in table.iter_mut() {
        let below: Vec<&mut Table> = match item {
            Item::Table(table) => vec![table],
            Item::ArrayOfTables(array) => array.iter_mut().collect(),
            Item::None | Item::Value(_) => Vec::new(),
        };
        for table in below {
            if table.position() == Some(position) && !table.is_dotted() {
                return Some(table);
            }
            if let Some(found) = table_at(table, position) {
                return Some(found);
            }
        }
    }
    None
}

/// Hands a comment that stands apart above the key `name` down to the key after it.
fn keep_key_comment(servers: &mut dyn TableLike, name: &str) {
    let prefix = |key: &toml_edit::Key| key.leaf_decor().prefix().and_then(|prefix| prefix.as_str()).map(str::to_owned);
    let Some(comment) = servers.key(name).and_then(prefix).and_then(|prefix| apart(&prefix)) else {
        return;
    };
    let next = servers.iter().skip_while(|(key, _)| *key != name).nth(1).map(|(key, _)| key.to_owned());
    if let Some(mut key) = next.as_deref().and_then(|key| servers.key_mut(key)) {
        let below = key.leaf_decor().prefix().and_then(|prefix| prefix.as_str()).unwrap_or_default().to_owned();
        key.leaf_decor_mut().set_prefix(format!("{comment}{below}"));
    }
}

#[cfg(test)]
mod tests;
