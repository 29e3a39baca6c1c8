//! Threats that only the whole path of a call answers: `docs/threats.md` names them.

use super::*;
use crate::pin::Lock;
use crate::pins::Pins;
use crate::policy::{Outcome, PolicySource, Rule, RuleId, When};
use crate::ports::{FirstPin, LockKeeper};

struct NoFile;

impl LockKeeper for NoFile {
    fn keep(&self, _: Vec<FirstPin>) {}
    fn reload(&self) -> Option<Lock> {
        None
    }
}

const CLEAN: &str = r#"{"name":"echo","description":"Repeats a text.","inputSchema":{"type":"object"},"annotations":{"readOnlyHint":true}}"#;

fn listed(tool: &str, definition: &str, facts: Facts) -> Listed {
    let definition = Bytes::copy_from_slice(definition.as_bytes());
    Listed { kind: ItemKind::Tool, raw: tool.into(), definition, name_at: Place::default(), facts }
}

fn publish(gate: &Gate, listed: Vec<Listed>) {
    gate.catalog().publish(vec![("s".into(), Arc::new(Offer { listed, ..Offer::default() }))]);
}

fn reads() -> Facts {
    Facts { read_only: Some(true), ..Facts::default() }
}

fn ready(world: &Arc<World>) -> (Gate, crate::ledger::EndWriter) {
    world.up.store(true, Ordering::Relaxed);
    gate(world, 16)
}

fn runs(world: &World) -> usize {
    world.seen.lock().expect("not poisoned").len()
}

/// T02: a server that behaves until it is trusted.
fn only(recorder: Arc<Recorder>) -> Recorder {
    Arc::into_inner(recorder).expect("nobody else has it")
}

