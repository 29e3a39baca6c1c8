//! What a server on one shared stream says goes to the caller it certainly concerns, or to nobody.

mod common;

use common::{Caller, Ear, House, hostile, until};
use gate::Dialogue;
use std::time::Duration;
use tempfile::tempdir;
use upstream::{Options, Protocol};

#[tokio::test]
async fn a_question_after_a_call_was_given_up_goes_to_no_other_caller() {
    let dir = tempdir().expect("a directory");
    let house = House::new(Options { protocol: Protocol::Legacy, ..hostile(&[]) }, dir.path().to_owned());
    house.ready().await.expect("the fixture starts");
    let ear = Ear::answering(Some(r#"{"action":"accept","content":{"name":"Ada"}}"#));
    let live =
        Caller { listener: Some(ear.clone()), dialogue: Dialogue::Live, capabilities: Some(r#"{"elicitation":{}}"#) };
    let given_up = Ear::answering(None);
    let impatient = Caller { listener: Some(given_up.clone()), ..Caller::default() };
    let json = r#"{"jsonrpc":"2.0","id":"x","method":"tools/call","params":{"name":"slow","arguments":{"ms":30000,"steps":300},"_meta":{"progressToken":1}}}"#;
    tokio::select! {
        _ = house.send(&impatient, gate::Target::Tool("slow".into()), json, "name") => panic!("too soon"),
        () = until("progress", || !given_up.heard().is_empty()) => {}
    }
    let answer = house.call_as(&live, "elicit", "{}").await.unwrap();
    assert!(answer.contains("cancel"), "{answer}");
    assert_eq!(ear.asked.lock().unwrap().len(), 0);
    house.stop().await;
}

#[tokio::test]
async fn late_answers_to_what_was_given_up_do_not_end_the_connection() {
    let dir = tempdir().expect("a directory");
    let options = Options { call_timeout: Duration::from_millis(100), ..hostile(&["--answer-after-cancel"]) };
    let house = House::new(options, dir.path().to_owned());
    house.ready().await.expect("the fixture starts");
    for _ in 0..3 {
        let hung = futures_util::future::join_all((0..50).map(|_| house.call("hang", "{}"))).await;
        assert!(hung.iter().all(|outcome| outcome.as_ref().is_err_and(|why| why.starts_with("upstream.timeout"))));
    }
    house.stop().await;
}

#[tokio::test]
async fn a_question_that_is_never_answered_goes_away_with_its_call() {
    let dir = tempdir().expect("a directory");
    let limit = Duration::from_millis(500);
    let options = Options { protocol: Protocol::Legacy, call_timeout: limit, ..hostile(&[]) };
    let house = House::new(options, dir.path().to_owned());
    house.ready().await.expect("the fixture starts");
    let ear = Ear::silent();
    let live =
        Caller { listener: Some(ear.clone()), dialogue: Dialogue::Live, capabilities: Some(r#"{"elicitation":{}}"#) };
    let failed = house.call_as(&live, "elicit", "{}").await.unwrap_err();
    assert!(failed.starts_with("upstream.timeout"), "{failed}");
    let gone = || ear.kept.lock().unwrap().iter().filter(|answer| answer.is_closed()).count();
    until("the end of the question", || gone() == 1).await;
    house.stop().await;
}
