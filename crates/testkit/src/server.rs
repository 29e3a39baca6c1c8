//! A program that serves HTTP and prints where.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};

use crate::cli::{as_pid, kill_group, wait_for};
use crate::wait;

/// A running server. It and its process group are killed when this is dropped.
pub struct Server {
    process: Child,
    /// Where it serves, as it said itself.
    pub url: String,
    /// What it printed up to that.
    pub printed: String,
    /// Kept open, so that the program can go on printing.
    _stdout: Option<BufReader<ChildStdout>>,
}

impl Server {
    /// Starts the command and waits for the line with its URL.
    ///
    /// # Panics
    /// When it cannot be started, or ends without printing one.
    pub fn spawn(command: Command) -> Self {
        let is_url = |text: &str| text.starts_with("http") && text.ends_with('\n');
        Self::announced(command, |text| is_url(text).then(|| text.trim_end().to_owned()))
    }

    /// Starts the command and reads what it prints, line after line, until `url` finds the URL in all of it.
    ///
    /// # Panics
    /// When it cannot be started, or ends before.
    pub fn announced(mut command: Command, url: impl Fn(&str) -> Option<String>) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).process_group(0);
        let mut process = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let mut stdout = BufReader::new(process.stdout.take().expect("it is piped"));
        let mut server = Self { process, url: String::new(), printed: String::new(), _stdout: None };
        while server.url.is_empty() {
            let read = stdout.read_line(&mut server.printed).expect("a readable pipe");
            assert!(read > 0, "{command:?} printed no URL but {:?}", server.printed);
            server.url = url(&server.printed).unwrap_or_default();
        }
        server._stdout = Some(stdout);
        server
    }

    /// Asks it to end with SIGTERM, and waits for that.
    ///
    /// # Panics
    /// When it does not end in time.
    pub fn terminate(mut self) -> ExitStatus {
        let pid = as_pid(self.process.id()).expect("it has an id");
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it is our child");
        wait_for(&mut self.process, wait::PATIENCE).expect("it ends when asked to")
    }

    /// The id of the process.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        kill_group(&mut self.process);
    }
}
