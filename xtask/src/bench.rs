//! `cargo xtask bench`: builds the judged program and the bench in release, then runs the bench.
//!
//! What is measured and how stands in the crate `bench`; nothing of it is linked here.

use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Args;

use crate::{Failure, say};

/// What to judge; everything else goes to the bench itself.
#[derive(Args)]
pub(crate) struct Flags {
    /// Judge this program instead of building toolgate
    #[arg(long, value_name = "PATH")]
    toolgate: Option<PathBuf>,
    /// What follows goes to the bench: --quick, --only PATTERN, --json FILE, --strict, --list, --help, …
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "BENCH ARGS")]
    rest: Vec<String>,
}

/// Builds, then runs; a toolgate that does not build leaves its rows without figures.
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
    if flags.toolgate.is_some() {
        return Ok(flags.toolgate.clone());
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
