//! The load generator's stdio side: one thread that polls, reads what is there and writes.

use std::io::{Read, Write};
use std::ops::Range;
use std::process::{ChildStdin, ChildStdout};
use std::time::Instant;

use bench::clock::now;
use bench::rpc;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::tally::{Plan, Tally};
use crate::work::{Job, excerpt};

const CHUNK: usize = 64 * 1024;

/// A subject's stdin and stdout.
pub struct Stdio {
    input: ChildStdin,
    output: ChildStdout,
    buffer: Vec<u8>,
    /// How much of `buffer` has arrived; the rest is room to read into.
    filled: usize,
    /// Everything before has been handed out.
    start: usize,
    /// Up to here there is no line end after `start`.
    searched: usize,
}

impl Stdio {
    pub fn new(input: ChildStdin, output: ChildStdout) -> Self {
        Stdio { input, output, buffer: Vec::new(), filled: 0, start: 0, searched: 0 }
    }

    /// Writes one message and its line end.
    pub fn send(&mut self, message: &str) -> Result<(), String> {
        let line = format!("{message}\n");
        self.write(line.as_bytes())
    }

    /// Sends a request; gives its answer and how many progress notifications for it came before.
    pub fn ask(&mut self, id: u64, message: &str, until: Instant) -> Result<(Vec<u8>, usize), String> {
        self.send(message)?;
        let (id, mut progress) = (id.to_string(), 0);
        loop {
            let line = self.line(until)?;
            let line = &self.buffer[line];
            if rpc_id(line) == Some(id.as_bytes()) {
                return Ok((line.to_vec(), progress));
            }
            let token = bench::scan::at(line, &["params", "progressToken"]);
            progress += usize::from(token == Some(id.as_bytes()));
        }
    }

    /// Keeps `plan.callers` calls in flight until the plan's end, then collects what is out.
    pub fn storm(&mut self, plan: &Plan<'_>, tally: &mut Tally) -> Result<(), String> {
        let mut sent: Vec<Instant> = Vec::new();
        let mut out = Vec::new();
        for _ in 0..plan.callers {
            issue(plan, &mut sent, &mut out);
        }
        self.write(&out)?;
        let mut open = plan.callers as usize;
        while open > 0 {
            out.clear();
            let mut line = self.line(now() + plan.patience)?;
            loop {
                let answered = record(plan.job, plan.first, &self.buffer[line.clone()], &sent, tally);
                open -= usize::from(answered);
                if answered && plan.goes_on(sent.len() as u64) {
                    issue(plan, &mut sent, &mut out);
                    open += 1;
                }
                match self.buffered_line() {
                    Some(next) => line = next,
                    None => break,
                }
            }
            self.write(&out)?;
        }
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.input.write_all(bytes).map_err(|error| format!("writing to the subject: {error}"))
    }

    fn line(&mut self, until: Instant) -> Result<Range<usize>, String> {
        loop {
            if let Some(line) = self.buffered_line() {
                return Ok(line);
            }
            wait_readable(&self.output, until)?;
            self.fill()?;
        }
    }

    fn buffered_line(&mut self) -> Option<Range<usize>> {
        let Some(at) = memchr::memchr(b'\n', &self.buffer[self.searched..self.filled]) else {
            self.searched = self.filled;
            return None;
        };
        let line = self.start..self.searched + at;
        self.start = line.end + 1;
        self.searched = self.start;
        Some(line)
    }

    fn fill(&mut self) -> Result<(), String> {
        self.buffer.copy_within(self.start..self.filled, 0);
        self.filled -= self.start;
        self.searched -= self.start;
        self.start = 0;
        if self.buffer.len() < self.filled + CHUNK {
            self.buffer.resize(self.filled + CHUNK, 0);
        }
        let room = &mut self.buffer[self.filled..self.filled + CHUNK];
        let read = self.output.read(room).map_err(|error| error.to_string())?;
        self.filled += read;
        if read == 0 {
            return Err("the subject closed its output".to_owned());
        }
        Ok(())
    }
}

fn issue(plan: &Plan<'_>, sent: &mut Vec<Instant>, out: &mut Vec<u8>) {
    let id = plan.first + sent.len() as u64;
    out.extend_from_slice(plan.job.request(id).as_bytes());
    out.push(b'\n');
    sent.push(now());
}

/// Whether the line answered one of the calls; a notification does not.
fn record(job: &Job, first: u64, line: &[u8], sent: &[Instant], tally: &mut Tally) -> bool {
    let arrived = now();
    let Some(text) = rpc_id(line) else {
        return false;
    };
    let index = std::str::from_utf8(text)
        .ok()
        .and_then(|digits| digits.parse::<u64>().ok())
        .and_then(|id| id.checked_sub(first))
        .filter(|index| (*index as usize) < sent.len());
    let Some(index) = index else {
        tally.fail(format!("an answer to nothing: {}", excerpt(line)));
        return false;
    };
    tally.add(arrived - sent[index as usize], job.verify(first + index, line));
    true
}

fn rpc_id(line: &[u8]) -> Option<&[u8]> {
    rpc::leading_id(line).or_else(|| {
        let notification = bench::scan::member(line, "method").is_some();
        bench::scan::member(line, "id").filter(|_| !notification)
    })
}

/// Waits until `from` can be read (or has ended).
pub fn wait_readable(from: &impl std::os::fd::AsFd, until: Instant) -> Result<(), String> {
    let left = until.saturating_duration_since(now());
    let timeout = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: i64::from(left.subsec_nanos()) };
    let mut fds = [PollFd::new(from, PollFlags::IN)];
    match poll(&mut fds, Some(&timeout)) {
        Ok(0) => Err("no answer within the deadline".to_owned()),
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}
