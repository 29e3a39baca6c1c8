//! The Merkle tree over a chain's lines, as RFC 6962 defines it. No files here.
//!
//! A leaf is `SHA-256(0x00 ‖ the line's hash)`, a node `SHA-256(0x01 ‖ left ‖ right)`. The leaf of the line with
//! `seq` n has the index n - 1.

use crate::chain::Hash;
use sha2::{Digest, Sha256};

/// The hash of a leaf or of a node.
pub(crate) type Node = [u8; 32];

/// No tree over a chain has more subtrees than a `u64` has bits.
const MAX_PEAKS: usize = 64;

/// A tree that only grows: the roots of its complete subtrees, the largest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Frontier {
    size: u64,
    peaks: Vec<Node>,
}

impl Frontier {
    /// The tree whose first `size` leaves have these subtrees. `None` if that many leaves have not that many.
    pub fn resume(size: u64, peaks: Vec<Node>) -> Option<Self> {
        (peaks.len() <= MAX_PEAKS && peaks.len() == size.count_ones() as usize).then_some(Self { size, peaks })
    }

    /// How many leaves it has.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The roots of the complete subtrees, the largest first.
    pub fn peaks(&self) -> &[Node] {
        &self.peaks
    }

    /// Adds the leaf of a line.
    pub fn push(&mut self, line: &Hash) {
        self.push_leaf(leaf(line));
    }

    /// Adds a leaf.
    pub fn push_leaf(&mut self, mut node: Node) {
        for _ in 0..self.size.trailing_ones() {
            let left = self.peaks.pop().expect("a set bit is a subtree");
            node = parent(&left, &node);
        }
        self.peaks.push(node);
        self.size += 1;
    }

    /// The root. Of no leaves, the hash of nothing.
    pub fn root(&self) -> Node {
        let mut peaks = self.peaks.iter().rev();
        let Some(last) = peaks.next() else { return Sha256::digest([]).into() };
        peaks.fold(*last, |right, left| parent(left, &right))
    }
}

/// The leaf of a line.
pub(crate) fn leaf(line: &Hash) -> Node {
    let bytes = unhex(line).unwrap_or([0; 32]);
    Sha256::new_with_prefix([0]).chain_update(bytes).finalize().into()
}

fn parent(left: &Node, right: &Node) -> Node {
    let mut bytes = [1; 65];
    bytes[1..33].copy_from_slice(left);
    bytes[33..].copy_from_slice(right);
    Sha256::digest(bytes).into()
}

/// Leaves of which the first may be known only as complete subtrees.
pub(crate) struct Leaves {
    /// What came before the leaves.
    pub before: Frontier,
    /// The leaves after that.
    pub leaves: Vec<Node>,
}

impl Leaves {
    /// The proof that leaf `index` is among the first `size`: the hashes to fold it with, from the leaf up.
    /// `None` if one of them is not known.
    pub fn path(&self, index: u64, size: u64) -> Option<Vec<Node>> {
        let mut path = Vec::new();
        if index >= size {
            return None;
        }
        let (mut from, mut to) = (0, size);
        while to - from > 1 {
            let middle = from + split(to - from);
            if index < middle {
                path.push(self.range(middle, to)?);
                to = middle;
            } else {
                path.push(self.range(from, middle)?);
                from = middle;
            }
        }
        path.reverse();
        Some(path)
    }

    /// The hash of the subtree over these leaves.
    fn range(&self, from: u64, to: u64) -> Option<Node> {
        if from >= self.before.size {
            let first = usize::try_from(from - self.before.size).ok()?;
            let last = usize::try_from(to - self.before.size).ok()?;
            let mut tree = Frontier::default();
            self.leaves.get(first..last)?.iter().for_each(|leaf| tree.push_leaf(*leaf));
            return Some(tree.root());
        }
        if let Some(peak) = self.peak(from, to) {
            return Some(peak);
        }
        if to - from < 2 {
            return None;
        }
        let middle = from + split(to - from);
        Some(parent(&self.range(from, middle)?, &self.range(middle, to)?))
    }

    fn peak(&self, from: u64, to: u64) -> Option<Node> {
        let mut start = 0;
        for (bit, peak) in (0..64).rev().filter(|bit| self.before.size >> bit & 1 == 1).zip(&self.before.peaks) {
            if (from, to) == (start, start + (1 << bit)) {
                return Some(*peak);
            }
            start += 1 << bit;
        }
        None
    }
}

/// The largest power of two below `count`, which is at least 2.
fn split(count: u64) -> u64 {
    1 << (63 - (count - 1).leading_zeros())
}

