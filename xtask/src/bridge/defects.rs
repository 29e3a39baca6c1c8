//! `cargo xtask bridge-defects`: the tests of `crates/toolgate/tests/bridge_defects.rs`, tried on the server whose defects
//! they are about. Writes `docs/reports/codex-mcp-server-defects.md`. Not here: the tests.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Args;

use crate::peers::{root, succeed};
use crate::{Failure, say};

const PACKAGE: &str = "codex-mcp-server";

/// What `cargo xtask bridge-defects` is told.
#[derive(Args)]
pub(crate) struct Flags {
    /// Try this release of codex-mcp-server.
    #[arg(long, default_value = "1.4.10")]
    version: String,
    /// Leave the committed report alone.
    #[arg(long)]
    dry: bool,
}

/// What became of each test: nothing seen, or what it saw.
type Seen = BTreeMap<String, Option<String>>;

/// Tries both servers, and writes down what was seen.
///
/// # Errors
/// When something cannot be installed or run, when toolgate fails a test, or when the other server passes one.
pub(crate) fn run(flags: &Flags) -> Result<(), Failure> {
    let script = install(&root().join(".work/codex-mcp-server"), &flags.version)?;
    let ours = tried(None)?;
    let theirs = tried(Some(&script))?;
    let defects = || theirs.iter().filter(|(name, _)| name.starts_with("defect_"));
    if !flags.dry {
        let path = root().join("docs/reports/codex-mcp-server-defects.md");
        std::fs::write(&path, report(&flags.version, &ours, &theirs))?;
        say(&format!("written: {}", path.display()));
    }
    let unfair = theirs.iter().any(|(name, seen)| name.starts_with("control_") && seen.is_some());
    let absent = defects().filter(|(_, seen)| seen.is_none()).count();
    let failed = ours.values().flatten().count();
    match (unfair, absent, failed, defects().count()) {
        (_, _, _, 0) => Err("no test ran".into()),
        (true, ..) => Err("the other server cannot do the plainest thing: the trials say nothing about it".into()),
        (false, 0, 0, count) => {
            say(&format!("{count} defects of {PACKAGE}, none of toolgate"));
            Ok(())
        }
        _ => Err(format!("toolgate fails {failed}, and {absent} are no defects of the other").into()),
    }
}

fn install(work: &Path, version: &str) -> Result<PathBuf, Failure> {
    let home = work.join(version);
    let script = home.join("node_modules").join(PACKAGE).join("dist/index.js");
    if !script.exists() {
        std::fs::create_dir_all(&home)?;
        std::fs::write(home.join("package.json"), r#"{"private":true}"#)?;
        let arguments = ["install", "--no-audit", "--no-fund", "--loglevel=error", "--ignore-scripts"];
        let package = format!("{PACKAGE}@{version}");
        succeed(Command::new("npm").args(arguments).arg(package).current_dir(&home))?;
    }
    Ok(script)
}

fn tried(other: Option<&Path>) -> Result<Seen, Failure> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["test", "--quiet", "-p", "toolgate", "--test", "bridge_defects", "--", "--test-threads", "2"]);
    cargo.args(["--format", "pretty"]).current_dir(root()).env("RUST_BACKTRACE", "0").env_remove("TOOLGATE_DEFECTS_OF");
    if let Some(script) = other {
        cargo.env("TOOLGATE_DEFECTS_OF", script);
    }
    let output = cargo.output()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let seen = read(&said);
    if seen.is_empty() {
        return Err(format!("{said}{}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(seen)
}

/// What the test harness said.
fn read(said: &str) -> Seen {
    let result = |line: &str| line.strip_prefix("test ")?.split_once(" ... ").map(|(name, _)| (name.to_owned(), None));
    let mut seen: Seen = said.lines().filter_map(result).collect();
    for block in said.split("\n---- ").skip(1) {
        let Some((name, rest)) = block.split_once(" stdout ----") else { continue };
        let words = rest.lines().skip_while(|line| !line.contains(" panicked at ")).skip(1);
        let words: Vec<_> = words.take_while(|line| !line.is_empty() && !line.starts_with("note: ")).collect();
        seen.insert(name.to_owned(), Some(words.join("\n")));
    }
    seen
}

fn report(version: &str, ours: &Seen, theirs: &Seen) -> String {
    let mut text = format!(
        "# Defects of {PACKAGE} that toolgate does not have\n\n\
         Written by `cargo xtask bridge-defects`: the tests of `crates/toolgate/tests/bridge_defects.rs`, each run on \
         toolgate and on {PACKAGE} {version} from npm, both with the same stand-in for a current Codex CLI. What follows a \
         title is what {version} did.\n"
    );
    for (name, seen) in theirs {
        let passed = |seen: &Option<String>| if seen.is_none() { "passes" } else { "fails" };
        let mine = ours.get(name).map_or("not run", passed);
        let (kind, title) = name.split_once('_').unwrap_or(("", name));
        let title = match kind {
            "defect" => title.replacen('_', ". ", 1).replace('_', " "),
            _ => title.replace('_', " "),
        };
        _ = write!(text, "\n## {title}\n\ntoolgate {mine}, {version} {}.\n", passed(seen));
        for (number, line) in seen.iter().flat_map(|seen| seen.lines()).enumerate() {
            let before = if number == 0 { "\n" } else { "" };
            _ = writeln!(text, "{before}- `` {line} ``");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = "running 3 tests\ntest control_x ... ok\ntest defect_01_it_is ... FAILED\ntest defect_02_two ... ok\n\n\
        failures:\n\n---- defect_01_it_is stdout ----\n\nthread 'defect_01_it_is' (1) panicked at a.rs:1:1:\nfirst\nsecond\n\
        note: run with\n\n\nfailures:\n    defect_01_it_is\n";

    #[test]
    fn what_was_seen_is_what_the_test_said_when_it_failed() {
        let seen = read(SAID);
        assert_eq!(seen.len(), 3);
        assert_eq!(seen["defect_01_it_is"].as_deref(), Some("first\nsecond"));
        let text = report("1.0", &read("test defect_01_it_is ... ok\n"), &seen);
        assert!(
            text.contains("\n## 01. it is\n\ntoolgate passes, 1.0 fails.\n\n- `` first ``\n- `` second ``\n"),
            "{text}"
        );
        assert!(text.contains("\n## x\n\ntoolgate not run, 1.0 passes.\n"), "{text}");
    }
}
