//! Starting, listing, remembering and stopping servers that are child processes.

mod common;

use common::{House, NAME, child, hostile, until};
use gate::state::Auth;
use gate::{ItemKind, Notice, ServerName, State};
use std::time::Duration;
use tempfile::tempdir;
use upstream::{LinkState, Options, Protocol, last_seen, load_catalog};

async fn check_start(options: Options, want: Result<(), &str>) {
    let dir = tempdir().expect("a directory");
    let house = House::new(options, dir.path().to_owned());
    match (house.ready().await, want) {
        (Ok(()), Ok(())) => {
            house.call("echo", r#"{"text":"x"}"#).await.expect("an answer");
        }
        (Err(why), Err(want)) => assert!(why.contains(want), "{why}"),
        (got, want) => panic!("{got:?} instead of {want:?}"),
    }
    house.stop().await;
}

#[tokio::test]
async fn the_era_is_found_out() {
    check_start(hostile(&["--era", "legacy"]), Ok(())).await;
    check_start(hostile(&["--era", "modern"]), Ok(())).await;
    check_start(hostile(&["--era", "exit-on-discover"]), Ok(())).await;
    let version = ["--protocol-version", "2024-11-05"];
    check_start(hostile(&version), Ok(())).await;
}

#[tokio::test]
async fn an_era_that_is_not_spoken_is_said_so() {
    let modern = Options { protocol: Protocol::Modern, ..hostile(&["--era", "legacy"]) };
    check_start(modern, Err("does not speak 2026-07-28")).await;
    let legacy = Options { protocol: Protocol::Legacy, ..hostile(&["--era", "modern"]) };
    check_start(legacy, Err("does not speak any revision with a handshake")).await;
    check_start(hostile(&["--protocol-version", "2031-01-01"]), Err("a revision that is not known here")).await;
}

#[tokio::test]
async fn a_remembered_era_that_no_longer_holds_is_found_out_anew() {
    for now in ["exit-on-discover", "silent-on-discover", "legacy"] {
        let dir = tempdir().unwrap();
        let before = House::new(hostile(&["--era", "modern"]), dir.path().to_owned());
        before.ready().await.unwrap();
        before.stop().await;
        let after = House::new(hostile(&["--era", now]), dir.path().to_owned());
        after.ready().await.unwrap();
        after.call("echo", r#"{"text":"x"}"#).await.unwrap();
        after.stop().await;
    }
}

#[tokio::test]
async fn what_cannot_be_started_is_named() {
    check_start(child("/nowhere/at-all".into(), &[]), Err("program `/nowhere/at-all` was not found")).await;
    check_start(child("no-such-program".into(), &[]), Err("program `no-such-program` was not found")).await;
    check_start(hostile(&["--exit-at-start", "3"]), Err("ended with exit status 3")).await;
    let hung = Options { startup_timeout: Duration::from_millis(500), ..hostile(&["--hang-at-start"]) };
    check_start(hung, Err("did not answer `initialize` within 0.5 s")).await;
}

#[tokio::test]
async fn who_fails_again_and_again_is_left_alone_for_a_while() {
    let dir = tempdir().unwrap();
    let house = House::new(hostile(&["--exit-at-start", "3"]), dir.path().to_owned());
    for _ in 0..5 {
        let why = house.ready().await.unwrap_err();
        assert_eq!(why, "server `fix` ended with exit status 3");
    }
    assert!(house.ready().await.unwrap_err().starts_with("backoff: "));
    assert!(matches!(&*house.upstream.state().borrow(), LinkState::Backoff { .. }));
    until("its last words", || !house.upstream.stderr_tail().is_empty()).await;
}

#[tokio::test]
async fn lists_are_followed_over_pages_and_lose_only_the_bad() {
    for flags in [&["--pages", "3"][..], &["--pages", "2", "--empty-cursor"], &["--bad-tool"]] {
        let dir = tempdir().unwrap();
        let all = House::new(hostile(&[flags, &["--tools", "25"]].concat()), dir.path().to_owned());
        all.ready().await.unwrap();
        let tools = all.listed(ItemKind::Tool);
        assert_eq!(tools.len(), 25, "{flags:?}: {tools:?}");
        assert!(!tools.iter().any(|tool| tool == "bad_tool"));
        all.stop().await;
    }
}

#[tokio::test]
async fn an_endless_list_is_given_up_and_calls_go_on() {
    let dir = tempdir().unwrap();
    let house = House::new(hostile(&["--endless-cursor", "--tools", "2"]), dir.path().to_owned());
    house.ready().await.unwrap();
    let LinkState::Ready(toolset) = house.upstream.state().borrow().clone() else { panic!("not ready") };
    let trouble = toolset.trouble.as_ref().expect("the list is missing");
    assert_eq!(trouble.code, gate::Code::UpstreamProtocol, "{trouble}");
    house.stop().await;
}

#[tokio::test]
async fn a_list_is_kept_to_its_limit() {
    for pages in ["1", "5"] {
        let limits = mcp::Limits { list_items: 10, ..mcp::Limits::default() };
        let dir = tempdir().unwrap();
        let options = Options { limits, ..hostile(&["--tools", "25", "--pages", pages]) };
        let house = House::new(options, dir.path().to_owned());
        house.ready().await.unwrap();
        assert_eq!(house.listed(ItemKind::Tool).len(), 10, "{pages} pages");
        house.stop().await;
    }
}

#[tokio::test]
async fn a_changed_list_is_fetched_and_announced() {
    for protocol in [Protocol::Legacy, Protocol::Modern] {
        let dir = tempdir().unwrap();
        let house = House::new(Options { protocol, ..hostile(&[]) }, dir.path().to_owned());
        let mut notices = house.hub.listen();
        house.ready().await.unwrap();
        assert!(matches!(notices.recv().await.unwrap(), Notice::ListChanged(ItemKind::Tool, _)));
        let before = house.listed(ItemKind::Tool).len();
        let growing = async {
            loop {
                // The stream of the stateless era opens behind the scenes: once may be too early.
                house.call("grow", "{}").await.unwrap();
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::select! {
            () = until("the new tool", || house.listed(ItemKind::Tool).len() > before) => {}
            () = growing => {}
        }
        assert!(matches!(notices.recv().await.unwrap(), Notice::ListChanged(ItemKind::Tool, _)));
        house.stop().await;
    }
}

#[tokio::test]
async fn a_catalog_is_remembered_under_its_configuration() {
    let dir = tempdir().unwrap();
    let options = hostile(&["--resources", "--prompts"]);
    let house = House::new(options.clone(), dir.path().to_owned());
    house.ready().await.unwrap();
    let seen = house.catalog.offer(&NAME.into()).unwrap();
    house.stop().await;
    let loaded = load_catalog(dir.path(), &[&options]);
    let (name, offer) = &loaded[0];
    assert_eq!(*name, ServerName::from(NAME));
    assert_eq!(format!("{offer:?}"), format!("{seen:?}"));
    assert_eq!(load_catalog(dir.path(), &[&Options { config_digest: "other".into(), ..options.clone() }]).len(), 0);
    let warm = House::new(options, dir.path().to_owned());
    warm.catalog.publish(loaded);
    let epoch = warm.catalog.epoch();
    warm.ready().await.unwrap();
    assert_eq!(warm.catalog.epoch(), epoch, "nothing has changed");
    warm.stop().await;
}

#[tokio::test]
async fn a_stopped_server_leaves_nothing_behind() {
    for flags in [&[][..], &["--ignore-sigterm"], &["--daemonise"]] {
        let dir = tempdir().unwrap();
        let mark = format!("upstream-mark-{}-{}", std::process::id(), dir.path().display());
        let house = House::new(hostile(&[flags, &["--mark", &mark]].concat()), dir.path().to_owned());
        house.ready().await.unwrap();
        assert!(!testkit::survivors(&mark).is_empty());
        house.stop().await;
        assert_eq!(testkit::survivors(&mark), Vec::<u32>::new(), "{flags:?}");
        assert!(matches!(&*house.upstream.state().borrow(), LinkState::Idle));
        house.call("echo", r#"{"text":"again"}"#).await.unwrap();
        house.stop().await;
    }
}

#[tokio::test]
async fn a_program_that_never_stops_talking_is_given_up_at_once() {
    let dir = tempdir().unwrap();
    let house = House::new(child("yes".into(), &[]), dir.path().to_owned());
    let began = tokio::time::Instant::now();
    let why = house.ready().await.unwrap_err();
    assert!(why.contains("keeps sending what is no message"), "{why}");
    assert_eq!(house.upstream.status().state, State::ProtocolError);
    assert!(began.elapsed() < Duration::from_secs(20), "nobody else had a turn");
    house.stop().await;
}

#[tokio::test]
async fn a_status_follows_the_link_and_says_since_when() {
    let dir = tempdir().unwrap();
    let house = House::new(hostile(&["--crash-on-call", "1"]), dir.path().to_owned());
    let resting = house.upstream.status();
    assert_eq!((resting.state, resting.pid), (State::NotStarted, None));
    house.ready().await.unwrap();
    let up = house.upstream.status();
    assert_eq!((up.state, up.pid.is_some(), up.auth_status), (State::Connected, true, Auth::Unsupported));
    assert!(up.since_micros > resting.since_micros);
    house.call("echo", r#"{"text":"x"}"#).await.unwrap_err();
    until("its end", || house.upstream.status().state == State::Crashed).await;
    let ended = house.upstream.status();
    assert_eq!(ended.reason.as_deref(), Some("ended with exit status 1"));
    assert_eq!((ended.last_error.map(|last| last.state), ended.pid), (Some(State::Crashed), None));
    assert_eq!(ended.counts, up.counts, "what it lists is still known");
    house.ready().await.unwrap();
    let again = house.upstream.status();
    assert_eq!((again.state, again.last_error.map(|last| last.state)), (State::Connected, Some(State::Crashed)));
    house.stop().await;
    assert_eq!(house.upstream.status().state, State::NotStarted);
}

#[tokio::test]
async fn a_start_is_seen_and_can_be_cancelled() {
    let dir = tempdir().unwrap();
    let house = House::new(hostile(&["--hang-at-start"]), dir.path().to_owned());
    house.gate.start(&NAME.into()).unwrap();
    assert_eq!(house.upstream.status().state, State::Starting);
    house.stop().await;
    assert_eq!(house.upstream.status().state, State::Cancelled);
}

#[tokio::test]
async fn who_fails_again_and_again_keeps_its_state_and_says_when_it_is_tried_again() {
    let dir = tempdir().unwrap();
    let house = House::new(hostile(&["--exit-at-start", "3"]), dir.path().to_owned());
    for _ in 0..6 {
        house.ready().await.unwrap_err();
    }
    let status = house.upstream.status();
    assert_eq!(status.state, State::Crashed);
    assert!(status.reason.is_some_and(|why| why.contains("is tried again in")));
    until("it to be remembered", || last_seen(dir.path(), &NAME.into()).is_some()).await;
    let last = last_seen(dir.path(), &NAME.into()).unwrap();
    assert_eq!((last.state, last.reason.as_deref()), (State::Crashed, Some("ended with exit status 3")));
}
