//! Landlock: which files may be read and written, and that no TCP connection and no foreign process is reached.
//! What the kernel does not know yet is left out here, and named as a gap in `reach`.
#![expect(unsafe_code, reason = "the version is asked for with a bare system call")]

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, PathBeneath, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError,
    RulesetStatus, Scope,
};
use rustix::fs::{FileType, Mode, OFlags, fstat, open};

use crate::plan::{Network, Rule};

/// The newest interface whose rights are known here.
const NEWEST: ABI = ABI::V9;
/// `LANDLOCK_CREATE_RULESET_VERSION`.
const VERSION: u32 = 1;

/// The version of the interface that the running kernel has; 0 for none.
pub(crate) fn abi() -> u32 {
    // SAFETY: with this flag the kernel takes no pointer, and only answers.
    let version =
        unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, std::ptr::null::<libc::c_void>(), 0_usize, VERSION) };
    u32::try_from(version).unwrap_or(0)
}

/// Binds this thread, and all that it will start, to `rules`. A path that does not exist is passed over.
///
/// # Errors
/// Nothing, or not even the rights of the oldest interface, can be enforced.
pub(crate) fn enforce(rules: &[Rule], net: Network) -> io::Result<()> {
    let status = restrict(rules, net).map_err(io::Error::other)?;
    match status {
        RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced => Ok(()),
        RulesetStatus::NotEnforced => Err(io::ErrorKind::Unsupported.into()),
    }
}

fn restrict(rules: &[Rule], net: Network) -> Result<RulesetStatus, RulesetError> {
    let mut ruleset = Ruleset::default().handle_access(AccessFs::from_all(NEWEST))?;
    if net != Network::Host {
        ruleset = ruleset.handle_access(AccessNet::from_all(NEWEST))?;
    }
    let mut created = ruleset.scope(Scope::from_all(NEWEST))?.create()?;
    if net == Network::Proxy {
        created = created.add_rule(landlock::NetPort::new(crate::egress::PORT, AccessNet::ConnectTcp))?;
    }
    for rule in rules {
        let Ok((path, file)) = found(&rule.path) else { continue };
        created = created.add_rule(PathBeneath::new(path, access(rule.write, file)))?;
    }
    Ok(created.restrict_self()?.ruleset)
}

fn found(path: &Path) -> io::Result<(OwnedFd, bool)> {
    let fd = open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    let kind = FileType::from_raw_mode(fstat(&fd)?.st_mode);
    Ok((fd, kind != FileType::Directory))
}

fn access(write: bool, file: bool) -> BitFlags<AccessFs> {
    let all = match write {
        true => AccessFs::from_all(NEWEST),
        false => AccessFs::from_read(NEWEST),
    };
    match file {
        true => all & AccessFs::from_file(NEWEST),
        false => all,
    }
}
