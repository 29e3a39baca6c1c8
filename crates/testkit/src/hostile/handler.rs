//! Takes messages of either era and decides what goes back; knows nothing of transports.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::ask::Questions;
use super::behaviour::{Behaviour, Era};
use super::journal::Journal;
use super::outlet::Outlet;
use super::subscribe::Listeners;
use super::wire::{Answer, LEGACY, LEGACY_VERSIONS, MODERN, Message, Params, Refusal, Request, notification};
use super::{catalogue, process, tools};

/// How often a waiting call looks whether its client hung up.
const LOOK: Duration = Duration::from_millis(10);
/// Enough for any handler, and small: hundreds of calls may wait at once.
const STACK: usize = 256 * 1024;

/// The id of the question for the roots, JSON text.
const ROOTS: &str = r#""roots-at-start""#;

/// One server, shared by all its connections.
pub struct Handler {
    pub(super) behaviour: Behaviour,
    pub(super) journal: Journal,
    pub(super) listeners: Listeners,
    pub(super) questions: Questions,
    /// How many tool calls came so far.
    pub(super) calls: AtomicU64,
    grown: AtomicUsize,
    listed: AtomicBool,
    flooding: AtomicBool,
    rooted: AtomicBool,
    level: Mutex<String>,
    /// Ids of requests that were cancelled, JSON text.
    cancelled: Mutex<BTreeSet<String>>,
    cancellation: Condvar,
    /// Calls that wait get a thread; where each connection has one already they do not.
    threads: bool,
}

impl Handler {
    /// A server with these flags that records in `journal`. With `threads`, a tool that waits does
    /// not keep [`Handler::handle`] from returning.
    pub fn new(behaviour: Behaviour, journal: Journal, threads: bool) -> Arc<Self> {
        Arc::new(Self {
            behaviour,
            journal,
            threads,
            listeners: Listeners::default(),
            questions: Questions::default(),
            calls: AtomicU64::new(0),
            grown: AtomicUsize::new(0),
            listed: AtomicBool::new(false),
            flooding: AtomicBool::new(false),
            rooted: AtomicBool::new(false),
            level: Mutex::new("debug".into()),
            cancelled: Mutex::default(),
            cancellation: Condvar::new(),
        })
    }

