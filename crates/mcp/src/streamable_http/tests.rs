//! The client against a scripted server on a real socket.

use super::*;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinSet;

/// For what takes milliseconds, on a machine that may be busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the server does with a connection after it wrote a reply.
#[derive(Clone, Copy)]
pub(crate) enum Then {
    /// Waits for the next request.
    Keep,
    Close,
    /// Closes in a way that fails the other end.
    Reset,
    /// Repeats its last reply bytes until the other end is gone.
    Flood,
}

/// Answers each request with the next of its replies.
pub(crate) struct Server {
    pub(crate) origin: String,
    seen: Arc<Seen>,
    _task: JoinSet<()>,
}

#[derive(Default)]
struct Seen {
    requests: Mutex<Vec<String>>,
    connections: Mutex<usize>,
    /// Bytes that the system took of a body without end.
    flooded: AtomicUsize,
    /// The client closed a connection.
    hung_up: Notify,
    /// A request came in.
    asked: Notify,
}

impl Server {
    pub(crate) async fn new(replies: Vec<(String, Then)>) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let origin = format!("http://{}", listener.local_addr().expect("bound"));
        let seen = Arc::new(Seen::default());
        let mut task = JoinSet::new();
        let (shared, mut replies) = (seen.clone(), replies.into_iter());
        task.spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.expect("a connection");
                *shared.connections.lock().expect("unpoisoned") += 1;
                serve(socket, &mut replies, &shared).await;
                shared.hung_up.notify_one();
            }
        });
        Server { origin, seen, _task: task }
    }

    pub(crate) fn endpoint(&self) -> Endpoint {
        endpoint(&format!("{}/mcp", self.origin), Limits::default())
    }

    /// What came in, head and body of each request.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.seen.requests.lock().expect("unpoisoned").clone()
    }

    fn connections(&self) -> usize {
        *self.seen.connections.lock().expect("unpoisoned")
    }
}

async fn serve(mut socket: TcpStream, replies: &mut impl Iterator<Item = (String, Then)>, seen: &Seen) {
    while let Some(request) = request(&mut socket).await {
        seen.requests.lock().expect("unpoisoned").push(request);
        seen.asked.notify_one();
        // Without a reply left it stays silent until the client goes.
        let Some((reply, then)) = replies.next() else { continue };
        if socket.write_all(reply.as_bytes()).await.is_err() {
            return;
        }
        match then {
            Then::Keep => {}
            Then::Close => return,
            Then::Reset => return socket.set_zero_linger().expect("a socket"),
            Then::Flood => {
                let chunk = format!("{:x}\r\n{}\r\n", 1 << 16, "x".repeat(1 << 16));
                while socket.write_all(chunk.as_bytes()).await.is_ok() {
                    seen.flooded.fetch_add(chunk.len(), Ordering::Relaxed);
                }
                return;
            }
        }
    }
}

/// The next request, whose body has a `content-length`.
async fn request(socket: &mut TcpStream) -> Option<String> {
    let mut text = Vec::new();
    loop {
        if let Some(end) = memchr::memmem::find(&text, b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&text[..end]).to_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if text.len() >= end + 4 + length.map_or(0, |length| length.parse().expect("a number")) {
                return Some(String::from_utf8(text).expect("text"));
            }
        }
        if !matches!(socket.read_buf(&mut text).await, Ok(1..)) {
            return None;
        }
    }
}

pub(crate) fn endpoint(url: &str, limits: Limits) -> Endpoint {
    endpoint_of(EndpointOptions {
        url: url.to_owned(),
        headers: HeaderMap::new(),
        limits,
        connect_timeout: Duration::from_secs(20),
        proxy: None,
    })
}

fn endpoint_of(options: EndpointOptions) -> Endpoint {
    // Fails where another test of the same process was first, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Endpoint::new(options).expect("usable options")
}

pub(crate) fn reply(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    let headers: String = headers.lines().map(|line| format!("{line}\r\n")).collect();
    format!("HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\n\r\n{body}")
}

