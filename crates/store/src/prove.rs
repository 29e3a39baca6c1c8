//! Proofs that an event is on record, for somebody who has the public key and nothing else.

use crate::chain::Sealed;
use crate::checkpoint::Checkpoint;
use crate::events::Own;
use crate::keys::PublicKey;
use crate::names::{Name, list};
use crate::pieces::Pieces;
use crate::recover::{own, resume};
use crate::tree::{Frontier, Leaves, hex, leaf, root_of, unhex};
use crate::verify::open_either;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::io::{self, BufReader};
use std::path::Path;
use thiserror::Error;

/// The version of the proof's form.
pub const PROOF_SCHEMA: &str = "toolgate.audit.proof/1";

/// All that is needed to see that the events of one id were on record when a checkpoint was signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    schema: Cow<'static, str>,
    /// The id of the events.
    pub id: String,
    chains: Vec<ChainProof>,
}

/// The events of one chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct ChainProof {
    checkpoint: Checkpoint<'static>,
    events: Vec<EventProof>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct EventProof {
    /// The line as it stands in the file.
    line: String,
    /// The index of its leaf: `seq` - 1.
    index: u64,
    /// What to fold the leaf with, from the leaf up, in hex.
    path: Vec<String>,
}

/// Why there is no proof.
#[derive(Debug, Error)]
pub enum ProveError {
    /// It is not there.
    #[error("there is no event with the id `{0}`")]
    Unknown(String),
    /// The process that recorded it has not signed it yet.
    #[error("no checkpoint covers the event yet")]
    Unsigned,
    /// The files do not hold together: verify them.
    #[error("the segments are not as they were written")]
    Broken,
    /// The system would not.
    #[error("cannot read the audit directory")]
    Io(#[from] io::Error),
}

/// Proves all events with this id.
///
/// # Errors
/// [`ProveError`] if there is none, or one that is not signed yet.
pub fn prove(dir: &Path, id: &str) -> Result<Proof, ProveError> {
    let needle = format!(",\"id\":{}", serde_json::Value::from(id));
    let mut chains = Vec::new();
    for parts in list(dir)?.segments.chunk_by(|a, b| a.time == b.time && a.chain == b.chain) {
        if let Some(chain) = Chain::with(dir, parts, needle.as_bytes())? {
            chains.push(chain.prove()?);
        }
    }
    if chains.is_empty() {
        return Err(ProveError::Unknown(id.to_owned()));
    }
    Ok(Proof { schema: PROOF_SCHEMA.into(), id: id.to_owned(), chains })
}

/// A chain in which something is to be proved.
struct Chain {
    tree: Leaves,
    hits: Vec<(u64, Vec<u8>)>,
    checkpoints: Vec<Checkpoint<'static>>,
}

impl Chain {
    /// Reads the chain, if `needle` is in it.
    fn with(dir: &Path, parts: &[Name], needle: &[u8]) -> Result<Option<Self>, ProveError> {
        let mut chain = Self {
            tree: Leaves { before: Frontier::default(), leaves: Vec::new() },
            hits: Vec::new(),
            checkpoints: Vec::new(),
        };
        let finder = memchr::memmem::Finder::new(needle);
        for name in parts {
            let file = open_either(dir, name)?;
            let mut pieces = Pieces::new(BufReader::with_capacity(256 * 1024, file));
            while let Some(piece) = pieces.next()?.filter(|piece| piece.whole) {
                let line = Sealed::read(piece.bytes).ok_or(ProveError::Broken)?;
                chain.take(&line, finder.find(piece.bytes).is_some())?;
            }
        }
        Ok((!chain.hits.is_empty()).then_some(chain))
    }

    fn take(&mut self, line: &Sealed<'_>, hit: bool) -> Result<(), ProveError> {
        match own(line) {
            Some(Own::Segment { tree, .. }) if self.tree.leaves.is_empty() => {
                self.tree.before = resume(line, &tree).ok_or(ProveError::Broken)?;
            }
            Some(Own::Checkpoint(checkpoint)) => self.checkpoints.push(checkpoint.into_owned()),
            None if hit => self.hits.push((line.seq - 1, line.line.to_vec())),
            _ => {}
        }
        self.tree.leaves.push(leaf(&line.hash));
        if self.tree.before.size() + self.tree.leaves.len() as u64 != line.seq {
            return Err(ProveError::Broken);
        }
        Ok(())
    }

