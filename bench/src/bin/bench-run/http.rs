//! The load generator's HTTP side: HTTP/1.1 by hand on kept-alive connections, one thread that polls.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use bench::clock::now;
use bench::rpc::Era;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::reply::Reply;
use crate::stdio::wait_readable;
use crate::tally::{Plan, Tally};

/// A subject's endpoint and the connections to it.
pub struct Http {
    address: SocketAddr,
    era: Era,
    token: Option<String>,
    session: Option<String>,
    connections: Vec<Connection>,
}

struct Connection {
    stream: TcpStream,
    reply: Reply,
    /// The call on its way, and when it began.
    open: Option<(u64, Instant)>,
}

impl Http {
    pub fn new(address: SocketAddr, era: Era, token: Option<String>) -> Self {
        Http { address, era, token, session: None, connections: Vec::new() }
    }

    /// Sends one message on the first connection; gives every message of the reply.
    pub fn post(&mut self, method: &str, name: &str, body: &str, until: Instant) -> Result<Vec<Vec<u8>>, String> {
        self.connect(1)?;
        let request = self.request(method, name, body);
        let connection = &mut self.connections[0];
        connection.send(&request)?;
        while !connection.receive()? {
            wait_readable(&connection.stream, until)?;
        }
        let reply = &connection.reply;
        let outcome = match reply.status() {
            200..300 => Ok(reply.messages().map(<[u8]>::to_vec).collect()),
            status => Err(format!("HTTP {status}: {}", crate::work::excerpt(reply.body()))),
        };
        let session = reply.session().map(str::to_owned);
        self.session = self.session.take().or(session);
        self.connections[0].reply.clear();
        outcome
    }

    /// Keeps a call in flight on each of `plan.callers` connections until the plan's end.
    pub fn storm(&mut self, plan: &Plan<'_>, tally: &mut Tally) -> Result<(), String> {
        self.connect(plan.callers as usize)?;
        let mut sent = 0;
        for index in 0..plan.callers as usize {
            self.issue(index, plan, &mut sent)?;
        }
        let mut ready = Vec::new();
        while self.connections.iter().any(|connection| connection.open.is_some()) {
            self.poll(plan.patience, &mut ready)?;
            for index in ready.drain(..) {
                if self.connections[index].receive()? {
                    self.connections[index].finish(plan, tally);
                    if plan.goes_on(sent) {
                        self.issue(index, plan, &mut sent)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn issue(&mut self, index: usize, plan: &Plan<'_>, sent: &mut u64) -> Result<(), String> {
        let id = plan.first + *sent;
        *sent += 1;
        let request = self.request("tools/call", plan.job.name(id), &plan.job.request(id));
        let connection = &mut self.connections[index];
        connection.open = Some((id, now()));
        connection.send(&request)
    }

    fn request(&self, method: &str, name: &str, body: &str) -> Vec<u8> {
        use std::fmt::Write as _;
        let mut head = String::with_capacity(512 + body.len());
        write!(
            head,
            "POST /mcp HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n\
             Accept: application/json, text/event-stream\r\nContent-Length: {}\r\n",
            self.address,
            body.len()
        )
        .expect("a String takes any write");
        let modern = self.era == Era::Modern;
        let named = (modern && !name.is_empty()).then_some(name);
        let fields = [
            ("MCP-Protocol-Version", (method != "initialize").then(|| self.era.revision())),
            ("Mcp-Method", modern.then_some(method)),
            ("Mcp-Name", named),
            ("Mcp-Session-Id", self.session.as_deref().filter(|_| !modern)),
        ];
        for (field, value) in fields {
            if let Some(value) = value {
                write!(head, "{field}: {value}\r\n").expect("a String takes any write");
            }
        }
        if let Some(token) = &self.token {
            write!(head, "Authorization: Bearer {token}\r\n").expect("a String takes any write");
        }
        head.push_str("\r\n");
        head.push_str(body);
        head.into_bytes()
    }

    fn connect(&mut self, count: usize) -> Result<(), String> {
        while self.connections.len() < count {
            let stream = TcpStream::connect_timeout(&self.address, Duration::from_secs(5))
                .and_then(|stream| {
                    stream.set_nodelay(true)?;
                    stream.set_nonblocking(true)?;
                    Ok(stream)
                })
                .map_err(|error| format!("connecting to {}: {error}", self.address))?;
            self.connections.push(Connection { stream, reply: Reply::default(), open: None });
        }
        Ok(())
    }

    /// Puts the connections with something to read into `ready`.
    fn poll(&self, patience: Duration, ready: &mut Vec<usize>) -> Result<(), String> {
        let timeout = Timespec { tv_sec: patience.as_secs() as i64, tv_nsec: 0 };
        let mut fds: Vec<PollFd<'_>> = self
            .connections
            .iter()
            .map(|connection| {
                let flags = connection.open.map_or(PollFlags::empty(), |_| PollFlags::IN);
                PollFd::new(&connection.stream, flags)
            })
            .collect();
        match poll(&mut fds, Some(&timeout)) {
            Ok(0) => return Err("no answer within the deadline".to_owned()),
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.to_string()),
        }
        let readable = fds.iter().enumerate().filter(|(_, fd)| !fd.revents().is_empty());
        ready.extend(readable.map(|(index, _)| index));
        Ok(())
    }
}

impl Connection {
    fn send(&mut self, request: &[u8]) -> Result<(), String> {
        self.stream.write_all(request).map_err(|error| format!("sending a request: {error}"))
    }

    /// Reads what is there; whether the reply is whole.
    fn receive(&mut self) -> Result<bool, String> {
        loop {
            match self.stream.read(self.reply.room()) {
                Ok(0) => return Err("the subject closed the connection".to_owned()),
                Ok(read) => {
                    let full = self.reply.room_len() == read;
                    if self.reply.advance(read)? {
                        return Ok(true);
                    }
                    if !full {
                        return Ok(false);
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(format!("reading a reply: {error}")),
            }
        }
    }

    fn finish(&mut self, plan: &Plan<'_>, tally: &mut Tally) {
        if let Some((id, began)) = self.open.take() {
            let took = now() - began;
            let verdict = match self.reply.messages().last() {
                Some(answer) => plan.job.verify(id, answer),
                None => Err(format!("HTTP {} without a message", self.reply.status())),
            };
            tally.add(took, verdict);
        }
        self.reply.clear();
    }
}
