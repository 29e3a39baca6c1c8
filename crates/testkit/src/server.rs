//! A program that serves HTTP and prints where.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use crate::cli::kill_group;

/// A running server. It and its process group are killed when this is dropped.
pub struct Server {
    process: Child,
    /// The line it printed first: where it serves.
    pub url: String,
}

impl Server {
    /// Starts the command and waits for the line with its URL.
    ///
    /// # Panics
    /// When it cannot be started, or ends without printing one.
    pub fn spawn(mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).process_group(0);
        let mut process = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let stdout = process.stdout.take().expect("it is piped");
        let mut server = Self { process, url: String::new() };
        BufReader::new(stdout).read_line(&mut server.url).expect("a readable pipe");
        server.url.truncate(server.url.trim_end().len());
        assert!(server.url.starts_with("http"), "{command:?} printed no URL but {:?}", server.url);
        server
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
