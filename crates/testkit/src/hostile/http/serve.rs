//! Takes connections and decides what each request is.

use std::io::{self, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use clap::Parser;
use serde_json::{Value, json};

use super::super::outlet::Outlet;
use super::super::{Behaviour, Era, Handler, Journal};
use super::exchange::{Exchange, Reply};
use super::gate::{Gate, check_headers};
use super::message::{Head, Request};

/// How often a standing stream looks whether its client hung up.
const LOOK: Duration = Duration::from_millis(10);
const STACK: usize = 256 * 1024;

/// An MCP server on HTTP that misbehaves as its flags say; they compose.
#[derive(Debug, Parser)]
pub struct Flags {
    #[command(flatten)]
    pub(super) behaviour: Behaviour,
    /// Serve `/mcp` on this address, and print the URL; port 0 takes a free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    http: SocketAddr,
    /// Append every request and message to FILE as JSON lines.
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// How to answer requests.
    #[arg(long, value_enum, default_value = "json")]
    reply: Reply,
    /// Give legacy clients a session, and hold them to it.
    #[arg(long)]
    sessions: bool,
    /// Forget a session after K requests.
    #[arg(long, value_name = "K", requires = "sessions")]
    pub(super) lose_session_after: Option<u64>,
    /// Answer POSTs with this status.
    #[arg(long, value_name = "STATUS")]
    pub(super) status: Option<u16>,
    /// Only the first K POSTs get that status.
    #[arg(long, value_name = "K", requires = "status")]
    pub(super) fail_first: Option<u64>,
    /// The body of a refusal.
    #[arg(long, value_name = "TEXT", default_value = "refused on request")]
    pub(super) fail_body: String,
    /// Answer 401 to whoever does not send this header.
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    pub(super) require_header: Option<(String, String)>,
    /// Send every request elsewhere.
    #[arg(long, value_name = "URL")]
    pub(super) redirect: Option<String>,
    /// Wait this long before every answer.
    #[arg(long, value_name = "MS", default_value_t = 0)]
    slow_ms: u64,
    /// Break the connection in the middle of the answer to a tool call.
    #[arg(long)]
    reset_mid_body: bool,
    /// Answer a tool call with a stream in which nothing ever comes.
    #[arg(long)]
    sse_stall: bool,
    /// Label answers with this content type.
    #[arg(long, value_name = "TYPE")]
    content_type: Option<String>,
    /// Speak the HTTP+SSE transport of 2024-11-05: GET `/sse`, POST `/messages`.
    #[arg(long)]
    http_sse: bool,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("not NAME=VALUE")?;
    Ok((name.into(), value.into()))
}

/// One server with all its connections.
struct Server {
    flags: Flags,
    handler: Arc<Handler>,
    gate: Gate,
    /// The open stream of the old transport.
    old_stream: Mutex<Option<Arc<Exchange>>>,
}

/// Serves until the process is killed. `bound` is given the URL, port resolved.
///
/// # Errors
/// When the address cannot be bound, or the journal not be written.
pub fn run(flags: Flags, bound: impl FnOnce(&str) -> io::Result<()>) -> io::Result<()> {
    let journal = Journal::open(flags.log.as_deref())?;
    journal.start();
    let listener = TcpListener::bind(flags.http)?;
    let path = if flags.http_sse { "sse" } else { "mcp" };
    bound(&format!("http://{}/{path}", listener.local_addr()?))?;
    let handler = Handler::new(flags.behaviour.clone(), journal, false);
    let server = Arc::new(Server { flags, handler, gate: Gate::default(), old_stream: Mutex::default() });
    for stream in listener.incoming().flatten() {
        let server = Arc::clone(&server);
        drop(thread::Builder::new().stack_size(STACK).spawn(move || server.connection(&stream)));
    }
    Ok(())
}

impl Server {
    /// Serves the requests of one connection, one after the other, until it ends or breaks.
    fn connection(&self, stream: &TcpStream) {
        let serve = || -> io::Result<()> {
            stream.set_nodelay(true)?;
            let mut reader = BufReader::new(stream.try_clone()?);
            while let Some(request) = Request::read(&mut reader)? {
                self.request(&request, stream)?;
            }
            Ok(())
        };
        drop(serve());
    }

    fn request(&self, request: &Request, stream: &TcpStream) -> io::Result<()> {
        let headers: Value = request.headers().iter().map(|(name, value)| (name.clone(), json!(value))).collect();
        let head = json!({"method": request.method, "target": request.target, "headers": headers});
        self.handler.journal.note("request", head);
        if let Err((head, body)) = self.gate.fault(&self.flags, request) {
            return head.send(&mut &*stream, &body);
        }
        match (request.method.as_str(), request.path()) {
            ("GET", "/sse") if self.flags.http_sse => self.old_stream(stream),
            ("POST", "/messages") if self.flags.http_sse => self.old_message(request, stream),
            ("POST", "/mcp") if !self.flags.http_sse => self.message(request, stream),
            ("GET", "/mcp") if self.has_streams() => self.standing_stream(request, stream),
            ("DELETE", "/mcp") if self.flags.sessions => Head::new(self.gate.leave(request)).send(&mut &*stream, ""),
            (_, "/mcp") => Head::new(405).send(&mut &*stream, ""),
            _ => Head::new(404).send(&mut &*stream, "no such path"),
        }
    }

    fn has_streams(&self) -> bool {
        !self.flags.http_sse && self.flags.behaviour.era != Era::Modern
    }

    fn message(&self, request: &Request, stream: &TcpStream) -> io::Result<()> {
        let message: Value = serde_json::from_str(&request.body).unwrap_or_default();
        let modern = message["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"].is_string();
        let mut extra = Vec::new();
        if modern && matches!(self.flags.behaviour.era, Era::Modern | Era::Dual) {
            if let Err(reason) = check_headers(request, &message) {
                let error =
                    json!({"jsonrpc": "2.0", "id": message["id"], "error": {"code": -32020, "message": reason}});
                let head = Head::new(400).with("Content-Type", "application/json");
                return head.send(&mut &*stream, &error.to_string());
            }
        } else if self.flags.sessions && message["method"] == "initialize" {
            extra.push(("Mcp-Session-Id".to_owned(), self.gate.open()));
        } else if self.flags.sessions
            && let Err((head, body)) = self.gate.enter(&self.flags, request)
        {
            return head.send(&mut &*stream, &body);
        }
        self.serve(request, &message, modern, extra, stream)
    }

    fn serve(
        &self,
        request: &Request,
        message: &Value,
        modern: bool,
        extra: Vec<(String, String)>,
        stream: &TcpStream,
    ) -> io::Result<()> {
        thread::sleep(Duration::from_millis(self.flags.slow_ms));
        let called = message["method"] == "tools/call";
        if let Some(kind) = self.flags.content_type.as_ref().filter(|_| called) {
            return Head::new(200).with("Content-Type", kind).send(&mut &*stream, "<p>not what you asked for</p>");
        }
        let listens = message["method"] == "subscriptions/listen";
        let reply = if listens { Reply::Sse } else { self.flags.reply };
        let tear = self.flags.reset_mid_body && called;
        let by_modern_rules = modern || self.flags.behaviour.era == Era::Modern;
        let handler = Arc::clone(&self.handler);
        let exchange = Exchange::new(stream.try_clone()?, reply, extra, tear, handler, by_modern_rules);
        let exchange = Arc::new(exchange);
        if self.flags.sse_stall && called {
            exchange.open()?;
            self.stay(&exchange);
            return exchange.close();
        }
        let outlet: Arc<dyn Outlet> = Arc::<Exchange>::clone(&exchange);
        self.handler.handle(&request.body, &outlet);
        if listens && exchange.is_streaming() && !exchange.is_done() {
            self.stay(&exchange);
            self.handler.cancel(&message["id"].to_string(), &outlet);
        }
        self.settle(message, &exchange)
    }

    /// A request without an answer keeps its client waiting; all else was accepted.
    fn settle(&self, message: &Value, exchange: &Exchange) -> io::Result<()> {
        let asked = message.get("id").is_some() && message.get("method").is_some();
        if asked && !exchange.is_done() {
            self.stay(exchange);
        }
        exchange.close()
    }

    /// Waits until the client hangs up.
    fn stay(&self, exchange: &Exchange) {
        while !exchange.gone() {
            thread::sleep(LOOK);
        }
        self.handler.journal.note("hung up", json!({}));
    }

    /// The stream of a legacy client for what belongs to no request.
    fn standing_stream(&self, request: &Request, stream: &TcpStream) -> io::Result<()> {
        if self.flags.sessions
            && let Err((head, body)) = self.gate.enter(&self.flags, request)
        {
            return head.send(&mut &*stream, &body);
        }
        let exchange = self.stream(stream)?;
        // Whoever sees the stream open can rely on hearing everything from then on.
        self.handler.listeners.add_broadcast(Arc::<Exchange>::clone(&exchange));
        exchange.open()?;
        self.stay(&exchange);
        exchange.close()
    }

    fn stream(&self, stream: &TcpStream) -> io::Result<Arc<Exchange>> {
        let handler = Arc::clone(&self.handler);
        let exchange = Exchange::new(stream.try_clone()?, Reply::Sse, Vec::new(), false, handler, false);
        Ok(Arc::new(exchange))
    }

    fn old_stream(&self, stream: &TcpStream) -> io::Result<()> {
        let exchange = self.stream(stream)?;
        {
            let mut open = self.old_stream.lock().expect("no request panics");
            exchange.event("endpoint", "/messages?session=1")?;
            *open = Some(Arc::clone(&exchange));
        }
        self.handler.listeners.add_broadcast(Arc::<Exchange>::clone(&exchange));
        self.stay(&exchange);
        exchange.close()
    }

    /// A message of the old transport: accepted at once, answered on the stream.
    fn old_message(&self, request: &Request, stream: &TcpStream) -> io::Result<()> {
        let Some(exchange) = self.old_stream.lock().expect("no request panics").clone() else {
            return Head::new(404).send(&mut &*stream, "no stream is open");
        };
        Head::new(202).send(&mut &*stream, "Accepted")?;
        let outlet: Arc<dyn Outlet> = Arc::new(OldAnswers(exchange));
        self.handler.handle(&request.body, &outlet);
        Ok(())
    }
}

/// The old transport's stream, which goes on after an answer.
struct OldAnswers(Arc<Exchange>);

impl Outlet for OldAnswers {
    fn send(&self, message: &str) -> bool {
        self.0.event("message", message).is_ok()
    }

    fn send_torn(&self, message: &str) {
        self.0.send_torn(message);
    }

    fn send_long(&self, head: &str, bytes: u64, tail: &str) {
        let text = "x".repeat(usize::try_from(bytes).unwrap_or(usize::MAX));
        self.send(&format!("{head}{text}{tail}"));
    }

    fn gone(&self) -> bool {
        self.0.gone()
    }
}
