//! What a profile holds, found out from within: forbidden operations are tried under it, against bait that is set up
//! for them, and what came of each is put beside what the reached level says.

mod operations;
mod scene;

use std::fs::File;
use std::io::Read;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process};

pub use operations::Operation;
pub(crate) use operations::probe;

use crate::launch::{Child, Helper, Launch, LaunchError, Ordered, Stderr, start};
use crate::level::{Effective, Gap};
use crate::net::Net;
use crate::plan::Action;
use crate::profile::Profile;
use crate::wire::Event;
use scene::Scene;

/// The longest that trying everything may take.
const PATIENCE: Timespec = Timespec { tv_sec: 60, tv_nsec: 0 };
/// How long the kernel may take to end what was killed.
const FAREWELL: Timespec = Timespec { tv_sec: 5, tv_nsec: 0 };

/// What came of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was not possible.
    Held,
    /// It was.
    Open,
}

/// One operation that was tried, or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// The operation.
    pub operation: Operation,
    /// What the effective level says of it.
    pub expected: Outcome,
    /// What came of it, or why it was not tried.
    pub observed: Result<Outcome, String>,
}

impl Observation {
    /// Whether something that should be held is not.
    #[must_use]
    pub fn is_breach(&self) -> bool {
        self.expected == Outcome::Held && self.observed == Ok(Outcome::Open)
    }
}

/// All that was tried under a profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    /// The level under which it was tried.
    pub effective: Effective,
    /// One for each [`Operation`], in their order.
    pub rows: Vec<Observation>,
}

impl Observed {
    /// What should be held and is not.
    pub fn breaches(&self) -> impl Iterator<Item = &Observation> {
        self.rows.iter().filter(|row| row.is_breach())
    }

    /// How many were not tried.
    #[must_use]
    pub fn skipped(&self) -> usize {
        self.rows.iter().filter(|row| row.observed.is_err()).count()
    }
}

/// Tries all forbidden operations under `profile`. Blocking, for about a tenth of a second at S4; it makes files and
/// sockets of its own in the directory of temporary files, and removes them.
///
/// # Errors
/// The level cannot be reached, or nothing can be started.
pub fn observe(helper: &Helper, profile: &Profile) -> Result<Observed, LaunchError> {
    let scene = Scene::set(profile).map_err(LaunchError::Pipes)?;
    let (child, effective) = run(helper, &scene, "all")?;
    let said = read_all(child)?;
    let survivors = match expected(Operation::Survive, &effective.gaps) {
        Outcome::Held => Ok(survivors(helper, &scene)?),
        Outcome::Open => Err("not tried where it is expected, for it would leave a process behind".to_owned()),
    };
    let rows = Operation::ALL.into_iter().map(|operation| {
        let observed = match operation {
            Operation::Survive => survivors.clone(),
            _ if operation.is_granted(&profile.net) => Err("the profile grants it".to_owned()),
            _ => reported(&said, operation).map(|outcome| scene.verify(operation, outcome)),
        };
        Observation { operation, expected: expected(operation, &effective.gaps), observed }
    });
    Ok(Observed { rows: rows.collect(), effective })
}

/// An operation is open where all of the gaps are that would have to be closed one by one.
fn expected(operation: Operation, gaps: &[Gap]) -> Outcome {
    match operation.gaps().iter().all(|gap| gaps.contains(gap)) {
        true => Outcome::Open,
        false => Outcome::Held,
    }
}

fn run(helper: &Helper, scene: &Scene, what: &str) -> Result<(Child, Effective), LaunchError> {
    let launch = Launch {
        program: what.into(),
        args: scene.arguments(what),
        env: Vec::new(),
        cwd: None,
        stderr: Stderr::Null,
        grace: Duration::ZERO,
        profile: Some(scene.profile.clone()),
    };
    let mut order = Ordered::under(helper, &launch, &scene.profile)?;
    order.plan.iter_mut().for_each(|plan| plan.action = Action::Probe);
    let effective = order.effective.clone().expect("a profile was given");
    Ok((start(helper, &launch, order)?, effective))
}

/// All that it says, as far as it comes in time.
///
/// # Errors
/// It was not started.
fn read_all(child: Child) -> Result<String, LaunchError> {
    let mut stdout = File::from(child.stdout);
    let mut said = Vec::new();
    let mut piece = [0; 4096];
    while let Ok(1..) = poll(&mut [PollFd::new(&stdout, PollFlags::IN)], Some(&PATIENCE)) {
        match stdout.read(&mut piece) {
            Ok(read @ 1..) => said.extend(&piece[..read]),
            _ => break,
        }
    }
    match child.lifeline.read_event() {
        Some(Event::NotConfined { step, errno }) => {
            let source = (errno != 0).then(|| std::io::Error::from_raw_os_error(errno));
            Err(LaunchError::NotConfined { step, source })
        }
        _ => Ok(String::from_utf8_lossy(&said).into_owned()),
    }
}

/// What the probe said of `operation`: a line with its word, and `open`, `held` or `skipped` and why.
fn reported(said: &str, operation: Operation) -> Result<Outcome, String> {
    let line = said.lines().find_map(|line| line.strip_prefix(operation.word())?.strip_prefix(' '));
    match line.map(|line| line.split_once(' ').unwrap_or((line, ""))) {
        Some(("open", _)) => Ok(Outcome::Open),
        Some(("held", _)) => Ok(Outcome::Held),
        Some((_, why)) => Err(why.to_owned()),
        None => Err("the probe ended before".to_owned()),
    }
}

/// Kills the supervisor of a program that daemonised by force. The daemon holds the output; it ends by itself later.
fn survivors(helper: &Helper, scene: &Scene) -> Result<Outcome, LaunchError> {
    let (child, _) = run(helper, scene, "daemon")?;
    let mut stdout = File::from(child.stdout);
    let mut ready = [0];
    if !matches!(poll(&mut [PollFd::new(&stdout, PollFlags::IN)], Some(&PATIENCE)), Ok(1..))
        || !matches!(stdout.read(&mut ready), Ok(1))
    {
        return Ok(Outcome::Held);
    }
    let supervisor = Pid::from_raw(child.lifeline.supervisor_pid().cast_signed());
    _ = supervisor.map(|supervisor| kill_process(supervisor, Signal::KILL));
    let ended = poll(&mut [PollFd::new(&stdout, PollFlags::IN)], Some(&FAREWELL));
    while !matches!(child.lifeline.read_event(), Some(Event::Gone | Event::Lost)) {
        _ = poll(&mut [PollFd::new(&child.lifeline, PollFlags::IN)], Some(&FAREWELL));
    }
    match ended {
        Ok(1..) => Ok(Outcome::Held),
        _ => Ok(Outcome::Open),
    }
}

impl Operation {
    /// Whether `net` allows it, so that it is not forbidden.
    fn is_granted(self, net: &Net) -> bool {
        let network = matches!(self, Operation::ConnectTcp | Operation::ListenTcp | Operation::SendUdp);
        network && *net == Net::On
    }
}
