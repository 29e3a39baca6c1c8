//! Judges toolgate as a program from outside against a floor, interleaved in one run, and prints
//! each figure beside its target. Started by `cargo xtask bench`.

mod arrival;
mod groups;
mod http;
mod link;
mod pin;
mod reply;
mod report;
mod rounds;
mod settings;
mod stdio;
mod subject;
mod tally;
mod tree;
mod work;

use std::cell::Cell;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use bench::clock::now;
use clap::Parser;

use crate::report::{Report, Row, Target};
use crate::rounds::{Bench, Effort};
use crate::subject::{Kind, Programs};

#[derive(Parser)]
#[command(about = "Judge toolgate against the floor")]
struct Args {
    /// The toolgate to judge; without it its rows say "not built"
    #[arg(long)]
    toolgate: Option<PathBuf>,
    /// Judge another program in toolgate's place, to try the bench itself
    #[arg(long, value_enum, default_value_t = StandIn::Toolgate)]
    subject: StandIn,
    /// One short round: for seeing that everything runs, not for figures
    #[arg(long)]
    quick: bool,
    /// Only groups whose name contains this; may be given again
    #[arg(long, value_name = "PATTERN")]
    only: Vec<String>,
    /// Print the groups' names and end
    #[arg(long)]
    list: bool,
    /// How many rounds the median is taken over
    #[arg(long, default_value_t = 15)]
    rounds: usize,
    /// How long each contestant runs in one round
    #[arg(long, value_name = "MS", default_value_t = 150)]
    slice: u64,
    /// Begin no further group after so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 1800)]
    within: u64,
    /// Write the rows to this file too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Exit with 1 when a target is missed or a row has no figure
    #[arg(long)]
    strict: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum StandIn {
    Toolgate,
    Passthrough,
    Rewrite,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            use std::io::Write;
            writeln!(std::io::stderr(), "bench: {why}").ok();
            ExitCode::from(2)
        }
    }
}

/// Whether the run is a success under the given strictness.
fn run(args: &Args) -> Result<bool, String> {
    let groups = groups::all();
    let wanted = |name: &str| args.only.is_empty() || args.only.iter().any(|only| name.contains(only));
    let bench = bench(args)?;
    let subject = match args.subject {
        StandIn::Toolgate => "toolgate",
        StandIn::Passthrough => "passthrough",
        StandIn::Rewrite => "rewrite",
    };
    let mut report = Report::new(subject).map_err(|error| error.to_string())?;
    if !args.list {
        report.say(&format!("load at the start: {}", load()));
    }
    let end = now() + Duration::from_secs(args.within);
    for group in groups.iter().filter(|group| wanted(&group.name)) {
        if args.list {
            report.say(&group.name);
        } else if now() > end {
            report.add(Row::failed(&group.name, "", Target::AtMost(0.0), "not begun: out of time"));
        } else {
            (group.run)(&bench, &group.name, &mut report);
        }
    }
    if args.list {
        return Ok(true);
    }
    close(&bench, &mut report);
    report.say(&format!("load at the end: {}", load()));
    if let Some(file) = &args.json {
        std::fs::write(file, format!("{:#}\n", report.json())).map_err(|error| error.to_string())?;
    }
    let (ok, miss, failed) = report.counts();
    report.say(&format!("{ok} ok, {miss} missed, {failed} without a figure"));
    Ok(!args.strict || miss + failed == 0)
}

/// The machine's load, for a reader who wonders how far to trust the figures.
fn load() -> String {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{} on {cpus} CPUs", load.split(' ').next().unwrap_or_default())
}

/// What must hold over the whole run.
fn close(bench: &Bench, report: &mut Report) {
    let mut wrong = Row::new("wrong or lost answers", "", Target::AtMost(0.0));
    wrong.note = format!("of {} verified", bench.verified.get());
    wrong.subject = (bench.verified.get() > 0).then_some(bench.wrong.get() as f64);
    report.add(wrong);
    let leaked = Row::new("processes left behind", "", Target::AtMost(0.0));
    report.add(leaked.subject(bench.programs.leaked.get() as f64));
}

fn bench(args: &Args) -> Result<Bench, String> {
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    let beside = |name: &str| {
        let path = own.with_file_name(name);
        path.exists().then_some(path).ok_or_else(|| format!("{name} is not built beside {}", own.display()))
    };
    let stand_in = match args.subject {
        StandIn::Toolgate => Kind::Toolgate,
        StandIn::Passthrough => Kind::Passthrough,
        StandIn::Rewrite => Kind::Rewrite,
    };
    let toolgate =
        args.toolgate.as_ref().map(|path| path.canonicalize().map_err(|error| format!("{}: {error}", path.display())));
    Ok(Bench {
        programs: Programs {
            upstream: beside("bench-upstream")?,
            passthrough: beside("bench-passthrough")?,
            toolgate: toolgate.transpose()?,
            stand_in,
            leaked: Cell::new(0),
            late: Cell::new(0),
        },
        effort: Effort {
            rounds: if args.quick { 1 } else { args.rounds.max(1) },
            slice: Duration::from_millis(if args.quick { 60 } else { args.slice }),
            quick: args.quick,
        },
        wrong: Cell::new(0),
        verified: Cell::new(0),
    })
}
