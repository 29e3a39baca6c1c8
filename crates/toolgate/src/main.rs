//! The `toolgate` binary: takes what the system gives (arguments, environment) and hands it on.

use std::process::ExitCode;

use toolgate::config::Env;
use toolgate::{SUPERVISE, shim};

fn main() -> ExitCode {
    let args: Vec<_> = std::env::args_os().collect();
    if args.get(1).is_some_and(|arg| arg == SUPERVISE) {
        return sandbox::supervise_main(args.into_iter().skip(2));
    }
    // Secrets are in our memory and environment. Where the system forbids this, we are as open as any other program.
    let _ = sandbox::conceal();
    // The only place that reads the process environment.
    shim::main(args, Env::from_os(std::env::vars_os()))
}
