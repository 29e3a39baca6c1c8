//! The address on this machine that the browser comes back to.

use super::error::LoginError;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;
use url::Url;

/// The longest head of a request.
const HEAD: usize = 16 << 10;
/// How long a browser may take to send it.
const SEND: Duration = Duration::from_secs(10);
/// Connections at a time; browsers open a few before they need them.
const CONNECTIONS: usize = 16;

/// Listens for the browser.
pub(super) struct Callback {
    listener: TcpListener,
    port: u16,
}

impl Callback {
    /// Listens at `port`; where nothing demands it, at any other if that one is taken.
    pub async fn listen(demanded: Option<u16>, liked: Option<u16>) -> Result<Self, LoginError> {
        let at = |port| TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        let listener = match (demanded, liked) {
            (Some(port), _) => at(port).await,
            (None, Some(port)) => match at(port).await {
                Err(_) => at(0).await,
                bound => bound,
            },
            (None, None) => at(0).await,
        };
        let listener = listener.map_err(LoginError::Listen)?;
        let port = listener.local_addr().map_err(LoginError::Listen)?.port();
        Ok(Self { listener, port })
    }

    /// The address to come back to.
    pub fn redirect(&self) -> String {
        format!("http://127.0.0.1:{}/callback", self.port)
    }

    /// Waits for the browser to bring an answer with this `state`. Whatever else comes is turned away: any page may
    /// send a browser here.
    pub async fn wait(&self, state: &str) -> Result<String, LoginError> {
        let mut serving = JoinSet::new();
        loop {
            tokio::select! {
                accepted = self.listener.accept(), if serving.len() < CONNECTIONS => {
                    let (stream, _) = accepted.map_err(LoginError::Listen)?;
                    let (base, state) = (self.redirect(), state.to_owned());
                    serving.spawn(async move { timeout(SEND, answer(stream, &base, &state)).await.ok().flatten() });
                }
                Some(answered) = serving.join_next() => {
                    if let Ok(Some(url)) = answered {
                        return Ok(url);
                    }
                }
            }
        }
    }
}

/// Reads one request and answers it; its URL, if it is the answer that is waited for.
async fn answer(mut stream: TcpStream, base: &str, state: &str) -> Option<String> {
    let mut head = Vec::new();
    let mut buffer = [0; 2048];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let read = stream.read(&mut buffer).await.ok().filter(|read| *read > 0)?;
        head.extend_from_slice(&buffer[..read]);
        if head.len() > HEAD {
            return None;
        }
    }
    let url = asked(&head, base).filter(|url| has_state(url, state));
    let (status, text) = match &url {
        Some(_) => ("200 OK", "toolgate has the answer. You can close this window; the terminal says how it went."),
        None => ("404 Not Found", "This is not the answer that toolgate waits for."),
    };
    let reply = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\n\
         Referrer-Policy: no-referrer\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n{text}\n",
        text.len() + 1
    );
    // Whether the browser hears of it or not, the answer is here.
    let _ = stream.write_all(reply.as_bytes()).await;
    let _ = stream.shutdown().await;
    url.map(String::from)
}

fn asked(head: &[u8], base: &str) -> Option<Url> {
    let line = head.split(|byte| *byte == b'\r').next()?;
    let mut words = std::str::from_utf8(line).ok()?.split(' ');
    let ("GET", path) = (words.next()?, words.next()?) else { return None };
    let base = Url::parse(base).ok()?;
    let url = base.join(path).ok()?;
    (url.origin() == base.origin() && url.path() == base.path()).then_some(url)
}

/// Whether a callback belongs to the login of this `state`.
pub(super) fn has_state(url: &Url, state: &str) -> bool {
    url.query_pairs().any(|(name, value)| name == "state" && value == state)
}
