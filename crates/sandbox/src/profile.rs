//! What a program may see, write, reach and use: the words of a profile, and the defaults. Nothing here touches
//! the system; a profile becomes a plan in `plan` and is applied by the supervisor.

use std::path::{Path, PathBuf};

use crate::level::Level;
use crate::net::Net;

/// The bounds of one program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// The level that has to be reached.
    pub level: Level,
    /// The lowest level that will do where `level` cannot be reached; `None`: none will.
    pub allow_degraded: Option<Level>,
    /// What of the network it may reach. A list of hosts needs [`Level::S4`].
    pub net: Net,
    /// Directories and files it may read and execute, besides the system's own and those it may write.
    pub read: Vec<PathBuf>,
    /// Directories it may write, and read.
    pub write: Vec<PathBuf>,
    /// Paths it may not see, wherever they lie.
    pub masked: Vec<PathBuf>,
    /// Names that may neither be written nor come into being directly in a `write` directory, and that may not be
    /// written where they are further down.
    pub protected: Vec<Protected>,
    /// A directory of its own that outlives it, made where it is missing; it is its `HOME`. `None`: one that is gone
    /// when it ends.
    pub home: Option<PathBuf>,
    /// The size of its temporary directory at [`Level::S4`], in bytes.
    pub tmp_bytes: u64,
    /// What it may use up.
    pub limits: Limits,
    /// Variables it is never given, on top of [`DENIED_ENV`], written like those.
    pub env_deny: Vec<String>,
    /// Variables it is given although a list denies them: its owner named them.
    pub env_keep: Vec<String>,
    /// How namespaces are made.
    pub namespaces: Namespaces,
}

/// Who makes the namespaces of [`Level::S4`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Namespaces {
    /// Ourselves where that was found to work, else the system's `bwrap`.
    #[default]
    Auto,
    /// The system's `bwrap`.
    Bwrap,
    /// Ourselves.
    Own,
}

/// A name in a writable directory that must not change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Protected {
    /// The name, without a slash.
    pub name: String,
    /// What it is where it exists. A missing one is held by an empty one of this kind while the program runs.
    pub kind: Kind,
}

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A directory.
    Dir,
    /// A file.
    File,
}

/// What a program may use up. `None` leaves what toolgate itself may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// Processes and threads. Counted only at [`Level::S4`]: below it the user's other processes would count too.
    pub processes: Option<u64>,
    /// Open files of each process.
    pub open_files: Option<u64>,
    /// The size of a file it writes, in bytes.
    pub file_bytes: Option<u64>,
    /// The memory each process may write to, in bytes.
    pub memory_bytes: Option<u64>,
    /// Processor time of each process, in seconds.
    pub cpu_seconds: Option<u64>,
    /// How much more than toolgate it gives way to others, 0 to 19: each of its processes, and its session as a whole.
    pub nice: u8,
}

const MIB: u64 = 1 << 20;

impl Profile {
    /// A profile of `level` that grants nothing but the system's own files, with the usual names protected.
    /// `masked` is what [`credential_paths`] gives, and whatever else nobody may see.
    #[must_use]
    pub fn new(level: Level, masked: Vec<PathBuf>) -> Self {
        Self {
            level,
            allow_degraded: None,
            net: Net::Off,
            read: Vec::new(),
            write: Vec::new(),
            masked,
            protected: protected_names(),
            home: None,
            tmp_bytes: 512 * MIB,
            limits: Limits::default(),
            env_deny: Vec::new(),
            env_keep: Vec::new(),
            namespaces: Namespaces::Auto,
        }
    }

    /// The profile of one command that works in `workspace`: no network, and bounds on what it uses up.
    #[must_use]
    pub fn command(workspace: &[PathBuf], masked: Vec<PathBuf>) -> Self {
        let limits = Limits {
            processes: Some(256),
            open_files: Some(1024),
            file_bytes: Some(1024 * MIB),
            memory_bytes: Some(4096 * MIB),
            cpu_seconds: None,
            nice: 10,
        };
        Self { write: workspace.to_vec(), limits, ..Self::new(Level::S4, masked) }
    }
}

