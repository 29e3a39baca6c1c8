//! `cargo xtask runaway`: commands and servers that do their worst while other calls go on; written to
//! `docs/reports/runaway.md`. The trials themselves are tests of toolgate, which run a small share every time.

use std::fmt::Write as _;
use std::process::{Command, Stdio};

use serde::Deserialize;

use crate::peers::root;
use crate::{Failure, say};

/// What the 99th of a hundred other calls may take, as a multiple of what it takes in quiet.
const MOST: f64 = 2.0;

/// What `cargo xtask runaway` is told.
#[derive(clap::Args)]
pub(crate) struct Flags {
    /// The profile to build with.
    #[arg(long, default_value = "quick")]
    profile: String,
    /// Run the small share that the tests run, and write no report.
    #[arg(long)]
    small: bool,
}

/// What a trial says of itself.
#[derive(Deserialize)]
struct Line {
    by: String,
    what: String,
    calls: u64,
    quiet_ms: f64,
    beside_ms: f64,
}

impl Line {
    fn ratio(&self) -> f64 {
        self.beside_ms / self.quiet_ms
    }
}

/// Runs all trials, one after the other.
///
/// # Errors
/// When one was not contained or left something, when other calls of a command's neighbours took too long, or when the
/// report cannot be written.
pub(crate) fn run(flags: &Flags) -> Result<(), Failure> {
    let size = if flags.small { "small" } else { "full" };
    let tests = ["test", "--profile", &flags.profile, "-p", "toolgate", "--test", "runaway", "--"];
    let mut command = Command::new("cargo");
    command.args(tests).args(["--nocapture", "--test-threads", "1"]).env("TOOLGATE_RUNAWAY", size);
    let done = command.stderr(Stdio::inherit()).output()?;
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    if !done.status.success() {
        return Err(format!("{said}\nit ended with {}", done.status).into());
    }
    let lines = lines(&said)?;
    for line in &lines {
        say(&format!("{} that is {}: {:.1} times, of {} calls", line.by, line.what, line.ratio(), line.calls));
    }
    if flags.small {
        return Ok(());
    }
    let path = root().join("docs/reports/runaway.md");
    std::fs::write(&path, written(&lines))?;
    say(&format!("written: {}", path.display()));
    match lines.iter().find(|line| line.by == "a command" && line.ratio() > MOST) {
        Some(line) => Err(format!("{}: other calls took {:.1} times as long", line.what, line.ratio()).into()),
        None => Ok(()),
    }
}

/// The lines for the report, wherever the test harness put them.
fn lines(said: &str) -> Result<Vec<Line>, Failure> {
    let found = said.lines().filter_map(|line| Some(line.split_once("RUNAWAY {")?.1));
    let mut lines: Vec<Line> =
        found.map(|rest| serde_json::from_str(&format!("{{{rest}"))).collect::<Result<_, _>>()?;
    lines.sort_by(|a, b| a.by.cmp(&b.by));
    Ok(lines)
}

fn written(lines: &[Line]) -> String {
    let mut text = String::from(
        "# What runs away\n\n\
         One full run of `cargo xtask runaway`. Each row is a test that fails unless the trial ended as it has to, the next \
         command ran as ever, and nothing was left: no process, no temporary file, nothing in the workspace that had not \
         been there, no control group. *A command* is one of `execute_command`; *a server* is a stdio server in a sandbox \
         (S4) of which a process runs away while it serves. Meanwhile other calls go on, half of them `read_file`, half at \
         a server outside: the slowest but one in a hundred, in quiet and beside it. Three rounds of three seconds each, the \
         two taken in turn. A small share runs with all other tests.\n\n\
         | Who | What | Calls beside | p99 in quiet, ms | p99 beside, ms | Ratio |\n|---|---|--:|--:|--:|--:|\n",
    );
    for line in lines {
        let Line { by, what, calls, quiet_ms, beside_ms } = line;
        _ = writeln!(text, "| {by} | {what} | {calls} | {quiet_ms:.2} | {beside_ms:.2} | {:.1} |", line.ratio());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_is_made_of_what_the_trials_say() {
        let said =
            "test x ... RUNAWAY {\"by\":\"a command\",\"what\":\"w\",\"calls\":7,\"quiet_ms\":2.0,\"beside_ms\":3.0}\n";
        let text = written(&lines(said).expect("it parses"));
        assert!(text.contains("| a command | w | 7 | 2.00 | 3.00 | 1.5 |"), "{text}");
        assert!(lines("RUNAWAY {\"by\":1}").is_err());
    }
}
