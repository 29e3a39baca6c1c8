//! Mounting what a program is to see, in a mount namespace that is ours alone, and leaving everything else behind.
#![expect(unsafe_code, reason = "changing the flags of a whole tree of mounts has no safe wrapper")]

use std::ffi::{CString, OsStr};
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::{Path, PathBuf};

use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags};
use rustix::mount::{mount, mount_bind, mount_bind_recursive, mount_change, unmount};
use rustix::process::{chdir, pivot_root};

use crate::bwrap::SHM_BYTES;
use crate::plan::Mount;
use crate::profile::Kind;

/// Where the host's root and the new one are while it is built. The first is any directory that every host has.
const BASE: &str = "/tmp";
const OLD: &str = "/old";
const NEW: &str = "/new";

const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];
/// Parts of `/proc` that change the machine for everybody.
const MACHINE: [&str; 4] = ["sys", "sysrq-trigger", "irq", "bus"];

/// Replaces this process's root by one that holds `mounts` and nothing else.
pub(crate) fn build(mounts: &[Mount]) -> io::Result<()> {
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
    let plain = MountFlags::NOSUID | MountFlags::NODEV;
    mount("tmpfs", BASE, "tmpfs", plain, c"mode=755")?;
    for dir in [OLD, NEW] {
        fs::create_dir(under(BASE, Path::new(dir)))?;
    }
    pivot_root(BASE, under(BASE, Path::new(OLD)))?;
    chdir("/")?;
    mount("tmpfs", NEW, "tmpfs", plain, c"mode=755")?;
    mounts.iter().try_for_each(place)?;
    mounts.iter().try_for_each(seal)?;
    set(Path::new(NEW), libc::MOUNT_ATTR_RDONLY, Deep::No)?;
    unmount(OLD, UnmountFlags::DETACH)?;
    chdir(NEW)?;
    // The old root lands on the new one, and is taken off.
    pivot_root(".", ".")?;
    unmount(".", UnmountFlags::DETACH)?;
    Ok(chdir("/")?)
}

/// `path` below another root.
fn under(root: &str, path: &Path) -> PathBuf {
    Path::new(root).join(path.strip_prefix("/").unwrap_or(path))
}

fn place(what: &Mount) -> io::Result<()> {
    match what {
        Mount::Bind { at, write } => bind(at, *write),
        Mount::Guard { at } if under(OLD, at).exists() => bind(at, false),
        Mount::Guard { .. } => Ok(()),
        Mount::Link { target, at } => link(target, &under(NEW, at)),
        Mount::Tmp { at, bytes } => tmpfs(at, *bytes, "700"),
        Mount::Dir { at } => dir(&under(NEW, at)),
        Mount::Hide { at, kind: Kind::Dir } => tmpfs(at, 4096, "555"),
        Mount::Hide { at, kind: Kind::File } => {
            let at = under(NEW, at);
            mount_bind(under(OLD, Path::new("/dev/null")), &at)?;
            set(&at, libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NODEV, Deep::No)
        }
        Mount::Proc => proc(),
        Mount::Dev => devices(),
    }
}

/// What may be filled only while all is built.
fn seal(what: &Mount) -> io::Result<()> {
    match what {
        Mount::Hide { at, kind: Kind::Dir } => set(&under(NEW, at), libc::MOUNT_ATTR_RDONLY, Deep::No),
        Mount::Dev => set(&under(NEW, Path::new("/dev")), libc::MOUNT_ATTR_RDONLY, Deep::No),
        _ => Ok(()),
    }
}

fn bind(at: &Path, write: bool) -> io::Result<()> {
    let (from, to) = (under(OLD, at), under(NEW, at));
    match from.is_dir() {
        true => dir(&to)?,
        false => file(&to)?,
    }
    mount_bind_recursive(&from, &to)?;
    let read_only = if write { 0 } else { libc::MOUNT_ATTR_RDONLY };
    set(&to, read_only | libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV, Deep::Yes)
}

fn dir(at: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o755).create(at)
}

/// A place to mount a file on.
fn file(at: &Path) -> io::Result<()> {
    if at.exists() {
        return Ok(());
    }
    at.parent().map_or(Ok(()), dir)?;
    fs::write(at, "")
}

fn link(target: &Path, at: &Path) -> io::Result<()> {
    at.parent().map_or(Ok(()), dir)?;
    match symlink(target, at) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}

fn tmpfs(at: &Path, bytes: u64, mode: &str) -> io::Result<()> {
    let at = under(NEW, at);
    dir(&at)?;
    let data = CString::new(format!("size={bytes},mode={mode}"))?;
    Ok(mount("tmpfs", &at, "tmpfs", MountFlags::NOSUID | MountFlags::NODEV, data.as_c_str())?)
}

fn proc() -> io::Result<()> {
    let at = under(NEW, Path::new("/proc"));
    dir(&at)?;
    mount("proc", &at, "proc", MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC, None)?;
    for part in MACHINE.map(|part| at.join(part)) {
        if part.exists() {
            mount_bind_recursive(&part, &part)?;
            set(&part, libc::MOUNT_ATTR_RDONLY, Deep::Yes)?;
        }
    }
    Ok(())
}

fn devices() -> io::Result<()> {
    tmpfs(Path::new("/dev"), 65536, "755")?;
    let dev = under(NEW, Path::new("/dev"));
    for name in DEVICES {
        let from = under(OLD, &Path::new("/dev").join(name));
        if from.exists() {
            file(&dev.join(name))?;
            mount_bind(from, dev.join(name))?;
        }
    }
    let links = [("fd", "/proc/self/fd"), ("stdin", "/proc/self/fd/0"), ("stdout", "/proc/self/fd/1")];
    for (name, target) in links.into_iter().chain([("stderr", "/proc/self/fd/2"), ("ptmx", "pts/ptmx")]) {
        link(Path::new(target), &dev.join(name))?;
    }
    tmpfs(Path::new("/dev/shm"), SHM_BYTES, "700")?;
    dir(&dev.join("pts"))?;
    let pseudo = c"newinstance,ptmxmode=0666,mode=620";
    Ok(mount("devpts", dev.join("pts"), "devpts", MountFlags::NOSUID | MountFlags::NOEXEC, pseudo)?)
}

#[derive(PartialEq, Eq)]
enum Deep {
    Yes,
    No,
}

/// Adds `flags` to the mount at `at`, and with [`Deep::Yes`] to all below it.
fn set(at: &Path, flags: u64, deep: Deep) -> io::Result<()> {
    let path = CString::new(OsStr::as_bytes(at.as_ref()))?;
    let attributes = libc::mount_attr { attr_set: flags, attr_clr: 0, propagation: 0, userns_fd: 0 };
    let recursive = if deep == Deep::Yes { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: path and structure are initialised and outlive the call, which is told the structure's size.
    let done = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            libc::AT_FDCWD,
            path.as_ptr(),
            recursive,
            &attributes,
            size_of::<libc::mount_attr>(),
        )
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
