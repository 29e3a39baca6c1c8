//! What a method means on a face, in either era and on either transport: answered here, or a call for the gate.

use crate::aim::{Aim, aim, aim_at_uri};
use crate::answer::Answer;
use crate::budget::{Budgets, Cut};
use crate::caller::Caller;
use crate::encode::{self, Asked, Shape};
use crate::legacy;
use crate::level::Level;
use crate::line::{Line, Out};
use crate::listen::{Listen, subscription, unsubscribe};
use crate::lists::{Lists, settle};
use crate::modern;
use crate::question;
use crate::rounds::Turn;
use crate::seal::Seal;
use crate::session::{MOST_WATCHED, Session};
use crate::trace;
use bytes::Bytes;
use futures_util::FutureExt;
use gate::{Abilities, Call, Dialogue, Face, Gate, ItemKind, ReplyKind, Target};
use mcp::revision::{code, meta};
use mcp::{Era, Frame, Revision, view};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long a call waits for servers whose tools were never seen, before its name counts as unknown.
const CALL_PATIENCE: Duration = Duration::from_secs(10);

/// A server's own limit for its start ends before this.
const START_PATIENCE: Duration = Duration::from_secs(15 * 60);

/// How a face presents itself.
#[derive(Debug, Clone)]
pub struct Options {
    /// `serverInfo.name`.
    pub name: String,
    /// `serverInfo.version`.
    pub version: String,
    /// What is shown at `/mcp` and on stdio.
    pub face: Face,
    /// What a client may send.
    pub limits: mcp::Limits,
    /// How long a list waits for servers that were never seen.
    pub list_wait: Duration,
    /// Instructions for a model, in place of the ones made from the servers.
    pub instructions: Option<String>,
    /// Whether the user of a client that calls is the one to approve: then its answer to a question counts.
    pub approvals_by_client: bool,
    /// Seals what clients keep between the rounds of a call.
    pub seal: Seal,
    /// How long results may be. Nothing: as long as they are.
    pub budgets: Option<Budgets>,
    /// Definitions of tools above this many bytes are listed in a shorter form. Nothing: all as they are.
    pub compact_above: Option<usize>,
}

/// One face, shared by all its conversations.
pub(crate) struct Front {
    pub gate: Arc<Gate>,
    pub face: Face,
    pub options: Arc<Options>,
    pub lists: Lists,
    /// Runs what outlives its connection.
    pub tracker: TaskTracker,
    /// Nobody waits for servers any more.
    pub hurry: CancellationToken,
    /// The face is closing.
    pub stop: CancellationToken,
    /// `serverInfo`, raw.
    pub server_info: String,
}

/// What becomes of a request.
pub(crate) enum Work {
    /// Answered on the spot.
    Done(Answer),
    /// Answered later.
    Later(Box<Pending>),
}

/// A request that is not answered on the spot.
pub(crate) enum Pending {
    /// Goes through the gate, and may go on in rounds.
    Call(Call, Shape, Option<Box<Turn>>),
    /// Begins to watch a resource.
    Watch(Call, Shape, Arc<Session>),
    /// Waits for servers that were never seen.
    List(Frame, ItemKind, Era),
    /// Hears of changes until it ends.
    Listen(Listen),
}

/// What a request says of its sender.
pub(crate) struct Said {
    pub era: Era,
    pub client: Option<Arc<str>>,
    pub capabilities: Option<Bytes>,
    pub level: Option<Level>,
}

