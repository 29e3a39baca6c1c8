//! A patch put in place: all of it or nothing. Read, find every file, work out every content, and only when all of it
//! fits write anything. Not here: the forms of a patch, and what a kill leaves behind.

use super::super::files::fresh_name;
use super::super::roots::{Astray, Protected, Roots, Target};
use super::hunk::{self, Misfit};
use super::journal::{Journal, Move, Plan, Stage, digest};
use super::parse::{Change, Hunk, Kind, NoPatch, parse};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, fchmod, fsync, mkdirat, openat, unlinkat};
use rustix::io::Errno;
use serde::Serialize;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// The largest file that a patch changes, in bytes.
const FILE_MAX: u64 = 32 << 20;
/// The most files of one patch.
const FILES_MAX: usize = 1_000;

/// What a patch did, or would do.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Applied {
    /// By file, in the order of the patch.
    pub files: Vec<Report>,
    /// Whether nothing was written because that was asked for.
    pub dry_run: bool,
}

/// What became of one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Which.
    pub path: String,
    /// `added`, `updated`, `deleted` or `moved`.
    pub action: &'static str,
    /// Its new name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Lines that came.
    pub added: usize,
    /// Lines that went.
    pub removed: usize,
}

impl Applied {
    /// For whoever reads only text.
    pub fn text(&self) -> String {
        let line = |file: &Report| {
            let to = file.to.as_ref().map(|to| format!(" to {to}")).unwrap_or_default();
            format!("{} {}{to} (+{} -{})", file.action, file.path, file.added, file.removed)
        };
        let head = self.dry_run.then(|| "would be done:".to_owned());
        head.into_iter().chain(self.files.iter().map(line)).collect::<Vec<_>>().join("\n")
    }
}

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum Rejected {
    /// It is no patch.
    #[error("the patch cannot be read: {0}")]
    NoPatch(#[from] NoPatch),
    /// It does not fit the files.
    #[error("nothing was changed:\n{}", .0.iter().map(|one| format!("{}: {}", one.path, one.why)).collect::<Vec<_>>().join("\n"))]
    Files(Vec<Wrong>),
    /// The disk said no; what was done was undone.
    #[error("nothing was changed: {0}")]
    Disk(#[from] io::Error),
}

/// What is wrong with one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Wrong {
    /// Which.
    pub path: String,
    /// Why.
    pub why: String,
}

/// Where a patch is applied.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The workspace.
    pub roots: &'a Roots,
    /// What nobody may write.
    pub protected: &'a Protected,
    /// Where plans lie while they are carried out.
    pub journals: &'a Path,
}

/// Applies a patch.
///
/// # Errors
/// [`Rejected`]; then every file is as it was.
pub fn apply(place: Place<'_>, patch: &str, dry_run: bool) -> Result<Applied, Rejected> {
    let changes = parse(patch)?;
    let mut draft = Draft::default();
    for change in &changes {
        if let Err(why) = draft.add(place, change) {
            draft.wrong.push(Wrong { path: change.path.clone(), why });
        }
    }
    if !draft.wrong.is_empty() {
        return Err(Rejected::Files(draft.wrong));
    }
    if !dry_run {
        Commit::prepare(place, &draft.files)?.run()?;
    }
    Ok(Applied { files: draft.reports, dry_run })
}

/// What is to be done, worked out and not begun.
#[derive(Default)]
struct Draft {
    files: Vec<Planned>,
    reports: Vec<Report>,
    wrong: Vec<Wrong>,
}

/// One file that is to hold something else.
struct Planned {
    at: Target,
    before: Option<Old>,
    /// The new content, and its permissions; none leaves them to the system.
    after: Option<(String, Option<Mode>)>,
}

/// A file as it is.
struct Old {
    content: String,
    mode: Mode,
}

