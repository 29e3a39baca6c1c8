//! The way out of a network of one's own: a proxy that connects a program to the hosts its profile names, and to
//! nothing else. Not here: how its network was taken away, or what it says to those hosts.

use crate::address::is_public;
use crate::egress::Egress;
use crate::net::Host;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream, lookup_host};
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// Connections at a time; more wait.
const CONNECTIONS: usize = 64;
/// The longest request, in bytes.
const HEAD: usize = 8 << 10;
/// How long a request may take to arrive, a name to be found, and a host to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Serves what the program connects to, for as long as this is polled. `server` is named in the log.
pub async fn serve_egress(server: String, egress: Egress, hosts: Vec<Host>) {
    let listener = match listen(egress).await {
        Ok(listener) => listener,
        Err(error) => {
            tracing::warn!(target: "mcp::client", %server, %error, "the allowed hosts cannot be reached");
            return;
        }
    };
    let proxy = Arc::new(Proxy { server, hosts });
    let turns = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = tokio::task::JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok(turn) = turns.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((client, _)) => {
                let proxy = proxy.clone();
                connections.spawn(async move {
                    proxy.relay(client).await;
                    drop(turn);
                });
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

async fn listen(egress: Egress) -> io::Result<TcpListener> {
    let listener = tokio::task::spawn_blocking(move || egress.listener()).await.map_err(io::Error::other)??;
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

/// Who may be reached, and by whom.
struct Proxy {
    server: String,
    hosts: Vec<Host>,
}

/// Why a connection is not made; what the program is told.
#[derive(Debug, Error, PartialEq, Eq)]
enum Refused {
    #[error("only CONNECT is served here")]
    Method,
    #[error("the request cannot be read")]
    Request,
    #[error("`{host}` at port {port} is not among the hosts that `net` allows")]
    Host { host: String, port: u16 },
    #[error("`{0}` leads to an address that is not public")]
    Address(String),
    #[error("`{0}` cannot be reached")]
    Unreachable(String),
}

impl Refused {
    fn status(&self) -> &'static str {
        match self {
            Self::Method => "405 Method Not Allowed",
            Self::Request => "400 Bad Request",
            Self::Host { .. } | Self::Address(_) => "403 Forbidden",
            Self::Unreachable(_) => "502 Bad Gateway",
        }
    }
}

impl Proxy {
    async fn relay(&self, mut client: TcpStream) {
        match self.connect(&mut client).await {
            Ok((mut host, early)) => {
                let begun = async {
                    client.write_all(b"HTTP/1.1 200 Connection Established\r\n\r\n").await?;
                    host.write_all(&early).await
                };
                if begun.await.is_ok() {
                    // Either side may end it as it likes.
                    let _ = copy_bidirectional(&mut client, &mut host).await;
                }
            }
            Err(refused) => {
                tracing::info!(target: "mcp::client", server = %self.server, "a connection was refused: {refused}");
                let text = refused.to_string();
                let head = format!("HTTP/1.1 {}\r\nContent-Length: {}\r\n", refused.status(), text.len());
                let answer = format!("{head}Content-Type: text/plain\r\nConnection: close\r\n\r\n{text}");
                let _ = client.write_all(answer.as_bytes()).await;
            }
        }
    }

    /// The host that was asked for, and what the program said to it too early.
    async fn connect(&self, client: &mut TcpStream) -> Result<(TcpStream, Vec<u8>), Refused> {
        let request = timeout(PATIENCE, read_head(client)).await.map_err(|_| Refused::Request)?;
        let (head, early) = request.ok_or(Refused::Request)?;
        let (host, port) = asked(&head)?;
        let rule = self.hosts.iter().find(|rule| rule.matches(&host, port));
        let rule = rule.ok_or_else(|| Refused::Host { host: host.clone(), port })?;
        let unreachable = || Refused::Unreachable(host.clone());
        let found = timeout(PATIENCE, lookup_host((host.as_str(), port))).await.map_err(|_| unreachable())?;
        let found: Vec<_> = found.map_err(|_| unreachable())?.filter(|address| may_lead_to(rule, address)).collect();
        if found.is_empty() {
            return Err(Refused::Address(host.clone()));
        }
        // What was looked at is what is connected to: the name is not asked for again.
        let stream = timeout(PATIENCE, TcpStream::connect(&found[..])).await;
        Ok((stream.ok().and_then(Result::ok).ok_or_else(unreachable)?, early))
    }
}

/// Whether a rule may lead to an address. A name stands for what is public; who writes an address, or `localhost`,
/// means what it is.
fn may_lead_to(rule: &Host, address: &SocketAddr) -> bool {
    let written = rule.exact_name().is_some_and(|name| match name.parse::<IpAddr>() {
        Ok(written) => written == address.ip(),
        Err(_) => name == "localhost" && address.ip().is_loopback(),
    });
    written || is_public(address.ip())
}

/// What comes up to the first empty line, and behind it.
async fn read_head(client: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut head = Vec::with_capacity(512);
    while head.len() < HEAD {
        if client.read_buf(&mut head).await.ok()? == 0 {
            return None;
        }
        if let Some(end) = memchr::memmem::find(&head, b"\r\n\r\n") {
            let early = head.split_off(end + 4);
            return Some((String::from_utf8(head).ok()?, early));
        }
    }
    None
}

/// The host and port of `CONNECT host:port HTTP/1.1`.
fn asked(head: &str) -> Result<(String, u16), Refused> {
    let mut words = head.lines().next().unwrap_or_default().split(' ');
    let (Some(method), Some(authority), Some("HTTP/1.1" | "HTTP/1.0"), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(Refused::Request);
    };
    if method != "CONNECT" {
        return Err(Refused::Method);
    }
    let (host, port) = authority.rsplit_once(':').ok_or(Refused::Request)?;
    let port = port.parse().ok().filter(|port| *port > 0).ok_or(Refused::Request)?;
    let host = host.strip_prefix('[').map_or(Some(host), |host| host.strip_suffix(']')).ok_or(Refused::Request)?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:".contains(&byte);
    if host.is_empty() || !host.bytes().all(plain) {
        return Err(Refused::Request);
    }
    Ok((host.to_owned(), port))
}

#[cfg(test)]
mod tests;
