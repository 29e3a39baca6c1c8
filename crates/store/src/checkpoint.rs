//! What is signed: how many lines a chain had, and the root of the tree over them. No files here.

use crate::events::Head;
use crate::keys::{PublicKey, Signer};
use crate::tree::{Frontier, Node, hex, unhex};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// The first line of every statement that is signed.
const FORM: &str = "toolgate.checkpoint/1";

/// A signed statement about the first `size` lines of a chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Checkpoint<'a> {
    /// When it was signed, in microseconds since 1970.
    pub ts: u64,
    pub chain: Cow<'a, str>,
    /// How many lines, from the chain's first.
    pub size: u64,
    /// The root over them, in hex.
    pub root: Cow<'a, str>,
    /// The id of the key.
    pub key: Cow<'a, str>,
    /// The Ed25519 signature over the statement, in hex.
    pub sig: Cow<'a, str>,
}

impl Checkpoint<'_> {
    /// Signs the tree over a chain's lines so far.
    pub fn sign(signer: &Signer, chain: &str, tree: &Frontier, ts: u64) -> Checkpoint<'static> {
        let mut checkpoint = Checkpoint {
            ts,
            chain: chain.to_owned().into(),
            size: tree.size(),
            root: hex(&tree.root()).into(),
            key: signer.public().id().into(),
            sig: "".into(),
        };
        checkpoint.sig = hex(&signer.sign(checkpoint.statement().as_bytes())).into();
        checkpoint
    }

    /// The text that is signed: five lines.
    pub fn statement(&self) -> String {
        format!("{FORM}\n{}\n{}\n{}\n{}\n", self.chain, self.size, self.root, self.ts)
    }

    /// Whether `key` signed it.
    pub fn is_signed_by(&self, key: &PublicKey) -> bool {
        let signature = unhex::<64>(self.sig.as_bytes());
        signature.is_some_and(|signature| key.holds(self.statement().as_bytes(), &signature))
    }

    /// The root, if it is one.
    pub fn root(&self) -> Option<Node> {
        unhex(self.root.as_bytes())
    }

    /// The same without who signed it.
    pub fn into_head(self) -> Head<'static> {
        let Self { ts, chain, size, root, .. } = self;
        Head { chain: chain.into_owned().into(), size, root: root.into_owned().into(), ts }
    }

    pub fn into_owned(self) -> Checkpoint<'static> {
        Checkpoint {
            ts: self.ts,
            chain: self.chain.into_owned().into(),
            size: self.size,
            root: self.root.into_owned().into(),
            key: self.key.into_owned().into(),
            sig: self.sig.into_owned().into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_signed_cannot_be_changed_in_any_part() {
        let signer = Signer::from_seed(&[1; 32]);
        let mut tree = Frontier::default();
        tree.push(&[b'a'; 64]);
        let good = Checkpoint::sign(&signer, "c", &tree, 7);
        assert_eq!((good.size, good.root()), (1, Some(tree.root())));
        let other = Signer::from_seed(&[2; 32]);
        assert!(good.is_signed_by(signer.public()) && !good.is_signed_by(other.public()));
        for bad in [
            Checkpoint { ts: 8, ..good.clone() },
            Checkpoint { chain: "d".into(), ..good.clone() },
            Checkpoint { size: 2, ..good.clone() },
            Checkpoint { root: hex(&[0; 32]).into(), ..good.clone() },
            Checkpoint { sig: hex(&[0; 64]).into(), ..good.clone() },
            Checkpoint { sig: "".into(), ..good.clone() },
        ] {
            assert!(!bad.is_signed_by(signer.public()), "{bad:?}");
        }
    }
}
