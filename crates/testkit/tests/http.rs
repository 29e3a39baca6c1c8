//! The hostile server does what its flags say, over HTTP.

use std::time::Duration;

use serde_json::{Value, json};
use testkit::client::with_meta;
use testkit::http::{Request, Response};
use testkit::{Home, Server};

/// A server with its home.
struct Served {
    server: Server,
    home: Home,
}

fn start(flags: &[&str]) -> Served {
    let home = Home::new();
    let server = Server::spawn(home.command(env!("CARGO_BIN_EXE_fixture-http"), flags));
    Served { server, home }
}

impl Served {
    fn url(&self) -> &str {
        &self.server.url
    }

    fn post(&self, message: &Value) -> Response {
        Request::mcp(self.url(), message).send().expect("a response")
    }

    fn initialize(&self) -> Response {
        self.post(&request("initialize", json!({"protocolVersion": "2025-11-25"})))
    }

    fn call(&self, tool: &str) -> Response {
        self.post(&request("tools/call", json!({"name": tool, "arguments": {"text": "hi"}})))
    }
}

fn request(method: &str, params: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
}

fn modern(method: &str, params: Value) -> Value {
    request(method, with_meta(params, &json!({"elicitation": {}})))
}

fn text(answer: &Value) -> &str {
    answer["result"]["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{answer}"))
}

