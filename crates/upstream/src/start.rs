//! Opening a conversation: starting what has to be started, and finding the era the server speaks.

use crate::duplex::Duplex;
use crate::http_link::{self, HttpLink};
use crate::http_stream;
use crate::incoming::Via;
use crate::options::{HttpOptions, Protocol, StdioOptions, Transport};
use crate::outgoing;
use crate::session::{Carrier, Peer, Session, Trouble};
use crate::stdio_link::{self, Process};
use crate::supervisor::Shared;
use bytes::Bytes;
use gate::{Code, Fault};
use mcp::revision::meta;
use mcp::streamable_http::HopHeaders;
use mcp::{Era, Frame, Kind, Revision, http_sse, view};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};

/// How long a probe for the stateless era may stay unanswered before the handshake is tried beside it.
const PROBE: Duration = Duration::from_secs(3);
/// How long a server that refuses everything else may take to open a stream of HTTP+SSE.
const FALLBACK: Duration = Duration::from_secs(5);
/// What we can be asked, as far as one of our callers can. Fixed for a whole conversation, so it is all there is.
const CAPABILITIES: &str = r#"{"roots":{},"sampling":{},"elicitation":{"form":{},"url":{}}}"#;

/// A conversation and what it runs on.
pub(crate) struct Live {
    pub session: Arc<Session>,
    process: Option<Process>,
    /// Ends the tasks that serve the conversation.
    _reading: Option<DropGuard>,
}

impl Live {
    fn new(session: Arc<Session>) -> Self {
        Self { session, process: None, _reading: None }
    }

    /// Returns when what it runs on has ended. Over HTTP nothing does.
    pub async fn ended(&mut self, shared: &Shared) -> Fault {
        match &mut self.process {
            Some(process) => process.ended(shared).await,
            None => std::future::pending().await,
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
        }
    };
    let method = if shared.options.protocol == Protocol::Modern { "server/discover" } else { "initialize" };
    let live = timeout(limit, opening).await.unwrap_or_else(|_| Err(shared.faults.start_timeout(method, limit)))?;
    if let Some(peer) = live.session.peer() {
        shared.remember_era(peer.revision.era());
        tracing::debug!(target: "mcp::manager", server = %shared.options.name, revision = %peer.revision, "connected");
    }
    Ok(live)
}

async fn connect_stdio(shared: &Arc<Shared>, options: &StdioOptions) -> Result<Live, Fault> {
    let (session, process) = stdio_link::spawn(shared, options).await?;
    Ok(Live { process: Some(process), ..Live::new(session) })
}

async fn open_stdio(shared: &Arc<Shared>, options: &StdioOptions) -> Result<Live, Fault> {
    let mut live = connect_stdio(shared, options).await?;
    let modern_first = match shared.options.protocol {
        Protocol::Modern => true,
        Protocol::Legacy => false,
        Protocol::Auto => shared.era() == Some(Era::Modern),
    };
    let probed = modern_first;
    let outcome = agree_or_die(&mut live, shared, negotiate(shared, modern_first)).await;
    let died = match outcome {
        Ok(()) => return Ok(live),
        Err(Refused::Died(fault)) => fault,
        Err(Refused::Fault(fault)) => return Err(fault),
    };
    if !probed || shared.options.protocol == Protocol::Modern {
        return Err(died);
    }
    // Older servers end when they are asked before the handshake: once more, without the question.
    let mut live = connect_stdio(shared, options).await?;
    match agree_or_die(&mut live, shared, negotiate(shared, false)).await {
        Ok(()) => Ok(live),
        Err(Refused::Died(fault) | Refused::Fault(fault)) => Err(fault),
    }
}

enum Refused {
    Died(Fault),
    Fault(Fault),
}

type Negotiation = Box<dyn FnOnce(Arc<Session>) -> futures_util::future::BoxFuture<'static, Result<(), Fault>> + Send>;

fn negotiate(shared: &Shared, modern_first: bool) -> Negotiation {
    let protocol = shared.options.protocol;
    Box::new(move |session| {
        Box::pin(async move {
            match protocol {
                Protocol::Modern => discover(&session).await?.ok_or_else(|| no_era(&session, "2026-07-28")),
                Protocol::Legacy => initialize(&session).await?.ok_or_else(|| no_era(&session, "a handshake")),
                Protocol::Auto if modern_first => modern_then_legacy(&session).await,
                Protocol::Auto => legacy_then_modern(&session).await,
            }
        })
    })
}

/// Negotiates while watching whether the server lives.
async fn agree_or_die(live: &mut Live, shared: &Shared, negotiation: Negotiation) -> Result<(), Refused> {
    let session = live.session.clone();
    tokio::select! {
        biased;
        agreed = negotiation(session.clone()) => agreed.map_err(|fault| match session.pending.closed() {
            Some(_) => Refused::Died(fault),
            None => Refused::Fault(fault),
        }),
        fault = live.ended(shared) => Err(Refused::Died(fault)),
    }
}

async fn legacy_then_modern(session: &Arc<Session>) -> Result<(), Fault> {
    if initialize(session).await?.is_some() {
        return Ok(());
    }
    discover(session).await?.ok_or_else(|| no_era(session, "any revision known here"))
}

