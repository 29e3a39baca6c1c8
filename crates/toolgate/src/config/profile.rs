//! A profile: further servers, and other settings of those there are, for one way of working. It is chosen on the
//! command line and stands in a file of its own, in `config.toml` under its name, or in both.

use std::path::{Path, PathBuf};

use super::layers::{self, Layer, LayersError};
use super::node::{Node, Table, Value};
use super::place::Source;

/// A profile, read.
pub(super) struct Read {
    /// The table below the file.
    pub(super) layers: Vec<Layer>,
    /// Its file, which may not be there.
    pub(super) file: PathBuf,
}

/// Reads the profile `name`: `[profiles.NAME]` of Codex's layer, and `NAME.config.toml` beside it.
///
/// # Errors
/// When neither is there.
pub(super) fn read(name: &str, home: &Path, codex: &Layer) -> Result<Read, LayersError> {
    let file = home.join(format!("{name}.config.toml"));
    let missing = || LayersError::Profile { name: name.to_owned(), file: file.clone() };
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() || !name.chars().all(fits) {
        return Err(missing());
    }
    let table = table(name, codex);
    if table.is_none() && !file.exists() && codex.problems.is_empty() {
        return Err(missing());
    }
    let part = Layer {
        source: Source::Profile,
        table: table.unwrap_or_default(),
        problems: Vec::new(),
        open: false,
        readable: false,
    };
    Ok(Read { layers: vec![part, layers::guarded(Source::Profile, &file)], file })
}

/// What Codex's file says of it. A file that is not whole says nothing: it is told of where it is read itself.
fn table(name: &str, codex: &Layer) -> Option<Table> {
    let Value::Table(profiles) = &codex.table.get("profiles")?.value else { return None };
    match &profiles.get(name)?.value {
        Value::Table(profile) if codex.problems.is_empty() => Some(servers_of(profile)),
        _ => None,
    }
}

fn servers_of(profile: &Table) -> Table {
    let servers: Option<&Node> = profile.get("mcp_servers");
    servers.map(|servers| Table::from([("mcp_servers".to_owned(), servers.clone())])).unwrap_or_default()
}
