//! Runs the suite's program and reads what it printed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::cell::Cell;
use crate::Failure;

/// The installed suite.
pub struct Suite {
    work: PathBuf,
}

/// What came out of one cell.
#[derive(Debug, PartialEq, Eq)]
pub struct Report {
    pub passed: usize,
    pub failed: usize,
    /// How many failures are expected.
    pub baseline: usize,
    /// The lines of the scenarios that failed, expected or not.
    pub failures: Vec<String>,
    success: bool,
}

impl Report {
    /// Of nothing yet.
    pub fn none() -> Self {
        Self { passed: 0, failed: 0, baseline: 0, failures: Vec::new(), success: true }
    }

    /// Adds an unexpected failure.
    pub fn fail(&mut self, line: String) {
        self.failed += 1;
        self.success = false;
        self.failures.push(line);
    }

    /// Whether exactly the expected scenarios failed.
    pub fn is_as_expected(&self) -> bool {
        self.success
    }

    pub fn outcome(&self) -> &'static str {
        if self.success { "ok" } else { "UNEXPECTED" }
    }

    /// Reads the suite's summary.
    fn read(text: &str, success: bool, baseline: usize) -> Option<Self> {
        let total = text.lines().rev().find_map(|line| line.strip_prefix("Total: "))?;
        let (passed, failed) = total.split_once(" passed, ")?;
        Some(Self {
            passed: passed.parse().ok()?,
            failed: failed.strip_suffix(" failed")?.parse().ok()?,
            baseline,
            failures: text.lines().map(str::trim).filter(|line| line.starts_with('✗')).map(Into::into).collect(),
            success,
        })
    }
}

impl Suite {
    /// The suite that was installed in this directory.
    pub fn new(work: &Path) -> Self {
        Self { work: work.into() }
    }

    /// Where the suite says what a revision requires.
    pub fn requirements(&self, revision: &str) -> PathBuf {
        let suite = self.work.join("node_modules/@modelcontextprotocol/conformance/requirements");
        suite.join(revision).with_extension("yaml")
    }

    /// Whether the client passes a scenario. What the suite says of it goes to a log of its own.
    pub fn is_client(&self, scenario: &str, revision: &str, client: &str) -> Result<bool, Failure> {
        let modules = self.work.join("node_modules");
        let log = self.work.join(format!("{}-{revision}.log", scenario.replace('/', "-")));
        let output = Command::new(modules.join("node/bin/node"))
            .arg(modules.join("@modelcontextprotocol/conformance/dist/index.js"))
            .args(["client", "--command", client, "--scenario", scenario, "--spec-version", revision, "-o"])
            .arg(self.work.join("results/logins"))
            .output()?;
        fs::write(log, [output.stdout.as_slice(), &output.stderr].concat())?;
        Ok(output.status.success())
    }

    /// Runs the cell's requirement set against `url`; what `expected` lists may, and must, fail.
    pub fn run(&self, cell: Cell, url: &str, expected: Option<&Path>) -> Result<Report, Failure> {
        let modules = self.work.join("node_modules");
        let results = self.work.join("results").join(cell.to_string());
        if results.exists() {
            fs::remove_dir_all(&results)?;
        }
        let mut command = Command::new(modules.join("node/bin/node"));
        command
            .arg(modules.join("@modelcontextprotocol/conformance/dist/index.js"))
            .args(["server", "--url", url, "--requirements", cell.requirements(), "-o"])
            .arg(&results);
        let baseline = expected.map(baseline).transpose()?.unwrap_or(0);
        if let Some(expected) = expected {
            command.arg("--expected-failures").arg(expected);
        }
        let output = command.output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        let log = self.work.join(format!("{cell}.log"));
        fs::write(&log, [output.stdout.as_slice(), &output.stderr].concat())?;
        Report::read(&text, output.status.success(), baseline)
            .ok_or_else(|| format!("the suite broke off, see {}", log.display()).into())
    }
}

/// Counts the expected failures in a list, each of which must say why.
fn baseline(list: &Path) -> Result<usize, Failure> {
    let text = fs::read_to_string(list).map_err(|error| format!("{}: {error}", list.display()))?;
    let entries: Vec<_> = text.lines().filter(|line| line.trim_start().starts_with("- ")).collect();
    match entries.iter().find(|entry| !entry.contains(" # ")) {
        Some(entry) => Err(format!("{}: no reason given for {}", list.display(), entry.trim()).into()),
        None => Ok(entries.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_is_read() {
        let text = "noise\n✓ a: 2 passed, 0 failed\n✗ b: 1 passed, 1 failed\n\nTotal: 3 passed, 1 failed\n";
        let report = Report::read(text, false, 0).unwrap();
        assert_eq!((report.passed, report.failed), (3, 1));
        assert_eq!(report.failures, ["✗ b: 1 passed, 1 failed"]);
        assert!(!report.is_as_expected());
    }

    #[test]
    fn a_summary_without_a_total_is_none() {
        assert_eq!(Report::read("✓ a: 2 passed, 0 failed\n", true, 0), None);
    }

    #[test]
    fn an_expected_failure_needs_a_reason() {
        let list = tempfile::NamedTempFile::new().unwrap();
        fs::write(&list, "server:\n  - a # because\n  - b\n").unwrap();
        assert!(baseline(list.path()).unwrap_err().to_string().contains("- b"));
        fs::write(&list, "server:\n  - a # because\n").unwrap();
        assert_eq!(baseline(list.path()).unwrap(), 1);
    }
}
