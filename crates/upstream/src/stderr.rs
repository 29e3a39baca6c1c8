//! What a child writes to standard error: always read, masked line by line, logged, the last lines kept.

use crate::chatter::Chatter;
use crate::supervisor::Shared;
use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::unix::pipe;
use tokio::time::{Instant, sleep};

/// Kept of one child.
const LINES: usize = 200;
const BYTES: usize = 64 << 10;

/// After so many bytes, which is what a pipe holds, there is a [`PAUSE`]: who floods waits, and does not take a processor
/// from everybody else.
const BREATH: usize = BYTES;
const PAUSE: Duration = Duration::from_millis(10);

/// The last lines, masked.
#[derive(Default)]
pub(crate) struct Tail(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    lines: VecDeque<String>,
    bytes: usize,
}

impl Tail {
    pub fn push(&self, line: String) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.bytes += line.len();
        kept.lines.push_back(line);
        while kept.lines.len() > LINES || kept.bytes > BYTES {
            let Some(oldest) = kept.lines.pop_front() else { break };
            kept.bytes -= oldest.len();
        }
    }

    /// The lines, oldest first.
    pub fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).lines.iter().cloned().collect()
    }
}

/// Reads until the child, and whatever inherited the pipe, has closed it.
pub(crate) async fn drain(shared: Arc<Shared>, stderr: OwnedFd) {
    let Ok(pipe) = pipe::Receiver::from_owned_fd(stderr) else { return };
    let mut reader = BufReader::with_capacity(BYTES, pipe);
    // A key may run over many lines.
    let masks = shared.world.hub.masks();
    let mut masks = masks.lines();
    let longest = shared.options.limits.stderr_line_bytes.min(BYTES);
    let mut line = Vec::new();
    let mut logged = Chatter::new(Instant::now());
    let mut breath = 0;
    loop {
        let Ok(buffer) = reader.fill_buf().await else { return };
        if buffer.is_empty() {
            break;
        }
        let end = memchr::memchr(b'\n', buffer);
        let piece = &buffer[..end.unwrap_or(buffer.len())];
        let room = longest.saturating_sub(line.len()).min(piece.len());
        line.extend_from_slice(&piece[..room]);
        let used = piece.len() + usize::from(end.is_some());
        reader.consume(used);
        breath += used;
        if breath >= BREATH {
            breath = 0;
            sleep(PAUSE).await;
        }
        if end.is_some() {
            keep(&shared, &mut masks, &mut logged, &mut line);
        }
    }
    keep(&shared, &mut masks, &mut logged, &mut line);
}

fn keep(shared: &Shared, masks: &mut gate::mask::Lines<'_>, logged: &mut Chatter, line: &mut Vec<u8>) {
    let text = String::from_utf8_lossy(line).trim_end().to_owned();
    line.clear();
    if text.is_empty() {
        return;
    }
    let shown = masks.line(&text);
    if logged.passes(Instant::now()) {
        tracing::info!(target: "mcp::client", server = %shared.options.name, "stderr: {shown}");
    }
    shared.stderr.push(shown);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_lines_are_kept() {
        let tail = Tail::default();
        for at in 0..1_000 {
            tail.push(format!("line {at}"));
        }
        let lines = tail.lines();
        assert_eq!((lines.len(), lines[0].as_str(), lines[199].as_str()), (200, "line 800", "line 999"));
        tail.push("x".repeat(BYTES));
        assert_eq!(tail.lines().len(), 1);
    }
}
