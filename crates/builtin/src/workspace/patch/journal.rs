//! What a patch is about to do, on the disk before it is done, so that whoever comes after a kill can end it: away with
//! what was only staged, on to the end once the first file was about to move, back where it was being undone.
//! Not here: what a patch says.

use super::super::files::{fresh_name, fsync_dir};
use super::super::roots::Roots;
use super::FILE_MAX;
use super::steps::between;
use rustix::fs::{AtFlags, FallocateFlags, Mode, OFlags, RenameFlags, openat, renameat_with, unlinkat};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// How far a patch has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// New content is being written beside the files.
    Staging,
    /// All of it is there; files change places.
    Committing,
    /// One of them could not; those that have go back.
    Undoing,
}

/// What a patch is about to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Its moves, in order.
    pub moves: Vec<Move>,
    /// Directories that are made for it, the outermost first.
    pub made: Vec<PathBuf>,
}

/// One file that changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Move {
    /// The directory it is in, absolute, beneath a root.
    pub dir: PathBuf,
    /// Its name.
    pub name: String,
    /// The name beside it: of the new content, then of the old.
    pub beside: String,
    /// What it holds before: a digest, none for nothing.
    pub before: Option<String>,
    /// What it holds afterwards: a digest, none for nothing.
    pub after: Option<String>,
}

/// Why a file could not change places.
#[derive(Debug, thiserror::Error)]
pub enum Stuck {
    /// It holds neither what it held before nor what it should.
    #[error("somebody else has changed it meanwhile")]
    Changed,
    /// The system said no.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl From<Errno> for Stuck {
    fn from(errno: Errno) -> Self {
        Self::Io(errno.into())
    }
}

/// The digest of a content.
pub fn digest(content: &[u8]) -> String {
    hex(Sha256::digest(content).as_slice())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A plan on the disk, locked for as long as its process lives.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
}

impl Journal {
    /// Writes a plan down in `dir`, which is made if need be.
    ///
    /// # Errors
    /// What the system said; then nothing of it is left.
    pub fn begin(dir: &Path, plan: &Plan) -> io::Result<Self> {
        std::fs::create_dir_all(dir)?;
        // Nobody may find the file before it is locked, and take its plan for a dead process's.
        let all = File::open(dir)?;
        all.lock()?;
        let path = dir.join(fresh_name()?);
        let file = File::options().create_new(true).read(true).append(true).mode(0o600).open(&path)?;
        let journal = Self { path, file };
        match journal.file.lock().and_then(|()| journal.first(plan)).and_then(|()| all.sync_all()) {
            Ok(()) => Ok(journal),
            Err(error) => {
                journal.done();
                Err(error)
            }
        }
    }

    fn first(&self, plan: &Plan) -> io::Result<()> {
        let mut line = serde_json::to_vec(plan).map_err(io::Error::other)?;
        line.push(b'\n');
        // Room for what is written later: then the disk may be full.
        let room = (line.len() + 4096) as u64;
        match rustix::fs::fallocate(&self.file, FallocateFlags::KEEP_SIZE, 0, room) {
            Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS) => {}
            Err(errno) => return Err(errno.into()),
        }
        between();
        (&self.file).write_all(&line)?;
        self.file.sync_data()
    }

    /// Writes down how far it has come.
    ///
    /// # Errors
    /// What the system said.
    pub fn stage(&self, stage: Stage) -> io::Result<()> {
        let mut line = serde_json::to_vec(&stage).map_err(io::Error::other)?;
        line.push(b'\n');
        (&self.file).write_all(&line)?;
        self.file.sync_data()
    }

    /// Nothing is left to do.
    pub fn done(self) {
        _ = std::fs::remove_file(&self.path);
    }
}

/// Ends what killed processes left half done; how many there were. Those that are still under way are left alone, and
/// so is what cannot be ended now: it will be tried again.
///
/// # Errors
/// What the system said about the directory, or about the first that could not be ended.
pub fn recover(dir: &Path, roots: &Roots) -> io::Result<usize> {
    let entries = match std::fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        entries => entries?,
    };
    let all = File::open(dir)?;
    all.lock()?;
    let (mut ended, mut failed) = (0, None);
    for entry in entries.flatten() {
        let Ok(file) = File::options().read(true).write(true).open(entry.path()) else { continue };
        // It may have been ended since it was found.
        if file.try_lock().is_err() || file.metadata()?.nlink() == 0 {
            continue;
        }
        match written(&file) {
            Ok(None) => _ = std::fs::remove_file(entry.path()),
            // Of another workspace: whoever serves that ends it.
            Ok(Some((plan, _))) if !is_ours(&plan, roots) => {}
            Ok(Some((plan, stage))) => match end(&plan, stage, roots) {
                Ok(()) => {
                    between();
                    _ = std::fs::remove_file(entry.path());
                    ended += 1;
                }
                Err(error) => failed = failed.or(Some(error)),
            },
            Err(error) => failed = failed.or(Some(error)),
        }
    }
    failed.map_or(Ok(ended), Err)
}

