use super::*;

fn talk(resume: Option<&str>) -> Talk {
    Talk::new(json!({"cwd": "/w"}), resume.map(str::to_owned), "p".to_owned())
}

fn begun() -> Talk {
    let mut talk = talk(None);
    let opening = talk.hear(&json!({"id": HELLO, "result": {}})).send;
    assert_eq!(opening[1], json!({"id": OPEN, "method": "thread/start", "params": {"cwd": "/w"}}));
    let turn = talk.hear(&json!({"id": OPEN, "result": {"thread": {"id": "t-1"}}})).send;
    assert_eq!(turn[0]["params"], json!({"threadId": "t-1", "input": [{"type": "text", "text": "p"}]}));
    assert_eq!(talk.interruption(), None);
    talk.hear(&json!({"id": TURN, "result": {"turn": {"id": "u-1"}}}));
    assert_eq!(talk.interruption().expect("it goes")["params"], json!({"threadId": "t-1", "turnId": "u-1"}));
    talk
}

fn note(method: &str, params: Value) -> Value {
    json!({"method": method, "params": params})
}

#[test]
fn a_turn_is_followed_to_its_answer() {
    let mut talk = begun();
    let item = json!({"type": "commandExecution", "command": "ls", "exitCode": 3});
    let news = talk.hear(&note("item/completed", json!({"threadId": "t-1", "item": item}))).news;
    assert_eq!(news.as_deref(), Some("exit 3: ls"));
    let item = json!({"type": "agentMessage", "text": "done"});
    talk.hear(&note("item/completed", json!({"threadId": "t-1", "item": item})));
    let total = json!({"total": {"inputTokens": 7}});
    talk.hear(&note("thread/tokenUsage/updated", json!({"threadId": "t-1", "tokenUsage": total})));
    talk.hear(&note("turn/completed", json!({"threadId": "t-1", "turn": {"status": "completed"}})));
    assert_eq!((talk.stage(), talk.interruption()), (Stage::Over, None));
    let told = talk.into_told();
    assert_eq!((told.answer.as_deref(), told.completed), (Some("done"), true));
    assert_eq!(told.usage.expect("counted")["input_tokens"], 7);
}

#[test]
fn what_a_thread_says_that_is_not_ours_ends_nothing() {
    let mut talk = begun();
    let item = json!({"type": "agentMessage", "text": "of a helper"});
    talk.hear(&note("item/completed", json!({"threadId": "t-2", "item": item})));
    talk.hear(&note("turn/completed", json!({"threadId": "t-2", "turn": {"status": "completed"}})));
    assert_eq!((talk.stage(), talk.into_told().answer), (Stage::Going, None));
}

#[test]
fn a_turn_that_fails_or_is_interrupted_is_no_answer() {
    for (status, interrupted) in [("failed", false), ("interrupted", true)] {
        let mut talk = begun();
        let turn = json!({"status": status, "error": {"message": "why"}});
        talk.hear(&note("turn/completed", json!({"threadId": "t-1", "turn": turn})));
        assert_eq!(talk.is_interrupted(), interrupted);
        let told = talk.into_told();
        assert_eq!((told.completed, told.error.as_deref()), (false, Some("why")));
    }
}

#[test]
fn a_thread_that_is_not_there_and_a_server_that_knows_none_are_told_apart() {
    let check = |resume, message: &str, stage, said: &str| {
        let mut talk = talk(resume);
        talk.hear(&json!({"id": HELLO, "result": {}}));
        talk.hear(&json!({"id": OPEN, "error": {"code": -32600, "message": message}}));
        assert_eq!(talk.stage(), stage, "{message}");
        assert_eq!(talk.into_told().error.as_deref(), Some(said));
    };
    check(Some("x"), "invalid session id: x", Stage::Over, "no rollout found for thread id x");
    check(Some("x"), "no rollout found for thread id x", Stage::Over, "no rollout found for thread id x");
    let unknown = "Invalid request: unknown variant `thread/start`";
    check(None, unknown, Stage::TooOld, unknown);
}

#[test]
fn what_nobody_is_asked_is_refused_in_its_own_form() {
    let check = |method: &str, no: Value| {
        let said = Talk::no(&json!({"id": 7, "method": method}));
        assert_eq!((&said["id"], &said["result"]), (&json!(7), &no), "{method}");
    };
    check("item/commandExecution/requestApproval", json!({"decision": "decline"}));
    check("mcpServer/elicitation/request", json!({"action": "decline", "content": null}));
    check("item/permissions/requestApproval", json!({"permissions": {}}));
    check("something/new", Value::Null);
}

#[test]
fn a_change_of_files_is_known_by_the_item_that_told_it() {
    let mut talk = begun();
    let request = json!({"id": 0, "method": "item/fileChange/requestApproval", "params": {"itemId": "i"}});
    assert_eq!(talk.wanted(&request), None);
    let item = json!({"type": "fileChange", "id": "i", "changes": [{"path": "/w/a"}]});
    talk.hear(&note("item/started", json!({"threadId": "t-2", "item": item})));
    assert_eq!(talk.hear(&request).request, Some(request.clone()));
    assert_eq!(talk.wanted(&request).expect("known").headline(), "change /w/a");
}
