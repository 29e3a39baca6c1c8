//! The order to the supervisor: what it has to build around one program. Plain data, written by [`crate::launch`]
//! and read by the re-executed helper. Not here: deciding what is in it, or doing it.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use crate::profile::{Kind, Limits};

/// What the helper builds, in full.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    /// The walls that the mount namespace and its like give; `None` below S4.
    pub apart: Option<Apart>,
    /// Whether Landlock rules are set, and which.
    pub rules: Option<Vec<Rule>>,
    /// Whether system calls are filtered, and capabilities dropped with them.
    pub filter: bool,
    pub net: Network,
    pub limits: Limits,
    /// Missing protected names, to be held while the program runs.
    pub held: Vec<(PathBuf, Kind)>,
    /// A temporary directory to make, and to remove with all that is in it.
    pub tmp: Option<PathBuf>,
    /// The directory the program starts in, as it sees it.
    pub cwd: Option<PathBuf>,
    pub action: Action,
}

/// Namespaces and what is seen in them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Apart {
    /// The `bwrap` that makes them; `None`: the helper does.
    pub bwrap: Option<PathBuf>,
    /// In this order.
    pub mounts: Vec<Mount>,
}

/// One thing to be seen in the new root, which is empty at first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Mount {
    /// What the host has at `at`.
    Bind { at: PathBuf, write: bool },
    /// What the host has at `at`, if anything; it cannot be written.
    Guard { at: PathBuf },
    /// A symbolic link.
    Link { target: PathBuf, at: PathBuf },
    /// An empty directory of at most `bytes`.
    Tmp { at: PathBuf, bytes: u64 },
    /// A directory.
    Dir { at: PathBuf },
    /// Nothing, where there is something.
    Hide { at: PathBuf, kind: Kind },
    /// The new process namespace, at `/proc`.
    Proc,
    /// The harmless devices, at `/dev`.
    Dev,
}

/// A path that may be used, with all below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rule {
    pub path: PathBuf,
    pub write: bool,
}

/// What of the network is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Network {
    None,
    /// A listener in its own network namespace, handed to whoever launched it.
    Proxy,
    Host,
}

/// What happens once the bounds stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// The program is executed.
    Exec,
    /// Forbidden operations are tried; the arguments say on what.
    Probe,
    /// Nothing: the bounds stand, which is all that was asked.
    Nothing,
}

impl Plan {
    /// Bytes that [`Plan::decode`] reads back.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Writer(Vec::new());
        out.option(self.apart.as_ref(), Writer::apart);
        out.option(self.rules.as_ref(), |out, rules| {
            out.list(rules, |out, rule| {
                out.path(&rule.path);
                out.flag(rule.write);
            });
        });
        out.flag(self.filter);
        out.byte(self.net as u8);
        out.limits(&self.limits);
        out.list(&self.held, |out, (path, kind)| {
            out.path(path);
            out.byte(*kind as u8);
        });
        out.option(self.tmp.as_deref(), Writer::path);
        out.option(self.cwd.as_deref(), Writer::path);
        out.byte(self.action as u8);
        out.0
    }

    /// `None` for anything but the whole of what [`Plan::encode`] gives.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Plan> {
        let mut input = Reader(bytes);
        let plan = Plan {
            apart: input.option(Reader::apart)?,
            rules: input
                .option(|input| input.list(|input| Some(Rule { path: input.path()?, write: input.flag()? })))?,
            filter: input.flag()?,
            net: input.choice(&[Network::None, Network::Proxy, Network::Host])?,
            limits: input.limits()?,
            held: input.list(|input| Some((input.path()?, input.choice(&KINDS)?)))?,
            tmp: input.option(Reader::path)?,
            cwd: input.option(Reader::path)?,
            action: input.choice(&[Action::Exec, Action::Probe, Action::Nothing])?,
        };
        input.0.is_empty().then_some(plan)
    }
}

const KINDS: [Kind; 2] = [Kind::Dir, Kind::File];

struct Writer(Vec<u8>);

impl Writer {
    fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    fn flag(&mut self, flag: bool) {
        self.byte(u8::from(flag));
    }

    fn number(&mut self, number: u64) {
        self.0.extend(number.to_le_bytes());
    }

    fn path(&mut self, path: &Path) {
        let bytes = path.as_os_str().as_bytes();
        self.number(bytes.len() as u64);
        self.0.extend(bytes);
    }

    fn option<T: ?Sized>(&mut self, value: Option<&T>, write: impl FnOnce(&mut Self, &T)) {
        self.flag(value.is_some());
        if let Some(value) = value {
            write(self, value);
        }
    }

    fn list<T>(&mut self, values: &[T], write: impl Fn(&mut Self, &T)) {
        self.number(values.len() as u64);
        values.iter().for_each(|value| write(self, value));
    }

    fn apart(&mut self, apart: &Apart) {
        self.option(apart.bwrap.as_deref(), Writer::path);
        self.list(&apart.mounts, Writer::mount);
    }

