//! `toolgate up`: the gate as a service, with servers behind it on stdio and over HTTP, in both eras.

mod common;

use common::up::Up;
use common::{Setup, names};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use testkit::http::{Request, Response};
use testkit::{Server, wait};

/// A POST of one message with the token.
fn mcp(up: &Up, url: &str, message: &Value) -> Request {
    Request::mcp(url, message).header("Authorization", &up.bearer())
}

fn send(request: Request) -> Response {
    request.send().expect("the gate answers")
}

#[track_caller]
fn result(response: Response) -> Value {
    let mut answer = response.answer().expect("a JSON-RPC answer");
    assert!(answer.get("result").is_some(), "{answer}");
    answer["result"].take()
}

fn request(method: &str, params: &Value) -> Value {
    json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
}

fn hello() -> Value {
    let client = json!({"name": "testkit", "version": "1"});
    request("initialize", &json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client}))
}

/// A session of a client of the era with a handshake.
struct Session<'a> {
    up: &'a Up,
    url: String,
    id: String,
}

impl<'a> Session<'a> {
    fn open(up: &'a Up, path: &str) -> Self {
        let url = format!("{}{path}", up.base);
        let response = send(mcp(up, &url, &hello()));
        assert_eq!(response.status, 200);
        let id = response.header("mcp-session-id").expect("a session").to_owned();
        assert_eq!(result(response)["serverInfo"]["name"], "toolgate");
        let session = Self { up, url, id };
        let told = session.post(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        assert_eq!(told.status, 202);
        session
    }

    fn post(&self, message: &Value) -> Response {
        let request = mcp(self.up, &self.url, message).header("Mcp-Session-Id", &self.id);
        send(request.header("MCP-Protocol-Version", "2025-11-25"))
    }

    fn ask(&self, method: &str, params: &Value) -> Value {
        result(self.post(&request(method, params)))
    }

    fn call(&self, tool: &str, arguments: &Value) -> Value {
        self.ask("tools/call", &json!({"name": tool, "arguments": arguments}))
    }
}

/// The answer to a request of the stateless era.
fn modern(up: &Up, path: &str, method: &str, params: Value) -> Response {
    let message = request(method, &testkit::client::with_meta(params, &json!({})));
    send(Request::modern(&format!("{}{path}", up.base), &message).header("Authorization", &up.bearer()))
}

/// The hostile fixture over HTTP; it ends with the setup's home, if not before.
fn remote(setup: &Setup, name: &str, flags: &[&str]) -> Server {
    let log = setup.home.codex().join(format!("{name}.log")).display().to_string();
    let args = [&["--log", log.as_str()], flags].concat();
    Server::spawn(setup.home.command(testkit::bin("fixture-http"), args))
}

/// A setup with one server over HTTP under the name `far`.
fn far(flags: &[&str]) -> (Setup, Server) {
    let setup = Setup::new();
    let server = remote(&setup, "far", flags);
    let entry = format!("[mcp_servers.far]\nurl = {}\n", json!(server.url));
    (setup.top(&entry), server)
}

#[test]
fn the_token_is_asked_for_and_readable_by_its_owner_alone() {
    let setup = Setup::new().server("fx", &[], "");
    let up = Up::start(&setup, &[]);
    let file = setup.home.codex().join("toolgate/token");
    assert_eq!(std::fs::metadata(&file).expect("a file").permissions().mode() & 0o777, 0o600);
    assert_eq!(setup.home.read("toolgate/token").trim(), up.token);
    assert!(up.token.len() >= 32, "{} is easily guessed", up.token);
    for path in ["/mcp", "/mcp/fx"] {
        let url = format!("{}{path}", up.base);
        let stranger = send(Request::mcp(&url, &hello()));
        assert_eq!(stranger.status, 401);
        assert!(stranger.header("www-authenticate").is_some_and(|how| how.starts_with("Bearer")));
        assert!(!stranger.text().expect("a body").contains(&up.token));
        assert_eq!(send(Request::mcp(&url, &hello()).header("Authorization", "Bearer wrong")).status, 401);
        assert_eq!(send(mcp(&up, &url, &hello())).status, 200);
    }
    assert!(setup.heard("fx").is_empty(), "nobody needed the server yet");
    let again = Up::start(&setup, &[]);
    assert_eq!(again.token, up.token, "clients keep their token");
}

#[test]
fn a_token_that_others_can_read_is_no_token() {
    let setup = Setup::new();
    let path = setup.home.write("toolgate/token", "an-old-token-that-was-written-by-hand-0123456789\n");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).expect("it is ours");
    let output = setup.run(&["up", "--listen", "127.0.0.1:0"]).run();
    assert_eq!((output.status, output.stdout.as_str()), (Some(2), ""));
    assert!(
        output.stderr.contains("read by others") && !output.stderr.contains("written-by-hand"),
        "{}",
        output.stderr
    );
}

