//! A gate with one upstream and a ledger in memory, as tests need it.
#![allow(dead_code, clippy::allow_attributes, reason = "each test binary uses its own part of this")]

use bytes::Bytes;
use gate::ports::{BoxFuture, Clock, Ids, Ledger, LedgerError, Listener, Position, Source};
use gate::*;
use mcp::{Frame, Span};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;
use upstream::{ClientInfo, HttpOptions, LinkState, Options, Protocol, StdioOptions, Transport, Upstream, World};

pub const NAME: &str = "fix";

#[derive(Default)]
struct Memory(AtomicU64);

impl Ledger for Memory {
    fn append(&self, _: &[u8]) -> Result<Position, LedgerError> {
        Ok(Position(0))
    }
    fn durable(&self, _: Position) -> BoxFuture<'_, Result<(), LedgerError>> {
        Box::pin(async { Ok(()) })
    }
}

impl Clock for Memory {
    fn wall_micros(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }
    fn mono_micros(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }
}

impl Ids for Memory {
    fn fresh(&self) -> uuid::Uuid {
        uuid::Uuid::from_u128(self.0.fetch_add(1, Ordering::Relaxed).into())
    }
}

/// What a caller heard during a call, and what it answers when asked.
pub struct Ear {
    pub heard: Mutex<Vec<String>>,
    pub asked: Mutex<Vec<String>>,
    pub answer: Option<String>,
    /// Answers that are never given, kept so that they are not taken for refused.
    pub kept: Mutex<Vec<oneshot::Sender<Wire>>>,
    /// Neither answers nor refuses.
    silent: bool,
}

impl Ear {
    pub fn answering(result: Option<&str>) -> Arc<Self> {
        Arc::new(Self {
            heard: Mutex::default(),
            asked: Mutex::default(),
            answer: result.map(str::to_owned),
            kept: Mutex::default(),
            silent: false,
        })
    }

    pub fn silent() -> Arc<Self> {
        let ear = Self::answering(None);
        let ear = Arc::into_inner(ear).expect("just made");
        Arc::new(Self { silent: true, ..ear })
    }

    pub fn heard(&self) -> Vec<String> {
        self.heard.lock().expect("nobody panics with it").clone()
    }
}

impl Listener for Ear {
    fn notify(&self, notification: Wire) {
        let subject = String::from_utf8_lossy(notification.part(notification.parts.subject)).into_owned();
        let text = String::from_utf8_lossy(&notification.json).into_owned();
        self.heard.lock().expect("nobody panics with it").push(if subject.is_empty() {
            text
        } else {
            text.replace(&format!(":{subject},"), ":TOKEN,")
        });
    }

