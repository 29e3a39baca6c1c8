//! `[workspace]` of toolgate.toml: the directories that our own tools work in, and what holds the commands that are run
//! there. Not here: what a setting does.

use std::path::PathBuf;
use std::time::Duration;

use super::fields::Fields;
use super::place::Problem;
use sandbox::{Level, Net};

/// What is made of the roots that clients name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ClientRoots {
    /// Nothing.
    Ignore,
    /// They leave of ours what lies beneath them.
    #[default]
    Narrow,
    /// They take the place of ours.
    Accept,
}

/// `[workspace]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Workspace {
    /// The directories; none means the one that toolgate is started in.
    pub roots: Option<Vec<PathBuf>>,
    /// What is made of the roots that clients name.
    pub client_roots: ClientRoots,
    /// What holds commands.
    pub level: Level,
    /// The lowest level that will do where that cannot be had.
    pub allow_degraded: Option<Level>,
    /// What of the network commands may reach.
    pub net: Net,
    /// What else commands may read.
    pub read: Vec<PathBuf>,
    /// Variables of the environment that commands get beside the base.
    pub env_vars: Vec<String>,
    /// How long a command may take when its caller does not say.
    pub timeout: Duration,
    /// How much of each stream of a command is kept, in bytes.
    pub max_output_bytes: usize,
    /// What a command has to leave of the disk, in bytes.
    pub min_free_bytes: u64,
}

impl Default for Workspace {
    fn default() -> Self {
        Self {
            roots: None,
            client_roots: ClientRoots::default(),
            level: Level::S4,
            allow_degraded: None,
            net: Net::Off,
            read: Vec::new(),
            env_vars: Vec::new(),
            timeout: Duration::from_mins(1),
            max_output_bytes: 1 << 20,
            min_free_bytes: 1 << 30,
        }
    }
}

pub(super) const WORKSPACE: [&str; 10] = [
    "roots",
    "client_roots",
    "level",
    "allow_degraded",
    "net",
    "read",
    "env_vars",
    "timeout_sec",
    "max_output_bytes",
    "min_free_mb",
];

impl Workspace {
    pub(super) fn read(fields: &mut Fields) -> Result<Self, Problem> {
        let default = Self::default();
        let paths = |paths: Vec<String>| paths.into_iter().map(PathBuf::from).collect::<Vec<_>>();
        Ok(Self {
            roots: fields.get::<Vec<String>>("roots")?.map(paths),
            client_roots: fields.or("client_roots", default.client_roots)?,
            level: fields.or("level", default.level)?,
            allow_degraded: fields.get("allow_degraded")?,
            net: fields.or("net", default.net)?,
            read: paths(fields.or("read", Vec::new())?),
            env_vars: fields.or("env_vars", default.env_vars)?,
            timeout: fields.or("timeout_sec", default.timeout)?,
            max_output_bytes: fields.or("max_output_bytes", default.max_output_bytes)?,
            min_free_bytes: match fields.get::<usize>("min_free_mb")? {
                Some(mebibytes) => (mebibytes as u64).saturating_mul(1 << 20),
                None => default.min_free_bytes,
            },
        })
    }
}