pub(crate) fn json(body: &str) -> (String, Then) {
    (reply("200 OK", "content-type: application/json", body), Then::Keep)
}

/// The head of a reply that goes on until its connection closes.
pub(crate) fn events(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\nconnection: close\r\n\r\n{body}")
}

pub(crate) async fn in_time<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("it should not take this long")
}

const CALL: Bytes = Bytes::from_static(b"{\"call\":1}");

async fn post(endpoint: &Endpoint) -> Result<PostedBody, HttpFailure> {
    in_time(endpoint.post(CALL, &HopHeaders::default())).await.map(|posted| posted.body)
}

async fn failure_of(reply: String, then: Then, limits: Limits) -> HttpFailure {
    let server = Server::new(vec![(reply, then)]).await;
    post(&endpoint(&server.origin, limits)).await.expect_err("a failure")
}

async fn stream_of(reply: String, then: Then, limits: Limits) -> (EventStream, Server) {
    let server = Server::new(vec![(reply, then)]).await;
    match post(&endpoint(&server.origin, limits)).await {
        Ok(PostedBody::Events(stream)) => (stream, server),
        other => panic!("a stream, not {other:?}"),
    }
}

async fn next_data(stream: &mut EventStream) -> Option<Result<Bytes, FailureKind>> {
    in_time(stream.next()).await.map(|event| event.map(|event| event.data).map_err(|failure| failure.kind))
}

#[tokio::test]
async fn messages_go_over_one_connection() {
    let server = Server::new(vec![json("{\"a\":1}"), json("{\"a\":2}"), json("{\"a\":3}")]).await;
    let endpoint = server.endpoint();
    for n in 1..=3 {
        match post(&endpoint).await {
            Ok(PostedBody::Json(body)) => assert_eq!(body, format!("{{\"a\":{n}}}")),
            other => panic!("json, not {other:?}"),
        }
    }
    assert_eq!(server.connections(), 1);
    assert!(server.requests().iter().all(|request| request.ends_with("\r\n\r\n{\"call\":1}")));
}

#[tokio::test]
async fn every_header_goes_out_once() {
    let server = Server::new(vec![json("{}"), json("{}")]).await;
    let header = HeaderValue::from_static;
    let mut configured = HeaderMap::new();
    for (name, value) in
        [("authorization", "configured"), ("x-key", "k"), ("mcp-session-id", "forged"), ("accept", "x")]
    {
        configured.insert(name, header(value));
    }
    let endpoint = endpoint_of(EndpointOptions {
        url: format!("{}/mcp?x=1#part", server.origin),
        headers: configured,
        limits: Limits::default(),
        connect_timeout: PATIENCE,
        proxy: None,
    });
    let hop = HopHeaders {
        revision: Some(Revision::MODERN),
        session: Some(header("s1")),
        method: Some(header("tools/call")),
        name: Some(header("t")),
        params: vec![(HeaderName::from_static("mcp-param-region"), header("eu"))],
        authorization: Some(header("Bearer b")),
    };
    in_time(endpoint.post(CALL, &hop)).await.expect("an answer");
    let request = &server.requests()[0];
    let (line, rest) = request.split_once("\r\n").expect("a request line");
    assert_eq!(line, "POST /mcp?x=1 HTTP/1.1");
    let head = rest.split_once("\r\n\r\n").expect("a head").0;
    let mut lines: Vec<_> = head.lines().filter(|line| !line.starts_with("host: ")).collect();
    lines.sort_unstable();
    let want = [
        "accept: application/json, text/event-stream",
        "authorization: Bearer b",
        "content-length: 10",
        "content-type: application/json",
        "mcp-method: tools/call",
        "mcp-name: t",
        "mcp-param-region: eu",
        "mcp-protocol-version: 2026-07-28",
        "mcp-session-id: s1",
        "x-key: k",
    ];
    assert_eq!(lines, want);

    in_time(endpoint.post(CALL, &HopHeaders::default())).await.expect("an answer");
    assert!(server.requests()[1].contains("authorization: configured\r\n"));
    assert!(!server.requests()[1].contains("mcp-session-id"));
}

