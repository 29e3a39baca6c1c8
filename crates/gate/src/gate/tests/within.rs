//! Leave for what a call wants to do on its way: whatever is not a yes that is on record is a no, and no yes is good
//! for two.

use super::*;
use crate::approval::{Act, People, Word, Words};
use std::future::{pending, ready};

/// A client whose user answers like this, or whose line breaks.
struct User(Option<Answer>);

impl Listener for User {
    fn notify(&self, _: Wire) {}
    fn ask(&self, _: Wire, _: oneshot::Sender<Wire>) {}
    fn approve_in_words(&self, question: &Approval, words: &Words, answer: oneshot::Sender<Answer>) {
        assert_eq!((&*question.tool, &*question.class), ("run", "high_impact"));
        assert_eq!(question.arguments, r#"{"command":"x *****"}"#);
        assert_eq!((&*words.text, &*words.beside), ("May it run `x *****`?", r#"{"command":["*****"]}"#));
        if let Some(said) = self.0 {
            let _ = answer.send(said);
        }
    }
    fn wants_progress(&self) -> bool {
        false
    }
}

fn act() -> Act {
    Act {
        name: "run".into(),
        rule: "it asks".into(),
        arguments: r#"{"command":"x token-abcdef"}"#.to_owned(),
        words: Words {
            text: "May it run `x token-abcdef`?".to_owned(),
            beside: r#"{"command":["token-abcdef"]}"#.to_owned(),
        },
    }
}

fn people(gate: &Gate, dialogue: Dialogue, user: Option<Option<Answer>>) -> People {
    let rules = gate.rules.load();
    People {
        approvals: gate.approvals.clone(),
        recorder: gate.recorder.clone(),
        policy: rules.policy.clone(),
        masks: rules.masks.clone(),
        server: "s".into(),
        id: gate.fresh_id(),
        by: Principal::Local,
        client: None,
        abilities: Abilities { dialogue, approves: user.is_some(), ..Abilities::default() },
        listener: user.map(|said| Arc::new(User(said)) as Arc<dyn Listener>),
    }
}

async fn check(dialogue: Dialogue, user: Option<Option<Answer>>, visitor: Option<bool>, want: Word, story: &[&str]) {
    let world = World::fresh();
    let (gate, _ends) = gate(&world, 4);
    let verdict = |yes| Verdict { yes, approver: "alice".to_owned(), way: Way::Terminal, at: 0 };
    *world.desk.visitor.lock().expect("not poisoned") = visitor.map(verdict);
    let word = people(&gate, dialogue, user).ask(&act(), |_, _| (), pending()).await;
    assert_eq!((word, &*world.story()), (want, &*story.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>()));
}

#[tokio::test]
async fn the_user_decides_where_it_counts() {
    let live = Dialogue::Live;
    check(live, Some(Some(Answer::Yes)), None, Word::Yes, &["requested:run", "approved:run"]).await;
    check(live, Some(Some(Answer::No)), None, Word::No, &["requested:run", "denied:run"]).await;
    check(live, Some(Some(Answer::Dismissed)), None, Word::Dismissed, &["requested:run", "denied:run"]).await;
}

#[tokio::test]
async fn everybody_else_is_asked_out_of_band() {
    for dialogue in [Dialogue::None, Dialogue::Live, Dialogue::Rounds] {
        check(dialogue, None, Some(true), Word::Yes, &["requested:run"]).await;
        check(dialogue, None, Some(false), Word::No, &["requested:run"]).await;
        check(dialogue, None, None, Word::Nobody, &["requested:run"]).await;
    }
    check(Dialogue::Live, Some(None), Some(true), Word::Yes, &["requested:run"]).await;
}

#[tokio::test]
async fn a_yes_for_the_conversation_is_one_for_this_act() {
    check(Dialogue::Live, Some(Some(Answer::YesForConversation)), None, Word::Yes, &["requested:run", "approved:run"])
        .await;
    let world = World::fresh();
    let (gate, _ends) = gate(&world, 4);
    let people = people(&gate, Dialogue::Live, Some(Some(Answer::YesForConversation)));
    for _ in 0..2 {
        assert_eq!(people.ask(&act(), |_, _| (), pending()).await, Word::Yes);
    }
    let digests: Vec<_> = world.desk.questions.lock().expect("not poisoned").iter().map(|one| one.digest).collect();
    assert!(digests.len() == 2 && digests[0] != digests[1], "{digests:?}");
    assert!(world.desk.grants.lock().expect("not poisoned").is_empty());
}

#[tokio::test]
async fn a_call_that_is_over_takes_its_question_back() {
    let world = World::fresh();
    let (gate, _ends) = gate(&world, 4);
    let people = people(&gate, Dialogue::Live, Some(Some(Answer::Yes)));
    assert_eq!(people.ask(&act(), |_, _| (), ready(())).await, Word::Over);
    assert_eq!(world.story(), ["requested:run", "denied:run"]);
    let questions = world.desk.questions.lock().expect("not poisoned");
    assert!(matches!(questions[0].state, ApprovalState::Denied(_)), "{:?}", questions[0].state);
}

#[tokio::test]
async fn what_cannot_be_recorded_is_not_approved() {
    for refused in ["requested", "approved"] {
        let world = World::fresh();
        let (gate, _ends) = gate(&world, 4);
        *world.refuses.lock().expect("not poisoned") = Some(refused);
        let people = people(&gate, Dialogue::Live, Some(Some(Answer::Yes)));
        assert_eq!(people.ask(&act(), |_, _| (), pending()).await, Word::Nobody, "{refused}");
    }
}

#[tokio::test]
async fn an_answer_in_a_later_round_counts_where_the_client_decides() {
    for (approves, want) in [(true, "approved:run"), (false, "requested:run")] {
        let world = World::fresh();
        let (gate, _ends) = gate(&world, 4);
        let people = people(&gate, Dialogue::Rounds, approves.then_some(None));
        let mut id = None;
        people.ask(&act(), |question, _| id = Some(question.id), pending()).await;
        people.answered(id.expect("laid down"), Answer::Yes).await.expect("recorded");
        assert_eq!(world.story().last().map(String::as_str), Some(want));
    }
}
