//! The smallest program that can be launched through, and a stand-in for a toolgate that ends too early.
//!
//! `hold PROGRAM ARGS...` launches the program with this process's environment and sits there until it is killed.
//! `bound LEVEL PROGRAM ARGS...` does the same at a level.
//! `leave PROGRAM ARGS...` waits for its first line instead, then drops what it launched and ends.

use std::ffi::OsString;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::process::ExitCode;
use std::time::Duration;

use sandbox::{Child, Helper, Launch, Profile, Stderr, launch, supervise_main};

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    match args.next().as_ref().and_then(|mode| mode.to_str()) {
        Some("__supervise") => supervise_main(args),
        Some("hold") => hold(&start(args, None)),
        Some("leave") => leave(start(args, None)),
        Some("bound") => {
            let level = args.next().and_then(|level| level.to_str()?.parse().ok()).expect("a level");
            hold(&start(args, Some(Profile::new(level, Vec::new()))))
        }
        _ => ExitCode::from(2),
    }
}

fn hold(_child: &Child) -> ! {
    loop {
        std::thread::park();
    }
}

fn leave(child: Child) -> ExitCode {
    let line = BufReader::new(File::from(child.stdout)).lines().next();
    drop(child.lifeline);
    match line {
        Some(Ok(_)) => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

fn start(mut args: impl Iterator<Item = OsString>, profile: Option<Profile>) -> Child {
    let plan = Launch {
        program: args.next().expect("a program"),
        args: args.collect(),
        env: std::env::vars_os().collect(),
        cwd: None,
        stderr: Stderr::Null,
        grace: Duration::from_secs(600),
        profile,
    };
    let helper = Helper { exe: "/proc/self/exe".into(), argument: "__supervise" };
    launch(&helper, &plan).expect("launched")
}
