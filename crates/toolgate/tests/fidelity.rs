//! What crosses the gate is byte-equal on the other side, but for the fields a hop owns.

mod common;

use common::Setup;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};
use testkit::client::Client;

/// Results as real and strange servers send them. Each must come out as it went in.
const RESULTS: &[&str] = &[
    r#"{"content":[]}"#,
    r#"{}"#,
    r#"{"structuredContent":null}"#,
    r#"{"structuredContent":[1,[2,{"a":null}]],"content":[{"type":"text","text":"x"}]}"#,
    r#"{"content":[{"type":"hologram","depth":3,"nested":{"x":[]}}]}"#,
    r#"{"content":[{"type":"text","text":"x","annotations":{"audience":["user","auditor"],"priority":0.1,"x-vendor":1}}]}"#,
    r#"{"content":[{"type":"text","text":"x","_meta":{"a/b":{"c":1}},"unknown":true}],"x-vendor":{"k":"v"},"isError":false}"#,
    r#"{"content":[{"type":"resource","resource":{"uri":"u://1","title":"t","name":"n","annotations":{},"text":"","x":1}}]}"#,
    r#"{"content":[{"type":"resource_link","uri":"u://2","name":"n","icons":[{"src":"data:,","theme":"sepia","sizes":["any"]}]}]}"#,
    r#"{"content":[{"type":"audio","data":"QUJD","mimeType":"audio/wav"},{"type":"image","data":"","mimeType":"image/x"}]}"#,
    r#"{"content":[],"messages":[],"tools":[],"contents":[],"nextCursor":""}"#,
    r#"{"isError":true,"content":[{"type":"text","text":"no"}],"structuredContent":{"why":"no"}}"#,
    r#"{"structuredContent":{"n":[1.10,-0.0,1e400,0.1,18446744073709551617,123456789012345678901234567890,1E+2,7.0]}}"#,
    r#"{"structuredContent":{"s":"\u00e9\/\u2028\u0000\ud83d lone \udc00 \ud83d\ude00 \"\\"}}"#,
    r#"{"structuredContent":{"z":1,"a":2,"m":{"z":1,"a":2}}}"#,
    r#"{"structuredContent":{"same":1,"deep":{"same":1,"same":2}}}"#,
    "{ \"content\" :\t[ ] ,  \"_meta\" : { \"x\" : 1 } }",
    "{\"structuredContent\":{\"raw\":\"\u{7f}\u{e9}\u{2028}\u{10ffff}\"}}",
    r#"{"_meta":{"progressToken":"not a hop's here","com.example/x":[1.0]},"content":[]}"#,
    r#"{"task":{"taskId":"t","status":"working"},"content":[]}"#,
];

fn client(setup: &Setup) -> Client {
    let mut client = setup.client(&[]);
    client.request("tools/list", &json!({}));
    client
}

fn verbatim(client: &mut Client, result: &str) -> String {
    client.call("fx__verbatim", &json!({"json": result})).text
}

