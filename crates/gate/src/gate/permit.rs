//! Leave to act, which only the gate gives, and the way back to the caller that comes with it.

use crate::approval::{Approvals, People};
use crate::catalog::Item;
use crate::ledger::Recorder;
use crate::mask::{Masks, Unmasked};
use crate::policy::Policy;
use crate::ports::Listener;
use crate::words::{Call, CallId, Dialogue, Principal, ServerName, Wire};
use bytes::Bytes;
use std::borrow::Cow;
use std::sync::Arc;
use tokio::sync::oneshot;

/// Leave for exactly this call, recorded. Only the gate makes one, and a source consumes it.
pub struct Permit {
    /// Boxed like everywhere on the path: it is moved from stage to stage, and each stage is part of one future.
    pub(super) call: Box<Call>,
    pub(super) item: Arc<Item>,
    pub(super) masks: Arc<Masks>,
    pub(super) within: Within,
}

/// What it takes to ask for leave within a call.
pub(super) struct Within {
    pub approvals: Arc<Approvals>,
    pub recorder: Arc<Recorder>,
    pub policy: Arc<Policy>,
}

impl Permit {
    /// The recorded id of the call.
    pub fn id(&self) -> CallId {
        self.call.id
    }

    /// The request as its caller sent it.
    pub fn wire(&self) -> &Wire {
        &self.call.wire
    }

    /// Who calls.
    pub fn by(&self) -> &Principal {
        &self.call.by
    }

    /// What it is aimed at, by its caller's name.
    pub fn target(&self) -> &crate::words::Target {
        &self.call.target
    }

    /// What it is aimed at, by the server's name.
    pub fn item(&self) -> &Item {
        &self.item
    }

    /// How the caller can be asked something during the call.
    pub fn dialogue(&self) -> Dialogue {
        self.call.abilities.dialogue
    }

    /// The caller's capabilities object, raw.
    pub fn capabilities(&self) -> Option<&Bytes> {
        self.call.abilities.capabilities.as_ref()
    }

    /// The conversation it belongs to, as far as one can be told.
    pub fn conversation(&self) -> Option<&Arc<str>> {
        self.call.conversation.as_ref()
    }

    /// How often the caller has said in this conversation that its roots changed.
    pub fn roots_changed(&self) -> u32 {
        self.call.abilities.roots_changed
    }

    /// Whether the caller knows links to resources among what a tool answers.
    pub fn knows_links(&self) -> bool {
        self.call.abilities.links
    }

    /// Whoever can be asked whether something may be done on the way.
    pub fn people(&self) -> People {
        let Within { approvals, recorder, policy } = &self.within;
        People {
            approvals: approvals.clone(),
            recorder: recorder.clone(),
            policy: policy.clone(),
            masks: self.masks.clone(),
            server: self.item.server.clone(),
            id: self.call.id,
            by: self.call.by.clone(),
            client: self.call.trace.client.clone(),
            abilities: self.call.abilities.clone(),
            listener: self.call.listener.clone(),
        }
    }

    /// Whether the caller wants progress notifications.
    pub fn wants_progress(&self) -> bool {
        self.call.listener.as_ref().is_some_and(|listener| listener.wants_progress())
    }

    /// The way back to the caller while the call runs.
    pub fn feed(&self) -> Feed {
        Feed { server: self.item.server.clone(), listener: self.call.listener.clone(), masks: self.masks.clone() }
    }
}

/// Leave to start one server, recorded.
pub struct StartPermit {
    pub(super) server: ServerName,
}

impl StartPermit {
    /// Which server.
    pub fn server(&self) -> &ServerName {
        &self.server
    }
}

/// Masks what a server says in the middle of a call and passes it to the caller.
#[derive(Clone)]
pub struct Feed {
    server: ServerName,
    listener: Option<Arc<dyn Listener>>,
    masks: Arc<Masks>,
}

impl Feed {
    /// Passes a notification on.
    pub fn notify(&self, said: Unmasked) {
        if let Some(listener) = &self.listener {
            listener.notify(self.masks.apply(&self.server, said).wire);
        }
    }

    /// A text masked like what is passed on, for what is kept to be read later.
    pub fn masked<'a>(&self, text: &'a str) -> Cow<'a, str> {
        self.masks.text(text)
    }

    /// Passes a request on. The receiver fails if nobody answers.
    pub fn ask(&self, said: Unmasked) -> oneshot::Receiver<Wire> {
        let (sender, receiver) = oneshot::channel();
        if let Some(listener) = &self.listener {
            listener.ask(self.masks.apply(&self.server, said).wire, sender);
        }
        receiver
    }
}