#[tokio::test]
async fn the_session_is_reported() {
    let text = reply("200 OK", "content-type: application/json\nmcp-session-id: s-1", "{}");
    let server = Server::new(vec![(text, Then::Keep)]).await;
    let posted = in_time(server.endpoint().post(CALL, &HopHeaders::default())).await.expect("an answer");
    assert_eq!(posted.session.expect("a session"), "s-1");
}

#[tokio::test]
async fn an_answer_without_content_was_accepted() {
    let replies = [
        reply("202 Accepted", "", ""),
        reply("202 Accepted", "content-type: text/plain", "Accepted"),
        "HTTP/1.1 204 No Content\r\n\r\n".to_owned(),
        reply("200 OK", "", ""),
        reply("200 OK", "content-type: application/json", ""),
    ];
    let server = Server::new(replies.map(|reply| (reply, Then::Keep)).into()).await;
    let endpoint = server.endpoint();
    for _ in 0..5 {
        assert!(matches!(post(&endpoint).await, Ok(PostedBody::Accepted)));
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn events_arrive_as_they_are_sent() {
    let text = events(": hi\n\nid: 7\nretry: 20\ndata: {\"n\":1}\n\ndata: {\"n\":2}\n\ndata: cut off");
    let (mut stream, _server) = stream_of(text, Then::Close, Limits::default()).await;
    assert_eq!(next_data(&mut stream).await, Some(Ok(Bytes::from_static(b"{\"n\":1}"))));
    assert_eq!(next_data(&mut stream).await, Some(Ok(Bytes::from_static(b"{\"n\":2}"))));
    assert_eq!(next_data(&mut stream).await, None);
    assert_eq!(next_data(&mut stream).await, None);
    assert_eq!((stream.last_event_id(), stream.retry()), (Some("7"), Some(Duration::from_millis(20))));
}

#[tokio::test]
async fn an_event_that_is_too_long_fails_alone() {
    let text = events(&format!("data: {}\n\ndata: next\n\n", "x".repeat(5000)));
    let limits = Limits { event_bytes: 1000, ..Limits::default() };
    let (mut stream, _server) = stream_of(text, Then::Close, limits).await;
    assert!(matches!(next_data(&mut stream).await, Some(Err(FailureKind::EventTooLong(long))) if long.bytes == 5000));
    assert_eq!(next_data(&mut stream).await, Some(Ok(Bytes::from_static(b"next"))));
}

#[tokio::test]
async fn a_reset_in_a_stream_is_reported_once() {
    let text = reply("200 OK", "content-type: text/event-stream", &format!("data: 1\n\n{}", " ".repeat(50)));
    let (mut stream, _server) = stream_of(text[..text.len() - 10].to_owned(), Then::Close, Limits::default()).await;
    assert_eq!(next_data(&mut stream).await, Some(Ok(Bytes::from_static(b"1"))));
    assert!(matches!(next_data(&mut stream).await, Some(Err(FailureKind::Broken(_)))));
    assert_eq!(next_data(&mut stream).await, None);
}

#[tokio::test]
async fn a_reset_in_a_body_may_have_been_delivered() {
    let text = reply("200 OK", "content-type: application/json", "{\"much\":\"more to come\"}");
    for then in [Then::Reset, Then::Close] {
        let failure = failure_of(text[..text.len() - 5].to_owned(), then, Limits::default()).await;
        assert!(matches!(failure.kind, FailureKind::Broken(_)), "{failure:?}");
        assert!(failure.delivered);
    }
}

#[tokio::test]
async fn no_answer_at_all_may_have_been_delivered() {
    for (text, then) in [("", Then::Close), ("", Then::Reset), ("SSH-2.0-OpenSSH\r\n", Then::Close)] {
        let failure = failure_of(text.to_owned(), then, Limits::default()).await;
        assert!(matches!(failure.kind, FailureKind::Broken(_)), "{failure:?}");
        assert!(failure.delivered && failure.status.is_none());
    }
}

#[tokio::test]
async fn a_refused_connection_was_not_delivered() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    drop(listener);
    let failure = post(&endpoint(&url, Limits::default())).await.expect_err("nobody listens");
    assert!(matches!(&failure.kind, FailureKind::Connect(why) if why.contains("refused")), "{failure:?}");
    assert!(!failure.delivered);
}

#[tokio::test]
async fn an_unknown_name_was_not_delivered() {
    let failure = post(&endpoint("http://no-such-host.invalid/", Limits::default())).await.expect_err("no such host");
    assert!(matches!(failure.kind, FailureKind::Connect(_) | FailureKind::ConnectTimeout), "{failure:?}");
    assert!(!failure.delivered);
}

#[tokio::test]
async fn a_server_without_tls_was_not_delivered_to() {
    // It answers any bytes with something that is no TLS.
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("https://{}", listener.local_addr().expect("bound"));
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let (mut socket, _) = listener.accept().await.expect("a connection");
        let _ = socket.read(&mut [0; 1000]).await;
        let _ = socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    });
    let failure = post(&endpoint(&url, Limits::default())).await.expect_err("no tls");
    assert!(matches!(failure.kind, FailureKind::Tls(_)), "{failure:?}");
    assert!(!failure.delivered);
}

