//! Conversations on standard input and output, as transcripts.

use crate::common::{PATIENCE, World, options, wire};
use downstream::{Budgets, Options};
use gate::{Face, ItemKind, ReplyKind, ServerName, Unmasked};
use serde_json::{Value, json};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, Lines, ReadHalf, WriteHalf};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// A client of a face on stdio.
pub struct Client {
    pub world: World,
    writer: WriteHalf<DuplexStream>,
    lines: Lines<BufReader<ReadHalf<DuplexStream>>>,
    served: JoinHandle<io::Result<()>>,
    stop: CancellationToken,
}

impl Client {
    pub fn new(world: World, face: Face) -> Self {
        Self::with(world, options(face))
    }

    pub fn with(world: World, options: Options) -> Self {
        let (near, far) = tokio::io::duplex(1 << 16);
        let (far_reader, far_writer) = tokio::io::split(far);
        let stop = CancellationToken::new();
        let served = downstream::serve_stdio(world.gate.clone(), options, far_reader, far_writer, stop.clone());
        let tracker = tokio_util::task::TaskTracker::new();
        let served = tracker.spawn(served);
        let (reader, writer) = tokio::io::split(near);
        Self { world, writer, lines: BufReader::new(reader).lines(), served, stop }
    }

    async fn started() -> Self {
        let mut client = Self::new(World::new(), Face::All);
        client.shake("2025-11-25").await;
        client
    }

    pub async fn shake(&mut self, version: &str) -> Value {
        let params =
            json!({"protocolVersion": version, "capabilities": {"elicitation": {}}, "clientInfo": {"name": "t"}});
        let answer = self.ask("initialize", params).await;
        self.send(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#).await;
        answer
    }

    pub async fn send(&mut self, line: &str) {
        self.writer.write_all(format!("{line}\n").as_bytes()).await.unwrap();
    }

    /// The next line, as it is.
    pub async fn line(&mut self) -> String {
        let line = tokio::time::timeout(PATIENCE, self.lines.next_line()).await;
        line.expect("an answer in time").unwrap().expect("not the end")
    }

    pub async fn next(&mut self) -> Value {
        let line = self.line().await;
        serde_json::from_str(&line).unwrap()
    }

    /// Sends a request of id 1 and returns its answer, whatever comes next.
    pub async fn ask(&mut self, method: &str, params: Value) -> Value {
        self.send(&json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string()).await;
        self.next().await
    }

    pub async fn call(&mut self, tool: &str) -> Value {
        self.ask("tools/call", json!({"name": tool})).await
    }

    /// Ends the conversation and returns what still came.
    pub async fn end(mut self) -> Vec<String> {
        self.writer.shutdown().await.unwrap();
        let mut rest = Vec::new();
        while let Some(line) = tokio::time::timeout(PATIENCE, self.lines.next_line()).await.expect("in time").unwrap() {
            rest.push(line);
        }
        self.served.await.unwrap().unwrap();
        rest
    }
}

/// What is sent on a line, and what comes back on one.
async fn check(client: &mut Client, sent: &str, want: &str) {
    client.send(sent).await;
    assert_eq!(client.line().await, want, "{sent}");
}

#[tokio::test]
async fn a_known_revision_is_agreed_to_and_any_other_answered_with_the_newest() {
    for (asked, got) in [
        ("2024-11-05", "2024-11-05"),
        ("2025-03-26", "2025-03-26"),
        ("2025-06-18", "2025-06-18"),
        ("2025-11-25", "2025-11-25"),
        ("2026-07-28", "2025-11-25"),
        ("soon", "2025-11-25"),
    ] {
        let mut client = Client::new(World::new(), Face::All);
        let answer = client.shake(asked).await;
        assert_eq!(answer["result"]["protocolVersion"], got, "{asked}");
        assert_eq!(answer["result"]["serverInfo"], json!({"name": "toolgate", "version": "1.2.3"}));
        assert_eq!(answer["result"]["capabilities"]["tools"]["listChanged"], true);
    }
}

#[tokio::test]
async fn one_server_alone_speaks_with_its_own_instructions_and_names() {
    let mut client = Client::new(World::new(), Face::Only("b".into()));
    assert_eq!(client.shake("2025-06-18").await["result"]["instructions"], "be kind");
    let tools = client.ask("tools/list", json!({})).await;
    assert_eq!(tools["result"]["tools"][0]["name"], "echo");
    assert_eq!(
        tools["result"]["tools"].as_array().unwrap().len(),
        crate::common::TOOLS.len() - 1,
        "all but the denied one"
    );
    assert!(tools["result"].get("resultType").is_none());
    assert!(client.call("echo").await["result"].is_object());
}

/// Clients refuse a result without the structure that its tool promised, and what is too long has to go whole.
#[tokio::test]
async fn a_tool_with_a_budget_promises_no_structure() {
    let bytes = |server: &ServerName, tool: &str| (server.as_str() == "a" && tool == "error").then_some(9);
    let budgets = Budgets { bytes: Arc::new(bytes), results: None };
    for (budgets, want) in [
        (None, &["a__error", "a__fault", "b__error", "b__fault"][..]),
        (Some(budgets), &["a__fault", "b__error", "b__fault"]),
    ] {
        let mut client = Client::with(World::new(), Options { budgets, ..options(Face::All) });
        client.shake("2025-11-25").await;
        let tools = client.ask("tools/list", json!({})).await;
        let tools = tools["result"]["tools"].as_array().expect("a list").iter();
        let promising: Vec<_> =
            tools.filter(|tool| tool.get("outputSchema").is_some()).map(|tool| &tool["name"]).collect();
        assert_eq!(promising, want);
    }
}

#[tokio::test]
async fn what_crosses_comes_back_byte_for_byte_under_the_callers_own_id() {
    let mut client = Client::started().await;
    let call = |id: &str, arguments: &str| {
        format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"a__echo","arguments":{arguments}}}}}"#
        )
    };
    for (id, arguments) in
        [("7", r#"{"n":1.10,"u":"\ud83d","k":18446744073709551616}"#), (r#""7""#, "{ }"), ("-0.5", "{}")]
    {
        let want =
            format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"content":[],"structuredContent":{arguments}}},"x":1}}"#);
        check(&mut client, &call(id, arguments), &want).await;
    }
}