/// The root that a leaf and its proof lead to, if the proof has the length it must have.
pub(crate) fn root_of(mut node: Node, index: u64, size: u64, path: &[Node]) -> Option<Node> {
    if index >= size {
        return None;
    }
    let (mut at, mut last) = (index, size - 1);
    for sibling in path {
        if last == 0 {
            return None;
        }
        if at & 1 == 1 || at == last {
            node = parent(sibling, &node);
            while at & 1 == 0 && at != 0 {
                (at, last) = (at >> 1, last >> 1);
            }
        } else {
            node = parent(&node, sibling);
        }
        (at, last) = (at >> 1, last >> 1);
    }
    (last == 0).then_some(node)
}

/// Bytes in lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// The `N` bytes that lower-case hex stands for.
pub(crate) fn unhex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    if text.len() != 2 * N {
        return None;
    }
    let (mut bytes, mut wrong) = ([0; N], 0);
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        let (high, low) = (NIBBLES[usize::from(pair[0])], NIBBLES[usize::from(pair[1])]);
        *byte = high << 4 | low & 15;
        wrong |= high | low;
    }
    (wrong & NO_DIGIT == 0).then_some(bytes)
}

/// What no digit has.
const NO_DIGIT: u8 = 0x80;

/// The value of each lower-case hex digit. A table, because every line of the record goes through it.
const NIBBLES: [u8; 256] = {
    let mut table = [NO_DIGIT; 256];
    let mut value = 0;
    while value < 16 {
        table[b"0123456789abcdef"[value] as usize] = value as u8;
        value += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    fn leaves(count: u64) -> Vec<Node> {
        (0..count).map(|number| Sha256::digest(number.to_be_bytes()).into()).collect()
    }

    /// The definition in RFC 6962, 2.1, word by word.
    fn defined(leaves: &[Node]) -> Node {
        match leaves {
            [] => Sha256::digest([]).into(),
            [one] => *one,
            many => {
                let (left, right) = many.split_at((many.len().next_power_of_two() / 2).max(1));
                parent(&defined(left), &defined(right))
            }
        }
    }

    fn grown(leaves: &[Node]) -> Frontier {
        let mut tree = Frontier::default();
        leaves.iter().for_each(|leaf| tree.push_leaf(*leaf));
        tree
    }

    #[test]
    fn the_root_is_the_one_the_standard_defines() {
        for count in 0..130 {
            let leaves = leaves(count);
            assert_eq!(grown(&leaves).root(), defined(&leaves), "{count} leaves");
        }
    }

    #[test]
    fn every_leaf_of_every_small_tree_is_proved_and_no_other() {
        for count in 1..40 {
            let all = leaves(count);
            let root = defined(&all);
            let tree = Leaves { before: Frontier::default(), leaves: all.clone() };
            for index in 0..count {
                let path = tree.path(index, count).expect("known");
                let leaf = all[usize::try_from(index).expect("small")];
                assert_eq!(root_of(leaf, index, count, &path), Some(root), "{index} of {count}");
                assert_ne!(root_of(leaf, (index + 1) % count, count, &path), Some(root).filter(|_| count > 1));
                assert_ne!(root_of([7; 32], index, count, &path), Some(root));
                assert_eq!(root_of(leaf, index, count, &[path, vec![[0; 32]]].concat()), None);
            }
        }
    }

    #[test]
    fn what_came_before_may_be_known_as_subtrees_alone() {
        for (gone, count) in (0..20).flat_map(|gone| (gone + 1..40).map(move |count| (gone, count))) {
            let all = leaves(count);
            let (old, new) = all.split_at(usize::try_from(gone).expect("small"));
            let before = grown(old);
            let before = Frontier::resume(before.size(), before.peaks().to_vec()).expect("consistent");
            let tree = Leaves { before, leaves: new.to_vec() };
            for index in gone..count {
                let path = tree.path(index, count).expect("known");
                let leaf = all[usize::try_from(index).expect("small")];
                assert_eq!(root_of(leaf, index, count, &path), Some(defined(&all)));
            }
        }
        assert_eq!(Frontier::resume(3, leaves(1)), None);
    }

    #[test]
    fn hex_is_read_back() {
        let text = hex(&[0, 0x9f, 0xff]);
        assert_eq!(text, "009fff");
        assert_eq!(unhex(text.as_bytes()), Some([0, 0x9f, 0xff]));
        assert_eq!((unhex::<3>(b"009FFF"), unhex::<2>(b"009fff")), (None, None));
    }
}
