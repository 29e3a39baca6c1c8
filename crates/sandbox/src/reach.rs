//! Which levels this machine can hold, found out by trying, and which one a profile gets. Not here: holding it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock, PoisonError};

use rustix::process::geteuid;

use crate::cgroup;
use crate::landlocked;
use crate::launch::Helper;
use crate::level::{Effective, Gap, Level};
use crate::net::Net;
use crate::profile::{Namespaces, Profile};
use crate::rehearse::rehearse;

/// Where `bwrap` may be. `PATH` is not asked: whoever can put a program there is not who guards.
const BWRAP: [&str; 3] = ["/usr/bin/bwrap", "/usr/local/bin/bwrap", "/run/current-system/sw/bin/bwrap"];
/// The oldest that knows all the options used.
const OLDEST_BWRAP: (u32, u32) = (0, 8);

/// A level cannot be reached here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("sandbox level {demanded} cannot be reached: {why}")]
pub struct Unavailable {
    /// The level that was demanded.
    pub demanded: Level,
    /// The highest level that can be reached, as far as it was looked for.
    pub reachable: Level,
    /// What stands in the way.
    pub why: String,
    /// What a person can do about it.
    pub hint: String,
}

/// What the machine has to build levels from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Means {
    /// The version of Landlock's interface; 0 where there is none.
    pub landlock: u32,
    /// Whether system calls can be filtered.
    pub seccomp: bool,
    /// Whether the processes of one program can be counted apart from others.
    pub counted: bool,
    /// Who can make namespaces, or why nobody can. Only looked for where [`Level::S4`] was in question.
    pub namespaces: Result<Maker, NoNamespaces>,
}

/// Who makes namespaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Maker {
    /// This `bwrap`.
    Bwrap(PathBuf),
    /// The helper itself.
    Own,
}

/// Why there are no namespaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoNamespaces {
    /// What stands in the way.
    pub why: String,
    /// What a person can do about it.
    pub hint: String,
}

const INSTALL: &str =
    "install the package `bubblewrap` (`apt-get install bubblewrap`, `dnf install bubblewrap`, `apk add bubblewrap`)";

impl Means {
    /// Finds out what there is. Tries namespaces only `up_to` [`Level::S4`], which takes some 20 ms, blocking; what
    /// was found to work is remembered.
    #[must_use]
    pub fn find(helper: &Helper, up_to: Level, how: Namespaces) -> Self {
        let namespaces = match up_to {
            Level::S4 => remembered(helper, how),
            _ => Err(NoNamespaces { why: "namespaces were not looked for".into(), hint: String::new() }),
        };
        Self {
            landlock: landlocked::abi(),
            seccomp: Path::new("/proc/sys/kernel/seccomp").exists(),
            counted: *COUNTED.get_or_init(|| !geteuid().is_root() || cgroup::is_possible()),
            namespaces,
        }
    }

    /// The highest level that can be built from these.
    #[must_use]
    pub fn highest(&self) -> Level {
        match (self.namespaces.is_ok(), self.landlock > 0, self.seccomp) {
            (true, true, true) => Level::S4,
            (false, true, true) => Level::S3,
            (_, false, false) => Level::S1,
            _ => Level::S2,
        }
    }

    /// The level that `profile` gets.
    ///
    /// # Errors
    /// It, and what it allows in its place, cannot be reached.
    pub fn settle(&self, profile: &Profile) -> Result<Effective, Unavailable> {
        let level = profile.level.min(self.highest());
        let lowest = profile.allow_degraded.unwrap_or(profile.level).min(profile.level);
        let unavailable = |(why, hint): (String, String)| Unavailable {
            demanded: profile.level,
            reachable: self.highest(),
            why,
            hint,
        };
        if level < lowest {
            return Err(unavailable(self.missing()));
        }
        if level < Level::S4 && matches!(profile.net, Net::Hosts(_)) {
            let (why, hint) = match profile.level {
                Level::S4 => self.missing(),
                below => (format!("a list of hosts cannot be held at {below}"), "set the level S4".to_owned()),
            };
            return Err(unavailable((format!("a list of hosts needs S4: {why}"), hint)));
        }
        Ok(Effective { demanded: profile.level, level, gaps: self.gaps(profile, level) })
    }

    /// What stands in the way of the next level, and what can be done.
    fn missing(&self) -> (String, String) {
        let kernel = "use a kernel of 5.13 or later that has Landlock and seccomp switched on (`lsm=landlock,…`)";
        match (self.landlock, self.seccomp, &self.namespaces) {
            (0, _, _) => ("the kernel has no Landlock".to_owned(), kernel.to_owned()),
            (_, false, _) => ("the kernel cannot filter system calls".to_owned(), kernel.to_owned()),
            (_, _, Err(none)) => (none.why.clone(), none.hint.clone()),
            (_, _, Ok(_)) => ("it is not known why".to_owned(), String::new()),
        }
    }

