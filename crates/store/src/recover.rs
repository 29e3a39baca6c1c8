//! Finishes what a dead writer left: ends its open attempts as lost, moves half a line aside, closes the chain.
//!
//! A segment whose writer lives is locked and never touched. Nothing is ever deleted but an empty file.

use crate::chain::{Link, Sealed};
use crate::draft::Draft;
use crate::events::{Mark, Open, Own};
use crate::heads;
use crate::names::{Name, State, list};
use crate::pieces::Pieces;
use crate::segments::{Door, path_of};
use crate::tree::{Frontier, unhex};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// What recovery did.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Segments that were closed.
    pub closed: usize,
    /// Attempts that were ended as lost.
    pub lost: usize,
    /// How many of those may have had effects.
    pub in_doubt: usize,
    /// Bytes that were moved to `.torn` files.
    pub torn_bytes: u64,
    /// Segments that somebody changed. They are renamed to `.damaged.jsonl` and otherwise left alone.
    pub damaged: Vec<PathBuf>,
    /// Segments that could not be recovered now, and why. They are tried again next time.
    pub failed: Vec<(PathBuf, String)>,
}

/// Why nothing could be recovered.
#[derive(Debug, Error)]
#[error("cannot list the audit directory `{}`", .dir.display())]
pub struct RecoverError {
    /// The directory.
    pub dir: PathBuf,
    /// Why.
    pub source: io::Error,
}

/// Recovers every unfinished segment in `dir` whose writer is dead. Safe beside any number of writers and of others
/// who recover. Blocks; costs one listing of the directory, and a reading of each segment left unfinished.
///
/// # Errors
/// [`RecoverError`] if the directory cannot be listed. A directory that does not exist has nothing to recover.
pub fn recover(dir: &Path, door: &Door) -> Result<Recovered, RecoverError> {
    let names = list(dir).map_err(|source| RecoverError { dir: dir.to_owned(), source })?.segments;
    let mut done = Recovered::default();
    for name in names.iter().filter(|name| name.state == State::Unfinished) {
        let path = path_of(dir, name);
        if let Err(error) = (Case { dir, name, path: &path, door }).recover(&mut done) {
            done.failed.push((path, error.to_string()));
        }
    }
    Ok(done)
}

/// One segment that may need recovery.
struct Case<'a> {
    dir: &'a Path,
    name: &'a Name,
    path: &'a Path,
    door: &'a Door,
}