/// The plan and how far it came. None if its process was killed before a whole line was written: nothing was done. Of
/// what follows, whole lines count.
fn written(mut file: &File) -> io::Result<Option<(Plan, Stage)>> {
    let mut text = Vec::new();
    file.read_to_end(&mut text)?;
    let mut lines = text.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n"));
    let Some(first) = lines.next() else { return Ok(None) };
    let plan = serde_json::from_slice(first).map_err(|error| io::Error::other(format!("a damaged plan: {error}")))?;
    let stage = lines.rev().find_map(|line| serde_json::from_slice(line).ok());
    Ok(Some((plan, stage.unwrap_or(Stage::Staging))))
}

fn is_ours(plan: &Plan, roots: &Roots) -> bool {
    plan.moves.iter().all(|one| roots.dirs().any(|root| one.dir.starts_with(root)))
}

fn end(plan: &Plan, stage: Stage, roots: &Roots) -> io::Result<()> {
    let mut dirs = Vec::with_capacity(plan.moves.len());
    for one in &plan.moves {
        let dir = match roots.open_dir(&one.dir) {
            Ok(dir) => dir,
            // What somebody else has changed since is theirs.
            Err(error) if is_gone(&error) => continue,
            Err(error) => return Err(error),
        };
        let moved = match stage {
            Stage::Staging => Ok(()),
            Stage::Committing => one.forward(&dir),
            Stage::Undoing => one.back(&dir),
        };
        between();
        match moved {
            Err(Stuck::Io(error)) if !is_gone(&error) => return Err(error),
            _ => dirs.push((dir, &one.beside)),
        }
    }
    for (dir, beside) in dirs {
        _ = unlinkat(dir, beside, AtFlags::empty());
        between();
    }
    if stage != Stage::Committing {
        plan.unmake(roots);
    }
    Ok(())
}

fn is_gone(error: &io::Error) -> bool {
    use io::ErrorKind::{NotADirectory, NotFound};
    matches!(error.kind(), NotFound | NotADirectory) || error.raw_os_error() == Some(Errno::LOOP.raw_os_error())
}

impl Plan {
    /// Takes the directories away that were made for it, where nobody has put anything since.
    pub fn unmake(&self, roots: &Roots) {
        for made in self.made.iter().rev() {
            if let (Some(above), Some(name)) = (made.parent(), made.file_name())
                && let Ok(above) = roots.open_dir(above)
            {
                _ = unlinkat(above, name, AtFlags::REMOVEDIR);
                between();
            }
        }
    }
}

impl Move {
    /// What a file holds now: a digest, none for nothing.
    fn holds(dir: &OwnedFd, name: &str) -> Result<Option<String>, Stuck> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = match openat(dir, name, flags, Mode::empty()) {
            Err(Errno::NOENT) => return Ok(None),
            // A link, or a socket.
            Err(Errno::LOOP | Errno::NXIO) => return Err(Stuck::Changed),
            file => File::from(file?),
        };
        let metadata = file.metadata()?;
        if !metadata.is_file() || metadata.len() > FILE_MAX {
            return Err(Stuck::Changed);
        }
        let (mut hash, mut part) = (Sha256::new(), vec![0; 1 << 16]);
        let mut file = file.take(FILE_MAX + 1);
        loop {
            match file.read(&mut part)? {
                0 => return Ok(Some(hex(hash.finalize().as_slice()))),
                read => hash.update(&part[..read]),
            }
        }
    }

    /// Does it, unless it is done; the old content then stands beside.
    ///
    /// # Errors
    /// [`Stuck`]; if the disk refused to keep it, it may be done all the same.
    pub fn forward(&self, dir: &OwnedFd) -> Result<(), Stuck> {
        let now = Self::holds(dir, &self.name)?;
        if now == self.after {
            return Ok(());
        }
        if now != self.before {
            return Err(Stuck::Changed);
        }
        let (new, name) = (self.beside.as_str(), self.name.as_str());
        match (&self.before, &self.after) {
            (None, _) => renameat_with(dir, new, dir, name, RenameFlags::NOREPLACE)?,
            (Some(_), Some(_)) => renameat_with(dir, new, dir, name, RenameFlags::EXCHANGE)?,
            (Some(_), None) => renameat_with(dir, name, dir, new, RenameFlags::NOREPLACE)?,
        }
        // Somebody may have written between the look and the move.
        if self.before.is_some() && !matches!(Self::holds(dir, new), Ok(old) if old == self.before) {
            self.rename_back(dir)?;
            return Err(Stuck::Changed);
        }
        Ok(fsync_dir(dir)?)
    }

    /// Undoes [`Move::forward`], unless it is undone. The new content then stands beside again.
    ///
    /// # Errors
    /// [`Stuck`].
    pub fn back(&self, dir: &OwnedFd) -> Result<(), Stuck> {
        let now = Self::holds(dir, &self.name)?;
        if now == self.before {
            return Ok(());
        }
        if now != self.after {
            return Err(Stuck::Changed);
        }
        self.rename_back(dir)?;
        Ok(fsync_dir(dir)?)
    }

    fn rename_back(&self, dir: &OwnedFd) -> rustix::io::Result<()> {
        let (beside, name) = (self.beside.as_str(), self.name.as_str());
        match (&self.before, &self.after) {
            (None, _) => renameat_with(dir, name, dir, beside, RenameFlags::NOREPLACE),
            (Some(_), Some(_)) => renameat_with(dir, beside, dir, name, RenameFlags::EXCHANGE),
            (Some(_), None) => renameat_with(dir, beside, dir, name, RenameFlags::NOREPLACE),
        }
    }
}
