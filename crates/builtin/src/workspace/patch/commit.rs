//! A patch that has been worked out, put in place: new content is written beside the files it is for, then files change
//! places, and if one of them cannot, all go back. Not here: what it says, and what is done after a kill.

use super::super::files::fresh_name;
use super::super::roots::Roots;
use super::apply::{Place, Planned};
use super::journal::{Journal, Move, Plan, Stage, Stuck, digest};
use super::steps::between;
use rustix::fs::{AtFlags, Mode, OFlags, fchmod, fsync, mkdirat, openat, unlinkat};
use rustix::io::Errno;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::path::PathBuf;

/// A patch that is being put in place.
pub struct Commit<'a> {
    roots: &'a Roots,
    plan: Plan,
    /// One for each move.
    dirs: Vec<OwnedFd>,
    journal: Journal,
}

impl<'a> Commit<'a> {
    /// Writes all new content beside the files it is for. Nothing that anybody reads has changed yet.
    ///
    /// # Errors
    /// What the system said; then nothing of it is left.
    pub fn prepare(place: Place<'a>, files: &[Planned]) -> io::Result<Self> {
        let moves = files.iter().map(moved).collect::<io::Result<Vec<_>>>()?;
        let mut made: Vec<PathBuf> = files.iter().filter(|file| file.after.is_some()).flat_map(missing).collect();
        made.sort();
        made.dedup();
        let plan = Plan { moves, made };
        let journal = Journal::begin(place.journals, &plan)?;
        let mut commit = Self { roots: place.roots, plan, dirs: Vec::new(), journal };
        match commit.stage(files) {
            Ok(()) => Ok(commit),
            Err(error) => {
                commit.away();
                Err(error)
            }
        }
    }

    fn stage(&mut self, files: &[Planned]) -> io::Result<()> {
        for made in &self.plan.made {
            between();
            let (Some(above), Some(name)) = (made.parent(), made.file_name()) else { continue };
            match mkdirat(self.roots.open_dir(above)?, name, Mode::from_raw_mode(0o777)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        for (file, planned) in self.plan.moves.iter().zip(files) {
            between();
            // Kept before anything is written into it: half a file has to be taken away too.
            self.dirs.push(self.roots.open_dir(&file.dir)?);
            if let (Some((content, mode)), Some(dir)) = (&planned.after, self.dirs.last()) {
                write_beside(dir, &file.beside, content, *mode)?;
            }
        }
        between();
        self.journal.stage(Stage::Committing)
    }

    /// Puts the files in place, or all of them back.
    ///
    /// # Errors
    /// What kept one of them from it.
    pub fn run(self) -> io::Result<()> {
        for step in 0..self.plan.moves.len() {
            between();
            if let Err(stuck) = self.step(step) {
                return Err(self.undo(step, stuck));
            }
        }
        between();
        self.clean();
        between();
        self.journal.done();
        Ok(())
    }

    fn step(&self, number: usize) -> Result<(), Stuck> {
        self.plan.moves[number].forward(&self.dirs[number])
    }

    /// From the last to the first; what cannot be undone now stays in the journal, and is undone later.
    fn undo(self, last: usize, stuck: Stuck) -> io::Error {
        let name = self.plan.moves[last].dir.join(&self.plan.moves[last].name);
        // If not even this can be written, a kill from here on has the rest done instead.
        _ = self.journal.stage(Stage::Undoing);
        for one in (0..=last).rev() {
            between();
            if let Err(Stuck::Io(worse)) = self.plan.moves[one].back(&self.dirs[one]) {
                return io::Error::other(format!("{}: {stuck}; and not all could be undone: {worse}", name.display()));
            }
        }
        between();
        self.away();
        io::Error::other(format!("{}: {stuck}", name.display()))
    }

    fn clean(&self) {
        for (file, dir) in self.plan.moves.iter().zip(&self.dirs) {
            _ = unlinkat(dir, &file.beside, AtFlags::empty());
            between();
        }
    }

    /// Takes away what was staged.
    fn away(self) {
        self.clean();
        self.plan.unmake(self.roots);
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
    above.map(std::path::Path::to_owned).collect()
}

fn write_beside(dir: &OwnedFd, name: &str, content: &str, mode: Option<Mode>) -> io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = openat(dir, name, flags, Mode::from_raw_mode(0o666))?;
    if let Some(mode) = mode {
        fchmod(&fd, mode)?;
    }
    let mut file = File::from(fd);
    let (first, rest) = content.as_bytes().split_at(content.len() / 2);
    file.write_all(first)?;
    between();
    file.write_all(rest)?;
    Ok(fsync(&file)?)
}

#[cfg(test)]
mod tests;
