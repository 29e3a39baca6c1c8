//! The forbidden operations, as they are tried from within.
#![expect(unsafe_code, reason = "what is tried are bare system calls")]

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixStream};
use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, setsid, test_kill_process};

use super::scene::Bait;
use crate::fork::leave;
use crate::level::Gap;

macro_rules! operations {
    ($($name:ident = $word:literal, $what:literal, [$($gap:ident)|+], $try:expr;)+) => {
        /// Something that a program in bounds cannot do.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Operation {
            $(#[doc = concat!("To ", $what, ".")] $name,)+
        }

        impl Operation {
            /// All, in the order in which they are tried.
            pub const ALL: [Operation; [$($word),+].len()] = [$(Operation::$name),+];

            /// Its name in reports.
            #[must_use]
            pub fn word(self) -> &'static str {
                match self { $(Operation::$name => $word,)+ }
            }

            /// What it does, as it follows "to".
            #[must_use]
            pub fn what(self) -> &'static str {
                match self { $(Operation::$name => $what,)+ }
            }

            /// The gaps that all have to be there for it to be possible.
            pub(super) fn gaps(self) -> &'static [Gap] {
                match self { $(Operation::$name => &[$(Gap::$gap),+],)+ }
            }

            fn attempt(self, bait: &Bait) -> io::Result<()> {
                let attempt: fn(&Bait) -> io::Result<()> = match self { $(Operation::$name => $try,)+ };
                attempt(bait)
            }
        }
    };
}

operations! {
    ReadOutside = "read_outside", "read a file that was not granted", [Files],
        |bait| fs::read(bait.at("outside/canary")).map(drop);
    ListOutside = "list_outside", "list a directory that was not granted", [Files],
        |bait| fs::read_dir(bait.at("outside/dir")).map(drop);
    ReadThroughLink = "read_through_link", "read such a file through a link in its own directory", [Files],
        |bait| fs::read(bait.at("work/link")).map(drop);
    ReadThroughProc = "read_through_proc", "read such a file through another process's root", [Files],
        |bait| fs::read(Path::new("/proc/1/root").join(bait.at("outside/canary").strip_prefix("/").unwrap_or(&bait.root))).map(drop);
    ReadMasked = "read_masked", "read a credential", [Masked],
        |bait| fs::read(bait.at("read/secret/key")).map(drop);
    WriteOutside = "write_outside", "write a file that was not granted", [Files],
        |bait| write_into(&bait.at("outside/canary"));
    TruncateOutside = "truncate_outside", "cut off a file that was not granted", [Files],
        |bait| OpenOptions::new().write(true).truncate(true).open(bait.at("outside/canary")).map(drop);
    CreateOutside = "create_outside", "create a file where nothing was granted", [Files],
        |bait| fs::write(bait.at("outside/new"), "");
    RemoveOutside = "remove_outside", "remove a file that was not granted", [Files],
        |bait| fs::remove_file(bait.at("outside/removable"));
    MoveOutside = "move_outside", "move a file of its own to where nothing was granted", [Files],
        |bait| fs::rename(bait.at("work/mine"), bait.at("outside/moved"));
    LinkOutside = "link_outside", "make a hard link to a file that was not granted", [Files],
        |bait| fs::hard_link(bait.at("outside/dir/../canary"), bait.at("work/hard"));
    WriteReadOnly = "write_read_only", "write a file that was granted for reading", [Files],
        |bait| write_into(&bait.at("read/file"));
    WriteKernelSettings = "write_kernel_settings", "open a setting of the kernel for writing", [Files],
        |_| OpenOptions::new().write(true).open("/proc/sys/kernel/core_pattern").map(drop);
    StatOutside = "stat_outside", "look whether a file is there that was not granted", [Metadata],
        |bait| fs::metadata(bait.at("outside/canary")).map(drop);
    ChmodOutside = "chmod_outside", "change the mode of a file that was not granted", [Metadata],
        |bait| fs::set_permissions(bait.at("outside/canary"), fs::Permissions::from_mode(0o600));
    TouchOutside = "touch_outside", "change the time of a file that was not granted", [Metadata],
        |bait| touch(&bait.at("outside/canary"));
    WriteProtected = "write_protected", "write below a protected name", [Protected],
        |bait| write_into(&bait.at("work/.git/config"));
    CreateProtected = "create_protected", "create a protected name that is not there", [Protected],
        |bait| create_below(&bait.at("work/.codex"));
    ReplaceProtected = "replace_protected", "move a protected directory away", [Protected],
        |bait| fs::rename(bait.at("work/.git"), bait.at("work/moved"));
    WriteSharedTmp = "write_shared_tmp", "put a file where everybody's temporary files are", [SharedTmp],
        |bait| fs::write(bait.shared(), "");
    ConnectTcp = "connect_tcp", "connect to a port of this machine", [Network],
        |bait| TcpStream::connect((Ipv4Addr::LOCALHOST, bait.tcp)).map(drop);
    ListenTcp = "listen_tcp", "wait for connections", [Network],
        |_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map(drop);
    SendUdp = "send_udp", "send a datagram to this machine", [Datagrams],
        |bait| UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.send_to(b"x", (Ipv4Addr::LOCALHOST, bait.udp)).map(drop);
    ConnectUnix = "connect_unix", "connect to a socket in the file system", [UnixSockets],
        |bait| UnixStream::connect(bait.at("outside/stream")).map(drop);
    SendUnix = "send_unix", "send a datagram to a socket in the file system", [UnixSockets],
        |bait| UnixDatagram::unbound()?.send_to(b"x", bait.at("outside/datagram")).map(drop);
    ConnectAbstract = "connect_abstract", "connect to a socket that is not in the file system", [UnixSockets | Signals],
        |bait| UnixStream::connect_addr(&SocketAddr::from_abstract_name(bait.abstract_name())?).map(drop);
    Signal = "signal", "signal a process outside", [Signals],
        |bait| Ok(test_kill_process(process(bait)?)?);
    SeeProcesses = "see_processes", "see a process outside", [Processes],
        |bait| fs::read(format!("/proc/{}/cmdline", bait.process)).map(drop);
    Trace = "trace", "trace a process of its own", [Syscalls],
        |_| called(libc::SYS_ptrace, [libc::PTRACE_SEIZE.into(), i64::MAX, 0]);
    MakeNamespace = "make_namespace", "enter a namespace", [Syscalls],
        |_| called(libc::SYS_setns, [-1, 0, 0]);
    CloneNamespace = "clone_namespace", "start a process in a new namespace", [Syscalls],
        // The two flags exclude each other, so that nothing is started wherever this is allowed.
        |_| called(libc::SYS_clone, [(libc::CLONE_NEWNS | libc::CLONE_FS).into(), 0, 0]);
    Mount = "mount", "take hold of a mount", [Syscalls],
        |_| called(libc::SYS_open_tree, [-1, 0, 0]);
    IoUring = "io_uring", "use io_uring", [Syscalls],
        |_| called(libc::SYS_io_uring_setup, [0, 0, 0]);
    Keyring = "keyring", "use the kernel's keys", [Syscalls],
        |_| called(libc::SYS_keyctl, [-1, 0, 0]);
    ReadMemory = "read_memory", "read another process's memory", [Syscalls],
        |_| called(libc::SYS_process_vm_readv, [i64::from(i32::MAX), 0, 0]);
    TypeIntoTerminal = "type_into_terminal", "type into a terminal for whoever sits there", [Syscalls],
        |_| called(libc::SYS_ioctl, [-1, libc::TIOCSTI.cast_signed(), 0]);
    Survive = "survive", "outlive its supervisor that was killed by force", [Survivors],
        |_| Err(io::ErrorKind::Unsupported.into());
}

