//! Conversations over HTTP, in both eras, on a loopback port.

use crate::client::{Response, send};
use crate::common::{PATIENCE, World, options, wire};
use downstream::{Auth, HttpOptions, Options, StatusReport};
use gate::{Face, ItemKind, ReplyKind, Secret, ServerName, Unmasked};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

const JSON: (&str, &str) = ("Content-Type", "application/json");
const BOTH: (&str, &str) = ("Accept", "application/json, text/event-stream");
const TOKEN: (&str, &str) = ("Authorization", "Bearer the-token");

type Headers<'a> = &'a [(&'a str, &'a str)];

/// A face on a loopback port.
pub struct Service {
    pub world: World,
    pub address: SocketAddr,
    stop: CancellationToken,
    served: tokio::task::JoinHandle<std::io::Result<()>>,
}

impl Service {
    async fn new() -> Self {
        Self::with(World::new(), |_| {}).await
    }

    pub async fn with(world: World, change: impl FnOnce(&mut HttpOptions)) -> Self {
        let mut http = HttpOptions::new(Auth::Token(Secret::new("the-token")));
        change(&mut http);
        Self::of(world, http, options(Face::All)).await
    }

    pub async fn of(world: World, http: HttpOptions, mut options: Options) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        options.limits.http_head = Duration::from_millis(300);
        let served = downstream::serve_http(world.gate.clone(), options, http, listener, stop.clone());
        let served = tokio_util::task::TaskTracker::new().spawn(served);
        Self { world, address, stop, served }
    }

    /// A POST with what every client sends, and more.
    pub async fn post(&self, path: &str, more: &[(&str, &str)], body: &str) -> Response {
        send(self.address, "POST", path, &[&[JSON, BOTH, TOKEN], more].concat(), body).await
    }

    pub async fn open(&self, path: &str, version: &str) -> String {
        let params =
            json!({"protocolVersion": version, "capabilities": {"elicitation": {}}, "clientInfo": {"name": "t"}});
        let body = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params}).to_string();
        let response = self.post(path, &[], &body).await;
        assert_eq!(response.status, 200);
        let id = response.header("mcp-session-id").unwrap().to_owned();
        assert_eq!(id.len(), 32, "128 bits");
        assert_eq!(response.json().await["result"]["protocolVersion"], version);
        id
    }

    /// A request of a session.
    pub async fn ask(&self, session: &str, body: &Value) -> Response {
        self.post("/mcp", &[("Mcp-Session-Id", session)], &body.to_string()).await
    }

    pub async fn call(&self, session: &str, id: u32, tool: &str) -> Response {
        self.ask(session, &call(id, tool)).await
    }

    pub async fn get(&self, session: &str, more: &[(&str, &str)]) -> Response {
        let base = [("Accept", "text/event-stream"), TOKEN, ("Mcp-Session-Id", session)];
        send(self.address, "GET", "/mcp", &[&base, more].concat(), "").await
    }

    /// A stateless request with these very parameters, and its answer. A call if it is not `tools/list`.
    pub async fn stateless(&self, name: &str, params: Value) -> Value {
        let method = if name == "tools/list" { name } else { "tools/call" };
        let body = json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params}).to_string();
        let mut more = vec![("MCP-Protocol-Version", "2026-07-28"), ("Mcp-Method", method)];
        more.extend((method != name).then_some(("Mcp-Name", name)));
        self.post("/mcp", &more, &body).await.json().await
    }

    /// A modern request with the headers that repeat it.
    async fn modern(&self, method: &str, name: Option<&str>, params: Value) -> Response {
        let body = modern_body(method, params);
        let mut more = vec![("MCP-Protocol-Version", "2026-07-28"), ("Mcp-Method", method)];
        more.extend(name.map(|name| ("Mcp-Name", name)));
        self.post("/mcp", &more, &body).await
    }
}

fn call(id: u32, tool: &str) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": tool, "_meta": {"progressToken": "p"}}})
}

fn modern_body(method: &str, mut params: Value) -> String {
    params["_meta"] = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}});
    json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params}).to_string()
}

const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

