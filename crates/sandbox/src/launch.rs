//! Starting a program through its supervisor. Not here: the supervisor's side, or finding the program.

use std::ffi::{CString, OsString};
use std::fs::{self, File};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{Access, MemfdFlags, Mode, OFlags, access, fcntl_add_seals, memfd_create, open};
use rustix::io::fcntl_dupfd_cloexec;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::pipe::{PipeFlags, pipe_with};

use crate::draw::draw;
use crate::egress::Egress;
use crate::env;
use crate::level::Effective;
use crate::lifeline::{Lifeline, reap};
use crate::plan::{Network, Plan};
use crate::profile::Profile;
use crate::reach::{Means, Unavailable};
use crate::spawn::{Image, spawn};
use crate::wire::{DOOR_FD, HANDED_DOOR, HANDED_NOTHING, HANDED_PLAN, PLAN_SEALS, Step};

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
    /// What it is bound by; `None` is level S0, without a limit of any kind.
    pub profile: Option<Profile>,
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
            .field("profile", &self.profile)
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
    /// What it runs under, for a launch with a profile. It is true once [`crate::Event::Started`] was read.
    pub effective: Option<Effective>,
    /// Where what it connects to arrives, for a profile with a list of hosts. Dropping it leaves it no network.
    pub egress: Option<Egress>,
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
    /// What it was to be bound by could not be built. Only [`crate::observe`] gives this; a launch tells it by
    /// [`crate::Event::NotConfined`].
    #[error("the sandbox could not be built: {step}")]
    NotConfined {
        /// What failed.
        step: Step,
        /// What the operating system said, if it said anything.
        source: Option<io::Error>,
    },
    /// Its home cannot be made.
    #[error("its home `{}` cannot be made", .path.display())]
    Home {
        /// The directory.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// No descriptor left, most likely.
    #[error("pipes to the program cannot be made")]
    Pipes(#[source] io::Error),
    /// The level that its profile demands cannot be reached.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
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
/// millisecond, blocking); whether the program does is told by the first event. The first launch with a profile of
/// level S4 takes longer, as it tries what the machine can do.
pub fn launch(helper: &Helper, launch: &Launch) -> Result<Child, LaunchError> {
    let order = match &launch.profile {
        None => Ordered::plain(launch),
        Some(profile) => Ordered::under(helper, launch, profile)?,
    };
    start(helper, launch, order)
}

/// What is handed to the supervisor beside what a launch says.
pub(crate) struct Ordered {
    pub env: Vec<(OsString, OsString)>,
    pub plan: Option<Plan>,
    pub effective: Option<Effective>,
}

impl Ordered {
    fn plain(launch: &Launch) -> Self {
        Self { env: launch.env.clone(), plan: None, effective: None }
    }

    pub(crate) fn under(helper: &Helper, launch: &Launch, profile: &Profile) -> Result<Self, LaunchError> {
        let means = Means::find(helper, profile.level, profile.namespaces);
        let mut effective = means.settle(profile)?;
        if let Some(home) = &profile.home {
            make_home(home).map_err(|source| LaunchError::Home { path: home.clone(), source })?;
        }
        let drawing = draw(profile, &effective, means.namespaces.as_ref().ok(), unused_tmp());
        effective.gaps.extend(drawing.gaps);
        let mut plan = drawing.plan;
        plan.cwd = match (&launch.cwd, &drawing.places) {
            // Where we stand may not be there at all.
            (None, Some(places)) if plan.apart.is_some() => Some(places.home.clone()),
            (cwd, _) => cwd.clone(),
        };
        let env = env::variables(&launch.env, profile, effective.level, drawing.places.as_ref());
        Ok(Self { env, plan: Some(plan), effective: Some(effective) })
    }
}

fn make_home(home: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(home)
}

/// A name in the directory of temporary files that nobody has.
pub(crate) fn unused_tmp() -> PathBuf {
    let random = RandomState::new().hash_one(std::process::id());
    std::env::temp_dir().join(format!("toolgate-{random:016x}"))
}

pub(crate) fn start(helper: &Helper, launch: &Launch, order: Ordered) -> Result<Child, LaunchError> {
    reap(None);
    let has_door = order.plan.as_ref().is_some_and(|plan| plan.net == Network::Proxy);
    let argv = arguments(helper, launch, order.plan.is_some(), has_door)?;
    let env = environment(&order.env)?;
    let cwd = launch.cwd.as_deref().map(enterable).transpose()?;
    let exe = std::path::absolute(&helper.exe).unwrap_or_else(|_| helper.exe.clone());
    let exe = c_string(exe.into_os_string(), "the supervisor's path")?;
    let (ours, theirs) = Ends::make(launch.stderr).map_err(LaunchError::Pipes)?;
    let plan = order.plan.as_ref().map(written).transpose().map_err(LaunchError::Pipes)?;
    let (egress, door) = if has_door { door().map_err(LaunchError::Pipes)? } else { (None, None) };
    let always = [&theirs.stdin, &theirs.stdout, &theirs.stderr, &theirs.lifeline];
    let fds: Vec<_> = always.into_iter().chain(&plan).chain(&door).collect();
    let image = Image { exe: &exe, argv: &argv, env: &env, cwd: cwd.as_deref(), fds: &fds };
    let supervisor = spawn(&image).map_err(|source| LaunchError::Supervisor { exe: helper.exe.clone(), source })?;
    Ok(Child {
        stdin: ours.stdin,
        stdout: ours.stdout,
        stderr: (launch.stderr == Stderr::Piped).then_some(ours.stderr),
        lifeline: Lifeline::new(ours.lifeline, supervisor),
        effective: order.effective,
        egress,
    })
}

/// The plan in a file of its own that nobody can change.
fn written(plan: &Plan) -> io::Result<OwnedFd> {
    let file = memfd_create("plan", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    let mut file = File::from(file);
    file.write_all(&plan.encode())?;
    fcntl_add_seals(&file, PLAN_SEALS)?;
    above_handed(file.into())
}

/// Both ends of what the way out is handed back over.
fn door() -> io::Result<(Option<Egress>, Option<OwnedFd>)> {
    let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
    Ok((Some(Egress(ours)), Some(above_handed(theirs)?)))
}

/// `[exe, argument, our process id, grace in ms, what is handed over, program, args...]`, as
/// [`crate::supervise_main`] reads it.
fn arguments(helper: &Helper, launch: &Launch, plan: bool, door: bool) -> Result<Vec<CString>, LaunchError> {
    let grace = launch.grace.as_millis().to_string();
    let owner = std::process::id().to_string();
    let handed = match (plan, door) {
        (false, _) => HANDED_NOTHING,
        (true, false) => HANDED_PLAN,
        (true, true) => HANDED_DOOR,
    };
    let head = [helper.exe.clone().into(), helper.argument.into(), owner.into(), grace.into(), handed.into()];
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
            stdin: above_handed(their_stdin)?,
            stdout: above_handed(their_stdout)?,
            stderr: above_handed(their_stderr)?,
            lifeline: above_handed(their_lifeline)?,
        };
        Ok((Ends { stdin, stdout, stderr: our_stderr, lifeline }, theirs))
    }
}

fn null() -> io::Result<OwnedFd> {
    Ok(open("/dev/null", OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?)
}

/// The same file under a number that placing what is handed over cannot overwrite: a caller may have
/// started us with some of those closed.
fn above_handed(fd: OwnedFd) -> io::Result<OwnedFd> {
    match fd.as_raw_fd() > DOOR_FD {
        true => Ok(fd),
        false => Ok(fcntl_dupfd_cloexec(&fd, DOOR_FD + 1)?),
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
            profile: None,
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
