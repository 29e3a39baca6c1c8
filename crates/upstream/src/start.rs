//! Opening a conversation: starting what has to be started, and finding the era the server speaks.

use crate::duplex::Duplex;
use crate::http_auth::{self, Door, Keys};
use crate::http_link::{self, HttpLink};
use crate::http_stream;
use crate::incoming::Via;
use crate::options::{HttpOptions, Protocol, StdioOptions, Transport, WithinOptions};
use crate::outgoing;
use crate::session::{Carrier, Peer, Session, Trouble};
use crate::stdio_link::{self, NEWS, Process, Streams};
use crate::supervisor::Shared;
use bytes::Bytes;
use gate::{Code, Fault};
use mcp::revision::meta;
use mcp::{Era, Frame, Kind, Revision, view};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};

/// How long a probe for the stateless era may stay unanswered before the handshake is tried beside it.
const PROBE: Duration = Duration::from_secs(3);
/// How long a server that refuses everything else may take to open a stream of HTTP+SSE.
const FALLBACK: Duration = Duration::from_secs(5);
/// How long a server may take to look at the roots it was told.
const ROOTS: Duration = Duration::from_millis(100);
/// Bytes on the way to or from a server inside this process.
const PIPE: usize = 64 << 10;
/// What we can be asked, as far as one of our callers can. Fixed for a whole conversation, so it is all there is.
const CAPABILITIES: &str = r#"{"roots":{},"sampling":{},"elicitation":{"form":{},"url":{}}}"#;

/// A conversation and what it runs on.
pub(crate) struct Live {
    pub session: Arc<Session>,
    process: Option<Process>,
    /// Of a server inside this process.
    streams: Option<Streams>,
    /// Ends the tasks that serve the conversation.
    _reading: Option<DropGuard>,
}

impl Live {
    fn new(session: Arc<Session>) -> Self {
        Self { session, process: None, streams: None, _reading: None }
    }

    /// Returns when what it runs on has ended. Over HTTP nothing does.
    pub async fn ended(&mut self, shared: &Shared) -> Fault {
        match (&mut self.process, &mut self.streams) {
            (Some(process), _) => process.ended(shared).await,
            (None, Some(streams)) => {
                streams.ended().await;
                shared.faults.died("closed its output")
            }
            (None, None) => std::future::pending().await,
        }
    }

    /// Takes leave, and returns when nothing of it is left.
    pub async fn close(mut self) {
        if let Carrier::Http(link) = &self.session.carrier {
            // A server that does not even answer this is left alone.
            let _ = timeout(PROBE, link.close(&self.session)).await;
        }
        if let Some(process) = self.process.take() {
            process.stop().await;
        }
    }
}

/// Opens a conversation within the time a server has for that.
pub(crate) async fn open(shared: &Arc<Shared>) -> Result<Live, Fault> {
    let limit = shared.options.startup_timeout;
    let opening = async {
        match &shared.options.transport {
            Transport::Stdio(options) => open_stdio(shared, options).await,
            Transport::Http(options) => open_http(shared, options).await,
            Transport::Within(server) => open_within(shared, server).await,
        }
    };
    let method = if shared.options.protocol == Protocol::Modern { "server/discover" } else { "initialize" };
    let live = timeout(limit, opening).await.unwrap_or_else(|_| Err(shared.faults.start_timeout(method, limit)))?;
    if let Some(peer) = live.session.peer() {
        shared.remember_era(peer.revision.era());
        tracing::info!(target: "mcp::manager", server = %shared.options.name, revision = %peer.revision, "connected");
    }
    Ok(live)
}

async fn open_stdio(shared: &Arc<Shared>, options: &StdioOptions) -> Result<Live, Fault> {
    let modern_first = match shared.options.protocol {
        Protocol::Modern => true,
        Protocol::Legacy => false,
        Protocol::Auto => shared.era() == Some(Era::Modern),
    };
    match attempt(shared, options, modern_first).await {
        Ok(live) => Ok(live),
        // Older servers end when they are asked before the handshake: once more, without the question.
        Err(Unmet::Died(_)) if modern_first && shared.options.protocol == Protocol::Auto => {
            attempt(shared, options, false).await.map_err(Unmet::into_fault)
        }
        Err(unmet) => Err(unmet.into_fault()),
    }
}

/// Starts the process and negotiates while watching whether it lives.
async fn attempt(shared: &Arc<Shared>, options: &StdioOptions, modern_first: bool) -> Result<Live, Unmet> {
    let (session, process) = stdio_link::spawn(shared, options).await.map_err(Unmet::Broke)?;
    let mut live = Live { process: Some(process), ..Live::new(session.clone()) };
    let outcome = tokio::select! {
        biased;
        agreed = negotiate(&session, modern_first) => agreed,
        fault = live.ended(shared) => Err(Unmet::Died(fault)),
    };
    let outcome = match outcome {
        Ok(()) => return Ok(live),
        // If it broke because the process ended, that says more.
        Err(Unmet::Broke(fault)) => match timeout(2 * NEWS, live.ended(shared)).await {
            Ok(fault) => Err(Unmet::Died(fault)),
            Err(_) => Err(Unmet::Broke(fault)),
        },
        Err(unmet) => Err(unmet),
    };
    match outcome {
        // A program that speaks and leaves is another thing than a server that breaks.
        Err(Unmet::Died(fault)) if session.chattered.load(Ordering::Relaxed) => {
            Err(Unmet::Died(shared.faults.no_server(&fault)))
        }
        outcome => outcome,
    }
}

