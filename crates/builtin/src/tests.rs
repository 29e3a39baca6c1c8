use super::*;
use gate::ports::{Ids, Ledger, LedgerError, Position};
use gate::{
    Abilities, Assembly, Call, Catalog, EndWriter, Face, Gate, Hub, Masks, Naming, Parts, Place, Policy, Principal,
    Recorder, Reply, ServerRules, Target, Trace, Wire,
};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Mutex;
use uuid::Uuid;

/// A clock that stands still, and a ledger in memory.
#[derive(Default)]
struct World(Mutex<Vec<String>>);

impl Clock for World {
    fn wall_micros(&self) -> u64 {
        1_795_208_400_000_001
    }
    fn mono_micros(&self) -> u64 {
        0
    }
}

impl Ids for World {
    fn fresh(&self) -> Uuid {
        Uuid::from_u128(7)
    }
}

impl Ledger for World {
    fn append(&self, event: &[u8]) -> Result<Position, LedgerError> {
        let event: Value = serde_json::from_slice(event).expect("JSON");
        let text = |key: &str| event[key].as_str().unwrap_or_default().to_owned();
        self.0.lock().expect("not poisoned").push(format!("{}{}", text("event"), text("name")));
        Ok(Position(1))
    }
    fn durable(&self, _: Position) -> BoxFuture<'_, Result<(), LedgerError>> {
        Box::pin(async { Ok(()) })
    }
}

/// A gate with our server, and what takes the ends of its calls.
fn gate(world: &Arc<World>) -> (Gate, EndWriter) {
    let servers = Arc::new(|| vec![("files".to_owned(), true), ("a \"b\"".to_owned(), false)]);
    let builtin = Builtin::new(world.clone(), servers);
    let catalog = Catalog::new(vec![NAME.into()], Naming::default());
    catalog.publish(vec![(NAME.into(), Arc::new(builtin.offer()))]);
    let masks = Arc::new(Masks::new(&[]));
    let (recorder, ends) = Recorder::new(world.clone(), world.clone(), 4, gate::Arguments::nothing(masks.clone()));
    let gate = Gate::new(Assembly {
        catalog: Arc::new(catalog),
        policy: Arc::new(Policy::of_servers(HashMap::from([(
            NAME.into(),
            ServerRules { trusted: true, ..ServerRules::default() },
        )]))),
        recorder,
        hub: Arc::new(Hub::new(masks.clone(), 4)),
        masks,
        approvals: gate::Approvals::nobody(world.clone(), world.clone()),
        ids: world.clone(),
        sources: vec![builtin],
    });
    (gate, ends)
}

async fn call(world: &Arc<World>, tool: &str, arguments: &str) -> Reply {
    outcome(world, tool, arguments).await.expect("allowed and answered")
}

async fn outcome(world: &Arc<World>, tool: &str, arguments: &str) -> Result<Reply, gate::Failure> {
    let (gate, ends) = gate(world);
    let parts = Parts { arguments: Place { start: 0, end: arguments.len() as u32 }, ..Parts::default() };
    let call = Call {
        id: gate.fresh_id(),
        by: Principal::Local,
        face: Face::Only(NAME.into()),
        target: Target::Tool(tool.into()),
        wire: Wire { json: Bytes::copy_from_slice(arguments.as_bytes()), parts },
        trace: Trace::default(),
        abilities: Abilities::default(),
        conversation: None,
        claim: None,
        listener: None,
    };
    let outcome = gate.call(call).await;
    drop(gate);
    ends.run().await;
    outcome
}

/// Calls a tool through a gate and compares the result; the rest of the message has to be in its places.
async fn check(tool: &str, arguments: &str, want: Value) {
    let reply = call(&Arc::default(), tool, arguments).await;
    let message: Value = serde_json::from_slice(&reply.wire.json).expect("JSON");
    assert_eq!(message, json!({ "jsonrpc": "2.0", "id": 0, "result": want }));
    assert_eq!(reply.wire.part(reply.wire.parts.id), b"0");
    let body: Value = serde_json::from_slice(reply.wire.part(reply.wire.parts.body)).expect("JSON");
    assert_eq!(body, want);
    assert_eq!(reply.tool_error, want["isError"] == true);
}