/// The probe may stay unanswered: then the handshake is tried beside it, and whichever is answered counts.
async fn modern_then_legacy(session: &Arc<Session>) -> Result<(), Fault> {
    let mut probe = std::pin::pin!(discover(session));
    let Ok(probed) = timeout(PROBE, &mut probe).await else {
        return tokio::select! {
            Ok(Some(())) = &mut probe => Ok(()),
            shaken = initialize(session) => shaken?.ok_or_else(|| no_era(session, "any revision known here")),
        };
    };
    if probed?.is_some() {
        return Ok(());
    }
    initialize(session).await?.ok_or_else(|| no_era(session, "any revision known here"))
}

fn no_era(session: &Session, wanted: &str) -> Fault {
    let fault = session.shared.faults.protocol(format!("does not speak {wanted}"));
    let hint = format!("`protocol = \"auto\"` of [mcp_servers.{}] lets it choose", session.shared.options.name);
    Fault { hint: (session.shared.options.protocol != Protocol::Auto).then_some(hint), ..fault }
}

async fn open_http(shared: &Arc<Shared>, options: &HttpOptions) -> Result<Live, Fault> {
    let endpoint = http_link::endpoint(options, shared.options.limits, &shared.faults)?;
    if options.sse {
        return open_sse(shared, &endpoint).await;
    }
    let live = Live::new(Session::new(shared.clone(), Carrier::Http(HttpLink::new(endpoint.clone()))));
    let session = live.session.clone();
    let modern_first = match shared.options.protocol {
        Protocol::Modern => true,
        Protocol::Legacy => false,
        Protocol::Auto => shared.era() != Some(Era::Legacy),
    };
    match negotiate(shared, modern_first)(session.clone()).await {
        Ok(()) => Ok(attend(live)),
        // What knows neither may be of the first generation of HTTP servers.
        Err(fault) if may_be_sse(&fault, shared.options.protocol) => {
            timeout(FALLBACK, open_sse(shared, &endpoint)).await.ok().and_then(Result::ok).ok_or(fault)
        }
        Err(fault) => Err(fault),
    }
}

fn may_be_sse(fault: &Fault, protocol: Protocol) -> bool {
    let refused = fault.code == Code::UpstreamProtocol || fault.what.starts_with("answered HTTP 4");
    protocol != Protocol::Modern && refused
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

async fn open_sse(shared: &Arc<Shared>, endpoint: &mcp::streamable_http::Endpoint) -> Result<Live, Fault> {
    let faults = &shared.faults;
    let connected = http_sse::connect(endpoint, &HopHeaders::default()).await;
    let (poster, mut stream) =
        connected.map_err(|failure| http_link::trouble(&failure, faults, false).into_fault(faults))?;
    let session = Session::new(shared.clone(), Carrier::Duplex(Duplex::Posts(poster)));
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
    initialize(&session).await?.ok_or_else(|| no_era(&session, "any revision known here"))?;
    Ok(live)
}

/// The handshake. `None` when the server refuses it.
async fn initialize(session: &Arc<Session>) -> Result<Option<()>, Fault> {
    let faults = &session.shared.faults;
    let params = format!(
        "\"protocolVersion\":\"{}\",\"capabilities\":{CAPABILITIES},\"clientInfo\":{}",
        Revision::NEWEST_LEGACY,
        session.shared.client_info
    );
    let frame = match session.ask("initialize", &params).await {
        Ok(frame) if frame.kind() == Kind::Error => return Ok(None),
        Ok(frame) => frame,
        Err(Trouble::Rejected { status: 400 | 404 | 405, fault })
            if session.shared.options.protocol == Protocol::Modern =>
        {
            return Err(fault);
        }
        Err(trouble) => return Err(trouble.into_fault(faults)),
    };
    let version = frame.get_string("protocolVersion");
    let revision = version.as_deref().and_then(|text| text.parse::<Revision>().ok());
    let Some(revision) = revision.filter(|revision| revision.era() == Era::Legacy) else {
        return Err(faults.protocol("answered `initialize` with a revision that is not known here"));
    };
    session.agree(peer(&frame, revision, frame.get("serverInfo")));
    let initialized = outgoing::notification("notifications/initialized", "");
    session.tell(initialized.into()).await.map_err(|trouble| trouble.into_fault(faults))?;
    Ok(Some(()))
}

/// The question of the stateless era. `None` when the server does not speak it.
async fn discover(session: &Arc<Session>) -> Result<Option<()>, Fault> {
    let faults = &session.shared.faults;
    let frame = match session.ask("server/discover", "").await {
        Ok(frame) if frame.kind() == Kind::Error => return Ok(None),
        Ok(frame) => frame,
        // Whatever else an HTTP server says to what it does not know: it does not know it.
        Err(Trouble::Rejected { .. } | Trouble::SessionLost) => return Ok(None),
        Err(Trouble::Fault(fault)) if fault.code == Code::UpstreamProtocol => return Ok(None),
        Err(trouble) => return Err(trouble.into_fault(faults)),
    };
    let versions = frame.get("supportedVersions").and_then(|raw| Some((raw, view::elements(raw).ok()?)));
    let modern = versions.is_some_and(|(raw, spans)| {
        let mut versions = spans.iter().filter_map(|span| view::string(span.of(raw)));
        versions.any(|version| version == Revision::MODERN.as_str())
    });
    if modern {
        let info = frame.meta(meta::SERVER_INFO).or_else(|| frame.get("serverInfo"));
        session.agree(peer(&frame, Revision::MODERN, info));
    }
    Ok(modern.then_some(()))
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
