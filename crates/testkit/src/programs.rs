//! Where the fixtures' programs are, and which processes are still there.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The program of that name which this crate builds, beside the running test.
///
/// It is built when it is missing; whoever changes a fixture builds it anew with
/// `cargo build -p testkit --bins`, as `cargo xtask test` does.
///
/// # Panics
/// When it cannot be built.
pub fn bin(name: &str) -> PathBuf {
    let directory = profile_directory();
    let program = directory.join(name).with_extension(std::env::consts::EXE_EXTENSION);
    if !program.exists() {
        build(&directory);
    }
    assert!(program.exists(), "testkit has no program {name}");
    program
}

/// `target/PROFILE`, wherever in it the running program is.
fn profile_directory() -> PathBuf {
    let running = std::env::current_exe().expect("the running program has a path");
    let directory = running.parent().expect("a file has a directory");
    let is_inner = ["deps", "examples"].iter().any(|inner| directory.ends_with(inner));
    if is_inner { directory.parent().expect("it has a parent").into() } else { directory.into() }
}

/// Cargo keeps other builds waiting, so that it does not matter how many tests come here at once.
fn build(directory: &Path) {
    let target = directory.parent().expect("a profile is in a target directory");
    let profile = match directory.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(profile) => profile,
    };
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "-p", "testkit", "--bins", "--profile", profile, "--target-dir"])
        .arg(target)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status();
    assert!(built.is_ok_and(|status| status.success()), "the fixtures do not build");
}

/// The living processes with `mark` in their arguments or environment, ourselves excepted.
///
/// Zombies have neither and are not found. See [`crate::cli::Home::mark`].
pub fn survivors(mark: &str) -> Vec<u32> {
    let Ok(processes) = std::fs::read_dir("/proc") else { return Vec::new() };
    let pid = |entry: std::fs::DirEntry| entry.file_name().to_str()?.parse::<u32>().ok();
    let bears = |pid: &u32| *pid != std::process::id() && bears_mark(*pid, mark);
    processes.flatten().filter_map(pid).filter(bears).collect()
}

fn bears_mark(pid: u32, mark: &str) -> bool {
    ["cmdline", "environ"].iter().any(|file| {
        let text = std::fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
        text.windows(mark.len()).any(|part| part == mark.as_bytes())
    })
}