#[tokio::test]
async fn each_kind_of_failure_has_its_own_form() {
    let mut client = Client::started().await;
    let unknown = client.call("a__nothing_like_it").await;
    assert_eq!(
        (&unknown["error"]["code"], &unknown["error"]["message"]),
        (&json!(-32602), &json!("Unknown tool: a__nothing_like_it"))
    );
    for (tool, code) in [
        ("a__asks", "approval.refused"),
        ("a__never", "policy.denied"),
        ("a__fault", "upstream.unavailable"),
        ("a__rounds", "upstream.protocol"),
    ] {
        let answer = client.call(tool).await;
        assert_eq!(answer["result"]["isError"], true, "{tool}: {answer}");
        assert_eq!(answer["result"]["_meta"]["toolgate/code"], code);
        let hinted = answer["result"]["content"][0]["text"].as_str().unwrap().contains("\nhint: ");
        assert_eq!(hinted, tool != "a__never", "{answer}");
    }
    assert_eq!(client.call("a__panic").await["error"]["code"], -32603);
    let sent = r#"{"jsonrpc":"2.0","id":"e","method":"tools/call","params":{"name":"a__error"}}"#;
    check(
        &mut client,
        sent,
        r#"{"jsonrpc":"2.0","id":"e","error":{"code":-32602,"message":"no","data":{"k":1.10}},"x":1}"#,
    )
    .await;
    let gone = client.ask("resources/read", json!({"uri": "test://two"})).await;
    assert_eq!(gone["error"]["code"], -32002, "{gone}");
}

