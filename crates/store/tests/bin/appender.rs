//! Appends attempts and ends to a ledger for ever and says which were acknowledged, to be killed by a test.
//!
//! `store-appender DIR SEGMENT_BYTES [EFFECTS]` prints the id of each acknowledged attempt, one per line. Before that
//! it adds the id to the file EFFECTS, as a call with an effect would.

use gate::ports::{Clock, Ids, Ledger};
use std::fs::OpenOptions;
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use store::{Door, Options, Segments, Signer};
use uuid::Uuid;

struct World;

impl Clock for World {
    #[expect(clippy::disallowed_methods, reason = "a program of its own, with a clock of its own")]
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

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let (Some(dir), Some(Ok(bytes))) = (args.next(), args.next().map(|bytes| bytes.parse())) else {
        return ExitCode::from(2);
    };
    let effects = args.next().map(|file| OpenOptions::new().append(true).create(true).open(file).expect("a file"));
    let door = Door {
        clock: Arc::new(World),
        ids: Arc::new(World),
        tool: "appender".into(),
        signer: Signer::from_seed(&[42; 32]).into(),
    };
    // Many checkpoints, so that some are killed while they are signed.
    let options = Options { segment_bytes: bytes, checkpoint_events: 50, ..Options::default() };
    let ledger = Segments::open_with(dir, door, options).expect("the directory can be used");
    let mut acknowledge = std::io::stdout().lock();
    for number in 0_u64.. {
        let id = World.fresh();
        let padding = "x".repeat((number % 97) as usize * 50);
        let ts = World.wall_micros();
        let attempt = format!(r#"{{"event":"attempt","id":"{id}","ts":{ts},"padding":"{padding}"}}"#);
        ledger.append(attempt.as_bytes()).expect("the disk has room");
        if let Some(mut effects) = effects.as_ref() {
            effects.write_all(format!("{id}\n").as_bytes()).expect("room");
        }
        if writeln!(acknowledge, "{id}").is_err() {
            break;
        }
        // Some stay open over many lines, so that they have to be carried to later parts.
        if number % 7 != 0 {
            ledger
                .append(format!(r#"{{"event":"end","id":"{id}","ts":{ts},"end":"finished"}}"#).as_bytes())
                .expect("room");
        }
    }
    ExitCode::SUCCESS
}
