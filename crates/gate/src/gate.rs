//! The one path of a call.

mod permit;
mod renewal;

pub use permit::{Feed, Permit, StartPermit};
pub use renewal::Renewal;

use crate::approval::{ApprovalId, Approvals, Asking, Leave, Settled, Verdict};
use crate::catalog::{Catalog, Item, similar};
use crate::hub::Hub;
use crate::ledger::{End, Entry, Recorder};
use crate::mask::Masks;
use crate::pace::{Pace, PaceLimits};
use crate::policy::{Case, Decision, Policy, Question};
use crate::ports::{Desk, Ids, Readiness, Source};
use crate::refusal::{Failure, Fault, Refusal, Unapproved, Why};
use crate::schema::{Checker, Validators};
use crate::taint::Taints;
use crate::words::{Call, CallId, Face, ItemKind, Principal, Reply, ServerName, Target};
use arc_swap::ArcSwap;
use permit::Within;
use renewal::Rules;
use std::collections::HashMap;
use std::sync::Arc;

/// In the arguments of which tools (patterns of raw names) of which servers handles are put back.
pub type Restores = HashMap<ServerName, Vec<String>>;

/// How many schemas are kept ready.
const SCHEMAS: usize = 1_024;

/// The gate: everything between a face and the sources.
pub struct Gate {
    catalog: Arc<Catalog>,
    recorder: Arc<Recorder>,
    hub: Arc<Hub>,
    approvals: Arc<Approvals>,
    taints: Taints,
    pace: Pace,
    schemas: Validators,
    ids: Arc<dyn Ids>,
    rules: ArcSwap<Rules>,
}

/// What a gate is put together from.
pub struct Assembly {
    /// What there is to call.
    pub catalog: Arc<Catalog>,
    /// The rules.
    pub policy: Arc<Policy>,
    /// The ledger's writing half.
    pub recorder: Recorder,
    /// The masks.
    pub masks: Arc<Masks>,
    /// Where servers say things outside calls.
    pub hub: Arc<Hub>,
    /// How people are asked.
    pub approvals: Approvals,
    /// Fresh ids.
    pub ids: Arc<dyn Ids>,
    /// What runs calls, one per server.
    pub sources: Vec<Arc<dyn Source>>,
}

impl Gate {
    /// A gate of these parts.
    pub fn new(parts: Assembly) -> Self {
        let Assembly { catalog, policy, recorder, masks, hub, approvals, ids, sources } = parts;
        let sources = sources.into_iter().map(|source| (source.name().clone(), source)).collect();
        let (restores, pace) = (Restores::new(), PaceLimits::default());
        Self {
            catalog,
            recorder: Arc::new(recorder),
            hub,
            approvals: Arc::new(approvals),
            taints: Taints::default(),
            pace: Pace::default(),
            schemas: Validators::new(SCHEMAS),
            ids,
            rules: ArcSwap::from_pointee(Rules { policy, masks, restores, pace, sources }),
        }
    }

    /// The same, for conversations that may not do without bounds.
    #[must_use]
    pub fn paced(self, limits: PaceLimits) -> Self {
        self.rules.rcu(|rules| Rules { pace: limits, ..Rules::clone(rules) });
        self
    }

    /// The same; handles that stand for what was masked are put back in the arguments of these tools.
    #[must_use]
    pub fn restoring(self, restores: Restores) -> Self {
        self.rules.rcu(|rules| Rules { restores: restores.clone(), ..Rules::clone(rules) });
        self
    }

    /// What there is to call.
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// What servers say outside calls.
    pub fn hub(&self) -> &Hub {
        &self.hub
    }

    /// The masks, for whoever shows a server's words outside a call.
    pub fn masks(&self) -> Arc<Masks> {
        self.rules.load().masks.clone()
    }

    /// A fresh id for a call.
    pub fn fresh_id(&self) -> CallId {
        CallId(self.ids.fresh())
    }