#[test]
fn results_cross_unharmed() {
    let setup = Setup::new().server("fx", &["--era", "legacy"], "");
    let mut client = client(&setup);
    for result in RESULTS {
        let line = verbatim(&mut client, result);
        assert!(line.contains(&format!(r#""result":{result}"#)), "sent {result}\ngot  {line}");
    }
}

/// Parts of a call's params that no hop owns.
const PARAMS: &[&str] = &[
    r#""arguments":{"text":"a","n":1.10,"big":18446744073709551617,"u":"\ud83d\u00e9\/"}"#,
    r#""x-vendor":{"z":1,"a":[ 1 , 2 ]},"arguments":{},"task":{"ttl":60000}"#,
    r#""_meta":{"com.example/trace":"1","traceparent":"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01","baggage":"k=v"}"#,
    r#""arguments":{"nested":{"z":{"y":{"x":[null,true,{"é":"é"}]}}}}"#,
];

#[test]
fn params_cross_unharmed() {
    let setup = Setup::new().server("fx", &["--era", "legacy"], "");
    let mut client = client(&setup);
    for params in PARAMS {
        let id = client.start("ping", &json!({}));
        client.answer(id);
        client.send(&format!(
            r#"{{"jsonrpc":"2.0","id":"raw-1","x-envelope":[1.0],"method":"tools/call","params":{{"name":"fx__echo_raw",{params}}}}}"#
        ));
        let answer = client.next_message(testkit::wait::PATIENCE).expect("an answer");
        assert!(answer.text.contains(r#""id":"raw-1""#), "{}", answer.text);
    }
    let log = setup.home.read("fx.log");
    for params in PARAMS {
        assert!(log.contains(params), "{params} is not in {log}");
    }
    assert!(log.contains(r#""x-envelope":[1.0]"#), "the envelope keeps what it had");
}

#[test]
fn ids_come_back_as_they_were_spelled() {
    let setup = Setup::new().server("fx", &[], "");
    let mut client = client(&setup);
    for id in [r#""7""#, "7", "-1", r#""\u0061""#, "9007199254740993", r#""""#, "18446744073709551616"] {
        client.send(&format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"fx__echo","arguments":{{"text":"x"}}}}}}"#
        ));
        let answer = client.next_message(testkit::wait::PATIENCE).expect("an answer");
        assert!(answer.text.contains(&format!(r#""id":{id},"#)), "{id}: {}", answer.text);
    }
}

#[test]
fn errors_cross_unharmed() {
    let setup = Setup::new().server("fx", &[], "");
    let mut client = client(&setup);
    let error = client.call("fx__rpc_error", &json!({"code": -32050, "message": "odd \u{e9}"})).error();
    assert_eq!((&error["code"], &error["message"]), (&json!(-32050), &json!("odd \u{e9}")));
}

/// One result for each other method, with everything in it that a model of ours would lose.
const CANNED: &[(&str, &str, &str)] = &[
    (
        "prompts/get",
        r#"{"name":"fx__p"}"#,
        r#"{"description":"d","messages":[{"role":"narrator","content":[{"type":"hologram"}],"x":1.10}],"x-vendor":[]}"#,
    ),
    (
        "resources/read",
        r#"{"uri":"r://1"}"#,
        r#"{"contents":[{"uri":"r://1","text":"\u00e9","title":"t","annotations":{"priority":0.1},"x":null}],"x":1}"#,
    ),
    (
        "completion/complete",
        r#"{"ref":{"type":"ref/prompt","name":"fx__p"},"argument":{"name":"a","value":""}}"#,
        r#"{"completion":{"values":["a"],"total":1.0,"hasMore":false,"x":{}},"x-vendor":true}"#,
    ),
];

/// Definitions with members nobody has heard of. Only a name may change, and here none does.
const LISTS: &[(&str, &str, &str)] = &[
    (
        "tools/list",
        "tools",
        r#"{"x-first":1.10,"name":"p","inputSchema":{"$schema":"s","type":"object","$defs":{"z":{},"a":{}},"oneOf":[{"if":true}],"allOf":[],"x-k":1e400,"unevaluatedProperties":false},"outputSchema":{"type":"array"},"execution":{"taskSupport":"optional"},"annotations":{"readOnlyHint":true,"x":1},"icons":[{"src":"data:,","theme":"sepia"}],"_meta":{"ui":{"resourceUri":"ui://x"}}}"#,
    ),
    ("prompts/list", "prompts", r#"{"name":"p","arguments":[{"name":"a","x":1}],"x-vendor":"\ud83d"}"#),
    ("resources/list", "resources", r#"{"uri":"r://1","name":"n","size":1.0,"x-vendor":[1 , 2]}"#),
    ("resources/templates/list", "resourceTemplates", r#"{"uriTemplate":"r://{x}","name":"n","x":{"b":1,"a":2}}"#),
];

/// A server that answers all of the above.
fn canned() -> Setup {
    let mut flags = vec!["--era".to_owned(), "legacy".to_owned(), "--resources".to_owned(), "--prompts".to_owned()];
    let lists = LISTS.iter().map(|(method, key, item)| format!("{method}={{\"{key}\":[{item}]}}"));
    let others = CANNED.iter().map(|(method, _, result)| format!("{method}={result}"));
    flags.extend(lists.chain(others).flat_map(|canned| ["--canned".to_owned(), canned]));
    Setup::new().server("fx", &flags.iter().map(String::as_str).collect::<Vec<_>>(), "")
}

#[test]
fn results_of_every_method_cross_unharmed() {
    let setup = canned();
    let mut client = client(&setup);
    for (method, params, result) in CANNED {
        let params = serde_json::from_str(params).expect("JSON");
        let line = client.request(method, &params).text;
        assert!(line.contains(&format!(r#""result":{result}"#)), "sent {result}\ngot  {line}");
    }
}

#[test]
fn definitions_cross_unharmed() {
    let setup = canned();
    client(&setup);
    let mut client = setup.client(&["--only", "fx"]);
    for (method, key, item) in LISTS {
        let line = client.request(method, &json!({})).text;
        assert!(line.contains(&format!("\"{key}\":[{item}]")), "sent {item}\ngot  {line}");
    }
}

#[test]
fn notifications_and_questions_cross_unharmed() {
    let setup = Setup::new().server("fx", &["--era", "legacy"], "");
    let mut client = setup.serve(&[]);
    client.initialize("2025-11-25", &json!({"elicitation": {}}));
    client.request("tools/list", &json!({}));
    let log = r#"{"jsonrpc":"2.0","method":"notifications/message","x":1.0,"params":{"level":"error","data":{"n":1.10,"u":"\u00e9"},"x-vendor":[]}}"#;
    let id = client.start("tools/call", &json!({"name": "fx__garbage", "arguments": {"text": log}}));
    assert_eq!(client.expect("notifications/message").text, log);
    client.answer(id);
    let question = r#"{"jsonrpc":"2.0","id":"q1","method":"elicitation/create","params":{"message":"m","mode":"form","requestedSchema":{"type":"object","properties":{"a":{"type":"string","x-k":1.0}},"additionalProperties":false},"task":{"ttl":1}}}"#;
    let id = client.start("tools/call", &json!({"name": "fx__garbage", "arguments": {"text": question}}));
    let asked = client.expect("elicitation/create").text;
    let (_, params) = question.split_once("\"params\":").expect("params");
    assert!(asked.ends_with(params), "sent {question}\ngot  {asked}");
    client.answer(id);
    // A question is taken back with its call, so one that waits for its answer brings it.
    let id = client.start("tools/call", &json!({"name": "fx__elicit", "arguments": {"message": "m"}}));
    let asked = client.expect("elicitation/create").text;
    let own = serde_json::from_str::<Value>(&asked).expect("JSON")["id"].to_string();
    client.send(&format!(
        r#"{{"jsonrpc":"2.0","id":{own},"result":{{"action":"accept","content":{{"a":1.10}},"x":[ ]}}}}"#
    ));
    client.answer(id);
    let heard = || setup.home.read("fx.log").contains(r#""result":{"action":"accept","content":{"a":1.10},"x":[ ]}"#);
    testkit::wait::expect("the answer to reach the server as it was given", heard);
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_filter("finite", |f| f.is_finite()).prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((".{0,6}", inner), 0..4).prop_map(|pairs| pairs.into_iter().collect()),
        ]
    })
}

#[test]
fn any_message_crosses_unharmed() {
    let setup = Setup::new().server("fx", &["--era", "legacy"], "");
    let client = std::cell::RefCell::new(client(&setup));
    let mut runner = TestRunner::new(Config { cases: 150, failure_persistence: None, ..Config::default() });
    let outcome = runner.run(&any_json(), |value| {
        let result = json!({"structuredContent": value, "content": []}).to_string();
        let line = verbatim(&mut client.borrow_mut(), &result);
        prop_assert!(line.contains(&result), "sent {}\ngot  {}", result, line);
        let answer = client.borrow_mut().call("fx__echo_raw", &json!({"v": value})).text;
        let echoed = format!("{{\"v\":{value}}}");
        prop_assert!(answer.contains(&echoed), "sent {}\ngot  {}", echoed, answer);
        Ok(())
    });
    outcome.expect("every generated message crosses");
}