/// Why there is no agreement.
enum Unmet {
    /// The server refuses to speak like this; with an HTTP status, if that is how it said so.
    Refused { status: Option<u16>, fault: Fault },
    /// Something broke.
    Broke(Fault),
    /// The process ended.
    Died(Fault),
}

impl Unmet {
    fn into_fault(self) -> Fault {
        match self {
            Self::Refused { fault, .. } | Self::Broke(fault) | Self::Died(fault) => fault,
        }
    }
}

async fn negotiate(session: &Arc<Session>, modern_first: bool) -> Result<(), Unmet> {
    match session.shared.options.protocol {
        Protocol::Modern => discover(session).await,
        Protocol::Legacy => initialize(session).await,
        Protocol::Auto if modern_first => modern_then_legacy(session).await,
        Protocol::Auto => legacy_then_modern(session).await,
    }
}

async fn legacy_then_modern(session: &Arc<Session>) -> Result<(), Unmet> {
    let refused = match initialize(session).await {
        Err(refused @ Unmet::Refused { .. }) => refused,
        other => return other,
    };
    match discover(session).await {
        // What the handshake was refused with says more.
        Err(Unmet::Refused { .. }) => Err(refused),
        other => other,
    }
}

/// The probe may stay unanswered: then the handshake is tried beside it, and whichever is answered counts.
async fn modern_then_legacy(session: &Arc<Session>) -> Result<(), Unmet> {
    let mut probe = std::pin::pin!(discover(session));
    match timeout(PROBE, &mut probe).await {
        Ok(Err(Unmet::Refused { .. })) => initialize(session).await,
        Ok(other) => other,
        Err(_) => tokio::select! {
            Ok(()) = &mut probe => Ok(()),
            shaken = initialize(session) => shaken,
        },
    }
}

fn no_era(session: &Session) -> Unmet {
    let options = &session.shared.options;
    let wanted = match options.protocol {
        Protocol::Modern => "2026-07-28",
        Protocol::Legacy => "any revision with a handshake",
        Protocol::Auto => "any revision known here",
    };
    let fault = session.shared.faults.protocol(format!("does not speak {wanted}"));
    let hint = format!("`protocol = \"auto\"` of [mcp_servers.{}] lets it choose", options.name);
    let hint = (options.protocol != Protocol::Auto).then_some(hint);
    Unmet::Refused { status: None, fault: Fault { hint, ..fault } }
}

/// A server inside this process ends when the conversation does.
async fn open_within(shared: &Arc<Shared>, server: &WithinOptions) -> Result<Live, Fault> {
    let (ours, theirs) = tokio::io::duplex(PIPE);
    let (reader, writer) = tokio::io::split(ours);
    let (session, streams) = stdio_link::converse(shared, reader, writer);
    shared.world.tasks.spawn(streams.closing.clone().run_until_cancelled_owned((server.serve)(theirs)));
    let live = Live { streams: Some(streams), ..Live::new(session.clone()) };
    initialize(&session).await.map_err(Unmet::into_fault)?;
    Ok(live)
}

async fn open_http(shared: &Arc<Shared>, options: &HttpOptions) -> Result<Live, Fault> {
    let endpoint = http_link::endpoint(options, shared.options.limits, &shared.faults)?;
    let keys = options.oauth.as_ref().map(|tokens| Keys::new(tokens.clone(), shared.world.tasks.clone()));
    if options.sse {
        return open_sse(shared, &endpoint, keys).await;
    }
    let door = Door::new(endpoint.clone(), keys.clone());
    let live = Live::new(Session::new(shared.clone(), Carrier::Http(HttpLink::new(door))));
    let session = live.session.clone();
    let modern_first = match shared.options.protocol {
        Protocol::Modern => true,
        Protocol::Legacy => false,
        Protocol::Auto => shared.era() != Some(Era::Legacy),
    };
    match negotiate(&session, modern_first).await {
        Ok(()) => Ok(attend(live)),
        // What knows neither may be of the first generation of HTTP servers.
        Err(Unmet::Refused { status: Some(400 | 404 | 405), fault }) if shared.options.protocol != Protocol::Modern => {
            timeout(FALLBACK, open_sse(shared, &endpoint, keys)).await.ok().and_then(Result::ok).ok_or(fault)
        }
        Err(unmet) => Err(unmet.into_fault()),
    }
}

