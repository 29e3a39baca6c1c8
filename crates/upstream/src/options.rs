//! What an upstream is told when it is made. Not here: reading configuration, or defaults of it.

use crate::oauth::Tokens;
use gate::ports::Clock;
use gate::{Catalog, Hub, Secret, ServerName};
use std::ffi::OsString;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::DuplexStream;
use tokio_util::task::TaskTracker;

/// One server's settings, resolved.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// The configured name.
    pub name: ServerName,
    /// How it is reached.
    pub transport: Transport,
    /// How long it may take to start and to list what it has.
    pub startup_timeout: Duration,
    /// How long one call may take.
    pub call_timeout: Duration,
    /// Progress within this time keeps a call alive beyond `call_timeout`; without it progress changes nothing.
    pub idle_timeout: Option<Duration>,
    /// Which eras are tried.
    pub protocol: Protocol,
    /// The roots that the server is told of.
    pub roots: Vec<Root>,
    /// The directory that is its root where neither `roots` nor the caller names one.
    pub workspace: Option<Root>,
    /// Calls that may be under way at once; more wait their turn.
    pub max_concurrent_calls: usize,
    /// The version its entry names, for telling one from another.
    pub version: Option<String>,
    /// Names this configuration: what was remembered under another digest is forgotten.
    pub config_digest: String,
    /// The bounds of the wire.
    pub limits: mcp::Limits,
}

/// How a server is reached.
#[derive(Debug, Clone, PartialEq)]
pub enum Transport {
    /// A child process that speaks over its standard input and output.
    Stdio(StdioOptions),
    /// An HTTP endpoint.
    Http(HttpOptions),
    /// A server inside this process.
    Within(WithinOptions),
}

/// What serves the other end of a stream, until that is closed or the future is dropped.
pub type Serve = Arc<dyn Fn(DuplexStream) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// A server inside this process.
#[derive(Clone)]
pub struct WithinOptions {
    /// The server.
    pub serve: Serve,
    /// Names its settings: two servers of the same digest are the same.
    pub digest: String,
    /// The level that holds what it runs.
    pub sandbox: String,
}

impl PartialEq for WithinOptions {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

impl std::fmt::Debug for WithinOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WithinOptions").field("digest", &self.digest).finish_non_exhaustive()
    }
}

/// A child process.
#[derive(Clone, PartialEq, Eq)]
pub struct StdioOptions {
    /// The program, a name or a path.
    pub program: OsString,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Its whole environment.
    pub env: Vec<(OsString, OsString)>,
    /// Where it starts; `None` for the current directory.
    pub cwd: Option<PathBuf>,
    /// The `PATH` its program is looked up in.
    pub path_for_lookup: OsString,
    /// What it is bound by; `None`: it is only supervised.
    pub profile: Option<Box<sandbox::Profile>>,
}

/// Arguments and values may be secrets: neither is printed.
impl std::fmt::Debug for StdioOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StdioOptions").field("program", &self.program).finish_non_exhaustive()
    }
}

/// An HTTP endpoint.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpOptions {
    /// Where it is.
    pub url: String,
    /// Sent with every request.
    pub headers: Vec<(String, Secret)>,
    /// It speaks HTTP+SSE of 2024-11-05; nothing else is tried.
    pub sse: bool,
    /// The login of a person there, if it may have one.
    pub oauth: Option<Arc<Tokens>>,
}

/// A URL may carry a secret: only the headers' names are printed.
impl std::fmt::Debug for HttpOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("HttpOptions").field("headers", &names).finish_non_exhaustive()
    }
}

/// Which eras are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Protocol {
    /// Both, beginning with the likelier.
    #[default]
    Auto,
    /// Only the handshake.
    Legacy,
    /// Only self-describing requests.
    Modern,
}

/// A directory the server may work in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    /// A `file://` URI.
    pub uri: String,
    /// A name for people.
    pub name: Option<String>,
}

/// How we introduce ourselves to servers.
#[derive(Debug, Clone)]
pub struct ClientInfo {
    /// `clientInfo.name`.
    pub name: String,
    /// `clientInfo.version`.
    pub version: String,
}

/// What all upstreams of one gate share.
pub struct World {
    /// Told what servers list.
    pub catalog: Arc<Catalog>,
    /// Told what servers say outside calls; its masks are those of all that is shown of their words.
    pub hub: Arc<Hub>,
    /// How child processes are supervised.
    pub helper: sandbox::Helper,
    /// Tells when a state began.
    pub clock: Arc<dyn Clock>,
    /// Writes down what happened to servers.
    pub notes: gate::Notes,
    /// Where catalogs are kept between runs, in `catalog/`, and in `seen/` how servers were found.
    pub state_dir: PathBuf,
    /// Owns every task that is started here.
    pub tasks: TaskTracker,
    /// How we introduce ourselves.
    pub client_info: ClientInfo,
}
