//! What one place of the ledger says about another: what was signed, what was deleted. Checked when all was read.

use super::{Bad, Place};
use crate::checkpoint::Checkpoint;
use crate::events::{Dropped, Head};
use std::collections::{HashMap, HashSet};
use std::path::Path;

/// All that was said.
#[derive(Default)]
pub(super) struct Claims {
    /// The checkpoints that stand in the chains and are true.
    found: HashMap<Box<str>, HashSet<(u64, Box<str>)>>,
    /// Checkpoints that somebody remembers.
    remembered: Vec<(Head<'static>, Place)>,
    /// Beginnings that are on record as deleted.
    dropped: Vec<Dropped<'static>>,
    /// Everything that is on record as deleted was signed before this.
    before: u64,
    /// Chains that do not begin with their first part.
    headless: Vec<(Dropped<'static>, Place)>,
}

impl Claims {
    pub fn found(&mut self, checkpoint: &Checkpoint<'_>) {
        let of_chain = self.found.entry((&*checkpoint.chain).into()).or_default();
        of_chain.insert((checkpoint.size, (&*checkpoint.root).into()));
    }

    pub fn remembered(&mut self, head: Head<'static>, place: Place) {
        self.remembered.push((head, place));
    }

    pub fn dropped(&mut self, before: u64, dropped: impl IntoIterator<Item = Dropped<'static>>) {
        self.before = self.before.max(before);
        self.dropped.extend(dropped);
    }

    pub fn headless(&mut self, beginning: Dropped<'static>, place: Place) {
        self.headless.push((beginning, place));
    }

    /// How many chains are there from a later part on.
    pub fn shortened(&self) -> u64 {
        self.headless.len() as u64
    }

    /// The first thing that was said and is not so.
    pub fn first_bad(&self) -> Option<Bad> {
        let unrecorded = self.headless.iter().find(|(beginning, _)| {
            let same = |dropped: &Dropped<'_>| Dropped { bytes: 0, ..dropped.clone() } == *beginning;
            !self.dropped.iter().any(same)
        });
        if let Some((beginning, place)) = unrecorded {
            let why = format!("the part before it is not part {}, and its deletion is not on record", beginning.part);
            return Some(place.bad(why));
        }
        self.remembered.iter().find_map(|(head, place)| {
            let there = self.found.get(&*head.chain);
            if head.ts < self.before || there.is_some_and(|all| all.contains(&(head.size, (&*head.root).into()))) {
                return None;
            }
            let missing = if there.is_some() { "is no longer what it was" } else { "is missing" };
            let Head { chain, size, .. } = head;
            Some(place.bad(format!("{size} lines of the chain {chain} were signed, and it {missing}")))
        })
    }
}

impl Place {
    pub fn new(file: &Path, line: u64, seq: Option<u64>) -> Self {
        Self { file: file.to_owned(), line, seq }
    }

    pub fn bad(&self, why: impl Into<String>) -> Bad {
        let Self { file, line, seq } = self.clone();
        Bad { file, line, seq, why: why.into() }
    }
}
