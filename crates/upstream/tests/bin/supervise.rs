//! The smallest program that children can be launched through.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    match args.next().as_ref().and_then(|mode| mode.to_str()) {
        Some("__supervise") => sandbox::supervise_main(args),
        _ => ExitCode::from(2),
    }
}
