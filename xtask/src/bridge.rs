//! `cargo xtask bridge`: the tools that drive Codex, with real Codex CLIs of many releases and a model on this machine.
//! Writes `docs/reports/codex-versions.md`.
//!
//! What is tried stands in `bridge/drive.py`, which does it with one CLI and says what held.

pub(crate) mod defects;
pub(crate) mod load;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::Args;
use serde::Deserialize;

use crate::peers::{root, succeed};
use crate::{Failure, say};

/// What is tried when nothing else is said: the first that could be driven, those between which something changed, the
/// last that had a server of its own, and the newest.
const VERSIONS: &str = "0.39.0,0.42.0,0.58.0,0.75.0,0.98.0,0.116.0,0.136.0,0.153.4,0.169.0";

/// What `cargo xtask bridge` is told.
#[derive(Args)]
pub(crate) struct Flags {
    /// Try these releases of `@openai/codex`.
    #[arg(long, value_delimiter = ',', default_value = VERSIONS)]
    versions: Vec<String>,
    /// The profile to build toolgate with.
    #[arg(long, default_value = "quick")]
    profile: String,
    /// Try this program instead of building it.
    #[arg(long, value_name = "FILE", conflicts_with = "profile")]
    toolgate: Option<PathBuf>,
    /// Leave the committed report alone.
    #[arg(long)]
    dry: bool,
}

/// What became of one thing that was tried, as the driver says it.
#[derive(Deserialize)]
struct Line {
    what: String,
    #[serde(default)]
    held: bool,
    why: Option<String>,
    /// No trial: something the release is or has.
    fact: Option<String>,
}

/// One release.
struct Tried {
    version: String,
    lines: Vec<Line>,
}

/// Installs, tries, and writes the table.
///
/// # Errors
/// When something cannot be installed or built, or did not hold.
pub(crate) fn run(flags: &Flags) -> Result<(), Failure> {
    let work = root().join(".work/codex-versions");
    let toolgate = match &flags.toolgate {
        Some(program) => program.canonicalize()?,
        None => build(&flags.profile)?,
    };
    let mut all = Vec::new();
    for version in &flags.versions {
        let codex = install(&work, version)?;
        say(&format!("{version}: trying"));
        let lines = drive(&toolgate, &codex, &work.join("homes").join(version))?;
        for line in lines.iter().filter(|line| line.failed()) {
            say(&format!("{version}: {}: {}", line.what, line.why.as_deref().unwrap_or_default()));
        }
        all.push(Tried { version: version.clone(), lines });
    }
    if !flags.dry {
        let path = root().join("docs/reports/codex-versions.md");
        fs::write(&path, report(&all))?;
        say(&format!("written: {}", path.display()));
    }
    match all.iter().flat_map(|tried| &tried.lines).filter(|line| line.failed()).count() {
        0 => Ok(()),
        count => Err(format!("{count} trials did not hold").into()),
    }
}

impl Line {
    fn failed(&self) -> bool {
        !self.held && self.fact.is_none()
    }

    fn cell(&self) -> &str {
        match &self.fact {
            Some(fact) => fact,
            None if self.held => "yes",
            None => "**no**",
        }
    }
}

fn build(profile: &str) -> Result<PathBuf, Failure> {
    let arguments = ["build", "--profile", profile, "-p", "toolgate", "--bin", "toolgate"];
    succeed(Command::new(env!("CARGO")).args(arguments).current_dir(root()))?;
    let metadata = cargo_metadata::MetadataCommand::new().no_deps().exec()?;
    let directory = if profile == "dev" { "debug" } else { profile };
    Ok(metadata.target_directory.join(directory).join("toolgate").into())
}

/// The CLI of that release, in a directory of its own.
fn install(work: &Path, version: &str) -> Result<PathBuf, Failure> {
    let home = work.join(version);
    let program = home.join("node_modules/.bin/codex");
    if program.exists() {
        return Ok(program);
    }
    fs::create_dir_all(&home)?;
    fs::write(home.join("package.json"), r#"{"private":true}"#)?;
    let arguments =
        ["install", "--no-audit", "--no-fund", "--loglevel=error", "--no-engine-strict", "--ignore-scripts"];
    let package = format!("@openai/codex@{version}");
    succeed(Command::new("npm").args(arguments).arg(package).current_dir(&home))?;
    Ok(program)
}

fn drive(toolgate: &Path, codex: &Path, scratch: &Path) -> Result<Vec<Line>, Failure> {
    let mut python = Command::new("python3");
    let script = root().join("xtask/src/bridge/drive.py");
    let output = python.arg(script).args([toolgate, codex, scratch]).stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(format!("the driver ended with {}", output.status).into());
    }
    let text = String::from_utf8(output.stdout)?;
    Ok(text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?)
}

fn report(all: &[Tried]) -> String {
    let mut text = String::from(
        "# Codex CLIs that can be driven\n\n\
         Written by `cargo xtask bridge`: each column is that release of `@openai/codex`, driven by `toolgate mcp serve \
         --profile bridge` with a model on the same machine that says and refuses what a trial needs. What a row means \
         in detail stands in `xtask/src/bridge/drive.py`.\n\n|",
    );
    let versions: Vec<_> = all.iter().map(|tried| tried.version.as_str()).collect();
    _ = writeln!(text, " | {} |\n|---|{}", versions.join(" | "), ":-:|".repeat(all.len()));
    for (row, first) in all.first().into_iter().flat_map(|tried| tried.lines.iter().enumerate()) {
        let cells = all.iter().map(|tried| tried.lines.get(row).map_or("", Line::cell));
        _ = writeln!(text, "| {} | {} |", first.what, cells.collect::<Vec<_>>().join(" | "));
    }
    let failed = |tried: &Tried| {
        let lines = tried.lines.iter().filter(|line| line.failed());
        let why = |line: &Line| line.why.clone().unwrap_or_default().replace('\n', " ");
        lines.map(|line| format!("- {}, {}: {}\n", tried.version, line.what, why(line))).collect::<String>()
    };
    let failed: String = all.iter().map(failed).collect();
    if !failed.is_empty() {
        _ = write!(text, "\nWhat did not hold:\n\n{failed}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_a_column_for_each_release_and_says_what_did_not_hold() {
        let tried = |version: &str, said: &str| Tried {
            version: version.to_owned(),
            lines: said.lines().map(|line| serde_json::from_str(line).expect("a line")).collect(),
        };
        let fact = r#"{"what":"review","fact":"in words"}"#;
        let all = [
            tried("0.1.0", &format!("{fact}\n{}", r#"{"what":"401","held":false,"why":"a\nb"}"#)),
            tried("0.2.0", &format!("{fact}\n{}", r#"{"what":"401","held":true,"why":null}"#)),
        ];
        let text = report(&all);
        assert!(text.contains("| | 0.1.0 | 0.2.0 |\n|---|:-:|:-:|\n"), "{text}");
        assert!(text.contains("| review | in words | in words |\n| 401 | **no** | yes |\n"), "{text}");
        assert!(text.ends_with("What did not hold:\n\n- 0.1.0, 401: a b\n"), "{text}");
    }
}