#[tokio::test]
async fn a_stranger_is_told_nothing() {
    let service = Service::new().await;
    let cases: [(Headers, u16); 9] = [
        (&[], 401),
        (&[("Authorization", "Bearer wrong")], 401),
        (&[TOKEN, ("Authorization", "Bearer the-token")], 401),
        (&[TOKEN, ("Host", "evil.com")], 403),
        (&[TOKEN, ("Host", "127.0.0.1.evil.com")], 403),
        (&[TOKEN, ("Origin", "http://evil.com")], 403),
        (&[TOKEN, ("Origin", "null")], 403),
        (&[TOKEN, ("Origin", "http://localhost:1"), ("Origin", "http://localhost:1")], 403),
        (&[TOKEN, ("Sec-Fetch-Site", "cross-site")], 403),
    ];
    for (more, status) in cases {
        for (method, path) in [("POST", "/mcp"), ("GET", "/mcp/a"), ("DELETE", "/mcp"), ("GET", "/nowhere")] {
            let response = send(service.address, method, path, &[&[JSON, BOTH], more].concat(), PING).await;
            assert_eq!(response.status, status, "{method} {path} {more:?}");
            assert_eq!(response.header("www-authenticate").is_some(), status == 401);
            assert_eq!(response.header("connection"), Some("close"), "nor does it hold a place");
            assert!(response.header("access-control-allow-origin").is_none());
        }
    }
}

#[tokio::test]
async fn health_is_told_without_a_token_but_not_to_other_hosts() {
    let service = Service::new().await;
    for path in ["/healthz", "/readyz"] {
        assert_eq!(send(service.address, "GET", path, &[], "").await.status, 200);
        assert_eq!(send(service.address, "GET", path, &[("Host", "evil.com")], "").await.status, 403);
        assert_eq!(send(service.address, "POST", path, &[], "").await.status, 405);
    }
}

#[tokio::test]
async fn nothing_but_health_is_there_for_who_has_no_token() {
    let service = Service::new().await;
    let logins = ["/.well-known/oauth-protected-resource", "/.well-known/oauth-authorization-server", "/register"];
    let more = ["/authorize", "/token", "/callback", "/", "/mcp", "/mcp/", "/mcp/a", "/sse", "/messages", "/admin"];
    let odd =
        ["/metrics", "/approvals", "/approvals/1", "/MCP", "//mcp", "/mcp/../healthz", "/healthz/", "/healthz%00"];
    for path in logins.iter().chain(&more).chain(&odd) {
        for method in ["GET", "POST", "DELETE", "PUT", "OPTIONS", "HEAD"] {
            let status = send(service.address, method, path, &[JSON, BOTH], PING).await.status;
            assert_eq!(status, 401, "{method} {path}");
        }
    }
    for path in logins.iter().chain(&more[..3]) {
        let answer = send(service.address, "GET", path, &[TOKEN], "").await;
        assert_eq!(answer.status, 404, "{path}: there is nobody here who gives out tokens");
    }
}

#[tokio::test]
async fn the_id_of_a_session_is_neither_guessed_nor_enough() {
    let service = Service::new().await;
    let (one, other) = (service.open("/mcp", "2025-11-25").await, service.open("/mcp", "2025-11-25").await);
    let number = |id: &str| u128::from_str_radix(id, 16).unwrap();
    assert!(number(&one).abs_diff(number(&other)) > 1 << 64, "{one} {other}");
    for near in [number(&one).wrapping_add(1), number(&one).wrapping_sub(1), number(&one) ^ (1 << 127), 0] {
        assert_eq!(service.ask(&format!("{near:032x}"), &serde_json::from_str(PING).unwrap()).await.status, 404);
    }
    let headers = [JSON, BOTH, ("Mcp-Session-Id", one.as_str())];
    assert_eq!(send(service.address, "POST", "/mcp", &headers, PING).await.status, 401, "it is no proof");
}

