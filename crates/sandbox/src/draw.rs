//! From a profile and the level it gets to the plan the helper builds. Looks at the file system, changes nothing.

use std::fs;
use std::path::{Path, PathBuf};

use crate::deep;
use crate::hold::is_placeholder;
use crate::level::{Effective, Gap, Level};
use crate::net::Net;
use crate::plan::{Action, Apart, Mount, Network, Plan, Rule};
use crate::profile::{Kind, Limits, Profile, SYSTEM_SECRETS};
use crate::reach::Maker;
use crate::roots::{SYSTEM, links_on, real, without};

/// The private temporary directory at S4.
pub(crate) const PRIVATE_TMP: &str = "/tmp";
/// Device files that do no harm.
const DEVICES: [&str; 5] = ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"];

/// A plan, and the places the program is told of.
#[derive(Debug)]
pub(crate) struct Drawing {
    pub plan: Plan,
    /// Its `HOME` and `TMPDIR`; `None` where it may use what everybody uses.
    pub places: Option<Places>,
    /// What turned out to be left open.
    pub gaps: Vec<Gap>,
}

/// Directories of the program's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Places {
    pub home: PathBuf,
    pub tmp: PathBuf,
}

/// The roots of a profile, made real. What does not exist is left out: there is nothing to be seen.
struct Roots {
    read: Vec<PathBuf>,
    write: Vec<PathBuf>,
    masks: Vec<PathBuf>,
}

impl Roots {
    fn of(profile: &Profile) -> Self {
        let reals = |paths: &[PathBuf]| paths.iter().filter_map(|path| real(path)).collect::<Vec<_>>();
        let write = [reals(&profile.write), profile.home.as_deref().and_then(real).into_iter().collect()].concat();
        let read: Vec<_> = reals(&profile.read).into_iter().filter(|root| !write.contains(root)).collect();
        let secrets = SYSTEM_SECRETS.map(PathBuf::from);
        let mut masks = [reals(&profile.masked), reals(&secrets)].concat();
        // Who grants the very path means it.
        masks.retain(|mask| !write.contains(mask) && !read.contains(mask));
        Self { read, write, masks }
    }

    /// Whether a program that sees only these sees `path`.
    fn show(&self, path: &Path) -> bool {
        let granted = self.read.iter().chain(&self.write).any(|root| path.starts_with(root));
        granted || SYSTEM.iter().any(|root| path.starts_with(root))
    }
}

/// Draws the plan for `profile` at the level of `effective`. `tmp` is a name nobody has, for a directory of its own.
pub(crate) fn draw(profile: &Profile, effective: &Effective, maker: Option<&Maker>, tmp: PathBuf) -> Drawing {
    let roots = Roots::of(profile);
    let level = effective.level;
    let limits = match level {
        Level::S0 => Limits::default(),
        // Below, the user's other processes would be counted with it.
        Level::S1 | Level::S2 | Level::S3 => Limits { processes: None, ..profile.limits },
        Level::S4 => profile.limits,
    };
    let mut plan = Plan {
        apart: None,
        rules: None,
        filter: level >= Level::S3 || (level == Level::S2 && !effective.landlocked()),
        net: match profile.net {
            Net::On => Network::Host,
            Net::Off => Network::None,
            Net::Hosts(_) => Network::Proxy,
        },
        limits,
        held: Vec::new(),
        tmp: None,
        cwd: None,
        action: Action::Exec,
    };
    match level {
        Level::S0 | Level::S1 => Drawing { plan, places: None, gaps: Vec::new() },
        Level::S2 if !effective.landlocked() => Drawing { plan, places: None, gaps: Vec::new() },
        Level::S2 | Level::S3 => {
            let home = profile.home.clone().unwrap_or_else(|| tmp.join("home"));
            plan.rules = Some(shared_rules(&roots, std::slice::from_ref(&tmp)));
            plan.tmp = Some(tmp.clone());
            Drawing { plan, places: Some(Places { home, tmp }), gaps: Vec::new() }
        }
        Level::S4 => draw_apart(profile, &roots, maker, plan),
    }
}

impl Effective {
    /// Whether Landlock is part of it, for the one level where it need not be.
    fn landlocked(&self) -> bool {
        !self.gaps.contains(&Gap::Files)
    }
}

/// The plan of a program that is nothing, in namespaces that hold the system alone.
pub(crate) fn rehearsal(maker: &Maker) -> Plan {
    let profile = Profile::new(Level::S4, Vec::new());
    let effective = Effective { demanded: Level::S4, level: Level::S4, gaps: Vec::new() };
    let drawn = draw(&profile, &effective, Some(maker), PathBuf::new()).plan;
    Plan { rules: None, filter: false, action: Action::Nothing, ..drawn }
}

/// What may be used where the whole file system is in sight.
fn shared_rules(roots: &Roots, own: &[PathBuf]) -> Vec<Rule> {
    let rule = |write: bool| move |path: PathBuf| Rule { path, write };
    let carve = |paths: &[PathBuf]| paths.iter().flat_map(|path| without(path, &roots.masks)).collect::<Vec<_>>();
    let system: Vec<_> = SYSTEM.iter().filter_map(|path| real(Path::new(path))).collect();
    let read = [carve(&system), carve(&roots.read), resolver().into_iter().collect(), vec!["/proc".into()]].concat();
    let write = [carve(&roots.write), own.to_vec(), DEVICES.map(PathBuf::from).to_vec()].concat();
    read.into_iter().map(rule(false)).chain(write.into_iter().map(rule(true))).collect()
}

