//! `toolgate mcp schema`: snapshots of what tools take, and what changed between two.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;

use super::lock::Seen;
use super::{Context, runtime};
use crate::ui::{Failure, Report};
use crate::wire::{self, Log};
use gate::Code;
use gate::pin;
use gate::schema::{self, SchemaChange, Snapshot};
use mcp::view;

/// How long a fixture may be, in bytes.
const LONGEST: u64 = 64 << 20;

/// Arguments of `schema`.
#[derive(Debug, Args)]
pub struct SchemaArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write down the definitions of all tools as servers send them.
    #[command(after_help = "Examples:
  toolgate mcp schema snapshot --out schemas.json
  toolgate mcp schema snapshot github > github.json")]
    Snapshot {
        /// The servers; all that are enabled if left out.
        names: Vec<String>,
        /// Write to this file.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Tell what changed from one snapshot to another, or to what servers offer now.
    #[command(after_help = "Examples:
  toolgate mcp schema diff old.json new.json
  toolgate mcp schema diff schemas.json --fail-on breaking

Exit status: 0; with `--fail-on` 1 if there is such a change.")]
    Diff {
        /// The older snapshot.
        old: PathBuf,
        /// The newer one; what the servers of the older one offer now if left out.
        new: Option<PathBuf>,
        /// Fail on these changes.
        #[arg(long, value_name = "WHICH")]
        fail_on: Option<FailOn>,
    },
    /// Fail if servers offer something else than fixtures say. For CI.
    #[command(after_help = "Examples:
  toolgate mcp schema check --fixtures schemas.json
  toolgate mcp schema check --fixtures tests/schemas/ --fail-on breaking

A directory may hold snapshots (`*.json`), and single definitions as `SERVER/TOOL.json`.

Exit status: 0 if nothing differs (with `--fail-on breaking`: nothing that breaks callers), else 1.")]
    Check {
        /// A snapshot, or a directory of fixtures.
        #[arg(long, value_name = "DIR|FILE")]
        fixtures: PathBuf,
        /// Fail on these changes.
        #[arg(long, value_name = "WHICH", default_value = "any")]
        fail_on: FailOn,
    },
}

/// Which changes make the command fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FailOn {
    /// What may break callers.
    Breaking,
    /// Any.
    Any,
}

/// Runs one of them.
pub fn run(args: &SchemaArgs, cx: &Context) -> Result<(), Failure> {
    match &args.command {
        Command::Snapshot { names, out } => snapshot(names, out.as_deref(), cx),
        Command::Diff { old, new, fail_on } => {
            let old = read(old)?;
            let new = match new {
                Some(new) => read(new)?,
                None => offered(&old, cx)?,
            };
            judge(&old, &new, *fail_on, cx)
        }
        Command::Check { fixtures, fail_on } => {
            let old = if fixtures.is_dir() { read_all(fixtures)? } else { read(fixtures)? };
            let new = offered(&old, cx)?;
            judge(&old, &new, Some(*fail_on), cx)
        }
    }
}

fn snapshot(names: &[String], out: Option<&Path>, cx: &Context) -> Result<(), Failure> {
    let text = live(names, cx)?.to_text();
    match out {
        None => cx.ui.out(&text),
        Some(file) => {
            std::fs::write(file, text).map_err(|error| Failure::io(&format!("write {}", file.display()), error))?;
            cx.ui.status(&format!("wrote {}", file.display()));
            Ok(())
        }
    }
}

/// What the servers of `names` offer now, all if there are none.
fn live(names: &[String], cx: &Context) -> Result<Snapshot, Failure> {
    let config = cx.config()?;
    wire::start_logging(&cx.env, &cx.home, Log::Terminal);
    runtime::block_on(async {
        let seen = Seen::look(names, &config, cx).await?;
        let mut snapshot = Snapshot::new();
        for item in seen.tools() {
            let definition = seen.house.gate.masks().definition(item.definition.clone());
            snapshot.add(item.server.as_str(), &item.raw, &definition);
        }
        seen.warn(cx);
        // A snapshot that lacks a server would tell that all its tools are gone.
        let fault = seen.faults.first().map(|(_, fault)| fault.clone());
        seen.house.stop().await;
        fault.map_or(Ok(snapshot), |fault| Err(gate::Failure::Broke(fault).into()))
    })
}

