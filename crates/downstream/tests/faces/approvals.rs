//! Calls that need a person's word, on every face: whoever answers, however, or not at all, what is no yes never
//! reaches a server, and every call ends.

use crate::client::{Response, send};
use crate::common::{PATIENCE, World, options};
use crate::desk::Paper;
use crate::http::Service;
use crate::stdio::Client;
use downstream::{Approver, Auth, HttpOptions, Options, Seal};
use gate::ports::Clock;
use gate::{Approval, ApprovalState, Face, Secret, Settled};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

const KEY: &str = "toolgate/approval";
const SECRET: (&str, &str) = ("Authorization", "Bearer the-approver's-secret");
const TOKEN: (&str, &str) = ("Authorization", "Bearer the-token");
/// As long as a call waits for somebody out of band, and as long as a question stays open.
const PATIENT: Duration = Duration::from_secs(20);
const LIFETIME: Duration = Duration::from_secs(600);

/// A face whose client's user is the approver, with a key that another process may have, too.
fn by_client(paper: &Arc<Paper>) -> Options {
    Options { approvals_by_client: true, seal: Seal::new(&[7; 32], paper.clone()), ..options(Face::All) }
}

/// What a client does when its user is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum User {
    Accepts,
    Remembers,
    Declines,
    Cancels,
    Garbles,
    Fails,
}

impl User {
    const NO: [User; 4] = [User::Declines, User::Cancels, User::Garbles, User::Fails];

    fn result(self) -> Value {
        match self {
            User::Accepts => json!({"action": "accept"}),
            User::Remembers => json!({"action": "accept", "content": {"remember": "conversation"}}),
            User::Declines => json!({"action": "decline"}),
            User::Cancels => json!({"action": "cancel"}),
            User::Garbles | User::Fails => json!({"answer": "accept"}),
        }
    }

    /// The answer to the question `asked` of a server.
    fn answer(self, asked: &Value) -> Value {
        match self {
            User::Fails => json!({"jsonrpc": "2.0", "id": asked["id"], "error": {"code": -32601, "message": "what?"}}),
            user => json!({"jsonrpc": "2.0", "id": asked["id"], "result": user.result()}),
        }
    }
}

fn check_question(method: &Value, params: &Value) {
    assert_eq!(method, "elicitation/create");
    let message = params["message"].as_str().unwrap();
    assert!(message.contains("`guarded") && message.contains("`a`") && message.contains("\"x\": 1"), "{message}");
    let schema = &params["requestedSchema"];
    assert!(schema["type"] == "object" && schema.get("required").is_none(), "accepting is enough: {schema}");
}

fn check_ran(answer: &Value) {
    assert_eq!(answer["result"]["structuredContent"]["arguments"], json!({"x": 1}), "{answer}");
}

fn check_refused(answer: &Value, code: &str) {
    assert_eq!(answer["result"]["isError"], true, "{answer}");
    assert_eq!(answer["result"]["_meta"]["toolgate/code"], code, "{answer}");
}

/// What the record says of it.
fn check_recorded(world: &World, event: &str) {
    let recorded = world.recorded();
    assert!(recorded.iter().any(|one| one["event"] == event), "{event}: {recorded:?}");
}

// ---- A client with a handshake, on a pipe.

async fn on_pipe(paper: &Arc<Paper>, capabilities: Value) -> Client {
    let mut client = Client::with(World::asking(paper.clone()), by_client(paper));
    let params = json!({"protocolVersion": "2025-11-25", "capabilities": capabilities, "clientInfo": {"name": "t"}});
    client.ask("initialize", params).await;
    client
}

fn call(id: u32, tool: &str) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": tool, "arguments": {"x": 1}}})
}

