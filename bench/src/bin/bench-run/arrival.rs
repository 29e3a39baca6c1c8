//! When a program that was started can be spoken to over HTTP, and where.

use std::fs;
use std::io::Read;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, ChildStdout};
use std::time::Duration;

use bench::clock::now;

use crate::link::PATIENCE;
use crate::stdio::wait_readable;

/// Reads `listening ADDR` from a program of ours.
pub fn announced(child: &mut Child) -> Result<SocketAddr, String> {
    let output: &mut ChildStdout = child.stdout.as_mut().ok_or("no output to read")?;
    let (until, mut text) = (now() + PATIENCE, Vec::new());
    while !text.ends_with(b"\n") {
        wait_readable(output, until)?;
        let mut byte = [0; 256];
        match output.read(&mut byte) {
            Ok(read) if read > 0 => text.extend_from_slice(&byte[..read]),
            _ => return Err("ended before it listened".to_owned()),
        }
    }
    let text = String::from_utf8_lossy(&text);
    let address = text.trim().strip_prefix("listening ").and_then(|address| address.parse().ok());
    address.ok_or_else(|| format!("said `{}`", text.trim()))
}

/// Waits for `/readyz`, then reads the token.
pub fn ready(
    child: &mut Child,
    address: SocketAddr,
    home: &Path,
    patience: Duration,
) -> Result<Option<String>, String> {
    let until = now() + patience;
    loop {
        if let Ok(Some(status)) = child.try_wait() {
            return Err(format!("toolgate up ended: {status}"));
        }
        if answers_ready(address) {
            let token = fs::read_to_string(home.join("toolgate/token")).ok();
            return Ok(token.map(|token| token.trim().to_owned()));
        }
        if now() > until {
            return Err("toolgate up was not ready within the deadline".to_owned());
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn answers_ready(address: SocketAddr) -> bool {
    use std::io::Write;
    let ask = || -> std::io::Result<bool> {
        let mut stream = std::net::TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        write!(stream, "GET /readyz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
        let mut head = [0; 12];
        stream.read_exact(&mut head)?;
        Ok(head.starts_with(b"HTTP/1.1 200"))
    };
    ask().unwrap_or(false)
}

/// A loopback address nobody listens on at this moment.
pub fn free_address() -> Result<SocketAddr, String> {
    let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    free.map_err(|error| error.to_string())
}
