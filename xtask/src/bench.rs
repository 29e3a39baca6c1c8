//! `cargo xtask bench`: builds the judged program and the bench in release, then runs the bench.
//!
//! What is measured and how stands in the crate `bench`; nothing of it is linked here.

use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Args;

use crate::{Failure, say};

/// Everything goes to the bench itself, `--help` too.
#[derive(Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Flags {
    /// `--quick`, `--only PATTERN`, `--toolgate PATH`, `--json FILE`, `--strict`, `--list`, …
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "BENCH ARGS")]
    rest: Vec<String>,
}

/// With one of these there is no toolgate of ours to build.
const WITHOUT_OURS: [&str; 5] = ["--toolgate", "--subject", "--list", "--help", "-h"];

/// Builds, then runs. A toolgate that does not build leaves its rows without figures.
pub(crate) fn run(flags: &Flags) -> Result<(), Failure> {
    if !build("bench")? {
        return Err("the bench does not build".into());
    }
    let programs = target_directory()?.join("release");
    let mut bench = Command::new(programs.join("bench-run"));
    if let Some(toolgate) = judged(flags, &programs)? {
        bench.arg("--toolgate").arg(toolgate);
    }
    let status = bench.args(&flags.rest).status()?;
    if status.success() { Ok(()) } else { Err(format!("the bench ended with {status}").into()) }
}

fn judged(flags: &Flags, programs: &Path) -> Result<Option<PathBuf>, Failure> {
    let name = |argument: &str| argument.split('=').next().unwrap_or_default().to_owned();
    if flags.rest.iter().any(|argument| WITHOUT_OURS.contains(&name(argument).as_str())) {
        return Ok(None);
    }
    if build("toolgate")? {
        return Ok(Some(programs.join("toolgate")));
    }
    say("toolgate does not build: its rows stay empty");
    Ok(None)
}

fn build(package: &str) -> Result<bool, Failure> {
    let arguments = ["build", "--release", "--package", package, "--bins"];
    Ok(Command::new("cargo").args(arguments).status()?.success())
}

fn target_directory() -> Result<PathBuf, Failure> {
    let metadata = cargo_metadata::MetadataCommand::new().no_deps().exec()?;
    Ok(metadata.target_directory.into_std_path_buf())
}