impl Case<'_> {
    fn recover(&self, done: &mut Recovered) -> io::Result<()> {
        let Some(mut file) = take(self.path)? else { return Ok(()) };
        let length = file.metadata()?.len();
        if length == 0 {
            // Its writer died between creating and writing it, or is about to lock it and will notice.
            return std::fs::remove_file(self.path);
        }
        let survey = Survey::read(&mut file, self.name, self.door)?;
        if survey.changed {
            let aside = path_of(self.dir, &self.name.with(State::Damaged));
            std::fs::rename(self.path, &aside)?;
            done.damaged.push(aside);
            return Ok(());
        }
        if !survey.begun {
            return self.set_aside_unbegun(&mut file, length, done);
        }
        done.torn_bytes += move_torn(&mut file, self.path, survey.good_end)?;
        if !self.has_successor() {
            self.end(&mut file, &survey, done)?;
        }
        // Cuts off what the dead writer had reserved, too.
        file.set_len(file.metadata()?.len())?;
        file.sync_all()?;
        std::fs::rename(self.path, path_of(self.dir, &self.name.with(State::Closed)))?;
        done.closed += 1;
        Ok(())
    }

    /// A part without all of its head never held an event: its bytes go aside, and the part before it is the last.
    fn set_aside_unbegun(&self, file: &mut File, length: u64, done: &mut Recovered) -> io::Result<()> {
        move_torn(file, self.path, 0)?;
        std::fs::remove_file(self.path)?;
        done.torn_bytes += length;
        Ok(())
    }

    /// Appends the missing ends, the `close` event and the checkpoint over them.
    fn end(&self, file: &mut File, survey: &Survey, done: &mut Recovered) -> io::Result<()> {
        if survey.closed && survey.signed {
            return Ok(());
        }
        let ts = self.door.clock.wall_micros();
        let Survey { link, tree, open, .. } = survey;
        let (signer, chain, tree) = (&*self.door.signer, &*self.name.chain, tree.clone());
        let mut draft = Draft { signer, chain, ts, link: *link, tree, bytes: Vec::new(), signed: None };
        let drafted = if survey.closed {
            draft.checkpoint()
        } else {
            let torn = std::fs::metadata(torn_path(self.path)).map_or(0, |metadata| metadata.len());
            draft.ending(open, "recovered", torn)
        };
        drafted.map_err(io::Error::other)?;
        if let Err(error) = file.write_all(&draft.bytes) {
            file.set_len(survey.good_end)?;
            return Err(error);
        }
        if !survey.closed {
            done.lost += open.len();
            done.in_doubt += open.in_doubt();
        }
        heads::post(self.dir, draft.signed.as_slice())
    }

    /// Whether the chain goes on in another part, which then holds the attempts still open here.
    fn has_successor(&self) -> bool {
        let next = self.name.next();
        [State::Closed, State::Unfinished, State::Damaged].into_iter().any(|state| {
            let name = next.with(state);
            File::open(path_of(self.dir, &name))
                .and_then(|mut file| Survey::read_head(&mut file, &name, self.door))
                .is_ok_and(|survey| survey.begun)
        })
    }
}

/// Opens and locks a segment that nobody writes. `None` if somebody does, or if it is gone.
fn take(path: &Path) -> io::Result<Option<File>> {
    let flags = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();
    let file = match OpenOptions::new().read(true).append(true).custom_flags(flags).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => return Ok(None),
        Err(TryLockError::Error(error)) => return Err(error),
        Ok(()) => {}
    }
    // Somebody may have recovered and renamed it before we had the lock.
    let ours = file.metadata()?;
    let still = std::fs::metadata(path).is_ok_and(|there| there.ino() == ours.ino() && there.dev() == ours.dev());
    Ok(still.then_some(file))
}

/// What a segment holds.
struct Survey {
    /// The last line of the unbroken chain.
    link: Link,
    /// Where that line ends.
    good_end: u64,
    /// The tree over all lines up to that one.
    tree: Frontier,
    open: Open,
    /// Whether the head is complete.
    begun: bool,
    /// Whether there is a `close` event.
    closed: bool,
    /// Whether the last line is a checkpoint.
    signed: bool,
    /// Whether lines follow that belong to no chain, or not to this one: no crash leaves that behind.
    changed: bool,
}

impl Survey {
    fn read(file: &mut File, name: &Name, door: &Door) -> io::Result<Self> {
        Self::read_until(file, name, door, |_| false)
    }

    fn read_head(file: &mut File, name: &Name, door: &Door) -> io::Result<Self> {
        Self::read_until(file, name, door, |survey| survey.begun)
    }

    fn new() -> Self {
        Self {
            link: Link::START,
            good_end: 0,
            tree: Frontier::default(),
            open: Open::default(),
            begun: false,
            closed: false,
            signed: false,
            changed: false,
        }
    }

    fn read_until(file: &mut File, name: &Name, door: &Door, enough: impl Fn(&Self) -> bool) -> io::Result<Self> {
        file.seek(SeekFrom::Start(0))?;
        let mut pieces = Pieces::new(BufReader::with_capacity(64 * 1024, file));
        let mut survey = Self::new();
        let mut carried = None;
        let mut bad = false;
        while let Some(piece) = pieces.next()? {
            let Some(line) = Sealed::read(piece.bytes).filter(|_| piece.whole) else {
                bad = true;
                continue;
            };
            let follows =
                if survey.good_end == 0 { survey.head(&line, name, &mut carried) } else { survey.link.leads_to(&line) };
            if bad || !follows || !survey.take(&line, piece.end, &mut carried, door) {
                survey.changed = true;
                return Ok(survey);
            }
            if enough(&survey) {
                break;
            }
        }
        Ok(survey)
    }

