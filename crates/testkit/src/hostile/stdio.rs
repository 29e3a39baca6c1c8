//! The server as a process on standard input and output, and the faults of processes.

use std::io::{self, BufRead, BufReader, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use clap::Parser;
use serde_json::json;

use super::outlet::{Outlet, Stdout};
use super::{Behaviour, Handler, Journal, process};

/// An MCP server on stdio that misbehaves as its flags say; they compose.
#[derive(Debug, Parser)]
pub struct Flags {
    #[command(flatten)]
    behaviour: Behaviour,
    /// Append every message, the environment and the end of input to FILE as JSON lines.
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// Ignored: something to find the process by.
    #[arg(long, value_name = "TEXT")]
    mark: Option<String>,
    /// Wait this long before reading anything.
    #[arg(long, value_name = "MS", default_value_t = 0)]
    slow_start_ms: u64,
    /// Never read or answer anything.
    #[arg(long)]
    hang_at_start: bool,
    /// End at once with this code, with a reason on standard error.
    #[arg(long, value_name = "CODE")]
    exit_at_start: Option<u8>,
    /// Print lines that are no messages before the first one.
    #[arg(long)]
    banner: bool,
    /// Put a line that is no message before every K-th message.
    #[arg(long, value_name = "K")]
    garbage_every: Option<u64>,
    /// Write a line to standard error at the start and for every message.
    #[arg(long)]
    stderr_noise: bool,
    /// Write to standard error without pause.
    #[arg(long)]
    stderr_flood: bool,
    /// Stop reading when the first tool call arrived.
    #[arg(long)]
    no_read: bool,
    /// Leave a sleeping process behind, with another parent and session.
    #[arg(long)]
    daemonise: bool,
    /// Stay alive when the input ends.
    #[arg(long)]
    linger: bool,
    /// Stay alive when the input ends and on SIGTERM.
    #[arg(long)]
    ignore_sigterm: bool,
    #[arg(long, hide = true)]
    sigterm_ignored: bool,
}

/// Runs the server until its input ends.
///
/// # Errors
/// When the journal cannot be written, or the input not be read.
pub fn run(flags: Flags) -> io::Result<u8> {
    if flags.ignore_sigterm {
        return Err(process::ignore_sigterm());
    }
    let journal = Journal::open(flags.log.as_deref())?;
    journal.start();
    if let Some(code) = flags.exit_at_start {
        writeln!(io::stderr(), "fixture-hostile: told to exit with {code}")?;
        return Ok(code);
    }
    start(&flags)?;
    let handler = Handler::new(flags.behaviour.clone(), journal, true);
    let outlet: Arc<dyn Outlet> = Arc::new(Stdout::new(flags.garbage_every));
    read(&flags, &handler, &outlet)?;
    handler.journal.note("eof", json!({}));
    if flags.linger || flags.sigterm_ignored {
        process::hang();
    }
    Ok(0)
}

/// Does what the flags want to happen before the first message.
fn start(flags: &Flags) -> io::Result<()> {
    if flags.daemonise {
        process::daemonise()?;
    }
    if flags.stderr_noise {
        writeln!(io::stderr(), "fixture-hostile: a line of noise")?;
    }
    if flags.stderr_flood {
        thread::spawn(|| while writeln!(io::stderr(), "{}", "flood ".repeat(100)).is_ok() {});
    }
    thread::sleep(Duration::from_millis(flags.slow_start_ms));
    if flags.banner {
        let mut out = io::stdout().lock();
        out.write_all(b"Welcome to the fixture!\nListening on stdio {\n")?;
        out.flush()?;
    }
    if flags.hang_at_start {
        process::hang();
    }
    Ok(())
}

fn read(flags: &Flags, handler: &Arc<Handler>, outlet: &Arc<dyn Outlet>) -> io::Result<()> {
    let mut input = BufReader::new(io::stdin());
    let mut line = Vec::new();
    while input.read_until(b'\n', &mut line)? > 0 {
        let text = String::from_utf8_lossy(&line);
        let text = text.trim();
        if flags.stderr_noise {
            writeln!(io::stderr(), "fixture-hostile: received {} bytes", text.len())?;
        }
        if !text.is_empty() {
            handler.handle(text, outlet);
        }
        if flags.no_read && text.contains(r#""tools/call""#) {
            process::hang();
        }
        line.clear();
    }
    Ok(())
}

/// What a process does that this program started to outlive it; nothing in any other.
pub fn as_daemon() -> Option<io::Result<()>> {
    let mut arguments = std::env::args().skip(1);
    (arguments.next()? == process::DAEMON).then(|| process::run_as_daemon(&arguments.next().unwrap_or_default()))
}
