//! The supervisor's start of a program under a plan: directly below it, or as part of namespaces of its own, which
//! `bwrap` or it makes. Not here: what the program is bound by (`bounds`), or its life (`supervise`).

use std::fs;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::fs::{MemfdFlags, Mode, OFlags, memfd_create, open};
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::process::{Pid, Signal, WaitOptions, geteuid, getpid, kill_process, setpgid, wait};

use crate::cgroup::{self, Group};
use crate::fork::{self, Refused, leave, not_started, refused};
use crate::guard;
use crate::hold::{Held, hold};
use crate::init::Init;
use crate::namespaces::{self, Ids, Side};
use crate::plan::{Apart, Plan};
use crate::share::Share;
use crate::status::Status;
use crate::supervise::Order;
use crate::wire::Step;

/// A program that runs, and what goes with it.
pub(crate) struct Confined {
    /// Our child, whose end is the end of all: the program, or the first process of its namespace.
    pub child: Pid,
    /// The program, as it is numbered here; it leads its own group.
    pub program: Pid,
    /// Where the first process of a namespace tells how the program ended.
    pub status: Option<Status>,
    /// How the program gives way to others.
    pub share: Option<Share>,
    /// Gone when it is dropped.
    pub belongings: Belongings,
}

impl Confined {
    /// A program that runs under no plan.
    pub(crate) fn plain(program: Pid) -> Self {
        let belongings = Belongings { _held: Vec::new(), tmp: None, _group: None };
        Self { child: program, program, status: None, share: None, belongings }
    }
}

/// What a program leaves behind that has to be removed.
pub(crate) struct Belongings {
    _held: Vec<Held>,
    tmp: Option<PathBuf>,
    _group: Option<Group>,
}

impl Drop for Belongings {
    fn drop(&mut self) {
        _ = self.tmp.as_ref().map(fs::remove_dir_all);
    }
}

impl Belongings {
    /// Holds the names that must stay free, and makes the temporary directory.
    fn of(plan: &Plan) -> Result<Self, Refused> {
        let held: Result<Vec<_>, _> = plan.held.iter().map(|(path, kind)| hold(path, *kind)).collect();
        let held = held.map_err(|error| refused(Step::Hold, &error))?.into_iter().flatten().collect();
        let make = |tmp: &PathBuf| {
            fs::DirBuilder::new().mode(0o700).create(tmp)?;
            fs::DirBuilder::new().mode(0o700).create(tmp.join("home"))
        };
        plan.tmp.as_ref().map_or(Ok(()), make).map_err(|error| refused(Step::Tmp, &error))?;
        // Where there can be none the limit of each process has to do; who launched this knows.
        let group =
            plan.limits.processes.filter(|_| plan.apart.is_some() && geteuid().is_root()).and_then(cgroup::enter);
        Ok(Self { _held: held, tmp: plan.tmp.clone(), _group: group })
    }
}

/// Starts the program of `order` under `plan`, whose own file is `file`. `door` is where the way out is handed over.
pub(crate) fn start(order: &Order, plan: Plan, file: OwnedFd, door: Option<OwnedFd>) -> Result<Confined, Refused> {
    let belongings = Belongings::of(&plan)?;
    let nice = plan.limits.nice;
    let Some(apart) = plan.apart.clone() else {
        return start_below(order, &plan, belongings);
    };
    let (status, theirs) = Status::pair().map_err(|error| not_started(&error))?;
    let child = match &apart.bwrap {
        Some(bwrap) => start_bwrap(order, &plan, &apart, bwrap, [theirs, file], door),
        None => start_own(order, plan, &apart, theirs, door),
    }?;
    match status.await_program() {
        Ok(program) => {
            Ok(Confined { child, program, status: Some(status), share: Share::of(program, nice), belongings })
        }
        Err(refused) => {
            _ = kill_process(child, Signal::KILL);
            // What is below it ends with it; the caller waits for all of it.
            while wait(WaitOptions::empty()).is_ok() {}
            Err(refused)
        }
    }
}

fn start_below(order: &Order, plan: &Plan, belongings: Belongings) -> Result<Confined, Refused> {
    let supervisor = getpid();
    let first = || {
        setpgid(None, None)?;
        guard::die_with(supervisor)
    };
    let program = fork::start(plan, &order.program, &order.args, first)?;
    let share = Share::of(program, plan.limits.nice);
    Ok(Confined { child: program, program, status: None, share, belongings })
}

fn start_bwrap(
    order: &Order,
    plan: &Plan,
    apart: &Apart,
    bwrap: &Path,
    [status, file]: [OwnedFd; 2],
    door: Option<OwnedFd>,
) -> Result<Pid, Refused> {
    let failed = |error: io::Error| refused(Step::Bwrap, &error);
    let itself = open("/proc/self/exe", OFlags::PATH, Mode::empty()).map_err(|errno| failed(errno.into()))?;
    let options = in_memory(&crate::bwrap::options(plan, &apart.mounts)).map_err(failed)?;
    for fd in [&status, &file, &options].into_iter().chain(&door) {
        fcntl_setfd(fd, FdFlags::empty()).map_err(|errno| failed(errno.into()))?;
    }
    let number = |fd: Option<&OwnedFd>| fd.map_or(0, AsRawFd::as_raw_fd).to_string();
    let mut command = Command::new(bwrap);
    command.arg("--args").arg(number(Some(&options))).arg("--").arg(format!("/proc/self/fd/{}", itself.as_raw_fd()));
    command.args(std::env::args_os().nth(1)).arg(WITHIN);
    command.args([number(Some(&status)), number(Some(&file)), number(door.as_ref()), "--".into()]);
    command.arg(&order.program).args(&order.args);
    guard::confine(&mut command);
    let child = command.spawn().map_err(failed)?;
    Ok(Pid::from_raw(child.id().cast_signed()).expect("a started process has an id"))
}

/// The word by which the helper knows that it is within.
pub(crate) const WITHIN: &str = "--within";

fn in_memory(bytes: &[u8]) -> io::Result<OwnedFd> {
    let mut file = fs::File::from(memfd_create("options", MemfdFlags::CLOEXEC)?);
    file.write_all(bytes)?;
    io::Seek::rewind(&mut file)?;
    Ok(file.into())
}

fn start_own(order: &Order, plan: Plan, apart: &Apart, status: OwnedFd, door: Option<OwnedFd>) -> Result<Pid, Refused> {
    let ids = Ids::own();
    let init = Init { status, door, program: order.program.clone(), args: order.args.clone(), plan };
    match namespaces::enter(init.plan.net).map_err(|error| refused(Step::Namespaces, &error))? {
        Side::Without(child) => Ok(child),
        Side::Within => {
            let furnished = namespaces::die_with_parent()
                .map_err(|error| (Step::Namespaces, error))
                .and_then(|()| namespaces::furnish(&apart.mounts, init.plan.net, ids));
            if let Err((step, error)) = furnished {
                init.report(refused(step, &error));
                leave(0);
            }
            init.keep_only_its_own();
            init.run()
        }
    }
}
