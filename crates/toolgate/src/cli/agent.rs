//! An agent of our own: the command line uses the gate through the same face as everybody else.

use std::sync::Arc;

use bytes::Bytes;
use tokio::io::{AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::asked::{Answering, Person};
use crate::ui::Failure;
use gate::Code;
use gate::{Face, Gate};
use mcp::stdio::{Line, LineReader};
use mcp::{Frame, Kind, Limits, Revision, view};

/// How much may wait between the face and us, in bytes.
const PIPE_BYTES: usize = 256 << 10;

/// One conversation with a face of a gate in this process.
pub struct Agent {
    reader: LineReader<ReadHalf<DuplexStream>>,
    writer: WriteHalf<DuplexStream>,
    face: JoinHandle<()>,
    limits: Limits,
    next_id: u64,
    answering: Option<Answering>,
}

/// An answer: the raw result object.
pub struct Answer {
    frame: Frame,
}

impl Answer {
    /// The result as the server sent it.
    pub fn raw(&self) -> &str {
        self.frame.body().unwrap_or("{}")
    }

    /// The raw value of one of its members.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.frame.get(key)
    }

    /// The failure in it, if the gate refused or the server broke.
    pub fn failure(&self) -> Option<Failure> {
        let code = self.frame.meta("toolgate/code").and_then(view::string)?;
        Some(Failure::new(code_named(&code), self.first_text()))
    }

    /// The text of its first content block.
    pub fn first_text(&self) -> String {
        let block = self.get("content").and_then(|raw| Some(view::elements(raw).ok()?.first()?.of(raw)));
        block.and_then(|raw| view::member(raw, "text")).and_then(view::string).unwrap_or_default().into_owned()
    }
}

impl Agent {
    /// Opens a conversation with `face` and shakes hands.
    ///
    /// # Errors
    /// When the face does not answer, which is our own defect.
    pub async fn meet(gate: Arc<Gate>, face: Face, limits: Limits) -> Result<Self, Failure> {
        Self::meet_with(gate, face, limits, None).await
    }

    /// One request in a conversation of its own.
    ///
    /// # Errors
    /// As [`Agent::meet`] and [`Agent::request`].
    pub async fn asks(gate: Arc<Gate>, face: Face, method: &str, params: &str) -> Result<Answer, Failure> {
        let mut agent = Self::meet(gate, face, Limits::default()).await?;
        let answer = agent.request(method, params, &mut |_| ()).await;
        agent.leave().await;
        answer
    }

    /// Opens a conversation with a person who answers when a call needs one.
    ///
    /// # Errors
    /// As [`Agent::meet`].
    pub async fn meet_with(
        gate: Arc<Gate>,
        face: Face,
        limits: Limits,
        person: Option<Person>,
    ) -> Result<Self, Failure> {
        let answering = person.map(|person| Answering { person, gate: gate.clone() });
        let (ours, theirs) = tokio::io::duplex(PIPE_BYTES);
        let (reader, writer) = tokio::io::split(theirs);
        let approvals_by_client = answering.is_some();
        let options = downstream::Options { limits, approvals_by_client, ..super::serve::face_options(face) };
        #[expect(clippy::disallowed_methods, reason = "owned by the agent, which awaits it in `leave`")]
        let face = tokio::spawn(async move {
            // The face ends with the conversation; a broken pipe inside our process cannot happen before.
            let _ = downstream::serve_stdio(gate, options, reader, writer, CancellationToken::new()).await;
        });
        let (reader, writer) = tokio::io::split(ours);
        let mut agent = Self { reader: LineReader::new(reader, limits), writer, face, limits, next_id: 1, answering };
        let hello = format!(
            r#"{{"protocolVersion":"{}","capabilities":{},"clientInfo":{{"name":"toolgate-cli","version":"{}"}}}}"#,
            Revision::NEWEST_LEGACY,
            if approvals_by_client { r#"{"elicitation":{}}"# } else { "{}" },
            env!("CARGO_PKG_VERSION")
        );
        agent.request("initialize", &hello, &mut |_| ()).await?;
        agent.send(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#).await?;
        Ok(agent)
    }

    /// Sends a request and waits for its answer; `heard` is told each notification before it.
    ///
    /// # Errors
    /// A JSON-RPC error as a failure with its message.
    pub async fn request(
        &mut self,
        method: &str,
        params: &str,
        heard: &mut dyn FnMut(&Frame),
    ) -> Result<Answer, Failure> {
        let id = self.next_id;
        self.next_id += 1;
        let text = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":{},"params":{params}}}"#, view::quoted(method));
        self.send(&text).await?;
        let id = id.to_string();
        loop {
            let frame = self.next().await?;
            match frame.kind() {
                Kind::Notification => heard(&frame),
                Kind::Request if self.answered(&frame).await? => {}
                Kind::Request => self.decline(&frame).await?,
                Kind::Result if frame.id() == Some(&id) => return Ok(Answer { frame }),
                Kind::Error if frame.id() == Some(&id) => return Err(refused(&frame)),
                Kind::Result | Kind::Error => {}
            }
        }
    }

    /// Ends the conversation.
    pub async fn leave(self) {
        let Agent { reader, writer, face, answering, .. } = self;
        drop((reader, writer, answering));
        // It ends by itself now; a panic in it was logged where it happened.
        let _ = face.await;
    }

    async fn send(&mut self, text: &str) -> Result<(), Failure> {
        let line = mcp::splice::one_line(Bytes::copy_from_slice(text.as_bytes()));
        let io = |error| Failure::io("speak to the gate", error);
        self.writer.write_all(&line).await.map_err(io)?;
        self.writer.write_all(b"\n").await.map_err(io)
    }

    async fn next(&mut self) -> Result<Frame, Failure> {
        let line = self.reader.next().await.map_err(|error| Failure::io("hear the gate", error))?;
        match line {
            Line::Frame(json) => Frame::parse(json, &self.limits).map_err(Failure::bug),
            Line::TooLong { bytes, .. } => {
                Err(Failure::new(Code::LimitTooLarge, format!("the answer is {bytes} bytes long, more than the limit")))
            }
            Line::Eof => Err(Failure::new(Code::InternalBug, "the gate hung up")),
        }
    }

    /// Whether a request was a question of the gate's own, which then was answered at its desk; the request itself
    /// is taken back by the gate.
    async fn answered(&self, frame: &Frame) -> Result<bool, Failure> {
        match &self.answering {
            Some(Answering { person, gate }) if frame.method() == "elicitation/create" => {
                person.answer(gate, &frame.get_string("message").unwrap_or_default()).await
            }
            _ => Ok(false),
        }
    }

    async fn decline(&mut self, frame: &Frame) -> Result<(), Failure> {
        let id = frame.id().unwrap_or("null");
        let text = format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":-32601,"message":"not supported"}}}}"#);
        self.send(&text).await
    }
}

fn refused(frame: &Frame) -> Failure {
    let message = frame.get_string("message").unwrap_or_default().into_owned();
    let data = frame.get("data").unwrap_or("{}");
    let text = |key| view::member(data, key).and_then(view::string).map(|text| text.into_owned());
    let code = match text("toolgate/code") {
        Some(code) => code_named(&code),
        None if frame.get("code") == Some("-32602") => Code::ArgsInvalid,
        None => Code::UpstreamProtocol,
    };
    Failure { hint: text("hint"), ..Failure::new(code, message) }
}

fn code_named(name: &str) -> Code {
    Code::ALL.iter().copied().find(|code| code.as_str() == name).unwrap_or(Code::InternalBug)
}
