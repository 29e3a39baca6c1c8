//! `cargo xtask check` and `cargo xtask test`: what must pass before anything lands.

use std::process::Command;

use crate::peers::root;
use crate::{Failure, conform, peers, say};

/// How much to test.
#[derive(clap::Args)]
pub struct Flags {
    /// Only what needs nothing but the Rust toolchain.
    #[arg(long)]
    offline: bool,
    /// Leave format and lints to somebody else.
    #[arg(long)]
    no_check: bool,
}

/// Format, lints, licences.
pub fn check() -> Result<(), Failure> {
    run(cargo(&["fmt", "--all", "--check"]))?;
    run(cargo(&["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"]))?;
    if !has_cargo("deny") {
        say("skipped: licences and advisories, because `cargo deny` is not installed");
        return Ok(());
    }
    run(cargo(&["deny", "--offline", "check", "licenses", "bans", "sources"]))
}

/// Everything: checks, conformance, then all tests, whose summary is the last line.
pub fn run_all(flags: &Flags) -> Result<(), Failure> {
    if !flags.no_check {
        check()?;
    }
    if flags.offline {
        say("skipped: conformance and real peers, because of --offline");
    } else {
        // What cannot be had is said, and the tests that need it skip themselves.
        peers::run(&peers::Flags::default())?;
        conform::run_or_skip()?;
    }
    // The fixtures are programs: tests start them from the directory they were built into.
    run(cargo(&["build", "--workspace", "--bins", "--locked"]))?;
    if has_cargo("nextest") {
        return run(cargo(&["nextest", "run", "--workspace", "--locked", "--no-fail-fast"]));
    }
    say("`cargo nextest` is not installed, so the tests run with `cargo test`");
    run(cargo(&["test", "--workspace", "--locked", "--no-fail-fast"]))
}

fn cargo(args: &[&str]) -> Command {
    let mut command = Command::new("cargo");
    command.args(args).current_dir(root());
    command
}

fn has_cargo(tool: &str) -> bool {
    Command::new("cargo").args([tool, "--version"]).output().is_ok_and(|output| output.status.success())
}

fn run(mut command: Command) -> Result<(), Failure> {
    let words: Vec<_> = command.get_args().map(|arg| arg.to_string_lossy().into_owned()).collect();
    say(&format!("$ cargo {}", words.join(" ")));
    let status = command.status()?;
    if status.success() { Ok(()) } else { Err(format!("`cargo {}` failed: {status}", words.join(" ")).into()) }
}
