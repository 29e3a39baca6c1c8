//! The chores of this repository: `cargo xtask CHORE`, one module each.

mod ablate;
mod audit;
mod bench;
mod bridge;
mod conform;
mod docs;
mod escape;
mod mask;
mod peers;
mod policy;
mod runaway;
mod test;

use std::process::ExitCode;

use clap::Parser;

/// The project's own chores.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Chore {
    /// Judge toolgate against a floor, interleaved in one run; targets stand beside the figures.
    Bench(bench::Flags),
    /// Drive real Codex CLIs of many releases with a model on this machine; writes a table.
    Bridge(bridge::Flags),
    /// Try the server whose place toolgate takes with the tests for its defects; writes what was seen.
    BridgeDefects(bridge::defects::Flags),
    /// Many calls of Codex at a time while processes are killed, and what toolgate adds to one run; writes a report.
    BridgeLoad(bridge::load::Flags),
    /// Run the official MCP conformance suite against the fixture, directly or through toolgate.
    Conform(conform::Flags),
    /// Write what the program says of itself: the command line's reference and the plugin for Claude Code.
    Docs(docs::Flags),
    /// Install the real peers that tests and benches talk to, into `.work/peers`.
    Peers(peers::Flags),
    /// Measure masking on data not written for it.
    Mask(mask::Flags),
    /// The record under attack: every byte, line and cut, and two thousand killed writers.
    Audit(audit::Flags),
    /// Ways out of the workspace, a million races, and toolgate killed in the middle of patches.
    Escape(escape::Flags),
    /// Switch each control off in a copy of the sources: the test of its threat must fail.
    Ablate(ablate::Flags),
    /// Policy against a naive evaluator on a million cases, and what deciding costs.
    Policy(policy::Flags),
    /// Commands and servers that run away: what they come to, and what other calls take meanwhile.
    Runaway(runaway::Flags),
    /// Format, lints and licences.
    Check,
    /// Everything that must pass: checks, conformance, real peers, all tests.
    Test(test::Flags),
}

fn main() -> ExitCode {
    let outcome = match Chore::parse() {
        Chore::Bench(flags) => bench::run(&flags),
        Chore::Bridge(flags) => bridge::run(&flags),
        Chore::BridgeDefects(flags) => bridge::defects::run(&flags),
        Chore::BridgeLoad(flags) => bridge::load::run(&flags),
        Chore::Conform(flags) => conform::run(&flags),
        Chore::Docs(flags) => docs::run(&flags),
        Chore::Peers(flags) => peers::run(&flags),
        Chore::Mask(flags) => mask::run(&flags),
        Chore::Audit(flags) => audit::run(&flags),
        Chore::Escape(flags) => escape::run(&flags),
        Chore::Ablate(flags) => ablate::run(&flags),
        Chore::Policy(flags) => policy::run(&flags),
        Chore::Runaway(flags) => runaway::run(&flags),
        Chore::Check => test::check(),
        Chore::Test(flags) => test::run_all(&flags),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("xtask: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Why a chore failed, for people.
type Failure = Box<dyn std::error::Error>;

/// One line for whoever runs the chore.
#[expect(clippy::print_stderr, reason = "a chore talks to its user")]
fn say(text: &str) {
    eprintln!("{text}");
}
