//! The hostile server as a program on HTTP.

use std::io::{self, Write};

use clap::Parser;
use testkit::hostile::http::{Flags, run};

fn main() -> io::Result<()> {
    run(Flags::parse(), |url| {
        let mut stdout = io::stdout();
        writeln!(stdout, "{url}")?;
        stdout.flush()
    })
}
