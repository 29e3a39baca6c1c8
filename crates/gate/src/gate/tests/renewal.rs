//! What a new configuration means for calls that come, that run, and that wait for a person.

use super::*;
use crate::catalog::Seen;
use crate::hub::Notice;
use std::collections::HashMap;
use std::task::{Context, Waker};

/// A client whose user says yes, just after somebody renewed the gate.
struct Late {
    gate: Arc<Gate>,
    renewal: Mutex<Option<Renewal>>,
}

impl Listener for Late {
    fn notify(&self, _: Wire) {}
    fn ask(&self, _: Wire, _: oneshot::Sender<Wire>) {}
    fn approve(&self, _: &Approval, answer: oneshot::Sender<Answer>) {
        self.gate.renew(self.renewal.lock().expect("not poisoned").take().expect("it is asked once"));
        answer.send(Answer::Yes).expect("somebody waits");
    }
    fn wants_progress(&self) -> bool {
        false
    }
}

fn rules(write: Option<Mode>) -> ServerRules {
    let tool_modes = write.map(|mode| ("write".to_owned(), mode)).into_iter();
    let yes = ("yes".to_owned(), Mode::Approve);
    let disabled_tools = vec!["never".to_owned()];
    ServerRules {
        trusted: true,
        disabled_tools,
        tool_modes: tool_modes.chain([yes]).collect(),
        ..ServerRules::default()
    }
}

/// `s` by these rules, run by that world.
fn renewal(world: &Arc<World>, rules: ServerRules) -> Renewal {
    Renewal {
        policy: Arc::new(Policy::of_servers(HashMap::from([("s".into(), rules)]))),
        masks: Arc::new(Masks::new(&[crate::Secret::new("token-abcdef")])),
        restores: Restores::new(),
        pace: PaceLimits::default(),
        sources: vec![world.clone()],
        servers: vec![("s".into(), Seen::AsBefore)],
        naming: Naming::default(),
    }
}

fn ready(world: &Arc<World>) -> (Gate, crate::ledger::EndWriter) {
    world.up.store(true, Ordering::Relaxed);
    gate(world, 4)
}

fn word_of(answer: &Result<Reply, Failure>) -> String {
    match answer {
        Ok(_) => "ran".to_owned(),
        Err(Failure::Refused(Refusal::Unapproved(unapproved))) => format!("{:?}", unapproved.why),
        Err(other) => other.code().as_str().to_owned(),
    }
}

/// A person says yes after the gate was renewed.
async fn check_wait(renewed: impl FnOnce(&Arc<World>) -> Renewal, want: &str) {
    let world = World::fresh();
    let (gate, _ends) = ready(&world);
    let gate = Arc::new(gate);
    let asked = Call {
        abilities: Abilities { dialogue: Dialogue::Live, approves: true, ..Abilities::default() },
        listener: Some(Arc::new(Late { gate: gate.clone(), renewal: Mutex::new(Some(renewed(&world))) })),
        ..call(&gate, "s__write")
    };
    assert_eq!(word_of(&gate.call(asked).await), want);
    let ran = world.seen.lock().expect("not poisoned").len();
    assert_eq!(ran, usize::from(want == "ran"), "the old server");
}

#[tokio::test]
async fn a_yes_holds_for_what_was_asked_and_nothing_else() {
    check_wait(|world| renewal(world, rules(None)), "ran").await;
    check_wait(|world| renewal(world, rules(Some(Mode::Approve))), "ran").await;
    check_wait(|world| renewal(world, rules(Some(Mode::Deny))), "Changed").await;
    check_wait(|world| renewal(world, rules(Some(Mode::Prompt))), "Changed").await;
    let other = |_: &Arc<World>| renewal(&World::fresh(), rules(None));
    check_wait(other, "Changed").await;
    let gone = |world: &Arc<World>| Renewal { servers: Vec::new(), sources: Vec::new(), ..renewal(world, rules(None)) };
    check_wait(gone, "Changed").await;
}

