//! Switches each control off in a copy of the sources and demands that the test of its threat fails. What a control
//! is, stands in `xtask/ablation.toml`: a file, a text that occurs in it once, and what to put in its place.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use clap::Args;
use serde::Deserialize;

use crate::{Failure, say};

/// Which controls.
#[derive(Args)]
pub struct Flags {
    /// Threats to look at, such as T02; all without any.
    threats: Vec<String>,
    /// Only see whether each control is still where the list says.
    #[arg(long)]
    places: bool,
    /// Write the outcome to docs/reports/ablation.md.
    #[arg(long)]
    report: bool,
}

#[derive(Deserialize)]
struct List {
    control: Vec<Control>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Control {
    /// The threat it is there for.
    threat: String,
    /// What it does, in a few words.
    what: String,
    /// The package of its test.
    package: String,
    /// A nextest filter that finds its test.
    test: String,
    /// Where it stands.
    file: PathBuf,
    /// The text that makes it work.
    from: String,
    /// The same without it.
    to: String,
}

/// What became of one.
struct Outcome<'a> {
    control: &'a Control,
    seconds: u64,
    caught: bool,
}

/// Runs the chore.
///
/// # Errors
/// A control that is not where the list says, a test that fails with it or passes without it.
pub fn run(flags: &Flags) -> Result<(), Failure> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().ok_or("no workspace")?;
    let list: List = toml::from_str(&fs::read_to_string(root.join("xtask/ablation.toml"))?)?;
    let wanted = |control: &&Control| flags.threats.is_empty() || flags.threats.contains(&control.threat);
    let controls: Vec<&Control> = list.control.iter().filter(wanted).collect();
    if controls.is_empty() {
        return Err("no control of that threat is listed".into());
    }
    for control in &controls {
        changed(root, control)?;
    }
    if flags.places {
        say(&format!("{} controls are where the list says", controls.len()));
        return Ok(());
    }
    let copy = copy(root)?;
    let outcomes = controls.iter().map(|control| ablate(&copy, control)).collect::<Result<Vec<_>, _>>()?;
    if flags.report {
        fs::write(root.join("docs/reports/ablation.md"), report(&outcomes))?;
    }
    let missed = outcomes.iter().filter(|outcome| !outcome.caught).count();
    if missed > 0 {
        return Err(format!("{missed} controls can be switched off without a test noticing").into());
    }
    say(&format!("{} controls: each one's test fails without it", outcomes.len()));
    Ok(())
}

/// The file without the control.
fn changed(root: &Path, control: &Control) -> Result<String, Failure> {
    let path = root.join(&control.file);
    let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    match text.matches(&control.from).count() {
        1 => Ok(text.replacen(&control.from, &control.to, 1)),
        found => Err(format!(
            "{}: the control of {} stands {found} times in {}, not once",
            control.what,
            control.threat,
            control.file.display()
        )
        .into()),
    }
}

/// A copy of what git knows of, with a target directory of its own, kept between runs.
fn copy(root: &Path) -> Result<PathBuf, Failure> {
    let copy = root.join("target/ablation/tree");
    let listed = Command::new("git").args(["ls-files", "-z"]).current_dir(root).output()?;
    for name in String::from_utf8(listed.stdout)?.split('\0').filter(|name| !name.is_empty()) {
        let (from, to) = (root.join(name), copy.join(name));
        let text = match fs::read(&from) {
            Ok(text) => text,
            Err(_) => continue,
        };
        // An untouched file keeps its time, so that only what differs is built again.
        if fs::read(&to).is_ok_and(|old| old == text) {
            continue;
        }
        fs::create_dir_all(to.parent().ok_or("a file has a directory")?)?;
        fs::copy(&from, &to)?;
    }
    // Programs of others are installed once.
    let peers = copy.join(".work");
    if !peers.exists() && root.join(".work").exists() {
        std::os::unix::fs::symlink(root.join(".work"), peers)?;
    }
    Ok(copy)
}

fn ablate<'a>(copy: &Path, control: &'a Control) -> Result<Outcome<'a>, Failure> {
    #[expect(clippy::disallowed_methods, reason = "how long a chore takes is told to its user")]
    let started = Instant::now();
    let path = copy.join(&control.file);
    let original = fs::read_to_string(&path)?;
    let without = changed(copy, control)?;
    if !tests(copy, control, false)? {
        return Err(format!("{} ({}): its test fails although the control is there", control.threat, control.what).into());
    }
    fs::write(&path, without)?;
    let built = tests(copy, control, true);
    let passed = match built {
        Ok(true) => tests(copy, control, false),
        Ok(false) => Err(format!("{} ({}): does not build without its control", control.threat, control.what).into()),
        Err(error) => Err(error),
    };
    fs::write(&path, original)?;
    let caught = !passed?;
    let verdict = if caught { "caught" } else { "NOT CAUGHT" };
    say(&format!("{:4} {:<60} {verdict}", control.threat, control.what));
    Ok(Outcome { control, seconds: started.elapsed().as_secs(), caught })
}

/// Whether the tests of a control pass, or (`build_only`) build.
fn tests(copy: &Path, control: &Control, build_only: bool) -> Result<bool, Failure> {
    let mut cargo = Command::new("cargo");
    cargo.args(["nextest", "run", "--no-tests", "fail", "--retries", "0", "-p", &control.package, "-E", &control.test]);
    if build_only {
        cargo.arg("--no-run");
    }
    cargo.current_dir(copy).env("CARGO_TARGET_DIR", copy.join("../build"));
    let output = cargo.output()?;
    if output.status.code() == Some(4) {
        return Err(format!("{}: no test fits `{}`", control.threat, control.test).into());
    }
    Ok(output.status.success())
}

fn report(outcomes: &[Outcome<'_>]) -> String {
    let mut text = "# Controls, switched off one at a time\n\nWritten by `cargo xtask ablate --report`. Each line: a control was taken out of a copy of the sources, and the\ntest of its threat was run. A control whose absence no test notices would be a failure of the chore.\n\n| threat | control | test | without it | seconds |\n|---|---|---|---|---|\n".to_owned();
    for Outcome { control, seconds, caught } in outcomes {
        let verdict = if *caught { "the test fails" } else { "**nothing notices**" };
        text.push_str(&format!("| {} | {} | `{}` | {verdict} | {seconds} |\n", control.threat, control.what, control.test));
    }
    text
}
