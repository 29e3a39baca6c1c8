//! Writing a plan so that a crash at any point leaves one of two states, found again by [`recover`].
//!
//! The order is the promise: originals, journal, toolgate.toml, the client's file, journal. Each file is replaced whole
//! or not at all.

use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::journal::{self, Journal, Record, Round, State, digest, sync};
use super::plan::{Change, Plan, Which, text_of};
use super::undo::{self, Undo};
use super::{Client, ConnectError, failed};
use crate::config::{Writer, followed};

/// One step; after each the process may die.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Keeps what will be needed later.
    Keep,
    /// Says in the journal what begins.
    Begin,
    /// Replaces the file of this number.
    Write(usize),
    /// Says that it is done.
    End,
}

/// Connects as planned. The files have to be as they were when it was planned.
///
/// # Errors
/// When one was changed meanwhile or cannot be written; all are as before then.
pub fn connect(writer: &Writer, home: &Path, plan: &Plan, at: u64) -> Result<(), ConnectError> {
    let mut connecting = Connecting::of(home, plan, at)?;
    for step in connecting.steps() {
        if let Err(error) = connecting.run(step) {
            recover(writer, home, plan.client)?;
            return Err(error);
        }
    }
    Ok(())
}

/// A plan being written.
pub(super) struct Connecting<'a> {
    home: &'a Path,
    plan: &'a Plan,
    journal: Journal,
    round: Option<Round>,
    /// What of the mode of toolgate.toml may stay: nobody may read there what they could not read at the client.
    bounds: u32,
}

impl<'a> Connecting<'a> {
    pub(super) fn of(home: &'a Path, plan: &'a Plan, at: u64) -> Result<Self, ConnectError> {
        let journal = journal::read(home, plan.client)?.unwrap_or_else(|| Journal::new(plan.client));
        let client = plan.files.iter().find(|change| change.which == Which::Client);
        let bounds = client.and_then(|change| mode(&change.path)).unwrap_or(0o600) | 0o700;
        let narrowed = |change: &Change| mode(&change.path).filter(|mode| mode & !bounds & 0o077 != 0);
        let record = |change: &Change| Record {
            which: change.which,
            path: change.path.clone(),
            before: digest(change.before.as_deref()),
            after: digest(change.after.as_deref()),
            mode: narrowed(change).filter(|_| change.which == Which::Gate),
        };
        let files = plan.files.iter().map(record).collect();
        let round = Some(Round { at, files, moved: plan.moved.clone(), ours: plan.ours.clone() });
        Ok(Self { home, plan, journal, round, bounds })
    }

    pub(super) fn steps(&self) -> Vec<Step> {
        let writes = (0..self.plan.files.len()).map(Step::Write);
        [Step::Keep, Step::Begin].into_iter().chain(writes).chain([Step::End]).collect()
    }

    pub(super) fn run(&mut self, step: Step) -> Result<(), ConnectError> {
        match step {
            Step::Keep => self.journal.keep(self.home, &self.plan.files),
            Step::Begin => {
                self.journal.rounds.extend(self.round.take());
                self.journal.state = State::Connecting;
                self.journal.save(self.home)
            }
            Step::Write(file) => {
                let change = &self.plan.files[file];
                if change.which == Which::Gate {
                    narrow(&change.path, self.bounds)?;
                }
                write(change)
            }
            Step::End => {
                self.journal.state = State::Connected;
                self.journal.save(self.home)
            }
        }
    }
}

/// Puts back what [`undo::undo`] worked out.
///
/// # Errors
/// When a file was changed meanwhile or cannot be written. What is left to do is done by the next [`recover`].
pub fn disconnect(_writer: &Writer, home: &Path, client: Client, undo: &Undo) -> Result<(), ConnectError> {
    let Some(mut disconnecting) = Disconnecting::of(home, client, undo)? else {
        return Ok(());
    };
    disconnecting.steps().into_iter().try_for_each(|step| disconnecting.run(step))
}

/// An undo being written.
pub(super) struct Disconnecting<'a> {
    home: &'a Path,
    undo: &'a Undo,
    journal: Journal,
}

impl<'a> Disconnecting<'a> {
    pub(super) fn of(home: &'a Path, client: Client, undo: &'a Undo) -> Result<Option<Self>, ConnectError> {
        Ok(journal::read(home, client)?.map(|journal| Self { home, undo, journal }))
    }

    pub(super) fn steps(&self) -> Vec<Step> {
        let writes = (0..self.undo.files.len()).map(Step::Write);
        [Step::Begin].into_iter().chain(writes).chain([Step::Keep, Step::End]).collect()
    }

    pub(super) fn run(&mut self, step: Step) -> Result<(), ConnectError> {
        match step {
            Step::Begin => {
                self.journal.state = State::Disconnecting;
                self.journal.save(self.home)
            }
            Step::Write(file) => put_back(&self.undo.files[file], &self.journal),
            Step::Keep => self.bequeath(),
            Step::End => self.journal.close(self.home),
        }
    }

