//! What a call that runs wants to do on its way, and takes a person's leave of its own for: the same questions, on
//! the same desk and on the same record. Not here: what such an act is, or how it is done.

use super::asking::{canonical_arguments, digest};
use super::{Answer, Approval, ApprovalId, Approvals, Asking, Settled, Verdict, Way};
use crate::catalog::{Facts, Item};
use crate::ledger::{Phase, Recorder};
use crate::mask::Masks;
use crate::policy::{Asker, Class, Policy, Question, RuleId};
use crate::ports::Listener;
use crate::refusal::{Refusal, Unapproved, Why};
use crate::words::{Abilities, Call, CallId, Dialogue, ItemKind, Parts, Place, Principal, ServerName, Target};
use crate::words::{Trace, Wire};
use std::sync::{Arc, OnceLock};
use tokio::sync::oneshot;

/// An act that needs leave.
#[derive(Debug, Clone)]
pub struct Act {
    /// What it is called where a tool's name stands.
    pub name: Box<str>,
    /// Why it needs leave, in the place of a rule.
    pub rule: Box<str>,
    /// All that a person has to know of it: a JSON object.
    pub arguments: String,
    /// The question.
    pub words: Words,
}

/// A question in words of its own. Masked before anybody sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words {
    /// For the person.
    pub text: String,
    /// What goes along for a client that knows it: a JSON object.
    pub beside: String,
}

/// What became of an act's question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// It may be done, once.
    Yes,
    /// A person said no.
    No,
    /// The dialogue was closed.
    Dismissed,
    /// Nobody could be asked, or nobody answered in time.
    Nobody,
    /// The call was over first.
    Over,
}

/// Whoever can be asked in the course of one call.
pub struct People {
    pub(crate) approvals: Arc<Approvals>,
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) policy: Arc<Policy>,
    pub(crate) masks: Arc<Masks>,
    pub(crate) server: ServerName,
    pub(crate) id: CallId,
    pub(crate) by: Principal,
    pub(crate) client: Option<Arc<str>>,
    pub(crate) abilities: Abilities,
    pub(crate) listener: Option<Arc<dyn Listener>>,
}

impl People {
    /// Whether the caller's user is asked by an answer to the call, and answers with the same call again.
    pub fn in_rounds(&self) -> bool {
        self.abilities.dialogue == Dialogue::Rounds && self.abilities.approves
    }

    /// Asks for leave, until there is an answer, the question's time is over, or `over` says that the call is.
    /// `laid` is given the question as it lies on the desk, and its words as they may be shown.
    pub async fn ask(&self, act: &Act, laid: impl FnOnce(&Approval, &Words), over: impl Future<Output = ()>) -> Word {
        let call = self.call(act);
        let item = self.item(act);
        let words = Words {
            text: self.masks.text(&act.words.text).into_owned(),
            beside: self.masks.arguments(act.words.beside.as_bytes()).into_owned(),
        };
        let asking = Asking {
            call: &call,
            item: &item,
            question: self.question(act),
            policy: self.policy.digest(),
            recorder: &self.recorder,
            masks: &self.masks,
            words: Some(&words),
        };
        let arguments = canonical_arguments(&call);
        let digest = digest(&asking, &arguments);
        let approval = match self.approvals.lay_down(&asking, digest, &arguments).await {
            Ok(approval) => approval,
            Err(refusal) => return nobody(&refusal),
        };
        laid(&approval, &words);
        let id = approval.id;
        let word = tokio::select! {
            biased;
            () = over => Word::Over,
            leave = self.approvals.wait(&asking, approval, digest) => match leave {
                Ok(_) => Word::Yes,
                Err(Refusal::Unapproved(unapproved)) => of_refusal(&unapproved),
                Err(refusal) => nobody(&refusal),
            },
        };
        if let Word::Dismissed | Word::Over = word {
            self.withdraw(id, word).await;
        }
        word
    }

