//! The suite as a server that wants a login: toolgate is its client, in each revision's scenarios of authorization.

use std::fs;
use std::path::Path;

use super::suite::{Report, Suite};
use crate::Failure;

/// The revisions that have such scenarios.
pub const REVISIONS: [&str; 2] = ["2025-11-25", "2026-07-28"];

/// Runs what `revision` requires of clients that log in, one scenario after the other.
///
/// # Errors
/// When the suite's list cannot be read, or the suite breaks off.
pub fn run(revision: &str, programs: &Path, suite: &Suite) -> Result<Report, Failure> {
    let client = format!("{} {}", programs.join("conformance-client").display(), programs.join("toolgate").display());
    let mut report = Report::none();
    for scenario in required(&fs::read_to_string(suite.requirements(revision))?) {
        if suite.is_client(&scenario, revision, &client)? {
            report.passed += 1;
        } else {
            report.fail(format!("✗ {scenario} ({revision})"));
        }
    }
    if report.passed + report.failed == 0 { Err("the suite requires no login".into()) } else { Ok(report) }
}

/// The scenarios of authorization that are scored: entries of the lists, not of what is only reported.
fn required(list: &str) -> Vec<String> {
    let entries = list.lines().filter_map(|line| line.trim().strip_prefix("- auth/"));
    entries.map(|name| format!("auth/{}", name.split_whitespace().next().unwrap_or_default())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_required_is_read_and_what_is_not_scored_is_not() {
        let list = "client:\n  - initialize\n  - auth/a\n  - auth/b # why\nnot_scored:\n  - scenario: auth/c\n";
        assert_eq!(required(list), ["auth/a", "auth/b"]);
    }
}
