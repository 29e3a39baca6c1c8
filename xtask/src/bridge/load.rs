//! `cargo xtask bridge-load`: many calls of Codex at a time while processes are killed, and what toolgate adds to one
//! run; written to `docs/reports/codex-load.md`. The campaigns themselves are the tests of
//! `crates/toolgate/tests/bridge_load.rs`, of which a sample runs with all others.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use clap::Args;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::peers::root;
use crate::{Failure, say};

/// What `cargo xtask bridge-load` is told.
#[derive(Args)]
pub(crate) struct Flags {
    /// Try this program, which is called `toolgate`; for figures it is a release build.
    #[arg(long, value_name = "FILE")]
    toolgate: Option<PathBuf>,
    /// Run a sample and write no report.
    #[arg(long)]
    sample: bool,
}

/// What a campaign says of itself.
#[derive(Deserialize)]
struct Line {
    what: String,
    facts: Map<String, Value>,
}

/// Runs all campaigns.
///
/// # Errors
/// When one of them found what must not be, or the report cannot be written.
pub(crate) fn run(flags: &Flags) -> Result<(), Failure> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["test", "--quiet", "-p", "toolgate", "--test", "bridge_load", "--", "--nocapture"]);
    cargo.args(["--test-threads", "1"]).current_dir(root()).stderr(Stdio::inherit());
    cargo.env("TOOLGATE_BRIDGE_LOAD", if flags.sample { "sample" } else { "full" });
    if let Some(program) = &flags.toolgate {
        cargo.env("TOOLGATE_BIN", program.canonicalize()?);
    }
    let output = cargo.output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        return Err(format!("{said}\nit ended with {}", output.status).into());
    }
    let lines = lines(&said)?;
    lines.iter().for_each(|line| say(&format!("{}: {}", line.what, Value::Object(line.facts.clone()))));
    if !flags.sample {
        let path = root().join("docs/reports/codex-load.md");
        std::fs::write(&path, report(&lines))?;
        say(&format!("written: {}", path.display()));
    }
    Ok(())
}

/// The lines for the report, wherever the test harness put them.
fn lines(said: &str) -> Result<Vec<Line>, Failure> {
    let found = said.lines().filter_map(|line| Some(line.split_once("LOAD {")?.1));
    let lines: Result<Vec<Line>, _> = found.map(|rest| serde_json::from_str(&format!("{{{rest}"))).collect();
    Ok(lines?)
}

fn report(lines: &[Line]) -> String {
    let mut text = String::from(
        "# Codex as a tool under load\n\n\
         One full run of `cargo xtask bridge-load`. All calls of a round are made at once, to several gates of one home; \
         then callers cancel some, the process of a run is killed with signal 9, and one gate of each round is too. The \
         tests of `crates/toolgate/tests/bridge_load.rs` fail unless afterwards nothing is left of any run, every answered \
         turn stands once in the thread that its caller was told, no turn was done twice, no two ran in one thread at a \
         time, and each session counts its turns. Memory is the proportional share of a gate that lives through all \
         rounds, after each. What toolgate adds is measured against the same program started directly with the same \
         arguments, the two taking turns; times are the median and the 95th percentile. The median may be \
         15 ms, which is judged on a machine that is not busy with other things (its load stands in the table); what a run adds, and what toolgate has of its own beside it, 10 MiB.\n",
    );
    for line in lines {
        _ = write!(text, "\n## {}\n\n| | |\n|---|--:|\n", capital(&line.what));
        for (name, value) in &line.facts {
            _ = writeln!(text, "| {name} | {} |", shown(value));
        }
    }
    text
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

fn shown(value: &Value) -> String {
    match value {
        Value::Array(all) => all.iter().map(shown).collect::<Vec<_>>().join(", "),
        Value::Number(number) => match number.as_f64().filter(|_| number.is_f64()) {
            Some(number) => format!("{number:.1}"),
            None => number.to_string(),
        },
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_campaign_is_a_table_of_its_facts() {
        let said = "running\ntest x ... LOAD {\"what\":\"the one\",\"facts\":{\"calls\":3,\"ms\":[1.25,2.0]}}\nok\n";
        let text = report(&lines(said).expect("a line"));
        assert!(text.ends_with("\n## The one\n\n| | |\n|---|--:|\n| calls | 3 |\n| ms | 1.2, 2.0 |\n"), "{text}");
    }
}
