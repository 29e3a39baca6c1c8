//! The few things the ledger does to a disk, so that tests can make each of them fail.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// What is done to an open segment.
pub(crate) trait Disk: Send + Sync {
    /// One write. May write less than all.
    fn write(&self, mut file: &File, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match file.write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                written => return written,
            }
        }
    }

    /// Cuts the file back to `length`.
    fn truncate(&self, file: &File, length: u64) -> io::Result<()> {
        file.set_len(length)
    }

    /// Asks for room in the file from `from` up to `upto`, without making it longer. `false` where a file system
    /// cannot promise room.
    fn reserve(&self, file: &File, from: u64, upto: u64) -> io::Result<bool> {
        use rustix::io::Errno;
        match rustix::fs::fallocate(file, rustix::fs::FallocateFlags::KEEP_SIZE, from, upto - from) {
            Ok(()) => Ok(true),
            Err(Errno::NOTSUP | Errno::NOSYS | Errno::INVAL | Errno::PERM) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Returns when the file's content is on the disk.
    fn sync(&self, file: &File) -> io::Result<()> {
        file.sync_data()
    }
}

/// The disk as it is.
pub(crate) struct Real;

impl Disk for Real {}

/// Creates a new segment and locks it. `None` if a recovering neighbour took the empty file away before it was
/// locked, which is no failure: ask again.
pub(crate) fn create(path: &Path) -> io::Result<Option<File>> {
    let file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(path)?;
    // Waits at most for somebody who looks whether the file is in use.
    if let Err(error) = file.lock() {
        _ = std::fs::remove_file(path);
        return Err(error);
    }
    Ok((file.metadata()?.nlink() > 0).then_some(file))
}

/// Whether the open file can still be found under some name.
pub(crate) fn has_name(file: &File) -> bool {
    file.metadata().is_ok_and(|metadata| metadata.nlink() > 0)
}

/// Makes sure that `dir` exists, durably, and that nobody else can write to it.
pub(crate) fn ensure_private_dir(dir: &Path) -> io::Result<()> {
    let missing: Vec<&Path> =
        dir.ancestors().take_while(|path| !path.as_os_str().is_empty() && !path.exists()).collect();
    if !missing.is_empty() {
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    }
    for created in missing {
        sync_dir(created.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")))?;
    }
    let mode = std::fs::metadata(dir)?.permissions().mode();
    if mode & 0o077 != 0 {
        let tightened = std::fs::set_permissions(dir, Permissions::from_mode(0o700));
        // Some file systems know no modes; what counts is that nobody else can put files here.
        if mode & 0o022 != 0 {
            tightened?;
        }
    }
    Ok(())
}

/// Returns when the names in `dir` are on the disk.
pub(crate) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}
