//! `cargo xtask escape`: ways out of the workspace and kills in the middle of patches, in full; written to
//! `docs/reports/escape.md`. The campaigns themselves are tests, which run a sample every time.

use std::fmt::Write as _;
use std::process::{Child, Command, Stdio};

use serde::Deserialize;

use crate::peers::root;
use crate::{Failure, say};

/// What `cargo xtask escape` is told.
#[derive(clap::Args)]
pub(crate) struct Flags {
    /// The profile to build with.
    #[arg(long, default_value = "dev")]
    profile: String,
    /// How often toolgate is killed.
    #[arg(long, default_value_t = 2_000)]
    kills: u32,
    /// Run a sample and write no report.
    #[arg(long)]
    small: bool,
}

/// What a campaign says of itself.
#[derive(Deserialize)]
struct Line {
    what: String,
    count: u64,
    seconds: f64,
}

const CAMPAIGNS: [&[&str]; 2] =
    [&["-p", "builtin", "--lib", "--", "escape::"], &["-p", "toolgate", "--test", "escape", "--"]];

/// Runs all campaigns.
///
/// # Errors
/// When one of them found what must not be, or the report cannot be written.
pub(crate) fn run(flags: &Flags) -> Result<(), Failure> {
    say("in full this takes about a quarter of an hour of two cores");
    let started: Vec<_> = CAMPAIGNS.into_iter().map(|campaign| start(flags, campaign)).collect::<Result<_, _>>()?;
    let mut lines = Vec::new();
    for campaign in started {
        let done = campaign.wait_with_output()?;
        let said = String::from_utf8_lossy(&done.stdout);
        if !done.status.success() {
            return Err(format!("{said}\nit ended with {}", done.status).into());
        }
        lines.extend(read(&said)?);
    }
    lines.iter().for_each(|line| say(&format!("{:>8} {} in {:.1} s", line.count, line.what, line.seconds)));
    if flags.small {
        return Ok(());
    }
    let path = root().join("docs/reports/escape.md");
    std::fs::write(&path, written(&lines))?;
    say(&format!("written: {}", path.display()));
    Ok(())
}

/// Races are against a thread of their own, so the tests of one program run one after the other.
fn start(flags: &Flags, campaign: &[&str]) -> Result<Child, Failure> {
    let mut cargo = Command::new("cargo");
    cargo.args(["test", "--profile", &flags.profile]).args(campaign).args(["--nocapture", "--test-threads", "1"]);
    if !flags.small {
        cargo.env("TOOLGATE_ESCAPE", "full").env("TOOLGATE_KILLS", flags.kills.to_string());
    }
    Ok(cargo.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn()?)
}

/// The lines for the report, wherever the test harness put them.
fn read(said: &str) -> Result<Vec<Line>, Failure> {
    let found = said.lines().filter_map(|line| Some(line.split_once("ESCAPE {")?.1));
    let lines: Result<Vec<Line>, _> = found.map(|rest| serde_json::from_str(&format!("{{{rest}"))).collect();
    Ok(lines?)
}

fn written(lines: &[Line]) -> String {
    let mut text = String::from(
        "# Ways out of the workspace, and patches cut short\n\n\
         One full run of `cargo xtask escape`. Every row is a test that fails at the first escape: a file outside that was \
         read, listed or changed, a protected name that was written, a tree that is neither the old nor the new one. A \
         sample of each runs with all other tests, beside tests that kill a patch at each of its steps within the \
         process, while it is undone, while another kill is being recovered from, with a torn journal and on a full \
         disk.\n\n\
         | What | Count | Escapes | Seconds |\n|---|--:|--:|--:|\n",
    );
    for Line { what, count, seconds } in lines {
        _ = writeln!(text, "| {what} | {count} | 0 | {seconds:.1} |");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_is_made_of_what_the_campaigns_say() {
        let said = "running 1 test\ntest x ... ESCAPE {\"what\":\"ways\",\"count\":7,\"seconds\":1.25}\nok\n";
        let text = written(&read(said).expect("it parses"));
        assert!(text.contains("| ways | 7 | 0 | 1.2 |"), "{text}");
        assert!(read("ESCAPE {\"what\":1}").is_err());
    }
}
