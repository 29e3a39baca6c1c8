//! Running a command in the workspace, within bounds. Not here: what the bounds are made of.

use super::ask::{Command, Words};
use super::roots::{Astray, Roots};
use super::{Settings, roots};
use crate::child::{self, Ending, Job, NotRun, Stream};
use crate::room::Room;
use sandbox::{ExitKind, Helper, Launch, LaunchError, Profile, Stderr};
use serde::Serialize;
use std::ffi::OsString;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_secs(2);
/// The longest stream that is kept whole where it is too long for an answer, in bytes.
pub const WHOLE_MAX: usize = 16 << 20;

/// What a command may do to the workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Write, but for what is protected.
    Write,
    /// Read, and reach no network. Nothing stands in for protected names that are missing, and variables that are
    /// given are kept whatever they are called.
    Read,
}

/// How a command ended.
#[derive(Debug, Serialize)]
pub struct Ended {
    /// What it returned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// The signal that ended it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// Whether its time was over.
    pub timed_out: bool,
    /// Whether it left too little of a disk.
    pub disk_full: bool,
    /// From start to end.
    pub duration_ms: u64,
    /// What it wrote.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
    /// Bytes in the middle of `stdout` that were let go.
    pub stdout_left_out: u64,
    /// Bytes in the middle of `stderr` that were let go.
    pub stderr_left_out: u64,
    /// Where all of `stdout` can be read, if something of it was let go.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stdout_uri: Option<String>,
    /// Where all of `stderr` can be read, if something of it was let go.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stderr_uri: Option<String>,
    /// The level that held it, and what of it did not.
    pub sandbox: String,
    /// All of each stream of which something was let go, if it was not too long.
    #[serde(skip)]
    pub whole: [Option<Vec<u8>>; 2],
}

/// Why it was not run.
#[derive(Debug, thiserror::Error)]
pub enum Unrun {
    /// It may not be there.
    #[error(transparent)]
    Astray(#[from] Astray),
    /// There is no such program.
    #[error("`{0}` is not a program that can be run here")]
    NoProgram(String),
    /// What it was to be kept in cannot be had.
    #[error(
        "sandbox_unavailable: {0}; a lower level has to be allowed in so many words, `allow_degraded` of `[workspace]`"
    )]
    Unbounded(String),
    /// Something else.
    #[error("it could not be run: {0}")]
    Failed(String),
}

/// Runs a command to its end; `heard` is given what it writes.
///
/// # Errors
/// [`Unrun`] if it was not run.
pub async fn run(
    helper: &Helper,
    settings: &Settings,
    roots: &Roots,
    command: Command,
    access: Access,
    heard: &mut (dyn FnMut(Stream, &[u8]) + Send),
    stop: CancellationToken,
) -> Result<Ended, Unrun> {
    let cwd = roots.dir_path(&command.cwd)?;
    let env = environment(settings, &command.env);
    let (program, args) = words(&command.words, settings, &cwd)?;
    let profile = bounds(settings, roots, access, &command.env);
    let launch =
        Launch { program, args, env, cwd: Some(cwd), stderr: Stderr::Piped, grace: GRACE, profile: Some(profile) };
    let limit = command.timeout_ms.map_or(settings.timeout, Duration::from_millis);
    let whole = if access == Access::Write { WHOLE_MAX } else { 0 };
    let room = (access == Access::Write).then(|| Room::of(roots.dirs(), settings.free_bytes));
    let job = Job { launch, stdin: command.stdin.into(), limit, room, keep: settings.output_bytes, whole };
    let mut ran = child::run(helper, job, heard, stop).await.map_err(unrun)?;
    let (exit_code, signal) = match ran.ending {
        Ending::Exited(ExitKind::Code(code)) => (Some(code), None),
        Ending::Exited(ExitKind::Signal(signal)) => (None, Some(signal)),
        Ending::Overdue | Ending::Filled => (None, None),
        Ending::NotConfined(step, errno) => {
            return Err(Unrun::Unbounded(format!("{step} ({})", std::io::Error::from_raw_os_error(errno))));
        }
        ending => return Err(Unrun::Failed(ending.to_string())),
    };
    let whole = [ran.stdout.take_whole(), ran.stderr.take_whole()];
    Ok(Ended {
        whole,
        stdout_uri: None,
        stderr_uri: None,
        exit_code,
        signal,
        timed_out: ran.ending == Ending::Overdue,
        disk_full: ran.ending == Ending::Filled,
        duration_ms: u64::try_from(ran.took.as_millis()).unwrap_or(u64::MAX),
        stdout: ran.stdout.text(),
        stderr: ran.stderr.text(),
        stdout_left_out: ran.stdout.left_out(),
        stderr_left_out: ran.stderr.left_out(),
        sandbox: ran.effective.map_or_else(|| "S0".to_owned(), |effective| effective.to_string()),
    })
}