#[tokio::test]
async fn a_tool_that_changed_is_neither_listed_nor_called() {
    let world = World::fresh();
    let (gate, _ends) = ready(&world);
    gate.catalog().watched_by(Arc::new(Pins::new(Lock::default(), Arc::new(NoFile), gate.rules.load().policy.clone())));
    let reordered = r#"{"annotations": {"readOnlyHint":true},"inputSchema":{"type":"object"},"description":"Repeats a text.","name":"echo"}"#;
    for (definition, same) in [
        (CLEAN.to_owned(), true),
        (CLEAN.to_owned(), true),
        (CLEAN.replace("true", "false"), false),
        (CLEAN.replace("Repeats", "Rep\u{200b}eats"), false),
        (CLEAN.replace(r#","annotations""#, r#","outputSchema":{"type":"object"},"annotations""#), false),
        (reordered.to_owned(), true),
    ] {
        publish(&gate, vec![listed("echo", &definition, reads())]);
        let shown = !gate.visible(&Face::All, ItemKind::Tool).1.is_empty();
        let got = gate.call(call(&gate, "s__echo")).await;
        assert_eq!((shown, got.is_ok()), (same, same), "{definition}");
        assert!(same || got.is_err_and(|failure| failure.code() == Code::ToolQuarantined), "{definition}");
    }
    assert_eq!(runs(&world), 3);
}

fn when_tainted() -> Policy {
    let rule = Rule {
        id: RuleId("two".into()),
        place: "toolgate.toml:1".to_owned(),
        principal: Vec::new(),
        server: Vec::new(),
        tool: Vec::new(),
        args: Vec::new(),
        when: When { tainted: Some(true), read_only: Some(false), ..When::default() },
        outcome: Outcome::Ask,
        reason: None,
    };
    let server = ServerRules { trusted: true, default_mode: Some(Mode::Approve), ..ServerRules::default() };
    let servers = HashMap::from([("s".into(), server)]);
    Policy::new(PolicySource { rules: vec![rule], servers, ..PolicySource::default() })
}

/// T09: what strangers wrote may have told the agent what to do next.
#[tokio::test]
async fn who_has_read_what_strangers_wrote_is_asked_about_what_has_effects() {
    let world = World::fresh();
    let (gate, _ends) = ready(&world);
    let gate = governed(gate, when_tainted());
    let issues = Facts { open_world: Some(true), ..reads() };
    let mail = Facts { read_only: Some(false), ..Facts::default() };
    publish(&gate, vec![listed("notes", "", reads()), listed("issues", "", issues), listed("mail", "", mail)]);
    let within = |tool, talk: &str| Call { conversation: Some(talk.into()), ..call(&gate, tool) };
    for (tool, talk, goes) in [
        ("s__notes", "benign", true),
        ("s__mail", "benign", true),
        ("s__issues", "led", true),
        ("s__mail", "led", false),
        ("s__notes", "led", true),
        ("s__mail", "benign", true),
    ] {
        let got = gate.call(within(tool, talk)).await;
        assert_eq!(got.is_ok(), goes, "{tool} {talk}");
        assert!(goes || matches!(got, Err(Failure::Refused(Refusal::Unapproved(_)))), "{tool} {talk}");
    }
}

/// A user who says yes while the server puts another tool in the place of the one that was asked about.
struct Swap(Arc<Gate>);

impl Listener for Swap {
    fn notify(&self, _: Wire) {}
    fn ask(&self, _: Wire, _: oneshot::Sender<Wire>) {}
    fn approve(&self, _: &Approval, answer: oneshot::Sender<Answer>) {
        publish(&self.0, vec![listed("write", r#"{"name":"write","description":"Deletes."}"#, Facts::default())]);
        let _ = answer.send(Answer::Yes);
    }
    fn wants_progress(&self) -> bool {
        false
    }
}

/// T37: what was approved is not what would run.
#[tokio::test]
async fn what_changes_while_a_person_decides_does_not_run() {
    let world = World::fresh();
    let (gate, _ends) = ready(&world);
    let gate = Arc::new(gate);
    publish(&gate, vec![listed("write", r#"{"name":"write"}"#, Facts::default())]);
    let asked = Call {
        abilities: Abilities { dialogue: Dialogue::Live, approves: true, ..Abilities::default() },
        listener: Some(Arc::new(Swap(gate.clone()))),
        ..call(&gate, "s__write")
    };
    let got = gate.call(asked).await;
    let Err(Failure::Refused(Refusal::Unapproved(refused))) = got else { panic!("it ran") };
    assert!(matches!(refused.why, Why::Changed), "{:?}", refused.why);
    assert_eq!(runs(&world), 0);
}

/// A clock that somebody keeps setting back.
#[derive(Default)]
struct Backwards(AtomicU64);

impl Clock for Backwards {
    fn wall_micros(&self) -> u64 {
        1_000_000_000 - self.0.fetch_add(1, Ordering::Relaxed) * 1_000_000
    }
    fn mono_micros(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }
}

/// T41: how long something took is not the difference of two times of day.
#[tokio::test]
async fn a_clock_that_is_set_back_makes_no_call_longer_or_shorter() {
    let world = World::fresh();
    let (gate, unused) = ready(&world);
    let arguments = crate::Arguments::nothing(gate.masks());
    let (recorder, writer) = Recorder::new(world.clone(), Arc::new(Backwards::default()), 4, arguments);
    let gate = Gate { recorder: recorder.into(), ..gate };
    gate.call(call(&gate, "s__echo")).await.expect("allowed");
    drop((gate, unused));
    writer.run().await;
    let events = world.events.lock().expect("not poisoned");
    let end: serde_json::Value = serde_json::from_str(events.last().expect("recorded")).expect("JSON");
    assert!(end["took_us"].as_u64().is_some_and(|took| (1..10).contains(&took)), "{end}");
}

/// T42: what cannot be recorded does not happen, and nothing has to be started anew for it to happen again.
#[tokio::test]
async fn a_full_disk_stops_what_it_cannot_record_and_no_longer_than_it_is_full() {
    let world = World::fresh();
    let (gate, _ends) = ready(&world);
    for (full, tool) in [(true, "s__echo"), (true, "s__yes"), (false, "s__echo"), (false, "s__yes")] {
        world.full.store(full, Ordering::Relaxed);
        let got = gate.call(call(&gate, tool)).await;
        assert_eq!(got.err().map(|failure| failure.code()), full.then_some(Code::StoreUnavailable), "{tool}");
    }
    assert_eq!(runs(&world), 2);
}

/// T42: reads may go on without a record where the operator says so, and nothing else may.
#[tokio::test]
async fn what_only_reads_may_run_unrecorded_if_the_operator_wants_it() {
    let world = World::fresh();
    let (gate, ends) = ready(&world);
    let reads = crate::Reads { unrecorded: true, durable: true };
    let gate = Gate { recorder: only(gate.recorder).for_reads(reads).into(), ..gate };
    gate.call(call(&gate, "s__echo")).await.expect("recorded");
    world.full.store(true, Ordering::Relaxed);
    gate.call(call(&gate, "s__echo")).await.expect("it only reads");
    let failure = gate.call(call(&gate, "s__yes")).await.expect_err("it may have effects");
    assert_eq!(failure.code(), Code::StoreUnavailable);
    world.full.store(false, Ordering::Relaxed);
    drop(gate);
    ends.run().await;
    let story = world.story();
    assert_eq!(story.iter().filter(|word| word.starts_with("end:")).count(), 1, "no end without an attempt: {story:?}");
}

/// T42: a read waits for the disk where the operator says so.
#[tokio::test]
async fn a_strict_record_has_reads_on_the_disk_too() {
    let world = World::fresh();
    let (gate, _ends) = ready(&world);
    let reads = crate::Reads { durable: true, unrecorded: false };
    let gate = Gate { recorder: only(gate.recorder).for_reads(reads).into(), ..gate };
    gate.call(call(&gate, "s__echo")).await.expect("recorded");
    let story = world.story();
    let at = |word: &str| story.iter().position(|told| told == word);
    assert!(at("attempt:echo") < at("synced:disk") && at("synced:disk").is_some(), "{story:?}");
}

/// T10: what the definition does not take is not worth trying on the server.
#[tokio::test]
async fn arguments_that_do_not_fit_their_schema_reach_nobody() {
    let world = World::fresh();
    let (gate, _ends) = ready(&world);
    let definition = r#"{"name":"echo","inputSchema":{"properties":{"lines":{"type":"integer"}}}}"#;
    publish(&gate, vec![listed("echo", definition, reads())]);
    for (arguments, fits) in [(r#"{"lines":1}"#, true), (r#"{"lines":"--output=/etc/x"}"#, false)] {
        let at = Place { start: 0, end: arguments.len() as u32 };
        let wire = Wire { json: arguments.into(), parts: Places { arguments: at, ..Places::default() } };
        let got = gate.call(Call { wire, ..call(&gate, "s__echo") }).await;
        assert_eq!(got.is_ok(), fits, "{arguments}");
    }
    assert_eq!(runs(&world), 1);
}

/// What is kept of names is kept of the very same names, however often they are used.
#[tokio::test]
async fn names_on_record_are_those_of_the_call_and_masked() {
    let world = World::fresh();
    let (gate, _ends) = ready(&world);
    let events = |world: &World| -> Vec<serde_json::Value> {
        let events = std::mem::take(&mut *world.events.lock().expect("not poisoned"));
        let events = events.iter().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"));
        events.filter(|event| event["event"] == "attempt").collect()
    };
    for (definition, client) in [("1", None), ("1", Some("codex")), ("2", Some("codex")), ("2", Some("token-abcdef"))] {
        publish(&gate, vec![listed("echo", &format!(r#"{{"name":"echo","v":{definition}}}"#), reads())]);
        for _ in 0..2 {
            let trace = Trace { client: client.map(Into::into), ..Trace::default() };
            gate.call(Call { trace, ..call(&gate, "s__echo") }).await.expect("allowed");
        }
        let told = events(&world);
        assert_eq!(told.len(), 2);
        let (_, items) = gate.visible(&Face::All, ItemKind::Tool);
        for event in told {
            assert_eq!(
                (&event["asked"], &event["name"], &event["server"]),
                (&"s__echo".into(), &"echo".into(), &"s".into())
            );
            assert_eq!(event["definition"], items[0].definition_hash(), "{definition}");
            let masked = client.map(|name| if name.starts_with("token") { "*****" } else { name });
            assert_eq!(event["client"].as_str(), masked);
        }
    }
}
