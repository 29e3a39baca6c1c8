//! Starting a program through its supervisor. Not here: the supervisor's side, or finding the program.

use std::ffi::{CString, OsString};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{Access, Mode, OFlags, access, open};
use rustix::io::fcntl_dupfd_cloexec;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::pipe::{PipeFlags, pipe_with};

use crate::lifeline::{Lifeline, reap};
use crate::spawn::{Image, spawn};
use crate::wire::LIFELINE_FD;

/// What to start. Everything is explicit: nothing is inherited.
#[derive(Clone, PartialEq, Eq)]
pub struct Launch {
    /// The executable; without a slash it is looked up in the `PATH` of `env`. See [`crate::resolve_program`].
    pub program: OsString,
    /// Its arguments, without its own name.
    pub args: Vec<OsString>,
    /// Its whole environment.
    pub env: Vec<(OsString, OsString)>,
    /// The directory it starts in; `None` for the current one.
    pub cwd: Option<PathBuf>,
    /// What becomes of its standard error.
    pub stderr: Stderr,
    /// The time between SIGTERM and SIGKILL, to the millisecond.
    pub grace: Duration,
}

/// Values may be secrets, so only the names of the environment are shown, and of the arguments their number.
impl std::fmt::Debug for Launch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<_> = self.env.iter().map(|(name, _)| name).collect();
        f.debug_struct("Launch")
            .field("program", &self.program)
            .field("args", &self.args.len())
            .field("env", &names)
            .field("cwd", &self.cwd)
            .field("stderr", &self.stderr)
            .field("grace", &self.grace)
            .finish()
    }
}

/// What becomes of the program's standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stderr {
    /// Readable through [`Child::stderr`], which must then be read, or the program may stall.
    Piped,
    /// Thrown away.
    Null,
}

/// The executable to re-execute as supervisor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Helper {
    /// Normally `/proc/self/exe`, which stays right when the file is replaced.
    pub exe: PathBuf,
    /// The hidden first argument, upon which its `main` calls [`crate::supervise_main`].
    pub argument: &'static str,
}

/// A launched program: our ends of its pipes (blocking, close-on-exec) and what holds it alive.
#[derive(Debug)]
pub struct Child {
    /// Dropping it is the program's end of input.
    pub stdin: OwnedFd,
    /// Ends when the program, and whatever inherited the pipe from it, closed it.
    pub stdout: OwnedFd,
    /// `None` for [`Stderr::Null`].
    pub stderr: Option<OwnedFd>,
    /// Events, and the end.
    pub lifeline: Lifeline,
}

