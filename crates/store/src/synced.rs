//! What is known about the disk: which lines are on it, and which nobody will ever know about.

use gate::ports::{LedgerError, Position};

/// Up to where the chain is on the disk.
#[derive(Default)]
pub(crate) struct Synced {
    pub upto: u64,
    /// After a failed sync nobody knows what these lines became, and no later sync can tell.
    pub unknown: Option<(u64, u64)>,
}

impl Synced {
    /// Whether `position` is on the disk, failed to get there, or (`None`) was not synced yet.
    pub fn of(&self, Position(seq): Position) -> Option<Result<(), LedgerError>> {
        if self.unknown.is_some_and(|(from, to)| (from..=to).contains(&seq)) {
            return Some(Err(LedgerError("the disk failed before the record was on it".to_owned())));
        }
        (seq <= self.upto).then_some(Ok(()))
    }

    /// Notes that everything up to `upto` that was not synced before may be lost.
    pub fn failed(&mut self, upto: u64) {
        let from = self.unknown.map_or(self.upto + 1, |(from, _)| from);
        self.unknown = Some((from, upto));
    }
}
