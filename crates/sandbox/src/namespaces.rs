//! Namespaces without `bwrap`: a process that is the first of its own user, mount, process, IPC, host name and,
//! unless the host's network is granted, network namespace. Not here: what is to be seen, or who is started.
#![expect(unsafe_code, reason = "clone and the network interface's flags have no safe wrapper")]

use std::fs;
use std::io;
use std::os::fd::AsRawFd;

use rustix::process::{Pid, Signal, getgid, getuid, set_parent_process_death_signal};

use crate::plan::{Mount, Network};
use crate::view;
use crate::wire::Step;

/// A process of its own, or its number for the one who asked.
pub(crate) enum Side {
    Within,
    Without(Pid),
}

/// Forks into new namespaces. The caller must have one thread.
pub(crate) fn enter(net: Network) -> io::Result<Side> {
    let mut flags = libc::CLONE_NEWUSER | libc::CLONE_NEWNS | libc::CLONE_NEWPID | libc::CLONE_NEWIPC;
    flags |= libc::CLONE_NEWUTS | libc::CLONE_NEWCGROUP;
    if net != Network::Host {
        flags |= libc::CLONE_NEWNET;
    }
    // SAFETY: without a new stack this is a fork, and this process has one thread.
    match unsafe { libc::syscall(libc::SYS_clone, flags | libc::SIGCHLD, 0, 0, 0, 0) } {
        -1 => Err(io::Error::last_os_error()),
        pid => Ok(Pid::from_raw(i32::try_from(pid).unwrap_or(0)).map_or(Side::Within, Side::Without)),
    }
}

/// Makes the namespaces this process was just born into what `mounts` say.
pub(crate) fn furnish(mounts: &[Mount], net: Network, ids: Ids) -> Result<(), (Step, io::Error)> {
    ids.map().map_err(|error| (Step::Namespaces, error))?;
    if net == Network::Proxy {
        raise_loopback().map_err(|error| (Step::Egress, error))?;
    }
    view::build(mounts).map_err(|error| (Step::Mounts, error))
}

/// Ends this process as soon as its parent does.
pub(crate) fn die_with_parent() -> io::Result<()> {
    Ok(set_parent_process_death_signal(Some(Signal::KILL))?)
}

/// Who we are outside, which has to be asked before.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ids {
    user: u32,
    group: u32,
}

impl Ids {
    pub(crate) fn own() -> Self {
        Self { user: getuid().as_raw(), group: getgid().as_raw() }
    }

    /// Inside the user is who it was, and nobody else exists.
    fn map(self) -> io::Result<()> {
        let Self { user, group } = self;
        fs::write("/proc/self/setgroups", "deny")?;
        fs::write("/proc/self/uid_map", format!("{user} {user} 1\n"))?;
        fs::write("/proc/self/gid_map", format!("{group} {group} 1\n"))
    }
}

/// Switches on the only network interface there is.
fn raise_loopback() -> io::Result<()> {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0")?;
    // SAFETY: all zeros is a valid value of this plain structure.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(*b"lo") {
        *to = from.cast_signed();
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: the structure is initialised and outlives the call.
    match unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &request) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