#[test]
fn without_a_token_only_on_loopback() {
    let setup = Setup::new().server("fx", &[], "");
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
        let output = setup.run(&["up", "--listen", address, "--no-auth"]).run();
        assert_eq!(output.status, Some(2), "{output:?}");
        assert!(output.stderr.contains("loopback"), "{}", output.stderr);
    }
    let up = Up::start(&setup, &["--no-auth"]);
    assert_eq!(up.token, "");
    assert_eq!(send(Request::mcp(up.url(), &hello())).status, 200);
    assert!(!setup.home.codex().join("toolgate/token").exists());
}

#[test]
fn a_port_that_is_taken_is_said_to_be() {
    let setup = Setup::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("it is bound").to_string();
    let output = setup.run(&["up", "--listen", &address]).run();
    assert_eq!(output.status, Some(1), "{output:?}");
    assert!(output.stderr.contains(&address) && output.stderr.contains("--listen"), "{}", output.stderr);
    assert_eq!(output.stdout, "");
}

#[test]
fn health_is_told_to_everybody_on_this_machine() {
    let setup = Setup::new().server("fx", &[], "");
    let up = Up::start(&setup, &[]);
    for path in ["/healthz", "/readyz"] {
        assert_eq!(send(Request::new("GET", &format!("{}{path}", up.base))).status, 200, "{path}");
    }
    assert_eq!(send(Request::new("GET", &format!("{}/elsewhere", up.base))).status, 401);
    let lost = Request::new("GET", &format!("{}/elsewhere", up.base)).header("Authorization", &up.bearer());
    assert_eq!(send(lost).status, 404);
}

#[test]
fn pages_of_other_sites_are_refused_token_or_not() {
    let setup = Setup::new().server("fx", &[], "");
    let up = Up::start(&setup, &[]);
    for (name, value) in [("Host", "evil.example"), ("Origin", "https://evil.example"), ("Origin", "null")] {
        let refused = send(mcp(&up, up.url(), &hello()).header(name, value));
        assert_eq!(refused.status, 403, "{name}: {value}");
        assert!(refused.header("access-control-allow-origin").is_none());
    }
    let healthy = send(Request::new("GET", &format!("{}/healthz", up.base)).header("Host", "evil.example"));
    assert_eq!(healthy.status, 403);
}

#[test]
fn a_session_shows_all_servers_or_one() {
    let setup = Setup::new().server("a", &[], "").server("b", &["--tool-prefix", "x_"], "");
    let up = Up::start(&setup, &[]);
    let all = Session::open(&up, "/mcp");
    let tools = names(&all.ask("tools/list", &json!({})));
    assert!(tools.contains(&"a__echo".to_owned()) && tools.contains(&"b__x_echo".to_owned()), "{tools:?}");
    assert_eq!(all.call("b__x_echo", &json!({"text": "two"}))["content"][0]["text"], "two");
    let one = Session::open(&up, "/mcp/b");
    let tools = names(&one.ask("tools/list", &json!({})));
    assert!(tools.contains(&"x_echo".to_owned()) && tools.iter().all(|name| !name.contains("__")), "{tools:?}");
    assert_eq!(one.call("x_echo", &json!({"text": "one"}))["content"][0]["text"], "one");
    assert_eq!(send(mcp(&up, &format!("{}/mcp/nobody", up.base), &hello())).status, 404);
    let end = Request::new("DELETE", up.url()).header("Authorization", &up.bearer()).header("Mcp-Session-Id", &all.id);
    assert!((200..300).contains(&send(end).status));
    assert_eq!(all.post(&request("ping", &json!({}))).status, 404, "a closed session is gone");
    assert_eq!(one.post(&request("ping", &json!({}))).status, 200);
}

