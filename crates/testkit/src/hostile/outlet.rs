//! Where messages to the client go.

use std::io::{self, Write};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// The way back to a client: standard output, or the stream of one HTTP exchange.
pub(super) trait Outlet: Send + Sync {
    /// Sends a notification or a request. False when the client is gone.
    fn send(&self, message: &str) -> bool;

    /// Sends the response, with the HTTP status for those who have one.
    fn answer(&self, message: &str, _status: u16) {
        self.send(message);
    }

    /// Sends the first half of a message and ends the connection.
    fn send_torn(&self, message: &str);

    /// Sends `head`, `bytes` times `x` and `tail` as one message, without holding it in memory.
    fn send_long(&self, head: &str, bytes: u64, tail: &str);

    /// Whether the client hung up on the request this outlet belongs to.
    fn gone(&self) -> bool {
        false
    }
}

static CHUNK: [u8; 64 * 1024] = [b'x'; 64 * 1024];

/// Writes `bytes` times `x`.
pub(super) fn write_long(out: &mut impl Write, mut bytes: u64) -> io::Result<()> {
    while bytes > 0 {
        let now = bytes.min(CHUNK.len() as u64);
        out.write_all(&CHUNK[..usize::try_from(now).expect("a chunk fits")])?;
        bytes -= now;
    }
    Ok(())
}

/// Standard output, one message a line.
pub(super) struct Stdout {
    lock: Mutex<()>,
    sent: AtomicU64,
    /// Every how many lines a line of garbage precedes.
    garbage_every: Option<u64>,
}

impl Stdout {
    pub fn new(garbage_every: Option<u64>) -> Self {
        Self { lock: Mutex::default(), sent: AtomicU64::new(0), garbage_every }
    }

    fn write(&self, write: impl FnOnce(&mut io::StdoutLock<'static>) -> io::Result<()>) -> bool {
        let _alone = self.lock.lock().expect("no writer panics");
        let mut out = io::stdout().lock();
        write(&mut out).and_then(|()| out.flush()).is_ok()
    }

    fn garbage(&self) -> &'static str {
        let sent = self.sent.fetch_add(1, Ordering::Relaxed) + 1;
        match self.garbage_every {
            Some(every) if every > 0 && sent.is_multiple_of(every) => "[info] {not json at all\n",
            _ => "",
        }
    }
}

impl Outlet for Stdout {
    fn send(&self, message: &str) -> bool {
        let line = format!("{}{message}\n", self.garbage());
        self.write(|out| out.write_all(line.as_bytes()))
    }

    fn send_torn(&self, message: &str) {
        let half = message.len() / 2;
        self.write(|out| out.write_all(&message.as_bytes()[..half]));
        super::process::die(1);
    }

    fn send_long(&self, head: &str, bytes: u64, tail: &str) {
        self.write(|out| {
            out.write_all(head.as_bytes())?;
            write_long(out, bytes)?;
            out.write_all(format!("{tail}\n").as_bytes())
        });
    }
}
