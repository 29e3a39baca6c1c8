//! Switches each control off in a copy of the sources and demands that the test of its threat fails. What a control
//! is, stands in `xtask/ablation.toml`: a file, a text that occurs in it once, and what to put in its place.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use clap::Args;
use serde::Deserialize;

use crate::{Failure, say};

const REPORT: &str = "docs/reports/ablation.md";

/// Which controls.
#[derive(Args)]
pub struct Flags {
    /// Threats to look at, such as T02; all without any.
    threats: Vec<String>,
    /// Only controls whose tests are in this package.
    #[arg(long)]
    package: Option<String>,
    /// Only see whether each control is still where the list says.
    #[arg(long)]
    places: bool,
    /// Write the outcome to docs/reports/ablation.md; what it says of other controls stays.
    #[arg(long)]
    report: bool,
    /// Where the copy of the sources and what is built of it go; two runs at once need two places.
    #[arg(long, default_value = "target/ablation")]
    at: PathBuf,
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
    verdict: Verdict,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// Without it the test fails.
    Caught,
    /// Without it the test passes.
    Missed,
    /// Without it nothing builds: that proves nothing.
    Broken,
}

/// Runs the chore.
///
/// # Errors
/// A control that is not where the list says, a test that fails with it or passes without it.
pub fn run(flags: &Flags) -> Result<(), Failure> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().ok_or("no workspace")?;
    let list = listed(root)?;
    let wanted = |control: &&Control| {
        (flags.threats.is_empty() || flags.threats.contains(&control.threat))
            && flags.package.as_ref().is_none_or(|package| *package == control.package)
    };
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
    let copy = copy(root, &root.join(&flags.at).join("tree"))?;
    intact(&copy, &controls)?;
    let outcomes = controls.iter().map(|control| ablate(&copy, control)).collect::<Result<Vec<_>, _>>()?;
    if flags.report {
        let path = root.join(REPORT);
        let before = fs::read_to_string(&path).unwrap_or_default();
        fs::write(path, report(&list.control, &outcomes, &before))?;
    }
    let missed = outcomes.iter().filter(|outcome| outcome.verdict != Verdict::Caught).count();
    if missed > 0 {
        return Err(format!("of {missed} controls it is not shown that a test notices their absence").into());
    }
    say(&format!("{} controls: each one's test fails without it", outcomes.len()));
    Ok(())
}

fn listed(root: &Path) -> Result<List, Failure> {
    Ok(toml::from_str(&fs::read_to_string(root.join("xtask/ablation.toml"))?)?)
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

/// A copy of the sources, with a target directory of its own, kept between runs.
fn copy(root: &Path, copy: &Path) -> Result<PathBuf, Failure> {
    let args = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let listed = Command::new("git").args(args).current_dir(root).output()?;
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
    Ok(copy.to_owned())
}

/// That all tests pass while the controls are there, with one build for each package.
fn intact(copy: &Path, controls: &[&Control]) -> Result<(), Failure> {
    let packages: BTreeSet<&str> = controls.iter().map(|control| &*control.package).collect();
    for package in packages {
        let own: Vec<_> = controls.iter().filter(|control| control.package == package).collect();
        let all = own.iter().map(|control| format!("({})", control.test)).collect::<Vec<_>>().join(" | ");
        if tests(copy, package, &all, false)? {
            continue;
        }
        let fails = own.iter().find(|control| !tests(copy, package, &control.test, false).unwrap_or(false));
        let which = fails.map_or_else(|| all.clone(), |control| format!("{} ({})", control.threat, control.test));
        return Err(format!("{which}: it fails although the control is there").into());
    }
    Ok(())
}

fn ablate<'a>(copy: &Path, control: &'a Control) -> Result<Outcome<'a>, Failure> {
    #[expect(clippy::disallowed_methods, reason = "how long a chore takes is told to its user")]
    let started = Instant::now();
    let path = copy.join(&control.file);
    let original = fs::read_to_string(&path)?;
    fs::write(&path, changed(copy, control)?)?;
    let run = |build_only| tests(copy, &control.package, &control.test, build_only);
    let outcome = run(true).and_then(|built| if built { run(false).map(Some) } else { Ok(None) });
    fs::write(&path, original)?;
    let verdict = match outcome? {
        Some(true) => Verdict::Missed,
        Some(false) => Verdict::Caught,
        None => Verdict::Broken,
    };
    let seconds = started.elapsed().as_secs();
    say(&format!("{:4} {:<70} {} ({seconds} s)", control.threat, control.what, verdict.words()));
    Ok(Outcome { control, seconds, verdict })
}

impl Verdict {
    fn words(self) -> &'static str {
        match self {
            Self::Caught => "the test fails",
            Self::Missed => "**nothing notices**",
            Self::Broken => "**does not build**",
        }
    }
}