/// Clients of both eras, through the gate, to a server of one era.
#[track_caller]
fn both_eras_reach(setup: &Setup, server: &str) {
    let up = Up::start(setup, &[]);
    let echo = format!("{server}__echo");
    let session = Session::open(&up, "/mcp");
    let tools = names(&session.ask("tools/list", &json!({})));
    assert!(tools.contains(&echo), "{tools:?}");
    assert_eq!(session.call(&echo, &json!({"text": "old"}))["content"][0]["text"], "old");
    let found = result(modern(&up, "/mcp", "server/discover", json!({})));
    assert!(found["supportedVersions"].as_array().is_some_and(|all| all.contains(&json!("2026-07-28"))), "{found}");
    let tools = names(&result(modern(&up, "/mcp", "tools/list", json!({}))));
    assert!(tools.contains(&echo), "{tools:?}");
    let response = modern(&up, "/mcp", "tools/call", json!({"name": echo, "arguments": {"text": "new"}}));
    assert_eq!((response.status, response.header("mcp-session-id")), (200, None));
    let called = result(response);
    assert_eq!((&called["content"][0]["text"], &called["resultType"]), (&json!("new"), &json!("complete")));
}

#[test]
fn both_eras_reach_an_old_server_on_stdio() {
    both_eras_reach(&Setup::new().server("fx", &["--era", "legacy"], ""), "fx");
}

#[test]
fn both_eras_reach_a_new_server_on_stdio() {
    both_eras_reach(&Setup::new().server("fx", &["--era", "modern"], ""), "fx");
}

#[test]
fn both_eras_reach_an_old_server_over_http() {
    for flags in [&["--era", "legacy", "--sessions"][..], &["--era", "legacy", "--reply", "sse"]] {
        let (setup, _server) = far(flags);
        both_eras_reach(&setup, "far");
    }
}

#[test]
fn both_eras_reach_a_new_server_over_http() {
    for reply in ["json", "sse"] {
        let (setup, _server) = far(&["--era", "modern", "--reply", reply]);
        both_eras_reach(&setup, "far");
    }
}

/// The progress of a call that takes five steps, and its answer, as one stream brings them.
fn steps(mut stream: Response) -> (Vec<Value>, Value) {
    if stream.header("content-type") != Some("text/event-stream") {
        panic!("no stream but {:?}", stream.text());
    }
    let mut seen = Vec::new();
    while let Some(event) = stream.event().expect("a stream") {
        let message: Value = serde_json::from_str(&event).expect("a message");
        if message["method"] != "notifications/progress" {
            return (seen, message["result"].clone());
        }
        seen.push(message["params"]["progressToken"].clone());
    }
    panic!("the stream ended after {seen:?}");
}

#[test]
fn progress_comes_on_the_stream_of_its_own_request() {
    let setup = Setup::new().server("fx", &[], "");
    let up = Up::start(&setup, &[]);
    let session = Session::open(&up, "/mcp");
    let params = |token: &str| json!({"name": "fx__slow", "arguments": {"ms": 300, "steps": 5}, "_meta": {"progressToken": token}});
    // Two at once in one session, and a third one of the other era beside them.
    let streams = std::thread::scope(|scope| {
        let (session, up, params) = (&session, &up, &params);
        let old = ["p", "q"].map(|token| {
            let call = json!({"jsonrpc": "2.0", "id": token, "method": "tools/call", "params": params(token)});
            scope.spawn(move || steps(session.post(&call)))
        });
        let new = scope.spawn(move || steps(modern(up, "/mcp", "tools/call", params("r"))));
        let [p, q] = old;
        [p, q, new].map(|stream| stream.join().expect("it does not panic"))
    });
    for (token, (seen, result)) in ["p", "q", "r"].iter().zip(streams) {
        assert_eq!(seen, vec![json!(token); 5]);
        assert_eq!(result["content"][0]["text"], "slept 300 ms");
    }
}

#[test]
fn sigterm_ends_everything() {
    let setup = Setup::new().server("a", &["--linger"], "").server("b", &["--ignore-sigterm", "--daemonise"], "");
    let up = Up::start(&setup, &[]);
    let session = Session::open(&up, "/mcp");
    for tool in ["a__echo", "b__echo"] {
        assert_eq!(session.call(tool, &json!({"text": "x"}))["content"][0]["text"], "x");
    }
    assert!(setup.survivors().len() >= 3, "{:?}", setup.survivors());
    assert!(up.terminate().success());
    let gone = wait::until(wait::PATIENCE, || setup.survivors().is_empty());
    assert!(gone, "still there: {:?}", setup.survivors());
}

