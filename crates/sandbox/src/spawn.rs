//! `posix_spawn`, wrapped: a new process in its own session with exactly the given descriptors, arguments,
//! environment and default signal handling. Not here: what the process is for.
//!
//! `std::process::Command` cannot place a fourth descriptor without running code between fork and exec,
//! which is unsound in a process with threads; `posix_spawn` can.
#![expect(unsafe_code, reason = "posix_spawn has no safe wrapper")]

use std::ffi::{CStr, CString, c_char, c_int};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd};
use std::ptr;

use rustix::process::Pid;

/// Everything the new process gets.
pub(crate) struct Image<'a> {
    pub exe: &'a CStr,
    pub argv: &'a [CString],
    pub env: &'a [CString],
    pub cwd: Option<&'a CStr>,
    /// Become descriptors 0, 1, 2 and so on. Each must be numbered above those, or placing one would overwrite another.
    pub fds: &'a [&'a OwnedFd],
}

/// Starts the process and returns once it runs `exe` (or could not).
pub(crate) fn spawn(image: &Image<'_>) -> io::Result<Pid> {
    let mut actions = Actions::new()?;
    for (target, fd) in (0..).zip(image.fds) {
        let above = usize::try_from(fd.as_raw_fd()).is_ok_and(|number| number >= image.fds.len());
        assert!(above, "descriptor {} would be overwritten", fd.as_raw_fd());
        actions.dup2(fd.as_raw_fd(), target)?;
    }
    if let Some(cwd) = image.cwd {
        actions.chdir(cwd)?;
    }
    let attributes = Attributes::new()?;
    let mut pid: libc::pid_t = 0;
    let (argv, env) = (pointers(image.argv), pointers(image.env));
    // SAFETY: both tables are null-terminated and, like all else here, outlive the call; `actions` and
    // `attributes` are initialised.
    let code = unsafe {
        libc::posix_spawn(&mut pid, image.exe.as_ptr(), &actions.0, &attributes.0, argv.as_ptr(), env.as_ptr())
    };
    check(code)?;
    Ok(Pid::from_raw(pid).expect("a started process has an id"))
}

/// The null-terminated table of pointers that C wants. `execve` does not write through them.
fn pointers(strings: &[CString]) -> Vec<*mut c_char> {
    let pointers = strings.iter().map(|string| string.as_ptr().cast_mut());
    pointers.chain([ptr::null_mut()]).collect()
}

fn check(code: c_int) -> io::Result<()> {
    match code {
        0 => Ok(()),
        errno => Err(io::Error::from_raw_os_error(errno)),
    }
}

struct Actions(libc::posix_spawn_file_actions_t);

impl Actions {
    fn new() -> io::Result<Actions> {
        let mut actions = MaybeUninit::uninit();
        // SAFETY: a successful call initialises the value, which is then safe to move (both libcs keep only
        // heap pointers in it).
        unsafe {
            check(libc::posix_spawn_file_actions_init(actions.as_mut_ptr()))?;
            Ok(Actions(actions.assume_init()))
        }
    }

    fn dup2(&mut self, from: c_int, to: c_int) -> io::Result<()> {
        // SAFETY: initialised in `new`.
        check(unsafe { libc::posix_spawn_file_actions_adddup2(&mut self.0, from, to) })
    }

    fn chdir(&mut self, path: &CStr) -> io::Result<()> {
        // SAFETY: initialised in `new`; the path is copied.
        check(unsafe { libc::posix_spawn_file_actions_addchdir_np(&mut self.0, path.as_ptr()) })
    }
}

impl Drop for Actions {
    fn drop(&mut self) {
        // SAFETY: initialised in `new`, destroyed once.
        unsafe { libc::posix_spawn_file_actions_destroy(&mut self.0) };
    }
}

struct Attributes(libc::posix_spawnattr_t);

impl Attributes {
    /// A new session (a Ctrl-C in the terminal must not reach it), no signal blocked, none ignored.
    fn new() -> io::Result<Attributes> {
        let flags = libc::c_int::from(libc::POSIX_SPAWN_SETSID)
            | libc::c_int::from(libc::POSIX_SPAWN_SETSIGDEF as i16)
            | libc::c_int::from(libc::POSIX_SPAWN_SETSIGMASK as i16);
        let mut attributes = MaybeUninit::uninit();
        // SAFETY: `init` initialises the value before it is used; the signal sets are initialised by their
        // own calls; all are plain data or own only heap pointers, so moving is fine.
        unsafe {
            check(libc::posix_spawnattr_init(attributes.as_mut_ptr()))?;
            let mut attributes = Attributes(attributes.assume_init());
            let mut none = MaybeUninit::uninit();
            libc::sigemptyset(none.as_mut_ptr());
            let mut all = MaybeUninit::uninit();
            libc::sigfillset(all.as_mut_ptr());
            check(libc::posix_spawnattr_setsigmask(&mut attributes.0, none.as_ptr()))?;
            check(libc::posix_spawnattr_setsigdefault(&mut attributes.0, all.as_ptr()))?;
            check(libc::posix_spawnattr_setflags(&mut attributes.0, flags as libc::c_short))?;
            Ok(attributes)
        }
    }
}

impl Drop for Attributes {
    fn drop(&mut self) {
        // SAFETY: initialised in `new`, destroyed once.
        unsafe { libc::posix_spawnattr_destroy(&mut self.0) };
    }
}
