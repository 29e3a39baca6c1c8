//! `toolgate demo`: the main job on real input, in a scratch home that is gone afterwards.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use http::{HeaderMap, HeaderValue};
use mcp::streamable_http::{Endpoint, EndpointOptions, HopHeaders, PostedBody};
use mcp::{Frame, Limits, Revision, view};
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{Context, items, runtime, serve};
use crate::config::{Config, Layers, resolve};
use crate::ui::{Failure, Report};
use crate::wire::{self, House, Log, Own, Selection, Token};
use downstream::{Auth, HttpOptions};
use gate::Code;
use gate::Face;

/// The version of the reference server is written down once, with the other real peers.
const PEERS: &str = include_str!("../../../../peers/package.json");
const EVERYTHING: &str = "@modelcontextprotocol/server-everything";
const WORDS: &str = "hello through the gate";

/// Arguments of `demo`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  toolgate demo
  toolgate demo --builtin

Starts a gate on loopback with the official reference server behind it (from npm; without Node, the built-in
server), calls one tool as a client would, and prints the call's record. Your own configuration is not touched.")]
pub struct DemoArgs {
    /// Use the built-in server even if Node is there.
    #[arg(long)]
    builtin: bool,
}

/// Shows.
pub fn run(args: &DemoArgs, cx: &Context) -> Result<(), Failure> {
    let home = tempfile::tempdir().map_err(|error| Failure::io("make a scratch directory", error))?;
    wire::start_logging(&cx.env, home.path(), Log::Terminal);
    let shown = runtime::block_on(async {
        if args.builtin {
            return show(home.path(), cx, None).await;
        }
        let Some(npx) = npx(cx) else {
            cx.ui.status(
                "Node is not there (no `npx` in PATH), so the built-in server stands in for the reference server",
            );
            return show(home.path(), cx, None).await;
        };
        cx.ui.status(&format!("starting {} with npx (the first time, npm fetches it) …", package()));
        match show(home.path(), cx, Some(&npx)).await {
            Err(failure) => {
                cx.ui.warning(&format!("the reference server cannot be used here: {failure}"), failure.hint.as_deref());
                cx.ui.status("the built-in server stands in for it");
                show(home.path(), cx, None).await
            }
            shown => shown,
        }
    })?;
    cx.ui.report(&shown)
}

fn npx(cx: &Context) -> Option<PathBuf> {
    let path = cx.env.get("PATH").unwrap_or_default();
    sandbox::resolve_program("npx".as_ref(), None, path.as_ref()).ok()
}

fn package() -> String {
    let version = view::path(PEERS, &["dependencies", EVERYTHING]).and_then(view::string);
    format!("{EVERYTHING}@{}", version.unwrap_or_else(|| "latest".into()))
}

async fn show(home: &Path, cx: &Context, npx: Option<&Path>) -> Result<Shown, Failure> {
    let config = config(home, cx, npx)?;
    let selection = if npx.is_some() { Selection::Enabled } else { Selection::Own(vec![Own::Toolgate]) };
    let house = wire::build(&config, &cx.env, &selection)?;
    let shown = converse(home, cx, &house, npx.is_some()).await;
    house.stop().await;
    let mut shown = shown?;
    shown.record = records(&config.state_dir().join("audit"))?;
    Ok(shown)
}

fn config(home: &Path, cx: &Context, npx: Option<&Path>) -> Result<Config, Failure> {
    let overrides: Vec<String> = npx.map_or_else(Vec::new, |npx| {
        let command = serde_json::json!(npx.to_string_lossy());
        let args = serde_json::json!(["-y", package(), "stdio"]);
        vec![
            format!("mcp_servers.everything.command={command}"),
            format!("mcp_servers.everything.args={args}"),
            // npm keeps what it fetched in the user's own cache.
            "mcp_servers.everything.startup_timeout_sec=120".to_owned(),
            "mcp_servers.everything.tools.echo.approval_mode=\"approve\"".to_owned(),
        ]
    });
    let layers = Layers::read(home, &overrides, &cx.env).map_err(Failure::bug)?;
    Ok(resolve(layers, &cx.env))
}

