//! One segment, line by line: what each must be, given those before it. No files here.

use crate::chain::{Link, Sealed};
use crate::checkpoint::Checkpoint;
use crate::events::{Dropped, Head, Mark, Open, Own};
use crate::keys::PublicKey;
use crate::names::{Name, State};
use crate::pieces::Piece;
use crate::prune::before_head;
use crate::recover::{own, resume};
use crate::tree::Frontier;

/// How far the reading of a segment is.
pub(super) struct Reading<'a> {
    pub name: &'a Name,
    /// The last line and the tree over all; `None` at the first line of a segment whose predecessor is not there.
    pub so_far: Option<(Link, Frontier)>,
    /// How many lines of the file were read.
    pub number: u64,
    /// The attempts without an end.
    pub open: Open,
    /// How many lines of the chain the last checkpoint covers.
    pub signed: u64,
    /// What is on record as deleted, and where.
    pub pruned: Vec<(u64, u64, Vec<Dropped<'static>>)>,
    closed: bool,
    /// Whether the last line is a checkpoint.
    ends_signed: bool,
}

/// What a good line means to others.
pub(super) enum Verdict<'a> {
    Plain,
    Attempt,
    InDoubt,
    Signed(Checkpoint<'a>),
    Remembers(Vec<Head<'static>>),
    Headless(Dropped<'static>),
}

impl<'n> Reading<'n> {
    pub fn new(name: &'n Name, so_far: Option<(Link, Frontier)>) -> Self {
        let (open, pruned) = (Open::default(), Vec::new());
        Self { name, so_far, number: 0, open, signed: 0, pruned, closed: false, ends_signed: false }
    }

    /// The number in the chain that the next line must have.
    pub fn next_seq(&self) -> Option<u64> {
        let first = || (self.name.part == 1).then_some(1);
        self.so_far.as_ref().map_or_else(first, |(link, _)| Some(link.seq + 1))
    }

    /// How many lines the chain has so far.
    pub fn lines(&self) -> u64 {
        self.so_far.as_ref().map_or(0, |(link, _)| link.seq)
    }

    /// Reads a line. An error is what is wrong with it.
    pub fn take<'a>(&mut self, piece: &Piece<'a>, key: Option<&PublicKey>) -> Result<Verdict<'a>, &'static str> {
        if !piece.whole {
            return Err(match self.name.state {
                State::Unfinished => {
                    "the line is not whole: its writer died in it (recovery moves it aside), or it was cut"
                }
                State::Closed | State::Damaged => "the line is not whole",
            });
        }
        let line = Sealed::read(piece.bytes).ok_or("the line was changed: its hash is not that of its content")?;
        let event = own(&line);
        if self.closed && (self.ends_signed || !matches!(event, Some(Own::Checkpoint(_)))) {
            return Err("a line follows the `close` event");
        }
        let headless = self.so_far.is_none() && self.name.part > 1;
        let before = match self.so_far.as_ref() {
            Some((link, _)) => *link,
            None if self.name.part == 1 => Link::START,
            None => line.before().ok_or("the line has no number")?,
        };
        if !before.leads_to(&line) {
            return Err("the chain breaks: the line does not follow the one before it");
        }
        if self.number == 1 {
            self.begin(&line, event.as_ref())?;
        }
        let verdict = self.judge(&line, event, key)?;
        let (link, tree) = self.so_far.as_mut().ok_or("the line has no head before it")?;
        *link = line.link();
        tree.push(&line.hash);
        let beginning = headless.then(|| before_head(&line, self.name.part)).flatten();
        Ok(beginning.map_or(verdict, Verdict::Headless))
    }

    /// The first line says which segment it is and, in a later part, the tree over all before it.
    fn begin(&mut self, line: &Sealed<'_>, event: Option<&Own<'_>>) -> Result<(), &'static str> {
        let Some(Own::Segment { chain, part, tree, .. }) = event else {
            return Err("the first line is not a `segment` event");
        };
        if *chain != *self.name.chain || *part != self.name.part {
            return Err("the file has another segment's name");
        }
        let tree = resume(line, tree).ok_or("the line holds no tree over the lines before it")?;
        if self.so_far.as_ref().is_some_and(|(_, known)| *known != tree) {
            return Err("the tree in the line is not that over the lines before it");
        }
        self.so_far = Some((line.before().ok_or("the line has no number")?, tree));
        Ok(())
    }

    fn judge<'a>(
        &mut self,
        line: &Sealed<'a>,
        event: Option<Own<'a>>,
        key: Option<&PublicKey>,
    ) -> Result<Verdict<'a>, &'static str> {
        self.ends_signed = false;
        match event {
            Some(Own::Checkpoint(checkpoint)) => return self.checkpoint(checkpoint, key),
            Some(Own::Segment { after, .. }) => return Ok(Verdict::Remembers(after.into_iter().map(owned).collect())),
            Some(Own::Carried { open, read, .. }) => {
                open.iter().for_each(|id| self.open.add(id, true));
                read.iter().for_each(|id| self.open.add(id, false));
            }
            Some(Own::Pruned { before, dropped, .. }) => {
                let dropped = dropped.into_iter().map(Dropped::into_owned).collect();
                self.pruned.push((line.seq, before, dropped));
            }
            Some(Own::Close { .. }) => self.closed = true,
            Some(Own::End { .. }) | None => {
                let mark = Mark::of(line.line);
                self.open.apply(&mark);
                return Ok(match mark {
                    Mark::Opens { .. } => Verdict::Attempt,
                    Mark::Ends(_) if in_doubt(line.line) => Verdict::InDoubt,
                    _ => Verdict::Plain,
                });
            }
        }
        Ok(Verdict::Plain)
    }

    fn checkpoint<'a>(
        &mut self,
        checkpoint: Checkpoint<'a>,
        key: Option<&PublicKey>,
    ) -> Result<Verdict<'a>, &'static str> {
        let (_, tree) = self.so_far.as_ref().ok_or("the line has no head before it")?;
        let over_these = checkpoint.size == tree.size() && checkpoint.root() == Some(tree.root());
        if !over_these || checkpoint.chain != *self.name.chain {
            return Err("the checkpoint is not over the lines before it");
        }
        if key.is_some_and(|key| !checkpoint.is_signed_by(key)) {
            return Err("the checkpoint is not signed by this key");
        }
        self.ends_signed = true;
        self.signed = checkpoint.size;
        Ok(Verdict::Signed(checkpoint))
    }

    /// What is missing at the end of the file, which is the last of its chain or not.
    pub fn missing_end(&self, last: bool) -> Option<&'static str> {
        match self.name.state {
            State::Damaged => Some("recovery found the file changed"),
            State::Closed if self.number == 0 => Some("the file is empty"),
            State::Closed if last && !self.closed => {
                Some("a line is missing at the end: the last event of a closed chain is a `close` event")
            }
            State::Closed if last && !self.ends_signed => {
                Some("a line is missing at the end: a closed chain ends with a checkpoint")
            }
            State::Closed | State::Unfinished => None,
        }
    }
}

/// Whether an end says of itself that nobody knows what the call did.
fn in_doubt(end: &[u8]) -> bool {
    memchr::memmem::find(end, b",\"in_doubt\":true").is_some()
}

fn owned(head: Head<'_>) -> Head<'static> {
    let Head { chain, size, root, ts } = head;
    Head { chain: chain.into_owned().into(), size, root: root.into_owned().into(), ts }
}
