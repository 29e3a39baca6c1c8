//! The one way out of a program's own network: a listener that was opened inside and handed to whoever launched it,
//! who accepts what the program connects and decides where it goes. Not here: that decision, or any connection.

use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::OwnedFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};

/// Where the listener stands, in a network that has nothing else.
pub(crate) const PORT: u16 = 3128;
/// By then a program was started or was not.
const PATIENCE: Timespec = Timespec { tv_sec: 30, tv_nsec: 0 };

/// Our end of the way out.
#[derive(Debug)]
pub struct Egress(pub(crate) OwnedFd);

impl Egress {
    /// The listener, once the program's network stands. What is accepted from it comes from the program, which
    /// was told of it as `HTTPS_PROXY`. Blocking.
    ///
    /// # Errors
    /// The program's bounds could not be built.
    pub fn listener(self) -> io::Result<TcpListener> {
        let mut ready = [PollFd::new(&self.0, PollFlags::IN)];
        if poll(&mut ready, Some(&PATIENCE))? == 0 {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut byte = [0];
        recvmsg(&self.0, &mut [IoSliceMut::new(&mut byte)], &mut control, RecvFlags::CMSG_CLOEXEC)?;
        let handed = control.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
            _ => None,
        });
        handed.map(TcpListener::from).ok_or_else(|| io::ErrorKind::BrokenPipe.into())
    }
}

/// The program's side: opens the listener and hands it over.
pub(crate) fn offer(door: &OwnedFd) -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, PORT))?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let fds = [std::os::fd::AsFd::as_fd(&listener)];
    if !control.push(SendAncillaryMessage::ScmRights(&fds)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    sendmsg(door, &[io::IoSlice::new(b"L")], &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// The variables by which programs find the way out.
pub(crate) fn variables() -> [(&'static str, String); 4] {
    let proxy = format!("http://127.0.0.1:{PORT}");
    [
        ("HTTPS_PROXY", proxy.clone()),
        ("https_proxy", proxy.clone()),
        ("ALL_PROXY", proxy),
        // Without it Node does not look at the others.
        ("NODE_USE_ENV_PROXY", "1".to_owned()),
    ]
}
