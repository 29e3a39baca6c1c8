//! The first process of a program's own process namespace: it starts the program, reaps, says how the program ended,
//! and ends; with it the kernel ends all that is left. It is bound by nothing but its namespaces, and shows nothing
//! of itself to the program.

use std::ffi::OsString;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::process::ExitCode;

use rustix::io::Errno;
use rustix::net::{SendFlags, send};
use rustix::process::{DumpableBehavior, Pid, WaitOptions, WaitStatus, set_dumpable_behavior, setsid, wait};
use rustix::thread::{set_name, set_no_new_privs};

use crate::fork::{self, Refused, leave, refused};
use crate::plan::{Network, Plan};
use crate::supervise::{detach_stdio, exit_kind, take_fd};
use crate::wire::{Event, Step};
use crate::{calls, egress, guard};

/// What the first process was given.
pub(crate) struct Init {
    pub plan: Plan,
    /// Where it reports to the supervisor.
    pub status: OwnedFd,
    /// Where it hands over the way out.
    pub door: Option<OwnedFd>,
    pub program: OsString,
    pub args: Vec<OsString>,
}

impl Init {
    /// What `bwrap` was told to start: `STATUS PLAN DOOR -- PROGRAM ARGS...`, the first three numbers of descriptors.
    fn parse(mut args: impl Iterator<Item = OsString>) -> Option<Init> {
        let mut number = || args.next()?.to_str()?.parse().ok();
        let (status, plan, door) = (number()?, number()?, number()?);
        if args.next()? != "--" {
            return None;
        }
        Some(Init {
            status: take_fd(status)?,
            plan: read_plan(&take_fd(plan)?)?,
            door: if door == 0 { None } else { Some(take_fd(door)?) },
            program: args.next()?,
            args: args.collect(),
        })
    }

    /// The rest of this process's life.
    pub(crate) fn run(mut self) -> ! {
        // Only the name shown by `ps`.
        _ = set_name(c"toolgate-init");
        match self.start() {
            Ok(program) => self.watch(program),
            Err(refused) => self.report(refused),
        }
        leave(0)
    }

    fn start(&mut self) -> Result<Pid, Refused> {
        let unprivileged = set_dumpable_behavior(DumpableBehavior::NotDumpable)
            .and_then(|()| set_no_new_privs(true))
            .map_err(Into::into)
            .and_then(|()| calls::drop_capabilities());
        unprivileged.map_err(|error| refused(Step::Filter, &error))?;
        if let (Some(door), Network::Proxy) = (self.door.take(), self.plan.net) {
            egress::offer(&door).map_err(|error| refused(Step::Egress, &error))?;
        }
        let hello = || {
            setsid()?;
            set_dumpable_behavior(DumpableBehavior::Dumpable)?;
            // The supervisor sees from whom this comes, and by that the program's number outside.
            send(&self.status, &Event::Started { pid: 0 }.encode(), SendFlags::NOSIGNAL)?;
            Ok(())
        };
        let program = fork::start(&self.plan, &self.program, &self.args, hello)?;
        detach_stdio();
        self.report(Event::Started { pid: 1 });
        Ok(program)
    }

    fn watch(&self, program: Pid) {
        loop {
            match wait(WaitOptions::empty()) {
                Ok(Some((pid, status))) if pid == program && ended(status) => {
                    return self.report(Event::Exited(exit_kind(status)));
                }
                Ok(_) | Err(Errno::INTR) => {}
                Err(_) => return,
            }
        }
    }

    /// Lets go of everything that was copied from the supervisor when this process was forked.
    pub(crate) fn keep_only_its_own(&self) {
        let mut kept: Vec<_> = self.door.iter().chain([&self.status]).map(AsRawFd::as_raw_fd).collect();
        kept.sort_unstable();
        kept.push(i32::MAX);
        let mut next = 3;
        for fd in kept {
            guard::close_between(next, fd);
            next = fd.saturating_add(1);
        }
    }

    pub(crate) fn report(&self, event: Event) {
        _ = send(&self.status, &event.encode(), SendFlags::NOSIGNAL);
    }
}

fn ended(status: WaitStatus) -> bool {
    status.exited() || status.signaled()
}

/// The life of the process that `bwrap` starts; see [`crate::supervise_main`].
pub(crate) fn main(args: impl Iterator<Item = OsString>) -> ExitCode {
    match Init::parse(args) {
        Some(init) => init.run(),
        None => ExitCode::from(2),
    }
}

/// The plan in a file that others read too.
pub(crate) fn read_plan(file: &OwnedFd) -> Option<Plan> {
    let file = std::fs::File::from(file.try_clone().ok()?);
    let mut bytes = vec![0; usize::try_from(file.metadata().ok()?.len()).ok()?];
    file.read_exact_at(&mut bytes, 0).ok()?;
    Plan::decode(&bytes)
}
