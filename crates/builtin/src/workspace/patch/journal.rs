//! What a patch is about to do, on the disk before it is done, so that whoever comes after a kill can end it: away with
//! what was only staged, or on to the end once the first file was about to move. Not here: what a patch says.

use super::super::files::fsync_dir;
use super::super::roots::Roots;
use rustix::fs::{AtFlags, Mode, OFlags, RenameFlags, openat, renameat_with, unlinkat};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// How far a patch has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// New content is being written beside the files.
    Staging,
    /// All of it is there; files change places.
    Committing,
}

/// A patch on its way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// How far it has come.
    pub stage: Stage,
    /// Its moves, in order.
    pub moves: Vec<Move>,
    /// Directories that were made for it, the outermost first.
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

/// The digest of a content.
pub fn digest(content: &[u8]) -> String {
    Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
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
    /// What the system said.
    pub fn begin(dir: &Path, plan: &Plan) -> io::Result<Self> {
        std::fs::create_dir_all(dir)?;
        let path = dir.join(super::super::files::fresh_name()?);
        let file = File::options().create_new(true).read(true).write(true).mode(0o600).open(&path)?;
        file.lock()?;
        let mut journal = Self { path, file };
        journal.write(plan)?;
        File::open(dir)?.sync_all()?;
        Ok(journal)
    }

    /// Writes the plan anew, a line more; the last whole line counts.
    ///
    /// # Errors
    /// What the system said.
    pub fn write(&mut self, plan: &Plan) -> io::Result<()> {
        let mut line = serde_json::to_vec(plan).map_err(io::Error::other)?;
        line.push(b'\n');
        self.file.write_all(&line)?;
        self.file.sync_data()
    }

    /// Nothing is left to do.
    pub fn done(self) {
        _ = std::fs::remove_file(&self.path);
    }
}

/// Ends what killed processes left half done. Those that are still under way are left alone.
///
/// # Errors
/// What the system said about the directory.
pub fn recover(dir: &Path, roots: &Roots) -> io::Result<usize> {
    let entries = match std::fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        entries => entries?,
    };
    let mut ended = 0;
    for entry in entries.flatten() {
        let Ok(file) = File::options().read(true).write(true).open(entry.path()) else { continue };
        if file.try_lock().is_err() {
            continue;
        }
        match last_plan(&file) {
            // Killed before a word of it was written: nothing was done.
            None => _ = std::fs::remove_file(entry.path()),
            // Of another workspace: whoever serves that ends it.
            Some(plan) if !is_ours(&plan, roots) => continue,
            Some(plan) => {
                end(&plan);
                _ = std::fs::remove_file(entry.path());
                ended += 1;
            }
        }
    }
    Ok(ended)
}

fn last_plan(mut file: &File) -> Option<Plan> {
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    let whole = &text[..text.rfind('\n')?];
    whole.lines().rev().find_map(|line| serde_json::from_str(line).ok())
}

fn is_ours(plan: &Plan, roots: &Roots) -> bool {
    plan.moves.iter().all(|one| roots.dirs().any(|root| one.dir.starts_with(root)))
}

fn end(plan: &Plan) {
    for one in &plan.moves {
        let Ok(dir) = open(&one.dir) else { continue };
        if plan.stage == Stage::Committing {
            // What somebody else has changed since is theirs.
            _ = one.forward(&dir);
        }
        _ = unlinkat(&dir, &one.beside, AtFlags::empty());
    }
    if plan.stage == Stage::Staging {
        for made in plan.made.iter().rev() {
            // Only where nobody has put anything since.
            _ = std::fs::remove_dir(made);
        }
    }
}

/// The directory, if no part of its path has become a link since.
fn open(dir: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let resolve = rustix::fs::ResolveFlags::NO_SYMLINKS | rustix::fs::ResolveFlags::NO_MAGICLINKS;
    Ok(rustix::fs::openat2(rustix::fs::CWD, dir, flags, Mode::empty(), resolve)?)
}

impl Move {
    /// What the file holds now: a digest, none for nothing.
    ///
    /// # Errors
    /// What the system said; also if something else than a file stands there.
    pub fn now(&self, dir: &OwnedFd) -> io::Result<Option<String>> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match openat(dir, &self.name, flags, Mode::empty()) {
            Err(Errno::NOENT) => return Ok(None),
            file => File::from(file?),
        };
        let mut content = Vec::new();
        (&file).read_to_end(&mut content)?;
        Ok(Some(digest(&content)))
    }

    /// Does it, unless it is done; the old content then stands beside.
    ///
    /// # Errors
    /// What the system said, or that the file holds neither what it held before nor what it should.
    pub fn forward(&self, dir: &OwnedFd) -> io::Result<()> {
        let now = self.now(dir)?;
        if now == self.after {
            return Ok(());
        }
        if now != self.before {
            return Err(io::Error::other("somebody else has changed it meanwhile"));
        }
        let (new, name) = (self.beside.as_str(), self.name.as_str());
        match (&self.before, &self.after) {
            (None, Some(_)) => renameat_with(dir, new, dir, name, RenameFlags::NOREPLACE)?,
            (Some(_), Some(_)) => renameat_with(dir, new, dir, name, RenameFlags::EXCHANGE)?,
            (Some(_), None) => renameat_with(dir, name, dir, new, RenameFlags::NOREPLACE)?,
            (None, None) => {}
        }
        Ok(fsync_dir(dir)?)
    }

    /// Undoes [`Move::forward`].
    ///
    /// # Errors
    /// What the system said.
    pub fn back(&self, dir: &OwnedFd) -> io::Result<()> {
        let (old, name) = (self.beside.as_str(), self.name.as_str());
        match (&self.before, &self.after) {
            (None, Some(_)) => unlinkat(dir, name, AtFlags::empty())?,
            (Some(_), Some(_)) => renameat_with(dir, old, dir, name, RenameFlags::EXCHANGE)?,
            (Some(_), None) => renameat_with(dir, old, dir, name, RenameFlags::NOREPLACE)?,
            (None, None) => {}
        }
        Ok(fsync_dir(dir)?)
    }
}