    /// Puts a call through: resolve, decide, record, run, mask, record.
    ///
    /// # Errors
    /// [`Failure`] when we said no or something broke. An error the server answered is a [`Reply`].
    pub async fn call(&self, call: Call) -> Result<Reply, Failure> {
        let call = Box::new(call);
        let mut rules = self.rules.load_full();
        let item = match self.catalog.resolve(&call.face, &call.target) {
            Ok(item) => item,
            Err(refusal) => {
                let fault = self.unseen(&rules, &call.face, &call.target);
                let refused = self.refuse(&call, None, self.told_of(&call, refusal));
                return Err(fault.map_or(refused, Failure::Broke));
            }
        };
        let leave = match self.leave(&mut rules, &call, &item).await {
            Ok(leave) => leave,
            Err(refusal) => return Err(self.refuse(&call, Some(&item), refusal)),
        };
        let continuation = leave.continuation;
        let server = item.server.clone();
        let (permit, entry) = self.open(&rules, call, item.clone(), &leave).await?;
        let answer = self.run(&rules, permit).await.map(|reply| Reply { item: Some(item), continuation, ..reply });
        entry.close(End::of(&answer), rules.bounds(&server));
        answer
    }

    /// Leave for the call: by a rule, or by a person. Who waited for a person goes on by the rules of then.
    async fn leave(&self, rules: &mut Arc<Rules>, call: &Call, item: &Arc<Item>) -> Result<Leave, Refusal> {
        if item.kind == ItemKind::Tool {
            self.pace.count(rules.pace, call)?;
        }
        let decision = rules.policy.decide(&self.case(call, item));
        if let Decision::Deny(denial) = decision {
            return Err(Refusal::Denied(denial));
        }
        if let Some(held) = self.catalog.held(item) {
            return Err(held.refusal());
        }
        self.check_arguments(rules, call, item)?;
        let question = match decision {
            Decision::Allow(grant) => return Ok(Leave { grant, continuation: None }),
            Decision::Deny(denial) => return Err(Refusal::Denied(denial)),
            Decision::Ask(question) => question,
        };
        let (recorder, masks) = (&*self.recorder, &*rules.masks);
        let policy = rules.policy.digest();
        let asking = Asking { call, item, question, policy, recorder, masks, words: None };
        // Boxed: every call moves the room for all that it might be, and few have to ask.
        let leave = Box::pin(self.approvals.ask(&asking)).await?;
        let question = asking.question;
        *rules = self.still(rules, call, item, question)?;
        Ok(leave)
    }

    /// The rules of now, if what was asked about is still what runs, and nothing more is wanted for it.
    fn still(&self, asked: &Rules, call: &Call, item: &Item, question: Question) -> Result<Arc<Rules>, Refusal> {
        let now = self.rules.load_full();
        let found = self.catalog.resolve(&call.face, &call.target);
        let same =
            found.is_ok_and(|found| found.server == item.server && found.definition_hash() == item.definition_hash());
        if same && (std::ptr::eq(asked, &*now) || asked.still_hold(&now, &question, &self.case(call, item))) {
            return Ok(now);
        }
        let why = Why::Changed;
        Err(Refusal::Unapproved(Box::new(Unapproved { question, approval: None, why })))
    }

    /// Arguments that its own schema does not take are not worth a call, nor a person's time.
    fn check_arguments(&self, rules: &Rules, call: &Call, item: &Item) -> Result<(), Refusal> {
        let (ItemKind::Tool, Some(hash)) = (item.kind, item.canonical_hash()) else { return Ok(()) };
        let Checker::Schema(validator) = self.schemas.of(hash, &item.definition) else { return Ok(()) };
        let mistakes = validator.check(call.wire.part(call.wire.parts.arguments)).err().unwrap_or_default();
        let own = || rules.sources.get(&item.server).is_some_and(|source| source.checks_arguments());
        if mistakes.is_empty() || own() {
            return Ok(());
        }
        // A mistake may quote what the caller sent, and names that the server chose.
        let flaws = mistakes.iter().map(|mistake| rules.masks.text(&mistake.to_string()).into_owned()).collect();
        Err(Refusal::BadArguments { tool: call.target.asked().to_owned(), flaws })
    }

