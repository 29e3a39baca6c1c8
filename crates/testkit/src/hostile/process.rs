//! The few things a fixture does to its own process, and the clocks it reads.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A fixture that hangs on purpose ends by itself after this long.
pub(super) const LIFETIME: Duration = Duration::from_secs(600);

/// The first argument of the processes that `--daemonise` starts.
pub const DAEMON: &str = "--as-daemon";
/// The second process: the one that stays.
const RESIDENT: &str = "resident";

/// Ends the process at once.
#[expect(clippy::exit, clippy::disallowed_methods, reason = "a fixture crashes on request")]
pub(super) fn die(code: i32) -> ! {
    std::process::exit(code)
}

/// Stays for [`LIFETIME`], then ends the process.
pub(super) fn hang() -> ! {
    thread::sleep(LIFETIME);
    die(0)
}

#[expect(clippy::disallowed_methods, reason = "the journal compares processes by wall clock")]
pub(super) fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Starts a process that leaves our session and parent behind. Its environment is ours.
pub(super) fn daemonise() -> io::Result<()> {
    myself([DAEMON, "first"])?.spawn()?.wait().map(drop)
}

/// What a process started by [`daemonise`] does.
pub(super) fn run_as_daemon(stage: &str) -> io::Result<()> {
    if stage == RESIDENT {
        hang();
    }
    rustix::process::setsid()?;
    myself([DAEMON, RESIDENT])?.spawn().map(drop)
}

/// Starts `count` processes that end at once and are never waited for.
pub(super) fn litter(count: u64) -> io::Result<()> {
    (0..count).try_for_each(|_| myself(["--exit-at-start", "0"])?.spawn().map(drop))
}

/// Replaces this process by itself with SIGTERM ignored: that is inherited, a handler is not.
pub(super) fn ignore_sigterm() -> io::Error {
    let executable = match std::env::current_exe() {
        Ok(executable) => executable,
        Err(error) => return error,
    };
    Command::new("/bin/sh")
        .args(["-c", r#"trap "" TERM; exec "$0" "$@""#])
        .arg(executable)
        .args(
            std::env::args_os()
                .skip(1)
                .map(|argument| if argument == "--ignore-sigterm" { "--sigterm-ignored".into() } else { argument }),
        )
        .exec()
}

fn myself<const N: usize>(arguments: [&str; N]) -> io::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    Ok(command)
}
