//! What of a gate a new configuration replaces, and how. Taints, paces, questions and the record outlive it.

use super::{Gate, Restores};
use crate::Code;
use crate::catalog::{Item, Naming, Seen};
use crate::mask::Masks;
use crate::pace::PaceLimits;
use crate::policy::{Case, Decision, Policy, Question, matches};
use crate::ports::Source;
use crate::refusal::{Delivery, Failure, Fault};
use crate::state::State;
use crate::words::{Call, Face, ItemKind, ServerName};
use bytes::Bytes;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// What calls go by. Replaced whole: a call takes it once, and goes by it to its end.
#[derive(Clone)]
pub(super) struct Rules {
    pub policy: Arc<Policy>,
    pub masks: Arc<Masks>,
    pub restores: Restores,
    pub pace: PaceLimits,
    pub sources: HashMap<ServerName, Arc<dyn Source>>,
}

/// What a gate goes by from now on.
pub struct Renewal {
    /// The rules.
    pub policy: Arc<Policy>,
    /// The masks. They have to know every secret that the ones before knew: what was given out then is still secret.
    pub masks: Arc<Masks>,
    /// Where handles are put back.
    pub restores: Restores,
    /// Bounds on conversations. What was counted before counts on.
    pub pace: PaceLimits,
    /// What runs calls, one per server. One that is the very same object goes on as if nothing had happened.
    pub sources: Vec<Arc<dyn Source>>,
    /// The servers there are, in the order they are shown, and what is known of each.
    pub servers: Vec<(ServerName, Seen)>,
    /// How their tools are named.
    pub naming: Naming,
}

/// What everybody may see: by server and kind, the names and definitions.
type Sight = BTreeMap<(ServerName, ItemKind), Vec<(Box<str>, Bytes)>>;

impl Rules {
    /// What a server runs under, as far as that is known.
    pub fn bounds(&self, server: &ServerName) -> Option<Arc<str>> {
        self.sources.get(server)?.bounds()
    }

    pub fn source(&self, server: &ServerName) -> Result<&Arc<dyn Source>, Failure> {
        self.sources.get(server).ok_or_else(|| {
            Failure::Broke(Fault {
                code: Code::UpstreamNotConfigured,
                server: server.clone(),
                what: "is not running in this gate".to_owned(),
                hint: Some("run `toolgate mcp list` to see which servers there are".to_owned()),
                delivery: Delivery::NotDelivered,
                state: State::MissingConfig,
            })
        })
    }

    /// The arguments with what handles stand for, if they hold any that may be put back.
    pub fn restored(&self, call: &Call, item: &Item) -> Option<Bytes> {
        let tools = self.restores.get(&item.server)?;
        let arguments = call.wire.part(call.wire.parts.arguments);
        if arguments.is_empty() || !tools.iter().any(|pattern| matches(pattern, &item.raw)) {
            return None;
        }
        self.masks.restore(&item.server, arguments, &|_| true)
    }

    /// Whether a person's yes to `question`, asked under `self`, still says all that is wanted under `now`.
    pub fn still_hold(&self, now: &Rules, question: &Question, case: &Case<'_>) -> bool {
        let same_source = match (self.sources.get(&question.server), now.sources.get(&question.server)) {
            (Some(before), Some(after)) => std::ptr::addr_eq(Arc::as_ptr(before), Arc::as_ptr(after)),
            _ => false,
        };
        same_source
            && match now.policy.decide(case) {
                Decision::Allow(_) => true,
                Decision::Ask(asked) => asked.rule == question.rule && asked.class == question.class,
                Decision::Deny(_) => false,
            }
    }
}

impl Gate {
    /// Goes by something else from the next call on. Calls that are under way end by what they began with; one that
    /// waits for a person is refused if it would be decided or run otherwise now. Who listens is told of each list
    /// that this changes. For one caller at a time.
    pub fn renew(&self, renewal: Renewal) {
        let Renewal { policy, masks, restores, pace, sources, servers, naming } = renewal;
        let before = self.sight();
        let awaited: Vec<ServerName> = servers.iter().filter(|(_, seen)| seen.is_nothing()).map(named).collect();
        // First of all, so that nothing is ever shown or written down unmasked.
        self.hub.renew(masks.clone());
        self.recorder.renew(masks.clone());
        self.catalog.govern(&policy);
        let sources = sources.into_iter().map(|source| (source.name().clone(), source)).collect();
        self.rules.store(Arc::new(Rules { policy, masks, restores, pace, sources }));
        self.catalog.reshape(servers, naming);
        let after = self.sight();
        let all = before.keys().chain(after.keys().filter(|key| !before.contains_key(*key)));
        for (server, kind) in all.filter(|key| before.get(*key) != after.get(*key)) {
            self.hub.list_changed(*kind, server);
        }
        // What a server has that nobody has seen yet shows when somebody asks for it.
        awaited.iter().for_each(|server| self.hub.list_changed(ItemKind::Tool, server));
    }

    fn sight(&self) -> Sight {
        let mut sight = Sight::new();
        for kind in [ItemKind::Tool, ItemKind::Prompt, ItemKind::Resource, ItemKind::Template] {
            for item in self.visible(&Face::All, kind).1 {
                sight.entry((item.server.clone(), kind)).or_default().push(shown(&item));
            }
        }
        sight
    }
}

fn named<T>((name, _): &(ServerName, T)) -> ServerName {
    name.clone()
}

fn shown(item: &Item) -> (Box<str>, Bytes) {
    (item.exposed.clone(), item.definition.clone())
}