    /// Takes one message; what it leads to goes to `outlet`.
    pub(super) fn handle(self: &Arc<Self>, text: &str, outlet: &Arc<dyn Outlet>) {
        self.journal.received(text);
        let Ok(message) = serde_json::from_str::<Message<'_>>(text) else {
            let error = Answer::Error(Refusal::new(-32700, "not a JSON-RPC message"));
            outlet.answer(&error.message("null").unwrap_or_default(), 400);
            return;
        };
        let id = message.id.map(RawValue::get);
        match (message.method.as_deref(), id) {
            (Some(method), Some(id)) => self.take(text, id, method, message.params, outlet),
            (Some(method), None) => self.notified(method, message.params, outlet),
            (None, Some(ROOTS)) => self.take_roots(),
            (None, Some(id)) => drop(self.questions.answered(id, text)),
            (None, None) => {}
        }
    }

    fn take(self: &Arc<Self>, text: &str, id: &str, method: &str, params: Option<&RawValue>, outlet: &Arc<dyn Outlet>) {
        let params = match read(params) {
            Ok(params) => params,
            Err(refusal) => return self.give(id, &Answer::Error(refusal), outlet),
        };
        let modern = params.meta.is_modern() && matches!(self.behaviour.era, Era::Modern | Era::Dual);
        let request = Request { id, method, params, modern };
        if self.threads && self.blocks(&request) {
            return self.spawn(text, outlet);
        }
        self.serve(&request, outlet);
    }

    fn serve(self: &Arc<Self>, request: &Request<'_>, outlet: &Arc<dyn Outlet>) {
        let answer = match self.refusal(request).or_else(|| self.canned(request.method)) {
            Some(answer) => answer,
            None => self.answer(request, outlet),
        };
        self.give(request.id, &answer, outlet);
        if request.method == "tools/list" {
            self.after_list();
        }
    }

    /// What was said on the command line to answer to this method, word for word.
    fn canned(&self, method: &str) -> Option<Answer> {
        let of = |text: &String| Some(text.strip_prefix(method)?.strip_prefix('=')?.to_owned());
        self.behaviour.canned.iter().find_map(of).map(Answer::Result)
    }

    fn blocks(&self, request: &Request<'_>) -> bool {
        request.method == "tools/call" && tools::may_block(self.bare(&request.params.name))
    }

    fn spawn(self: &Arc<Self>, text: &str, outlet: &Arc<dyn Outlet>) {
        let (this, text, outlet) = (Arc::clone(self), text.to_owned(), Arc::clone(outlet));
        let serve = move || {
            let message: Message<'_> = serde_json::from_str(&text).expect("it was read before");
            let params = read(message.params).expect("they were read before");
            let modern = params.meta.is_modern() && matches!(this.behaviour.era, Era::Modern | Era::Dual);
            let id = message.id.map_or("null", RawValue::get);
            let request = Request { id, method: "tools/call", params, modern };
            this.serve(&request, &outlet);
        };
        drop(thread::Builder::new().stack_size(STACK).spawn(serve));
    }

    fn give(&self, id: &str, answer: &Answer, outlet: &Arc<dyn Outlet>) {
        if let Some(message) = answer.message(id) {
            outlet.answer(&message, answer.status());
        }
    }

    /// Why a request of this era is not served at all.
    fn refusal(&self, request: &Request<'_>) -> Option<Answer> {
        let era = self.behaviour.era;
        let meta = &request.params.meta;
        if era == Era::SilentOnDiscover && (meta.is_modern() || request.method == "server/discover") {
            return Some(Answer::Silence);
        }
        let refusal = match (request.modern, era) {
            (true, _) if meta.version.as_deref() != Some(MODERN) => unsupported(era, meta.version.as_deref()),
            (true, _) if meta.capabilities.is_none() => Refusal::metadata("clientCapabilities is missing"),
            (false, Era::Modern) if request.method == "initialize" => Refusal::no_method("initialize"),
            (false, Era::Modern) => Refusal::metadata("protocolVersion is missing"),
            _ => return None,
        };
        Some(Answer::Error(refusal))
    }

    fn answer(self: &Arc<Self>, request: &Request<'_>, outlet: &Arc<dyn Outlet>) -> Answer {
        let behaviour = &self.behaviour;
        match (request.method, request.modern) {
            ("initialize", false) => self.initialize(request, outlet),
            ("server/discover", true) => self.discover(request),
            ("server/discover", false) if behaviour.era == Era::ExitOnDiscover => process::die(1),
            ("ping", false) => request.complete(""),
            ("logging/setLevel", false) => {
                self.level.lock().expect("no logger panics").clone_from(&request.params.level);
                request.complete("")
            }
            ("tools/list", _) if behaviour.tools != Some(0) => {
                catalogue::tools(behaviour, self.grown.load(Ordering::Relaxed), request)
            }
            ("tools/call", _) if behaviour.tools != Some(0) => self.call(request, outlet),
            ("completion/complete", _) => catalogue::complete(request),
            ("subscriptions/listen", true) => {
                let filter = request.params.notifications.map_or("{}", RawValue::get);
                let filter = serde_json::from_str(filter).unwrap_or_default();
                self.listeners.listen(request.id, filter, outlet);
                Answer::Silence
            }
            (method, _) if behaviour.resources && method.starts_with("resources/") => self.resource(request),
            ("prompts/list", _) if behaviour.prompts => catalogue::prompts(behaviour, request),
            ("prompts/get", _) if behaviour.prompts => catalogue::prompt(request),
            (method, _) => Answer::Error(Refusal::no_method(method)),
        }
    }

    fn resource(&self, request: &Request<'_>) -> Answer {
        match (request.method, request.modern) {
            ("resources/list", _) => catalogue::resources(&self.behaviour, request),
            ("resources/templates/list", _) => catalogue::templates(&self.behaviour, request),
            ("resources/read", _) => catalogue::read(&self.behaviour, request),
            ("resources/subscribe", false) => {
                self.listeners.subscribe(&request.params.uri);
                request.complete("")
            }
            ("resources/unsubscribe", false) => {
                self.listeners.unsubscribe(&request.params.uri);
                request.complete("")
            }
            (method, _) => Answer::Error(Refusal::no_method(method)),
        }
    }

    fn initialize(&self, request: &Request<'_>, outlet: &Arc<dyn Outlet>) -> Answer {
        if self.threads {
            self.listeners.add_broadcast(Arc::clone(outlet));
        }
        let asked = request.params.protocol_version.as_str();
        let echoed = if LEGACY_VERSIONS.contains(&asked) { asked } else { LEGACY };
        let version = json!(self.behaviour.protocol_version.as_deref().unwrap_or(echoed));
        let (info, capabilities) = (self.info(), self.capabilities());
        request.complete(&format!(r#""protocolVersion":{version},"capabilities":{capabilities},"serverInfo":{info}"#))
    }

    fn discover(&self, request: &Request<'_>) -> Answer {
        let (info, capabilities) = (self.info(), self.capabilities());
        let versions = json!(versions(self.behaviour.era));
        request.cacheable(&format!(
            r#""supportedVersions":{versions},"capabilities":{capabilities},"_meta":{{"io.modelcontextprotocol/serverInfo":{info}}}"#
        ))
    }

    fn info(&self) -> Value {
        json!({"name": self.behaviour.name, "version": self.behaviour.version})
    }

    fn capabilities(&self) -> Value {
        let mut all = json!({"logging": {}, "completions": {}});
        if self.behaviour.tools != Some(0) {
            all["tools"] = json!({"listChanged": true});
        }
        if self.behaviour.resources {
            all["resources"] = json!({"subscribe": true, "listChanged": true});
        }
        if self.behaviour.prompts {
            all["prompts"] = json!({});
        }
        all
    }

    fn call(self: &Arc<Self>, request: &Request<'_>, outlet: &Arc<dyn Outlet>) -> Answer {
        let count = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
        if self.behaviour.crash_on_call == Some(count) {
            process::die(1);
        }
        if self.behaviour.flood && !self.flooding.swap(true, Ordering::Relaxed) {
            self.flood(outlet);
        }
        if self.behaviour.hang_on_call {
            return Answer::Silence;
        }
        if self.behaviour.roots_at_start.is_some() && !self.rooted.load(Ordering::Relaxed) {
            return request.fails("no roots yet");
        }
        let answer = tools::call(self, self.bare(&request.params.name), request, outlet);
        self.spoil(count, request, answer, outlet)
    }

    /// Does to the answer of a tool call what the flags ask for.
    fn spoil(&self, count: u64, request: &Request<'_>, answer: Answer, outlet: &Arc<dyn Outlet>) -> Answer {
        let Some(message) = answer.message(request.id) else {
            return answer;
        };
        if self.behaviour.crash_mid_line && count == 1 {
            outlet.send_torn(&message);
            return Answer::Silence;
        }
        if let (Some(bytes), 1) = (self.behaviour.line_bytes, count) {
            let head =
                format!(r#"{{"jsonrpc":"2.0","id":{},"result":{{"content":[{{"type":"text","text":""#, request.id);
            let tail = r#""}]}}"#;
            outlet.send_long(&head, bytes.saturating_sub((head.len() + tail.len()) as u64), tail);
            return Answer::Silence;
        }
        if self.behaviour.duplicate_answer {
            outlet.send(&message);
        }
        if self.behaviour.wrong_id {
            outlet.send(&answer.message(r#""nobody asked""#).unwrap_or_default());
            return Answer::Silence;
        }
        answer
    }

    fn flood(&self, outlet: &Arc<dyn Outlet>) {
        let outlet = Arc::clone(outlet);
        let params = r#"{"level":"info","data":"flood"}"#;
        let message = notification("notifications/message", params);
        let flood = move || while outlet.send(&message) {};
        drop(thread::Builder::new().stack_size(STACK).spawn(flood));
    }

    fn notified(&self, method: &str, params: Option<&RawValue>, outlet: &Arc<dyn Outlet>) {
        let Ok(params) = read(params) else { return };
        if method == "notifications/initialized" && self.behaviour.roots_at_start.is_some() {
            outlet.send(&format!(r#"{{"jsonrpc":"2.0","id":{ROOTS},"method":"roots/list"}}"#));
        }
        if let ("notifications/cancelled", Some(id)) = (method, params.request_id) {
            self.cancel(id.get(), outlet);
        }
    }

    /// Looks at the roots for a while, as servers do that ask the disk about them.
    fn take_roots(self: &Arc<Self>) {
        let this = Arc::clone(self);
        let time = Duration::from_millis(self.behaviour.roots_at_start.unwrap_or(0));
        let look = move || {
            thread::sleep(time);
            this.rooted.store(true, Ordering::Relaxed);
        };
        drop(thread::Builder::new().stack_size(STACK).spawn(look));
    }

    pub(super) fn cancel(&self, id: &str, outlet: &Arc<dyn Outlet>) {
        if let Some(members) = self.listeners.close(id) {
            let last = Answer::Result(format!(r#"{{"resultType":"complete",{members}}}"#));
            return self.give(id, &last, outlet);
        }
        self.cancelled.lock().expect("no call panics").insert(id.into());
        self.cancellation.notify_all();
    }

    /// Waits, unless the request is cancelled or its client hangs up. True when the time is over.
    pub(super) fn rest(&self, id: &str, time: Duration, outlet: &Arc<dyn Outlet>) -> bool {
        let end = crate::wait::now() + time;
        let mut cancelled = self.cancelled.lock().expect("no call panics");
        loop {
            let left = end.saturating_duration_since(crate::wait::now());
            if left.is_zero() {
                return true;
            }
            if cancelled.remove(id) || outlet.gone() {
                self.journal.note("given up", json!({ "id": id }));
                return false;
            }
            cancelled = self.cancellation.wait_timeout(cancelled, left.min(LOOK)).expect("no call panics").0;
        }
    }

    pub(super) fn grow(&self) {
        self.grown.fetch_add(1, Ordering::Relaxed);
        self.listeners.list_changed("tools");
    }

    /// What the flags promise to happen after the first list was given out.
    fn after_list(&self) {
        if self.listed.swap(true, Ordering::Relaxed) {
            return;
        }
        if self.behaviour.list_changed {
            self.grow();
        }
        for _ in 0..self.behaviour.list_changed_storm {
            self.listeners.list_changed("tools");
        }
    }

    pub(super) fn level(&self) -> String {
        self.level.lock().expect("no logger panics").clone()
    }

    /// The name without the prefix. Without its prefix a tool does not exist.
    fn bare<'a>(&self, name: &'a str) -> &'a str {
        name.strip_prefix(self.behaviour.tool_prefix.as_str()).unwrap_or_default()
    }

    pub(super) fn is_echo(&self, name: &str) -> bool {
        name == "echo" || name.starts_with("tool_") || name.starts_with("grown_")
    }
}

fn read(params: Option<&RawValue>) -> Result<Params<'_>, Refusal> {
    match params {
        None => Ok(Params::default()),
        Some(params) => serde_json::from_str(params.get()).map_err(|error| Refusal::params(error.to_string())),
    }
}

fn versions(era: Era) -> Vec<&'static str> {
    match era {
        Era::Modern => vec![MODERN],
        Era::Dual => [MODERN].into_iter().chain(LEGACY_VERSIONS).collect(),
        Era::Legacy | Era::ExitOnDiscover | Era::SilentOnDiscover => LEGACY_VERSIONS.into(),
    }
}

fn unsupported(era: Era, asked: Option<&str>) -> Refusal {
    match asked {
        None => Refusal::metadata("protocolVersion is missing"),
        Some(asked) => {
            let data = json!({"supported": versions(era), "requested": asked});
            Refusal::new(-32022, "unsupported protocol version").with(&data)
        }
    }
}
