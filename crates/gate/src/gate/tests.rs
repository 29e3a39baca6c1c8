use super::*;
use crate::Code;
use crate::approval::memory::Memory;
use crate::approval::{Answer, Approval, ApprovalRules, ApprovalState, Claim, Way};
use crate::catalog::{Facts, Listed, Naming, Offer};
use crate::mask::Unmasked;
use crate::policy::{Mode, ServerRules};
use crate::ports::Listener;
use crate::ports::{BoxFuture, Clock, Ledger, LedgerError, Position};
use crate::words::{Abilities, Parts as Places, Place, Principal, ReplyKind, Target, Trace};
use crate::words::{Dialogue, Wire};
use bytes::Bytes;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tokio::sync::oneshot;
use uuid::Uuid;

#[derive(Default)]
struct World {
    events: Mutex<Vec<String>>,
    full: AtomicBool,
    /// The disk takes no event with this text in it.
    refuses: Mutex<Option<&'static str>>,
    seen: Mutex<Vec<String>>,
    up: AtomicBool,
    hang: AtomicBool,
    ticks: AtomicU64,
    name: Option<ServerName>,
    desk: Arc<Memory>,
}

impl World {
    fn fresh() -> Arc<Self> {
        Arc::new(Self { name: Some("s".into()), ..Self::default() })
    }

    /// Ticks are microseconds here: a question lives for a thousand of them.
    fn rules(&self) -> ApprovalRules {
        ApprovalRules { lifetime: 1_000, patience: 100, most_open: 3, requesters: Vec::new() }
    }

    /// Event words, in order: `attempt:echo`, `end:finished`, `refusal:policy.denied`, …
    fn story(&self) -> Vec<String> {
        let events = self.events.lock().expect("not poisoned");
        events.iter().map(|line| word(&serde_json::from_str(line).expect("an event is JSON"))).collect()
    }
}

fn word(event: &serde_json::Value) -> String {
    let text = |key: &str| event[key].as_str().unwrap_or("-").to_owned();
    match &*text("event") {
        "attempt" => format!("attempt:{}", text("name")),
        "end" => format!("end:{}", text("end")),
        "approval" => format!("{}:{}", text("phase"), text("name")),
        "refusal" => format!("refusal:{}:{}", text("asked"), text("code")),
        other => format!("{other}:{}", text("server")),
    }
}

impl Ledger for World {
    fn append(&self, event: &[u8]) -> Result<Position, LedgerError> {
        let text = String::from_utf8_lossy(event);
        let refuses = *self.refuses.lock().expect("not poisoned");
        if self.full.load(Ordering::Relaxed) || refuses.is_some_and(|refused| text.contains(refused)) {
            return Err(LedgerError("no space left".to_owned()));
        }
        self.events.lock().expect("not poisoned").push(String::from_utf8_lossy(event).into_owned());
        Ok(Position(0))
    }

    fn durable(&self, _: Position) -> BoxFuture<'_, Result<(), LedgerError>> {
        Box::pin(async {
            self.events.lock().expect("not poisoned").push(r#"{"event":"synced","server":"disk"}"#.to_owned());
            Ok(())
        })
    }
}

impl Clock for World {
    fn wall_micros(&self) -> u64 {
        self.ticks.fetch_add(1, Ordering::Relaxed)
    }
    fn mono_micros(&self) -> u64 {
        self.ticks.fetch_add(1, Ordering::Relaxed)
    }
}

impl Ids for World {
    fn fresh(&self) -> Uuid {
        Uuid::from_u128(self.ticks.fetch_add(1, Ordering::Relaxed).into())
    }
}

