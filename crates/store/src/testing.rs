//! What the tests of this crate share: a world that stands still, and a disk that fails on demand.

use crate::disk::{Disk, Real};
use crate::keys::Signer;
use crate::segments::{Door, Options, Segments};
use crate::verify::{Against, Report};
use gate::ports::{Clock, Ids};
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use uuid::Uuid;

/// A clock that ticks once per look, and ids that count.
pub(crate) struct World(pub AtomicU64);

pub(crate) const BEGIN: u64 = 1_795_208_400_000_000;

impl World {
    pub fn new() -> Arc<Self> {
        Arc::new(Self(BEGIN.into()))
    }
}

impl Clock for World {
    fn wall_micros(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }
    fn mono_micros(&self) -> u64 {
        self.wall_micros()
    }
}

impl Ids for World {
    fn fresh(&self) -> Uuid {
        Uuid::now_v7()
    }
}

pub(crate) fn door() -> Door {
    let world = World::new();
    Door { clock: world.clone(), ids: world, tool: "toolgate test".into(), signer: signer().into() }
}

/// The key of all tests.
pub(crate) fn signer() -> Signer {
    Signer::from_seed(&[42; 32])
}

/// What there is to say about `path`, held against the key of the tests.
pub(crate) fn verify(path: &Path) -> Report {
    let signer = signer();
    crate::verify(path, Against { key: Some(signer.public()), heads: None }).expect("readable")
}

/// Parts of so many bytes.
pub(crate) fn sized(segment_bytes: u64) -> Options {
    Options { segment_bytes, ..Options::default() }
}

/// A ledger whose checkpoints are signed only where parts and chains end.
pub(crate) fn open_sized(dir: impl Into<PathBuf>, segment_bytes: u64) -> Arc<Segments> {
    let ledger = Segments::build(dir.into(), door(), sized(segment_bytes), Box::new(Real));
    Arc::new(ledger.expect("a fresh directory"))
}

/// A disk with faults, shared by the test and the ledger.
#[derive(Default)]
pub(crate) struct Faults {
    /// How many bytes still fit; `None` is any number.
    pub room: Mutex<Option<usize>>,
    /// No more room can be promised.
    pub no_reserve: AtomicBool,
    pub no_truncate: AtomicBool,
    pub no_sync: AtomicBool,
    pub syncs: AtomicUsize,
    /// While this is set, no sync comes to its end.
    pub hold: AtomicBool,
}

pub(crate) struct Faulty(pub Arc<Faults>);

impl Disk for Faulty {
    fn write(&self, mut file: &File, bytes: &[u8]) -> io::Result<usize> {
        let mut room = self.0.room.lock().expect("not poisoned");
        let fits = room.map_or(bytes.len(), |room| room.min(bytes.len()));
        if fits == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        file.write_all(&bytes[..fits])?;
        *room = room.map(|room| room - fits);
        Ok(fits)
    }

    fn truncate(&self, file: &File, length: u64) -> io::Result<()> {
        if self.0.no_truncate.load(Ordering::Relaxed) {
            return Err(io::Error::other("no truncate"));
        }
        file.set_len(length)
    }

    fn reserve(&self, _: &File, _: u64, _: u64) -> io::Result<bool> {
        if self.0.no_reserve.load(Ordering::Relaxed) { Err(io::ErrorKind::StorageFull.into()) } else { Ok(true) }
    }

    fn sync(&self, _: &File) -> io::Result<()> {
        self.0.syncs.fetch_add(1, Ordering::SeqCst);
        while self.0.hold.load(Ordering::SeqCst) {
            std::thread::yield_now();
        }
        if self.0.no_sync.load(Ordering::Relaxed) {
            return Err(io::Error::other("no sync"));
        }
        Ok(())
    }
}

pub(crate) fn faulty(dir: &Path) -> (Arc<Segments>, Arc<Faults>) {
    let faults = Arc::new(Faults::default());
    let disk = Box::new(Faulty(faults.clone()));
    let ledger = Segments::build(dir.to_owned(), door(), sized(1 << 20), disk);
    (Arc::new(ledger.expect("a fresh directory")), faults)
}

pub(crate) fn attempt(id: &str) -> Vec<u8> {
    format!(r#"{{"event":"attempt","id":"{id}","ts":{BEGIN},"args":"{}"}}"#, "x".repeat(200)).into_bytes()
}

pub(crate) fn end(id: &str) -> Vec<u8> {
    format!(r#"{{"event":"end","id":"{id}","ts":{BEGIN},"end":"finished"}}"#).into_bytes()
}

/// The files of a directory but those beside the segments, sorted.
pub(crate) fn files(dir: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> =
        std::fs::read_dir(dir).expect("there").map(|entry| entry.expect("readable").path()).collect();
    files.retain(|file| !file.ends_with("heads.log") && !file.ends_with("prune.lock"));
    files.sort();
    files
}

/// One word per line of all files but checkpoints: `attempt:id`, `end:id:lost`, `close:finished`, …
pub(crate) fn story(dir: &Path) -> Vec<String> {
    let mut words = Vec::new();
    for file in files(dir).iter().filter(|file| file.extension().is_some_and(|e| e == "jsonl")) {
        for line in std::fs::read_to_string(file).expect("text").lines() {
            let event: serde_json::Value = serde_json::from_str(line).expect("JSON");
            let text = |key: &str| event[key].as_str().unwrap_or_default().to_owned();
            words.push(match &*text("event") {
                "attempt" => format!("attempt:{}", text("id")),
                "end" => format!("end:{}:{}", text("id"), text("end")),
                "close" => format!("close:{}", text("why")),
                "segment" => format!("segment:{}", event["part"]),
                "carried" => format!("carried:{}", event["open"]),
                "checkpoint" => continue,
                other => other.to_owned(),
            });
        }
    }
    words
}