impl Draft {
    fn add(&mut self, place: Place<'_>, change: &Change) -> Result<(), String> {
        let path = &change.path;
        let report = |action, to, added, removed| Report { path: path.clone(), action, to, added, removed };
        let at = target(place, path)?;
        let old = old(&at)?;
        let report = match (&change.kind, old) {
            (Kind::Add(_), Some(_)) => return Err("there is such a file already".to_owned()),
            (Kind::Add(content), None) => {
                self.plan(at, None, Some((content.clone(), None)))?;
                report("added", None, content.lines().count(), 0)
            }
            (_, None) => return Err("there is no such file".to_owned()),
            (Kind::Delete, Some(old)) => {
                let lines = old.content.lines().count();
                self.plan(at, Some(old), None)?;
                report("deleted", None, 0, lines)
            }
            (Kind::Update { to, hunks }, Some(old)) => {
                let new = hunk::change(&old.content, hunks).map_err(|misfit: Misfit| misfit.to_string())?;
                let new = Some((new, Some(old.mode)));
                let (added, removed) = counted(hunks);
                match to.as_ref().filter(|to| *to != path) {
                    None => {
                        self.plan(at, Some(old), new)?;
                        report("updated", None, added, removed)
                    }
                    Some(to) => {
                        self.plan(at, Some(old), None)?;
                        self.move_to(place, to, new)?;
                        report("moved", Some(to.clone()), added, removed)
                    }
                }
            }
        };
        self.reports.push(report);
        Ok(())
    }

    fn move_to(&mut self, place: Place<'_>, to: &str, new: Option<(String, Option<Mode>)>) -> Result<(), String> {
        let at = target(place, to).map_err(|why| format!("it cannot move: {why}"))?;
        match old(&at)? {
            Some(_) => Err(format!("it cannot move: there is a file `{to}` already")),
            None => self.plan(at, None, new),
        }
    }

    fn plan(&mut self, at: Target, before: Option<Old>, after: Option<(String, Option<Mode>)>) -> Result<(), String> {
        if self.files.len() >= FILES_MAX {
            return Err(format!("a patch changes at most {FILES_MAX} files"));
        }
        if self.files.iter().any(|file| (&file.at.dir_path, &file.at.name) == (&at.dir_path, &at.name)) {
            return Err("the patch names this file twice".to_owned());
        }
        self.files.push(Planned { at, before, after });
        Ok(())
    }
}

fn target(place: Place<'_>, path: &str) -> Result<Target, String> {
    let found = place.roots.find(path).and_then(|(spot, rest)| spot.target(&rest, place.protected));
    found.map_err(|astray: Astray| astray.to_string())
}

/// What stands there, if anything does.
fn old(at: &Target) -> Result<Option<Old>, String> {
    let Some(dir) = &at.dir else { return Ok(None) };
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let fd = match openat(dir, &at.name, flags, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(None),
        Err(Errno::LOOP) => return Err("a link stands there: name what it leads to".to_owned()),
        opened => opened.map_err(|errno| errno.to_string())?,
    };
    let stat = rustix::fs::fstat(&fd).map_err(|errno| errno.to_string())?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err("something stands there that is no file".to_owned());
    }
    let mut content = Vec::new();
    File::from(fd).take(FILE_MAX + 1).read_to_end(&mut content).map_err(|error| error.to_string())?;
    if content.len() as u64 > FILE_MAX {
        return Err(format!("it is larger than {FILE_MAX} bytes"));
    }
    let content = String::from_utf8(content).map_err(|_| "it is no text".to_owned())?;
    Ok(Some(Old { content, mode: Mode::from_raw_mode(stat.st_mode & 0o7777) }))
}

/// Lines that come and lines that go, without those that stay.
fn counted(hunks: &[Hunk]) -> (usize, usize) {
    let stays = |hunk: &Hunk| hunk.before.iter().filter(|line| hunk.after.contains(line)).count();
    let (mut added, mut removed) = (0, 0);
    for hunk in hunks {
        added += hunk.after.len().saturating_sub(stays(hunk));
        removed += hunk.before.len() - stays(hunk);
    }
    (added, removed)
}