fn bounds(settings: &Settings, roots: &Roots, access: Access, added: &[(String, String)]) -> Profile {
    let dirs: Vec<_> = roots.dirs().map(std::path::Path::to_owned).collect();
    let command = Profile::command(&dirs, settings.masked.clone());
    let command = match access {
        Access::Write => Profile { read: settings.read.clone(), net: settings.net.clone(), ..command },
        Access::Read => Profile {
            read: settings.read.iter().cloned().chain(dirs).collect(),
            write: Vec::new(),
            env_keep: added.iter().map(|(name, _)| name.clone()).collect(),
            ..command
        },
    };
    Profile { level: settings.level, allow_degraded: settings.allow_degraded, ..command }
}

/// The base, and what the caller adds: never what makes loaders and interpreters run something else.
fn environment(settings: &Settings, added: &[(String, String)]) -> Vec<(OsString, OsString)> {
    let named = |name: &OsString| added.iter().any(|(known, _)| known.as_str() == name);
    let base = settings.env.iter().filter(|(name, _)| !named(name)).cloned();
    base.chain(added.iter().map(|(name, value)| (name.into(), value.into()))).collect()
}

fn words(words: &Words, settings: &Settings, cwd: &std::path::Path) -> Result<(OsString, Vec<OsString>), Unrun> {
    match words {
        Words::Line(line) => Ok(("/bin/sh".into(), vec!["-c".into(), line.into()])),
        Words::Argv(words) => {
            let path = settings.env.iter().find(|(name, _)| name == "PATH").map(|(_, path)| path.as_os_str());
            let program = sandbox::resolve_program(words[0].as_ref(), Some(cwd), path.unwrap_or_default());
            let program = program.map_err(|_| Unrun::NoProgram(words[0].clone()))?;
            Ok((program.into(), words[1..].iter().map(OsString::from).collect()))
        }
    }
}

fn unrun(why: NotRun) -> Unrun {
    match why {
        NotRun::Launch(LaunchError::Unavailable(why)) => Unrun::Unbounded(why.to_string()),
        why => Unrun::Failed(why.to_string()),
    }
}

impl Ended {
    /// For whoever reads only text.
    pub fn text(&self) -> String {
        let mut text = self.told();
        for (stream, uri) in self.uris() {
            text.push_str(&format!("\n[all of {stream}: {uri}]"));
        }
        text
    }

    /// The streams of which something was let go, and where all of it can be read.
    pub fn uris(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let streams = [("stdout", &self.stdout_uri), ("stderr", &self.stderr_uri)];
        streams.into_iter().filter_map(|(stream, uri)| Some((stream, uri.as_deref()?)))
    }

    fn told(&self) -> String {
        let mut text = self.stdout.clone();
        if !self.stderr.is_empty() {
            text.push_str(if text.is_empty() || text.ends_with('\n') { "" } else { "\n" });
            text.push_str("[stderr]\n");
            text.push_str(&self.stderr);
        }
        let end = match (self.timed_out, self.exit_code, self.signal) {
            (true, ..) => format!("[ended: its time was over after {} ms]", self.duration_ms),
            (_, Some(0), _) => return if text.is_empty() { "[exit code 0, no output]".to_owned() } else { text },
            (_, Some(code), _) => format!("[exit code {code}]"),
            (_, _, Some(signal)) => format!("[ended by signal {signal}]"),
            _ if self.disk_full => "[ended: it left too little of the disk]".to_owned(),
            _ => "[ended]".to_owned(),
        };
        text.push_str(if text.is_empty() || text.ends_with('\n') { "" } else { "\n" });
        text + &end
    }
}

/// Names of files that commands may not write either, as far as a sandbox knows them.
pub fn protected() -> roots::Protected {
    roots::Protected::new(roots::PROTECTED)
}