/// A handshaken HTTP conversation has a stream for what belongs to no request.
fn attend(live: Live) -> Live {
    if live.session.is_modern() {
        return live;
    }
    let over = CancellationToken::new();
    let stream = over.clone().run_until_cancelled_owned(http_stream::keep_open(live.session.clone()));
    live.session.shared.world.tasks.spawn(stream);
    Live { _reading: Some(over.drop_guard()), ..live }
}

async fn open_sse(
    shared: &Arc<Shared>,
    endpoint: &mcp::streamable_http::Endpoint,
    keys: Option<Keys>,
) -> Result<Live, Fault> {
    let faults = &shared.faults;
    let connected = http_auth::connect(endpoint, keys).await;
    let (posts, mut stream) =
        connected.map_err(|refusal| http_link::trouble(&refusal, faults, false).into_fault(faults))?;
    let session = Session::new(shared.clone(), Carrier::Duplex(Duplex::Posts(posts)));
    let over = CancellationToken::new();
    let (reader, closed) = (session.clone(), over.clone());
    shared.world.tasks.spawn(async move {
        let reading = async {
            while let Some(Ok(event)) = stream.next().await {
                http_link::take_event(&reader, event, Via::Shared);
            }
        };
        if closed.run_until_cancelled(reading).await.is_some() {
            reader.fail(&reader.shared.faults.unavailable("closed its stream"));
        }
    });
    let live = Live { _reading: Some(over.drop_guard()), ..Live::new(session.clone()) };
    initialize(&session).await.map_err(Unmet::into_fault)?;
    Ok(live)
}

/// A request that opens a conversation; a server that answers with an error refuses it.
async fn request(session: &Arc<Session>, method: &str, params: &str) -> Result<Frame, Unmet> {
    match session.ask(method, params).await {
        Ok(frame) if frame.kind() == Kind::Error => Err(no_era(session)),
        Ok(frame) => Ok(frame),
        Err(Trouble::Rejected { status, fault }) => Err(Unmet::Refused { status: Some(status), fault }),
        Err(trouble) => Err(Unmet::Broke(trouble.into_fault(&session.shared.faults))),
    }
}

/// The handshake.
async fn initialize(session: &Arc<Session>) -> Result<(), Unmet> {
    let faults = &session.shared.faults;
    let params = format!(
        "\"protocolVersion\":\"{}\",\"capabilities\":{CAPABILITIES},\"clientInfo\":{}",
        Revision::NEWEST_LEGACY,
        session.shared.client_info
    );
    let frame = request(session, "initialize", &params).await?;
    let version = frame.get_string("protocolVersion");
    let revision = version.as_deref().and_then(|text| text.parse::<Revision>().ok());
    let Some(revision) = revision.filter(|revision| revision.era() == Era::Legacy) else {
        return Err(Unmet::Broke(faults.protocol("answered `initialize` with a revision that is not known here")));
    };
    session.agree(peer(&frame, revision, frame.get("serverInfo")));
    let initialized = outgoing::notification("notifications/initialized", "");
    session.tell(initialized.into()).await.map_err(|trouble| Unmet::Broke(trouble.into_fault(faults)))?;
    let_roots_settle(session).await;
    Ok(())
}

/// Some servers ask for their roots after the handshake and refuse everything until they took in the answer.
/// Nothing says when they have, but whoever will ask has asked before it answers a ping.
async fn let_roots_settle(session: &Arc<Session>) {
    if session.shared.options.roots.is_empty() {
        return;
    }
    // A server that answers no ping has other troubles, and they show elsewhere.
    let _ = timeout(PROBE, session.ask("ping", "")).await;
    if session.told_roots.load(Ordering::Relaxed) {
        let _ = timeout(PROBE, session.ask("ping", "")).await;
        tokio::time::sleep(ROOTS).await;
    }
}

/// The question of the stateless era.
async fn discover(session: &Arc<Session>) -> Result<(), Unmet> {
    let frame = match request(session, "server/discover", "").await {
        Err(Unmet::Broke(fault)) if fault.code == Code::UpstreamProtocol => {
            return Err(Unmet::Refused { status: None, fault });
        }
        other => other?,
    };
    let versions = frame.get("supportedVersions").and_then(|raw| Some((raw, view::elements(raw).ok()?)));
    let modern = versions.is_some_and(|(raw, spans)| {
        let mut versions = spans.iter().filter_map(|span| view::string(span.of(raw)));
        versions.any(|version| version == Revision::MODERN.as_str())
    });
    if !modern {
        return Err(no_era(session));
    }
    let info = frame.meta(meta::SERVER_INFO).or_else(|| frame.get("serverInfo"));
    session.agree(peer(&frame, Revision::MODERN, info));
    Ok(())
}

fn peer(frame: &Frame, revision: Revision, info: Option<&str>) -> Peer {
    let own = |raw: &str| Bytes::copy_from_slice(raw.as_bytes());
    Peer {
        revision,
        capabilities: own(frame.get("capabilities").filter(|raw| raw.starts_with('{')).unwrap_or("{}")),
        server_info: info.map(own),
        instructions: frame.get_string("instructions").map(Into::into),
    }
}