/// The probe's whole life; `args` are what [`super::scene::Scene::arguments`] gave. Returns its exit status.
pub(crate) fn probe(args: &[OsString]) -> i32 {
    let Some(bait) = Bait::of(args) else { return 2 };
    if args[0] == "daemon" {
        return daemonise();
    }
    for operation in Operation::ALL {
        let line = match operation.attempt(&bait) {
            Ok(()) => format!("{} open\n", operation.word()),
            Err(error) => format!("{} held {error}\n", operation.word()),
        };
        if io::stdout().write_all(line.as_bytes()).is_err() {
            return 1;
        }
    }
    0
}

/// Leaves a process behind that belongs to nobody, says so, and stays for a while.
fn daemonise() -> i32 {
    // Long enough to be found, and gone by itself where nothing ends it.
    const LIFE: Duration = Duration::from_secs(8);
    for _ in 0..2 {
        // SAFETY: this process has one thread.
        if unsafe { libc::fork() } != 0 {
            std::thread::sleep(LIFE);
            leave(0);
        }
        _ = setsid();
    }
    _ = io::stdout().write_all(b"x");
    _ = io::stdout().flush();
    std::thread::sleep(LIFE);
    0
}

fn write_into(path: &Path) -> io::Result<()> {
    OpenOptions::new().append(true).open(path)?.write_all(b" no more")
}

fn create_below(dir: &Path) -> io::Result<()> {
    if !dir.is_dir() {
        fs::create_dir(dir)?;
    }
    File::create(dir.join("config.toml")).map(drop)
}

fn touch(path: &Path) -> io::Result<()> {
    use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};
    let long_ago = Timespec { tv_sec: 1, tv_nsec: 0 };
    let times = Timestamps { last_access: long_ago, last_modification: long_ago };
    Ok(utimensat(CWD, path, &times, AtFlags::empty())?)
}

fn process(bait: &Bait) -> io::Result<Pid> {
    Pid::from_raw(bait.process).ok_or_else(|| io::ErrorKind::InvalidInput.into())
}

/// Makes a call with arguments that lead to nothing, so that only a filter refuses it as forbidden.
fn called(number: i64, [a, b, c]: [i64; 3]) -> io::Result<()> {
    // SAFETY: each use passes arguments that the kernel refuses before it touches any memory.
    let returned = unsafe { libc::syscall(number, a, b, c, 0, 0, 0) };
    match (returned, io::Error::last_os_error()) {
        (-1, error) if matches!(error.raw_os_error(), Some(libc::EPERM | libc::ENOSYS)) => Err(error),
        _ => Ok(()),
    }
}
