//! The levels of confinement, and what a level leaves open. Not here: how a level is reached.

use std::fmt;
use std::str::FromStr;

/// How closely a program is kept. Each level holds all that the one below it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Supervised: ended with all it started, given nothing but its own environment and descriptors.
    S0,
    /// And variables that steer loaders and interpreters are taken away, and its resources are limited.
    S1,
    /// And one of Landlock (files, TCP, with a temporary directory of its own) and seccomp (system calls), whichever
    /// the kernel has.
    S2,
    /// And both of them, and no capability.
    S3,
    /// And namespaces of its own: it sees only the files it was granted, no other process and no network.
    S4,
}

impl Level {
    /// All, the loosest first.
    pub const ALL: [Level; 5] = [Level::S0, Level::S1, Level::S2, Level::S3, Level::S4];

    /// Its name, `S0` to `S4`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Level::S0 => "S0",
            Level::S1 => "S1",
            Level::S2 => "S2",
            Level::S3 => "S3",
            Level::S4 => "S4",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A word that is no level.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is none of S0, S1, S2, S3, S4")]
pub struct NoLevel(String);

impl FromStr for Level {
    type Err = NoLevel;

    fn from_str(word: &str) -> Result<Self, NoLevel> {
        let found = Level::ALL.into_iter().find(|level| level.word().eq_ignore_ascii_case(word));
        found.ok_or_else(|| NoLevel(word.to_owned()))
    }
}

/// Something that a profile asks for and the reached level does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Gap {
    /// Files outside the granted roots can be read or written, as far as the user may.
    Files,
    /// Outside the granted roots files can be looked at (`stat`), and their modes and times changed.
    Metadata,
    /// Protected names below a writable root can be written.
    Protected,
    /// A protected name is a symbolic link, which can be replaced.
    ProtectedLink,
    /// There are more directories below a writable root than are looked through for protected names.
    ProtectedDeep,
    /// Credentials can be read.
    Masked,
    /// The network can be reached over TCP although it was not granted.
    Network,
    /// The network can be reached in other ways than TCP although it was not granted.
    Datagrams,
    /// Sockets in the file system, of other programs, can be reached.
    UnixSockets,
    /// Other processes can be seen.
    Processes,
    /// Other processes of the same user can be signalled.
    Signals,
    /// Parts of the kernel that a program seldom needs can be used: mounts, tracing, io_uring, BPF.
    Syscalls,
    /// The number of its processes is not bounded.
    ProcessCount,
    /// The temporary directory is that of everybody.
    SharedTmp,
    /// If its supervisor is killed by force, a process that left the session may live on.
    Survivors,
}

impl Gap {
    /// Its name in records and reports.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Gap::Files => "files",
            Gap::Metadata => "metadata",
            Gap::Protected => "protected",
            Gap::ProtectedLink => "protected_link",
            Gap::ProtectedDeep => "protected_deep",
            Gap::Masked => "masked",
            Gap::Network => "network",
            Gap::Datagrams => "datagrams",
            Gap::UnixSockets => "unix_sockets",
            Gap::Processes => "processes",
            Gap::Signals => "signals",
            Gap::Syscalls => "syscalls",
            Gap::ProcessCount => "process_count",
            Gap::SharedTmp => "shared_tmp",
            Gap::Survivors => "survivors",
        }
    }
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// What a program really runs under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effective {
    /// The level that was demanded.
    pub demanded: Level,
    /// The level that is held.
    pub level: Level,
    /// What is not held although the profile asks for it.
    pub gaps: Vec<Gap>,
}

impl Effective {
    /// Whether less is held than was demanded.
    #[must_use]
    pub fn degraded(&self) -> bool {
        self.level < self.demanded
    }
}

/// `S4`, or `S3 instead of S4 (metadata, protected)`.
impl fmt::Display for Effective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.level)?;
        if self.degraded() {
            write!(f, " instead of {}", self.demanded)?;
        }
        if !self.gaps.is_empty() {
            let gaps: Vec<_> = self.gaps.iter().map(|gap| gap.word()).collect();
            write!(f, " ({})", gaps.join(", "))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_read_as_it_is_written() {
        for level in Level::ALL {
            assert_eq!(level.to_string().parse(), Ok(level));
            assert_eq!(level.word().to_lowercase().parse(), Ok(level));
        }
        assert_eq!("S5".parse::<Level>().unwrap_err().to_string(), "`S5` is none of S0, S1, S2, S3, S4");
    }

    #[test]
    fn levels_are_ordered_by_what_they_hold() {
        assert!(Level::ALL.is_sorted());
    }

    #[test]
    fn what_is_less_than_demanded_says_so() {
        let held = Effective { demanded: Level::S4, level: Level::S4, gaps: Vec::new() };
        assert_eq!(held.to_string(), "S4");
        let less = Effective { level: Level::S3, gaps: vec![Gap::Metadata, Gap::Protected], ..held };
        assert_eq!(less.to_string(), "S3 instead of S4 (metadata, protected)");
    }
}