/// A patch that is being put in place.
struct Commit {
    plan: Plan,
    /// One for each move.
    dirs: Vec<OwnedFd>,
    journal: Journal,
}

impl Commit {
    /// Writes all new content beside the files it is for. Nothing that anybody reads has changed yet.
    fn prepare(place: Place<'_>, files: &[Planned]) -> io::Result<Self> {
        let moves = files.iter().map(moved).collect::<io::Result<Vec<_>>>()?;
        let mut made: Vec<PathBuf> = files.iter().filter(|file| file.after.is_some()).flat_map(missing).collect();
        made.sort();
        made.dedup();
        let plan = Plan { stage: Stage::Staging, moves, made };
        let journal = Journal::begin(place.journals, &plan)?;
        let mut commit = Self { plan, dirs: Vec::new(), journal };
        match commit.stage(place, files) {
            Ok(()) => Ok(commit),
            Err(error) => {
                commit.away();
                Err(error)
            }
        }
    }

    fn stage(&mut self, place: Place<'_>, files: &[Planned]) -> io::Result<()> {
        for made in &self.plan.made {
            let (Some(above), Some(name)) = (made.parent(), made.file_name()) else { continue };
            match mkdirat(place.roots.open_dir(above)?, name, Mode::from_raw_mode(0o777)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        for (file, planned) in self.plan.moves.iter().zip(files) {
            let dir = place.roots.open_dir(&file.dir)?;
            if let Some((content, mode)) = &planned.after {
                write_beside(&dir, &file.beside, content, *mode)?;
            }
            self.dirs.push(dir);
        }
        self.plan.stage = Stage::Committing;
        self.journal.write(&self.plan)
    }

    /// Puts the files in place, or all of them back.
    fn run(self) -> io::Result<()> {
        for done in 0..self.plan.moves.len() {
            if let Err(error) = self.step(done) {
                let name = self.plan.moves[done].dir.join(&self.plan.moves[done].name);
                // Undone from the last to the first; what cannot be undone stands in the journal's hands.
                let undone = (0..done).rev().try_for_each(|one| self.plan.moves[one].back(&self.dirs[one]));
                return match undone {
                    Ok(()) => {
                        self.away();
                        Err(io::Error::new(error.kind(), format!("{}: {error}", name.display())))
                    }
                    Err(worse) => Err(io::Error::other(format!("{error}; and it could not be undone: {worse}"))),
                };
            }
        }
        self.clean();
        self.journal.done();
        Ok(())
    }

    fn step(&self, number: usize) -> io::Result<()> {
        self.plan.moves[number].forward(&self.dirs[number])
    }

    fn clean(&self) {
        for (file, dir) in self.plan.moves.iter().zip(&self.dirs) {
            _ = unlinkat(dir, &file.beside, AtFlags::empty());
        }
    }

    /// Takes away what was staged.
    fn away(self) {
        self.clean();
        for made in self.plan.made.iter().rev() {
            _ = std::fs::remove_dir(made);
        }
        self.journal.done();
    }
}

fn moved(file: &Planned) -> io::Result<Move> {
    Ok(Move {
        dir: file.at.dir_path.clone(),
        name: file.at.name.clone(),
        beside: fresh_name()?,
        before: file.before.as_ref().map(|old| digest(old.content.as_bytes())),
        after: file.after.as_ref().map(|(content, _)| digest(content.as_bytes())),
    })
}

/// The directories that have to be made for it.
fn missing(file: &Planned) -> Vec<PathBuf> {
    let above = file.at.dir_path.ancestors().take_while(|dir| *dir != file.at.there);
    above.map(Path::to_owned).collect()
}

fn write_beside(dir: &OwnedFd, name: &str, content: &str, mode: Option<Mode>) -> io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = openat(dir, name, flags, Mode::from_raw_mode(0o666))?;
    if let Some(mode) = mode {
        fchmod(&fd, mode)?;
    }
    let mut file = File::from(fd);
    file.write_all(content.as_bytes())?;
    Ok(fsync(&file)?)
}

#[cfg(test)]
mod tests;
