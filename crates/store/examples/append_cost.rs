//! Measures what it costs to record an attempt: `cargo run --release -p store --example append_cost [DIR]`.
#![expect(clippy::print_stdout, reason = "its output is its purpose")]
#![expect(clippy::disallowed_methods, reason = "it measures time")]

use gate::ports::{Clock, Ids, Ledger};
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use store::{Against, Door, Segments, Signer};
use uuid::Uuid;

struct World;

impl Clock for World {
    fn wall_micros(&self) -> u64 {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_micros() as u64)
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

const ROUNDS: u32 = 50_000;

fn main() {
    let dir = std::env::args().nth(1).map_or_else(|| std::env::temp_dir().join("append_cost"), Into::into);
    let door = Door {
        clock: Arc::new(World),
        ids: Arc::new(World),
        tool: "append_cost".into(),
        signer: Signer::from_seed(&[1; 32]).into(),
    };
    let ledger = Segments::open(&dir, door).expect("a directory");
    let events: Vec<_> = (0..ROUNDS).map(|_| attempt(&World.fresh().to_string())).collect();
    let ends: Vec<_> = events.iter().map(|(id, _)| end(id)).collect();
    let measure = |what: &str, all: &mut dyn Iterator<Item = &String>| {
        let (begin, worked) = (Instant::now(), cpu_nanos());
        let bytes: usize = all.map(|event| ledger.append(event.as_bytes()).map(|_| event.len()).expect("room")).sum();
        let (each, cpu) = (begin.elapsed() / ROUNDS, (cpu_nanos() - worked) / u64::from(ROUNDS));
        println!("{what}: {each:?} each, {cpu} ns of CPU, {} bytes", bytes / ROUNDS as usize);
    };
    for _ in 0..3 {
        measure("attempts", &mut events.iter().map(|(_, event)| event));
        measure("ends", &mut ends.iter());
    }
    ledger.close().expect("room");
    let begin = Instant::now();
    let signer = Signer::from_seed(&[1; 32]);
    let against = Against { key: Some(signer.public()), heads: None };
    let report = store::verify(&dir, against).expect("readable");
    println!("verified {} lines in {:?}: {:?}", report.lines, begin.elapsed(), report.first_bad);
    let begin = Instant::now();
    let query = store::Query { server: Some("none".to_owned()), ..store::Query::default() };
    let (none, bytes) = (store::calls(&dir, &query).expect("readable"), size(&dir));
    let speed = bytes as f64 / 1e6 / begin.elapsed().as_secs_f64();
    println!("queried {bytes} bytes in {:?}, {speed:.0} MB/s: {} calls", begin.elapsed(), none.len());
    let begin = Instant::now();
    let all = store::calls(&dir, &store::Query { limit: Some(100), ..store::Query::default() }).expect("readable");
    println!("queried the last {} calls in {:?}", all.len(), begin.elapsed());
}

fn size(dir: &std::path::Path) -> u64 {
    let entries = std::fs::read_dir(dir).expect("there").flatten();
    entries.map(|entry| entry.metadata().map_or(0, |metadata| metadata.len())).sum()
}

/// How long this thread has run, whatever else the machine does. 0 where the kernel does not say.
fn cpu_nanos() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    stat.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or(0)
}

fn attempt(id: &str) -> (String, String) {
    let event = format!(
        r#"{{"event":"attempt","id":"{id}","ts":1795208400000000,"effect":"read","by":"local","target":"tool","asked":"everything__echo","server":"everything","name":"echo","args_sha256":"{}","args_bytes":22,"client":"codex-mcp-client","thread":"0199b3a2-6a3c-7f70-a5ff-4a2ddae8f0c1","decision":"allow","rule":"mcp_servers.everything.default_tools_approval_mode = auto","policy":"{}"}}"#,
        "a".repeat(64),
        "b".repeat(16)
    );
    (id.to_owned(), event)
}

fn end(id: &str) -> String {
    format!(r#"{{"event":"end","id":"{id}","ts":1795208400000000,"end":"finished","took_us":1234,"bytes":120}}"#)
}
