//! The approval matrix, without any face: {out of band, in the client, by rounds} × {yes, no, nobody} and what
//! tries to get around it. No cell but a yes reaches the server, and every cell is on record.

use super::*;

/// A client that answers `answer` when its user is asked, or `None`: closes the line.
struct User(Option<Answer>);

impl Listener for User {
    fn notify(&self, _: Wire) {}
    fn ask(&self, _: Wire, _: oneshot::Sender<Wire>) {}
    fn approve(&self, question: &Approval, answer: oneshot::Sender<Answer>) {
        assert_eq!((&*question.tool, question.arguments.as_str()), ("write", "{}"));
        if let Some(said) = self.0 {
            let _ = answer.send(said);
        }
    }
    fn wants_progress(&self) -> bool {
        false
    }
}

fn verdict(yes: bool) -> Verdict {
    Verdict { yes, approver: "alice".to_owned(), way: Way::Terminal, at: 0 }
}

fn write(gate: &Gate, dialogue: Dialogue, user: Option<Option<Answer>>) -> Call {
    let arguments = Places { arguments: Place { start: 0, end: 2 }, ..Places::default() };
    Call {
        abilities: Abilities { dialogue, approves: user.is_some(), ..Abilities::default() },
        listener: user.map(|said| Arc::new(User(said)) as Arc<dyn Listener>),
        conversation: Some("talk".into()),
        wire: Wire { json: Bytes::from_static(b"{}"), parts: arguments },
        ..call(gate, "s__write")
    }
}

fn ready(world: &Arc<World>) -> (Gate, crate::ledger::EndWriter) {
    world.up.store(true, Ordering::Relaxed);
    gate(world, 4)
}

async fn outcome(gate: &Gate, call: Call) -> String {
    match gate.call(call).await {
        Ok(_) => "ran".to_owned(),
        Err(Failure::Refused(Refusal::Pending(_))) => "asked".to_owned(),
        Err(Failure::Refused(Refusal::Unapproved(unapproved))) => format!("{:?}", unapproved.why),
        Err(other) => other.code().as_str().to_owned(),
    }
}

fn runs(world: &World) -> usize {
    world.seen.lock().expect("not poisoned").len()
}

async fn check(dialogue: Dialogue, user: Option<Option<Answer>>, visitor: Option<bool>, want: &str, story: &[&str]) {
    let world = World::fresh();
    let (gate, _ends) = ready(&world);
    *world.desk.visitor.lock().expect("not poisoned") = visitor.map(verdict);
    let got = outcome(&gate, write(&gate, dialogue, user)).await;
    assert_eq!(got, want, "{dialogue:?} {user:?} {visitor:?}");
    assert_eq!(runs(&world), usize::from(want == "ran"), "{dialogue:?} {user:?} {visitor:?}");
    let told: Vec<_> = world.story().into_iter().filter(|word| !word.starts_with("end")).collect();
    assert_eq!(told, story, "{dialogue:?} {user:?} {visitor:?}");
}

const REFUSED: &str = "refusal:s__write:approval.refused";

