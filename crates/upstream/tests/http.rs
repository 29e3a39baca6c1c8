//! Links over Streamable HTTP and HTTP+SSE: eras, sessions, streams and the faults of HTTP servers.

mod common;

use common::{Caller, Ear, House, http, until};
use gate::{Dialogue, ItemKind, Notice, Secret, State, Target};
use std::process::Command;
use std::time::Duration;
use tempfile::{TempDir, tempdir};
use testkit::Server;
use upstream::{LinkState, Options, Protocol, Transport};

const BOTH: [Protocol; 2] = [Protocol::Legacy, Protocol::Modern];

fn serve(flags: &[&str]) -> Server {
    // Set once per process; the other tests of this process have the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut command = Command::new(testkit::bin("fixture-http"));
    command.args(flags);
    Server::spawn(command)
}

/// The server of the official SDK.
fn reference(flags: &[&str]) -> Server {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut command = Command::new(testkit::bin("fixture-server"));
    command.args(["--http", "127.0.0.1:0"]).args(flags);
    Server::spawn(command)
}

async fn house(options: Options) -> (House, TempDir) {
    let dir = tempdir().expect("a directory");
    let house = House::new(options, dir.path().to_owned());
    house.ready().await.expect("the fixture answers");
    (house, dir)
}

async fn refused(options: Options) -> String {
    let dir = tempdir().expect("a directory");
    let house = House::new(options, dir.path().to_owned());
    house.ready().await.expect_err("the fixture refuses")
}

