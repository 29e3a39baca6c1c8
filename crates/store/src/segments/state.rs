//! What the writer has to remember between two events.

use crate::chain::{Link, MAX_LINE_BYTES};
use crate::events::Open;
use crate::names::Name;
use crate::synced::Synced;
use std::fs::File;
use std::sync::Arc;

pub(super) struct Chain {
    pub link: Link,
    pub open: Open,
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
    /// How many appends ago somebody looked whether the file still has a name.
    pub unlooked: u32,
    pub closed: bool,
}

pub(super) struct Part {
    pub file: Arc<File>,
    pub name: Name,
    pub len: u64,
    /// Whether the directory is known to hold its name durably.
    pub named: bool,
}

impl Chain {
    pub fn new() -> Self {
        Self {
            link: Link::START,
            open: Open::default(),
            current: None,
            last: None,
            retired: Vec::new(),
            broken: Vec::new(),
            synced: Synced::default(),
            buffer: Vec::with_capacity(MAX_LINE_BYTES),
            unlooked: 0,
            closed: false,
        }
    }

    /// No more writes to the current part.
    pub fn give_up_part(&mut self) {
        self.synced.failed(self.link.seq);
        self.broken.extend(self.current.take());
    }
}
