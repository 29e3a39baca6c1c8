//! Running a command in the workspace, within bounds. Not here: what the bounds are made of.

use super::ask::{Command, Words};
use super::roots::{Astray, Roots};
use super::{Settings, roots};
use crate::child::{self, Ending, Job, NotRun, Stream};
use sandbox::{ExitKind, Helper, Launch, LaunchError, Profile, Stderr};
use serde::Serialize;
use std::ffi::OsString;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_secs(2);

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
    /// The level that held it, and what of it did not.
    pub sandbox: String,
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
    heard: &mut (dyn FnMut(Stream, &[u8]) + Send),
    stop: CancellationToken,
) -> Result<Ended, Unrun> {
    let cwd = roots.dir_path(&command.cwd)?;
    let env = environment(settings, &command.env);
    let (program, args) = words(&command.words, settings, &cwd)?;
    let profile = Profile { read: settings.read.clone(), ..bounds(settings, roots) };
    let launch =
        Launch { program, args, env, cwd: Some(cwd), stderr: Stderr::Piped, grace: GRACE, profile: Some(profile) };
    let limit = command.timeout_ms.map_or(settings.timeout, Duration::from_millis);
    let job = Job { launch, stdin: command.stdin.into(), limit, keep: settings.output_bytes };
    let ran = child::run(helper, job, heard, stop).await.map_err(unrun)?;
    let (exit_code, signal) = match ran.ending {
        Ending::Exited(ExitKind::Code(code)) => (Some(code), None),
        Ending::Exited(ExitKind::Signal(signal)) => (None, Some(signal)),
        Ending::Overdue => (None, None),
        Ending::NotConfined(step, errno) => {
            return Err(Unrun::Unbounded(format!("{step} ({})", std::io::Error::from_raw_os_error(errno))));
        }
        ending => return Err(Unrun::Failed(ending.to_string())),
    };
    Ok(Ended {
        exit_code,
        signal,
        timed_out: ran.ending == Ending::Overdue,
        duration_ms: u64::try_from(ran.took.as_millis()).unwrap_or(u64::MAX),
        stdout: ran.stdout.text(),
        stderr: ran.stderr.text(),
        stdout_left_out: ran.stdout.left_out(),
        stderr_left_out: ran.stderr.left_out(),
        sandbox: ran.effective.map_or_else(|| "S0".to_owned(), |effective| effective.to_string()),
    })
}

fn bounds(settings: &Settings, roots: &Roots) -> Profile {
    let dirs: Vec<_> = roots.dirs().map(std::path::Path::to_owned).collect();
    Profile {
        level: settings.level,
        allow_degraded: settings.allow_degraded,
        net: settings.net.clone(),
        ..Profile::command(&dirs, settings.masked.clone())
    }
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
