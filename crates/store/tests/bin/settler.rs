//! Asks, answers and uses up questions for ever and says what was acknowledged, to be killed by a test.
//!
//! `store-settler DATABASE COUNT` prints `open ID`, `settled ID` and `spent ID`, one per line, each after the
//! database has said so. `store-settler DATABASE ID` settles that one question, and prints how that went.

use gate::ports::{Clock, Desk};
use gate::{Approval, ApprovalId, ApprovalState, CallDigest, Settled, Verdict, Way};
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use store::db::Db;
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

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let (Some(path), Some(what)) = (args.next(), args.next()) else { return ExitCode::from(2) };
    let desk = Db::at(path, Arc::new(World));
    if let Ok(id) = what.parse() {
        let settled = desk.settle(id, yes()).await.expect("the database can be used");
        say(if matches!(settled, Settled::Now(_)) { "now" } else { "already" }, id);
        return ExitCode::SUCCESS;
    }
    let Ok(count) = what.parse::<usize>() else { return ExitCode::from(2) };
    for _ in 0..count {
        one(&desk).await;
    }
    ExitCode::SUCCESS
}

async fn one(desk: &dyn Desk) {
    let asked = question();
    let (id, digest) = (asked.id, asked.digest);
    desk.open(asked).await.expect("room");
    say("open", id);
    let settled = desk.settle(id, yes()).await.expect("room");
    assert!(matches!(settled, Settled::Now(_)), "nobody else knows it");
    say("settled", id);
    assert!(desk.spend(id, digest, World.wall_micros()).await.expect("room"), "nobody else knows it");
    say("spent", id);
}

fn say(word: &str, id: ApprovalId) {
    let _ = writeln!(std::io::stdout().lock(), "{word} {id}");
}

fn yes() -> Verdict {
    Verdict { yes: true, approver: "alice".to_owned(), way: Way::Terminal, at: World.wall_micros() }
}

fn question() -> Approval {
    let (id, now) = (Uuid::now_v7(), World.wall_micros());
    let mut digest = [0; 32];
    digest[..16].copy_from_slice(id.as_bytes());
    Approval {
        id: ApprovalId(id),
        digest: CallDigest(digest),
        by: "local".to_owned(),
        client: None,
        conversation: None,
        server: "files".into(),
        tool: "write".to_owned(),
        definition: "d".to_owned(),
        class: "write".to_owned(),
        arguments: format!(r#"{{"text":"{}"}}"#, "x".repeat(3_000)),
        arguments_digest: "a".to_owned(),
        rule: "r".to_owned(),
        policy: "p".to_owned(),
        asked: now,
        expires: now + 600_000_000,
        requesters: Vec::new(),
        state: ApprovalState::Open,
        rounds: 0,
    }
}
