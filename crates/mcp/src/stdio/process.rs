//! Our own standard input and output, whatever they are.
//!
//! `O_NONBLOCK` belongs to the open file description, which we share with the shell and with whoever else was
//! given the same terminal, pipe or socket; setting it makes *their* reads and writes fail. So it is never set on
//! what we were given: a pipe is opened anew, a socket is asked not to block call by call, and all else (files,
//! terminals, `/dev/null`, pipes that cannot be opened anew) is read and written by a thread.

mod socket;
mod thread;

use socket::{SocketReader, SocketWriter};
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::pin::Pin;
use std::task::{Context, Poll};
use thread::{ThreadReader, ThreadWriter};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::unix::pipe;

/// Our standard input. Take it once, within a tokio runtime.
///
/// # Errors
/// When the descriptor cannot be used.
pub fn stdin() -> io::Result<impl AsyncRead + Unpin + Send + 'static> {
    Input::new(io::stdin().as_fd().try_clone_to_owned()?)
}

/// Our standard output. Take it once, within a tokio runtime. What was written has left this process when a
/// flush has ended.
///
/// # Errors
/// When the descriptor cannot be used.
pub fn stdout() -> io::Result<impl AsyncWrite + Unpin + Send + 'static> {
    Output::new(io::stdout().as_fd().try_clone_to_owned()?)
}

/// How a descriptor is used without touching its description.
enum Way {
    /// An anonymous pipe: the path under which it can be opened anew.
    Reopen(PathBuf),
    Socket,
    Thread,
}

impl Way {
    fn of(fd: &OwnedFd) -> io::Result<Way> {
        let kind = rustix::fs::FileType::from_raw_mode(rustix::fs::fstat(fd)?.st_mode);
        let path = PathBuf::from(format!("/proc/self/fd/{}", fd.as_raw_fd()));
        // A named pipe would be opened as a new reader or writer: no end of file if its writers have left.
        let anonymous = || {
            std::fs::read_link(&path).is_ok_and(|target| target.as_os_str().as_encoded_bytes().starts_with(b"pipe:"))
        };
        Ok(match kind {
            rustix::fs::FileType::Socket => Way::Socket,
            rustix::fs::FileType::Fifo if anonymous() => Way::Reopen(path),
            _ => Way::Thread,
        })
    }
}

enum Input {
    Pipe(pipe::Receiver),
    Socket(SocketReader),
    Thread(ThreadReader),
}

impl Input {
    fn new(fd: OwnedFd) -> io::Result<Self> {
        match Way::of(&fd)? {
            Way::Socket => SocketReader::new(fd).map(Self::Socket),
            Way::Reopen(path) => match pipe::OpenOptions::new().open_receiver(path) {
                Ok(receiver) => Ok(Self::Pipe(receiver)),
                // A pipe made by another user, as in many containers, may be used but not opened.
                Err(_) => ThreadReader::new(fd).map(Self::Thread),
            },
            Way::Thread => ThreadReader::new(fd).map(Self::Thread),
        }
    }
}

impl AsyncRead for Input {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, to: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Pipe(pipe) => Pin::new(pipe).poll_read(cx, to),
            Self::Socket(socket) => socket.poll_read(cx, to),
            Self::Thread(thread) => thread.poll_read(cx, to),
        }
    }
}

enum Output {
    Pipe(pipe::Sender),
    Socket(SocketWriter),
    Thread(ThreadWriter),
}

impl Output {
    fn new(fd: OwnedFd) -> io::Result<Self> {
        match Way::of(&fd)? {
            Way::Socket => SocketWriter::new(fd).map(Self::Socket),
            Way::Reopen(path) => match pipe::OpenOptions::new().open_sender(path) {
                Ok(sender) => Ok(Self::Pipe(sender)),
                Err(_) => ThreadWriter::new(fd).map(Self::Thread),
            },
            Way::Thread => ThreadWriter::new(fd).map(Self::Thread),
        }
    }
}

impl AsyncWrite for Output {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Pipe(pipe) => Pin::new(pipe).poll_write_vectored(cx, slices),
            Self::Socket(socket) => socket.poll_write(cx, slices),
            Self::Thread(thread) => thread.poll_write(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Pipe(_) | Self::Socket(_) => Poll::Ready(Ok(())),
            Self::Thread(thread) => thread.poll_flush(cx),
        }
    }

    /// Only flushes: others may write to the same description.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(cx)
    }
}

#[cfg(test)]
mod tests;
