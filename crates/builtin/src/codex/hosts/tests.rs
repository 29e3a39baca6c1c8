use super::*;

fn check(method: &str, params: Value, expected: &[&str]) -> Vec<Value> {
    let told = events(method, &params, &json!("last"));
    let kinds: Vec<_> = told.iter().map(|event| event["type"].as_str().expect("a kind")).collect();
    assert_eq!(kinds, expected, "{method}");
    told
}

#[test]
fn each_event_is_told_as_the_server_of_old_told_it() {
    let item = json!({"type": "commandExecution", "id": "c", "command": "/bin/sh -c 'a b'", "exitCode": 0, "durationMs": 1500,
        "commandActions": [{"type": "unknown", "command": "a b"}]});
    let params = json!({"threadId": "t", "turnId": "u", "item": item});
    let told = check("item/started", params.clone(), &["item_started", "exec_command_begin"]);
    assert_eq!(told[0]["item"]["type"], "CommandExecution");
    assert_eq!(told[1]["command"], json!(["/bin/sh", "-c", "a b"]));
    assert_eq!(told[1]["parsed_cmd"], json!([{"type": "unknown", "cmd": "a b"}]));
    let told = check("item/completed", params, &["item_completed", "exec_command_end"]);
    assert_eq!((&told[1]["exit_code"], &told[1]["duration"]), (&json!(0), &json!({"secs": 1, "nanos": 500_000_000})));
    let item = json!({"type": "agentMessage", "id": "m", "text": "hi", "phase": null});
    let told = check("item/completed", json!({"item": item}), &["item_completed", "agent_message"]);
    assert_eq!(told[0]["item"]["content"], json!([{"type": "Text", "text": "hi"}]));
    let told = check("turn/completed", json!({"turn": {"id": "u", "status": "completed"}}), &["task_complete"]);
    assert_eq!(told[0]["last_agent_message"], "last");
    let usage = json!({"tokenUsage": {"total": {"inputTokens": 1}, "last": {}, "modelContextWindow": 9}});
    let told = check("thread/tokenUsage/updated", usage, &["token_count"]);
    assert_eq!(told[0]["info"]["total_token_usage"]["input_tokens"], 1);
    check("turn/completed", json!({"turn": {"status": "interrupted"}}), &["turn_aborted"]);
    check("turn/completed", json!({"turn": {"status": "failed"}}), &[]);
    check("thread/status/changed", json!({}), &[]);
}

#[test]
fn changes_of_files_are_told_by_path() {
    let changes = json!([
        {"path": "/n", "kind": {"type": "add"}, "diff": "x\n"},
        {"path": "/u", "kind": {"type": "update", "move_path": "/v"}, "diff": "@@"},
    ]);
    let item = json!({"type": "fileChange", "id": "f", "changes": changes, "status": "completed"});
    let told = check("item/completed", json!({"item": item}), &["item_completed", "patch_apply_end"]);
    let expected = json!({"/n": {"type": "add", "content": "x\n"},
        "/u": {"type": "update", "unified_diff": "@@", "move_path": "/v"}});
    assert_eq!((&told[0]["item"]["changes"], &told[1]["changes"]), (&expected, &expected));
    assert_eq!(told[1]["success"], true);
}
