//! A socket that stays in blocking mode, asked call by call not to block.

use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags, recv, sendmsg};
use std::io::{self, IoSlice};
use std::os::fd::OwnedFd;
use std::task::{Context, Poll, ready};
use tokio::io::unix::AsyncFd;
use tokio::io::{Interest, ReadBuf};

/// How much one read may bring, in bytes.
const CHUNK_BYTES: usize = 64 << 10;

pub(super) struct SocketReader {
    socket: AsyncFd<OwnedFd>,
    chunk: Box<[u8]>,
}

impl SocketReader {
    pub(super) fn new(fd: OwnedFd) -> io::Result<Self> {
        Ok(Self { socket: register(fd, Interest::READABLE)?, chunk: vec![0; CHUNK_BYTES].into() })
    }

    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>, to: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let most = to.remaining().min(CHUNK_BYTES);
        loop {
            let mut ready = ready!(self.socket.poll_read_ready(cx))?;
            let chunk = &mut self.chunk[..most];
            match ready.try_io(|socket| Ok(recv(socket, &mut *chunk, RecvFlags::DONTWAIT)?.0)) {
                Ok(Ok(read)) => {
                    if 0 < read && read < most {
                        // All that was there is read; asking again would cost a system call for nothing.
                        ready.clear_ready();
                    }
                    to.put_slice(&chunk[..read]);
                    return Poll::Ready(Ok(()));
                }
                Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(Err(error)) => return Poll::Ready(Err(error)),
                Err(_not_ready) => {}
            }
        }
    }
}

pub(super) struct SocketWriter(AsyncFd<OwnedFd>);

impl SocketWriter {
    pub(super) fn new(fd: OwnedFd) -> io::Result<Self> {
        register(fd, Interest::WRITABLE).map(Self)
    }

    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        loop {
            let mut ready = ready!(self.0.poll_write_ready(cx))?;
            let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
            match ready.try_io(|socket| Ok(sendmsg(socket, slices, &mut SendAncillaryBuffer::default(), flags)?)) {
                Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(result) => return Poll::Ready(result),
                Err(_not_ready) => {}
            }
        }
    }
}

#[expect(deprecated, reason = "the successor is unsafe; an `OwnedFd` keeps its descriptor open, as it demands")]
fn register(fd: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(fd, interest)
}