    /// What `profile` asks for and `level` does not hold.
    fn gaps(&self, profile: &Profile, level: Level) -> Vec<Gap> {
        let files = level >= Level::S2 && self.landlock > 0;
        let filter = level >= Level::S3 || (level == Level::S2 && self.landlock == 0);
        let shared = level < Level::S4;
        let scoped = files && self.landlock >= 6;
        let no_sockets = filter && profile.net == Net::Off;
        let guards = !profile.write.is_empty() && !profile.protected.is_empty();
        let counts = profile.limits.processes.is_some();
        let all = [
            (Gap::Files, !files),
            (Gap::Metadata, shared),
            (Gap::Protected, guards && shared),
            (Gap::Masked, !files && !profile.masked.is_empty()),
            (Gap::Network, profile.net != Net::On && !filter && !(files && self.landlock >= 4)),
            (Gap::Datagrams, profile.net != Net::On && !filter),
            (Gap::UnixSockets, shared && !no_sockets),
            (Gap::Processes, shared),
            (Gap::Signals, shared && !scoped),
            (Gap::Syscalls, !filter),
            (Gap::ProcessCount, counts && (shared || !self.counted)),
            (Gap::SharedTmp, !files && level < Level::S3),
            (Gap::Survivors, shared),
        ];
        all.into_iter().filter_map(|(gap, open)| open.then_some(gap)).collect()
    }
}

/// The kernel's own limit does not count for root.
static COUNTED: OnceLock<bool> = OnceLock::new();

/// What was found to work, by the way that was asked for.
static FOUND: Mutex<Vec<(Namespaces, Maker)>> = Mutex::new(Vec::new());

/// Forgets who makes namespaces: it failed.
pub(crate) fn forget() {
    FOUND.lock().unwrap_or_else(PoisonError::into_inner).clear();
}

/// Only success is kept: what is missing may be installed while we run.
fn remembered(helper: &Helper, how: Namespaces) -> Result<Maker, NoNamespaces> {
    // Not locked while it is tried: a failure forgets, and others try for themselves.
    let found = || FOUND.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, maker)) = found().iter().find(|(known, _)| *known == how) {
        return Ok(maker.clone());
    }
    let maker = match how {
        Namespaces::Bwrap => with_bwrap(helper),
        Namespaces::Own => with_own(helper),
        // Ours hold the same in less time; but some systems let none but `bwrap` make any.
        Namespaces::Auto => with_own(helper).or_else(|own| {
            with_bwrap(helper).map_err(|bwrap| NoNamespaces { why: format!("{}; {}", bwrap.why, own.why), ..bwrap })
        }),
    }?;
    found().push((how, maker.clone()));
    Ok(maker)
}

fn with_bwrap(helper: &Helper) -> Result<Maker, NoNamespaces> {
    let Some(bwrap) = BWRAP.iter().map(Path::new).find(|path| path.is_file()) else {
        return Err(NoNamespaces { why: "`bwrap` is not installed".to_owned(), hint: INSTALL.to_owned() });
    };
    let version = version_of(bwrap);
    if version.is_none_or(|version| version < OLDEST_BWRAP) {
        let why = format!("`{}` is older than 0.8 or does not run", bwrap.display());
        return Err(NoNamespaces { why, hint: INSTALL.replace("install", "update") });
    }
    let maker = Maker::Bwrap(bwrap.to_owned());
    rehearse(helper, &maker).map_err(|why| NoNamespaces {
        why: format!("`{}` cannot make namespaces: {why}", bwrap.display()),
        hint: forbidden_by(),
    })?;
    Ok(maker)
}

fn with_own(helper: &Helper) -> Result<Maker, NoNamespaces> {
    rehearse(helper, &Maker::Own).map_err(|why| NoNamespaces {
        why: format!("namespaces cannot be made: {why}"),
        hint: format!("{INSTALL}; {}", forbidden_by()),
    })?;
    Ok(Maker::Own)
}

fn version_of(bwrap: &Path) -> Option<(u32, u32)> {
    let output = Command::new(bwrap).arg("--version").env_clear().output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let mut numbers = text.trim().rsplit(' ').next()?.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// Which setting forbids namespaces to ordinary users, as far as the kernel tells.
fn forbidden_by() -> String {
    let is = |path: &str, value: &str| std::fs::read_to_string(path).is_ok_and(|text| text.trim() == value);
    let settings = [
        ("user/max_user_namespaces", "0", "set the sysctl `user.max_user_namespaces` above 0"),
        ("kernel/unprivileged_userns_clone", "0", "set the sysctl `kernel.unprivileged_userns_clone` to 1"),
        (
            "kernel/apparmor_restrict_unprivileged_userns",
            "1",
            "AppArmor forbids them: give `bwrap` a profile with `userns,`",
        ),
    ];
    let found = settings.into_iter().find(|(path, value, _)| is(&format!("/proc/sys/{path}"), value));
    let container = "in a container, run it with leave to make user namespaces (`--security-opt seccomp=unconfined`)";
    found.map_or(container, |(_, _, hint)| hint).to_owned()
}

#[cfg(test)]
mod tests;