#[tokio::test]
async fn connecting_has_a_deadline() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let endpoint = endpoint_of(EndpointOptions {
        // The handshake is never answered.
        url: format!("https://{}", listener.local_addr().expect("bound")),
        headers: HeaderMap::new(),
        limits: Limits::default(),
        connect_timeout: Duration::from_millis(50),
        proxy: None,
    });
    let failure = post(&endpoint).await.expect_err("no handshake");
    assert_eq!(failure.kind, FailureKind::ConnectTimeout);
    assert!(!failure.delivered);
}

#[tokio::test]
async fn a_dropped_request_is_closed() {
    let server = Server::new(vec![]).await;
    let endpoint = server.endpoint();
    let hop = HopHeaders::default();
    let mut waiting = Box::pin(endpoint.post(CALL, &hop));
    in_time(async {
        tokio::select! {
            _ = &mut waiting => panic!("nobody answers"),
            () = server.seen.asked.notified() => {}
        }
    })
    .await;
    drop(waiting);
    in_time(server.seen.hung_up.notified()).await;
}

#[tokio::test]
async fn a_dropped_stream_is_closed() {
    let (mut stream, server) = stream_of(events("data: 1\n\n"), Then::Keep, Limits::default()).await;
    assert!(next_data(&mut stream).await.is_some());
    drop(stream);
    in_time(server.seen.hung_up.notified()).await;
}

#[tokio::test]
async fn a_body_without_end_is_cut_off() {
    let text = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n".to_owned();
    let limits = Limits { frame_bytes: 1 << 20, ..Limits::default() };
    let server = Server::new(vec![(text, Then::Flood)]).await;
    let failure = post(&endpoint(&server.origin, limits)).await.expect_err("too long");
    assert_eq!(failure.kind, FailureKind::TooLong(1 << 20));
    in_time(server.seen.hung_up.notified()).await;
    // What was not read lies in the system's buffers, a few MiB at most.
    assert!(server.seen.flooded.load(Ordering::Relaxed) < 32 << 20);
}

