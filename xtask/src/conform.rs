//! Runs the official MCP conformance suite, cell by cell.
//!
//! A cell is one way to reach the fixture through toolgate, a transport and an era; or the workspace server itself in an
//! era, which has none of the tools that many scenarios are about. What is known to fail in a cell is listed, with the
//! reason, in `conformance/CELL.yml`; that list may only shrink. Where clients log in nothing may fail.

mod cell;
mod logins;
mod subject;
mod suite;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use cell::Cell;
use clap::ValueEnum;
use suite::{Report, Suite};

use crate::peers::{npm, root, succeed};
use crate::{Failure, say};

/// What `cargo xtask conform` is told.
#[derive(clap::Args)]
pub struct Flags {
    /// Run these cells alone.
    #[arg(long, value_enum, value_name = "CELL")]
    only: Vec<Cell>,
    /// Test the fixture itself, without toolgate in between. Takes the HTTP cells.
    #[arg(long)]
    direct: bool,
    /// Run the scenarios in which toolgate logs in, and no cell that is not named.
    #[arg(long, conflicts_with = "direct")]
    logins: bool,
    /// The cargo profile of the programs under test.
    #[arg(long, default_value = "quick")]
    profile: String,
    /// Test the programs in this directory instead of building them.
    #[arg(long, value_name = "DIR", conflicts_with = "profile")]
    programs: Option<PathBuf>,
}

/// Runs the cells and prints a table.
///
/// # Errors
/// When something cannot be built, installed or started, or when a cell has an unexpected outcome.
pub fn run(flags: &Flags) -> Result<(), Failure> {
    let root = root();
    let work = root.join(".work/conform");
    npm(&root.join("peers/conformance"), &work)?;
    let programs = match &flags.programs {
        Some(directory) => directory.canonicalize()?,
        None => build(&root, flags)?,
    };
    let suite = Suite::new(&work);
    let mut rows = Vec::new();
    for cell in cells(flags) {
        say(&format!("{cell}: {}", cell.requirements()));
        let report = run_cell(cell, flags.direct, &programs, &suite, &root);
        rows.push(Row { name: cell.to_string(), requirements: cell.requirements(), report });
    }
    if flags.logins || (flags.only.is_empty() && !flags.direct) {
        for requirements in logins::REVISIONS {
            say(&format!("logins: {requirements}"));
            let report = logins::run(requirements, &programs, &suite);
            rows.push(Row { name: "logins".to_owned(), requirements, report });
        }
    }
    print(&rows)?;
    let all_good = rows.iter().all(|row| row.report.as_ref().is_ok_and(Report::is_as_expected));
    if all_good { Ok(()) } else { Err("not as expected".into()) }
}

/// Runs all cells, unless the suite cannot be installed here, which is said.
///
/// # Errors
/// As [`run`].
pub fn run_or_skip() -> Result<(), Failure> {
    if let Err(reason) = npm(&root().join("peers/conformance"), &root().join(".work/conform")) {
        say(&format!("skipped: the conformance suite, because it cannot be installed: {reason}"));
        return Ok(());
    }
    // The profile of the tests: what the suite looks at does not depend on it, and it is built anyway.
    run(&Flags { only: Vec::new(), direct: false, logins: false, profile: "dev".to_owned(), programs: None })
}

fn cells(flags: &Flags) -> Vec<Cell> {
    let wanted = |cell: &Cell| (flags.only.is_empty() && !flags.logins) || flags.only.contains(cell);
    let possible = |cell: &Cell| !flags.direct || cell.is_http();
    Cell::value_variants().iter().copied().filter(wanted).filter(possible).collect()
}

fn run_cell(cell: Cell, direct: bool, programs: &Path, suite: &Suite, root: &Path) -> Result<Report, Failure> {
    let list = root.join("conformance").join(format!("{cell}.yml"));
    if direct {
        let fixture = subject::fixture(programs, cell)?;
        return suite.run(cell, &fixture.url, None);
    }
    let gate = subject::gate(programs, cell)?;
    suite.run(cell, &gate.url, Some(&list))
}

/// Builds the programs under test and returns the directory they are in.
fn build(root: &Path, flags: &Flags) -> Result<PathBuf, Failure> {
    let mut command = Command::new(env!("CARGO"));
    command.args(["build", "--profile", &flags.profile, "-p", "testkit", "--bins"]).current_dir(root);
    if !flags.direct {
        command.args(["-p", "toolgate"]);
    }
    succeed(&mut command)?;
    let metadata = cargo_metadata::MetadataCommand::new().no_deps().current_dir(root).exec()?;
    let directory = if flags.profile == "dev" { "debug" } else { &flags.profile };
    Ok(metadata.target_directory.join(directory).into())
}

/// One line of the table.
struct Row {
    name: String,
    requirements: &'static str,
    report: Result<Report, Failure>,
}

fn print(rows: &[Row]) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{:16} {:12} {:>6} {:>6} {:>8}  outcome", "cell", "requirements", "passed", "failed", "baseline")?;
    for Row { name, requirements, report } in rows {
        match report {
            Ok(report) => writeln!(
                out,
                "{name:16} {requirements:12} {:>6} {:>6} {:>8}  {}",
                report.passed,
                report.failed,
                report.baseline,
                report.outcome()
            )?,
            Err(error) => writeln!(out, "{name:16} {requirements:12} {:>6} {:>6} {:>8}  {error}", "-", "-", "-")?,
        }
    }
    for line in rows.iter().filter_map(|row| row.report.as_ref().ok()).flat_map(|report| &report.failures) {
        writeln!(out, "  {line}")?;
    }
    Ok(())
}