/// Variables that make loaders, interpreters and tools run or trust something else. A star stands for any rest
/// at the end of a name, or for any beginning at its front.
pub const DENIED_ENV: [&str; 16] = [
    "LD_*",
    "DYLD_*",
    "NODE_OPTIONS",
    "NODE_PATH",
    "PYTHONPATH",
    "PYTHONSTARTUP",
    "PYTHONHOME",
    "PERL5*",
    "RUBYOPT",
    "BASH_ENV",
    "ENV",
    "GIT_*",
    "*_PROXY",
    "RUSTC_WRAPPER",
    "npm_config_*",
    "SSH_AUTH_SOCK",
];

/// Whether `name` is one of `patterns`, as [`DENIED_ENV`] is written. Case counts but for proxies, whose
/// variables exist in both.
#[must_use]
pub fn is_denied(name: &str, patterns: &[&str]) -> bool {
    patterns.iter().any(|pattern| match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
        (Some(end), _) => name.to_ascii_uppercase().ends_with(&end.to_ascii_uppercase()),
        (_, Some(start)) => name.starts_with(start),
        _ => name == *pattern,
    })
}

/// Where programs keep credentials in `home`.
#[must_use]
pub fn credential_paths(home: &Path) -> Vec<PathBuf> {
    CREDENTIALS.iter().map(|name| home.join(name)).collect()
}

const CREDENTIALS: [&str; 34] = [
    ".ssh",
    ".aws",
    ".azure",
    ".gnupg",
    ".kube",
    ".docker",
    ".netrc",
    ".npmrc",
    ".pypirc",
    ".git-credentials",
    ".pgpass",
    ".my.cnf",
    ".vault-token",
    ".password-store",
    ".terraform.d",
    ".cargo/credentials.toml",
    ".gem/credentials",
    ".config/gh",
    ".config/gcloud",
    ".config/op",
    ".config/git/credentials",
    ".config/google-chrome",
    ".config/chromium",
    ".config/BraveSoftware",
    ".config/microsoft-edge",
    ".mozilla",
    ".local/share/keyrings",
    ".local/share/kwalletd",
    ".codex",
    ".claude",
    ".claude.json",
    ".cursor",
    ".gemini",
    ".bash_history",
];

/// The system's own secrets, which only matter where toolgate runs as root.
pub(crate) const SYSTEM_SECRETS: [&str; 8] = [
    "/etc/shadow",
    "/etc/shadow-",
    "/etc/gshadow",
    "/etc/gshadow-",
    "/etc/sudoers",
    "/etc/sudoers.d",
    "/etc/ssl/private",
    "/etc/ssh",
];

/// The names in a project that make other programs run something, as a list.
#[must_use]
pub fn protected_names() -> Vec<Protected> {
    let of = |kind| move |name: &&str| Protected { name: (*name).to_owned(), kind };
    let dirs = PROTECTED_DIRS.iter().map(of(Kind::Dir));
    dirs.chain(PROTECTED_FILES.iter().map(of(Kind::File))).collect()
}

const PROTECTED_DIRS: [&str; 6] = [".git", ".codex", ".claude", ".cursor", ".vscode", ".fw_data"];
const PROTECTED_FILES: [&str; 11] = [
    ".mcp.json",
    "AGENTS.md",
    "CLAUDE.md",
    ".env",
    ".env.local",
    ".env.development",
    ".env.production",
    ".env.test",
    ".envrc",
    ".toolgate",
    ".toolgate.toml",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_that_steer_programs_are_denied() {
        for name in ["LD_PRELOAD", "NODE_OPTIONS", "GIT_DIR", "https_proxy", "HTTP_PROXY", "npm_config_registry"] {
            assert!(is_denied(name, &DENIED_ENV), "{name}");
        }
        for name in ["PATH", "HOME", "LDFLAGS", "MY_ENV", "PROXY", "GITHUB_TOKEN"] {
            assert!(!is_denied(name, &DENIED_ENV), "{name}");
        }
    }

    #[test]
    fn protected_names_are_names() {
        assert!(protected_names().iter().all(|protected| !protected.name.contains('/')));
    }

    #[test]
    fn credentials_lie_in_the_home() {
        let paths = credential_paths(Path::new("/home/u"));
        assert!(paths.contains(&"/home/u/.ssh".into()) && paths.iter().all(|path| path.starts_with("/home/u")));
    }
}