#[tokio::test]
async fn requests_in_the_wrong_form_are_refused_with_the_right_status() {
    let service = Service::new().await;
    let cases: [(Headers, &str, u16); 9] = [
        (&[BOTH, ("Content-Type", "text/plain")], PING, 415),
        (&[BOTH], PING, 415),
        (&[JSON, ("Accept", "application/json")], PING, 406),
        (&[JSON, ("Accept", "text/event-stream")], PING, 406),
        (&[JSON, BOTH], "not json", 400),
        (&[JSON, BOTH], "", 400),
        (&[JSON, BOTH], PING, 400),
        (&[JSON, BOTH, ("Mcp-Session-Id", "0123")], PING, 404),
        (&[JSON, ("Accept", "*/*"), ("Mcp-Session-Id", "0123"), ("MCP-Protocol-Version", "1999")], PING, 400),
    ];
    for (more, body, status) in cases {
        let response = send(service.address, "POST", "/mcp", &[&[TOKEN], more].concat(), body).await;
        assert_eq!(response.status, status, "{more:?} {body}");
        assert!(response.json().await["error"]["message"].is_string());
    }
    let long = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"ping","params":{{"x":"{}"}}}}"#, "x".repeat(2 << 20));
    assert_eq!(service.post("/mcp", &[], &long).await.status, 413);
    assert_eq!(service.post("/mcp/nobody", &[], PING).await.status, 404);
    assert_eq!(send(service.address, "PUT", "/mcp", &[TOKEN], "").await.status, 405);
    assert_eq!(send(service.address, "GET", "/mcp", &[TOKEN], "").await.status, 405);
    assert_eq!(send(service.address, "DELETE", "/mcp", &[TOKEN], "").await.status, 405);
}