impl Front {
    /// The face `face` of `gate`. `mark` is random.
    pub fn new(gate: Arc<Gate>, face: Face, options: Arc<Options>, mark: [u8; 4]) -> Self {
        let server_info =
            format!(r#"{{"name":{},"version":{}}}"#, view::quoted(&options.name), view::quoted(&options.version));
        Self {
            gate,
            face,
            options,
            lists: Lists::new(mark),
            tracker: TaskTracker::new(),
            hurry: CancellationToken::new(),
            stop: CancellationToken::new(),
            server_info,
        }
    }

    /// Takes a request: answers it, or says what is to be done for it.
    pub fn begin(&self, frame: Frame, caller: &Caller) -> Work {
        if let Some(key) = mcp::lookalike(&frame) {
            // Its server might read it for the other, and run something else than was decided on.
            let reason = format!("the key `{}` differs from one with a meaning in case alone", key.escape_debug());
            return Work::Done(Answer::malformed(id_of(&frame), code::INVALID_REQUEST, &reason));
        }
        if modern::is_modern(&frame) {
            return match modern::said(&frame) {
                Ok(said) => self.begin_modern(frame, caller, said),
                Err(answer) => Work::Done(answer),
            };
        }
        let said = legacy::said(caller);
        self.begin_legacy(frame, caller, said)
    }

    fn begin_modern(&self, frame: Frame, caller: &Caller, said: Said) -> Work {
        let id = frame.id().unwrap_or("null").as_bytes();
        match &*frame.method() {
            "server/discover" => Work::Done(modern::discover(self, id)),
            "subscriptions/listen" => match Listen::new(self, &frame, caller) {
                Ok(listen) => Work::Later(Box::new(Pending::Listen(listen))),
                Err(answer) => Work::Done(answer),
            },
            method => match plan(method) {
                Some(plan) => self.begin_common(plan, frame.clone(), caller, said),
                None => Work::Done(Answer::no_method(id, method)),
            },
        }
    }

    fn begin_legacy(&self, frame: Frame, caller: &Caller, said: Said) -> Work {
        let id = frame.id().unwrap_or("null").as_bytes();
        match (&*frame.method(), &caller.session) {
            ("ping", _) => Work::Done(Answer::empty(id, Era::Legacy)),
            ("initialize", Some(session)) => Work::Done(legacy::initialize(self, &frame, session)),
            ("logging/setLevel", Some(session)) => Work::Done(legacy::set_level(&frame, session)),
            ("resources/subscribe", Some(session)) => self.watch(&frame, caller, session, said),
            ("resources/unsubscribe", Some(session)) => self.unwatch(&frame, caller, session, said),
            (method, _) => match plan(method) {
                Some(plan) => self.begin_common(plan, frame.clone(), caller, said),
                None => Work::Done(Answer::no_method(id, method)),
            },
        }
    }

    fn begin_common(&self, plan: Plan, frame: Frame, caller: &Caller, said: Said) -> Work {
        match plan {
            Plan::List(kind) if self.lists.ready(self) => Work::Done(self.lists.answer(self, &frame, kind, said.era)),
            Plan::List(kind) => Work::Later(Box::new(Pending::List(frame, kind, said.era))),
            Plan::Call(asked) => match aim(&frame, asked) {
                Ok(aim) => {
                    let (call, shape) = self.call(&frame, caller, said, aim, asked);
                    let rounds = call.abilities.dialogue == Dialogue::Rounds && asked.has_rounds();
                    let turn = rounds.then(|| Box::new(Turn::new(&frame, &call)));
                    Work::Later(Box::new(Pending::Call(call, shape, turn)))
                }
                Err(reason) => Work::Done(invalid_params(&frame, &reason)),
            },
        }
    }

    fn watch(&self, frame: &Frame, caller: &Caller, session: &Arc<Session>, said: Said) -> Work {
        match aim_at_uri(frame, Target::Subscribe) {
            Ok(_) if session.watched() >= MOST_WATCHED => {
                let what = format!("{MOST_WATCHED} resources are watched already, the limit of one session");
                Work::Done(Answer::error(id_of(frame), gate::Code::LimitBusy.rpc(), &what, None))
            }
            Ok(aim) => {
                let (call, shape) = self.call(frame, caller, said, aim, Asked::Subscription);
                Work::Later(Box::new(Pending::Watch(call, shape, session.clone())))
            }
            Err(reason) => Work::Done(invalid_params(frame, &reason)),
        }
    }

    fn unwatch(&self, frame: &Frame, caller: &Caller, session: &Arc<Session>, said: Said) -> Work {
        match aim_at_uri(frame, Target::Unsubscribe) {
            Ok(aim) => {
                // Who never watched may not take back the watch of somebody else.
                if !session.unwatch(aim.target.asked()) {
                    return Work::Done(Answer::empty(id_of(frame), Era::Legacy));
                }
                let (call, shape) = self.call(frame, caller, said, aim, Asked::Subscription);
                Work::Later(Box::new(Pending::Call(call, shape, None)))
            }
            Err(reason) => Work::Done(invalid_params(frame, &reason)),
        }
    }

    fn call(&self, frame: &Frame, caller: &Caller, said: Said, aim: Aim, asked: Asked) -> (Call, Shape) {
        let trace = trace::of(frame, said.client.as_ref());
        let links = links(caller, said.era);
        let cut = self.options.budgets.as_ref().filter(|_| asked == Asked::Tool);
        let cut = cut.map(|budgets| Box::new(Cut { budgets: budgets.clone(), by: caller.by.clone(), links }));
        let shape = Shape { id: frame.json().slice(frame.id_span().range()), era: said.era, asked, cut };
        let dialogue = match (said.era, &said.capabilities) {
            (Era::Modern, _) => Dialogue::Rounds,
            (Era::Legacy, Some(_)) => Dialogue::Live,
            (Era::Legacy, None) => Dialogue::None,
        };
        let call = Call {
            id: self.gate.fresh_id(),
            by: caller.by.clone(),
            face: self.face.clone(),
            target: aim.target,
            wire: encode::request_wire(frame, aim.subject, aim.arguments),
            listener: self.listener(frame, caller, &said),
            conversation: conversation(caller, &trace),
            trace,
            abilities: Abilities {
                approves: self.options.approvals_by_client && can_ask(caller, &said, asked),
                dialogue,
                links,
                roots_changed: caller.session.as_ref().map_or(0, |session| session.roots_changed()),
                capabilities: said.capabilities,
            },
            claim: None,
        };
        (call, shape)
    }

    fn listener(&self, frame: &Frame, caller: &Caller, said: &Said) -> Option<Arc<dyn gate::ports::Listener>> {
        let token = frame.meta(meta::PROGRESS_TOKEN).filter(|raw| *raw != "null");
        let token = token.map(|_| frame.json().slice(frame.meta_member_span(meta::PROGRESS_TOKEN).range()));
        let session = caller.session.clone().filter(|_| said.era == Era::Legacy);
        if matches!(caller.out, Out::Nowhere) || token.is_none() && session.is_none() && said.level.is_none() {
            return None;
        }
        Some(Arc::new(Line::new(caller.out.clone(), token, said.level, session, self.tracker.clone())))
    }

    /// Does what is to be done. A defect of ours ends this request alone.
    pub async fn run(&self, pending: Pending) -> Answer {
        let id = pending.id();
        match AssertUnwindSafe(self.finish(pending)).catch_unwind().await {
            Ok(answer) => answer,
            Err(_) => {
                tracing::error!(target: "mcp::downstream", "a request was ended by a defect");
                Answer::error(&id, code::INTERNAL, "internal error", None)
            }
        }
    }

    /// All but calls is boxed: every call moves the room for all that it might be.
    async fn finish(&self, pending: Pending) -> Answer {
        match pending {
            Pending::Call(mut call, shape, mut turn) => {
                self.wait_for(&call).await;
                if let Some(Err(answer)) = turn.as_mut().map(|turn| turn.take_up(self, &mut call, &shape)) {
                    return answer;
                }
                let outcome = self.gate.call(call).await;
                match turn {
                    Some(turn) => turn.answer(self, outcome, &shape),
                    None => encode::answer(outcome, &shape, None),
                }
            }
            Pending::Watch(call, shape, session) => Box::pin(self.finish_watch(call, &shape, &session)).await,
            Pending::List(frame, kind, era) => {
                Box::pin(self.lists.settle(self, self.options.list_wait)).await;
                self.lists.answer(self, &frame, kind, era)
            }
            Pending::Listen(listen) => Box::pin(listen.run(self)).await,
        }
    }

    async fn finish_watch(&self, call: Call, shape: &Shape, session: &Session) -> Answer {
        let (face, target, by) = (call.face.clone(), call.target.clone(), call.by.clone());
        self.wait_for(&call).await;
        let outcome = self.gate.call(call).await;
        if outcome.as_ref().is_ok_and(|reply| reply.kind == ReplyKind::Result)
            && let Ok(item) = self.gate.catalog().resolve(&face, &target)
            && session.watch(target.asked(), &item.server)
        {
            // Watchers are counted where the server is, and this one was counted before.
            unsubscribe(self.gate.clone(), vec![subscription(self, &by, target.asked(), false)]).await;
        }
        encode::answer(outcome, shape, None)
    }

    /// A name nobody knows may be one of a server that was never seen: it is given time to come up. The server that
    /// the name leads to has all the time its start may take; where the name leads to none, all have a moment.
    async fn wait_for(&self, call: &Call) {
        let known = || self.gate.catalog().resolve(&call.face, &call.target).is_ok();
        if self.lists.complete(self) || known() {
            return;
        }
        let cold = self.gate.warm_for(&call.face, &call.target);
        let patience = if cold.len() == 1 { START_PATIENCE } else { CALL_PATIENCE };
        Box::pin(settle(self, &cold, patience, known)).await;
    }
}

impl Pending {
    fn id(&self) -> Bytes {
        match self {
            Self::Call(_, shape, _) | Self::Watch(_, shape, _) => shape.id.clone(),
            Self::List(frame, ..) => frame.json().slice(frame.id_span().range()),
            Self::Listen(listen) => listen.id().clone(),
        }
    }
}

/// What both eras have.
enum Plan {
    List(ItemKind),
    Call(Asked),
}

fn plan(method: &str) -> Option<Plan> {
    Some(match method {
        "tools/call" => Plan::Call(Asked::Tool),
        "tools/list" => Plan::List(ItemKind::Tool),
        "resources/read" => Plan::Call(Asked::Read),
        "resources/list" => Plan::List(ItemKind::Resource),
        "resources/templates/list" => Plan::List(ItemKind::Template),
        "prompts/get" => Plan::Call(Asked::Prompt),
        "prompts/list" => Plan::List(ItemKind::Prompt),
        "completion/complete" => Plan::Call(Asked::Completion),
        _ => return None,
    })
}

/// Whether the caller's user can be shown a question of ours.
fn can_ask(caller: &Caller, said: &Said, asked: Asked) -> bool {
    let way = match said.era {
        Era::Modern => asked.has_rounds(),
        Era::Legacy => caller.session.is_some() && !matches!(caller.out, Out::Nowhere),
    };
    way && question::can_show(said.capabilities.as_deref())
}

/// Whether the caller's revision knows links to resources among what a tool answers.
fn links(caller: &Caller, era: Era) -> bool {
    let shaken = caller.session.as_ref().map(|session| session.profile().revision);
    era == Era::Modern || shaken.is_some_and(|revision| revision >= Revision::V2025_06_18)
}

/// The conversation that a call belongs to: the one it came in, else the one its client names.
fn conversation(caller: &Caller, trace: &gate::Trace) -> Option<Arc<str>> {
    match &caller.session {
        Some(session) => session.conversation.clone(),
        None => trace.thread.as_deref().map(|thread| format!("thread {thread}").into()),
    }
}

fn id_of(frame: &Frame) -> &[u8] {
    frame.id().unwrap_or("null").as_bytes()
}

fn invalid_params(frame: &Frame, reason: &str) -> Answer {
    Answer::error(frame.id().unwrap_or("null").as_bytes(), code::INVALID_PARAMS, reason, None)
}