/// What `program` starts ends with it where the system allows that: a control that is switched off may be the one that
/// leaves nothing behind.
fn contained(program: &str) -> Command {
    const NAMESPACE: [&str; 4] = ["--pid", "--fork", "--mount-proc", "--kill-child"];
    let probe = Command::new("unshare").args(NAMESPACE).arg("true").output();
    if !probe.is_ok_and(|probe| probe.status.success()) {
        return Command::new(program);
    }
    let mut command = Command::new("unshare");
    command.args(NAMESPACE).arg(program);
    command
}

/// Whether the tests that fit a filter pass, or (`build_only`) build. A filter that nothing fits is an error.
fn tests(copy: &Path, package: &str, filter: &str, build_only: bool) -> Result<bool, Failure> {
    let mut cargo = contained("cargo");
    cargo.args(["nextest", "run", "--no-tests", "fail", "--retries", "0", "-p", package, "-E", filter]);
    if build_only {
        cargo.arg("--no-run");
    }
    cargo.current_dir(copy).env("CARGO_TARGET_DIR", copy.join("../build"));
    let output = cargo.output()?;
    if output.status.code() == Some(4) {
        return Err(format!("{package}: no test fits `{filter}`").into());
    }
    Ok(output.status.success())
}

/// A line for each control that was tried, now or before, in the order of the list.
fn report(all: &[Control], outcomes: &[Outcome<'_>], before: &str) -> String {
    let mut text = "# Controls, switched off one at a time\n\nWritten by `cargo xtask ablate --report`. Each line: a control was taken out of a copy of the sources, and the\ntest of its threat was run. A control whose absence no test notices would be a failure of the chore.\n\n| threat | control | test | without it | seconds |\n|---|---|---|---|---|\n".to_owned();
    for control in all {
        let Control { threat, what, test, .. } = control;
        let begins = format!("| {threat} | {what} | `{test}` | ");
        let now = outcomes.iter().find(|outcome| std::ptr::eq(outcome.control, control));
        match (now, before.lines().find(|line| line.starts_with(&begins))) {
            (Some(now), _) => text.push_str(&format!("{begins}{} | {} |\n", now.verdict.words(), now.seconds)),
            (None, Some(line)) => text.push_str(&format!("{line}\n")),
            (None, None) => {}
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_control_is_where_the_list_says_and_has_its_test() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace");
        let controls = listed(root).expect("a list").control;
        let gone: Vec<_> = controls.iter().filter_map(|control| changed(root, control).err()).collect();
        assert!(gone.is_empty(), "{gone:#?}");
        let same: Vec<_> = controls.iter().filter(|control| control.from == control.to).map(|c| &c.what).collect();
        assert!(same.is_empty(), "they switch nothing off: {same:?}");
    }

    #[test]
    fn a_report_keeps_what_was_tried_before_as_long_as_it_is_listed() {
        let control = |threat: &str| Control {
            threat: threat.to_owned(),
            what: "w".to_owned(),
            package: "p".to_owned(),
            test: "t".to_owned(),
            file: "f".into(),
            from: "a".to_owned(),
            to: "b".to_owned(),
        };
        let all = [control("T1"), control("T2"), control("T3")];
        let of = |at: usize, verdict| Outcome { control: &all[at], seconds: 1, verdict };
        let first = report(&all, &[of(0, Verdict::Missed), of(1, Verdict::Caught)], "");
        let second =
            report(&all, &[of(0, Verdict::Caught)], &format!("{first}| T9 | gone | `t` | the test fails | 1 |\n"));
        let lines: Vec<_> = second.lines().filter(|line| line.starts_with("| T")).collect();
        assert_eq!(lines, ["| T1 | w | `t` | the test fails | 1 |", "| T2 | w | `t` | the test fails | 1 |"]);
    }

    /// All Rust sources of a package.
    fn sources(dir: &Path) -> String {
        let entries = fs::read_dir(dir).expect("readable").flatten().map(|entry| entry.path());
        let text = |path: PathBuf| match path.is_dir() {
            true => sources(&path),
            false if path.extension().is_some_and(|ext| ext == "rs") => fs::read_to_string(path).expect("text"),
            false => String::new(),
        };
        entries.map(text).collect()
    }

    #[test]
    fn every_test_of_the_list_exists() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace");
        for Control { package, test, .. } in listed(root).expect("a list").control {
            let sources = sources(&root.join("crates").join(&package));
            for name in test.split("test(").skip(1).filter_map(|rest| rest.split(')').next()) {
                let name = name.trim_start_matches(['=', '~']).rsplit("::").next().expect("a name");
                assert!(sources.contains(&format!("fn {name}")), "{package} has no test `{name}`");
            }
        }
    }

    #[test]
    fn the_list_is_sorted_by_threat() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace");
        let threats: Vec<_> = listed(root).expect("a list").control.into_iter().map(|control| control.threat).collect();
        assert!(threats.is_sorted(), "{threats:?}");
    }
}