#[tokio::test]
async fn a_session_lives_from_initialize_to_delete() {
    let service = Service::new().await;
    let session = service.open("/mcp", "2025-11-25").await;
    let answer = service.ask(&session, &json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"})).await.json().await;
    assert_eq!(answer["result"]["tools"][0]["name"], "a__echo");
    let noted = service.ask(&session, &json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).await;
    assert_eq!((noted.status, noted.text().await.as_str()), (202, ""));
    let delete = [TOKEN, ("Mcp-Session-Id", session.as_str())];
    assert_eq!(send(service.address, "DELETE", "/mcp", &delete, "").await.status, 200);
    assert_eq!(send(service.address, "DELETE", "/mcp", &delete, "").await.status, 404);
    assert_eq!(service.call(&session, 1, "a__echo").await.status, 404);
    assert_eq!(service.get(&session, &[]).await.status, 404);
}

#[tokio::test]
async fn a_session_belongs_to_the_face_it_was_opened_on() {
    let service = Service::new().await;
    let session = service.open("/mcp/a", "2025-06-18").await;
    let named = [("Mcp-Session-Id", session.as_str())];
    assert_eq!(service.post("/mcp/b", &named, PING).await.status, 404);
    assert_eq!(service.post("/mcp", &named, PING).await.status, 404);
    assert_eq!(service.post("/mcp/a", &named, PING).await.status, 200);
    let answer = service.post("/mcp/a", &named, &call(1, "echo").to_string()).await.json().await;
    assert!(answer["result"].is_object(), "bare names there: {answer}");
}

#[tokio::test]
async fn an_answer_is_one_document_unless_something_is_said_before_it() {
    let service = Service::new().await;
    for (version, primed) in [("2025-11-25", true), ("2025-06-18", false)] {
        let session = service.open("/mcp", version).await;
        let quiet = service.call(&session, 1, "a__echo").await;
        assert_eq!(quiet.header("content-type"), Some("application/json"));
        let mut told = service.call(&session, 2, "a__progress").await;
        assert!(told.is_stream());
        assert_eq!(told.header("x-accel-buffering"), Some("no"));
        if primed {
            let first = told.event().await.unwrap();
            assert!(first.id.is_some() && first.retry.is_some() && first.data.unwrap_or_default().is_empty());
        }
        for step in 1..=2 {
            let event = told.event().await.unwrap().json();
            assert_eq!((&event["params"]["progressToken"], &event["params"]["progress"]), (&json!("p"), &json!(step)));
        }
        assert_eq!(told.event().await.unwrap().json()["id"], 2);
        assert_eq!(told.event().await, None, "the answer ends the stream");
    }
}

#[tokio::test]
async fn a_question_travels_on_the_stream_of_its_request() {
    let service = Service::new().await;
    let session = service.open("/mcp", "2025-06-18").await;
    let other = service.open("/mcp", "2025-06-18").await;
    let mut stream = service.call(&session, 1, "a__elicit").await;
    let question = stream.event().await.unwrap().json();
    assert_eq!(question["method"], "elicitation/create");
    let answer = json!({"jsonrpc": "2.0", "id": question["id"], "result": {"action": "accept"}});
    assert_eq!(service.ask(&other, &answer).await.status, 202, "an answer of somebody else counts for nothing");
    assert_eq!(service.ask(&session, &answer).await.status, 202);
    let result = stream.event().await.unwrap().json();
    assert_eq!(result["result"]["structuredContent"], json!({"action": "accept"}));
}

#[tokio::test]
async fn a_broken_stream_is_gone_on_with_where_it_broke() {
    let service = Service::new().await;
    let session = service.open("/mcp", "2025-11-25").await;
    let mut stream = service.call(&session, 1, "a__elicit").await;
    let primed = stream.event().await.unwrap().id.unwrap();
    let question = stream.event().await.unwrap();
    drop(stream);
    let answer = json!({"jsonrpc": "2.0", "id": question.json()["id"], "result": {"action": "decline"}});
    assert_eq!(service.ask(&session, &answer).await.status, 202);
    for after in [primed, question.id.unwrap()] {
        let mut rest = service.get(&session, &[("Last-Event-ID", &after)]).await;
        assert_eq!(rest.status, 200);
        let mut last = Value::Null;
        while let Some(event) = rest.event().await {
            last = event.data.as_deref().filter(|data| !data.is_empty()).map_or(last, |_| event.json());
        }
        assert_eq!(last["result"]["structuredContent"], json!({"action": "decline"}));
    }
    assert_eq!(service.get(&session, &[("Last-Event-ID", "99-1")]).await.status, 400);
    let other = service.open("/mcp", "2025-11-25").await;
    assert_eq!(service.get(&other, &[("Last-Event-ID", "1-1")]).await.status, 400, "streams belong to their session");
}

#[tokio::test]
async fn in_the_era_with_sessions_only_a_word_cancels() {
    let service = Service::new().await;
    let session = service.open("/mcp", "2025-06-18").await;
    let hang = |id| service.call(&session, id, "a__hang");
    assert!(tokio::time::timeout(Duration::from_millis(200), hang(1)).await.is_err());
    service.world.until("tool:hang").await;
    let busy = service.call(&session, 1, "a__echo").await.json().await;
    assert_eq!(busy["error"]["code"], -32600, "the lost request is still under way: {busy}");
    let cancel = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}});
    let other = service.open("/mcp", "2025-06-18").await;
    service.ask(&other, &cancel).await;
    assert_eq!(service.call(&session, 1, "a__echo").await.json().await["error"]["code"], -32600, "not one's own");
    service.ask(&session, &cancel).await;
    service.world.until("dropped:hang").await;
    assert!(service.call(&session, 1, "a__echo").await.json().await["result"].is_object());
}

