//! `cargo xtask policy`: policy against a second, naive writing of its meaning on a million generated cases, and what
//! deciding costs. Writes `docs/reports/policy.md`.
//!
//! The cases and the stopwatch are ignored tests of the crate `gate`, which says what they check; this runs them in
//! release and keeps the `FIGURE = VALUE` lines that they print.

use std::process::{Command, Stdio};

use clap::Args;

use crate::peers::root;
use crate::{Failure, say};

/// What `cargo xtask policy` is told.
#[derive(Args)]
pub(crate) struct Flags {
    /// Leave the committed report alone; say the figures instead.
    #[arg(long)]
    dry: bool,
}

const CASES: &str = "policy::tests::campaign::a_million_cases";
const SPEED: &str = "policy::tests::speed::what_deciding_costs";

/// Runs both parts, one after the other so that neither disturbs the stopwatch.
pub(crate) fn run(flags: &Flags) -> Result<(), Failure> {
    say("a million cases: minutes");
    let cases = figures(CASES)?;
    let speed = figures(SPEED)?;
    let report = report(&cases, &speed);
    if flags.dry {
        say(&report);
        return Ok(());
    }
    let path = root().join("docs/reports/policy.md");
    std::fs::create_dir_all(root().join("docs/reports"))?;
    std::fs::write(&path, report)?;
    say(&format!("written: {}", path.display()));
    Ok(())
}

/// The figures one ignored test prints. Its failure, with what it told, is ours.
fn figures(test: &str) -> Result<Vec<(String, String)>, Failure> {
    let arguments = ["test", "--release", "--package", "gate", "--lib", "--", "--ignored", "--exact", "--nocapture"];
    let output =
        Command::new("cargo").current_dir(root()).args(arguments).arg(test).stderr(Stdio::inherit()).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        return Err(format!("`{test}` failed:\n{text}").into());
    }
    let pair = |line: &str| line.split_once(" = ").map(|(name, value)| (name.to_owned(), value.to_owned()));
    let figures: Vec<_> = text.lines().filter_map(pair).collect();
    if figures.is_empty() { Err(format!("`{test}` printed no figures").into()) } else { Ok(figures) }
}

fn report(cases: &[(String, String)], speed: &[(String, String)]) -> String {
    let table = |rows: &[(String, String)]| -> String {
        rows.iter().map(|(name, value)| format!("| {name} | {value} |\n")).collect()
    };
    format!(
        "# Policy: the engine against a naive evaluator, and what deciding costs\n\n\
         Written by `cargo xtask policy`; how it is done stands in `docs/design/policy.md`.\n\n\
         ## Generated cases\n\n\
         Each case is decided by the engine and by the naive evaluator, which have to agree on outcome and rule. Of each,\n\
         besides: the order of rules decides nothing, an added deny or managed rule never loosens, a list never hides\n\
         what a call would get, and an explanation says what was decided.\n\n\
         | | |\n|---|---:|\n{}\n\
         ## What a decision costs\n\n\
         Fifty servers of twenty tools. The middle of 20,000 means over a hundred decisions each, and the worst hundredth\n\
         of those means.\n\n\
         | | |\n|---|---:|\n{}",
        table(cases),
        table(speed)
    )
}