#[tokio::test]
async fn new_rules_are_those_of_the_next_call() {
    let world = World::fresh();
    let (gate, _ends) = ready(&world);
    assert_eq!(word_of(&gate.call(call(&gate, "s__yes")).await), "ran");
    let denied = ServerRules { disabled_tools: vec!["yes".to_owned()], ..rules(None) };
    gate.renew(renewal(&world, denied));
    assert_eq!(word_of(&gate.call(call(&gate, "s__yes")).await), "policy.denied");
    gate.renew(Renewal { servers: Vec::new(), sources: Vec::new(), ..renewal(&world, rules(None)) });
    assert_eq!(word_of(&gate.call(call(&gate, "s__yes")).await), "tool.unknown");
}

#[tokio::test]
async fn a_call_that_runs_ends_where_it_began() {
    let (world, other) = (World::fresh(), World::fresh());
    world.hang.store(true, Ordering::Relaxed);
    let (gate, writer) = ready(&world);
    let mut running = Box::pin(gate.call(call(&gate, "s__yes")));
    let mut context = Context::from_waker(Waker::noop());
    while world.seen.lock().expect("not poisoned").is_empty() {
        assert!(running.as_mut().poll(&mut context).is_pending());
    }
    gate.renew(renewal(&other, rules(None)));
    assert!(running.as_mut().poll(&mut context).is_pending(), "the old server still has it");
    other.up.store(true, Ordering::Relaxed);
    assert_eq!(word_of(&gate.call(call(&gate, "s__yes")).await), "ran");
    assert_eq!(other.seen.lock().expect("not poisoned").len(), 1);
    drop(running);
    drop(gate);
    writer.run().await;
    let ends = world.story().iter().filter(|word| word.starts_with("end:")).count();
    assert_eq!(ends, 2, "{:?}", world.story());
}

#[tokio::test]
async fn who_listens_is_told_of_the_lists_that_changed_and_of_no_others() {
    let none = || ServerRules { disabled_tools: vec!["*".to_owned()], ..rules(None) };
    let unseen = |world: &Arc<World>| Renewal {
        servers: vec![("s".into(), Seen::AsBefore), ("new".into(), Seen::Anew(None))],
        ..renewal(world, rules(None))
    };
    for (renewed, want) in [
        (renewal(&World::fresh(), rules(None)), vec![]),
        (renewal(&World::fresh(), none()), vec!["s"]),
        (Renewal { servers: Vec::new(), ..renewal(&World::fresh(), rules(None)) }, vec!["s"]),
        (unseen(&World::fresh()), vec!["new"]),
    ] {
        let world = World::fresh();
        let (gate, _ends) = ready(&world);
        let mut notices = gate.hub().listen();
        let epoch = gate.catalog().epoch();
        gate.renew(renewed);
        assert!(gate.catalog().epoch() > epoch, "or old lists would be shown");
        let mut told = Vec::new();
        while let Ok(Notice::ListChanged(ItemKind::Tool, server)) = notices.try_recv() {
            told.push(server.to_string());
        }
        assert_eq!(told, want);
    }
}

#[tokio::test]
async fn a_secret_stays_one_after_it_was_replaced_and_handles_keep_their_meaning() {
    let options = || crate::mask::MaskOptions { handle_key: Some([7; 32]), ..crate::mask::MaskOptions::default() };
    let old = Masks::with(&[crate::Secret::new("token-abcdef")], options()).expect("no patterns");
    let new = Masks::with(&[crate::Secret::new("token-abcdef"), crate::Secret::new("token-ghijkl")], options());
    let new = new.expect("no patterns").inheriting(&old);
    assert_eq!(new.text("token-abcdef token-ghijkl"), "***** *****");
    let world = World::fresh();
    let (gate, _ends) = ready(&world);
    gate.renew(Renewal { masks: Arc::new(new), ..renewal(&world, rules(None)) });
    let reply = gate.call(call(&gate, "s__yes")).await.expect("allowed");
    assert_eq!(&*reply.wire.json, br#"{"text":"*****"}"#);
    assert_eq!(gate.hub().masks().text("token-ghijkl"), "*****");
}
