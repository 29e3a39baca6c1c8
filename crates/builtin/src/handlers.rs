//! Tools that somebody declared and named a program for: a small server inside this process, which runs a program in
//! its bounds for each call. Whoever uses it speaks MCP with it over a stream, as with any server.
//! Not here: who declared them, or whether a call may run.

mod template;

pub use template::{BadTemplate, Template};

use crate::child::{self, Ending, Job, NotRun, Ran};
use bytes::Bytes;
use mcp::Limits;
use mcp::stdio::{Line, LineReader, Outbox, outbox};
use sandbox::{ExitKind, Helper, Launch, LaunchError, Profile, Stderr};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::DuplexStream;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_secs(2);
/// How much of each stream of a program is kept, in bytes.
const KEEP: usize = 1 << 20;

/// A declared tool.
#[derive(Debug, Clone)]
pub struct Handler {
    /// Its name.
    pub name: String,
    /// Its definition, as `tools/list` has it.
    pub definition: Value,
    /// What is run for it, if anything is.
    pub exec: Option<Template>,
}

/// A server of declared tools.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Its name.
    pub name: String,
    /// The version its entry gives it.
    pub version: Option<String>,
    /// Its tools.
    pub tools: Vec<Handler>,
    /// The whole environment of the programs.
    pub env: Vec<(OsString, OsString)>,
    /// Where they start; `None`: in their home.
    pub cwd: Option<PathBuf>,
    /// What holds them.
    pub profile: Profile,
    /// How long one may take.
    pub limit: Duration,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    method: String,
    #[serde(default)]
    params: Params<'a>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct Params<'a> {
    protocol_version: Option<String>,
    name: Option<String>,
    arguments: Option<Map<String, Value>>,
    #[serde(borrow)]
    request_id: Option<&'a RawValue>,
}

/// Serves whoever is at the other end of `stream`, until that is closed. Programs that run then are ended.
pub async fn serve(settings: Arc<Settings>, helper: Helper, stream: DuplexStream) {
    let (reader, writer) = tokio::io::split(stream);
    let limits = Limits::default();
    let mut lines = LineReader::new(reader, limits);
    let (outbox, writing) = outbox(writer, limits);
    let mut server = Server { settings, helper, outbox, calls: JoinSet::new(), running: HashMap::new() };
    let mut writing = std::pin::pin!(writing.run());
    loop {
        tokio::select! {
            line = lines.next() => match line {
                Ok(Line::Frame(line)) => server.take(&line).await,
                Ok(Line::TooLong { .. }) => {}
                Ok(Line::Eof) | Err(_) => return,
            },
            Some(ended) = server.calls.join_next() => {
                ended.iter().for_each(|id| _ = server.running.remove(id));
            }
            _ = &mut writing => return,
        }
    }
}

struct Server {
    settings: Arc<Settings>,
    helper: Helper,
    outbox: Outbox,
    /// Each gives back the id of its request.
    calls: JoinSet<String>,
    running: HashMap<String, CancellationToken>,
}

impl Server {
    async fn take(&mut self, line: &[u8]) {
        let Ok(message) = serde_json::from_slice::<Message<'_>>(line) else { return };
        let Some(id) = message.id else {
            if message.method == "notifications/cancelled"
                && let Some(stop) = message.params.request_id.and_then(|id| self.running.get(id.get()))
            {
                stop.cancel();
            }
            return;
        };
        let result = match message.method.as_str() {
            "initialize" => self.introduced(message.params.protocol_version),
            "ping" => json!({}),
            "tools/list" => {
                json!({"tools": self.settings.tools.iter().map(|tool| &tool.definition).collect::<Vec<_>>()})
            }
            "tools/call" => return self.call(id.get().to_owned(), message.params),
            other => {
                let error = json!({"code": -32601, "message": format!("Method not found: {other}")});
                return send(&self.outbox, id.get(), "error", &error).await;
            }
        };
        send(&self.outbox, id.get(), "result", &result).await;
    }

