//! The server that wants a login as a program.

use std::io::{self, Write};

use clap::Parser;
use testkit::oauth::{Flags, run};

fn main() -> io::Result<()> {
    run(Flags::parse(), |url| {
        let mut stdout = io::stdout();
        writeln!(stdout, "{url}")?;
        stdout.flush()
    })
}