/// What the servers of a snapshot offer now.
fn offered(old: &Snapshot, cx: &Context) -> Result<Snapshot, Failure> {
    let names: Vec<String> = old.servers.keys().cloned().collect();
    if names.is_empty() {
        return Err(Failure::new(Code::Usage, "there is nothing to compare with").hint("write a snapshot first"));
    }
    live(&names, cx)
}

fn judge(old: &Snapshot, new: &Snapshot, fail_on: Option<FailOn>, cx: &Context) -> Result<(), Failure> {
    let report = Changes { changes: schema::diff(old, new) };
    cx.ui.report(&report)?;
    let all = report.changes.len();
    let breaking = report.changes.iter().filter(|change| change.breaking).count();
    let failing = match fail_on {
        None => 0,
        Some(FailOn::Any) => all,
        Some(FailOn::Breaking) => breaking,
    };
    if failing == 0 {
        return Ok(());
    }
    Err(Failure::new(Code::SchemaChanged, format!("{all} changes, {breaking} of them breaking"))
        .hint("if they are meant, write a new snapshot"))
}

fn read(path: &Path) -> Result<Snapshot, Failure> {
    Snapshot::parse(&text(path)?).map_err(|flaw| {
        Failure::new(Code::Usage, format!("{} cannot be used", path.display()))
            .caused_by(flaw)
            .hint("snapshots are written by `toolgate mcp schema snapshot`")
    })
}

fn text(path: &Path) -> Result<String, Failure> {
    let io = |error| Failure::io(&format!("read {}", path.display()), error);
    if std::fs::metadata(path).map_err(io)?.len() > LONGEST {
        return Err(Failure::new(Code::Usage, format!("{} is too long", path.display())));
    }
    std::fs::read_to_string(path).map_err(io)
}

/// All fixtures of a directory.
fn read_all(directory: &Path) -> Result<Snapshot, Failure> {
    let mut all = Snapshot::new();
    for path in entries(directory)? {
        if path.is_dir() {
            let server = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            for file in entries(&path)?.iter().filter(|file| is_json(file)) {
                let definition = text(file)?;
                let name = view::member(definition.trim(), "name").and_then(view::string);
                let name = name.ok_or_else(|| {
                    Failure::new(
                        Code::Usage,
                        format!("{} is no definition of a tool: it has no `name`", file.display()),
                    )
                })?;
                all.add(&server, &name, definition.trim().as_bytes());
            }
        } else if is_json(&path) {
            all.servers.extend(read(&path)?.servers);
        }
    }
    Ok(all)
}

fn entries(directory: &Path) -> Result<Vec<PathBuf>, Failure> {
    let io = |error| Failure::io(&format!("read {}", directory.display()), error);
    let found = std::fs::read_dir(directory).map_err(io)?.map(|entry| entry.map(|entry| entry.path()));
    let mut found = found.collect::<Result<Vec<_>, _>>().map_err(io)?;
    found.sort();
    Ok(found)
}

fn is_json(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "json")
}

struct Changes {
    changes: Vec<SchemaChange>,
}

impl Serialize for Changes {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let breaking = self.changes.iter().filter(|change| change.breaking).count();
        serde_json::json!({"schema": "toolgate.schema_diff/1", "breaking": breaking, "changes": self.changes})
            .serialize(serializer)
    }
}

impl Report for Changes {
    fn human(&self) -> String {
        if self.changes.is_empty() {
            return "Nothing changed.\n".to_owned();
        }
        self.changes.iter().map(|change| format!("{}\n", pin::visible(&change.to_string()))).collect()
    }
}