    fn prove(self) -> Result<ChainProof, ProveError> {
        let last = self.hits.last().map_or(0, |(index, _)| *index);
        let checkpoint = self.checkpoints.into_iter().find(|signed| signed.size > last).ok_or(ProveError::Unsigned)?;
        let event = |(index, line): (u64, Vec<u8>)| {
            let path = self.tree.path(index, checkpoint.size)?.iter().map(|node| hex(node)).collect();
            Some(EventProof { line: String::from_utf8(line).ok()?, index, path })
        };
        let events: Option<_> = self.hits.into_iter().map(event).collect();
        Ok(ChainProof { events: events.ok_or(ProveError::Broken)?, checkpoint })
    }
}

impl Proof {
    /// Reads a proof.
    ///
    /// # Errors
    /// What is wrong with its form.
    pub fn parse(text: &[u8]) -> Result<Self, String> {
        let proof: Self = serde_json::from_slice(text).map_err(|error| error.to_string())?;
        if proof.schema != PROOF_SCHEMA {
            return Err(format!("its schema is `{}` and not `{PROOF_SCHEMA}`", proof.schema));
        }
        Ok(proof)
    }

    /// The lines that it proves, if `key` signed the checkpoints.
    ///
    /// # Errors
    /// What does not hold.
    pub fn check(&self, key: &PublicKey) -> Result<Vec<&str>, String> {
        let mut lines = Vec::new();
        for chain in &self.chains {
            if !chain.checkpoint.is_signed_by(key) {
                return Err("the checkpoint is not signed by this key".to_owned());
            }
            for event in &chain.events {
                event.check(&self.id, &chain.checkpoint)?;
                lines.push(&*event.line);
            }
        }
        if lines.is_empty() { Err("it proves nothing".to_owned()) } else { Ok(lines) }
    }
}

impl EventProof {
    fn check(&self, id: &str, checkpoint: &Checkpoint<'_>) -> Result<(), String> {
        #[derive(Deserialize)]
        struct WithId {
            id: String,
        }
        let line =
            Sealed::read(self.line.as_bytes()).ok_or("a line was changed: its hash is not that of its content")?;
        let named = serde_json::from_str::<WithId>(&self.line).is_ok_and(|event| event.id == id);
        if !named || line.seq != self.index + 1 {
            return Err("a line is another one than the proof says".to_owned());
        }
        let path: Option<Vec<_>> = self.path.iter().map(|node| unhex(node.as_bytes())).collect();
        let root = path.and_then(|path| root_of(leaf(&line.hash), self.index, checkpoint.size, &path));
        match root {
            Some(root) if checkpoint.root() == Some(root) => Ok(()),
            _ => Err("the line is not among those that were signed".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{attempt, end, open_sized, signer};
    use gate::ports::Ledger;
    use tempfile::tempdir;

    #[test]
    fn what_is_on_record_is_proved_by_the_proof_and_the_key_alone() {
        let dir = tempdir().expect("a directory");
        let ledger = open_sized(dir.path(), 4_000);
        for id in 0..50 {
            ledger.append(&attempt(&format!("x{id}"))).expect("room");
            ledger.append(&end(&format!("x{id}"))).expect("room");
        }
        ledger.close().expect("room");
        for id in ["x0", "x7", "x49"] {
            let proof = prove(dir.path(), id).expect("signed");
            let text = serde_json::to_vec(&proof).expect("JSON");
            let proof = Proof::parse(&text).expect("ours");
            let lines = proof.check(signer().public()).expect("it holds");
            assert!(lines.len() == 2 && lines.iter().all(|line| line.contains(&format!("\"id\":\"{id}\""))));
            let other = crate::Signer::from_seed(&[1; 32]);
            assert!(proof.check(other.public()).is_err());
        }
        assert!(matches!(prove(dir.path(), "x50"), Err(ProveError::Unknown(_))));
    }

    #[test]
    fn a_changed_byte_of_a_proof_is_seen() {
        let dir = tempdir().expect("a directory");
        let ledger = open_sized(dir.path(), 1 << 20);
        ledger.append(&attempt("a")).expect("room");
        assert!(matches!(prove(dir.path(), "a"), Err(ProveError::Unsigned)));
        ledger.checkpoint().expect("room");
        let text = serde_json::to_vec(&prove(dir.path(), "a").expect("signed")).expect("JSON");
        let holds = |text: &[u8]| Proof::parse(text).is_ok_and(|proof| proof.check(signer().public()).is_ok());
        assert!(holds(&text));
        // The key's id is for people: which key is used is the verifier's word.
        let key = memchr::memmem::find(&text, b"\"key\":").expect("there");
        for at in (0..text.len()).step_by(11).filter(|at| !(key..key + 8 + 16).contains(at)) {
            let mut changed = text.clone();
            changed[at] ^= 1;
            assert!(!holds(&changed), "byte {at}: {}", String::from_utf8_lossy(&changed));
        }
    }
}