/// Why nothing was started. That the *program* cannot be executed is told by [`crate::Event::NotStarted`].
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// Such a string cannot be handed to a process.
    #[error("{what} contains a NUL byte")]
    Nul {
        /// Which of the strings: never the string itself, it may be a secret.
        what: &'static str,
    },
    /// The name would read back as another variable.
    #[error("environment variable name `{}` is empty or contains `=`", .name.display())]
    EnvName {
        /// The name.
        name: OsString,
    },
    /// Missing, not a directory, or not to be entered by this user.
    #[error("working directory `{}` cannot be entered", .path.display())]
    Cwd {
        /// The directory.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// No descriptor left, most likely.
    #[error("pipes to the program cannot be made")]
    Pipes(#[source] io::Error),
    /// The supervisor could not be started: no process or memory left, or arguments too long.
    #[error("supervisor `{}` cannot be started", .exe.display())]
    Supervisor {
        /// The executable that was tried.
        exe: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
}

/// Starts the supervisor, which starts the program. Returns as soon as the supervisor runs (about a
/// millisecond, blocking); whether the program does is told by the first event.
pub fn launch(helper: &Helper, launch: &Launch) -> Result<Child, LaunchError> {
    reap(None);
    let argv = arguments(helper, launch)?;
    let env = environment(&launch.env)?;
    let cwd = launch.cwd.as_deref().map(enterable).transpose()?;
    let exe = std::path::absolute(&helper.exe).unwrap_or_else(|_| helper.exe.clone());
    let exe = c_string(exe.into_os_string(), "the supervisor's path")?;
    let (ours, theirs) = Ends::make(launch.stderr).map_err(LaunchError::Pipes)?;
    let image = Image {
        exe: &exe,
        argv: &argv,
        env: &env,
        cwd: cwd.as_deref(),
        fds: [&theirs.stdin, &theirs.stdout, &theirs.stderr, &theirs.lifeline],
    };
    let supervisor = spawn(&image).map_err(|source| LaunchError::Supervisor { exe: helper.exe.clone(), source })?;
    Ok(Child {
        stdin: ours.stdin,
        stdout: ours.stdout,
        stderr: (launch.stderr == Stderr::Piped).then_some(ours.stderr),
        lifeline: Lifeline::new(ours.lifeline, supervisor),
    })
}

/// `[exe, argument, our process id, grace in ms, "--", program, args...]`, as [`crate::supervise_main`] reads it.
fn arguments(helper: &Helper, launch: &Launch) -> Result<Vec<CString>, LaunchError> {
    let grace = launch.grace.as_millis().to_string();
    let owner = std::process::id().to_string();
    let head = [helper.exe.clone().into(), helper.argument.into(), owner.into(), grace.into(), "--".into()];
    let all = head.into_iter().chain([launch.program.clone()]).chain(launch.args.iter().cloned());
    all.map(|argument| c_string(argument, "an argument")).collect()
}

fn environment(env: &[(OsString, OsString)]) -> Result<Vec<CString>, LaunchError> {
    env.iter().map(|(name, value)| variable(name, value)).collect()
}

fn variable(name: &OsString, value: &OsString) -> Result<CString, LaunchError> {
    if name.is_empty() || name.as_encoded_bytes().contains(&b'=') {
        return Err(LaunchError::EnvName { name: name.clone() });
    }
    let mut entry = name.clone();
    entry.push("=");
    entry.push(value);
    c_string(entry, "an environment variable")
}

fn enterable(path: &Path) -> Result<CString, LaunchError> {
    // Checked here, or it would be told as "no such file" about the supervisor.
    let refused = |source| LaunchError::Cwd { path: path.to_owned(), source };
    if !path.metadata().map_err(refused)?.is_dir() {
        return Err(refused(io::ErrorKind::NotADirectory.into()));
    }
    access(path, Access::EXEC_OK).map_err(|errno| refused(errno.into()))?;
    c_string(path.as_os_str().to_owned(), "the working directory")
}

fn c_string(string: OsString, what: &'static str) -> Result<CString, LaunchError> {
    CString::new(string.into_vec()).map_err(|_| LaunchError::Nul { what })
}

/// One side of the four connections.
struct Ends {
    stdin: OwnedFd,
    stdout: OwnedFd,
    stderr: OwnedFd,
    lifeline: OwnedFd,
}

impl Ends {
    /// Ours and theirs.
    fn make(stderr: Stderr) -> io::Result<(Ends, Ends)> {
        let (their_stdin, stdin) = pipe_with(PipeFlags::CLOEXEC)?;
        let (stdout, their_stdout) = pipe_with(PipeFlags::CLOEXEC)?;
        let (our_stderr, their_stderr) = match stderr {
            Stderr::Piped => pipe_with(PipeFlags::CLOEXEC)?,
            Stderr::Null => (null()?, null()?),
        };
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let (lifeline, their_lifeline) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        let theirs = Ends {
            stdin: above_lifeline(their_stdin)?,
            stdout: above_lifeline(their_stdout)?,
            stderr: above_lifeline(their_stderr)?,
            lifeline: above_lifeline(their_lifeline)?,
        };
        Ok((Ends { stdin, stdout, stderr: our_stderr, lifeline }, theirs))
    }
}

fn null() -> io::Result<OwnedFd> {
    Ok(open("/dev/null", OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?)
}

/// The same file under a number that placing descriptors 0 to 3 cannot overwrite: a caller may have
/// started us with some of those closed.
fn above_lifeline(fd: OwnedFd) -> io::Result<OwnedFd> {
    match fd.as_raw_fd() > LIFELINE_FD {
        true => Ok(fd),
        false => Ok(fcntl_dupfd_cloexec(&fd, LIFELINE_FD + 1)?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStrExt;

    fn plan() -> Launch {
        Launch {
            program: "true".into(),
            args: Vec::new(),
            env: Vec::new(),
            cwd: None,
            stderr: Stderr::Null,
            grace: Duration::from_secs(1),
        }
    }

    /// What `launch` says before anything is started.
    fn check(launch_: &Launch, expected: &str) {
        let helper = Helper { exe: "/nowhere/at-all".into(), argument: "__supervise" };
        assert_eq!(launch(&helper, launch_).unwrap_err().to_string(), expected);
    }

    #[test]
    fn what_cannot_be_handed_over_is_refused() {
        let nul = OsString::from(std::ffi::OsStr::from_bytes(b"a\0b"));
        check(&Launch { args: vec![nul.clone()], ..plan() }, "an argument contains a NUL byte");
        check(&Launch { env: vec![("A".into(), nul)], ..plan() }, "an environment variable contains a NUL byte");
        let expected = "environment variable name `A=B` is empty or contains `=`";
        check(&Launch { env: vec![("A=B".into(), "c".into())], ..plan() }, expected);
    }

    #[test]
    fn a_working_directory_that_cannot_be_entered_is_named() {
        for cwd in ["/nowhere", "/dev/null"] {
            let expected = format!("working directory `{cwd}` cannot be entered");
            check(&Launch { cwd: Some(cwd.into()), ..plan() }, &expected);
        }
    }

    #[test]
    fn a_missing_supervisor_is_named() {
        check(&plan(), "supervisor `/nowhere/at-all` cannot be started");
    }

    #[test]
    fn secrets_are_not_shown_in_debug() {
        let launch = Launch { args: vec!["--key=hush".into()], env: vec![("TOKEN".into(), "hush".into())], ..plan() };
        let shown = format!("{launch:?}");
        assert!(shown.contains("TOKEN") && !shown.contains("hush"), "{shown}");
    }
}
