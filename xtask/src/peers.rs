//! Installs real MCP programs in the versions that `peers/` pins.
//!
//! That directory is the one place where versions of peers are written down.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Failure, say};

/// What `cargo xtask peers` is told.
#[derive(clap::Args, Default)]
pub struct Flags {
    /// Fail when something cannot be installed, instead of telling why and going on.
    #[arg(long)]
    strict: bool,
}

/// Installs everything that can be had.
///
/// # Errors
/// When there is no workspace, or with `--strict` when something cannot be installed.
pub fn run(flags: &Flags) -> Result<(), Failure> {
    let root = root();
    let target = root.join(".work/peers");
    let outcomes = [
        ("npm packages", npm(&root.join("peers"), &target)),
        ("Python packages", python(&root.join("peers/requirements.txt"), &target.join("venv"))),
        ("bubblewrap, for the sandbox", system("bwrap", "bubblewrap")),
    ];
    let mut missing = 0;
    for (what, outcome) in outcomes {
        match outcome {
            Ok(()) => say(&format!("{what}: installed")),
            Err(reason) => {
                missing += 1;
                say(&format!("{what}: skipped: {reason}"));
            }
        }
    }
    match (flags.strict, missing) {
        (true, 1..) => Err("not every peer could be installed".into()),
        _ => Ok(()),
    }
}

/// The root of the workspace.
pub fn root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().expect("xtask is in the workspace").into()
}

/// Installs the packages that `source` locks into `target`, unless they are there already.
///
/// # Errors
/// When npm is missing or fails.
pub fn npm(source: &Path, target: &Path) -> Result<(), Failure> {
    let lock = fs::read_to_string(source.join("package-lock.json"))?;
    if is_stamped(target, "npm", &lock) {
        return Ok(());
    }
    fs::create_dir_all(target)?;
    for file in ["package.json", "package-lock.json", ".npmrc"] {
        fs::copy(source.join(file), target.join(file))?;
    }
    // The machine's own node may be too old for a package that we run with the node installed here.
    let arguments = ["ci", "--no-audit", "--no-fund", "--loglevel=error", "--no-engine-strict"];
    succeed(Command::new("npm").args(arguments).current_dir(target))?;
    stamp(target, "npm", &lock)
}

fn python(requirements: &Path, venv: &Path) -> Result<(), Failure> {
    let wanted = fs::read_to_string(requirements)?;
    if is_stamped(venv, "pip", &wanted) {
        return Ok(());
    }
    succeed(Command::new("python3").args(["-m", "venv"]).arg(venv))?;
    let pip = venv.join("bin/pip");
    let arguments = ["install", "--quiet", "--disable-pip-version-check", "-r"];
    succeed(Command::new(pip).args(arguments).arg(requirements))?;
    stamp(venv, "pip", &wanted)
}

/// Installs a package of the system that brings `program`, unless it is there: it needs no version of ours.
fn system(program: &str, package: &str) -> Result<(), Failure> {
    if Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success()) {
        return Ok(());
    }
    let quiet = |arguments: &[&str]| succeed(Command::new("apt-get").arg("-qq").args(arguments));
    quiet(&["update"])?;
    quiet(&["install", "--yes", "--no-install-recommends", package])
}

/// What was installed last is noted beside it.
fn stamp(target: &Path, tool: &str, content: &str) -> Result<(), Failure> {
    Ok(fs::write(target.join(format!(".{tool}-installed")), content)?)
}

fn is_stamped(target: &Path, tool: &str, content: &str) -> bool {
    fs::read_to_string(target.join(format!(".{tool}-installed"))).is_ok_and(|installed| installed == content)
}

/// Runs a command whose output matters only when it fails.
///
/// # Errors
/// When it does not start, or ends badly; with the end of what it printed.
pub fn succeed(command: &mut Command) -> Result<(), Failure> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| format!("{name}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    let lines: Vec<_> = text.lines().rev().take(5).collect();
    let tail: Vec<_> = lines.into_iter().rev().collect();
    Err(format!("{name} ended with {}: {}", output.status, tail.join("\n")).into())
}