fn text(text: &str) -> Value {
    json!({ "content": [{ "type": "text", "text": text }] })
}

#[tokio::test]
async fn echo_returns_its_text() {
    check("echo", r#"{"text":"hello"}"#, text("hello")).await;
    check("echo", r#" { "te\u0078t" : "\"\n\u00e4" } "#.trim(), text("\"\nä")).await;
}

#[tokio::test]
async fn echo_passes_on_what_no_string_can_hold() {
    let reply = call(&Arc::default(), "echo", r#"{"text":"\ud800"}"#).await;
    let body = String::from_utf8_lossy(reply.wire.part(reply.wire.parts.body)).into_owned();
    assert_eq!(body, r#"{"content":[{"type":"text","text":"\ud800"}]}"#);
}

/// The gate holds arguments against the schema, so the tools see none that do not fit.
#[tokio::test]
async fn wrong_arguments_are_named() {
    for (tool, arguments, want) in [
        ("echo", "", "`text` is required and missing"),
        ("echo", "{}", "`text` is required and missing"),
        ("echo", r#"{"text":1}"#, "text"),
        ("echo", r#"{"text":"a","more":1}"#, "more"),
        ("now", r#"{"zone":"UTC"}"#, "zone"),
        ("echo", "[]", "object"),
        ("echo", r#"{"text":"a","text":"b"}"#, "twice"),
    ] {
        let failure = outcome(&Arc::default(), tool, arguments).await.expect_err(arguments);
        assert_eq!(failure.code(), gate::Code::ArgsInvalid, "{arguments}");
        assert!(failure.to_string().contains(want), "{arguments}: {failure}");
    }
}

#[tokio::test]
async fn now_is_the_clock_of_the_gate() {
    let utc = json!({ "utc": "2026-11-20T21:00:00.000001Z" });
    let want = json!({
        "content": [{ "type": "text", "text": r#"{"utc":"2026-11-20T21:00:00.000001Z"}"# }],
        "structuredContent": utc,
    });
    check("now", "{}", want).await;
}

#[tokio::test]
async fn servers_lists_what_is_configured() {
    let reply = call(&Arc::default(), "servers", "").await;
    let body: Value = serde_json::from_slice(reply.wire.part(reply.wire.parts.body)).expect("JSON");
    let want = json!({ "servers": [{ "name": "files", "enabled": true }, { "name": "a \"b\"", "enabled": false }] });
    assert_eq!(body["structuredContent"], want);
    let text = body["content"][0]["text"].as_str().expect("text");
    assert_eq!(serde_json::from_str::<Value>(text).expect("JSON"), want);
}

#[tokio::test]
async fn a_call_of_our_own_is_recorded_like_any_other() {
    let world: Arc<World> = Arc::default();
    call(&world, "echo", r#"{"text":"hello"}"#).await;
    assert_eq!(*world.0.lock().expect("not poisoned"), ["attemptecho", "end"]);
}

#[test]
fn every_definition_says_what_the_catalog_takes_it_for() {
    for listed in Builtin::new(Arc::new(World::default()), Arc::new(Vec::new)).offer().listed {
        let definition: Value = serde_json::from_slice(&listed.definition).expect("JSON");
        assert_eq!(listed.definition[listed.name_at.range()], *format!("\"{}\"", listed.raw).as_bytes());
        assert_eq!(definition["name"], *listed.raw);
        assert_eq!(definition["inputSchema"]["type"], "object");
        assert!(definition["title"].is_string() && definition["description"].is_string());
        let hint = |key: &str| definition["annotations"][key].as_bool();
        assert_eq!(hint("readOnlyHint"), listed.facts.read_only);
        assert_eq!(hint("destructiveHint"), listed.facts.destructive);
        assert_eq!(hint("openWorldHint"), listed.facts.open_world);
    }
}

#[test]
fn what_it_says_about_itself_is_json() {
    let offer = Builtin::new(Arc::new(World::default()), Arc::new(Vec::new)).offer();
    for raw in [offer.capabilities, offer.server_info] {
        serde_json::from_slice::<Value>(&raw.expect("given")).expect("JSON");
    }
}
