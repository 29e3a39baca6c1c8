//! Runs a program in an environment where it finds nothing of ours but its own temporary home.
//!
//! The program under test is named by the caller: `env!("CARGO_BIN_EXE_toolgate")`, or
//! [`crate::bin`] for a fixture.

use std::ffi::{OsStr, OsString};
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::wait;

/// The variable that marks every process started from a [`Home`].
pub const MARK: &str = "TESTKIT_MARK";

/// A temporary home. When it is dropped it goes, and with it every process that was started from it.
pub struct Home {
    directory: TempDir,
    mark: String,
}

impl Default for Home {
    fn default() -> Self {
        Self::new()
    }
}

impl Home {
    /// An empty home with the directories `codex` (`CODEX_HOME`), `home` (`HOME`), `work` (where
    /// programs run) and `tmp` (`TMPDIR`).
    ///
    /// # Panics
    /// When the temporary directory cannot be made.
    pub fn new() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let directory = TempDir::with_prefix("tk-").expect("a temporary directory");
        for name in ["codex", "home", "work", "tmp"] {
            std::fs::create_dir(directory.path().join(name)).expect("an empty directory");
        }
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let mark = format!("{}-{count}-{}", std::process::id(), directory.path().display());
        Self { directory, mark }
    }

    /// The directory that holds all the others.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// What `CODEX_HOME` says.
    pub fn codex(&self) -> PathBuf {
        self.path().join("codex")
    }

    /// Where programs run.
    pub fn work(&self) -> PathBuf {
        self.path().join("work")
    }

    /// The text by which [`crate::survivors`] finds what was started here.
    pub fn mark(&self) -> &str {
        &self.mark
    }

    /// Writes a file, named relative to `CODEX_HOME`, with the directories it needs.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.codex().join(name);
        std::fs::create_dir_all(path.parent().expect("a file has a directory")).expect("a directory");
        std::fs::write(&path, text).expect("a file");
        path
    }

    /// A file, named relative to `CODEX_HOME`, as text.
    ///
    /// # Panics
    /// When it is missing or not UTF-8.
    pub fn read(&self, name: &str) -> String {
        let path = self.codex().join(name);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// A bare command with this home's environment, for a [`crate::Client`].
    pub fn command<A: AsRef<OsStr>>(
        &self,
        program: impl AsRef<OsStr>,
        arguments: impl IntoIterator<Item = A>,
    ) -> Command {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env_clear()
            .env("PATH", path_variable())
            .env("HOME", self.path().join("home"))
            .env("CODEX_HOME", self.codex())
            .env("TMPDIR", self.path().join("tmp"))
            .env(MARK, &self.mark)
            .current_dir(self.work());
        command
    }

    /// A command that is run to its end.
    pub fn cmd<A: AsRef<OsStr>>(&self, program: impl AsRef<OsStr>, arguments: impl IntoIterator<Item = A>) -> Cmd {
        let command = self.command(program, arguments);
        Cmd { command, stdin: Vec::new(), time: wait::PATIENCE }
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        for pid in crate::survivors(&self.mark).into_iter().filter_map(as_pid) {
            // It fails when the process ended meanwhile, which is what we want.
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
    }
}

pub(crate) fn as_pid(pid: u32) -> Option<rustix::process::Pid> {
    i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw)
}

#[expect(clippy::disallowed_methods, reason = "the one variable that programs keep")]
fn path_variable() -> OsString {
    std::env::var_os("PATH").unwrap_or_default()
}

/// A command before it runs.
#[must_use = "it does not run by itself"]
pub struct Cmd {
    command: Command,
    stdin: Vec<u8>,
    time: Duration,
}

impl Cmd {
    /// What the program reads; nothing unless set.
    pub fn stdin(mut self, text: impl Into<Vec<u8>>) -> Self {
        self.stdin = text.into();
        self
    }

    /// One more variable in the environment.
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Another directory to run in.
    pub fn current_dir(mut self, directory: impl AsRef<Path>) -> Self {
        self.command.current_dir(directory);
        self
    }

    /// How long it may take, instead of [`wait::PATIENCE`].
    pub fn within(mut self, time: Duration) -> Self {
        self.time = time;
        self
    }

    /// Runs it to its end.
    ///
    /// # Panics
    /// When it does not start, or not end in time.
    pub fn run(mut self) -> Output {
        self.command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let mut child = self.command.spawn().unwrap_or_else(|error| panic!("{:?}: {error}", self.command));
        let mut input = child.stdin.take().expect("it is piped");
        let text = std::mem::take(&mut self.stdin);
        let writer = thread::spawn(move || drop(input.write_all(&text)));
        let stdout = drain(child.stdout.take().expect("it is piped"));
        let stderr = drain(child.stderr.take().expect("it is piped"));
        let status = wait_for(&mut child, self.time);
        if status.is_none() {
            kill_group(&mut child);
        }
        drop(writer.join());
        let output = Output {
            status: status.and_then(|status| status.code()),
            stdout: stdout.join().expect("no reader panics"),
            stderr: stderr.join().expect("no reader panics"),
        };
        assert!(status.is_some(), "{:?} did not end: {output:#?}", self.command);
        output
    }
}

/// Collects a stream in the background; what is not UTF-8 is replaced.
pub(crate) fn drain(mut stream: impl Read + Send + 'static) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        drop(stream.read_to_end(&mut bytes));
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// Waits for the end of a process; nothing when the time is over.
pub(crate) fn wait_for(child: &mut Child, time: Duration) -> Option<ExitStatus> {
    wait::for_some(time, || child.try_wait().expect("it is our child"))
}

/// Kills a child that leads a process group, with the group.
pub(crate) fn kill_group(child: &mut Child) {
    if let Some(group) = as_pid(child.id()) {
        // It fails when the group is gone already, which is what we want.
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
    drop(child.wait());
}

/// What a program left behind.
#[must_use = "a test looks at what came out"]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// The exit code; nothing when a signal ended it.
    pub status: Option<i32>,
    /// Standard output as text.
    pub stdout: String,
    /// Standard error as text.
    pub stderr: String,
}

impl Output {
    /// Standard output of a program that must have ended well.
    ///
    /// # Panics
    /// When it did not end with code 0.
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(self.status, Some(0), "{self:#?}");
        self.stdout
    }

    /// The same as JSON.
    ///
    /// # Panics
    /// When it did not end with code 0, or printed no JSON.
    #[track_caller]
    pub fn json(self) -> Value {
        let text = self.ok();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in {text}"))
    }
}
