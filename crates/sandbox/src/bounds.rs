//! What is applied to a program last, in the process that becomes it: limits, Landlock, seccomp. From here on there
//! is no way back. The process is single-threaded and a fork of the helper, so it may do anything.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, nice, setrlimit};

use crate::plan::Plan;
use crate::profile::Limits;
use crate::wire::Step;
use crate::{calls, landlocked};

/// A step that failed.
pub(crate) type Failed = (Step, io::Error);

/// Binds this process to `plan`; what it starts is bound too.
pub(crate) fn apply(plan: &Plan) -> Result<(), Failed> {
    if let Some(cwd) = &plan.cwd {
        rustix::process::chdir(cwd).map_err(|errno| (Step::Cwd, errno.into()))?;
    }
    limit(&plan.limits).map_err(|error| (Step::Limits, error))?;
    // Landlock and seccomp both see to it that no program gains rights by being executed.
    if let Some(rules) = &plan.rules {
        landlocked::enforce(rules, plan.net).map_err(|error| (Step::Landlock, error))?;
    }
    if plan.filter {
        calls::drop_capabilities().map_err(|error| (Step::Filter, error))?;
        calls::filter(plan.net).map_err(|error| (Step::Filter, error))?;
    }
    Ok(())
}

fn limit(limits: &Limits) -> io::Result<()> {
    let each = [
        (Resource::Nproc, limits.processes),
        (Resource::Nofile, limits.open_files),
        (Resource::Fsize, limits.file_bytes),
        (Resource::Data, limits.memory_bytes),
        (Resource::Cpu, limits.cpu_seconds),
        (Resource::Core, Some(0)),
    ];
    for (resource, limit) in each {
        limit.map_or(Ok(()), |limit| lower(resource, limit))?;
    }
    nice(limits.nice.into())?;
    Ok(())
}

/// Never raises: what toolgate itself is held to holds for what it starts.
fn lower(resource: Resource, limit: u64) -> io::Result<()> {
    let limit = getrlimit(resource).maximum.map_or(limit, |now| now.min(limit));
    Ok(setrlimit(resource, Rlimit { current: Some(limit), maximum: Some(limit) })?)
}