#[tokio::test]
async fn an_answer_comes_back_byte_for_byte_as_json_and_as_events() {
    for reply in ["json", "sse"] {
        let server = serve(&["--reply", reply, "--sessions"]);
        for protocol in BOTH {
            let (house, _dir) = house(Options { protocol, ..http(&server.url) }).await;
            let arguments = r#"{"z":1.10,"a":[ 1e2 ],"s":"\u00e9","big":123456789012345678901234567890}"#;
            let answer = house.call("echo_raw", arguments).await.unwrap();
            assert!(answer.contains(&format!(r#""structuredContent":{arguments}"#)), "{reply} {protocol:?}: {answer}");
            let refused = house.call("rpc_error", r#"{"code":-32001,"message":"m"}"#).await.unwrap();
            assert!(refused.contains(r#""code":-32001"#), "{refused}");
            house.stop().await;
        }
    }
}

#[tokio::test]
async fn the_era_is_found_out() {
    for era in ["legacy", "modern", "dual", "silent-on-discover"] {
        let server = serve(&["--era", era, "--sessions"]);
        let (house, _dir) = house(http(&server.url)).await;
        house.call("echo", r#"{"text":"x"}"#).await.unwrap();
        house.stop().await;
    }
}

#[tokio::test]
async fn the_first_generation_of_http_is_spoken_too() {
    let server = serve(&["--http-sse"]);
    let told =
        Transport::Http(upstream::HttpOptions { url: server.url.clone(), headers: Vec::new(), sse: true, oauth: None });
    for options in [common::options(told), http(&server.url)] {
        let (house, _dir) = house(options).await;
        let answer = house.call("echo", r#"{"text":"old"}"#).await.unwrap();
        assert!(answer.contains("old"));
        house.stop().await;
    }
}

#[tokio::test]
async fn progress_and_log_lines_arrive_on_the_calls_own_stream() {
    let server = serve(&["--reply", "sse", "--sessions"]);
    for protocol in BOTH {
        let (house, _dir) = house(Options { protocol, ..http(&server.url) }).await;
        let ears: Vec<_> = (0..3).map(|_| Ear::answering(None)).collect();
        let calls = ears.iter().map(|ear| {
            let caller = Caller { listener: Some(ear.clone()), ..Caller::default() };
            let house = &house;
            async move { house.call_as(&caller, "slow", r#"{"ms":30,"steps":3}"#).await.unwrap() }
        });
        futures_util::future::join_all(calls).await;
        for ear in ears {
            assert_eq!(ear.heard().len(), 3, "{protocol:?}: {:?}", ear.heard());
        }
        house.stop().await;
    }
}

#[tokio::test]
async fn a_lost_session_is_opened_anew_and_the_call_repeated_once() {
    let dir = tempdir().unwrap();
    let log = dir.path().join("log");
    let server = serve(&["--sessions", "--lose-session-after", "6", "--log", log.to_str().unwrap()]);
    let (house, _dir) = house(Options { protocol: Protocol::Legacy, ..http(&server.url) }).await;
    for n in 0..12 {
        let answer = house.call("echo", &format!(r#"{{"text":"<{n}>"}}"#)).await.unwrap();
        assert!(answer.contains(&format!("<{n}>")), "{answer}");
    }
    let handshakes = std::fs::read_to_string(&log).unwrap().matches(r#""method":"initialize""#).count();
    assert!(handshakes > 1, "{handshakes} handshakes");
    house.stop().await;
}

#[tokio::test]
async fn credentials_are_sent_and_their_lack_is_said() {
    let server = serve(&["--require-header", "Authorization=Bearer abc"]);
    let why = refused(http(&server.url)).await;
    assert!(why.contains("wants a login: it answered HTTP 401"), "{why}");
    let headers = vec![("Authorization".to_owned(), Secret::new("Bearer abc"))];
    let with = Transport::Http(upstream::HttpOptions { url: server.url.clone(), headers, sse: false, oauth: None });
    let (house, _dir) = house(common::options(with)).await;
    house.call("echo", r#"{"text":"x"}"#).await.unwrap();
    house.stop().await;
}

#[tokio::test]
async fn what_is_no_mcp_server_is_said_in_our_words() {
    let dead = "http://127.0.0.1:9/mcp";
    let _server = serve(&[]);
    assert!(refused(http(dead)).await.contains("cannot be reached"));
    for (flags, want) in [
        (&["--status", "500", "--fail-body", "SECRET"][..], "answered HTTP 500"),
        (&["--status", "404"], "answered HTTP 404"),
        (&["--redirect", "http://127.0.0.1:9/else"], "redirect"),
    ] {
        let why = refused(http(&serve(flags).url)).await;
        assert!(why.contains(want) && !why.contains("SECRET"), "{flags:?}: {why}");
    }
}

#[tokio::test]
async fn an_answer_of_another_type_is_a_fault() {
    let server = serve(&["--content-type", "text/html"]);
    let (house, _dir) = house(http(&server.url)).await;
    let failed = house.call("echo", r#"{"text":"x"}"#).await.unwrap_err();
    assert!(failed.contains("neither JSON nor events"), "{failed}");
    house.stop().await;
}

#[tokio::test]
async fn a_torn_answer_is_a_fault_and_the_link_stays() {
    let server = serve(&["--reset-mid-body"]);
    let (house, _dir) = house(http(&server.url)).await;
    let failed = house.call("big", r#"{"bytes":100000}"#).await.unwrap_err();
    assert!(failed.starts_with("upstream."), "{failed}");
    assert!(house.upstream.state().borrow().is_up());
    house.stop().await;
}

#[tokio::test]
async fn a_call_over_http_ends_in_time() {
    let server = serve(&["--sse-stall"]);
    for protocol in BOTH {
        let limit = Duration::from_millis(500);
        let (house, _dir) = house(Options { protocol, call_timeout: limit, ..http(&server.url) }).await;
        let failed = house.call("echo", r#"{"text":"x"}"#).await.unwrap_err();
        assert!(failed.starts_with("upstream.timeout"), "{failed}");
        house.stop().await;
    }
}

#[tokio::test]
async fn a_question_on_a_calls_stream_goes_to_that_call() {
    let server = serve(&["--reply", "sse", "--sessions"]);
    let (house, _dir) = house(Options { protocol: Protocol::Legacy, ..http(&server.url) }).await;
    let ears: Vec<_> = (0..3)
        .map(|n| Ear::answering(Some(&format!(r#"{{"action":"accept","content":{{"name":"n{n}"}}}}"#))))
        .collect();
    let calls = ears.iter().map(|ear| {
        let capabilities = Some(r#"{"elicitation":{}}"#);
        let caller = Caller { listener: Some(ear.clone()), dialogue: Dialogue::Live, capabilities };
        let house = &house;
        async move { house.call_as(&caller, "elicit", "{}").await.unwrap() }
    });
    for (n, answer) in futures_util::future::join_all(calls).await.into_iter().enumerate() {
        assert!(answer.contains(&format!("n{n}")), "{n}: {answer}");
    }
    house.stop().await;
}

#[tokio::test]
async fn changes_are_heard_over_http() {
    for protocol in BOTH {
        let server = serve(&["--reply", "sse", "--sessions", "--resources"]);
        let (house, _dir) = house(Options { protocol, ..http(&server.url) }).await;
        let before = house.listed(ItemKind::Tool).len();
        let mut notices = house.hub.listen();
        let uri = house.listed(ItemKind::Resource)[0].clone();
        let json = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"resources/subscribe","params":{{"uri":"{uri}"}}}}"#);
        house.send(&Caller::default(), Target::Subscribe((&*uri).into()), &json, "uri").await.unwrap();
        let heard = async {
            let (mut grown, mut updated) = (false, false);
            while !(grown && updated) {
                match notices.recv().await.unwrap() {
                    Notice::ListChanged(ItemKind::Tool, _) => grown = true,
                    Notice::ResourceUpdated { .. } => updated = true,
                    _ => {}
                }
            }
        };
        let changing = async {
            loop {
                // The streams open behind the scenes: once may be too early.
                house.call("grow", "{}").await.unwrap();
                house.call("touch", &format!(r#"{{"uri":"{uri}"}}"#)).await.unwrap();
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::select! {
            () = heard => {}
            () = changing => {}
            () = tokio::time::sleep(Duration::from_secs(60)) => panic!("{protocol:?}: nothing was heard"),
        }
        until("the new tools", || house.listed(ItemKind::Tool).len() > before).await;
        house.stop().await;
    }
}

#[tokio::test]
async fn the_reference_server_is_understood_in_either_era() {
    let server = reference(&[]);
    for protocol in [Protocol::Auto, Protocol::Legacy, Protocol::Modern] {
        let (house, _dir) = house(Options { protocol, ..http(&server.url) }).await;
        let LinkState::Ready(toolset) = house.upstream.state().borrow().clone() else { panic!("not ready") };
        assert!(toolset.trouble.is_none(), "{:?}", toolset.trouble);
        let answer = house.call("test_simple_text", "{}").await.unwrap();
        assert!(answer.contains("This is a simple text response for testing."), "{answer}");
        let ear = Ear::answering(None);
        let caller = Caller { listener: Some(ear.clone()), ..Caller::default() };
        house.call_as(&caller, "test_tool_with_progress", "{}").await.unwrap();
        assert_eq!(ear.heard().len(), 3, "{protocol:?}: {:?}", ear.heard());
        house.stop().await;
    }
}

#[tokio::test]
async fn a_stream_that_breaks_is_resumed() {
    let server = reference(&["--era", "legacy"]);
    let (house, _dir) = house(Options { protocol: Protocol::Legacy, ..http(&server.url) }).await;
    let answer = house.call("test_reconnection", "{}").await.unwrap();
    assert!(answer.contains("content"), "{answer}");
    house.stop().await;
}

#[tokio::test]
async fn arguments_are_mirrored_in_the_headers_a_schema_asks_for() {
    let server = reference(&["--era", "modern"]);
    let (house, _dir) = house(Options { protocol: Protocol::Modern, ..http(&server.url) }).await;
    let tools = house.listed(ItemKind::Tool);
    assert!(tools.iter().any(|tool| tool == "test_custom_header"), "{tools:?}");
    let items = house.catalog.items(&gate::Face::All, ItemKind::Tool).1;
    let item = items.iter().find(|item| &*item.raw == "test_custom_header").unwrap();
    let schema = String::from_utf8_lossy(&item.definition).into_owned();
    let key = mcp::view::path(&schema, &["inputSchema", "properties"])
        .and_then(|raw| mcp::view::members(raw).ok().map(|members| members[0].key.of(raw).to_owned()))
        .unwrap();
    let answer = house.call("test_custom_header", &format!(r#"{{{key}:"wört"}}"#)).await.unwrap();
    assert!(!answer.contains("-32020") && !answer.contains(r#""isError":true"#), "{answer}");
    house.stop().await;
}

#[tokio::test]
async fn a_stale_definition_is_fetched_anew_when_headers_turn_out_wrong() {
    let server = reference(&["--era", "modern"]);
    let (house, _dir) = house(Options { protocol: Protocol::Modern, ..http(&server.url) }).await;
    let fresh = house.catalog.offer(&common::NAME.into()).unwrap();
    let mut stale = (*fresh).clone();
    let item = stale.listed.iter_mut().find(|item| &*item.raw == "test_custom_header").unwrap();
    let definition = String::from_utf8_lossy(&item.definition).replace("x-mcp-header", "x-was-header");
    assert_ne!(definition.as_bytes(), &*item.definition);
    item.definition = definition.clone().into();
    house.catalog.publish(vec![(common::NAME.into(), stale.into())]);
    let properties = mcp::view::path(&definition, &["inputSchema", "properties"]).unwrap();
    let key = mcp::view::members(properties).unwrap()[0].key.of(properties);
    let answer = house.call("test_custom_header", &format!(r#"{{{key}:"x"}}"#)).await.unwrap();
    assert!(!answer.contains("-32020"), "{answer}");
    let now = house.catalog.offer(&common::NAME.into()).unwrap();
    assert_eq!(format!("{now:?}"), format!("{fresh:?}"));
    house.stop().await;
}

#[tokio::test]
async fn a_server_that_went_away_is_seen_when_it_is_called_and_so_is_its_return() {
    let server = serve(&[]);
    let (house, _dir) = house(http(&server.url)).await;
    let address = server.url.trim_start_matches("http://").split('/').next().expect("an address").to_owned();
    drop(server);
    // The first may find its connection broken, which says nothing of the next.
    for _ in 0..2 {
        house.call("echo", r#"{"text":"x"}"#).await.unwrap_err();
    }
    let status = house.upstream.status();
    assert_eq!((status.state, status.state.exit()), (State::Unreachable, 1));
    assert!(status.reason.is_some_and(|why| why.contains("cannot be reached")));
    let _back = serve(&["--http", &address]);
    house.call("echo", r#"{"text":"x"}"#).await.unwrap();
    assert_eq!(house.upstream.status().state, State::Connected);
    house.stop().await;
}
