//! The harness itself, with a shell as the program under test.

use std::time::Duration;

use testkit::{Home, bin, survivors, wait};

fn sh(home: &Home, script: &str) -> testkit::cli::Cmd {
    home.cmd("/bin/sh", ["-c", script])
}

#[test]
fn a_program_finds_only_its_own_home() {
    let home = Home::new();
    let seen = sh(&home, "echo $CODEX_HOME; env | cut -d= -f1 | grep -v -e PWD -e SHLVL -e '^_$' | sort").run().ok();
    let mut lines = seen.lines();
    assert_eq!(lines.next(), home.codex().to_str());
    assert_eq!(lines.collect::<Vec<_>>(), ["CODEX_HOME", "HOME", "PATH", "TESTKIT_MARK", "TMPDIR"]);
}

#[test]
fn what_goes_in_and_comes_out_is_kept_apart() {
    let home = Home::new();
    home.write("deep/config.toml", "a = 1");
    assert_eq!(home.read("deep/config.toml"), "a = 1");
    let output = sh(&home, "cat; echo $EXTRA >&2; exit 3").stdin("in").env("EXTRA", "more").run();
    assert_eq!((output.status, output.stdout.as_str(), output.stderr.as_str()), (Some(3), "in", "more\n"));
    assert_eq!(sh(&home, "echo '{\"a\":[1]}'").run().json()["a"][0], 1);
}

#[test]
#[should_panic(expected = "did not end")]
fn a_program_that_hangs_is_reported() {
    drop(sh(&Home::new(), "echo before; sleep 100").within(Duration::from_millis(200)).run());
}

#[test]
fn survivors_are_found_by_their_mark_until_they_are_gone() {
    let home = Home::new();
    let mut left = home.command("/bin/sleep", ["100"]).spawn().unwrap();
    wait::expect("the survivor", || survivors(home.mark()) == [left.id()]);
    left.kill().unwrap();
    left.wait().unwrap();
    assert!(survivors(home.mark()).is_empty());
}

#[test]
fn nothing_outlives_its_home() {
    let home = Home::new();
    let mark = home.mark().to_owned();
    assert_eq!(sh(&home, "sleep 100 >/dev/null 2>&1 & sleep 0").run().status, Some(0));
    assert_eq!(survivors(&mark).len(), 1);
    drop(home);
    wait::expect("its end", || survivors(&mark).is_empty());
}

#[test]
fn fixtures_are_found_beside_the_test() {
    for name in ["fixture-server", "fixture-hostile", "fixture-http"] {
        assert!(bin(name).is_file());
    }
}
