//! Results longer than their budget: cut for the caller, whole for whoever called, and everything else as it was.

mod common;

use common::Setup;
use serde_json::{Value, json};
use testkit::client::Client;

const RESULTS: &str = "toolgate://results/";

fn limited() -> Setup {
    Setup::new().server("h", &[], "limits.max_result_bytes = 100\n[mcp_servers.h.tools.big]\nmax_result_bytes = 1000")
}

fn ok(client: &mut Client, method: &str, params: &Value) -> Value {
    client.request(method, params).result()
}

fn big(client: &mut Client, bytes: usize) -> Value {
    ok(client, "tools/call", &json!({"name": "h__big", "arguments": {"bytes": bytes}}))
}

fn length(result: &Value) -> usize {
    result["content"][0]["text"].as_str().expect("text").len()
}

#[test]
fn a_long_result_is_cut_and_its_whole_can_be_read_on_the_record() {
    let setup = limited();
    let mut client = setup.client(&[]);
    assert_eq!(length(&big(&mut client, 1000)), 1000, "as long as it may be");
    let cut = big(&mut client, 50_000);
    let (told, link) = (&cut["_meta"]["toolgate/truncated"], &cut["content"][1]);
    assert_eq!((&told["bytes"], &told["kept"]), (&json!(50_000), &json!(1000)), "{cut}");
    let uri = told["uri"].as_str().expect("a URI");
    assert!(uri.starts_with(RESULTS), "{uri}");
    assert_eq!((&link["type"], &link["uri"]), (&json!("resource_link"), &json!(uri)));
    assert!(cut["content"][0]["text"].as_str().is_some_and(|text| text.contains("[49000 bytes left out; the whole: ")));
    let read = ok(&mut client, "resources/read", &json!({"uri": uri}));
    let whole: Value = serde_json::from_str(read["contents"][0]["text"].as_str().expect("text")).expect("JSON");
    assert_eq!(length(&whole), 50_000);
    let unknown = client.request("resources/read", &json!({"uri": format!("{RESULTS}0")})).json();
    assert_eq!(unknown["error"]["code"], -32002, "{unknown}");
    drop(client);
    let reads: Vec<_> = setup.events().into_iter().filter(|event| event["server"] == "toolgate").collect();
    assert!(reads.iter().any(|event| event.to_string().contains(uri)), "{reads:?}");
}

#[test]
fn the_narrower_budget_counts_and_a_server_alone_has_its_results_too() {
    let setup = limited();
    let mut client = setup.client(&["--only", "h"]);
    let text = "x".repeat(500);
    let cut = ok(&mut client, "tools/call", &json!({"name": "echo", "arguments": {"text": text}}));
    let uri = cut["_meta"]["toolgate/truncated"]["uri"].as_str().expect("a URI").to_owned();
    let read = ok(&mut client, "resources/read", &json!({"uri": uri}));
    assert!(read["contents"][0]["text"].as_str().is_some_and(|whole| whole.contains(&text)), "{read}");
    // The place of the results is no server to people.
    let listed = setup.run(&["mcp", "list", "--json"]).run().json();
    assert_eq!(listed.as_array().map(Vec::len), Some(1), "{listed}");
}

#[test]
fn without_a_budget_nothing_is_cut_and_there_is_no_place_for_results() {
    let setup = Setup::new().server("h", &[], "");
    let mut client = setup.client(&["--profile", "gateway"]);
    let whole = big(&mut client, 200_000);
    assert_eq!((length(&whole), &whole["_meta"]), (200_000, &Value::Null));
    let read = client.request("resources/read", &json!({"uri": format!("{RESULTS}0")})).json();
    assert!(read.get("error").is_some(), "{read}");
    drop(client);
    assert!(setup.events().iter().all(|event| event["server"] != "toolgate"));
}

#[test]
fn long_definitions_are_listed_in_short_where_it_is_asked_for_and_arguments_meet_the_whole() {
    let setup = Setup::new().server("h", &[], "");
    let tools = |setup: &Setup| ok(&mut setup.client(&[]), "tools/list", &json!({}))["tools"].clone();
    let compacted = |tools: &Value| {
        let all = tools.as_array().expect("a list").iter();
        all.filter(|tool| tool["_meta"]["toolgate/compacted"] == true).count()
    };
    assert_eq!(compacted(&tools(&setup)), 0);
    let setup = setup.top("[gate]\ncompact_schemas_above = 60");
    let short = tools(&setup);
    assert!(compacted(&short) > 20, "{short}");
    let refused = ok(&mut setup.client(&[]), "tools/call", &json!({"name": "h__echo", "arguments": {"text": 1}}));
    assert_eq!(refused["isError"], true, "{refused}");
}

#[test]
fn whoever_reads_a_whole_result_has_read_what_strangers_wrote() {
    let rule = "[[policy.rules]]\nserver = \"h\"\ntool = \"echo\"\nwhen = { tainted = true }\noutcome = \"deny\"\n";
    let setup = limited().top(rule);
    let mut client = setup.client(&[]);
    let echo = |client: &mut Client| {
        ok(client, "tools/call", &json!({"name": "h__echo", "arguments": {"text": "x"}}))["isError"] == true
    };
    let cut = big(&mut client, 50_000);
    assert!(!echo(&mut client), "its own servers are no strangers");
    ok(&mut client, "resources/read", &json!({"uri": cut["_meta"]["toolgate/truncated"]["uri"]}));
    assert!(echo(&mut client), "a kept result may hold the words of any server");
}