#[tokio::test]
async fn sessions_hear_of_changes_on_their_own_stream() {
    let service = Service::new().await;
    let session = service.open("/mcp", "2025-06-18").await;
    let only_b = service.open("/mcp/b", "2025-06-18").await;
    let mut stream = service.get(&session, &[]).await;
    assert!(stream.is_stream());
    let base = [("Accept", "text/event-stream"), TOKEN, ("Mcp-Session-Id", only_b.as_str())];
    let mut stream_b = send(service.address, "GET", "/mcp/b", &base, "").await;
    service.world.hub.list_changed(ItemKind::Tool, &"a".into());
    assert_eq!(stream.event().await.unwrap().json()["method"], "notifications/tools/list_changed");
    let watch = json!({"jsonrpc": "2.0", "id": 1, "method": "resources/subscribe", "params": {"uri": "test://one"}});
    assert!(service.ask(&session, &watch).await.json().await["result"].is_object());
    let params = r#"{"uri":"test://one"}"#;
    let json = format!(r#"{{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{params}}}"#);
    let update = Unmasked::message(wire(&json, params, ""), ReplyKind::Result);
    service.world.hub.resource_updated(&ServerName::from("a"), "test://one", update);
    assert_eq!(stream.event().await.unwrap().json()["params"]["uri"], "test://one");
    service.world.hub.list_changed(ItemKind::Prompt, &"b".into());
    assert_eq!(
        stream_b.event().await.unwrap().json()["method"],
        "notifications/prompts/list_changed",
        "and nothing of `a`"
    );
    let delete = [TOKEN, ("Mcp-Session-Id", session.as_str())];
    send(service.address, "DELETE", "/mcp", &delete, "").await;
    service.world.until("unsubscribe:test://one").await;
    while stream.event().await.is_some() {}
}

fn resource(method: &str) -> Value {
    json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": {"uri": "test://one"}})
}

#[tokio::test]
async fn a_session_takes_back_its_own_watches_and_no_others() {
    let service = Service::new().await;
    let (one, other) = (service.open("/mcp", "2025-06-18").await, service.open("/mcp", "2025-06-18").await);
    let told = |word: &str| {
        let story = service.world.story.lock().unwrap();
        story.iter().filter(|event| **event == format!("{word}:test://one")).count()
    };
    for session in [&one, &one, &other] {
        assert!(service.ask(session, &resource("resources/subscribe")).await.json().await["result"].is_object());
    }
    // The server's side counts watchers: three came, and the one that came twice was taken back once.
    assert_eq!((told("subscribe"), told("unsubscribe")), (3, 1));
    let third = service.open("/mcp", "2025-06-18").await;
    assert!(service.ask(&third, &resource("resources/unsubscribe")).await.json().await["result"].is_object());
    assert_eq!(told("unsubscribe"), 1, "who watches nothing takes nothing back");
    service.ask(&one, &resource("resources/unsubscribe")).await.json().await;
    assert_eq!(told("unsubscribe"), 2);
    service.ask(&other, &resource("resources/unsubscribe")).await.json().await;
    assert_eq!(told("unsubscribe"), 3);
}

#[tokio::test]
async fn a_log_line_of_nobodys_call_is_told_to_no_session_among_several() {
    let service = Service::new().await;
    let one = service.open("/mcp", "2025-06-18").await;
    let mut stream = service.get(&one, &[]).await;
    let log = |text: &str| {
        let params = format!(r#"{{"level":"error","data":"{text}"}}"#);
        let json = format!(r#"{{"jsonrpc":"2.0","method":"notifications/message","params":{params}}}"#);
        service.world.hub.log(&"a".into(), Unmasked::message(wire(&json, &params, ""), ReplyKind::Result));
    };
    log("alone");
    assert_eq!(stream.event().await.unwrap().json()["params"]["data"], "alone");
    let other = service.open("/mcp", "2025-06-18").await;
    let mut second = service.get(&other, &[]).await;
    log("whose?");
    service.world.hub.list_changed(ItemKind::Prompt, &"b".into());
    for stream in [&mut stream, &mut second] {
        assert_eq!(stream.event().await.unwrap().json()["method"], "notifications/prompts/list_changed");
    }
}

#[tokio::test]
async fn the_headers_of_a_hidden_tool_are_not_asked_for() {
    let service = Service::new().await;
    let call = |tool: &str| json!({"name": tool, "arguments": {"region": "x"}});
    let shown = service.modern("tools/call", Some("a__region"), call("a__region")).await;
    assert_eq!(shown.status, 400, "its header is missing");
    let hidden = service.modern("tools/call", Some("a__never"), call("a__never")).await;
    assert_eq!(hidden.status, 200);
    assert!(!hidden.text().await.to_lowercase().contains("region"));
}

#[tokio::test]
async fn a_silent_request_becomes_a_stream_that_is_kept_alive() {
    let quick = |http: &mut HttpOptions| {
        http.stream_after = Duration::from_millis(50);
        http.keep_alive = Duration::from_millis(50);
    };
    let service = Service::with(World::new(), quick).await;
    let session = service.open("/mcp", "2025-06-18").await;
    let mut stream = service.call(&session, 1, "a__hang").await;
    assert!(stream.is_stream());
    for _ in 0..2 {
        assert_eq!(stream.event_line().await.as_deref(), Some(":"));
        assert_eq!(stream.event_line().await.as_deref(), Some(""));
    }
}

#[tokio::test]
async fn batches_are_answered_by_one_array() {
    let service = Service::new().await;
    let old = service.open("/mcp", "2025-03-26").await;
    let new = service.open("/mcp", "2025-06-18").await;
    let batch =
        json!([{"jsonrpc": "2.0", "id": 1, "method": "ping"}, call(2, "a__echo"), {"jsonrpc": "2.0", "method": "x"}]);
    let answers = service.ask(&old, &batch).await.json().await;
    let ids: Vec<_> = answers.as_array().unwrap().iter().map(|answer| answer["id"].clone()).collect();
    assert_eq!(ids, [json!(1), json!(2)]);
    assert_eq!(service.ask(&old, &json!([{"jsonrpc": "2.0", "method": "x"}])).await.status, 202);
    assert_eq!(service.ask(&new, &batch).await.status, 400);
    let shake = json!([{"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {}}]);
    assert_eq!(service.post("/mcp", &[], &shake.to_string()).await.status, 400);
}

#[tokio::test]
async fn idle_sessions_make_room() {
    let service = Service::with(World::new(), |http| http.sessions = 2).await;
    let first = service.open("/mcp", "2025-06-18").await;
    tokio::time::sleep(Duration::from_millis(5)).await;
    let second = service.open("/mcp", "2025-06-18").await;
    service.open("/mcp", "2025-06-18").await;
    assert_eq!(service.call(&first, 1, "a__echo").await.status, 404);
    assert_eq!(service.call(&second, 1, "a__echo").await.status, 200);
}

#[tokio::test]
async fn who_does_not_finish_a_request_is_cut_off_and_nobody_else_suffers() {
    let service = Service::with(World::new(), |http| http.body_wait = Duration::from_millis(300)).await;
    let mut slow = Vec::new();
    for at in 0..60 {
        let mut stream = TcpStream::connect(service.address).await.unwrap();
        let head = format!("POST /mcp HTTP/1.1\r\nHost: {}\r\n", service.address);
        let body = "Authorization: Bearer the-token\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{";
        let part = if at % 2 == 0 { head } else { head + body };
        stream.write_all(part.as_bytes()).await.unwrap();
        slow.push(stream);
    }
    let session = service.open("/mcp", "2025-06-18").await;
    assert_eq!(service.call(&session, 1, "a__echo").await.status, 200);
    for mut stream in slow {
        let mut rest = Vec::new();
        let ended = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await;
        assert!(ended.is_ok(), "cut off");
    }
}

#[tokio::test]
async fn a_stateless_request_needs_no_session_and_mints_none() {
    let service = Service::new().await;
    let found = service.modern("server/discover", None, json!({})).await;
    assert_eq!((found.status, found.header("mcp-session-id")), (200, None));
    assert_eq!(found.json().await["result"]["supportedVersions"][0], "2026-07-28");
    let answer = service.modern("tools/call", Some("a__echo"), json!({"name": "a__echo"})).await;
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.json().await["result"]["resultType"], "complete");
    let unknown = service.modern("no/such", None, json!({})).await;
    assert_eq!((unknown.status, &unknown.json().await["error"]["code"]), (404, &json!(-32601)));
    let wrong = service.modern("tools/call", Some("nothing"), json!({"name": "nothing"})).await;
    assert_eq!((wrong.status, &wrong.json().await["error"]["code"]), (200, &json!(-32602)));
    let gone = service.modern("resources/read", Some("test://two"), json!({"uri": "test://two"})).await;
    assert_eq!(gone.json().await["error"]["code"], -32602);
    let read = service.modern("resources/read", Some("test://one"), json!({"uri": "test://one"})).await.json().await;
    assert_eq!((&read["result"]["ttlMs"], &read["result"]["cacheScope"]), (&json!(5), &json!("private")));
}

#[tokio::test]
async fn headers_that_do_not_repeat_the_body_are_refused() {
    let service = Service::new().await;
    let body = modern_body("tools/call", json!({"name": "a__echo"}));
    let version = ("MCP-Protocol-Version", "2026-07-28");
    let method = ("Mcp-Method", "tools/call");
    let name = ("Mcp-Name", "a__echo");
    let cases: [(Headers, u16, i64); 9] = [
        (&[version, method, name], 200, 0),
        (&[method, name], 400, -32020),
        (&[version, name], 400, -32020),
        (&[version, method], 400, -32020),
        (&[("MCP-Protocol-Version", "2025-11-25"), method, name], 400, -32020),
        (&[version, ("Mcp-Method", "tools/list"), name], 400, -32020),
        (&[version, method, ("Mcp-Name", "a__never")], 400, -32020),
        (&[version, method, name, name], 400, -32020),
        (&[version, method, ("Mcp-Name", "=?base64?!!?=")], 400, -32020),
    ];
    for (more, status, code) in cases {
        let response = service.post("/mcp", more, &body).await;
        assert_eq!(response.status, status, "{more:?}");
        let answer = response.json().await;
        assert_eq!(answer["error"]["code"].as_i64().unwrap_or(0), code, "{more:?} {answer}");
        assert_eq!(answer["id"], 7);
    }
    let bare = r#"{"jsonrpc":"2.0","id":7,"method":"tools/list","params":{}}"#;
    let answer = service.post("/mcp", &[version, ("Mcp-Method", "tools/list")], bare).await;
    assert_eq!((answer.status, &answer.json().await["error"]["code"]), (400, &json!(-32602)));
    let old = body.replace("2026-07-28", "2030-01-01");
    let answer = service.post("/mcp", &[("MCP-Protocol-Version", "2030-01-01"), method, name], &old).await;
    assert_eq!((answer.status, &answer.json().await["error"]["code"]), (400, &json!(-32022)));
}

#[tokio::test]
async fn in_the_stateless_era_a_lost_connection_cancels() {
    let service = Service::new().await;
    let hang = service.modern("tools/call", Some("a__hang"), json!({"name": "a__hang"}));
    assert!(tokio::time::timeout(Duration::from_millis(200), hang).await.is_err());
    service.world.until("dropped:hang").await;
}

#[tokio::test]
async fn a_stateless_stream_has_no_ids_and_ends_with_the_answer() {
    let service = Service::new().await;
    let params = json!({"name": "a__progress"});
    let mut body: Value = serde_json::from_str(&modern_body("tools/call", params)).unwrap();
    body["params"]["_meta"]["progressToken"] = json!(9);
    let more = [("MCP-Protocol-Version", "2026-07-28"), ("Mcp-Method", "tools/call"), ("Mcp-Name", "a__progress")];
    let mut stream = service.post("/mcp", &more, &body.to_string()).await;
    for step in 1..=2 {
        let event = stream.event().await.unwrap();
        assert_eq!((&event.id, &event.json()["params"]["progress"]), (&None, &json!(step)));
    }
    assert_eq!(stream.event().await.unwrap().json()["id"], 7);
    assert_eq!(stream.event().await, None);
}

#[tokio::test]
async fn a_subscription_streams_until_it_is_left_or_the_face_closes() {
    let service = Service::new().await;
    let filter = json!({"notifications": {"toolsListChanged": true, "resourceSubscriptions": ["test://one"]}});
    let mut stream = service.modern("subscriptions/listen", None, filter.clone()).await;
    assert!(stream.is_stream());
    let ack = stream.event().await.unwrap().json();
    assert_eq!(ack["method"], "notifications/subscriptions/acknowledged");
    assert_eq!(ack["params"]["notifications"], filter["notifications"]);
    service.world.hub.list_changed(ItemKind::Tool, &"a".into());
    let changed = stream.event().await.unwrap().json();
    assert_eq!(changed["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], 7);
    drop(stream);
    service.world.until("unsubscribe:test://one").await;
    let mut stream = service.modern("subscriptions/listen", None, json!({"notifications": {}})).await;
    stream.event().await.unwrap();
    service.stop.cancel();
    let end = stream.event().await.unwrap().json();
    assert_eq!(end["result"]["_meta"]["io.modelcontextprotocol/subscriptionId"], 7);
    tokio::time::timeout(PATIENCE, service.served).await.expect("in time").unwrap().unwrap();
}

#[tokio::test]
async fn stop_ends_everything_in_bounded_time() {
    let service = Service::new().await;
    let session = service.open("/mcp", "2025-06-18").await;
    let stream = service.get(&session, &[]).await;
    service.stop.cancel();
    assert!(stream.ends_within(PATIENCE).await);
    tokio::time::timeout(PATIENCE, service.served).await.expect("in time").unwrap().unwrap();
    assert!(TcpStream::connect(service.address).await.is_err());
}

#[tokio::test]
async fn one_connection_carries_many_requests() {
    let service = Service::new().await;
    let body = modern_body("tools/call", json!({"name": "a__echo"}));
    let mut stream = TcpStream::connect(service.address).await.unwrap();
    let mut seen = String::new();
    for _ in 0..3 {
        let head = format!(
            "POST /mcp HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer the-token\r\nContent-Type: application/json\r\nMCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: a__echo\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let want = seen.matches("\"id\":7").count() + 1;
        while seen.matches("\"id\":7").count() < want {
            let mut piece = [0; 4096];
            let read = tokio::time::timeout(PATIENCE, stream.read(&mut piece)).await.expect("in time").unwrap();
            assert!(read > 0);
            seen += std::str::from_utf8(&piece[..read]).unwrap();
        }
    }
}

#[tokio::test]
async fn arguments_that_a_tool_wants_as_headers_are_held_against_them() {
    let service = Service::new().await;
    let body = modern_body("tools/call", json!({"name": "a__region", "arguments": {"region": "eu"}}));
    let base = [("MCP-Protocol-Version", "2026-07-28"), ("Mcp-Method", "tools/call"), ("Mcp-Name", "a__region")];
    for (header, status) in [(Some("eu"), 200), (Some("=?base64?ZXU=?="), 200), (Some("us"), 400), (None, 400)] {
        let more: Vec<_> = base.into_iter().chain(header.map(|value| ("Mcp-Param-Region", value))).collect();
        assert_eq!(service.post("/mcp", &more, &body).await.status, status, "{header:?}");
    }
}

#[tokio::test]
async fn a_tool_with_an_impossible_header_is_listed_without_it_and_can_be_called() {
    let service = Service::new().await;
    let list = service.modern("tools/list", None, json!({})).await.json().await;
    let schema = |name: &str| {
        let tools = list["result"]["tools"].as_array().unwrap().iter();
        tools.filter(|tool| tool["name"] == name).map(|tool| tool["inputSchema"]["properties"].clone()).next().unwrap()
    };
    assert_eq!(schema("a__bad"), json!({"list": {"type": "array"}}));
    assert_eq!(schema("a__region")["region"]["x-mcp-header"], "Region");
    let answer = service.modern("tools/call", Some("a__bad"), json!({"name": "a__bad"})).await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn how_the_servers_are_is_told_to_whoever_may_call() {
    let report = StatusReport(std::sync::Arc::new(|| br#"{"servers":[]}"#.as_slice().into()));
    let service = Service::with(World::new(), |http| http.status = Some(report)).await;
    for (headers, method, status) in [
        (&[TOKEN] as Headers<'_>, "GET", 200),
        (&[], "GET", 401),
        (&[("Authorization", "Bearer another")], "GET", 401),
        (&[TOKEN], "POST", 405),
    ] {
        let response = send(service.address, method, "/status", headers, "").await;
        assert_eq!(response.status, status, "{method} {headers:?}");
        if status == 200 {
            assert_eq!(response.header("content-type"), Some("application/json"));
            assert_eq!(response.json().await, json!({"servers": []}));
        }
    }
    let without = Service::new().await;
    assert_eq!(send(without.address, "GET", "/status", &[TOKEN], "").await.status, 404);
}
