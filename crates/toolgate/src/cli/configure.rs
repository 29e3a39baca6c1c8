//! `toolgate mcp configure NAME KEY=VALUE…`: single settings of a server, in whichever file each belongs.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::Context;
use super::amend::{Amendment, amend};
use crate::config::{Setting, SettingError};
use crate::ui::{Failure, Report};
use gate::Code;

/// Arguments of `configure`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  toolgate mcp configure github enabled=false
  toolgate mcp configure github env.LOG_LEVEL=debug tool_timeout_sec=60
  toolgate mcp configure github tools.create_issue.approval_mode=prompt
  toolgate mcp configure docs 'disabled_tools=[\"purge\", \"reindex\"]'
  toolgate mcp configure github cwd=

A setting stays in the file it stands in; what only toolgate knows goes to toolgate.toml. Nothing is written unless the server can be used with all of it.")]
pub struct ConfigureArgs {
    /// The server.
    name: String,
    /// The settings: a dotted path within the server's entry, and its value as TOML or else a literal text. Without
    /// a value the setting is taken out.
    #[arg(value_name = "KEY=VALUE", required = true)]
    settings: Vec<String>,
}

/// Changes them all, or none.
pub fn run(args: &ConfigureArgs, cx: &Context) -> Result<(), Failure> {
    let settings = args.settings.iter().map(|text| Setting::parse(text)).collect::<Result<Vec<_>, _>>()?;
    let wanted: Vec<_> = settings.into_iter().map(|setting| (args.name.as_str(), setting)).collect();
    let amended = amend(&wanted, cx)?;
    let changes = amended.settings.into_iter().map(Changed::from).collect();
    cx.ui.report(&Configured { schema: "toolgate.configure/1", name: &args.name, changes })
}

impl From<SettingError> for Failure {
    fn from(error: SettingError) -> Self {
        let failure = Self::new(Code::Usage, error.to_string());
        match error {
            SettingError::Shape { .. } => failure.hint("write it like `enabled=false` or `env.NAME=VALUE`"),
            SettingError::Unknown { hint: Some(hint), .. } => failure.hint(hint),
            SettingError::Unknown { hint: None, .. } | SettingError::Value { .. } => failure,
        }
    }
}

#[derive(Serialize)]
struct Configured<'a> {
    schema: &'static str,
    name: &'a str,
    changes: Vec<Changed>,
}

#[derive(Serialize)]
struct Changed {
    key: String,
    old: Option<String>,
    new: Option<String>,
    files: Vec<PathBuf>,
}

impl From<Amendment> for Changed {
    fn from(Amendment { key, old, new, files }: Amendment) -> Self {
        Self { key, old, new, files }
    }
}

impl Report for Configured<'_> {
    fn human(&self) -> String {
        let said = |value: &Option<String>| value.clone().unwrap_or_else(|| "(not set)".to_owned());
        let line = |change: &Changed| {
            format!("{}: {}: {} -> {}\n", self.name, change.key, said(&change.old), said(&change.new))
        };
        self.changes.iter().map(line).collect()
    }
}