async fn converse(home: &Path, cx: &Context, house: &House, real: bool) -> Result<Shown, Failure> {
    if let Some((_, fault)) = items::ask_patiently(house).await.into_iter().next() {
        return Err(gate::Failure::Broke(fault).into());
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(|error| Failure::io("listen on loopback", error))?;
    let address = listener.local_addr().map_err(|error| Failure::io("listen on loopback", error))?;
    let token = Token::load_or_make(&home.join("toolgate"))?;
    let http = HttpOptions::new(Auth::Token(gate::Secret::new(token.expose())));
    let stop = CancellationToken::new();
    let serving =
        downstream::serve_http(house.gate.clone(), serve::face_options(Face::All), http, listener, stop.clone());
    let url = format!("http://{address}/mcp");
    cx.ui.status(&format!("the gate listens on {url}"));
    let tool = if real { "everything__echo" } else { "toolgate__echo" };
    let argument = if real { "message" } else { "text" };
    let arguments = format!("{{\"{argument}\":{}}}", view::quoted(WORDS));
    let client = Client::new(&url, &token)?;
    let result = tokio::select! {
        result = client.call(tool, &arguments) => result,
        ended = serving => Err(ended.err().map_or_else(
            || Failure::new(Code::InternalBug, "the gate ended early"),
            |error| Failure::io("serve", error),
        )),
    };
    stop.cancel();
    Ok(Shown {
        url,
        tool: tool.to_owned(),
        arguments: raw(&arguments),
        result: raw(&result?),
        record: Vec::new(),
        real,
    })
}

/// A client like any other: it shakes hands, then calls.
struct Client {
    endpoint: Endpoint,
    limits: Limits,
}

impl Client {
    fn new(url: &str, token: &Token) -> Result<Self, Failure> {
        let limits = Limits::default();
        let bearer = HeaderValue::try_from(format!("Bearer {}", token.expose())).map_err(Failure::bug)?;
        let headers = HeaderMap::from_iter([(http::header::AUTHORIZATION, bearer)]);
        let connect_timeout = Duration::from_secs(5);
        let options = EndpointOptions { url: url.to_owned(), headers, limits, connect_timeout, proxy: None };
        Ok(Self { endpoint: Endpoint::new(options).map_err(Failure::bug)?, limits })
    }

    async fn call(&self, tool: &str, arguments: &str) -> Result<String, Failure> {
        let hello = format!(
            r#"{{"protocolVersion":"{}","capabilities":{{}},"clientInfo":{{"name":"toolgate-demo","version":"{}"}}}}"#,
            Revision::NEWEST_LEGACY,
            env!("CARGO_PKG_VERSION")
        );
        let mut hop = HopHeaders::default();
        let (_, session) = self.request("initialize", &hello, &hop).await?;
        hop.session = session;
        hop.revision = Some(Revision::NEWEST_LEGACY);
        let ready = Bytes::from_static(br#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
        self.endpoint.post(ready, &hop).await.map_err(Failure::bug)?;
        let params = format!(r#"{{"name":{},"arguments":{arguments}}}"#, view::quoted(tool));
        let (frame, _) = self.request("tools/call", &params, &hop).await?;
        let text = frame.body().unwrap_or_default().to_owned();
        match frame.kind() {
            mcp::Kind::Result => Ok(text),
            _ => Err(Failure::new(Code::UpstreamProtocol, text)),
        }
    }

    async fn request(
        &self,
        method: &str,
        params: &str,
        hop: &HopHeaders,
    ) -> Result<(Frame, Option<HeaderValue>), Failure> {
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#);
        let posted = self.endpoint.post(body.into(), hop).await.map_err(Failure::bug)?;
        let json = match posted.body {
            PostedBody::Json(json) => json,
            PostedBody::Events(mut events) => loop {
                let event = events.next().await.ok_or_else(no_answer)?.map_err(Failure::bug)?;
                let answers = |frame: &Frame| frame.id() == Some("1");
                if Frame::parse(event.data.clone(), &self.limits).is_ok_and(|frame| answers(&frame)) {
                    break event.data;
                }
            },
            PostedBody::Accepted => return Err(no_answer()),
        };
        Ok((Frame::parse(json, &self.limits).map_err(Failure::bug)?, posted.session))
    }
}

fn no_answer() -> Failure {
    Failure::new(Code::InternalBug, "the gate did not answer")
}

fn raw(json: &str) -> Box<RawValue> {
    RawValue::from_string(json.to_owned()).unwrap_or_default()
}

/// The ledger's lines about the call: its attempt and its end.
fn records(dir: &Path) -> Result<Vec<Box<RawValue>>, Failure> {
    let mut lines = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(|error| Failure::io("read the ledger", error))?.flatten() {
        let text = std::fs::read_to_string(entry.path()).map_err(|error| Failure::io("read the ledger", error))?;
        let told = |line: &&str| {
            let event = view::member(line, "event").and_then(view::string);
            matches!(event.as_deref(), Some("attempt" | "end"))
        };
        lines.extend(text.lines().filter(told).map(raw));
    }
    Ok(lines)
}

#[derive(Serialize)]
struct Shown {
    url: String,
    tool: String,
    arguments: Box<RawValue>,
    result: Box<RawValue>,
    record: Vec<Box<RawValue>>,
    #[serde(rename = "referenceServer")]
    real: bool,
}

impl Report for Shown {
    fn human(&self) -> String {
        use std::fmt::Write;
        let mut text = format!("\n  call    {} {}\n  answer  {}\n", self.tool, self.arguments, self.result);
        for line in &self.record {
            let _ = writeln!(text, "  record  {line}");
        }
        text.push_str(
            "
That was a client, the gate over HTTP, and a server. Now your own:

  toolgate mcp add everything -- npx -y @modelcontextprotocol/server-everything stdio
  toolgate mcp tools
  toolgate mcp call everything__echo --arg message=hi

Point an agent at the gate:

  claude mcp add gate -- toolgate mcp serve        Claude Code, over stdio
  codex mcp add gate -- toolgate mcp serve         Codex
  toolgate up                                      any client, over HTTP; prints the address and a token
",
        );
        text
    }
}
