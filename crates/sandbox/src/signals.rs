//! The supervisor's signals as a descriptor to wait for. Not here: what they lead to.
#![expect(unsafe_code, reason = "signal masks and signalfd have no safe wrapper")]

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;

/// Signals that report a fault of this very process: blocking them would only hide it.
const FAULTS: [i32; 6] = [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE, libc::SIGTRAP, libc::SIGABRT];
const RECORD: usize = size_of::<libc::signalfd_siginfo>();

/// All signals blocked; a child's end and SIGTERM readable. The rest (SIGINT, SIGHUP, …) stays unheard.
pub(crate) struct Signals(OwnedFd);

/// What [`Signals::drain`] found besides the end of children.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heard {
    Nothing,
    Terminate,
}

impl Signals {
    /// Blocks in the calling thread, which must be the only one.
    pub(crate) fn block() -> io::Result<Signals> {
        let heard = set_of(&[libc::SIGCHLD, libc::SIGTERM]);
        // SAFETY: both sets are initialised; the descriptor that comes back is new and owned by nobody else.
        unsafe {
            if libc::sigprocmask(libc::SIG_SETMASK, &all_but_faults(), ptr::null_mut()) != 0 {
                return Err(io::Error::last_os_error());
            }
            match libc::signalfd(-1, &heard, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) {
                -1 => Err(io::Error::last_os_error()),
                fd => Ok(Signals(OwnedFd::from_raw_fd(fd))),
            }
        }
    }

    /// Reads what is pending, without waiting.
    pub(crate) fn drain(&self) -> Heard {
        let mut heard = Heard::Nothing;
        let mut records = [0; RECORD * 4];
        while let Ok(read @ 1..) = rustix::io::read(&self.0, &mut records) {
            for record in records[..read].chunks_exact(RECORD) {
                // `ssi_signo`, a u32, is the first field of the record.
                let number = u32::from_ne_bytes([record[0], record[1], record[2], record[3]]);
                if number == libc::SIGTERM.cast_unsigned() {
                    heard = Heard::Terminate;
                }
            }
        }
        heard
    }
}

/// Undoes [`Signals::block`] for what is executed next: a blocked signal would stay blocked for the program.
/// Only makes a system call, so it may be used between fork and exec.
pub(crate) fn unblock_all() -> io::Result<()> {
    // SAFETY: the set is initialised.
    match unsafe { libc::sigprocmask(libc::SIG_SETMASK, &set_of(&[]), ptr::null_mut()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn set_of(signals: &[i32]) -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: `sigemptyset` initialises the set; the numbers are valid signals.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        for signal in signals {
            libc::sigaddset(set.as_mut_ptr(), *signal);
        }
        set.assume_init()
    }
}

fn all_but_faults() -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: `sigfillset` initialises the set; the numbers are valid signals.
    unsafe {
        libc::sigfillset(set.as_mut_ptr());
        for signal in FAULTS {
            libc::sigdelset(set.as_mut_ptr(), signal);
        }
        set.assume_init()
    }
}