    /// Where questions to people lie.
    pub fn desk(&self) -> &Arc<dyn Desk> {
        &self.approvals.desk
    }

    /// Answers a question in the name of somebody who is not its caller, on the record.
    ///
    /// # Errors
    /// [`Failure`] if it cannot be recorded or stored; then it was not answered.
    pub async fn settle(&self, id: ApprovalId, verdict: Verdict) -> Result<Settled, Failure> {
        Ok(self.approvals.settle(&self.recorder, id, verdict).await?)
    }

    /// Refuses, on the record, a call that brought along state which is not ours for it.
    pub fn refuse_state(&self, call: &Call) -> Failure {
        let item = self.catalog.resolve(&call.face, &call.target).ok();
        self.refuse(call, item.as_deref(), Refusal::BadState)
    }

    fn case<'a>(&self, call: &'a Call, item: &'a Item) -> Case<'a> {
        let arguments = Some(call.wire.part(call.wire.parts.arguments));
        Case { by: &call.by, item, arguments, tainted: self.taints.has(call) }
    }

    /// What the mildest call of `item` would meet.
    fn listed(&self, item: &Item) -> Decision {
        self.rules.load().policy.decide(&Case { by: &Principal::Local, item, arguments: None, tainted: false })
    }

    /// What calling `item` can do, as the policy sees it.
    pub fn class(&self, item: &Item) -> crate::policy::Class {
        self.rules.load().policy.class(item)
    }

    /// What of one kind `face` may see: everything the policy does not deny. With the catalog's epoch.
    pub fn visible(&self, face: &Face, kind: ItemKind) -> (u64, Vec<Arc<Item>>) {
        let (epoch, mut items) = self.catalog.items(face, kind);
        items.retain(|item| !matches!(self.listed(item), Decision::Deny(_)) && self.catalog.held(item).is_none());
        (epoch, items)
    }

