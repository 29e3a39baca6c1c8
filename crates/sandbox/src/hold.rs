//! Keeping a name free that must not come into being: an empty file or directory stands there while a program runs,
//! for what is not there cannot be made unwritable. It is known by its time, and goes with the last who needs it.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::fs::{
    AtFlags, CWD, FlockOperation, Mode, OFlags, RenameFlags, Timespec, Timestamps, flock, mkdir, open, renameat_with,
    rmdir, unlink, utimensat,
};
use rustix::io::Errno;

use crate::profile::Kind;

/// A time that nothing has by chance.
const MARK: Timespec = Timespec { tv_sec: 1_000_000_007, tv_nsec: 198_411_101 };
/// Rounds with others who hold or leave the same name.
const ROUNDS: usize = 32;

/// Whether this is such an empty file or directory.
pub(crate) fn is_placeholder(found: &Metadata) -> bool {
    let marked = (found.mtime(), found.mtime_nsec()) == (MARK.tv_sec, MARK.tv_nsec);
    marked && (found.is_dir() || (found.is_file() && found.len() == 0))
}

/// One name, held until this is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    path: PathBuf,
    /// Locked by everyone who needs it.
    file: File,
}

/// Holds `path`; `None` where something real stands, or where nobody can make anything.
///
/// # Errors
/// It cannot be held although something could be made there.
pub(crate) fn hold(path: &Path, kind: Kind) -> io::Result<Option<Held>> {
    for _ in 0..ROUNDS {
        match make(path, kind) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(Errno::ACCESS | Errno::PERM | Errno::ROFS | Errno::NOENT | Errno::NOTDIR) => return Ok(None),
            Err(errno) => return Err(errno.into()),
        }
        let file =
            match open(path, OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty()) {
                Ok(fd) => File::from(fd),
                Err(Errno::NOENT) => continue,
                // Something real that we may not even read, or a link.
                Err(Errno::ACCESS | Errno::LOOP | Errno::NXIO) => return Ok(None),
                Err(errno) => return Err(errno.into()),
            };
        flock(&file, FlockOperation::LockShared)?;
        if !is_at(&file, path) {
            continue;
        }
        return Ok(is_placeholder(&file.metadata()?).then(|| Held { path: path.to_owned(), file }));
    }
    Err(io::ErrorKind::ResourceBusy.into())
}

/// Appears whole, with its mark, or not at all.
fn make(path: &Path, kind: Kind) -> rustix::io::Result<()> {
    let times = Timestamps { last_access: MARK, last_modification: MARK };
    static DRAFTS: AtomicU32 = AtomicU32::new(0);
    let number = DRAFTS.fetch_add(1, Ordering::Relaxed);
    let draft = path.with_file_name(format!(".toolgate-{}-{number}", std::process::id()));
    // Nobody else has this number, so what stands there was left by force.
    _ = remove(&draft, kind);
    match kind {
        Kind::Dir => mkdir(&draft, Mode::from_raw_mode(0o555))?,
        Kind::File => {
            let new = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
            drop(open(&draft, new, Mode::from_raw_mode(0o444))?);
        }
    }
    let placed = utimensat(CWD, &draft, &times, AtFlags::SYMLINK_NOFOLLOW)
        .and_then(|()| renameat_with(CWD, &draft, CWD, path, RenameFlags::NOREPLACE));
    if placed.is_err() {
        _ = remove(&draft, kind);
    }
    placed
}

fn remove(path: &Path, kind: Kind) -> rustix::io::Result<()> {
    match kind {
        Kind::Dir => rmdir(path),
        Kind::File => unlink(path),
    }
}

fn is_at(file: &File, path: &Path) -> bool {
    let same = |a: &Metadata, b: &Metadata| (a.dev(), a.ino()) == (b.dev(), b.ino());
    matches!((file.metadata(), fs::symlink_metadata(path)), (Ok(held), Ok(there)) if same(&held, &there))
}

impl Drop for Held {
    fn drop(&mut self) {
        // Whoever needs it still has it locked, and removes it in our place.
        let last = flock(&self.file, FlockOperation::NonBlockingLockExclusive).is_ok();
        let unchanged = self.file.metadata().is_ok_and(|now| is_placeholder(&now)) && is_at(&self.file, &self.path);
        if last && unchanged {
            let kind = if self.path.is_dir() { Kind::Dir } else { Kind::File };
            _ = remove(&self.path, kind);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &tempfile::TempDir) -> Vec<String> {
        let names = fs::read_dir(dir.path()).unwrap().flatten();
        names.map(|entry| entry.file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn a_held_name_exists_and_is_gone_when_it_is_let_go() {
        let dir = tempfile::tempdir().unwrap();
        for kind in [Kind::Dir, Kind::File] {
            let path = dir.path().join(".held");
            let held = hold(&path, kind).unwrap().unwrap();
            assert_eq!(path.is_dir(), kind == Kind::Dir);
            assert_eq!(names(&dir), [".held"]);
            drop(held);
            assert_eq!(names(&dir), [""; 0]);
        }
    }

    #[test]
    fn it_stays_until_the_last_lets_go() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(".held");
        let [one, two] = [(); 2].map(|()| hold(&path, Kind::Dir).unwrap().unwrap());
        drop(one);
        assert!(path.exists());
        drop(two);
        assert!(!path.exists());
    }

    #[test]
    fn what_was_left_by_force_is_taken_over() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(".held");
        make(&path, Kind::File).unwrap();
        drop(hold(&path, Kind::File).unwrap().unwrap());
        assert!(!path.exists());
    }

    #[test]
    fn what_is_real_is_never_touched() {
        let dir = tempfile::tempdir().unwrap();
        for content in ["", "x"] {
            fs::write(dir.path().join("real"), content).unwrap();
            assert!(hold(&dir.path().join("real"), Kind::File).unwrap().is_none());
        }
        std::os::unix::fs::symlink("nowhere", dir.path().join("link")).unwrap();
        assert!(hold(&dir.path().join("link"), Kind::Dir).unwrap().is_none());
        assert_eq!(names(&dir).len(), 2);
    }

    #[test]
    fn what_somebody_put_into_it_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(".held");
        let held = hold(&path, Kind::File).unwrap().unwrap();
        fs::remove_file(&path).unwrap();
        fs::write(&path, "mine").unwrap();
        drop(held);
        assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
    }

    #[test]
    fn many_at_once_leave_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(".held");
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        drop(hold(&path, Kind::Dir).unwrap());
                    }
                });
            }
        });
        assert_eq!(names(&dir), [""; 0]);
    }
}