#[tokio::test]
async fn a_person_out_of_band_decides_for_clients_that_cannot_ask() {
    let ran = ["requested:write", "attempt:write", "synced:disk"];
    for dialogue in [Dialogue::None, Dialogue::Live, Dialogue::Rounds] {
        check(dialogue, None, Some(true), "ran", &ran).await;
        check(dialogue, None, Some(false), r#"Declined { by: "alice" }"#, &["requested:write", REFUSED]).await;
        check(dialogue, None, None, "Unanswered", &["requested:write", REFUSED]).await;
    }
}

#[tokio::test]
async fn the_clients_user_decides_where_it_counts() {
    let live = Dialogue::Live;
    let ran = ["requested:write", "approved:write", "attempt:write", "synced:disk"];
    check(live, Some(Some(Answer::Yes)), None, "ran", &ran).await;
    let no = r#"Declined { by: "user of the client" }"#;
    check(live, Some(Some(Answer::No)), None, no, &["requested:write", "denied:write", REFUSED]).await;
    check(live, Some(Some(Answer::Dismissed)), None, "Dismissed", &["requested:write", REFUSED]).await;
}

#[tokio::test]
async fn a_client_whose_line_breaks_leaves_the_question_to_others() {
    // Either the broken line or the expiry is seen first; neither is a yes.
    let world = World::fresh();
    let (gate, _ends) = ready(&world);
    let got = outcome(&gate, write(&gate, Dialogue::Live, Some(None))).await;
    assert!(["Unanswered", "Expired", "approval.expired"].contains(&&*got), "{got}");
    assert_eq!(runs(&world), 0);
}

/// Asks by rounds and returns the gate, and which question the client was given.
async fn asked(world: &Arc<World>) -> (Gate, crate::ledger::EndWriter, ApprovalId) {
    let (gate, ends) = ready(world);
    let first = write(&gate, Dialogue::Rounds, Some(None));
    assert_eq!(outcome(&gate, first).await, "asked");
    let id = world.desk.questions.lock().expect("not poisoned")[0].id;
    (gate, ends, id)
}

fn again(gate: &Gate, claim: Claim) -> Call {
    Call { claim: Some(claim), ..write(gate, Dialogue::Rounds, Some(None)) }
}

#[tokio::test]
async fn a_repeated_call_brings_the_answer_and_runs_once() {
    let world = World::fresh();
    let (gate, _ends, approval) = asked(&world).await;
    let claim = |answer| Claim { approval, answer, round: None };
    assert_eq!(outcome(&gate, again(&gate, claim(None))).await, "asked", "no answer: asked again");
    assert_eq!(outcome(&gate, again(&gate, claim(Some(Answer::Yes)))).await, "ran");
    assert_eq!(outcome(&gate, again(&gate, claim(Some(Answer::Yes)))).await, "Spent", "replayed");
    assert_eq!(runs(&world), 1);
}

#[tokio::test]
async fn each_round_of_an_approved_call_goes_on_once() {
    let world = World::fresh();
    let (gate, _ends, approval) = asked(&world).await;
    let first = again(&gate, Claim { approval, answer: Some(Answer::Yes), round: None });
    let reply = gate.call(first).await.expect("approved");
    let next = reply.continuation.expect("it can go on").round;
    let round = |round| Claim { approval, answer: None, round: Some(round) };
    assert_eq!(outcome(&gate, again(&gate, round(next))).await, "ran");
    assert_eq!(outcome(&gate, again(&gate, round(next))).await, "Misfit", "replayed");
    assert_eq!(outcome(&gate, again(&gate, round(next + 1))).await, "ran");
    assert_eq!(runs(&world), 3);
}

#[tokio::test]
async fn what_does_not_fit_its_approval_neither_runs_nor_spends_it() {
    let world = World::fresh();
    let (gate, _ends, approval) = asked(&world).await;
    let claim = || Claim { approval, answer: Some(Answer::Yes), round: None };
    let mut changed = again(&gate, claim());
    changed.wire.json = Bytes::from_static(br#"{"a":1}"#);
    changed.wire.parts.arguments = Place { start: 0, end: 7 };
    assert_eq!(outcome(&gate, changed).await, "Misfit", "one byte changed");
    let other = Call { by: Principal::Token, ..again(&gate, claim()) };
    assert_eq!(outcome(&gate, other).await, "Misfit", "another principal");
    let forged = Claim { approval: ApprovalId(Uuid::nil()), ..claim() };
    assert_eq!(outcome(&gate, again(&gate, forged)).await, "Misfit", "no such question");
    assert_eq!(runs(&world), 0);
    assert_eq!(outcome(&gate, again(&gate, claim())).await, "ran", "and the right one still runs");
}

#[tokio::test]
async fn an_answer_of_a_client_that_is_no_approver_does_not_count() {
    let world = World::fresh();
    let (gate, _ends, approval) = asked(&world).await;
    let claim = Claim { approval, answer: Some(Answer::Yes), round: None };
    let mut call = again(&gate, claim);
    call.abilities.approves = false;
    assert_eq!(outcome(&gate, call).await, "Unanswered");
    assert_eq!(runs(&world), 0);
}

#[tokio::test]
async fn an_expired_question_is_asked_anew() {
    let world = World::fresh();
    let (gate, _ends, approval) = asked(&world).await;
    world.ticks.fetch_add(2_000, Ordering::Relaxed);
    let claim = Claim { approval, answer: Some(Answer::Yes), round: None };
    assert_eq!(outcome(&gate, again(&gate, claim)).await, "Expired");
    assert!(matches!(gate.settle(approval, Verdict { at: 5_000, ..verdict(true) }).await, Ok(Settled::Already(_))));
    assert_eq!(runs(&world), 0);
    let story = world.story();
    assert!(story.contains(&"expired:write".to_owned()), "{story:?}");
}

#[tokio::test]
async fn of_two_approvers_one_wins() {
    let world = World::fresh();
    let (gate, _ends, approval) = asked(&world).await;
    let no = Verdict { at: 1, ..verdict(false) };
    assert!(matches!(gate.settle(approval, no).await, Ok(Settled::Now(_))));
    let late = gate.settle(approval, Verdict { at: 1, ..verdict(true) }).await.expect("stored");
    assert!(matches!(late, Settled::Already(Approval { state: ApprovalState::Denied(_), .. })), "{late:?}");
    let claim = Claim { approval, answer: Some(Answer::Yes), round: None };
    assert_eq!(outcome(&gate, again(&gate, claim)).await, r#"Declined { by: "alice" }"#);
    assert_eq!(runs(&world), 0);
}

#[tokio::test]
async fn an_answer_that_came_while_nobody_waited_is_found_by_the_same_call() {
    let world = World::fresh();
    let (gate, _ends) = ready(&world);
    assert_eq!(outcome(&gate, write(&gate, Dialogue::None, None)).await, "Unanswered");
    let id = world.desk.questions.lock().expect("not poisoned")[0].id;
    gate.settle(id, Verdict { at: 1, ..verdict(true) }).await.expect("settled");
    assert_eq!(outcome(&gate, write(&gate, Dialogue::None, None)).await, "ran");
    assert_eq!(outcome(&gate, write(&gate, Dialogue::None, None)).await, "Unanswered", "once");
    assert_eq!(runs(&world), 1);
}

#[tokio::test]
async fn a_yes_for_the_conversation_holds_there_alone_and_for_the_same_arguments() {
    let world = World::fresh();
    let (gate, _ends) = ready(&world);
    let yes = Some(Some(Answer::YesForConversation));
    assert_eq!(outcome(&gate, write(&gate, Dialogue::Live, yes)).await, "ran");
    assert_eq!(outcome(&gate, write(&gate, Dialogue::None, None)).await, "ran", "remembered");
    let elsewhere = Call { conversation: Some("other".into()), ..write(&gate, Dialogue::None, None) };
    assert_eq!(outcome(&gate, elsewhere).await, "Unanswered");
    let mut others = write(&gate, Dialogue::None, None);
    others.wire.json = Bytes::from_static(br#"{"a":1}"#);
    others.wire.parts.arguments = Place { start: 0, end: 7 };
    assert_eq!(outcome(&gate, others).await, "Unanswered");
    assert_eq!(runs(&world), 2);
}

#[tokio::test]
async fn nobody_is_worn_down_by_questions() {
    let world = World::fresh();
    let (gate, _ends) = ready(&world);
    for n in 0..4 {
        let mut one = write(&gate, Dialogue::None, None);
        one.wire.json = Bytes::from(format!(r#"{{"a":{n}}}"#));
        one.wire.parts.arguments = Place { start: 0, end: 7 };
        let got = outcome(&gate, one).await;
        assert_eq!(got, if n < 3 { "Unanswered" } else { "TooMany { open: 3 }" });
    }
}

#[tokio::test]
async fn an_answer_that_cannot_be_recorded_does_not_count() {
    let world = World::fresh();
    let (gate, _ends, approval) = asked(&world).await;
    // The disk takes the attempt, but not the answer it rests on.
    *world.refuses.lock().expect("not poisoned") = Some("approved");
    let claim = Claim { approval, answer: Some(Answer::Yes), round: None };
    assert_eq!(outcome(&gate, again(&gate, claim.clone())).await, "store.unavailable");
    assert_eq!(runs(&world), 0);
    *world.refuses.lock().expect("not poisoned") = None;
    assert_eq!(outcome(&gate, again(&gate, claim)).await, "Spent");
    assert_eq!(runs(&world), 0, "it does not count later either");
}
