//! `toolgate config check`: every mistake in the files at once, each with its place.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::super::Context;
use super::super::content::visible;
use super::super::policy::lint::{self, Row};
use crate::config::Source;
use crate::ui::{Failure, Report};
use gate::Code;
use gate::policy::Level;

/// Arguments of `config check`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  toolgate config check
  toolgate config check --strict ./toolgate.toml
  toolgate config check --json | jq -r '.problems[] | \"\\(.file):\\(.line): \\(.message)\"'

Exits 1 if there is an error, with --strict also if there is a warning.")]
pub struct CheckArgs {
    /// Check this file in the place of its namesake: `config.toml`, a JSON file for `config.json`, any other for
    /// `toolgate.toml`.
    file: Option<PathBuf>,
    /// Take warnings for errors.
    #[arg(long)]
    strict: bool,
}

/// Checks.
pub fn run(args: &CheckArgs, cx: &Context) -> Result<(), Failure> {
    let config = match &args.file {
        None => cx.read()?,
        Some(file) => {
            let layer = match file.extension().and_then(|ending| ending.to_str()) {
                Some("json") => Source::Json,
                _ if file.ends_with("config.toml") => Source::Codex,
                _ => Source::Toolgate,
            };
            cx.instead_of(layer, &std::path::absolute(file).unwrap_or_else(|_| file.clone()))?
        }
    };
    let problems: Vec<_> = lint::findings(&config, &cx.env).into_iter().map(Found::of).collect();
    let counts = |problem: &&Found| args.strict || problem.level == Level::Error;
    let wrong = problems.iter().filter(counts).count();
    cx.ui.report(&Checked { schema: "toolgate.config.check/1", ok: wrong == 0, problems })?;
    let s = if wrong == 1 { "" } else { "s" };
    match wrong {
        0 => Ok(()),
        _ => Err(Failure::new(Code::ArgsInvalid, format!("{wrong} problem{s} in the configuration"))),
    }
}

#[derive(Serialize)]
struct Checked {
    schema: &'static str,
    ok: bool,
    problems: Vec<Found>,
}

#[derive(Serialize)]
struct Found {
    level: Level,
    place: Option<String>,
    file: Option<String>,
    line: Option<usize>,
    column: Option<usize>,
    message: String,
    hint: Option<String>,
}

impl Found {
    fn of(row: Row) -> Self {
        let (file, line, column) = row.place.as_deref().and_then(parts).unwrap_or_default();
        let rule = row.rule.map(|rule| format!("rule `{rule}` ")).unwrap_or_default();
        let message = format!("{rule}{}", row.text);
        Self { level: row.level, place: row.place, file, line, column, message, hint: row.hint }
    }
}

/// File, line and column of a place that has them.
fn parts(place: &str) -> Option<(Option<String>, Option<usize>, Option<usize>)> {
    let (rest, column) = place.rsplit_once(':')?;
    let (file, line) = rest.rsplit_once(':')?;
    Some((Some(file.to_owned()), Some(line.parse().ok()?), Some(column.parse().ok()?)))
}

impl Report for Checked {
    fn human(&self) -> String {
        if self.problems.is_empty() {
            return "Nothing is wrong with the configuration.\n".to_owned();
        }
        let line = |problem: &Found| {
            let level = if problem.level == Level::Error { "error" } else { "warning" };
            let place = problem.place.as_ref().map(|place| format!("{place}: ")).unwrap_or_default();
            let hint = problem.hint.as_ref().map(|hint| format!("\n  hint: {hint}")).unwrap_or_default();
            format!("{}\n", visible(&format!("{place}{level}: {}{hint}", problem.message)))
        };
        self.problems.iter().map(line).collect()
    }
}
