//! The hostile server as a program on stdio.

use std::io;
use std::process::ExitCode;

use clap::Parser;
use testkit::hostile::stdio::{self, Flags};

fn main() -> io::Result<ExitCode> {
    if let Some(outcome) = stdio::as_daemon() {
        return outcome.map(|()| ExitCode::SUCCESS);
    }
    stdio::run(Flags::parse()).map(ExitCode::from)
}
