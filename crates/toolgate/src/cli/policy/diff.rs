//! `toolgate policy diff`: whose calls of what get another outcome by a change of toolgate.toml.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use super::super::Context;
use super::PRINCIPALS;
use crate::ui::{Failure, Report, Table};
use crate::wire::Known;
use gate::policy::{self, Change};

/// Arguments of `policy diff`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  toolgate policy diff toolgate.toml.old ~/.codex/toolgate.toml
  git show HEAD~1:toolgate.toml > old.toml && toolgate policy diff old.toml toolgate.toml --json

Compares over the tools that servers were last seen to offer; each file is read in place of toolgate.toml, beside the
same config.toml and managed files. Prints what changes and exits 0, whether or not anything does.")]
pub struct DiffArgs {
    /// A toolgate.toml as it was.
    old: PathBuf,
    /// A toolgate.toml as it is to be.
    new: PathBuf,
}

/// Compares.
pub fn run(args: &DiffArgs, cx: &Context) -> Result<(), Failure> {
    let (old, new) = (known(&args.old, cx)?, known(&args.new, cx)?);
    // What is known of a server depends on how it is reached; what either file reaches counts.
    let mut tools = new.tools.clone();
    tools.extend(old.tools.iter().filter(|item| new.raw(item.server.as_str(), &item.raw).is_none()).cloned());
    let changes = policy::diff(&old.policy, &new.policy, &tools, &PRINCIPALS);
    cx.ui.report(&Diff { changes, compared: tools.len() })
}

fn known(path: &Path, cx: &Context) -> Result<Known, Failure> {
    let config = cx.instead_of_own(path)?;
    config.sound().map_err(|problem| Failure::from(problem.clone()))?;
    Ok(Known::load(&config, &cx.env))
}

struct Diff {
    changes: Vec<Change>,
    compared: usize,
}

impl Serialize for Diff {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap;
        let mut map = serializer.serialize_map(Some(3))?;
        map.serialize_entry("schema", "toolgate.policy.diff/1")?;
        map.serialize_entry("compared", &self.compared)?;
        map.serialize_entry("changes", &self.changes)?;
        map.end()
    }
}

impl Report for Diff {
    fn human(&self) -> String {
        if self.changes.is_empty() {
            return format!("Nothing changes for the {} tools known.\n", self.compared);
        }
        let mut table = Table::new(["Principal", "Server", "Tool", "Before", "After"]);
        for change in &self.changes {
            table.row([
                change.principal.to_owned(),
                change.server.to_string(),
                change.tool.to_string(),
                change.before.to_string(),
                change.after.to_string(),
            ]);
        }
        table.text()
    }
}
