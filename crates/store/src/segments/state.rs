//! What the writer has to remember between two events.

use crate::chain::{Hash, Link, MAX_LINE_BYTES};
use crate::checkpoint::Checkpoint;
use crate::draft::Draft;
use crate::events::Open;
use crate::keys::Signer;
use crate::names::Name;
use crate::synced::Synced;
use crate::tree::Frontier;
use std::fs::File;
use std::sync::Arc;

pub(super) struct Chain {
    pub link: Link,
    /// The tree over all lines up to `link`.
    pub tree: Frontier,
    /// How many lines follow the last checkpoint.
    pub unsigned: u64,
    /// Checkpoints that are not yet in the side file.
    pub unposted: Vec<Checkpoint<'static>>,
    pub open: Open,
    /// Ends that could not be written: they are written before anything else is.
    pub owed: Vec<Vec<u8>>,
    /// The part that is written to. `None` before the first event, and after a disk failed.
    pub current: Option<Part>,
    /// The last part's name, whether or not it is still written to.
    pub last: Option<Name>,
    /// Full parts that have a successor, locked until they are synced and renamed.
    pub retired: Vec<Part>,
    /// Parts that a disk failed on: locked until the process ends, because their open attempts live on in the
    /// next part and nobody may close them as lost.
    pub broken: Vec<Part>,
    pub synced: Synced,
    pub buffer: Vec<u8>,
    /// The hashes of the lines in the buffer.
    pub hashes: Vec<Hash>,
    /// How many appends ago somebody looked whether the file still has a name.
    pub unlooked: u32,
    pub closed: bool,
}

pub(super) struct Part {
    pub file: Arc<File>,
    pub name: Name,
    /// When it began, in microseconds since 1970.
    pub begun: u64,
    /// How long its head is.
    pub head: u64,
    pub len: u64,
    /// Up to where the disk promised room.
    pub reserved: u64,
    /// Whether the directory is known to hold its name durably.
    pub named: bool,
}

impl Chain {
    pub fn new() -> Self {
        Self {
            link: Link::START,
            tree: Frontier::default(),
            unsigned: 0,
            unposted: Vec::new(),
            open: Open::default(),
            owed: Vec::new(),
            current: None,
            last: None,
            retired: Vec::new(),
            broken: Vec::new(),
            synced: Synced::default(),
            buffer: Vec::with_capacity(MAX_LINE_BYTES),
            hashes: Vec::new(),
            unlooked: 0,
            closed: false,
        }
    }

    /// No more writes to the current part.
    pub fn give_up_part(&mut self) {
        self.synced.failed(self.link.seq);
        self.broken.extend(self.current.take());
    }

    /// Lines that would follow the last one.
    pub fn draft<'a>(&self, signer: &'a Signer, chain: &'a str, ts: u64) -> Draft<'a> {
        Draft { signer, chain, ts, link: self.link, tree: self.tree.clone(), bytes: Vec::new(), signed: None }
    }

    /// The lines of `draft` were written.
    pub fn take(&mut self, draft: Draft<'_>) {
        self.link = draft.link;
        self.tree = draft.tree;
        self.unsigned = 0;
        self.unposted.extend(draft.signed);
    }
}
