//! The face on HTTP: `/mcp`, `/mcp/NAME`, `/approvals`, `/status`, `/healthz` and `/readyz`.
//!
//! One task per connection carries its requests; nothing is spawned for a call, unless its connection ends before
//! it in the era in which that is no cancellation.

mod approvals;
mod body;
mod channel;
mod connection;
mod guard;
mod post;
mod route;
mod session;
mod status;

pub use approvals::Approver;
pub(crate) use channel::Channel;
pub use guard::Auth;
pub use status::StatusReport;

use crate::front::{Front, Options};
use crate::herald::{Hearer, herald};
use crate::line::Out;
use approvals::Attempts;
use gate::{Face, Gate};
use guard::Guard;
use session::{HttpSession, Sessions};
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long connections may still take once the face closes.
const DRAIN: Duration = Duration::from_secs(1);
/// How long to wait after a connection could not be accepted, for want of descriptors as a rule.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How often idle sessions are looked for.
const SWEEP: Duration = Duration::from_secs(60);

/// Who may speak to the face over HTTP, and how much at once.
#[derive(Debug, Clone)]
pub struct HttpOptions {
    /// What a request has to show.
    pub auth: Auth,
    /// Names (`host` or `host:port`) under which the face may be called, besides loopback and the address it
    /// listens on.
    pub allowed_hosts: Vec<String>,
    /// Origins (`scheme://host[:port]`) of web pages that may call, besides loopback ones of the same port.
    pub allowed_origins: Vec<String>,
    /// Connections at a time. More have to wait.
    pub connections: usize,
    /// Sessions at a time. The one idle for longest makes room.
    pub sessions: usize,
    /// After how long without a request or a stream a session ends.
    pub session_idle: Duration,
    /// After how long without a request a connection ends.
    pub connection_idle: Duration,
    /// How long the body of a request may take to arrive.
    pub body_wait: Duration,
    /// After how long without a word a request's answer becomes a stream, so that it can be kept alive.
    pub stream_after: Duration,
    /// How often a silent stream is kept alive.
    pub keep_alive: Duration,
    /// After how long a client is told to come back when a stream breaks.
    pub retry: Duration,
    /// Who answers questions at `/approvals`. Nobody: there is no such place.
    pub approver: Option<Approver>,
    /// What `/status` shows to whoever may call. Nobody: there is no such place.
    pub status: Option<StatusReport>,
}

impl HttpOptions {
    /// The defaults, with this proof asked for.
    pub fn new(auth: Auth) -> Self {
        Self {
            auth,
            allowed_hosts: Vec::new(),
            allowed_origins: Vec::new(),
            connections: 1_024,
            sessions: 1_024,
            session_idle: Duration::from_secs(60 * 60),
            connection_idle: Duration::from_secs(5 * 60),
            body_wait: Duration::from_secs(30),
            stream_after: Duration::from_secs(10),
            keep_alive: Duration::from_secs(15),
            retry: Duration::from_secs(1),
            approver: None,
            status: None,
        }
    }
}

/// All that the connections share.
struct Server {
    /// What `/mcp` shows.
    root: Arc<Front>,
    /// What `/mcp/NAME` shows, by name, once somebody asked for it. One of a server that is gone stays: its calls may
    /// still run, and the server may come back.
    faces: RwLock<HashMap<String, Arc<Front>>>,
    /// Random, for the fronts.
    mark: [u8; 4],
    sessions: Sessions,
    guard: Guard,
    /// Wrong secrets shown at `/approvals`.
    attempts: Attempts,
    options: HttpOptions,
}

/// Serves the faces on `listener` until `stop`: at `/mcp` the one of `options`, at `/mcp/NAME` each server alone.
///
/// # Errors
/// `InvalidInput` if no proof is asked for on an address that is not loopback; else what the listener reports.
pub async fn serve_http(
    gate: Arc<Gate>,
    options: Options,
    http: HttpOptions,
    listener: TcpListener,
    stop: CancellationToken,
) -> io::Result<()> {
    let address = listener.local_addr()?;
    let server = Arc::new(Server::new(gate, options, http, address)?);
    let tracker = TaskTracker::new();
    let kill = CancellationToken::new();
    let _end = kill.clone().drop_guard();
    let served = tokio::select! {
        biased;
        served = accept(&server, listener, &tracker, &stop, &kill) => served,
        () = announce(&server) => Ok(()),
    };
    server.close();
    tracker.close();
    // What does not end in time is cut off by `_end`.
    let _ = tokio::time::timeout(DRAIN, tracker.wait()).await;
    served
}

async fn accept(
    server: &Arc<Server>,
    listener: TcpListener,
    tracker: &TaskTracker,
    stop: &CancellationToken,
    kill: &CancellationToken,
) -> io::Result<()> {
    let room = Arc::new(Semaphore::new(server.options.connections));
    let mut sweep = tokio::time::interval(SWEEP);
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            _ = sweep.tick() => server.sessions.sweep(),
            accepted = async {
                let place = room.clone().acquire_owned().await.map_err(io::Error::other)?;
                Ok::<_, io::Error>((listener.accept().await?.0, place))
            } => match accepted {
                Ok((stream, place)) => {
                    let serve = connection::serve(server.clone(), stream, stop.clone());
                    tracker.spawn(kill.clone().run_until_cancelled_owned(async move {
                        serve.await;
                        drop(place);
                    }));
                }
                Err(error) => {
                    tracing::warn!(target: "mcp::http", %error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
}

/// Tells the sessions what servers say outside any request. Never ends.
async fn announce(server: &Server) {
    let notices = server.root.gate.hub().listen();
    let hearer = |session: &Arc<HttpSession>| Hearer {
        front: session.front.clone(),
        session: session.session.clone(),
        out: Out::Stream(session.inbox.clone()),
    };
    let hearers = || server.sessions.all().iter().filter(|session| session.inbox.known()).map(hearer).collect();
    herald(notices, hearers, || server.sessions.count() == 1).await;
    std::future::pending().await
}

impl Server {
    fn new(gate: Arc<Gate>, options: Options, http: HttpOptions, address: SocketAddr) -> io::Result<Self> {
        let guard = Guard::new(&http, address)?;
        let mut mark = [0; 4];
        getrandom::fill(&mut mark).map_err(io::Error::other)?;
        let options = Arc::new(options);
        let sessions = Sessions::new(http.sessions, http.session_idle);
        Ok(Self {
            root: Arc::new(Front::new(gate, options.face.clone(), options, mark)),
            faces: RwLock::default(),
            mark,
            sessions,
            guard,
            attempts: Attempts::new(),
            options: http,
        })
    }

    /// The face of one server, if there is such a server now.
    fn face_of(&self, name: &str) -> Option<Arc<Front>> {
        let Front { gate, face, options, .. } = &*self.root;
        if !gate.catalog().has(face, name) {
            return None;
        }
        if let Some(front) = self.faces.read().unwrap_or_else(PoisonError::into_inner).get(name) {
            return Some(front.clone());
        }
        let mut faces = self.faces.write().unwrap_or_else(PoisonError::into_inner);
        let new = || Arc::new(Front::new(gate.clone(), Face::Only(name.into()), options.clone(), self.mark));
        Some(faces.entry(name.to_owned()).or_insert_with(new).clone())
    }

    /// Subscriptions end with a word, sessions without.
    fn close(&self) {
        let faces = self.faces.read().unwrap_or_else(PoisonError::into_inner);
        for front in faces.values().chain([&self.root]) {
            front.stop.cancel();
            front.hurry.cancel();
        }
        self.sessions.close();
    }
}
