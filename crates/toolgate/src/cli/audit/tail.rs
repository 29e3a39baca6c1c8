//! `toolgate audit tail`: the newest events, and those that follow.

use std::io;
use std::path::Path;
use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::row;
use super::{Context, Where, unreadable};
use crate::ui::Failure;
use store::{Tail, TailLine};

/// How often it is looked for new lines.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Arguments of `tail`.
#[derive(Debug, Args)]
pub struct TailArgs {
    /// Go on showing what is added, until interrupted.
    #[arg(short, long)]
    follow: bool,
    /// How many events to begin with.
    #[arg(short = 'n', long, value_name = "N", default_value_t = 20)]
    lines: usize,
    #[command(flatten)]
    place: Where,
}

/// Shows.
pub fn run(args: &TailArgs, cx: &Context) -> Result<(), Failure> {
    let show = |line: &TailLine| event(line, cx);
    if args.follow {
        return follow(&args.place.dir(cx), args.lines, cx, show);
    }
    let (_, lines) = Tail::open(&args.place.dir(cx), args.lines).map_err(unreadable)?;
    lines.iter().try_for_each(show)
}

fn event(line: &TailLine, cx: &Context) -> Result<(), Failure> {
    if !cx.ui.json() {
        return cx.ui.out(&row::event_line(&line.bytes));
    }
    let event = row::parse(&line.bytes);
    cx.ui.line(&json!({ "schema": "toolgate.audit.event/1", "segment": line.segment, "event": event }))
}

/// Hands the last `count` lines to `show`, then each that is added, until nobody reads what we print.
///
/// # Errors
/// What `show` fails with, or that the record cannot be read.
pub fn follow(
    dir: &Path,
    count: usize,
    cx: &Context,
    mut show: impl FnMut(&TailLine) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let (mut tail, mut lines) = Tail::open(dir, count).map_err(unreadable)?;
    cx.ui.status(&format!("following {}; interrupt to end", dir.display()));
    while !reader_is_gone() {
        lines.iter().try_for_each(&mut show)?;
        std::thread::sleep(LOOK_EVERY);
        lines = tail.poll().map_err(unreadable)?;
    }
    Ok(())
}

/// Whether standard output is a pipe that nobody reads any more. Writing would not tell: the printer takes that
/// for no error.
fn reader_is_gone() -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let stdout = io::stdout();
    let mut polled = [PollFd::new(&stdout, PollFlags::empty())];
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut polled, Some(&at_once)).is_ok() && polled[0].revents().contains(PollFlags::ERR)
}