    /// What a call of `item` would meet, in one word: `allow`, `ask` or `deny`.
    pub fn decision_word(&self, item: &Item) -> &'static str {
        match self.listed(item) {
            Decision::Allow(_) => "allow",
            Decision::Ask(_) => "ask",
            Decision::Deny(_) => "deny",
        }
    }

    /// Starts every server of `face` that was never seen, so that its list comes to be known. Returns the
    /// servers whose list is still unknown.
    pub fn warm(&self, face: &Face) -> Vec<ServerName> {
        let mut cold = self.catalog.servers(face);
        cold.retain(|server| self.catalog.offer(server).is_none());
        self.start_all(&cold);
        cold
    }

    fn start_all(&self, servers: &[ServerName]) {
        let rules = self.rules.load();
        for source in servers.iter().filter_map(|server| rules.sources.get(server)) {
            // A refusal is recorded; lists then go without this server.
            let _ = self.ensure_started(&rules, &Principal::Local, source);
        }
    }

    /// The servers of `face` that were never seen and may have what `target` names: those it names in front, else
    /// all. Starts them.
    pub fn warm_for(&self, face: &Face, target: &Target) -> Vec<ServerName> {
        let named = self.catalog.named_in(face, target.asked());
        let mut cold = if named.is_empty() { self.catalog.servers(face) } else { named };
        cold.retain(|server| self.catalog.offer(server).is_none());
        self.start_all(&cold);
        cold
    }

    /// Whether there is nothing to wait for: the server's list is known, or its start has failed.
    pub fn settled(&self, server: &ServerName) -> bool {
        let rules = self.rules.load();
        let source = rules.sources.get(server);
        source.is_none_or(|source| self.catalog.offer(server).is_some() || source.trouble().is_some())
    }

    /// Why the one server that a name leads to could not say whether it has it.
    fn unseen(&self, rules: &Rules, face: &Face, target: &Target) -> Option<Fault> {
        match self.catalog.named_in(face, target.asked()).as_slice() {
            [server] if self.catalog.offer(server).is_none() => rules.sources.get(server)?.trouble(),
            _ => None,
        }
    }

    /// Starts one server unless it is up.
    ///
    /// # Errors
    /// [`Failure`] if there is no such server, or policy or ledger say no.
    pub fn start(&self, server: &ServerName) -> Result<(), Failure> {
        let rules = self.rules.load();
        self.ensure_started(&rules, &Principal::Local, rules.source(server)?)
    }

    /// What the caller of an unknown name may be told of it: names that it sees and perhaps meant. A name that
    /// policy hides is as unknown as one that does not exist.
    fn told_of(&self, call: &Call, refusal: Refusal) -> Refusal {
        let (kind, asked, meant) = match refusal {
            Refusal::Unknown { kind, asked, .. } => (kind, asked, None),
            Refusal::Ambiguous { asked, first, second } => (call.target.kind(), asked, Some([first, second])),
            other => return other,
        };
        let (_, shown) = self.visible(&call.face, kind);
        let names = || shown.iter().map(|item| item.name_on(&call.face));
        let similar = match meant {
            None => similar(&asked, shown.iter().map(|item| (item.name_on(&call.face), &*item.raw))),
            Some([first, second]) if [&first, &second].into_iter().all(|name| names().any(|shown| shown == name)) => {
                return Refusal::Ambiguous { asked, first, second };
            }
            Some(meant) => names().filter(|name| meant.iter().any(|meant| meant == name)).collect(),
        };
        // Names are a server's words.
        let masks = self.masks();
        let similar = similar.into_iter().map(|name| masks.text(name).into_owned()).collect();
        Refusal::Unknown { kind, asked, similar }
    }

    async fn open(
        &self,
        rules: &Rules,
        mut call: Box<Call>,
        item: Arc<Item>,
        leave: &Leave,
    ) -> Result<(Permit, Entry), Failure> {
        match self.recorder.open(&call, &item, leave, rules.policy.digest(), rules.bounds(&item.server)).await {
            Ok(entry) => {
                // After it was decided and recorded: neither may see what a handle stands for.
                if let Some(arguments) = rules.restored(&call, &item) {
                    call.wire = call.wire.with_arguments(&arguments);
                }
                let within = Within {
                    approvals: self.approvals.clone(),
                    recorder: self.recorder.clone(),
                    policy: rules.policy.clone(),
                };
                Ok((Permit { call, item, masks: rules.masks.clone(), within }, entry))
            }
            Err(refusal) => Err(self.refuse(&call, Some(&item), refusal)),
        }
    }

    async fn run(&self, rules: &Rules, permit: Permit) -> Result<Reply, Failure> {
        // Before anything is answered: progress and questions of the call are its server's words too.
        if rules.policy.taints(&permit.item) {
            self.taints.mark(&permit.call);
        }
        let source = rules.source(&permit.item.server)?;
        self.ensure_started(rules, &permit.call.by, source)?;
        let server = permit.item.server.clone();
        Ok(rules.masks.apply(&server, source.call(permit).await?))
    }

    fn ensure_started(&self, rules: &Rules, by: &Principal, source: &Arc<dyn Source>) -> Result<(), Failure> {
        if source.readiness() == Readiness::Up {
            return Ok(());
        }
        let server = source.name().clone();
        match rules.policy.decide_start(by, &server) {
            Decision::Allow(grant) => {
                self.recorder.start(self.fresh_id(), &server, &grant.rule().0, rules.policy.digest())?;
                source.start(StartPermit { server });
                Ok(())
            }
            Decision::Ask(question) => {
                let why = Why::Unanswered;
                Err(Refusal::Unapproved(Box::new(Unapproved { question, approval: None, why })).into())
            }
            Decision::Deny(denial) => Err(Refusal::Denied(denial).into()),
        }
    }

    fn refuse(&self, call: &Call, item: Option<&Item>, refusal: Refusal) -> Failure {
        self.recorder.refuse(call, item, &refusal);
        Failure::Refused(refusal)
    }
}

#[cfg(test)]
mod tests;