#[test]
fn a_lost_session_of_a_server_is_opened_anew_and_nobody_notices() {
    // A new session first serves what belongs to its opening: it must outlive that, and the call.
    let (setup, _server) = far(&["--era", "legacy", "--sessions", "--lose-session-after", "12"]);
    let mut client = setup.client(&[]);
    for round in 0..30 {
        let text = format!("round {round}");
        assert_eq!(client.call("far__echo", &json!({"text": text})).text_block(), text);
    }
    let opened = setup.heard("far").iter().filter(|line| line.to_string().contains("initialize\"")).count();
    assert!(opened > 1, "no session was ever lost");
}

#[test]
fn a_server_that_wants_to_know_who_asks_is_told_apart_from_a_broken_one() {
    let (setup, _server) = far(&["--status", "401"]);
    let output = setup.run(&["mcp", "test", "far"]).run();
    assert_eq!(output.status, Some(3), "{output:?}");
    let output = setup.run(&["mcp", "call", "far__echo"]).run();
    assert_eq!(output.status, Some(3), "{output:?}");
    let (setup, _server) = far(&["--status", "500"]);
    let output = setup.run(&["mcp", "test", "far"]).run();
    assert_eq!(output.status, Some(1), "{output:?}");
    assert!(output.stderr.contains("500"), "{}", output.stderr);
    let output = setup.run(&["mcp", "call", "mcp__far__echo"]).run();
    assert_eq!(output.status, Some(1), "{output:?}");
    assert!(output.stderr.contains("500") && !output.stderr.contains("Unknown tool"), "{}", output.stderr);
}

#[test]
fn headers_of_the_configuration_open_the_door() {
    let setup = Setup::new();
    let server = remote(&setup, "far", &["--require-header", "X-Key=of-the-house"]);
    let entry = |key: &str| {
        format!("[mcp_servers.far]\nurl = {}\nhttp_headers = {{ X-Key = {} }}\n", json!(server.url), json!(key))
    };
    setup.home.write("toolgate.toml", entry("guessed"));
    assert_eq!(setup.run(&["mcp", "test", "far"]).run().status, Some(3));
    setup.home.write("toolgate.toml", entry("of-the-house"));
    setup.run(&["mcp", "test", "far"]).run().ok();
    let mut client = setup.client(&["--only", "far"]);
    assert_eq!(client.call("echo", &json!({"text": "in"})).text_block(), "in");
    assert!(!client.call("echo", &json!({"text": "the key is of-the-house"})).text.contains("of-the-house"));
}

#[test]
fn the_oldest_http_servers_are_understood() {
    let (setup, _server) = far(&["--http-sse"]);
    let output = setup.run(&["mcp", "call", "far__echo", "--args", r#"{"text":"old"}"#]).run();
    assert_eq!(output.ok().trim(), "old");
}

#[test]
fn a_running_gate_tells_how_its_servers_are_and_starts_none() {
    let setup = Setup::new().server("h", &[], "").server("off", &[], "enabled = false");
    let up = Up::start(&setup, &[]);
    let url = format!("{}/status", up.base);
    assert_eq!(send(Request::new("GET", &url)).status, 401);
    let report = || {
        let response = send(Request::new("GET", &url).header("Authorization", &up.bearer()));
        assert_eq!(response.status, 200);
        serde_json::from_str::<Value>(&response.text().expect("a body")).expect("JSON")
    };
    let states = |report: &Value| {
        let servers = report["servers"].as_array().expect("servers").clone();
        servers.iter().map(|one| (one["name"].clone(), one["state"].clone())).collect::<Vec<_>>()
    };
    let before = report();
    assert_eq!(before["schema"], "toolgate.status/1");
    assert_eq!(states(&before), [(json!("h"), json!("not_started")), (json!("off"), json!("disabled"))]);
    Session::open(&up, "/mcp").call("h__echo", &json!({"text": "a"}));
    assert_eq!(states(&report())[0], (json!("h"), json!("connected")));
    let alone = setup.run(&["mcp", "status", "h", "--json"]).run().json();
    let keys = |one: &Value| one.as_object().expect("an object").keys().cloned().collect::<Vec<_>>();
    let mut told = keys(&report()["servers"][0]);
    told.push("schema".to_owned());
    told.sort();
    assert_eq!(told, {
        let mut keys = keys(&alone);
        keys.sort();
        keys
    });
}
