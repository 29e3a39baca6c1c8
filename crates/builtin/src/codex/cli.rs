//! The installed Codex CLI and what it can do, asked of it once per binary. Not here: command lines.

use super::settings::Settings;
use crate::child::{self, Ending, Job, NotRun, Ran};
use bytes::Bytes;
use sandbox::{ExitKind, Helper, Launch, Stderr};
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

/// How long the CLI may take to say what it can do.
const PATIENCE: Duration = Duration::from_secs(20);
/// Longer than any help text.
const HELP_MAX: usize = 1 << 20;
/// Between SIGTERM and SIGKILL.
pub(super) const GRACE: Duration = Duration::from_secs(2);

/// Why there is no CLI to drive.
#[derive(Debug, thiserror::Error)]
pub enum NoCli {
    /// It is not there.
    #[error("`{program}` is not installed or not on PATH")]
    Missing {
        /// What was looked for.
        program: String,
    },
    /// It is there and does not run.
    #[error("`{program}` does not run: {why}")]
    Broken {
        /// Which file.
        program: String,
        /// What happened.
        why: String,
    },
}

/// What a CLI can do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Can {
    /// The flag that makes it report events.
    pub events: Option<&'static str>,
    /// `--skip-git-repo-check`.
    pub skip_git_check: bool,
    /// `-C DIR`.
    pub cd: bool,
    /// `--full-auto`.
    pub full_auto: bool,
    /// `exec resume`.
    pub resume: bool,
    /// `exec review`.
    pub exec_review: bool,
    /// `review`.
    pub review: bool,
    /// `--search`.
    pub search: bool,
    /// `app-server`.
    pub app_server: bool,
}

/// An installed CLI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cli {
    /// The file.
    pub program: PathBuf,
    /// What it calls its version.
    pub version: String,
    /// What it can do.
    pub can: Can,
}

impl Can {
    /// As far as the help of the CLI and that of its `exec` say.
    pub fn from_help(main: &str, exec: &str) -> Self {
        let flag = |help: &str, flag: &str| {
            help.split(|c: char| c.is_whitespace() || c == ',' || c == '=' || c == '`').any(|word| word == flag)
        };
        // Where both are listed the first is the older form, which does not tell the thread.
        let events = ["--experimental-json", "--json"].into_iter().find(|name| flag(exec, name));
        Self {
            events,
            skip_git_check: flag(exec, "--skip-git-repo-check"),
            cd: flag(exec, "--cd"),
            full_auto: flag(exec, "--full-auto"),
            resume: has_command(exec, "resume"),
            exec_review: has_command(exec, "review"),
            review: has_command(main, "review"),
            search: flag(main, "--search"),
            app_server: has_command(main, "app-server"),
        }
    }
}

fn has_command(help: &str, name: &str) -> bool {
    let commands = help.lines().skip_while(|line| line.trim() != "Commands:").skip(1);
    let mut commands = commands.take_while(|line| line.starts_with("  "));
    commands.any(|line| line.split_whitespace().next() == Some(name))
}

/// Which file it was when it was asked.
type Stamp = (PathBuf, Option<SystemTime>, u64);

/// Finds the CLI and remembers what it can do for as long as it is the same file.
#[derive(Debug, Default)]
pub struct Finder {
    known: Mutex<Option<(Stamp, Arc<Cli>)>>,
}

impl Finder {
    /// The CLI. Whoever comes while it is being asked waits for that answer.
    ///
    /// # Errors
    /// [`NoCli`].
    pub async fn find(&self, settings: &Settings, helper: &Helper) -> Result<Arc<Cli>, NoCli> {
        let program = file(settings)?;
        let stamp = stamp(&program);
        let mut known = self.known.lock().await;
        if let Some((at, cli)) = &*known
            && *at == stamp
        {
            return Ok(cli.clone());
        }
        let cli = Arc::new(ask(settings, helper, program).await?);
        *known = Some((stamp, cli.clone()));
        Ok(cli)
    }
}

fn file(settings: &Settings) -> Result<PathBuf, NoCli> {
    let missing = |_| NoCli::Missing { program: settings.program.to_string_lossy().into_owned() };
    sandbox::resolve_program(&settings.program, Some(&settings.cwd), &settings.path).map_err(missing)
}

fn stamp(program: &std::path::Path) -> Stamp {
    // Where a package manager put a link, the file behind it is what is replaced.
    let real = program.canonicalize().unwrap_or_else(|_| program.to_owned());
    let metadata = real.metadata().ok();
    let length = metadata.as_ref().map_or(0, std::fs::Metadata::len);
    (real, metadata.and_then(|metadata| metadata.modified().ok()), length)
}

async fn ask(settings: &Settings, helper: &Helper, program: PathBuf) -> Result<Cli, NoCli> {
    let one = |args: &'static [&'static str]| output(settings, helper, &program, args);
    let (version, main, exec) = tokio::try_join!(one(&["--version"]), one(&["--help"]), one(&["exec", "--help"]))?;
    let version = version.split_whitespace().last().unwrap_or("unknown").to_owned();
    Ok(Cli { can: Can::from_help(&main, &exec), version, program })
}

/// What the CLI says to these arguments, on standard output, or else on standard error.
pub async fn output(
    settings: &Settings,
    helper: &Helper,
    program: &std::path::Path,
    args: &[&str],
) -> Result<String, NoCli> {
    let job = Job {
        launch: launch(settings, program, args.iter().map(OsString::from).collect(), None),
        stdin: Bytes::new(),
        limit: PATIENCE,
        room: None,
        keep: HELP_MAX,
        whole: 0,
    };
    let broken = |why: String| NoCli::Broken { program: program.display().to_string(), why };
    let ran = child::run(helper, job, &mut |_, _| (), CancellationToken::new()).await;
    let ran = ran.map_err(|error: NotRun| broken(error.to_string()))?;
    match ran.ending {
        Ending::Exited(ExitKind::Code(0)) => Ok(said(&ran)),
        ending => Err(broken(format!("{ending}; {}", ran.stderr.text().trim()))),
    }
}

fn said(ran: &Ran) -> String {
    let out = ran.stdout.text();
    if out.trim().is_empty() { ran.stderr.text() } else { out }
}

/// How the CLI is started.
pub fn launch(settings: &Settings, program: &std::path::Path, args: Vec<OsString>, dir: Option<PathBuf>) -> Launch {
    Launch {
        program: program.into(),
        args,
        env: settings.env.clone(),
        cwd: Some(dir.unwrap_or_else(|| settings.cwd.clone())),
        stderr: Stderr::Piped,
        grace: GRACE,
        profile: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_cli_can_do_is_read_from_its_help() {
        let main = "Usage: codex [OPTIONS]\n\nCommands:\n  exec    Run\n  review  Review\n\nOptions:\n      --search\n";
        let exec = "Run\n\nCommands:\n  resume  Resume\n  help    Print\n\nOptions:\n      --json\n          Events\n  -C, --cd <DIR>\n      --skip-git-repo-check\n";
        let can = Can {
            events: Some("--json"),
            skip_git_check: true,
            cd: true,
            resume: true,
            review: true,
            search: true,
            ..Can::default()
        };
        assert_eq!(Can::from_help(main, exec), can);
    }

    #[test]
    fn a_word_of_the_description_is_no_flag_and_no_command() {
        let exec = "Commands:\n  run  Like resume\n\nOptions:\n  --json-lines  review\n  review me\n";
        assert_eq!(Can::from_help("", exec), Can::default());
    }
}
