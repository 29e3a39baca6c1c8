//! Calls through a link to a child process: what arrives, what comes back, and what happens in the middle.

mod common;

use common::{Caller, Ear, House, hostile, until};
use gate::{Dialogue, ItemKind, Notice, Reference, Target};
use std::time::Duration;
use tempfile::tempdir;
use upstream::{Options, Protocol, Root};

const BOTH: [Protocol; 2] = [Protocol::Legacy, Protocol::Modern];

async fn house(options: Options) -> (House, tempfile::TempDir) {
    let dir = tempdir().expect("a directory");
    let house = House::new(options, dir.path().to_owned());
    house.ready().await.expect("the fixture starts");
    (house, dir)
}

#[tokio::test]
async fn an_answer_comes_back_byte_for_byte_in_either_era() {
    for protocol in BOTH {
        let (house, _dir) = house(Options { protocol, ..hostile(&[]) }).await;
        let arguments = r#"{"z":1.10,"a":[ 1e2 ],"s":"\u00e9\ud800","big":123456789012345678901234567890}"#;
        let answer = house.call("echo_raw", arguments).await.unwrap();
        assert!(answer.contains(&format!(r#""structuredContent":{arguments}"#)), "{answer}");
        let failed = house.call("fail", r#"{"text":"no"}"#).await.unwrap();
        assert!(failed.contains(r#""isError":true"#), "{failed}");
        let refused = house.call("rpc_error", r#"{"code":-32001,"message":"m"}"#).await.unwrap();
        assert!(refused.contains(r#""code":-32001"#), "{refused}");
        house.stop().await;
    }
}

#[tokio::test]
async fn many_calls_at_once_each_get_their_own_answer() {
    let (house, _dir) = house(Options { max_concurrent_calls: 7, ..hostile(&[]) }).await;
    let calls = (0..100).map(|n| {
        let house = &house;
        async move { (n, house.call("echo", &format!(r#"{{"text":"<{n}>"}}"#)).await.unwrap()) }
    });
    for (n, answer) in futures_util::future::join_all(calls).await {
        assert!(answer.contains(&format!("<{n}>")), "{n}: {answer}");
    }
    house.stop().await;
}

#[tokio::test]
async fn a_link_that_retires_lets_its_calls_end_and_is_not_started_again() {
    let (house, _dir) = house(hostile(&[])).await;
    let pid = house.upstream.status().pid.expect("it runs");
    let call = house.call("slow", r#"{"ms":500,"steps":1}"#);
    let mut call = std::pin::pin!(call);
    // Long enough to be under way; the answer comes later.
    assert!(tokio::time::timeout(Duration::from_millis(100), &mut call).await.is_err());
    let (answer, ()) = tokio::join!(call, house.upstream.retire());
    assert!(answer.is_ok(), "{answer:?}");
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists(), "nothing of it is left");
    house.gate.start(&common::NAME.into()).expect("nobody forbids it");
    assert!(!house.upstream.is_running());
    let late = house.call("echo", r#"{"text":"x"}"#).await.expect_err("it is no more");
    assert!(late.contains("is not running"), "{late}");
    house.stop().await;
}

#[tokio::test]
async fn a_call_that_takes_longer_than_it_may_keeps_no_link_from_retiring() {
    let (house, _dir) = house(Options { call_timeout: Duration::from_millis(300), ..hostile(&[]) }).await;
    let call = house.call("hang", "{}");
    let mut call = std::pin::pin!(call);
    assert!(tokio::time::timeout(Duration::from_millis(100), &mut call).await.is_err());
    let (answer, ()) = tokio::join!(call, house.upstream.retire());
    assert!(answer.is_err(), "{answer:?}");
    house.stop().await;
}

#[tokio::test]
async fn progress_arrives_in_order_and_before_the_answer() {
    for protocol in BOTH {
        let (house, _dir) = house(Options { protocol, ..hostile(&[]) }).await;
        let ear = Ear::answering(None);
        let caller = Caller { listener: Some(ear.clone()), ..Caller::default() };
        let json = r#"{"jsonrpc":"2.0","id":"x","method":"tools/call","params":{"name":"slow","arguments":{"ms":30,"steps":3},"_meta":{"progressToken":"mine"}}}"#;
        house.send(&caller, Target::Tool("slow".into()), json, "name").await.unwrap();
        let steps: Vec<_> = ear.heard().iter().map(|heard| heard.contains(r#""progressToken":TOKEN,"#)).collect();
        assert_eq!(steps, [true; 3], "{:?}", ear.heard());
        assert!(ear.heard()[2].contains("step 3"));
        house.stop().await;
    }
}

#[tokio::test]
async fn a_dropped_call_is_cancelled_at_the_server_and_the_link_stays() {
    for protocol in BOTH {
        let dir = tempdir().unwrap();
        let log = dir.path().join("log");
        let (house, _dir) = house(Options { protocol, ..hostile(&["--log", log.to_str().unwrap()]) }).await;
        let seen = |what: &str| std::fs::read_to_string(&log).unwrap_or_default().contains(what);
        tokio::select! {
            answer = house.call("hang", "{}") => panic!("{answer:?}"),
            () = until("the call to arrive", || seen(r#""name":"hang""#)) => {}
        }
        until("the cancellation", || seen("notifications/cancelled")).await;
        house.call("echo", r#"{"text":"still"}"#).await.unwrap();
        house.stop().await;
    }
}

#[tokio::test]
async fn a_call_that_takes_too_long_says_which_key_to_raise() {
    let options = Options { call_timeout: Duration::from_secs(1), ..hostile(&["--answer-after-cancel"]) };
    let (house, _dir) = house(options).await;
    let failed = house.call("hang", "{}").await.unwrap_err();
    assert!(failed.starts_with("upstream.timeout: server `fix` did not answer the call within 1"), "{failed}");
    assert!(failed.contains("tool_timeout_sec"), "{failed}");
    house.call("echo", r#"{"text":"still"}"#).await.unwrap();
    house.stop().await;
}

#[tokio::test]
async fn progress_keeps_a_call_alive_only_where_an_idle_limit_is_set() {
    let call = r#"{"ms":2400,"steps":24}"#;
    let caller = Caller { listener: Some(Ear::answering(None)), ..Caller::default() };
    let limit = Duration::from_secs(1);
    let (strict, _dir) = house(Options { call_timeout: limit, ..hostile(&[]) }).await;
    assert!(strict.call_as(&caller, "slow", call).await.is_err());
    let idle = Some(Duration::from_secs(30));
    let (lenient, _dir) = house(Options { call_timeout: limit, idle_timeout: idle, ..hostile(&[]) }).await;
    lenient.call_as(&caller, "slow", call).await.unwrap();
    strict.stop().await;
    lenient.stop().await;
}

#[tokio::test]
async fn a_death_fails_its_calls_and_the_next_call_starts_it_again() {
    let (house, _dir) = house(hostile(&[])).await;
    let first = house.call("pid", "{}").await.unwrap();
    let (hung, crashed) = tokio::join!(house.call("hang", "{}"), house.call("crash", r#"{"code":7}"#));
    for failed in [hung, crashed] {
        let failed = failed.unwrap_err();
        let want = "upstream.unavailable: server `fix` ended with exit status 7 before it answered";
        assert!(failed.starts_with(want), "{failed}");
    }
    let second = house.call("pid", "{}").await.unwrap();
    assert_ne!(first, second);
    house.stop().await;
}

#[tokio::test]
async fn half_a_message_is_no_answer() {
    let (house, _dir) = house(hostile(&["--crash-mid-line"])).await;
    let failed = house.call("echo", r#"{"text":"x"}"#).await.unwrap_err();
    assert!(failed.starts_with("upstream."), "{failed}");
    house.stop().await;
}

#[tokio::test]
async fn a_line_that_is_too_long_fails_its_call_alone() {
    let limits = mcp::Limits { frame_bytes: 1 << 20, ..mcp::Limits::default() };
    let (house, _dir) = house(Options { limits, ..hostile(&["--line-bytes", "5000000"]) }).await;
    let failed = house.call("echo", r#"{"text":"x"}"#).await.unwrap_err();
    assert!(failed.starts_with("upstream.protocol: server `fix` sent an answer that cannot be read"), "{failed}");
    house.call("echo", r#"{"text":"x"}"#).await.unwrap();
    house.stop().await;
}

#[tokio::test]
async fn garbage_between_messages_is_skipped() {
    let (house, _dir) = house(hostile(&["--banner", "--garbage-every", "2", "--stderr-noise"])).await;
    for _ in 0..5 {
        house.call("echo", r#"{"text":"x"}"#).await.unwrap();
    }
    until("standard error", || !house.upstream.stderr_tail().is_empty()).await;
    house.stop().await;
}

#[tokio::test]
async fn too_much_garbage_ends_the_connection_and_the_next_call_starts_another() {
    let (house, _dir) = house(hostile(&[])).await;
    let first = house.call("pid", "{}").await.unwrap();
    let mut failed = None;
    for _ in 0..150 {
        if let Err(failure) = house.call("garbage", r#"{"text":"no message"}"#).await {
            failed = Some(failure);
            break;
        }
    }
    let failed = failed.expect("it is not tolerated for ever");
    assert!(failed.contains("keeps sending what is no message"), "{failed}");
    assert_ne!(house.call("pid", "{}").await.unwrap(), first);
    house.stop().await;
}

#[tokio::test]
async fn a_flood_does_not_keep_answers_back() {
    for flag in ["--flood", "--stderr-flood"] {
        let (house, _dir) = house(hostile(&[flag])).await;
        for _ in 0..20 {
            house.call("echo", r#"{"text":"x"}"#).await.unwrap();
        }
        house.stop().await;
    }
}

#[tokio::test]
async fn a_server_that_reads_no_more_fails_its_calls_in_time_and_can_be_stopped() {
    let options = Options { call_timeout: Duration::from_secs(1), ..hostile(&["--no-read"]) };
    let (house, _dir) = house(options).await;
    let large = format!(r#"{{"text":"{}"}}"#, "x".repeat(200_000));
    for failed in futures_util::future::join_all((0..20).map(|_| house.call("hang", &large))).await {
        assert!(failed.unwrap_err().starts_with("upstream.timeout"));
    }
    house.stop().await;
}

#[tokio::test]
async fn an_answer_under_a_foreign_id_is_nobodys() {
    let options = Options { call_timeout: Duration::from_millis(400), ..hostile(&["--wrong-id"]) };
    let (house, _dir) = house(options).await;
    let failed = house.call("echo", r#"{"text":"x"}"#).await.unwrap_err();
    assert!(failed.starts_with("upstream.timeout"), "{failed}");
    house.stop().await;
}

#[tokio::test]
async fn a_second_answer_is_dropped() {
    let (house, _dir) = house(hostile(&["--duplicate-answer"])).await;
    for n in 0..5 {
        let answer = house.call("echo", &format!(r#"{{"text":"<{n}>"}}"#)).await.unwrap();
        assert!(answer.contains(&format!("<{n}>")), "{answer}");
    }
    house.stop().await;
}

#[tokio::test]
async fn a_question_goes_to_the_only_caller_who_can_be_asked() {
    let (house, _dir) = house(Options { protocol: Protocol::Legacy, ..hostile(&[]) }).await;
    let ear = Ear::answering(Some(r#"{"action":"accept","content":{"name":"Ada"}}"#));
    let live = Caller {
        listener: Some(ear.clone()),
        dialogue: Dialogue::Live,
        capabilities: Some(r#"{"elicitation":{},"sampling":{}}"#),
    };
    let answer = house.call_as(&live, "elicit", "{}").await.unwrap();
    assert!(answer.contains("Ada"), "{answer}");
    assert_eq!(ear.asked.lock().unwrap().len(), 1);
    let url = house.call_as(&live, "elicit", r#"{"url":"https://x.example/"}"#).await.unwrap();
    assert!(url.contains("cancel"), "it cannot open URLs: {url}");
    let unable = Caller { capabilities: Some("{}"), ..live.clone() };
    assert!(house.call_as(&unable, "elicit", "{}").await.unwrap().contains("cancel"));
    assert!(house.call_as(&unable, "sample", "{}").await.unwrap().contains("error"));
    assert!(house.call_as(&unable, "roots", "{}").await.unwrap().contains(r#"\"roots\":[]"#));
    assert_eq!(ear.asked.lock().unwrap().len(), 1);
    house.stop().await;
}

#[tokio::test]
async fn a_question_between_two_calls_goes_to_neither() {
    let (house, _dir) = house(Options { protocol: Protocol::Legacy, ..hostile(&[]) }).await;
    let ear = Ear::answering(Some(r#"{"action":"accept"}"#));
    let live =
        Caller { listener: Some(ear.clone()), dialogue: Dialogue::Live, capabilities: Some(r#"{"elicitation":{}}"#) };
    let (asked, _) = tokio::join!(house.call_as(&live, "elicit", "{}"), house.call_as(&live, "slow", r#"{"ms":1500}"#));
    assert!(asked.unwrap().contains("cancel"));
    assert_eq!(ear.asked.lock().unwrap().len(), 0);
    house.stop().await;
}

#[tokio::test]
async fn configured_roots_are_told() {
    let roots = vec![Root { uri: "file:///work".into(), name: Some("work".into()) }];
    let (house, _dir) = house(Options { roots, protocol: Protocol::Legacy, ..hostile(&[]) }).await;
    let answer = house.call("roots", "{}").await.unwrap();
    assert!(answer.contains("file:///work"), "{answer}");
    house.stop().await;
}

#[tokio::test]
async fn a_server_that_asks_for_its_roots_at_the_start_knows_them_by_the_first_call() {
    let roots = vec![Root { uri: "file:///work".into(), name: None }];
    let options = Options { roots, protocol: Protocol::Legacy, ..hostile(&["--roots-at-start", "20"]) };
    let (house, _dir) = house(options).await;
    let answer = house.call("echo", r#"{"text":"ready"}"#).await.unwrap();
    assert!(answer.contains("ready"), "{answer}");
    house.stop().await;
}

#[tokio::test]
async fn a_modern_server_asks_by_its_answer() {
    let (house, _dir) = house(Options { protocol: Protocol::Modern, ..hostile(&[]) }).await;
    let caller = Caller { listener: None, dialogue: Dialogue::Rounds, capabilities: Some(r#"{"elicitation":{}}"#) };
    let answer = house.call_as(&caller, "elicit", "{}").await.unwrap();
    assert!(answer.contains("input_required"), "{answer}");
    let unable = house.call("elicit", "{}").await.unwrap();
    assert!(unable.contains("-32021"), "{unable}");
    house.stop().await;
}

#[tokio::test]
async fn log_lines_reach_the_call_they_can_be_told_to_belong_to() {
    let (house, _dir) = house(Options { protocol: Protocol::Legacy, ..hostile(&[]) }).await;
    let ear = Ear::answering(None);
    let caller = Caller { listener: Some(ear.clone()), ..Caller::default() };
    house.call_as(&caller, "log", r#"{"text":"hello"}"#).await.unwrap();
    assert!(ear.heard().iter().any(|heard| heard.contains("hello")), "{:?}", ear.heard());
    house.stop().await;
}

#[tokio::test]
async fn resources_are_read_completed_and_watched_in_either_era() {
    for protocol in BOTH {
        let (house, _dir) = house(Options { protocol, ..hostile(&["--resources", "--prompts"]) }).await;
        let uris = house.listed(ItemKind::Resource);
        let uri = uris.first().expect("the fixture has resources").clone();
        let caller = Caller::default();
        let request =
            |method: &str| format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{"uri":"{uri}"}}}}"#);
        let read =
            house.send(&caller, Target::Resource((&*uri).into()), &request("resources/read"), "uri").await.unwrap();
        assert!(read.contains("contents"), "{read}");
        let mut notices = house.hub.listen();
        let watch = Target::Subscribe((&*uri).into());
        for _ in 0..2 {
            house.send(&caller, watch.clone(), &request("resources/subscribe"), "uri").await.unwrap();
        }
        let touch = format!(r#"{{"uri":"{uri}"}}"#);
        let updated = async {
            loop {
                match notices.recv().await.unwrap() {
                    Notice::ResourceUpdated { uri: told, .. } => return assert_eq!(*told, *uri),
                    _ => continue,
                }
            }
        };
        let touching = async {
            loop {
                // The listening stream of the modern era opens behind the scenes: once may be too early.
                house.call("touch", &touch).await.unwrap();
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::select! {
            () = updated => {}
            () = touching => {}
            () = tokio::time::sleep(Duration::from_secs(60)) => panic!("no update"),
        }
        let prompt = house.listed(ItemKind::Prompt).first().expect("the fixture has prompts").clone();
        let complete = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"completion/complete","params":{{"ref":{{"type":"ref/prompt","name":"{prompt}"}},"argument":{{"name":"a","value":"x"}}}}}}"#
        );
        let mut completion = common::wire(&complete, "-");
        let at = complete.find(&format!("\"{prompt}\"")).unwrap() as u32;
        completion.parts.subject = gate::Place { start: at, end: at + prompt.len() as u32 + 2 };
        let target = Target::Completion(Reference::Prompt((&*prompt).into()));
        let answer = house.send_wire(&caller, target, completion).await.unwrap();
        assert!(answer.contains("completion"), "{answer}");
        house.stop().await;
    }
}