    fn introduced(&self, version: Option<String>) -> Value {
        json!({
            "protocolVersion": version,
            "capabilities": {"tools": {}},
            "serverInfo": {"name": self.settings.name, "version": self.settings.version.as_deref().unwrap_or("0")},
        })
    }

    fn call(&mut self, id: String, params: Params<'_>) {
        let stop = CancellationToken::new();
        self.running.insert(id.clone(), stop.clone());
        let (settings, helper, outbox) = (self.settings.clone(), self.helper.clone(), self.outbox.clone());
        let (name, arguments) = (params.name.unwrap_or_default(), params.arguments.unwrap_or_default());
        self.calls.spawn(async move {
            let said = called(&settings, &helper, &name, &arguments, stop.clone()).await;
            // Nobody waits for the answer to what was cancelled.
            if !stop.is_cancelled() {
                let (text, failed) = said.unwrap_or_else(|why| (why, true));
                let result = json!({"content": [{"type": "text", "text": text}], "isError": failed});
                send(&outbox, &id, "result", &result).await;
            }
            id
        });
    }
}

async fn send(outbox: &Outbox, id: &str, key: &str, body: &Value) {
    let message = format!(r#"{{"jsonrpc":"2.0","id":{id},"{key}":{body}}}"#);
    // Whoever hung up hears nothing more.
    _ = outbox.send(Bytes::from(message)).await;
}

/// What a program said, and whether it failed; or why it was not run.
async fn called(
    settings: &Settings,
    helper: &Helper,
    name: &str,
    arguments: &Map<String, Value>,
    stop: CancellationToken,
) -> Result<(String, bool), String> {
    let tool = settings.tools.iter().find(|tool| tool.name == name);
    let tool = tool.ok_or_else(|| format!("Unknown tool: {name}"))?;
    let exec = tool.exec.as_ref().ok_or_else(|| {
        format!("tool '{name}' of server '{}' is declared and has no `exec`: nothing runs it", settings.name)
    })?;
    let launch = launch(settings, exec, arguments)?;
    let job = Job { launch, stdin: Bytes::new(), limit: settings.limit, room: None, keep: KEEP, whole: 0 };
    let ran = child::run(helper, job, &mut |_, _| {}, stop).await.map_err(|why| match why {
        NotRun::Launch(LaunchError::Unavailable(why)) => format!("sandbox_unavailable: {why}"),
        why => format!("`{}` could not be run: {why}", exec.program()),
    })?;
    match ran.ending {
        Ending::Exited(_) | Ending::Overdue => Ok(told(&ran)),
        Ending::NotConfined(step, errno) => {
            Err(format!("sandbox_unavailable: {step} ({})", std::io::Error::from_raw_os_error(errno)))
        }
        ending => Err(format!("`{}` could not be run: {ending}", exec.program())),
    }
}

fn launch(settings: &Settings, exec: &Template, arguments: &Map<String, Value>) -> Result<Launch, String> {
    let path = settings.env.iter().find(|(name, _)| name == "PATH").map(|(_, path)| path.as_os_str());
    let program = sandbox::resolve_program(exec.program().as_ref(), settings.cwd.as_deref(), path.unwrap_or_default());
    let program = program.map_err(|_| format!("program `{}` was not found; see `exec` of the tool", exec.program()))?;
    Ok(Launch {
        program: program.into(),
        args: exec.fill(arguments)?.into_iter().map(OsString::from).collect(),
        env: settings.env.clone(),
        cwd: settings.cwd.clone(),
        stderr: Stderr::Piped,
        grace: GRACE,
        profile: Some(settings.profile.clone()),
    })
}

fn told(ran: &Ran) -> (String, bool) {
    let end = match ran.ending {
        Ending::Exited(ExitKind::Code(0)) => None,
        ending => Some(format!("[{ending}]")),
    };
    let (out, err) = (ran.stdout.text(), ran.stderr.text());
    let err = if end.is_some() { err } else { String::new() };
    let parts = [Some(out), Some(err), end.clone()].into_iter().flatten().filter(|part| !part.is_empty());
    (parts.map(|part| part.trim_end_matches('\n').to_owned()).collect::<Vec<_>>().join("\n"), end.is_some())
}