    fn mount(&mut self, mount: &Mount) {
        match mount {
            Mount::Bind { at, write } => {
                self.byte(0);
                self.path(at);
                self.flag(*write);
            }
            Mount::Link { target, at } => {
                self.byte(1);
                self.path(target);
                self.path(at);
            }
            Mount::Tmp { at, bytes } => {
                self.byte(2);
                self.path(at);
                self.number(*bytes);
            }
            Mount::Dir { at } => {
                self.byte(3);
                self.path(at);
            }
            Mount::Hide { at, kind } => {
                self.byte(4);
                self.path(at);
                self.byte(*kind as u8);
            }
            Mount::Guard { at } => {
                self.byte(5);
                self.path(at);
            }
            Mount::Proc => self.byte(6),
            Mount::Dev => self.byte(7),
        }
    }

    fn limits(&mut self, limits: &Limits) {
        for limit in numbers(limits) {
            self.option(limit.as_ref(), |out, limit| out.number(*limit));
        }
        self.byte(limits.nice);
    }
}

fn numbers(limits: &Limits) -> [Option<u64>; 5] {
    [limits.processes, limits.open_files, limits.file_bytes, limits.memory_bytes, limits.cpu_seconds]
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn flag(&mut self) -> Option<bool> {
        self.choice(&[false, true])
    }

    fn choice<T: Copy>(&mut self, choices: &[T]) -> Option<T> {
        choices.get(usize::from(self.byte()?)).copied()
    }

    fn number(&mut self) -> Option<u64> {
        let (number, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u64::from_le_bytes(*number))
    }

    fn path(&mut self) -> Option<PathBuf> {
        let length = usize::try_from(self.number()?).ok()?;
        let (path, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(OsString::from_vec(path.to_vec()).into())
    }

    fn option<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<Option<T>> {
        match self.flag()? {
            true => Some(Some(read(self)?)),
            false => Some(None),
        }
    }

    fn list<T>(&mut self, read: impl Fn(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        (0..self.number()?).map(|_| read(self)).collect()
    }

    fn apart(&mut self) -> Option<Apart> {
        Some(Apart { bwrap: self.option(Reader::path)?, mounts: self.list(Reader::mount)? })
    }

    fn mount(&mut self) -> Option<Mount> {
        Some(match self.byte()? {
            0 => Mount::Bind { at: self.path()?, write: self.flag()? },
            1 => Mount::Link { target: self.path()?, at: self.path()? },
            2 => Mount::Tmp { at: self.path()?, bytes: self.number()? },
            3 => Mount::Dir { at: self.path()? },
            4 => Mount::Hide { at: self.path()?, kind: self.choice(&KINDS)? },
            5 => Mount::Guard { at: self.path()? },
            6 => Mount::Proc,
            7 => Mount::Dev,
            _ => return None,
        })
    }

    fn limits(&mut self) -> Option<Limits> {
        let mut limit = || self.option(Reader::number);
        Some(Limits {
            processes: limit()?,
            open_files: limit()?,
            file_bytes: limit()?,
            memory_bytes: limit()?,
            cpu_seconds: limit()?,
            nice: self.byte()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> Plan {
        let mounts = vec![
            Mount::Bind { at: "/usr".into(), write: false },
            Mount::Link { target: "usr/bin".into(), at: "/bin".into() },
            Mount::Tmp { at: "/tmp".into(), bytes: 1 << 29 },
            Mount::Dir { at: "/tmp/home".into() },
            Mount::Hide { at: "/home/u/.ssh".into(), kind: Kind::Dir },
            Mount::Guard { at: "/work/.git".into() },
            Mount::Proc,
            Mount::Dev,
        ];
        Plan {
            apart: Some(Apart { bwrap: Some("/usr/bin/bwrap".into()), mounts }),
            rules: Some(vec![Rule { path: "/work".into(), write: true }]),
            filter: true,
            net: Network::Proxy,
            limits: Limits { processes: Some(256), nice: 5, ..Limits::default() },
            held: vec![("/work/.git".into(), Kind::Dir), ("/work/.env".into(), Kind::File)],
            tmp: Some("/tmp/x".into()),
            cwd: Some("/work".into()),
            action: Action::Probe,
        }
    }

    #[test]
    fn a_plan_is_read_as_it_was_written() {
        let none = Plan { apart: None, rules: None, tmp: None, cwd: None, action: Action::Exec, ..full() };
        for plan in [full(), none] {
            assert_eq!(Plan::decode(&plan.encode()), Some(plan));
        }
    }

    #[test]
    fn half_a_plan_is_none() {
        let bytes = full().encode();
        for cut in 0..bytes.len() {
            assert_eq!(Plan::decode(&bytes[..cut]), None, "{cut}");
        }
        assert_eq!(Plan::decode(&[bytes, vec![0]].concat()), None);
    }
}
