//! The smallest program that can be launched through, and (`hold`) a stand-in for a toolgate that is killed.
//!
//! `hold PROGRAM ARGS...` launches the program with this process's environment, prints its process id and the
//! supervisor's once it runs, and then sits there until it is killed.

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use sandbox::{Event, Helper, Launch, Stderr, launch, supervise_main};

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    match args.next().as_ref().and_then(|mode| mode.to_str()) {
        Some("__supervise") => supervise_main(args),
        Some("hold") => hold(args),
        _ => ExitCode::from(2),
    }
}

fn hold(mut args: impl Iterator<Item = OsString>) -> ExitCode {
    let plan = Launch {
        program: args.next().expect("a program to hold"),
        args: args.collect(),
        env: std::env::vars_os().collect(),
        cwd: None,
        stderr: Stderr::Null,
        grace: Duration::from_secs(60),
    };
    let helper = Helper { exe: "/proc/self/exe".into(), argument: "__supervise" };
    let child = launch(&helper, &plan).expect("launched");
    loop {
        match child.lifeline.read_event() {
            Some(Event::Started { pid }) => announce(pid, child.lifeline.supervisor_pid()),
            Some(_) => return ExitCode::FAILURE,
            None => std::thread::sleep(Duration::from_millis(1)),
        }
    }
}

fn announce(program: u32, supervisor: u32) {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{program} {supervisor}").expect("someone reads");
    stdout.flush().expect("someone reads");
}