#[tokio::test]
async fn on_a_pipe_the_user_of_the_client_answers() {
    let check = async |user: User| {
        let paper = Arc::new(Paper::new());
        let mut client = on_pipe(&paper, json!({"elicitation": {}})).await;
        client.send(&call(5, "a__guarded").to_string()).await;
        let asked = client.next().await;
        check_question(&asked["method"], &asked["params"]);
        assert_eq!(client.world.ran(), 0);
        client.send(&user.answer(&asked).to_string()).await;
        let answer = client.next().await;
        assert_eq!(answer["id"], 5);
        if matches!(user, User::Accepts | User::Remembers) {
            check_ran(&answer);
            check_recorded(&client.world, "attempt");
        } else {
            check_refused(&answer, "approval.refused");
            assert_eq!(client.world.ran(), 0, "{user:?}");
            check_recorded(&client.world, "refusal");
        }
        assert_eq!(client.end().await, Vec::<String>::new(), "{user:?}: nothing is left to say");
    };
    check(User::Accepts).await;
    for user in User::NO {
        check(user).await;
    }
}

#[tokio::test]
async fn a_question_that_is_settled_elsewhere_is_taken_back() {
    for yes in [true, false] {
        let paper = Arc::new(Paper::new());
        let mut client = on_pipe(&paper, json!({"elicitation": {"form": {}}})).await;
        client.send(&call(5, "a__guarded").to_string()).await;
        let asked = client.next().await;
        let question = client.world.question().await;
        assert!(matches!(client.world.settle(question.id, yes).await, Settled::Now(_)));
        let mut rest = [client.next().await, client.next().await];
        rest.sort_by_key(|message| message.get("id").is_some());
        assert_eq!(rest[0]["method"], "notifications/cancelled", "{rest:?}");
        assert_eq!(rest[0]["params"]["requestId"], asked["id"]);
        if yes {
            check_ran(&rest[1])
        } else {
            check_refused(&rest[1], "approval.refused")
        }
        // Too late to count.
        client.send(&User::Accepts.answer(&asked).to_string()).await;
        let world = &client.world;
        assert!(
            matches!(world.settle(question.id, true).await, Settled::Already(_)),
            "a second approver changes nothing"
        );
        assert_eq!(world.ran(), usize::from(yes));
        assert_eq!(client.end().await, Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_question_nobody_answers_expires_and_is_taken_back() {
    let paper = Arc::new(Paper::new());
    let mut client = on_pipe(&paper, json!({"elicitation": {}})).await;
    client.send(&call(5, "a__guarded").to_string()).await;
    client.next().await;
    client.world.question().await;
    paper.pass(LIFETIME);
    let mut rest = [client.next().await, client.next().await];
    rest.sort_by_key(|message| message.get("id").is_some());
    assert_eq!(rest[0]["method"], "notifications/cancelled");
    check_refused(&rest[1], "approval.expired");
    assert_eq!(client.world.ran(), 0);
    check_recorded(&client.world, "refusal");
}

#[tokio::test]
async fn a_call_that_its_client_cancels_is_asked_about_no_more() {
    let paper = Arc::new(Paper::new());
    let mut client = on_pipe(&paper, json!({"elicitation": {}})).await;
    client.send(&call(5, "a__guarded").to_string()).await;
    let asked = client.next().await;
    client.send(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":5}}"#).await;
    let back = client.next().await;
    assert_eq!((&back["method"], &back["params"]["requestId"]), (&json!("notifications/cancelled"), &asked["id"]));
    client.send(&User::Accepts.answer(&asked).to_string()).await;
    assert_eq!(client.ask("ping", json!({})).await["result"], json!({}));
    assert_eq!(client.world.ran(), 0);
}

#[tokio::test]
async fn a_client_that_goes_while_it_is_asked_gets_nothing_done() {
    for yes in [true, false] {
        let paper = Arc::new(Paper::new());
        let mut client = on_pipe(&paper, json!({"elicitation": {}})).await;
        client.send(&call(5, "a__guarded").to_string()).await;
        client.next().await;
        let (gate, story) = (client.world.gate.clone(), client.world.story.clone());
        let question = client.world.question().await;
        client.end().await;
        let verdict = gate::Verdict { yes, approver: "anna".into(), way: gate::Way::Terminal, at: paper.wall_micros() };
        assert!(matches!(gate.settle(question.id, verdict).await, Ok(Settled::Now(_))));
        assert!(!story.lock().unwrap().iter().any(|event| event.starts_with("tool:")));
    }
}

#[tokio::test]
async fn without_a_way_to_ask_the_call_waits_for_somebody_else_and_not_for_ever() {
    // No elicitation; links alone; the operator does not take the client's word for it.
    let paper = Arc::new(Paper::new());
    let others = Options { approvals_by_client: false, ..by_client(&paper) };
    for (capabilities, options) in
        [(json!({}), None), (json!({"elicitation": {"url": {}}}), None), (json!({"elicitation": {}}), Some(others))]
    {
        for (answer, code) in [(Some(true), ""), (Some(false), "approval.refused"), (None, "approval.refused")] {
            let paper = Arc::new(Paper::new());
            let options = options.clone().unwrap_or_else(|| by_client(&paper));
            let mut client = Client::with(World::asking(paper.clone()), options);
            let hello = json!({"protocolVersion": "2025-06-18", "capabilities": capabilities});
            client.ask("initialize", hello).await;
            client.send(&call(5, "a__guarded").to_string()).await;
            let question = client.world.question().await;
            match answer {
                Some(yes) => drop(client.world.settle(question.id, yes).await),
                None => paper.pass(PATIENT),
            }
            let said = client.next().await;
            assert_eq!(said["id"], 5, "{said}");
            if answer == Some(true) {
                check_ran(&said)
            } else {
                check_refused(&said, code)
            }
            assert_eq!(client.world.ran(), usize::from(answer == Some(true)));
            if answer.is_none() {
                let text = said["result"]["content"][0]["text"].as_str().unwrap();
                assert!(text.contains(&format!("toolgate approvals approve {}", question.id)), "{text}");
                // The question outlives the call: whoever says yes then lets the next such call through, once.
                client.world.settle(question.id, true).await;
                client.send(&call(6, "a__guarded").to_string()).await;
                check_ran(&client.next().await);
                assert_eq!(client.world.ran(), 1);
            }
        }
    }
}

#[tokio::test]
async fn a_yes_for_the_conversation_is_for_these_arguments_and_for_no_other_conversation() {
    let paper = Arc::new(Paper::new());
    let mut client = on_pipe(&paper, json!({"elicitation": {}})).await;
    client.send(&call(5, "a__guarded").to_string()).await;
    let asked = client.next().await;
    client.send(&User::Remembers.answer(&asked).to_string()).await;
    check_ran(&client.next().await);
    client.send(&call(6, "a__guarded").to_string()).await;
    check_ran(&client.next().await);
    let other = json!({"name": "a__guarded", "arguments": {"x": 2}});
    assert_eq!(client.ask("tools/call", other).await["method"], "elicitation/create");
    let mut second = on_pipe(&paper, json!({"elicitation": {}})).await;
    second.send(&call(7, "a__guarded").to_string()).await;
    assert_eq!(second.next().await["method"], "elicitation/create");
}

#[tokio::test]
async fn who_waits_for_a_person_hears_that_it_waits() {
    let paper = Arc::new(Paper::new());
    let mut client = on_pipe(&paper, json!({})).await;
    let mut call = call(5, "a__guarded");
    call["params"]["_meta"] = json!({"progressToken": "p"});
    client.send(&call.to_string()).await;
    let heard = client.next().await;
    assert_eq!(heard["params"]["progressToken"], "p");
    assert!(heard["params"]["message"].as_str().unwrap().contains("approval"), "{heard}");
    let question = client.world.question().await;
    client.world.settle(question.id, true).await;
    check_ran(&client.next().await);
}

#[tokio::test]
async fn a_question_of_a_server_is_taken_back_when_its_call_is_over() {
    let mut client = Client::with(World::new(), options(Face::All));
    client.shake("2025-11-25").await;
    client.send(&call(5, "a__elicit").to_string()).await;
    let asked = client.next().await;
    client.send(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":5}}"#).await;
    let back = client.next().await;
    assert_eq!((&back["method"], &back["params"]["requestId"]), (&json!("notifications/cancelled"), &asked["id"]));
}

// ---- A client with a handshake, over HTTP.

async fn over_http(paper: &Arc<Paper>) -> Service {
    let mut http = HttpOptions::new(Auth::Token(Secret::new("the-token")));
    let knows = Arc::new(|secret: &str| secret == "the-approver's-secret" || secret == "the-token");
    http.approver = Some(Approver { knows, name: "anna".to_owned(), clock: paper.clone() });
    Service::of(World::asking(paper.clone()), http, by_client(paper)).await
}

#[tokio::test]
async fn over_http_the_question_comes_on_the_stream_of_the_call() {
    let check = async |user: User| {
        let paper = Arc::new(Paper::new());
        let service = over_http(&paper).await;
        let session = service.open("/mcp", "2025-06-18").await;
        let mut stream = service.ask(&session, &call(5, "a__guarded")).await;
        assert!(stream.is_stream());
        let asked = stream.event().await.unwrap().json();
        check_question(&asked["method"], &asked["params"]);
        assert!(asked["params"].get("mode").is_none(), "this revision knows no modes");
        assert_eq!(service.ask(&session, &user.answer(&asked)).await.status, 202);
        let answer = stream.event().await.unwrap().json();
        if user == User::Accepts {
            check_ran(&answer)
        } else {
            check_refused(&answer, "approval.refused")
        }
        assert_eq!(service.world.ran(), usize::from(user == User::Accepts));
        assert!(stream.event().await.is_none());
    };
    check(User::Accepts).await;
    for user in User::NO {
        check(user).await;
    }
}

#[tokio::test]
async fn over_http_nobody_else_can_answer_for_the_client() {
    let paper = Arc::new(Paper::new());
    let service = over_http(&paper).await;
    let (session, other) = (service.open("/mcp", "2025-11-25").await, service.open("/mcp", "2025-11-25").await);
    let mut stream = service.ask(&session, &call(5, "a__guarded")).await;
    let mut asked = stream.event().await.unwrap();
    while asked.data.as_deref().is_none_or(str::is_empty) {
        asked = stream.event().await.unwrap();
    }
    let asked = asked.json();
    // An answer of the same id in another session is to no question there.
    assert_eq!(service.ask(&other, &User::Accepts.answer(&asked)).await.status, 202);
    assert_eq!(service.world.ran(), 0);
    assert_eq!(service.ask(&session, &User::Declines.answer(&asked)).await.status, 202);
    check_refused(&stream.event().await.unwrap().json(), "approval.refused");
}

// ---- The stateless era.

/// The parameters of a call in the stateless era.
fn params(tool: &str, more: Value) -> Value {
    let mut params = json!({"name": tool, "arguments": {"x": 1}, "_meta": {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {"elicitation": {}},
    }});
    for (key, value) in more.as_object().unwrap() {
        params[key] = value.clone();
    }
    params
}

/// A call and what came of it, on a pipe.
async fn stateless(client: &mut Client, tool: &str, more: Value) -> Value {
    client.ask("tools/call", params(tool, more)).await
}

fn answered(user: User, asked: &Value) -> Value {
    json!({"inputResponses": {KEY: user.result()}, "requestState": asked["result"]["requestState"]})
}

fn check_asked(answer: &Value) {
    assert_eq!(answer["result"]["resultType"], "input_required", "{answer}");
    let ours = &answer["result"]["inputRequests"][KEY];
    check_question(&ours["method"], &ours["params"]);
    assert_eq!(ours["params"]["mode"], "form");
}

fn stateless_client(paper: &Arc<Paper>) -> Client {
    Client::with(World::asking(paper.clone()), by_client(paper))
}

#[tokio::test]
async fn without_a_handshake_the_question_is_a_round_of_its_own() {
    let check = async |user: User| {
        let paper = Arc::new(Paper::new());
        let mut client = stateless_client(&paper);
        let asked = stateless(&mut client, "a__guarded", json!({})).await;
        check_asked(&asked);
        let answer = stateless(&mut client, "a__guarded", answered(user, &asked)).await;
        if user == User::Accepts {
            check_ran(&answer);
            let seen = &answer["result"]["structuredContent"];
            assert!(seen.get("requestState").is_none() && seen.get("inputResponses").is_none(), "{seen}");
        } else {
            check_refused(&answer, "approval.refused");
        }
        assert_eq!(client.world.ran(), usize::from(user == User::Accepts));
        // Replayed: good for one call.
        let again = stateless(&mut client, "a__guarded", answered(User::Accepts, &asked)).await;
        if matches!(user, User::Accepts | User::Declines) {
            check_refused(&again, "approval.refused");
            assert_eq!(client.world.ran(), usize::from(user == User::Accepts));
        }
        check_recorded(&client.world, "refusal");
    };
    check(User::Accepts).await;
    for user in User::NO {
        check(user).await;
    }
}

#[tokio::test]
async fn a_retry_without_an_answer_is_asked_the_same_again_or_runs_if_somebody_else_said_yes() {
    for settled in [None, Some(true), Some(false)] {
        let paper = Arc::new(Paper::new());
        let mut client = stateless_client(&paper);
        let asked = stateless(&mut client, "a__guarded", json!({})).await;
        let question = client.world.question().await;
        if let Some(yes) = settled {
            client.world.settle(question.id, yes).await;
        }
        let state = json!({"requestState": asked["result"]["requestState"], "inputResponses": {"other": {}}});
        let answer = stateless(&mut client, "a__guarded", state).await;
        match settled {
            None => check_asked(&answer),
            Some(true) => check_ran(&answer),
            Some(false) => check_refused(&answer, "approval.refused"),
        }
        assert_eq!(client.world.paper.questions.lock().unwrap().len(), 1, "one question, however often it is put");
        assert_eq!(client.world.ran(), usize::from(settled == Some(true)));
    }
}

#[tokio::test]
async fn a_retry_that_does_not_fit_neither_runs_nor_spends() {
    let paper = Arc::new(Paper::new());
    let mut client = stateless_client(&paper);
    let asked = stateless(&mut client, "a__guarded", json!({})).await;
    let state = asked["result"]["requestState"].as_str().unwrap().to_owned();
    let flipped = format!("{}{}", &state[..state.len() - 3], if state.ends_with("AAA") { "BBB" } else { "AAA" });
    let with = |state: &str, arguments: Value| json!({"arguments": arguments, "requestState": state, "inputResponses": {KEY: User::Accepts.result()}});
    let cases = [
        ("a__guarded", with(&flipped, json!({"x": 1}))),
        ("a__guarded", with("forged", json!({"x": 1}))),
        ("a__guarded", with("", json!({"x": 1}))),
        ("a__guarded", with(&state, json!({"x": 2}))),
        ("a__guarded", with(&state, json!({"x": 1, "y": 1}))),
        ("a__guarded", with(&state, json!(null))),
        ("b__guarded", with(&state, json!({"x": 1}))),
        ("a__guarded_rounds", with(&state, json!({"x": 1}))),
        ("a__echo", with(&state, json!({"x": 1}))),
        ("a__echo", with("forged", json!({"x": 1}))),
    ];
    for (tool, more) in cases {
        let before = client.world.recorded().len();
        let answer = stateless(&mut client, tool, more.clone()).await;
        assert_eq!(answer["error"]["code"], -32602, "{tool} {more}: {answer}");
        let recorded = client.world.recorded();
        assert_eq!(recorded[before]["event"], "refusal", "{recorded:?}");
    }
    assert!(!client.world.story.lock().unwrap().iter().any(|event| event.starts_with("tool:")));
    // Nothing of that took the approval away.
    check_ran(&stateless(&mut client, "a__guarded", with(&state, json!({"x": 1}))).await);
    assert_eq!(client.world.ran(), 1);
}

#[tokio::test]
async fn what_is_no_state_is_told_apart_from_a_wrong_one() {
    let paper = Arc::new(Paper::new());
    let mut client = stateless_client(&paper);
    for more in [json!({"requestState": 7}), json!({"inputResponses": []}), json!({"requeststate": "x"})] {
        let answer = stateless(&mut client, "a__echo", more).await;
        assert!(answer["error"]["code"].is_i64(), "{answer}");
    }
    // An answer to no question of ours reaches no server.
    let more = json!({"inputResponses": {KEY: {"action": "accept"}, "q": {}}});
    let answer = stateless(&mut client, "a__rounds", more).await;
    assert_eq!(answer["result"]["resultType"], "input_required");
}

#[tokio::test]
async fn a_state_is_of_one_principal_and_for_some_time() {
    let paper = Arc::new(Paper::new());
    let mut client = stateless_client(&paper);
    let asked = stateless(&mut client, "a__guarded", json!({})).await;
    // The same tool, arguments and key, but somebody else.
    let service = over_http(&paper).await;
    let answer = service.stateless("a__guarded", params("a__guarded", answered(User::Accepts, &asked))).await;
    assert_eq!(answer["error"]["code"], -32602, "{answer}");
    assert_eq!(service.world.ran(), 0);
    paper.pass(LIFETIME);
    let late = stateless(&mut client, "a__guarded", answered(User::Accepts, &asked)).await;
    assert_eq!(late["error"]["code"], -32602, "{late}");
    assert_eq!(client.world.ran(), 0);
}

#[tokio::test]
async fn an_approval_outlives_the_gate_that_asked() {
    for (key, runs) in [(7, true), (8, false)] {
        let paper = Arc::new(Paper::new());
        let mut client = stateless_client(&paper);
        let asked = stateless(&mut client, "a__guarded", json!({})).await;
        client.end().await;
        let seal = Seal::new(&[key; 32], paper.clone());
        let mut client = Client::with(World::asking(paper.clone()), Options { seal, ..by_client(&paper) });
        let answer = stateless(&mut client, "a__guarded", answered(User::Accepts, &asked)).await;
        if runs {
            check_ran(&answer)
        } else {
            assert_eq!(answer["error"]["code"], -32602)
        }
        assert_eq!(client.world.ran(), usize::from(runs));
    }
}

#[tokio::test]
async fn an_approved_call_goes_on_with_the_rounds_of_its_server_without_being_asked_again() {
    let paper = Arc::new(Paper::new());
    let mut client = stateless_client(&paper);
    let asked = stateless(&mut client, "a__guarded_rounds", json!({})).await;
    check_asked(&asked);
    let round = stateless(&mut client, "a__guarded_rounds", answered(User::Accepts, &asked)).await;
    assert_eq!(
        round["result"]["inputRequests"],
        json!({"q": {"method": "elicitation/create", "params": {"message": "?"}}})
    );
    let next = json!({"requestState": round["result"]["requestState"], "inputResponses": {"q": {"action": "decline"}}});
    let done = stateless(&mut client, "a__guarded_rounds", next.clone()).await;
    let seen = &done["result"]["structuredContent"];
    assert_eq!(
        (&seen["requestState"], &seen["inputResponses"]),
        (&json!("state"), &json!({"q": {"action": "decline"}}))
    );
    assert_eq!(client.world.ran(), 2);
    // Each round once.
    check_refused(&stateless(&mut client, "a__guarded_rounds", next).await, "approval.refused");
    assert_eq!(client.world.ran(), 2);
}

#[tokio::test]
async fn a_servers_state_comes_back_to_it_as_it_spelled_it_and_to_no_other() {
    let paper = Arc::new(Paper::new());
    let mut client = stateless_client(&paper);
    let round = stateless(&mut client, "a__rounds", json!({})).await;
    let state = round["result"]["requestState"].as_str().unwrap();
    assert!(!state.contains("state"), "sealed");
    let (json, meta) = (
        |tool: &str| {
            let meta = params(tool, json!({}))["_meta"].to_string();
            format!(
                r#"{{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{{"name":"{tool}","arguments":{{"x":1}}, "inputResponses":{{"q": {{}}}},"requestState":"{state}","_meta":{meta}}}}}"#
            )
        },
        params("", json!({}))["_meta"].to_string(),
    );
    client.send(&json("b__rounds")).await;
    assert_eq!(client.next().await["error"]["code"], -32602, "that of one server shown to another");
    client.send(&json("a__rounds")).await;
    let want = format!(
        r#"{{"name":"a__rounds","arguments":{{"x":1}}, "inputResponses":{{"q": {{}}}},"requestState":"s\u0074ate","_meta":{meta}}}"#
    );
    let line = client.line().await;
    assert!(line.contains(&want), "{line}\n{want}");
}

#[tokio::test]
async fn a_stateless_client_that_cannot_be_asked_waits_for_somebody_else() {
    for (answer, runs) in [(Some(true), true), (Some(false), false), (None, false)] {
        let paper = Arc::new(Paper::new());
        let mut client = stateless_client(&paper);
        let meta = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {},
        });
        let request = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params("a__guarded", json!({"_meta": meta}))});
        client.send(&request.to_string()).await;
        let question = client.world.question().await;
        match answer {
            Some(yes) => drop(client.world.settle(question.id, yes).await),
            None => paper.pass(PATIENT),
        }
        let said = client.next().await;
        if runs {
            check_ran(&said)
        } else {
            check_refused(&said, "approval.refused")
        }
        assert_eq!(client.world.ran(), usize::from(runs));
    }
}

// ---- Answers over HTTP.

async fn door(service: &Service, method: &str, path: &str, who: (&str, &str), body: &str) -> Response {
    send(service.address, method, path, &[("Content-Type", "application/json"), who], body).await
}

/// A call that waits, and its question.
async fn waiting(service: &Service) -> (tokio::task::JoinHandle<Value>, Approval) {
    let address = service.address;
    let body =
        json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params("a__guarded", json!({"_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {},
        }}))})
        .to_string();
    let called = tokio_util::task::TaskTracker::new().spawn(async move {
        let headers = [
            ("Content-Type", "application/json"),
            ("Accept", "application/json, text/event-stream"),
            TOKEN,
            ("MCP-Protocol-Version", "2026-07-28"),
            ("Mcp-Method", "tools/call"),
            ("Mcp-Name", "a__guarded"),
        ];
        send(address, "POST", "/mcp", &headers, &body).await.json().await
    });
    let question = service.world.question().await;
    (called, question)
}

