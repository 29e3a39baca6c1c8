//! `toolgate mcp remove NAME`: takes a server's entry out of the files, and forgets what it listed and its login.

use clap::Args;
use serde::Serialize;

use super::Context;
use super::context::unknown_server;
use super::features::Features;
use crate::config::{Edit, Source, Writer};
use crate::ui::{Failure, Report};
use gate::Code;

/// Arguments of `remove`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  toolgate mcp remove github
  toolgate mcp remove github --if-exists
  toolgate mcp remove linear --keep-auth    (to add it again without a new login)")]
pub struct RemoveArgs {
    /// The server.
    name: String,
    /// Succeed when there is no such server.
    #[arg(long)]
    if_exists: bool,
    #[command(flatten)]
    features: Features,
    /// Keep its login.
    #[arg(long)]
    keep_auth: bool,
}

/// Removes it from all files of the user. Comments that stand apart from the entry, and all other settings, stay.
pub fn run(args: &RemoveArgs, cx: &Context) -> Result<(), Failure> {
    let name = args.name.as_str();
    let known = cx.home.is_dir();
    let files = if known { edit(name, cx)? } else { Vec::new() };
    if files.is_empty() && !args.if_exists {
        return Err(elsewhere(name, cx)?);
    }
    upstream::forget_catalog(&cx.home.join("toolgate"), &name.into())
        .map_err(|error| Failure::io("forget what the server listed", error))?;
    if !args.keep_auth {
        upstream::oauth::forget(&cx.home.join("toolgate"), name)
            .map_err(|error| Failure::new(Code::Io, "cannot forget its login").caused_by(error))?;
    }
    cx.ui.report(&Removed { schema: "toolgate.remove/1", name, removed: !files.is_empty(), files })
}

/// Why there was nothing to remove.
fn elsewhere(name: &str, cx: &Context) -> Result<Failure, Failure> {
    let config = cx.files()?;
    let Some(server) = config.servers.get(name) else {
        return Ok(unknown_server(name, &config));
    };
    let message = format!("the entry of '{name}' is not in a file of `{}`", cx.home.display());
    Ok(Failure::new(Code::ArgsInvalid, message).hint(format!("remove it by hand: {}", server.origin.place)))
}

fn edit(name: &str, cx: &Context) -> Result<Vec<String>, Failure> {
    let writer = Writer::lock(&cx.home)?;
    let edit = vec![Edit::Remove { name: name.to_owned() }];
    let sources = [Source::Codex, Source::Toolgate, Source::Json];
    let changed = writer.edit(&sources.map(|source| (source, edit.clone())))?;
    let path = |source: &Source| Some(source.file(&cx.home)?.display().to_string());
    Ok(changed.iter().filter_map(path).collect())
}

#[derive(Serialize)]
struct Removed<'a> {
    schema: &'static str,
    name: &'a str,
    removed: bool,
    files: Vec<String>,
}

impl Report for Removed<'_> {
    fn human(&self) -> String {
        if self.removed {
            format!("Removed global MCP server '{}'.\n", self.name)
        } else {
            format!("No MCP server named '{}' found.\n", self.name)
        }
    }
}