    /// Tells other clients which servers stay for them.
    fn bequeath(&self) -> Result<(), ConnectError> {
        for (heir, names) in &self.undo.adopted {
            if let Some(mut journal) = journal::read(self.home, *heir)? {
                journal.adopted.extend(names.iter().cloned());
                journal.save(self.home)?;
            }
        }
        Ok(())
    }
}

/// Ends what was broken off: a connect is finished if nothing of it is missing, else taken back; a disconnect is
/// finished. Says whether there was anything to do.
///
/// # Errors
/// What stands in the way of that.
pub fn recover(writer: &Writer, home: &Path, client: Client) -> Result<bool, ConnectError> {
    let Some(mut journal) = journal::read(home, client)? else {
        return Ok(false);
    };
    clear_away(&journal);
    match journal.state {
        State::Connected => return Ok(false),
        State::Disconnecting => {
            let undo = undo::undo(home, client)?;
            disconnect(writer, home, client, &undo)?;
        }
        State::Connecting if is_whole(&journal)? => {
            journal.state = State::Connected;
            journal.save(home)?;
        }
        State::Connecting => take_back(home, journal)?,
    }
    Ok(true)
}

fn is_whole(journal: &Journal) -> Result<bool, ConnectError> {
    let files = journal.rounds.last().map(|round| round.files.as_slice()).unwrap_or_default();
    let states: Result<Vec<_>, _> = files
        .iter()
        .map(|record| Ok::<_, ConnectError>(digest(text_of(&record.path)?.as_deref()) == record.after))
        .collect();
    Ok(states?.into_iter().all(|whole| whole))
}

fn take_back(home: &Path, mut journal: Journal) -> Result<(), ConnectError> {
    let undo = undo::last_round(home, &journal)?;
    for change in undo.files.iter().filter(|change| change.before != change.after) {
        put_back(change, &journal)?;
    }
    journal.rounds.pop();
    if journal.rounds.is_empty() {
        return journal.forget(home);
    }
    journal.state = State::Connected;
    journal.save(home)
}

/// Removes what a killed write left.
fn clear_away(journal: &Journal) {
    for record in journal.rounds.iter().flat_map(|round| &round.files) {
        let _ = fs::remove_file(aside(&followed(&record.path)));
    }
}

/// The mode of a file, if it is there.
fn mode(path: &Path) -> Option<u32> {
    fs::metadata(path).ok().map(|found| found.permissions().mode())
}

/// Takes rights away that are not among `bounds`; before anything is written that needs that.
fn narrow(path: &Path, bounds: u32) -> Result<(), ConnectError> {
    match mode(path).filter(|mode| mode & !bounds & 0o077 != 0) {
        Some(mode) => set_mode(path, mode & (bounds | !0o077)),
        None => Ok(()),
    }
}

fn set_mode(path: &Path, mode: u32) -> Result<(), ConnectError> {
    fs::set_permissions(path, Permissions::from_mode(mode)).map_err(failed("set the mode of", path))
}

/// Writes what was worked out, with the mode the file had when it last held that.
fn put_back(change: &Change, journal: &Journal) -> Result<(), ConnectError> {
    write(change)?;
    match journal.mode_of(&change.path, change.after.as_deref()) {
        Some(mode) => set_mode(&change.path, mode),
        None => Ok(()),
    }
}

/// Replaces a file, or takes it away, if it is what it is thought to be.
fn write(change: &Change) -> Result<(), ConnectError> {
    let now = text_of(&change.path)?;
    if now == change.after {
        return Ok(());
    }
    if now != change.before {
        return Err(ConnectError::Changed { path: change.path.clone() });
    }
    let path = followed(&change.path);
    match &change.after {
        Some(text) => put(&path, text),
        // A link that somebody made stays, and leads to an empty file.
        None if change.which == Which::Gate && path != change.path => put(&path, ""),
        None => {
            fs::remove_file(&path).map_err(failed("remove", &path))?;
            sync(path.parent().unwrap_or(Path::new(".")))
        }
    }
}

fn aside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    path.with_file_name(format!(".{name}.toolgate-new"))
}

/// Writes a file whole or not at all, with the mode it had; a new one for its owner alone.
pub(super) fn put(path: &Path, text: &str) -> Result<(), ConnectError> {
    let aside = aside(path);
    match fs::remove_file(&aside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed("remove", &aside)(error)),
        _ => {}
    }
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(&aside);
    let file = file.as_mut().map_err(|error| failed("create", &aside)(error.kind().into()))?;
    if let Ok(old) = fs::metadata(path) {
        let mode = Permissions::from_mode(old.permissions().mode());
        file.set_permissions(mode).map_err(failed("set the mode of", &aside))?;
    }
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed("write", &aside))?;
    fs::rename(&aside, path).map_err(failed("replace", path))?;
    sync(path.parent().unwrap_or(Path::new(".")))
}