    /// What the caller's user answered to a question of this call, in a later round of it.
    ///
    /// # Errors
    /// [`Refusal`] if it cannot be recorded or stored; then it was not answered.
    pub async fn answered(&self, id: ApprovalId, answer: Answer) -> Result<(), Refusal> {
        let yes = matches!(answer, Answer::Yes | Answer::YesForConversation);
        if !self.in_rounds() {
            return Ok(());
        }
        self.settle(id, yes, self.user()).await.map(drop)
    }

    /// A question that nobody waits for any more must not lie about as if it were good for something.
    async fn withdraw(&self, id: ApprovalId, word: Word) {
        let by = if word == Word::Dismissed { self.user() } else { "nobody: the call is over".to_owned() };
        if let Err(refusal) = self.settle(id, false, by).await {
            tracing::warn!(target: "mcp::approvals", %refusal, "a question could not be taken back");
        }
    }

    async fn settle(&self, id: ApprovalId, yes: bool, approver: String) -> Result<Settled, Refusal> {
        let verdict = Verdict { yes, approver, way: Way::Client, at: self.approvals.clock.wall_micros() };
        self.approvals.settle(&self.recorder, id, verdict).await
    }

    fn user(&self) -> String {
        let client = self.client.as_deref().map(|name| self.masks.text(name));
        format!("user of {}", client.as_deref().unwrap_or("the client"))
    }

    /// The act as if it were called. Who is asked in rounds is not asked on the way: there is no way back to it.
    fn call(&self, act: &Act) -> Call {
        let json = act.arguments.clone();
        let arguments = Place { start: 0, end: u32::try_from(json.len()).unwrap_or(0) };
        let (dialogue, listener) = match self.abilities.dialogue {
            Dialogue::Rounds => (Dialogue::None, None),
            dialogue => (dialogue, self.listener.clone()),
        };
        Call {
            id: self.id,
            by: self.by.clone(),
            face: crate::words::Face::Only(self.server.clone()),
            target: Target::Tool(act.name.clone()),
            wire: Wire { json: json.into(), parts: Parts { arguments, ..Parts::default() } },
            trace: Trace { client: self.client.clone(), ..Trace::default() },
            abilities: Abilities { dialogue, ..self.abilities.clone() },
            conversation: None,
            claim: None,
            listener,
        }
    }

    /// Its definition is like no other: one yes is for one act, however much it resembles another.
    fn item(&self, act: &Act) -> Item {
        Item {
            server: self.server.clone(),
            kind: ItemKind::Tool,
            raw: act.name.clone(),
            exposed: act.name.clone(),
            definition: self.approvals.ids.fresh().to_string().into(),
            name_at: Place::default(),
            facts: Facts::default(),
            hash: OnceLock::new(),
        }
    }

    fn question(&self, act: &Act) -> Question {
        Question {
            server: self.server.clone(),
            tool: act.name.to_string(),
            rule: RuleId((*act.rule).into()),
            class: Class { read_only: false, high_impact: true },
            asker: Asker::HighImpact,
        }
    }
}

fn of_refusal(unapproved: &Unapproved) -> Word {
    match unapproved.why {
        Why::Declined { .. } => Word::No,
        Why::Dismissed => Word::Dismissed,
        _ => Word::Nobody,
    }
}

fn nobody(refusal: &Refusal) -> Word {
    tracing::warn!(target: "mcp::approvals", %refusal, "nobody could be asked");
    Word::Nobody
}

/// Tells a listener, in the words of the question where it has some.
pub(super) fn put(asking: &Asking<'_>, question: &Approval) -> Option<oneshot::Receiver<Answer>> {
    let listener = asking.call.listener.as_ref()?;
    let (sender, receiver) = oneshot::channel();
    match asking.words {
        Some(words) => listener.approve_in_words(question, words, sender),
        None => listener.approve(question, sender),
    }
    Some(receiver)
}

/// Records that it was asked; of an act, which nothing else tells of, with what it is.
pub(super) fn record(asking: &Asking<'_>, question: &Approval) -> Result<(), Refusal> {
    let id = asking.call.id.0;
    match asking.words {
        Some(_) => asking.recorder.act(id, question),
        None => asking.recorder.approval(id, question, Phase::Requested),
    }
}
