//! Trying whether namespaces can be made, by making them once for nothing.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::draw::rehearsal;
use crate::launch::{Helper, Launch, Ordered, Stderr, start};
use crate::lifeline::Lifeline;
use crate::reach::Maker;
use crate::wire::{Event, ExitKind};

/// A machine on which it takes longer is stuck.
const PATIENCE: Timespec = Timespec { tv_sec: 20, tv_nsec: 0 };

/// Makes the namespaces of a program, and no program in them.
///
/// # Errors
/// Why they cannot be made, for people.
pub(crate) fn rehearse(helper: &Helper, maker: &Maker) -> Result<(), String> {
    let launch = Launch {
        program: "nothing".into(),
        args: Vec::new(),
        env: Vec::new(),
        cwd: None,
        stderr: Stderr::Piped,
        grace: Duration::ZERO,
        profile: None,
    };
    let order = Ordered { env: Vec::new(), plan: Some(rehearsal(maker)), effective: None };
    let child = start(helper, &launch, order).map_err(|error| error.to_string())?;
    let (mut ended, mut refused) = (false, None);
    loop {
        match await_event(&child.lifeline) {
            Some(Event::Exited(ExitKind::Code(0))) => ended = true,
            Some(refusal @ (Event::NotConfined { .. } | Event::NotStarted { .. })) => refused = Some(refusal),
            Some(Event::Gone) if ended && refused.is_none() => return Ok(()),
            Some(Event::Gone | Event::Lost) | None => return Err(why(refused, child.stderr)),
            Some(Event::Started { .. } | Event::Exited(_)) => {}
        }
    }
}

fn await_event(lifeline: &Lifeline) -> Option<Event> {
    loop {
        if let Some(event) = lifeline.read_event() {
            return Some(event);
        }
        if !matches!(poll(&mut [PollFd::new(lifeline, PollFlags::IN)], Some(&PATIENCE)), Ok(1..)) {
            return None;
        }
    }
}

fn why(refused: Option<Event>, stderr: Option<OwnedFd>) -> String {
    /// What `bwrap` says is a line.
    const MOST: u64 = 1024;
    let mut said = String::new();
    // Nobody is left who could write to it, so this ends.
    _ = stderr.map(|fd| File::from(fd).take(MOST).read_to_string(&mut said));
    match (said.lines().next(), refused) {
        (Some(line), _) => line.trim_start_matches("bwrap: ").to_owned(),
        (None, Some(Event::NotConfined { step, errno: 0 })) => step.to_string(),
        (None, Some(Event::NotConfined { step, errno })) => {
            format!("{step}: {}", std::io::Error::from_raw_os_error(errno))
        }
        (None, Some(Event::NotStarted { errno })) => std::io::Error::from_raw_os_error(errno).to_string(),
        (None, _) => "it ended early".to_owned(),
    }
}