#[tokio::test]
async fn bad_frames_are_answered_and_answers_never() {
    let mut client = Client::started().await;
    let cases = [
        ("not json", "null", -32700),
        (r#"{"id":4,"method":"ping"}"#, "4", -32600),
        (r#"{"jsonrpc":"2.0","id":5,"method":"ping","params":[]}"#, "5", -32602),
        (r#"{"jsonrpc":"2.0","id":6,"method":"no/such"}"#, "6", -32601),
        (r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{}}"#, "7", -32602),
        (r#"{"jsonrpc":"2.0","id":8,"method":"tools/call","params":{"name":"a__echo","arguments":[]}}"#, "8", -32602),
        (r#"{"jsonrpc":"2.0","id":9,"method":"tools/list","params":{"cursor":"x"}}"#, "9", -32602),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping","method":"ping"}"#, "1", -32600),
        (r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#, "null", -32600),
    ];
    for (sent, id, code) in cases {
        client.send(r#"{"jsonrpc":"2.0","id":99,"result":{},"error":{}}"#).await;
        client.send(r#"{"jsonrpc":"2.0","id":98,"result":{}}"#).await;
        client.send(sent).await;
        let answer = client.next().await;
        assert_eq!((answer["id"].to_string().as_str(), &answer["error"]["code"]), (id, &json!(code)), "{sent}");
    }
    let long = format!(r#"{{"jsonrpc":"2.0","id":"long","method":"ping","params":{{"x":"{}"}}}}"#, "x".repeat(2 << 20));
    client.send(&long).await;
    assert_eq!(client.next().await["id"], "long");
}

#[tokio::test]
async fn a_request_that_readers_disagree_about_reaches_no_server() {
    let mut client = Client::started().await;
    for params in [
        r#"{"name":"a__echo","Name":"a__never"}"#,
        r#"{"name":"a__echo","arguments":{},"ARGUMENTS":{"x":1}}"#,
        r#"{"name":"a__echo"},"Params":{"name":"never"}"#,
    ] {
        client.send(&format!(r#"{{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{params}}}"#)).await;
        assert_eq!(client.next().await["error"]["code"], -32600, "{params}");
    }
    assert!(client.world.story.lock().unwrap().is_empty());
}

#[tokio::test]
async fn ping_is_answered_at_any_time() {
    let mut client = Client::new(World::new(), Face::All);
    check(
        &mut client,
        r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"`id` is neither a string nor a number"}}"#,
    )
    .await;
    check(&mut client, r#"{"jsonrpc":"2.0","id":0,"method":"ping"}"#, r#"{"jsonrpc":"2.0","id":0,"result":{}}"#).await;
}

#[tokio::test]
async fn a_cancelled_call_ends_and_is_never_answered() {
    let mut client = Client::started().await;
    client.send(r#"{"jsonrpc":"2.0","id":"h","method":"tools/call","params":{"name":"a__hang"}}"#).await;
    client.world.until("tool:hang").await;
    client.send(r#"{"jsonrpc":"2.0","id":"h","method":"tools/call","params":{"name":"a__hang"}}"#).await;
    assert_eq!(client.next().await["error"]["code"], -32600, "the id is in use");
    client.send(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"h"}}"#).await;
    client.world.until("dropped:hang").await;
    assert_eq!(client.call("a__echo").await["id"], 1, "nothing was said of the cancelled one");
}

#[tokio::test]
async fn answers_come_as_they_are_ready() {
    let mut client = Client::started().await;
    client.send(r#"{"jsonrpc":"2.0","id":"slow","method":"tools/call","params":{"name":"a__hang"}}"#).await;
    for _ in 0..3 {
        assert_eq!(client.call("b__echo").await["id"], 1);
    }
}

#[tokio::test]
async fn progress_carries_the_callers_own_token_and_comes_before_the_answer() {
    let mut client = Client::started().await;
    client.send(r#"{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"a__progress","_meta":{"progressToken":"t\u0041"}}}"#).await;
    for step in 1..=2 {
        let want = format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":"t\u0041","progress":{step}}}}}"#
        );
        assert_eq!(client.line().await, want);
    }
    assert_eq!(client.next().await["id"], 5);
    assert_eq!(client.call("a__progress").await["id"], 1, "nobody asked for progress");
}

#[tokio::test]
async fn log_lines_are_masked_and_told_from_the_chosen_level_on() {
    let mut client = Client::started().await;
    let first = client.call("a__log").await;
    assert_eq!(first["params"], json!({"level": "warning", "data": "*****"}));
    client.next().await;
    assert_eq!(client.ask("logging/setLevel", json!({"level": "error"})).await["result"], json!({}));
    assert_eq!(client.call("a__log").await["id"], 1);
    assert_eq!(client.ask("logging/setLevel", json!({"level": "debug"})).await["result"], json!({}));
    assert_eq!(client.call("a__log").await["params"]["level"], "debug");
    assert_eq!(client.next().await["params"]["level"], "warning");
    client.next().await;
    assert_eq!(client.ask("logging/setLevel", json!({"level": "loud"})).await["error"]["code"], -32602);
}

#[tokio::test]
async fn a_question_goes_to_the_client_and_its_answer_back() {
    let mut client = Client::started().await;
    let question = client.call("a__elicit").await;
    assert_eq!(question["method"], "elicitation/create");
    let id = &question["id"];
    client.send(&format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"action":"accept"}}}}"#)).await;
    assert_eq!(client.next().await["result"]["structuredContent"], json!({"action": "accept"}));
}

#[tokio::test]
async fn lists_changed_at_once_are_told_once() {
    let mut client = Client::started().await;
    for server in ["a", "b", "a"] {
        client.world.hub.list_changed(ItemKind::Tool, &ServerName::from(server));
    }
    client.world.hub.list_changed(ItemKind::Template, &ServerName::from("a"));
    assert_eq!(client.line().await, r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#);
    assert_eq!(client.line().await, r#"{"jsonrpc":"2.0","method":"notifications/resources/list_changed"}"#);
    assert_eq!(client.call("a__echo").await["id"], 1);
}

#[tokio::test]
async fn only_who_watches_a_resource_hears_of_it() {
    let mut client = Client::started().await;
    let update = |uri: &str| {
        let params = format!(r#"{{"uri":"{uri}"}}"#);
        let json = format!(r#"{{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{params}}}"#);
        Unmasked::message(wire(&json, &params, ""), ReplyKind::Result)
    };
    let server = ServerName::from("a");
    client.world.hub.resource_updated(&server, "test://one", update("test://one"));
    assert_eq!(client.ask("resources/subscribe", json!({"uri": "test://one"})).await["result"], json!({}));
    client.world.hub.resource_updated(&server, "test://other", update("test://other"));
    client.world.hub.resource_updated(&server, "test://one", update("test://one"));
    assert_eq!(client.next().await["params"]["uri"], "test://one");
    assert_eq!(client.ask("resources/unsubscribe", json!({"uri": "test://one"})).await["result"], json!({}));
    client.world.until("unsubscribe:test://one").await;
    client.world.hub.resource_updated(&server, "test://one", update("test://one"));
    assert_eq!(client.call("a__echo").await["id"], 1);
}

#[tokio::test]
async fn a_list_waits_a_moment_for_servers_never_seen_and_then_goes_without_them() {
    let mut client = Client::new(World::of(&["a"], &["cold"]), Face::All);
    client.shake("2025-11-25").await;
    let names = |answer: &Value| answer["result"]["tools"].as_array().unwrap().len();
    let known = crate::common::TOOLS.len() - 1;
    assert_eq!(names(&client.ask("tools/list", json!({})).await), known);
    client.world.until("start:cold").await;
    client.world.publish("cold");
    assert_eq!(client.next().await["method"], "notifications/tools/list_changed");
    assert_eq!(names(&client.ask("tools/list", json!({})).await), 2 * known);
}

#[tokio::test]
async fn a_call_waits_for_a_server_never_seen() {
    let mut client = Client::new(World::of(&[], &["cold"]), Face::All);
    client.shake("2025-11-25").await;
    client.send(r#"{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"cold__echo"}}"#).await;
    client.world.until("start:cold").await;
    client.world.publish("cold");
    let answer = client.next().await;
    assert!(answer["result"].is_object() || answer["method"].is_string(), "{answer}");
}

#[tokio::test]
async fn batches_belong_to_one_revision() {
    let mut client = Client::new(World::new(), Face::All);
    client.shake("2025-03-26").await;
    let batch = r#"[{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"a__echo"}},{"jsonrpc":"2.0","method":"notifications/x"},7,{"jsonrpc":"2.0","id":3,"method":"initialize"}]"#;
    client.send(batch).await;
    let answer = client.next().await;
    let ids: Vec<String> = answer.as_array().unwrap().iter().map(|one| one["id"].to_string()).collect();
    assert_eq!(ids, ["1", "null", "3", "2"]);
    client.send(r#"[{"jsonrpc":"2.0","method":"notifications/x"}]"#).await;
    assert_eq!(client.call("a__echo").await["id"], 1);
}

#[tokio::test]
async fn the_end_of_input_ends_everything_within_a_second() {
    let mut client = Client::started().await;
    client.send(r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a__hang"}}"#).await;
    client.send(r#"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"a__echo"}}"#).await;
    client.world.until("tool:hang").await;
    let story = client.world.story.clone();
    let ended = tokio::time::Instant::now();
    let rest = client.end().await;
    assert_eq!(rest.len(), 1, "what was ready is still answered: {rest:?}");
    assert!(ended.elapsed() < Duration::from_secs(5));
    assert!(story.lock().unwrap().contains(&"dropped:hang".to_owned()));
}

#[tokio::test]
async fn a_conversation_that_is_all_in_the_pipe_is_answered_whole() {
    let mut client = Client::new(World::new(), Face::All);
    client.send(r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18"}}"#).await;
    client.send(r#"{"jsonrpc":"2.0","id":2,"method":"tools/list"}"#).await;
    assert_eq!(client.end().await.len(), 2);
}

#[tokio::test]
async fn stop_ends_the_conversation() {
    let mut client = Client::started().await;
    client.send(r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a__hang"}}"#).await;
    client.world.until("tool:hang").await;
    client.stop.cancel();
    client.served.await.unwrap().unwrap();
}

const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;

#[tokio::test]
async fn either_era_is_served_on_the_same_pipe() {
    let mut client = Client::new(World::new(), Face::All);
    client.send(&format!(r#"{{"jsonrpc":"2.0","id":1,"method":"server/discover","params":{{{META}}}}}"#)).await;
    let found = client.next().await;
    assert_eq!(found["result"]["supportedVersions"][0], "2026-07-28");
    assert_eq!(found["result"]["_meta"]["io.modelcontextprotocol/serverInfo"]["name"], "toolgate");
    let call =
        |tool: &str| format!(r#"{{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{{"name":"{tool}",{META}}}}}"#);
    check(
        &mut client,
        &call("a__echo"),
        r#"{"jsonrpc":"2.0","id":2,"result":{"resultType":"complete","content":[],"structuredContent":null},"x":1}"#,
    )
    .await;
    client.send(&call("a__rounds")).await;
    let asked = client.next().await;
    assert_eq!((&asked["id"], &asked["result"]["resultType"]), (&json!(2), &json!("input_required")));
    assert!(asked["result"]["requestState"].as_str().unwrap().starts_with("tg1."), "sealed: {asked}");
    client.send(&format!(r#"{{"jsonrpc":"2.0","id":3,"method":"tools/list","params":{{{META}}}}}"#)).await;
    let list = client.next().await;
    assert_eq!(
        (&list["result"]["resultType"], &list["result"]["ttlMs"], &list["result"]["cacheScope"]),
        (&json!("complete"), &json!(0), &json!("private"))
    );
    client.send(&format!(r#"{{"jsonrpc":"2.0","id":4,"method":"ping","params":{{{META}}}}}"#)).await;
    assert_eq!(client.next().await["error"]["code"], -32601);
    assert_eq!(client.shake("2025-06-18").await["result"]["protocolVersion"], "2025-06-18");
    assert!(client.call("a__echo").await["result"].get("resultType").is_none());
}

#[tokio::test]
async fn a_request_that_does_not_describe_itself_is_refused() {
    let mut client = Client::new(World::new(), Face::All);
    let version = r#""io.modelcontextprotocol/protocolVersion""#;
    let caps = r#""io.modelcontextprotocol/clientCapabilities""#;
    let cases = [
        (format!(r#"{version}:"2026-07-28""#), -32602),
        (format!(r#"{version}:7,{caps}:{{}}"#), -32602),
        (format!(r#"{version}:"2026-07-28",{caps}:[]"#), -32602),
        (format!(r#"{version}:"2030-01-01",{caps}:{{}}"#), -32022),
        (format!(r#"{version}:"2025-11-25",{caps}:{{}}"#), -32022),
        (format!(r#"{version}:"2026-07-28",{caps}:{{}},"io.modelcontextprotocol/logLevel":"x""#), -32602),
    ];
    for (meta, code) in cases {
        client
            .send(&format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{{"_meta":{{{meta}}}}}}}"#))
            .await;
        assert_eq!(client.next().await["error"]["code"], code, "{meta}");
    }
    client.send(r#"{"jsonrpc":"2.0","id":1,"method":"server/discover"}"#).await;
    assert_eq!(client.next().await["error"]["code"], -32602);
}

#[tokio::test]
async fn a_subscription_hears_what_it_asked_for_under_its_own_name() {
    let mut client = Client::new(World::new(), Face::All);
    let filter = r#""notifications":{"toolsListChanged":true,"resourceSubscriptions":["test://one","test://two"]}"#;
    client
        .send(&format!(
            r#"{{"jsonrpc":"2.0","id":"sub","method":"subscriptions/listen","params":{{{filter},{META}}}}}"#
        ))
        .await;
    let tag = json!({"io.modelcontextprotocol/subscriptionId": "sub"});
    let ack = client.next().await;
    assert_eq!(ack["method"], "notifications/subscriptions/acknowledged");
    assert_eq!(ack["params"]["_meta"], tag);
    assert_eq!(ack["params"]["notifications"]["toolsListChanged"], true);
    assert!(ack["params"]["notifications"].get("promptsListChanged").is_none());
    client.world.until("subscribe:test://one").await;
    client.world.hub.list_changed(ItemKind::Prompt, &"a".into());
    client.world.hub.list_changed(ItemKind::Tool, &"a".into());
    let changed = client.next().await;
    assert_eq!((&changed["method"], &changed["params"]["_meta"]), (&json!("notifications/tools/list_changed"), &tag));
    client.send(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"sub"}}"#).await;
    client.world.until("unsubscribe:test://one").await;
}

#[tokio::test]
async fn a_subscription_ends_gracefully_with_its_face() {
    let mut client = Client::new(World::new(), Face::All);
    client
        .send(&format!(
            r#"{{"jsonrpc":"2.0","id":9,"method":"subscriptions/listen","params":{{"notifications":{{}},{META}}}}}"#
        ))
        .await;
    client.next().await;
    let rest = client.end().await;
    let want = r#"{"jsonrpc":"2.0","id":9,"result":{"resultType":"complete","_meta":{"io.modelcontextprotocol/subscriptionId":9}}}"#;
    assert_eq!(rest, [want]);
}

#[tokio::test]
async fn long_lists_come_in_pages_that_end_and_old_cursors_are_refused() {
    let world = World::of(&["a"], &["many"]);
    world.publish_many("many", 2_500);
    let mut client = Client::new(world, Face::Only("many".into()));
    client.shake("2025-11-25").await;
    let mut names = std::collections::HashSet::new();
    let mut params = json!({});
    for more in [true, true, false] {
        let page = client.ask("tools/list", params.clone()).await;
        for tool in page["result"]["tools"].as_array().unwrap() {
            assert!(names.insert(tool["name"].to_string()), "no tool twice");
        }
        assert_eq!(page["result"]["nextCursor"].is_string(), more);
        if more {
            params = json!({"cursor": page["result"]["nextCursor"]});
        }
    }
    assert_eq!(names.len(), 2_500);
    let other_list = client.ask("prompts/list", params.clone()).await;
    assert_eq!(other_list["error"]["code"], -32602, "a cursor is for one list");
    client.world.publish_many("many", 2_501);
    assert_eq!(client.ask("tools/list", params).await["error"]["code"], -32602);
    assert_eq!(
        client.ask("tools/list", json!({"cursor": null})).await["result"]["tools"].as_array().unwrap().len(),
        1_000
    );
}

#[tokio::test]
async fn what_servers_say_of_their_tools_is_masked_too() {
    let mut client = Client::started().await;
    let prompts = client.ask("prompts/list", json!({})).await;
    assert_eq!(prompts["result"]["prompts"][0], json!({"name": "a__greet", "description": "says *****"}));
}

#[tokio::test]
async fn a_stateless_request_hears_the_log_only_if_it_asked_for_it() {
    let mut client = Client::new(World::new(), Face::All);
    let call =
        |meta: &str| format!(r#"{{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{{"name":"a__log",{meta}}}}}"#);
    client.send(&call(META)).await;
    assert_eq!(client.next().await["id"], 2);
    client.send(&call(&META.replace("\"_meta\":{", r#""_meta":{"io.modelcontextprotocol/logLevel":"error","#))).await;
    assert_eq!(client.next().await["id"], 2);
    client.send(&call(&META.replace("\"_meta\":{", r#""_meta":{"io.modelcontextprotocol/logLevel":"warning","#))).await;
    assert_eq!(client.next().await["params"]["level"], "warning");
    assert_eq!(client.next().await["id"], 2);
}