#[tokio::test]
async fn an_announced_length_is_held_to_the_bound() {
    for (length, fits) in [(100, true), (101, false)] {
        let text = reply("200 OK", "content-type: application/json", &"1".repeat(length));
        let limits = Limits { frame_bytes: 100, ..Limits::default() };
        let server = Server::new(vec![(text, Then::Keep)]).await;
        match post(&endpoint(&server.origin, limits)).await {
            Ok(PostedBody::Json(body)) => assert!(fits && body.len() == length),
            Err(failure) => assert!(!fits && failure.kind == FailureKind::TooLong(100), "{failure:?}"),
            other => panic!("unexpected {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_large_body_arrives_whole() {
    let body = format!("\"{}\"", "abcdefgh".repeat(1 << 18));
    let server = Server::new(vec![json(&body)]).await;
    assert!(matches!(post(&server.endpoint()).await, Ok(PostedBody::Json(got)) if got == body));
}

#[tokio::test]
async fn a_wrong_content_type_is_named() {
    let failure =
        failure_of(reply("200 OK", "content-type: text/html; x=y", "<p>"), Then::Keep, Limits::default()).await;
    assert_eq!(failure.kind, FailureKind::ContentType("text/html; x=y".to_owned()));
    assert_eq!((failure.status, &failure.body[..]), (Some(200), &b"<p>"[..]));
    let failure = failure_of(reply("200 OK", "", "{}"), Then::Keep, Limits::default()).await;
    assert_eq!(failure.kind, FailureKind::ContentType("none".to_owned()));
}

#[tokio::test]
async fn a_compressed_answer_is_refused() {
    let headers = "content-type: application/json\ncontent-encoding: gzip";
    let failure = failure_of(reply("200 OK", headers, "\u{1f}"), Then::Keep, Limits::default()).await;
    assert_eq!(failure.kind, FailureKind::ContentEncoding("gzip".to_owned()));
}

#[tokio::test]
async fn a_challenge_is_handed_on() {
    let headers = "www-authenticate: Bearer realm=\"x\"\nwww-authenticate: Basic\nretry-after: 7";
    let failure = failure_of(reply("401 Unauthorized", headers, "{\"error\":1}"), Then::Keep, Limits::default()).await;
    assert_eq!(failure.kind, FailureKind::Status(401));
    assert_eq!(failure.www_authenticate.expect("a challenge"), "Bearer realm=\"x\", Basic");
    assert_eq!(failure.retry_after, Some(Duration::from_secs(7)));
    assert_eq!(failure.body, "{\"error\":1}");
    assert!(failure.delivered);
}

#[tokio::test]
async fn what_a_challenge_points_to_is_not_fetched() {
    let other = Server::new(vec![]).await;
    let challenge = format!(
        "www-authenticate: Bearer resource_metadata=\"{0}/.well-known/oauth-protected-resource\", authorization_uri=\"{0}/x?$(touch y)\"\nlink: <{0}/z>; rel=\"preconnect\"",
        other.origin
    );
    let failure = failure_of(reply("401 Unauthorized", &challenge, ""), Then::Keep, Limits::default()).await;
    assert_eq!(failure.kind, FailureKind::Status(401));
    let told = failure.www_authenticate.expect("a challenge");
    assert!(told.to_str().is_ok_and(|told| told.contains(&other.origin)), "it is for people to judge");
    assert_eq!(other.connections(), 0);
}

#[tokio::test]
async fn the_body_of_a_failure_is_bounded() {
    let text = reply("500 Oops", "content-type: text/html", &"x".repeat(1 << 20));
    let failure = failure_of(text, Then::Keep, Limits::default()).await;
    assert_eq!(failure.body.len(), 64 << 10);
    let endless = "HTTP/1.1 500 Oops\r\ntransfer-encoding: chunked\r\n\r\n".to_owned();
    let failure = failure_of(endless, Then::Flood, Limits::default()).await;
    assert_eq!((failure.status, failure.body.len()), (Some(500), 64 << 10));
}

#[tokio::test]
async fn a_failure_whose_body_stalls_is_reported() {
    let text = "HTTP/1.1 404 Not Found\r\ncontent-length: 100\r\n\r\nhalf".to_owned();
    let failure = failure_of(text, Then::Keep, Limits::default()).await;
    assert_eq!((failure.status, &failure.body[..]), (Some(404), &b"half"[..]));
}

#[tokio::test]
async fn a_redirect_is_named_and_not_followed() {
    let other = Server::new(vec![]).await;
    for status in ["301 Moved", "302 Found", "307 Temporary", "308 Permanent"] {
        let text = reply(status, &format!("location: {}/elsewhere?key=1", other.origin), "");
        let failure = failure_of(text, Then::Keep, Limits::default()).await;
        assert_eq!(failure.kind, FailureKind::Redirect(other.origin.clone()));
    }
    let failure = failure_of(reply("302 Found", "", ""), Then::Keep, Limits::default()).await;
    assert_eq!(failure.kind, FailureKind::Redirect("nowhere".to_owned()));
    assert_eq!(other.connections(), 0);
}

#[tokio::test]
async fn a_stream_is_opened_and_resumed() {
    let replies = vec![
        (events("data: 1\n\n"), Then::Close),
        (events("data: 2\n\n"), Then::Close),
        (reply("405 Method Not Allowed", "", ""), Then::Keep),
    ];
    let server = Server::new(replies).await;
    let (endpoint, hop) = (server.endpoint(), HopHeaders::default());
    for id in [None, Some("e-1")] {
        let mut stream = in_time(endpoint.open_stream(&hop, id)).await.expect("a stream");
        assert!(matches!(next_data(&mut stream).await, Some(Ok(_))));
    }
    let failure = in_time(endpoint.open_stream(&hop, Some("bad\nid"))).await.expect_err("405");
    assert_eq!(failure.status, Some(405));
    let requests = server.requests();
    assert!(requests.iter().all(|request| request.starts_with("GET /mcp HTTP/1.1\r\n")));
    assert!(requests.iter().all(|request| request.contains("accept: text/event-stream\r\n")));
    let resumed: Vec<_> = requests.iter().map(|request| request.contains("last-event-id: e-1\r\n")).collect();
    assert_eq!(resumed, [false, true, false]);
}

#[tokio::test]
async fn a_session_is_deleted_where_there_is_one() {
    let replies = ["200 OK", "204 No Content", "404 Not Found", "405 Nope", "500 Oops"];
    let server = Server::new(replies.map(|status| (reply(status, "", ""), Then::Close)).into()).await;
    let endpoint = server.endpoint();
    let hop = HopHeaders { session: Some(HeaderValue::from_static("s")), ..HopHeaders::default() };
    for _ in 0..4 {
        in_time(endpoint.delete_session(&hop)).await.expect("no failure");
    }
    assert_eq!(in_time(endpoint.delete_session(&hop)).await.expect_err("500").status, Some(500));
    assert!(server.requests()[0].starts_with("DELETE /mcp HTTP/1.1\r\n"));
}

#[tokio::test]
async fn a_proxy_is_used_where_one_is_given() {
    let proxy = Server::new(vec![json("{}")]).await;
    let endpoint = endpoint_of(EndpointOptions {
        url: "http://upstream.invalid/mcp".to_owned(),
        headers: HeaderMap::new(),
        limits: Limits::default(),
        connect_timeout: PATIENCE,
        proxy: Some(proxy.origin.clone()),
    });
    assert!(matches!(post(&endpoint).await, Ok(PostedBody::Json(_))));
    assert!(proxy.requests()[0].starts_with("POST http://upstream.invalid/mcp HTTP/1.1\r\n"));
}

#[test]
fn unusable_urls_are_refused() {
    let check = |url: &str, want: &str| match usable(url) {
        Ok(_) => panic!("{url} should be refused"),
        Err(error) => assert!(error.to_string().contains(want), "{error}"),
    };
    check("/mcp", "no absolute url");
    check("http://", "no absolute url");
    check("ftp://a/", "neither http nor https");
    check("http://user@a/", "credentials");
    check("http://:secret@a/", "credentials");
}

#[test]
fn nothing_secret_is_shown() {
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, HeaderValue::from_static("hunter2"));
    let endpoint = endpoint_of(EndpointOptions {
        url: "http://a.example/mcp?key=hunter2".to_owned(),
        headers,
        limits: Limits::default(),
        connect_timeout: PATIENCE,
        proxy: None,
    });
    assert!(!format!("{endpoint:?} {:?}", endpoint.headers).contains("hunter2"));
}