#[tokio::test]
async fn whoever_has_the_approvers_secret_answers_over_http_and_the_first_counts() {
    for (answer, status, yes) in [("approve", 200, true), ("deny", 200, false)] {
        let paper = Arc::new(Paper::new());
        let service = over_http(&paper).await;
        let (called, question) = waiting(&service).await;
        let path = format!("/approvals/{}", question.id);
        let list = door(&service, "GET", "/approvals", SECRET, "").await.json().await;
        assert_eq!(list[0]["id"], question.id.to_string());
        assert_eq!((&list[0]["state"], &list[0]["tool"]), (&json!("open"), &json!("guarded")));
        assert_eq!(door(&service, "GET", &path, SECRET, "").await.json().await, list[0]);
        let said = json!({"answer": answer}).to_string();
        let settled = door(&service, "POST", &path, SECRET, &said).await;
        assert_eq!(settled.status, status);
        let settled = settled.json().await;
        assert_eq!((&settled["verdict"]["yes"], &settled["verdict"]["way"]), (&json!(yes), &json!("http")));
        let result = tokio::time::timeout(PATIENCE, called).await.unwrap().unwrap();
        if yes {
            check_ran(&result)
        } else {
            check_refused(&result, "approval.refused")
        }
        assert_eq!(
            door(&service, "POST", &path, SECRET, r#"{"answer":"approve"}"#).await.status,
            409,
            "a second approver"
        );
        assert_eq!(service.world.ran(), usize::from(yes));
        assert_eq!(door(&service, "GET", "/approvals", SECRET, "").await.json().await, json!([]));
    }
}

#[tokio::test]
async fn who_asks_cannot_answer_itself() {
    let paper = Arc::new(Paper::new());
    let service = over_http(&paper).await;
    let (called, question) = waiting(&service).await;
    let path = format!("/approvals/{}", question.id);
    let yes = r#"{"answer":"approve"}"#;
    // The checker of this test takes the clients' token for the secret; the face still does not.
    for who in [TOKEN, ("Authorization", "Bearer wrong"), ("Authorization", "Basic x"), ("X-None", "1")] {
        for (method, path) in [("POST", &*path), ("GET", &*path), ("GET", "/approvals")] {
            let response = door(&service, method, path, who, yes).await;
            assert_eq!(response.status, 401, "{method} {path} {who:?}");
            assert!(!response.text().await.contains("guarded"));
        }
    }
    assert_eq!(service.world.question().await.state, ApprovalState::Open);
    let tools = service.stateless("tools/list", json!({"_meta": params("", json!({}))["_meta"]})).await;
    assert!(!tools.to_string().contains("approve"), "approving is no tool");
    paper.pass(PATIENT);
    check_refused(&called.await.unwrap(), "approval.refused");
    assert_eq!(service.world.ran(), 0);
}

#[tokio::test]
async fn the_door_for_answers_is_guarded_like_any_other() {
    let paper = Arc::new(Paper::new());
    let service = over_http(&paper).await;
    let (called, question) = waiting(&service).await;
    let path = format!("/approvals/{}", question.id);
    let yes = r#"{"answer":"approve"}"#;
    let json = ("Content-Type", "application/json");
    let check = async |method: &str, path: &str, more: &[(&str, &str)], body: &str, want: u16| {
        let response = send(service.address, method, path, &[&[SECRET], more].concat(), body).await;
        assert_eq!(response.status, want, "{method} {path} {more:?} {body}");
    };
    check("POST", &path, &[json, ("Origin", "http://evil.com")], yes, 403).await;
    check("POST", &path, &[json, ("Host", "evil.com")], yes, 403).await;
    check("POST", &path, &[json, ("Sec-Fetch-Site", "cross-site")], yes, 403).await;
    check("POST", &path, &[], yes, 415).await;
    for body in ["", "{}", r#"{"answer":true}"#, r#"{"answer":"yes"}"#, r#"{"answer":"approve","answer":"deny"}"#] {
        check("POST", &path, &[json], body, 400).await;
    }
    check("POST", &path, &[json], &format!(r#"{{"pad":"{}","answer":"approve"}}"#, " ".repeat(5_000)), 400).await;
    check("DELETE", &path, &[json], "", 405).await;
    check("POST", "/approvals", &[json], yes, 405).await;
    check("POST", "/approvals/nothing", &[json], yes, 404).await;
    check("POST", &format!("/approvals/{}", gate::ApprovalId(uuid::Uuid::nil())), &[json], yes, 404).await;
    assert_eq!(service.world.ran(), 0);
    paper.pass(PATIENT);
    check_refused(&called.await.unwrap(), "approval.refused");
}

#[tokio::test]
async fn secrets_cannot_be_tried_for_ever() {
    let paper = Arc::new(Paper::new());
    let service = over_http(&paper).await;
    let mut last = 0;
    for _ in 0..40 {
        last = door(&service, "GET", "/approvals", ("Authorization", "Bearer guess"), "").await.status;
    }
    assert_eq!(last, 429);
    assert_eq!(door(&service, "GET", "/approvals", SECRET, "").await.status, 429, "the right one no sooner");
}

#[tokio::test]
async fn where_nobody_answers_over_http_there_is_no_door() {
    let paper = Arc::new(Paper::new());
    let service = Service::of(
        World::asking(paper.clone()),
        HttpOptions::new(Auth::Token(Secret::new("the-token"))),
        by_client(&paper),
    )
    .await;
    assert_eq!(door(&service, "GET", "/approvals", TOKEN, "").await.status, 404);
    assert_eq!(door(&service, "GET", "/approvals", SECRET, "").await.status, 401);
}

// ---- What else a result says.

#[tokio::test]
async fn a_result_says_what_was_masked_in_it() {
    let paper = Arc::new(Paper::new());
    let mut client = stateless_client(&paper);
    client.shake("2025-11-25").await;
    let call = json!({"name": "a__echo", "arguments": {"k": "token-abcdef"}});
    let answer = client.ask("tools/call", call).await;
    assert_eq!(answer["result"]["structuredContent"]["k"], "*****");
    let counts = answer["result"]["_meta"]["toolgate/masked"].as_object().unwrap();
    assert_eq!(counts.values().map(|times| times.as_u64().unwrap()).sum::<u64>(), 1, "{counts:?}");
    let clean = client.ask("tools/call", json!({"name": "a__echo", "arguments": {"k": "v"}})).await;
    assert!(clean["result"].get("_meta").is_none());
}

#[tokio::test]
async fn no_server_asks_for_a_secret_or_passes_for_the_gate() {
    let paper = Arc::new(Paper::new());
    let mut client = stateless_client(&paper);
    client.shake("2025-11-25").await;
    // Not put to anybody: the server is told that nobody answers.
    let unheard = client.call("a__phish").await;
    assert_eq!(unheard["result"], json!({"structuredContent": null}), "{unheard}");
    for tool in ["a__phish_rounds", "a__pose"] {
        let answer = stateless(&mut client, tool, json!({})).await;
        check_refused(&answer, "upstream.protocol");
        assert!(answer["result"].get("inputRequests").is_none(), "{answer}");
    }
}