    /// Takes one line. `false` if it is a checkpoint that is not true.
    fn take(&mut self, line: &Sealed<'_>, end: u64, carried: &mut Option<usize>, door: &Door) -> bool {
        self.signed = false;
        match own(line) {
            Some(Own::Carried { open, read, .. }) => {
                open.iter().for_each(|id| self.open.add(id, true));
                read.iter().for_each(|id| self.open.add(id, false));
                *carried = carried.map(|left| left.saturating_sub(open.len() + read.len()));
            }
            Some(Own::Checkpoint(checkpoint)) => {
                let true_root = checkpoint.size == self.tree.size() && checkpoint.root() == Some(self.tree.root());
                if !true_root || !checkpoint.is_signed_by(door.signer.public()) {
                    return false;
                }
                self.signed = true;
            }
            Some(Own::Close { .. }) => self.closed = true,
            _ => self.open.apply(&Mark::of(line.line)),
        }
        self.link = line.link();
        self.good_end = end;
        self.tree.push(&line.hash);
        self.begun |= *carried == Some(0);
        true
    }

    /// Whether `line` is the first of the part called `name`. Notes how many attempts it carries.
    fn head(&mut self, line: &Sealed<'_>, name: &Name, carried: &mut Option<usize>) -> bool {
        let Some(Own::Segment { chain, part, carried: count, tree, .. }) = own(line) else { return false };
        *carried = Some(count);
        let Some(tree) = resume(line, &tree) else { return false };
        self.tree = tree;
        let begins = name.part > 1 || Link::START.leads_to(line);
        chain == *name.chain && part == name.part && begins
    }
}

/// The tree over all lines before the head of a part, as the head gives it.
pub(crate) fn resume(head: &Sealed<'_>, tree: &[std::borrow::Cow<'_, str>]) -> Option<Frontier> {
    let peaks: Option<_> = tree.iter().map(|peak| unhex(peak.as_bytes())).collect();
    Frontier::resume(head.seq.checked_sub(1)?, peaks?)
}

/// The line as an event of the ledger's own.
pub(crate) fn own<'a>(line: &Sealed<'a>) -> Option<Own<'a>> {
    const OURS: [&[u8]; 5] = [b"segment\"", b"carried\"", b"checkpoint\"", b"close\"", b"pruned\""];
    let event = line.line.strip_prefix(b"{\"event\":\"")?;
    OURS.iter().any(|ours| event.starts_with(ours)).then(|| serde_json::from_slice(line.line).ok())?
}

fn torn_path(path: &Path) -> PathBuf {
    let mut torn = path.as_os_str().to_owned();
    torn.push(".torn");
    torn.into()
}

/// Moves everything from `good_end` on to the `.torn` file beside it. Returns how many bytes that were.
fn move_torn(file: &mut File, path: &Path, good_end: u64) -> io::Result<u64> {
    let mut torn = Vec::new();
    file.seek(SeekFrom::Start(good_end))?;
    file.read_to_end(&mut torn)?;
    if torn.is_empty() {
        return Ok(0);
    }
    let mut aside = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(torn_path(path))?;
    let mut there = Vec::new();
    aside.read_to_end(&mut there)?;
    // Whoever recovered before may have died between the copy and the cut.
    if !there.ends_with(&torn) {
        aside.write_all(&torn)?;
    }
    aside.sync_all()?;
    file.set_len(good_end)?;
    Ok(torn.len() as u64)
}

#[cfg(test)]
mod tests;