/// The file that says how names are looked up, where it lies outside of `/etc`.
fn resolver() -> Option<PathBuf> {
    real(Path::new("/etc/resolv.conf")).filter(|path| !path.starts_with("/etc"))
}

fn draw_apart(profile: &Profile, roots: &Roots, maker: Option<&Maker>, mut plan: Plan) -> Drawing {
    let tmp = PathBuf::from(PRIVATE_TMP);
    let home = profile.home.clone().unwrap_or_else(|| tmp.join("home"));
    let mut seen = Seen::default();
    seen.system(roots);
    seen.own(profile.tmp_bytes, &home, roots);
    seen.granted(profile, roots);
    seen.protect(profile, roots);
    let bwrap = match maker {
        Some(Maker::Bwrap(bwrap)) => Some(bwrap.clone()),
        Some(Maker::Own) | None => None,
    };
    let write = roots.write.iter().cloned().chain([tmp.clone(), home.clone(), "/dev".into()]);
    let rules = [Rule { path: "/".into(), write: false }].into_iter();
    plan.rules = Some(rules.chain(write.map(|path| Rule { path, write: true })).collect());
    plan.held = seen.held;
    seen.mounts.sort_by_key(|(depth, _)| *depth);
    plan.apart = Some(Apart { bwrap, mounts: seen.mounts.into_iter().map(|(_, mount)| mount).collect() });
    Drawing { plan, places: Some(Places { home, tmp }), gaps: seen.gaps }
}

/// What will be seen; the deeper a path lies, the later it is mounted.
#[derive(Default)]
struct Seen {
    mounts: Vec<(usize, Mount)>,
    held: Vec<(PathBuf, Kind)>,
    gaps: Vec<Gap>,
}

impl Seen {
    fn add(&mut self, at: &Path, mount: Mount) {
        self.mounts.push((at.components().count(), mount));
    }

    fn bind(&mut self, at: PathBuf, write: bool) {
        self.add(&at.clone(), Mount::Bind { at, write });
    }

    fn guard(&mut self, at: PathBuf) {
        self.add(&at.clone(), Mount::Guard { at });
    }

    fn link(&mut self, at: PathBuf, target: PathBuf) {
        self.add(&at.clone(), Mount::Link { target, at });
    }

    fn system(&mut self, roots: &Roots) {
        for path in SYSTEM.map(PathBuf::from) {
            match fs::read_link(&path) {
                Ok(_) if roots.show(Path::new("/")) => {}
                Ok(target) => self.link(path, target),
                Err(_) if path.is_dir() => self.bind(path, false),
                Err(_) => {}
            }
        }
        resolver().into_iter().for_each(|path| self.bind(path, false));
    }

    fn own(&mut self, tmp_bytes: u64, home: &Path, roots: &Roots) {
        let tmp = PathBuf::from(PRIVATE_TMP);
        self.add(&tmp.clone(), Mount::Tmp { at: tmp.clone(), bytes: tmp_bytes });
        self.add(Path::new("/proc"), Mount::Proc);
        self.add(Path::new("/dev"), Mount::Dev);
        if !roots.show(Path::new("/var")) {
            self.link("/var/tmp".into(), tmp.clone());
        }
        if home.starts_with(&tmp) {
            self.add(home, Mount::Dir { at: home.to_owned() });
        }
    }

    fn granted(&mut self, profile: &Profile, roots: &Roots) {
        roots.read.iter().for_each(|path| self.bind(path.clone(), false));
        roots.write.iter().for_each(|path| self.bind(path.clone(), true));
        let named = profile.read.iter().chain(&profile.write).chain(&profile.home);
        let mut links: Vec<_> = named.flat_map(|path| links_on(path)).collect();
        links.sort();
        links.dedup();
        // Where its directory is in sight, so is the link.
        links.retain(|(at, _)| at.parent().is_some_and(|dir| !roots.show(dir)));
        links.retain(|(at, _)| !SYSTEM.iter().any(|system| at == Path::new(system)));
        links.into_iter().for_each(|(at, target)| self.link(at, target));
        for mask in roots.masks.iter().filter(|mask| roots.show(mask)) {
            let kind = if mask.is_dir() { Kind::Dir } else { Kind::File };
            self.add(mask, Mount::Hide { at: mask.clone(), kind });
        }
    }

    fn protect(&mut self, profile: &Profile, roots: &Roots) {
        let dirs = roots.write.iter().filter(|root| Some(*root) != profile.home.as_ref() && root.is_dir());
        for (root, protected) in dirs.flat_map(|root| profile.protected.iter().map(move |name| (root, name))) {
            let path = root.join(&protected.name);
            if roots.write.contains(&path) {
                continue;
            }
            match fs::symlink_metadata(&path) {
                Ok(found) if found.is_symlink() => self.gaps.push(Gap::ProtectedLink),
                Ok(found) if !is_placeholder(&found) => self.guard(path),
                _ => {
                    self.held.push((path.clone(), protected.kind));
                    self.guard(path);
                }
            }
        }
        self.protect_deep(profile, roots);
        self.gaps.sort_unstable();
        self.gaps.dedup();
    }

    /// Below the top only what is there can be held.
    fn protect_deep(&mut self, profile: &Profile, roots: &Roots) {
        for root in roots.write.iter().filter(|root| Some(*root) != profile.home.as_ref()) {
            let deep = deep::look(root, &profile.protected);
            self.gaps.extend(deep.has_link.then_some(Gap::ProtectedLink));
            self.gaps.extend(deep.cut.then_some(Gap::ProtectedDeep));
            deep.found.into_iter().filter(|path| !roots.write.contains(path)).for_each(|path| self.guard(path));
        }
    }
}

#[cfg(test)]
mod tests;