impl Source for World {
    fn name(&self) -> &ServerName {
        self.name.as_ref().expect("set by `fresh`")
    }
    fn readiness(&self) -> Readiness {
        if self.up.load(Ordering::Relaxed) { Readiness::Up } else { Readiness::Idle }
    }
    fn start(&self, _: StartPermit) {
        self.up.store(true, Ordering::Relaxed);
    }
    fn call(&self, permit: Permit) -> BoxFuture<'_, Result<Unmasked, Fault>> {
        Box::pin(async move {
            self.seen.lock().expect("not poisoned").push(permit.item().raw.to_string());
            if self.hang.load(Ordering::Relaxed) {
                std::future::pending::<()>().await;
            }
            let wire = Wire { json: Bytes::from_static(br#"{"text":"token-abcdef"}"#), parts: Places::default() };
            Ok(Unmasked::message(wire, ReplyKind::Result))
        })
    }
}

fn gate(world: &Arc<World>, in_flight: usize) -> (Gate, crate::ledger::EndWriter) {
    let catalog = Catalog::new(vec!["s".into()], Naming::default());
    let tool = |raw: &str, read_only| Listed {
        kind: ItemKind::Tool,
        raw: raw.into(),
        definition: Bytes::new(),
        name_at: Place::default(),
        facts: Facts { read_only, ..Facts::default() },
    };
    let listed = vec![tool("echo", Some(true)), tool("write", None), tool("yes", None), tool("never", Some(true))];
    catalog.publish(vec![("s".into(), Arc::new(Offer { listed, ..Offer::default() }))]);
    let rules = ServerRules {
        disabled_tools: vec!["never".to_owned()],
        trusted: true,
        tool_modes: HashMap::from([("yes".to_owned(), Mode::Approve)]),
        ..ServerRules::default()
    };
    let masks = Arc::new(Masks::new(&[crate::Secret::new("token-abcdef")]));
    let (recorder, writer) =
        Recorder::new(world.clone(), world.clone(), in_flight, crate::Arguments::nothing(masks.clone()));
    let parts = Assembly {
        catalog: Arc::new(catalog),
        policy: Arc::new(Policy::of_servers(HashMap::from([("s".into(), rules)]))),
        recorder,
        hub: Arc::new(Hub::new(masks.clone(), 8)),
        masks,
        approvals: Approvals::new(world.desk.clone(), world.clone(), world.clone(), world.rules()),
        ids: world.clone(),
        sources: vec![world.clone()],
    };
    (Gate::new(parts), writer)
}

fn call(gate: &Gate, tool: &str) -> Call {
    Call {
        id: gate.fresh_id(),
        by: Principal::Local,
        face: Face::All,
        target: Target::Tool(tool.into()),
        wire: Wire { json: Bytes::from_static(b"{}"), parts: Places::default() },
        trace: Trace { thread: Some("th".into()), ..Trace::default() },
        abilities: Abilities::default(),
        conversation: None,
        claim: None,
        listener: None,
    }
}

/// The same gate under another policy.
fn governed(gate: Gate, policy: Policy) -> Gate {
    let policy = Arc::new(policy);
    gate.rules.rcu(|rules| Rules { policy: policy.clone(), ..Rules::clone(rules) });
    gate
}

/// Makes one call and returns what the caller saw and what was recorded.
async fn check(tool: &str, want: &str, story: &[&str]) {
    let world = World::fresh();
    world.up.store(true, Ordering::Relaxed);
    let (gate, writer) = gate(&world, 4);
    let got = match gate.call(call(&gate, tool)).await {
        Ok(reply) => String::from_utf8_lossy(&reply.wire.json).into_owned(),
        Err(failure) => failure.code().as_str().to_owned(),
    };
    assert_eq!(got, want);
    drop(gate);
    writer.run().await;
    assert_eq!(world.story(), story);
}

#[tokio::test]
async fn every_call_is_recorded_and_every_answer_masked() {
    check("s__echo", r#"{"text":"*****"}"#, &["attempt:echo", "end:finished"]).await;
}

#[tokio::test]
async fn what_may_have_effects_is_on_the_disk_before_it_is_sent() {
    check("s__yes", r#"{"text":"*****"}"#, &["attempt:yes", "synced:disk", "end:finished"]).await;
}

#[tokio::test]
async fn refusals_are_recorded_too() {
    check("s__write", "approval.refused", &["requested:write", "refusal:s__write:approval.refused"]).await;
    check("s__never", "policy.denied", &["refusal:s__never:policy.denied"]).await;
    check("nothing", "tool.unknown", &["refusal:nothing:tool.unknown"]).await;
}

#[tokio::test]
async fn what_was_refused_never_reaches_the_server() {
    let world = World::fresh();
    let (gate, _writer) = gate(&world, 4);
    for tool in ["s__write", "s__never", "nothing"] {
        assert!(gate.call(call(&gate, tool)).await.is_err());
    }
    assert!(world.seen.lock().expect("not poisoned").is_empty());
    assert!(!world.up.load(Ordering::Relaxed), "nor was it started");
}

#[tokio::test]
async fn starting_a_server_is_an_act_of_its_own() {
    let world = World::fresh();
    let (gate, writer) = gate(&world, 4);
    gate.call(call(&gate, "s__echo")).await.expect("allowed");
    gate.call(call(&gate, "s__echo")).await.expect("allowed");
    drop(gate);
    writer.run().await;
    let story = world.story();
    assert_eq!(story.iter().filter(|word| *word == "start:s").count(), 1, "{story:?}");
}

#[tokio::test]
async fn no_record_no_call() {
    let world = World::fresh();
    let (gate, _writer) = gate(&world, 4);
    world.full.store(true, Ordering::Relaxed);
    let failure = gate.call(call(&gate, "s__echo")).await.expect_err("the disk is full");
    assert_eq!(failure.code(), Code::StoreUnavailable);
    assert!(world.seen.lock().expect("not poisoned").is_empty());
}

#[tokio::test]
async fn a_caller_that_goes_away_leaves_an_abandoned_call() {
    let world = World::fresh();
    world.hang.store(true, Ordering::Relaxed);
    let (gate, writer) = gate(&world, 4);
    {
        let mut pending = Box::pin(gate.call(call(&gate, "s__echo")));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(pending.as_mut().poll(&mut context).is_pending());
    }
    drop(gate);
    writer.run().await;
    assert_eq!(world.story(), ["attempt:echo", "start:s", "end:abandoned"]);
}

#[tokio::test]
async fn one_call_too_many_is_refused_at_once() {
    let world = World::fresh();
    world.hang.store(true, Ordering::Relaxed);
    let (gate, _writer) = gate(&world, 1);
    let mut first = Box::pin(gate.call(call(&gate, "s__echo")));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(first.as_mut().poll(&mut context).is_pending());
    let failure = gate.call(call(&gate, "s__echo")).await.expect_err("full");
    assert_eq!(failure.code(), Code::LimitBusy);
}

#[test]
fn a_list_shows_what_policy_does_not_deny() {
    let world = World::fresh();
    let (gate, _writer) = gate(&world, 4);
    let names: Vec<_> = gate.visible(&Face::All, ItemKind::Tool).1.iter().map(|i| i.raw.to_string()).collect();
    assert_eq!(names, ["echo", "write", "yes"]);
}

#[tokio::test]
async fn what_policy_hides_is_not_suggested() {
    let world = World::fresh();
    let (gate, _writer) = gate(&world, 4);
    for (asked, want) in [("s__nevr", None), ("s__ech", Some("s__echo"))] {
        let failure = gate.call(call(&gate, asked)).await.expect_err("unknown");
        let Failure::Refused(Refusal::Unknown { similar, .. }) = &failure else { panic!("{failure}") };
        assert_eq!(similar.first().map(String::as_str), want, "{asked}");
        assert!(!similar.iter().any(|name| name.contains("never")), "{similar:?}");
    }
}

#[tokio::test]
async fn a_name_that_fits_a_hidden_thing_too_does_not_reveal_it() {
    let world = World::fresh();
    let (mut gate, _writer) = gate(&world, 4);
    let offer = gate.catalog.offer(&"s".into()).expect("published");
    let catalog = Catalog::new(vec!["s".into(), "hidden".into()], Naming::default());
    // No rules for `hidden`: everything of it is denied.
    catalog.publish(vec![("s".into(), offer.clone()), ("hidden".into(), offer)]);
    gate.catalog = Arc::new(catalog);
    let failure = gate.call(call(&gate, "echo")).await.expect_err("ambiguous");
    let told = format!("{failure} {}", failure.hint().unwrap_or_default());
    assert!(told.contains("s__echo") && !told.contains("hidden"), "{told}");
}

#[tokio::test]
async fn no_caller_can_make_its_call_too_long_to_be_recorded() {
    let world = World::fresh();
    let (gate, _writer) = gate(&world, 4);
    let long: Box<str> = "\u{1}é".repeat(100_000).into();
    let field = || Some(long.clone());
    let trace = Trace {
        client: Some((*long).into()),
        session: field(),
        thread: field(),
        parent_thread: field(),
        turn: field(),
    };
    let failure = gate.call(Call { trace, ..call(&gate, &long) }).await.expect_err("unknown");
    assert_eq!(failure.code(), Code::ToolUnknown);
    let events = world.events.lock().expect("not poisoned");
    assert!(events[0].len() < 32 << 10, "{} bytes", events[0].len());
    let event: serde_json::Value = serde_json::from_str(&events[0]).expect("JSON");
    let asked = event["asked"].as_str().expect("text");
    assert!(asked.starts_with("\u{1}é") && asked.contains("300000 bytes, sha256 "), "{asked}");
}

mod approvals;
mod renewal;
mod threats;
mod within;

#[tokio::test]
async fn a_conversation_that_runs_in_circles_is_ended() {
    let limit = |n| std::num::NonZeroU64::new(n);
    for (limits, runs) in [
        (PaceLimits { calls: limit(3), repeats: None }, 3),
        (PaceLimits { calls: None, repeats: limit(2) }, 2),
        (PaceLimits::default(), 6),
    ] {
        let world = World::fresh();
        world.up.store(true, Ordering::Relaxed);
        let (gate, _ends) = gate(&world, 8);
        let gate = gate.paced(limits);
        for n in 0..6 {
            let got = gate.call(call(&gate, "s__echo")).await;
            assert_eq!(got.is_ok(), n < runs, "{limits:?} {n}");
        }
        let elsewhere = Call { conversation: Some("other".into()), ..call(&gate, "s__echo") };
        assert!(gate.call(elsewhere).await.is_ok(), "{limits:?}: another conversation is another count");
    }
}