#[test]
fn both_kinds_of_reply_carry_the_answer() {
    for (reply, kind) in [("json", "application/json"), ("sse", "text/event-stream")] {
        let server = start(&["--reply", reply]);
        let response = server.call("echo");
        assert_eq!(response.header("Content-Type"), Some(kind));
        assert_eq!(text(&response.answer().unwrap()), "hi");
        let accepted = server.post(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        assert_eq!((accepted.status, accepted.text().unwrap().as_str()), (202, ""));
    }
}

#[test]
fn progress_precedes_the_answer_on_a_stream() {
    let server = start(&["--reply", "sse"]);
    let params = json!({"name": "slow", "arguments": {"ms": 20, "steps": 2}, "_meta": {"progressToken": 1}});
    let mut response = server.post(&request("tools/call", params));
    let mut events = Vec::new();
    while let Some(event) = response.event().unwrap() {
        events.push(serde_json::from_str::<Value>(&event).unwrap());
    }
    assert_eq!(events.len(), 3);
    assert_eq!(events[1]["params"]["progress"], 2);
    assert_eq!(text(&events[2]), "slept 20 ms");
}

#[test]
fn a_session_is_demanded_and_lost() {
    let server = start(&["--sessions", "--lose-session-after", "2"]);
    let session = server.initialize().header("Mcp-Session-Id").unwrap().to_owned();
    assert_eq!(server.call("echo").status, 400);
    let inside =
        || Request::mcp(server.url(), &request("ping", json!({}))).header("Mcp-Session-Id", &session).send().unwrap();
    assert_eq!([inside().status, inside().status, inside().status, inside().status], [200, 200, 404, 404]);
    let session = server.initialize().header("Mcp-Session-Id").unwrap().to_owned();
    let delete = || Request::new("DELETE", server.url()).header("Mcp-Session-Id", &session).send().unwrap().status;
    assert_eq!([delete(), delete()], [204, 404]);
}

#[test]
fn failures_come_first_and_end() {
    let server = start(&["--status", "503", "--fail-first", "2"]);
    assert_eq!([(); 3].map(|()| server.call("echo").status), [503, 503, 200]);
    let server = start(&["--status", "403", "--fail-body", "error code: 1010"]);
    let refused = server.call("echo");
    assert_eq!((refused.status, refused.text().unwrap().as_str()), (403, "error code: 1010"));
    let server = start(&["--status", "401"]);
    assert!(server.call("echo").header("WWW-Authenticate").is_some());
}

#[test]
fn a_header_can_be_required_and_a_request_sent_elsewhere() {
    let server = start(&["--require-header", "X-Key=k 1"]);
    assert_eq!(server.call("echo").status, 401);
    let with_key = Request::mcp(server.url(), &request("ping", json!({}))).header("x-key", "k 1").send().unwrap();
    assert_eq!(with_key.status, 200);
    let server = start(&["--redirect", "http://127.0.0.1:1/"]);
    let response = server.call("echo");
    assert_eq!((response.status, response.header("location")), (307, Some("http://127.0.0.1:1/")));
}

#[test]
fn modern_headers_are_checked() {
    let server = start(&["--era", "modern"]);
    let message = modern("tools/call", json!({"name": "echo", "arguments": {"text": "hi"}}));
    assert_eq!(text(&Request::modern(server.url(), &message).send().unwrap().answer().unwrap()), "hi");
    let unrepeated = server.post(&message);
    assert_eq!(unrepeated.status, 400);
    assert_eq!(unrepeated.answer().unwrap()["error"]["code"], -32020);
    let unknown = Request::modern(server.url(), &modern("no/such", json!({}))).send().unwrap();
    assert_eq!((unknown.status, unknown.answer().unwrap()["error"]["code"].clone()), (404, json!(-32601)));
    assert_eq!(server.initialize().status, 404);
    assert_eq!(Request::new("GET", server.url()).send().unwrap().status, 405);
}

#[test]
fn a_listening_stream_hears_changes() {
    let server = start(&[]);
    let listen = modern("subscriptions/listen", json!({"notifications": {"toolsListChanged": true}}));
    let mut stream = Request::modern(server.url(), &listen).send().unwrap();
    let mut next = || serde_json::from_str::<Value>(&stream.event().unwrap().unwrap()).unwrap();
    assert_eq!(next()["method"], "notifications/subscriptions/acknowledged");
    server.call("grow");
    assert_eq!(next()["method"], "notifications/tools/list_changed");
}

#[test]
fn a_legacy_client_is_asked_on_the_stream_of_its_call() {
    let server = start(&["--reply", "sse"]);
    let mut stream = server.call("elicit");
    let question: Value = serde_json::from_str(&stream.event().unwrap().unwrap()).unwrap();
    assert_eq!(question["method"], "elicitation/create");
    let answer = json!({"jsonrpc": "2.0", "id": question["id"], "result": {"action": "decline"}});
    assert_eq!(server.post(&answer).status, 202);
    assert!(text(&stream.answer().unwrap()).contains("decline"));
}

#[test]
fn a_question_of_a_json_call_goes_to_the_standing_stream() {
    let server = start(&[]);
    let mut stream = Request::new("GET", server.url()).header("Accept", "text/event-stream").send().unwrap();
    let call = || server.call("roots").answer().unwrap();
    std::thread::scope(|scope| {
        let called = scope.spawn(call);
        let question: Value = serde_json::from_str(&stream.event().unwrap().unwrap()).unwrap();
        server.post(&json!({"jsonrpc": "2.0", "id": question["id"], "result": {"roots": []}}));
        assert!(text(&called.join().unwrap()).contains("roots"));
    });
}

#[test]
fn answers_break_off() {
    let server = start(&["--reset-mid-body"]);
    assert!(server.call("echo").text().is_err());
    assert_eq!(server.initialize().status, 200);
    let server = start(&["--sse-stall"]);
    let call = request("tools/call", json!({"name": "echo"}));
    let mut stalled = Request::mcp(server.url(), &call).within(Duration::from_millis(200)).send().unwrap();
    assert!(stalled.event().is_err());
    let server = start(&["--content-type", "text/html"]);
    assert_eq!(server.call("echo").header("content-type"), Some("text/html"));
}

#[test]
fn a_client_that_hangs_up_is_noticed() {
    let server = start(&["--log", "log"]);
    let log = server.home.work().join("log");
    let call = request("tools/call", json!({"name": "hang"}));
    let waiting = Request::mcp(server.url(), &call).within(Duration::from_millis(100)).send();
    assert!(waiting.is_err());
    testkit::wait::expect("the journal", || std::fs::read_to_string(&log).unwrap().contains("given up"));
}

#[test]
fn the_old_transport_answers_on_its_stream() {
    let server = start(&["--http-sse"]);
    let mut stream = Request::new("GET", server.url()).send().unwrap();
    let endpoint = stream.event().unwrap().unwrap();
    let base = server.url().strip_suffix("/sse").unwrap();
    let post = Request::mcp(&format!("{base}{endpoint}"), &request("tools/call", json!({"name": "pid"})));
    assert_eq!(post.send().unwrap().status, 202);
    let answer: Value = serde_json::from_str(&stream.event().unwrap().unwrap()).unwrap();
    assert_eq!(text(&answer), server.server.pid().to_string());
}