    fn ask(&self, request: Wire, answer: oneshot::Sender<Wire>) {
        self.asked.lock().expect("nobody panics with it").push(String::from_utf8_lossy(&request.json).into_owned());
        match &self.answer {
            Some(result) => {
                // Whether anybody waits for it is the test's business.
                let _ = answer.send(wire(&format!(r#"{{"jsonrpc":"2.0","id":"d-1","result":{result}}}"#), "-"));
            }
            None if self.silent => self.kept.lock().expect("nobody panics with it").push(answer),
            None => drop(answer),
        }
    }

    fn wants_progress(&self) -> bool {
        true
    }
}

/// Message text as the gate gets it.
pub fn wire(json: &str, subject: &str) -> Wire {
    let frame = Frame::parse(Bytes::copy_from_slice(json.as_bytes()), &mcp::Limits::default()).expect("a message");
    let place = |span: Span| Place { start: span.start, end: span.end };
    let parts = Parts {
        id: place(frame.id_span()),
        body: place(frame.body_span()),
        subject: place(frame.span(subject)),
        arguments: place(frame.span("arguments")),
        meta: place(frame.meta_span()),
    };
    Wire { json: frame.json().clone(), parts }
}

/// A gate and its one upstream.
pub struct House {
    pub gate: Arc<Gate>,
    pub upstream: Arc<Upstream>,
    pub catalog: Arc<Catalog>,
    pub hub: Arc<Hub>,
    pub tasks: TaskTracker,
    pub state_dir: PathBuf,
}

/// How a caller introduced itself.
#[derive(Clone, Default)]
pub struct Caller {
    pub listener: Option<Arc<Ear>>,
    pub dialogue: Dialogue,
    pub capabilities: Option<&'static str>,
}

pub fn options(transport: Transport) -> Options {
    Options {
        name: NAME.into(),
        transport,
        startup_timeout: Duration::from_secs(60),
        call_timeout: Duration::from_secs(60),
        idle_timeout: None,
        protocol: Protocol::Auto,
        roots: Vec::new(),
        workspace: None,
        max_concurrent_calls: 64,
        version: None,
        config_digest: "digest".to_owned(),
        limits: mcp::Limits::default(),
    }
}

/// The hostile fixture as a child process with these flags.
pub fn hostile(flags: &[&str]) -> Options {
    child(testkit::bin("fixture-hostile"), flags)
}

pub fn child(program: PathBuf, args: &[&str]) -> Options {
    options(Transport::Stdio(StdioOptions {
        program: program.into(),
        args: args.iter().map(Into::into).collect(),
        env: vec![("PATH".into(), "/usr/bin:/bin".into())],
        cwd: None,
        path_for_lookup: "/usr/bin:/bin".into(),
        profile: None,
    }))
}

pub fn http(url: &str) -> Options {
    options(Transport::Http(HttpOptions { url: url.to_owned(), headers: Vec::new(), sse: false, oauth: None }))
}

impl House {
    /// A gate in front of one server; the catalog knows these tools though it never saw the server.
    pub fn new(options: Options, state_dir: PathBuf) -> Self {
        let masks = Arc::new(Masks::new(&[]));
        let catalog = Arc::new(Catalog::new(vec![NAME.into()], Naming::default()));
        let hub = Arc::new(Hub::new(masks.clone(), 64));
        let tasks = TaskTracker::new();
        let memory = Arc::new(Memory::default());
        let world = Arc::new(World {
            catalog: catalog.clone(),
            hub: hub.clone(),
            helper: sandbox::Helper { exe: env!("CARGO_BIN_EXE_upstream-supervise").into(), argument: "__supervise" },
            clock: memory.clone(),
            notes: gate::Notes { ledger: memory.clone(), clock: memory.clone(), ids: memory.clone() },
            state_dir: state_dir.clone(),
            tasks: tasks.clone(),
            client_info: ClientInfo { name: "toolgate".into(), version: "0".into() },
        });
        let upstream = Upstream::new(options, world);
        let (recorder, writer) =
            Recorder::new(memory.clone(), memory.clone(), 256, gate::Arguments::nothing(masks.clone()));
        tasks.spawn(writer.run());
        let rules = ServerRules { default_mode: Some(Mode::Approve), ..ServerRules::default() };
        let gate = Gate::new(Assembly {
            catalog: catalog.clone(),
            policy: Arc::new(Policy::of_servers(HashMap::from([(NAME.into(), rules)]))),
            recorder,
            masks,
            hub: hub.clone(),
            approvals: gate::Approvals::nobody(memory.clone(), memory.clone()),
            ids: memory,
            sources: vec![upstream.clone() as Arc<dyn Source>],
        });
        Self { gate: Arc::new(gate), upstream, catalog, hub, tasks, state_dir }
    }

    /// Starts the server and waits until its lists are known, or why not.
    pub async fn ready(&self) -> Result<(), String> {
        let mut state = self.upstream.state();
        self.gate.start(&NAME.into()).map_err(|failure| failure.to_string())?;
        loop {
            match &*state.borrow_and_update() {
                LinkState::Ready(_) => return Ok(()),
                LinkState::Failed(fault) | LinkState::AuthRequired(fault) => return Err(fault.to_string()),
                LinkState::Backoff { why, .. } => return Err(format!("backoff: {why}")),
                LinkState::Idle => return Err("idle".to_owned()),
                LinkState::Starting | LinkState::Connected | LinkState::Draining => {}
            }
            state.changed().await.expect("the sender lives in the upstream");
        }
    }

    /// Calls a tool with raw arguments and gives back the raw answer, or the text of the failure.
    pub async fn call(&self, tool: &str, arguments: &str) -> Result<String, String> {
        self.call_as(&Caller::default(), tool, arguments).await
    }

    pub async fn call_as(&self, caller: &Caller, tool: &str, arguments: &str) -> Result<String, String> {
        let json = format!(
            r#"{{"jsonrpc":"2.0","id":"d7","method":"tools/call","params":{{"name":"{tool}","arguments":{arguments}}}}}"#
        );
        self.send(caller, Target::Tool(tool.into()), &json, "name").await
    }

    pub async fn send(&self, caller: &Caller, target: Target, json: &str, subject: &str) -> Result<String, String> {
        self.send_wire(caller, target, wire(json, subject)).await
    }

    pub async fn send_wire(&self, caller: &Caller, target: Target, wire: Wire) -> Result<String, String> {
        let call = Call {
            id: self.gate.fresh_id(),
            by: Principal::Local,
            face: Face::Only(NAME.into()),
            target,
            wire,
            trace: Trace::default(),
            abilities: Abilities {
                dialogue: caller.dialogue,
                capabilities: caller.capabilities.map(|raw| Bytes::from_static(raw.as_bytes())),
                ..Abilities::default()
            },
            conversation: None,
            claim: None,
            listener: caller.listener.clone().map(|ear| ear as Arc<dyn Listener>),
        };
        let reply = self.gate.call(call).await.map_err(|failure| {
            let hint = failure.hint().map(|hint| format!(" [{hint}]")).unwrap_or_default();
            format!("{}: {failure}{hint}", failure.code().as_str())
        })?;
        let body = String::from_utf8_lossy(reply.wire.part(reply.wire.parts.body)).into_owned();
        assert_eq!(reply.wire.json.iter().filter(|byte| **byte == b'\n').count(), 0);
        Ok(body)
    }

    /// The names listed of one kind.
    pub fn listed(&self, kind: ItemKind) -> Vec<String> {
        self.catalog.items(&Face::All, kind).1.iter().map(|item| item.raw.to_string()).collect()
    }

    pub async fn stop(&self) {
        self.upstream.stop().await;
    }
}

/// Waits, with a generous deadline, until `look` is true.
pub async fn until(what: &str, mut look: impl FnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    while !look() {
        assert!(tokio::time::Instant::now() < deadline, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
