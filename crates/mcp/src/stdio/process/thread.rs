//! Descriptors that can only be waited for by blocking: one thread each.
//!
//! The threads are not joined, for a read from a terminal may never return; they end with the process.

use bytes::Bytes;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use std::fs::File;
use std::io::{self, IoSlice, Read, Write};
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::task::{Context, Poll, ready};
use tokio::io::ReadBuf;
use tokio::sync::{mpsc, oneshot};

/// How much one read may bring, and one write may take, in bytes.
const CHUNK_BYTES: usize = 64 << 10;

/// Reads ahead by at most two chunks.
pub(super) struct ThreadReader {
    chunks: mpsc::Receiver<io::Result<Bytes>>,
    rest: Bytes,
}

impl ThreadReader {
    pub(super) fn new(fd: OwnedFd) -> io::Result<Self> {
        let (to, chunks) = mpsc::channel(1);
        std::thread::Builder::new().name("stdin".to_owned()).spawn(move || read_all(&mut File::from(fd), &to))?;
        Ok(Self { chunks, rest: Bytes::new() })
    }

    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>, to: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.rest.is_empty() {
            match ready!(self.chunks.poll_recv(cx)) {
                None => return Poll::Ready(Ok(())),
                Some(chunk) => self.rest = chunk?,
            }
        }
        to.put_slice(&self.rest.split_to(self.rest.len().min(to.remaining())));
        Poll::Ready(Ok(()))
    }
}

/// Reads until the end, an error, or until nobody wants more.
fn read_all(file: &mut File, to: &mpsc::Sender<io::Result<Bytes>>) {
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let read = match file.read(&mut chunk) {
            Ok(0) => return,
            Err(error) if wait(file, PollFlags::IN, &error) => continue,
            read => read.map(|read| Bytes::copy_from_slice(&chunk[..read])),
        };
        let failed = read.is_err();
        if to.blocking_send(read).is_err() || failed {
            return;
        }
    }
}

/// One write that a thread is to do, and where to say how it went.
struct Job {
    bytes: Vec<u8>,
    done: oneshot::Sender<(Vec<u8>, io::Result<()>)>,
}

/// Has at most one write under way.
pub(super) struct ThreadWriter {
    jobs: SyncSender<Job>,
    state: State,
}

enum State {
    Idle(Vec<u8>),
    Busy(oneshot::Receiver<(Vec<u8>, io::Result<()>)>),
}

impl ThreadWriter {
    pub(super) fn new(fd: OwnedFd) -> io::Result<Self> {
        let (jobs, from) = sync_channel(1);
        std::thread::Builder::new().name("stdout".to_owned()).spawn(move || write_all(&mut File::from(fd), &from))?;
        Ok(Self { jobs, state: State::Idle(Vec::new()) })
    }

    /// Takes what fits one chunk; how the write went is reported by the next call.
    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        ready!(self.poll_flush(cx))?;
        let State::Idle(bytes) = &mut self.state else { unreachable!("flushed") };
        let mut bytes = std::mem::take(bytes);
        bytes.clear();
        for slice in slices {
            let room = CHUNK_BYTES - bytes.len();
            bytes.extend_from_slice(&slice[..slice.len().min(room)]);
        }
        let taken = bytes.len();
        if taken > 0 {
            let (done, result) = oneshot::channel();
            self.state = State::Busy(result);
            // A thread that is gone drops `done`, which the next call reports.
            let _ = self.jobs.send(Job { bytes, done });
        }
        Poll::Ready(Ok(taken))
    }

    /// Waits for the write under way.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let State::Busy(result) = &mut self.state else { return Poll::Ready(Ok(())) };
        let (bytes, result) = ready!(Pin::new(result).poll(cx))
            .unwrap_or_else(|_| (Vec::new(), Err(io::Error::other("the writing thread is gone"))));
        self.state = State::Idle(bytes);
        Poll::Ready(result)
    }
}

fn write_all(file: &mut File, jobs: &Receiver<Job>) {
    while let Ok(Job { bytes, done }) = jobs.recv() {
        let result = write(file, &bytes);
        let _ = done.send((bytes, result));
    }
}

fn write(file: &mut File, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => bytes = &bytes[written..],
            Err(error) if wait(file, PollFlags::OUT, &error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Whether to try again after `error`: somebody else may have made the description non-blocking, and then the
/// descriptor is waited for here.
fn wait(file: &File, what: PollFlags, error: &io::Error) -> bool {
    match error.kind() {
        io::ErrorKind::Interrupted => true,
        io::ErrorKind::WouldBlock => matches!(poll(&mut [PollFd::new(file, what)], None), Ok(_) | Err(Errno::INTR)),
        _ => false,
    }
}
