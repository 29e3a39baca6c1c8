use super::*;

fn wanted(method: &str, params: Value, item: Option<&Value>) -> Option<Wanted> {
    Wanted::read(&json!({"id": 1, "method": method, "params": params}), item)
}

#[test]
fn only_a_yes_is_one() {
    let command = wanted("item/commandExecution/requestApproval", json!({"command": "ls"}), None).expect("asked for");
    let meta = json!({"codex_approval_kind": "mcp_tool_call"});
    let tool =
        wanted("mcpServer/elicitation/request", json!({"_meta": meta, "message": "?"}), None).expect("asked for");
    for (word, said) in [
        (Word::Yes, "accept"),
        (Word::No, "decline"),
        (Word::Nobody, "decline"),
        (Word::Dismissed, "cancel"),
        (Word::Over, "cancel"),
    ] {
        assert_eq!(command.answer(word), json!({"decision": said}));
        assert_eq!(tool.answer(word)["action"], said);
    }
}

#[test]
fn what_cannot_be_shown_is_not_asked() {
    for (method, params) in [
        ("item/commandExecution/requestApproval", json!({"itemId": "i"})),
        ("item/fileChange/requestApproval", json!({"itemId": "i"})),
        ("mcpServer/elicitation/request", json!({"message": "your name?"})),
        ("item/permissions/requestApproval", json!({})),
        ("item/tool/requestUserInput", json!({})),
    ] {
        assert_eq!(wanted(method, params, None), None, "{method}");
    }
}

#[test]
fn what_only_the_item_tells_is_shown_from_there() {
    let item = json!({"type": "commandExecution", "command": "sh -c 'a'", "cwd": "/w", "commandActions": []});
    let asked = json!({"itemId": "i", "reason": "because"});
    let wanted = wanted("item/commandExecution/requestApproval", asked, Some(&item)).expect("asked for");
    assert!(wanted.text().starts_with("Allow Codex to run `sh -c 'a'` in `/w`?"), "{}", wanted.text());
}

#[test]
fn a_long_patch_names_every_file_and_counts_what_is_left_out() {
    let diff = "+x\n".repeat(500);
    let change = |path: &str, kind: &str| json!({"path": path, "kind": {"type": kind}, "diff": diff});
    let item = json!({"changes": [change("/a", "update"), change("/b", "add"), change("/c", "delete")]});
    let asked = json!({"reason": "because", "grantRoot": "/r"});
    let text = wanted("item/fileChange/requestApproval", asked, Some(&item)).expect("asked for").text();
    for part in [
        "update `/a` (+500 -0)",
        "add `/b` (+500 -0)",
        "delete `/c` (+0 -500)",
        "1380 lines left out",
        "because",
        "beneath `/r` from now on",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn nothing_in_a_command_is_hidden() {
    let command = format!("echo a\u{202e}b\n{}; rm -rf /", " ".repeat(9_000));
    let params = json!({"command": command, "cwd": "/w", "reason": "\u{1b}[2J"});
    let text = wanted("item/commandExecution/requestApproval", params, None).expect("asked for").text();
    assert!(text.contains("a\\u{202e}b") && text.contains("rm -rf /") && text.contains("left out"), "{text}");
    assert!(!text.contains(['\u{202e}', '\u{1b}']));
}

#[test]
fn a_connection_is_shown_by_its_host() {
    let params = json!({"networkApprovalContext": {"host": "example.org", "protocol": "https"}});
    let asked = wanted("item/commandExecution/requestApproval", params, None).expect("asked for");
    assert_eq!(asked.text(), "Allow Codex to reach `example.org` (https)?");
}
