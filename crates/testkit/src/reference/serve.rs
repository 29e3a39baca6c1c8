//! Puts the reference server on a transport.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rmcp::ServiceExt;
use rmcp::service::ServerInitializeError;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService, stdio};
use tokio::net::TcpListener;

use super::{Era, Reference};

type Failure = Box<dyn Error + Send + Sync>;

/// How answers travel over HTTP.
#[derive(Debug, Clone, Copy, Default)]
pub struct HttpOptions {
    /// A plain JSON body where no notification has to precede the answer, and no sessions.
    pub json: bool,
    /// Legacy clients are served without a session, too.
    pub stateless: bool,
}

/// Serves one client on standard input and output, until it closes its end.
///
/// # Errors
/// When the client breaks the protocol before a revision was agreed on.
pub async fn on_stdio(era: Era) -> Result<(), Failure> {
    match Reference::new(era).serve(stdio()).await {
        Ok(running) => drop(running.waiting().await?),
        // A client that only looked whether we start.
        Err(ServerInitializeError::ConnectionClosed(_)) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

/// Serves `/mcp` until the process is killed. `bound` is given the URL, port resolved.
///
/// # Errors
/// When the address cannot be bound or the listener fails.
pub async fn on_http(
    era: Era,
    address: SocketAddr,
    options: HttpOptions,
    bound: impl FnOnce(&str) -> std::io::Result<()>,
) -> Result<(), Failure> {
    let listener = TcpListener::bind(address).await?;
    bound(&format!("http://{}/mcp", listener.local_addr()?))?;
    let reference = Reference::new(era);
    let service = StreamableHttpService::new(
        move || Ok(reference.clone()),
        Arc::new(LocalSessionManager::default()),
        config(era, options),
    );
    axum::serve(listener, axum::Router::new().nest_service("/mcp", service)).await?;
    Ok(())
}

fn config(era: Era, options: HttpOptions) -> StreamableHttpServerConfig {
    let sessions = era != Era::Modern && !options.json && !options.stateless;
    StreamableHttpServerConfig::default()
        .with_allowed_origins(["http://localhost:*", "http://127.0.0.1:*", "http://[::1]:*"])
        .with_sse_retry(Some(Duration::from_millis(500)))
        .with_legacy_session_mode(sessions)
        .with_json_response(options.json)
        .with_stateless_protocol_metadata_required(era == Era::Modern)
}
