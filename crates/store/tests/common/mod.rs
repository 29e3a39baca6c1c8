//! A writer to kill, and what must be true of its record afterwards.

use gate::ports::{Clock, Ids};
use std::collections::HashSet;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use store::{Against, Door, Filter, Report, Signer, read, recover};
use uuid::Uuid;

pub struct World(AtomicU64);

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

pub fn door() -> Door {
    let world = Arc::new(World(1_795_208_400_000_000.into()));
    Door { clock: world.clone(), ids: world, tool: "test".into(), signer: Signer::from_seed(&[42; 32]).into() }
}

pub fn verify(dir: &Path) -> Report {
    let door = door();
    store::verify(dir, Against { key: Some(door.signer.public()), heads: None }).expect("readable")
}

/// A writer that goes on until it is killed, and does what `effects` says if it is given.
pub fn appender(dir: &Path, segment_bytes: u64, effects: Option<&Path>) -> Child {
    Command::new(env!("CARGO_BIN_EXE_store-appender"))
        .arg(dir)
        .arg(segment_bytes.to_string())
        .args(effects)
        .stdout(Stdio::piped())
        .spawn()
        .expect("the test binary starts")
}

/// Recovers `dir` and checks: nothing acknowledged is gone, every attempt has one end, and the chains hold. Returns
/// the attempts.
pub fn check(dir: &Path, acknowledged: &[String]) -> HashSet<String> {
    let done = recover(dir, &door()).expect("listed");
    assert_eq!((&done.failed, &done.damaged), (&vec![], &vec![]));
    let report = verify(dir);
    assert_eq!((report.first_bad, report.unfinished, report.unsigned), (None, 0, 0));
    let (mut attempts, mut ends, mut carried) = (HashSet::new(), HashSet::new(), 0);
    for line in read(dir, Filter::default()).expect("listed") {
        let event: serde_json::Value = serde_json::from_slice(&line.expect("readable")).expect("JSON");
        let id = event["id"].as_str().unwrap_or_default().to_owned();
        match event["event"].as_str() {
            Some("attempt") => assert!(attempts.insert(id), "attempted twice"),
            Some("end") => assert!(ends.insert(id), "ended twice"),
            Some("carried") => carried += 1,
            _ => {}
        }
    }
    assert_eq!(attempts, ends, "one attempt, one end");
    let gone: Vec<_> = acknowledged.iter().filter(|id| !attempts.contains(*id)).collect();
    assert!(gone.is_empty(), "{gone:?} of {} ({carried} carried)", acknowledged.len());
    attempts
}
