//! `cargo xtask audit`: the record under attack, in full, and what recording costs; written to
//! `docs/reports/audit.md`. The campaigns themselves are tests of the crate `store`, which run a sample every time.

use std::fmt::Write as _;
use std::process::{Command, Stdio};

use serde::Deserialize;

use crate::peers::root;
use crate::{Failure, say};

/// What `cargo xtask audit` is told.
#[derive(clap::Args)]
pub(crate) struct Flags {
    /// The profile to build with.
    #[arg(long, default_value = "quick")]
    profile: String,
    /// Run a sample and write no report.
    #[arg(long)]
    sample: bool,
}

/// What a campaign says of itself.
#[derive(Deserialize)]
struct Line {
    what: String,
    count: u64,
    seconds: f64,
}

/// Runs all campaigns.
///
/// # Errors
/// When one of them found what must not be, or the report cannot be written.
pub(crate) fn run(flags: &Flags) -> Result<(), Failure> {
    let size = if flags.sample { "sample" } else { "full" };
    say("in full this takes several minutes of two cores");
    let tests = ["test", "--profile", &flags.profile, "-p", "store", "--test", "campaign", "--test", "kill", "--"];
    let said = output(Command::new("cargo").args(tests).args(["--nocapture", "--test-threads", "2"]), size)?;
    let lines = lines(&said)?;
    lines.iter().for_each(|line| say(&format!("{:>8} {} in {:.1} s", line.count, line.what, line.seconds)));
    let example = ["run", "--profile", &flags.profile, "-p", "store", "--example", "append_cost"];
    let scratch = tempfile::tempdir()?;
    let cost = output(Command::new("cargo").args(example).arg("--").arg(scratch.path()), size)?;
    if flags.sample {
        return Ok(());
    }
    let path = root().join("docs/reports/audit.md");
    std::fs::create_dir_all(path.parent().expect("a file lies in a directory"))?;
    std::fs::write(&path, written(&lines, &cost))?;
    say(&format!("written: {}", path.display()));
    Ok(())
}

fn output(command: &mut Command, size: &str) -> Result<String, Failure> {
    let done = command.env("TOOLGATE_AUDIT", size).stderr(Stdio::inherit()).output()?;
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    if done.status.success() { Ok(said) } else { Err(format!("{said}\nit ended with {}", done.status).into()) }
}

/// The lines for the report, wherever the test harness put them.
fn lines(said: &str) -> Result<Vec<Line>, Failure> {
    let found = said.lines().filter_map(|line| Some(line.split_once("AUDIT {")?.1));
    let lines: Result<Vec<Line>, _> = found.map(|rest| serde_json::from_str(&format!("{{{rest}"))).collect();
    Ok(lines?)
}

fn written(lines: &[Line], cost: &str) -> String {
    let mut text = String::from(
        "# The record under attack\n\n\
         One full run of `cargo xtask audit`. Every row is a test that fails at the first thing it does not find: each \
         change was named with its file and line, no acknowledged event was lost, no effect had no attempt before it. \
         A sample of each runs with all other tests.\n\n\
         | What | Count | Missed | Seconds |\n|---|--:|--:|--:|\n",
    );
    for Line { what, count, seconds } in lines {
        _ = writeln!(text, "| {what} | {count} | 0 | {seconds:.1} |");
    }
    let cost = cost.trim_end();
    _ = write!(
        text,
        "\nWhat recording costs, on the same machine while it did other work (events of the usual size, three rounds; \
         then one verification and one query over all of them):\n\n```text\n{cost}\n```\n",
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_is_made_of_what_the_campaigns_say() {
        let said = "running 1 test\ntest x ... AUDIT {\"what\":\"bytes\",\"count\":7,\"seconds\":1.25}\nok\n";
        let text = written(&lines(said).expect("it parses"), "attempts: 1 µs\n");
        assert!(text.contains("| bytes | 7 | 0 | 1.2 |") && text.contains("attempts: 1 µs\n```"), "{text}");
        assert!(lines("AUDIT {\"what\":1}").is_err());
    }
}
