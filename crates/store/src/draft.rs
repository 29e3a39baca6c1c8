//! Lines that are not yet written: what a chain becomes if they are. No files here.

use crate::chain::{Link, Unsealable};
use crate::checkpoint::Checkpoint;
use crate::events::{CARRIED_PER_LINE, Open, Own};
use crate::keys::Signer;
use crate::tree::Frontier;
use std::borrow::Cow;

/// Lines in the making. For single events the writer has a shorter way, which does not copy the tree.
pub(crate) struct Draft<'a> {
    pub signer: &'a Signer,
    pub chain: &'a str,
    pub ts: u64,
    /// The last line so far.
    pub link: Link,
    /// The tree over all lines so far.
    pub tree: Frontier,
    /// The new lines.
    pub bytes: Vec<u8>,
    /// What was signed last.
    pub signed: Option<Checkpoint<'static>>,
}

impl Draft<'_> {
    /// Adds an event.
    pub fn event(&mut self, event: &[u8]) -> Result<(), Unsealable> {
        self.link = self.link.seal(event, &mut self.bytes)?;
        self.tree.push(&self.link.hash);
        Ok(())
    }

    /// Adds a checkpoint over all lines so far.
    pub fn checkpoint(&mut self) -> Result<(), Unsealable> {
        let checkpoint = Checkpoint::sign(self.signer, self.chain, &self.tree, self.ts);
        self.event(&Own::Checkpoint(checkpoint.clone()).to_json())?;
        self.signed = Some(checkpoint);
        Ok(())
    }

    /// Adds an end for each of `open`, a `close` event, and the chain's last checkpoint.
    pub fn ending(&mut self, open: &Open, why: &str, torn: u64) -> Result<(), Unsealable> {
        let ts = self.ts;
        for (id, in_doubt) in open.sorted() {
            self.event(&Own::End { id: id.into(), ts, end: "lost".into(), in_doubt }.to_json())?;
        }
        self.event(&Own::Close { ts, why: why.into(), lost: open.len(), torn }.to_json())?;
        self.checkpoint()
    }

    /// Adds what stands at the head of a part.
    pub fn preamble(&mut self, header: &Own<'_>, open: &Open) -> Result<(), Unsealable> {
        self.event(&header.to_json())?;
        for ids in open.sorted().chunks(CARRIED_PER_LINE) {
            let of = |wanted: bool| {
                let ids = ids.iter().filter(|(_, effects)| *effects == wanted);
                ids.map(|(id, _)| Cow::Borrowed(*id)).collect::<Vec<_>>()
            };
            self.event(&Own::Carried { ts: self.ts, open: of(true), read: of(false) }.to_json())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::Mark;

    #[test]
    fn any_number_of_attempts_can_be_carried() {
        let mut open = Open::default();
        for n in 0..2_500 {
            open.apply(&Mark::Opens { id: format!("{n:036}").into(), effects: n % 2 == 0 });
        }
        let header = Own::Close { ts: 0, why: "".into(), lost: 0, torn: 0 };
        let signer = Signer::from_seed(&[1; 32]);
        let (link, tree) = (Link::START, Frontier::default());
        let mut draft = Draft { signer: &signer, chain: "c", ts: 1, link, tree, bytes: Vec::new(), signed: None };
        draft.preamble(&header, &open).expect("fits");
        assert_eq!((draft.link.seq, draft.tree.size()), (4, 4));
    }
}
