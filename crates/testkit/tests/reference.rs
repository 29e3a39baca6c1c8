//! The reference server over stdio; over HTTP `cargo xtask conform --direct` tests it.

use serde_json::json;
use testkit::{Client, Home};

fn start(home: &Home, flags: &[&str]) -> Client {
    Client::spawn(home.command(env!("CARGO_BIN_EXE_fixture-server"), flags))
}

#[test]
fn it_serves_both_eras() {
    let home = Home::new();
    let mut legacy = start(&home, &["--stdio"]);
    assert_eq!(legacy.initialize("2025-06-18", &json!({}))["protocolVersion"], "2025-06-18");
    assert!(legacy.call("test_simple_text", &json!({})).text_block().starts_with("This is a simple text"));
    let mut modern = start(&home, &[]);
    let result = modern.modern("tools/call", json!({"name": "test_simple_text"}), &json!({})).result();
    assert_eq!(result["resultType"], "complete");
}

#[test]
fn one_era_refuses_the_other() {
    let home = Home::new();
    let refused = start(&home, &["--era", "legacy"]).modern("tools/list", json!({}), &json!({}));
    assert_eq!(refused.error()["code"], -32022);
    let refused = start(&home, &["--era", "modern"]).request(
        "initialize",
        &json!({
            "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "x", "version": "1"},
        }),
    );
    assert_eq!(refused.error()["code"], -32601);
}

#[test]
fn state_sealed_for_one_tool_is_refused_by_another() {
    let home = Home::new();
    let mut client = start(&home, &["--era", "modern"]);
    let able = json!({"elicitation": {}});
    let asked =
        client.modern("tools/call", json!({"name": "test_input_required_result_request_state"}), &able).result();
    let retry = |tool: &str| {
        json!({
            "name": tool, "requestState": asked["requestState"], "inputResponses": {"confirm": {"action": "accept"}},
        })
    };
    let other = client.modern("tools/call", retry("test_input_required_result_tampered_state"), &able);
    assert_eq!(other.error()["code"], -32602);
    let done = client.modern("tools/call", retry("test_input_required_result_request_state"), &able);
    assert!(done.text_block().contains("state-ok"));
}

#[test]
fn a_subscriber_hears_of_its_resource_alone() {
    let home = Home::new();
    let mut client = start(&home, &[]);
    client.initialize("2025-11-25", &json!({}));
    client.request("resources/subscribe", &json!({"uri": "test://watched-resource"})).result();
    for uri in ["test://static-text", "test://watched-resource"] {
        client.call("test_trigger_resource_update", &json!({"uri": uri}));
    }
    let update = client.expect("notifications/resources/updated").json();
    assert_eq!(update["params"]["uri"], "test://watched-resource");
}

#[test]
fn the_end_of_input_is_a_good_end() {
    let home = Home::new();
    assert!(start(&home, &[]).close().success());
    let mut client = start(&home, &[]);
    client.initialize("2025-11-25", &json!({}));
    assert!(client.close().success());
}
