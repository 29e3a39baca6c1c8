//! Holds what servers list against what was agreed to, while the gate runs. What a pin is, and what speaks against
//! a definition, is [`crate::pin`]'s; where the lock file lies, a [`LockKeeper`]'s.

use crate::catalog::Item;
use crate::pin::{self, DefinitionHash, Finding, Lock, Pin, PinClass, Severity, Verdict};
use crate::policy::{Class, Policy};
use crate::ports::{FirstPin, LockKeeper};
use crate::refusal::Refusal;
use crate::words::{ItemKind, ServerName};
use arc_swap::ArcSwap;
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// What was agreed to, and what of the rest is held back.
pub struct Pins {
    now: ArcSwap<Known>,
    keeper: Arc<dyn LockKeeper>,
    policy: ArcSwap<Policy>,
    /// Whose definitions came with this program: nobody need agree to them.
    ours: HashSet<ServerName>,
    /// How often the file said something else than before.
    changes: AtomicU64,
    /// Held while the next state is made. It guards no data.
    changing: Mutex<()>,
}

/// What is known at one moment.
#[derive(Clone, Default)]
struct Known {
    lock: Lock,
    /// New tools that something speaks against.
    flagged: HashMap<Key, Vec<Finding>>,
    /// What was pinned here and was not seen in the file yet.
    own: HashMap<Key, Pin>,
}

/// A server and the raw name of a tool.
type Key = (ServerName, Box<str>);

/// One tool that is held back.
#[derive(Debug, Clone)]
pub struct Held {
    /// Its server.
    pub server: ServerName,
    /// Its raw name.
    pub tool: Box<str>,
    /// Whether it differs from its pin; else it is new and suspicious.
    pub changed: bool,
    /// What speaks against it.
    pub findings: Vec<Finding>,
}

impl Pins {
    /// Pins as `lock` has them; what is new is handed to `keeper`, with the class that `policy` gives it.
    pub fn new(lock: Lock, keeper: Arc<dyn LockKeeper>, policy: Arc<Policy>) -> Self {
        let now = ArcSwap::from_pointee(Known { lock, ..Known::default() });
        let (policy, ours) = (ArcSwap::new(policy), HashSet::new());
        Self { now, keeper, policy, ours, changes: AtomicU64::new(0), changing: Mutex::new(()) }
    }

    /// The same, where these servers are our own: their definitions came with this program, so they are neither pinned
    /// nor held back.
    #[must_use]
    pub fn vouching(self, ours: impl IntoIterator<Item = ServerName>) -> Self {
        Self { ours: ours.into_iter().collect(), ..self }
    }

    /// From now on, classes are those of `policy`.
    pub(crate) fn govern(&self, policy: Arc<Policy>) {
        self.policy.store(policy);
    }

    /// Sees everything that is listed now. A tool nobody agreed to yet is pinned, unless something speaks against it.
    pub fn observe(&self, items: &[Arc<Item>]) {
        // Where another process was first, what it pinned stands.
        self.reload();
        let tools: Vec<&Arc<Item>> =
            items.iter().filter(|item| item.kind == ItemKind::Tool && !self.ours.contains(&item.server)).collect();
        let known = self.now.load();
        let is_new = |item: &&&Arc<Item>| known.lock.pin(item.server.as_str(), &item.raw).is_none();
        let new: Vec<&Arc<Item>> = tools.iter().filter(is_new).copied().collect();
        if new.is_empty() && known.flagged.is_empty() {
            return;
        }
        let _turn = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = Known { flagged: HashMap::new(), ..Known::clone(&self.now.load()) };
        let mut across = across(&tools, &next.lock);
        let mut first = Vec::new();
        for item in new {
            let key = (item.server.clone(), item.raw.clone());
            let mut findings = across.remove(&key).unwrap_or_default();
            match pin::compare(None, &item.definition) {
                Verdict::New { hash, .. } if findings.is_empty() => first.push(self.first(item, hash)),
                verdict => {
                    findings.extend(verdict.findings().iter().cloned());
                    next.flagged.insert(key, findings);
                }
            }
        }
        for one in &first {
            next.lock.add(one.server.as_str(), &one.tool, one.pin.clone());
            next.own.insert((one.server.clone(), one.tool.clone()), one.pin.clone());
        }
        self.now.store(Arc::new(next));
        if !first.is_empty() {
            self.keeper.keep(first);
        }
    }

    fn first(&self, item: &Item, hash: DefinitionHash) -> FirstPin {
        let class = match self.policy.load().class(item) {
            Class { high_impact: true, .. } => PinClass::HighImpact,
            Class { read_only: true, .. } => PinClass::Read,
            Class { .. } => PinClass::Write,
        };
        // The keeper knows the time.
        let pin = Pin { hash, class, exposed: item.exposed.clone(), since: "".into() };
        FirstPin { server: item.server.clone(), tool: item.raw.clone(), definition: item.definition.clone(), pin }
    }

    /// Whether `item` is held back, by what is agreed to now: a person may have approved it meanwhile.
    pub fn held(&self, item: &Item) -> Option<Held> {
        if item.kind != ItemKind::Tool || self.ours.contains(&item.server) {
            return None;
        }
        self.follow();
        let held = self.now.load().held(item)?;
        if !self.reload() {
            return Some(held);
        }
        self.now.load().held(item)
    }

    /// Grows with each change of the file that was taken over.
    pub fn changes(&self) -> u64 {
        self.follow();
        self.changes.load(Ordering::Relaxed)
    }

    fn follow(&self) {
        if self.keeper.may_have_changed() {
            self.reload();
        }
    }

    /// Takes over what another process wrote into the file. A file that cannot be read changes nothing.
    fn reload(&self) -> bool {
        let _turn = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(mut lock) = self.keeper.reload() else { return false };
        let before = self.now.load();
        let Known { mut flagged, mut own, .. } = Known::clone(&before);
        flagged.retain(|(server, tool), _| lock.pin(server.as_str(), tool).is_none());
        own.retain(|(server, tool), pin| lock.add(server.as_str(), tool, pin.clone()));
        let same = hashes(&before.lock).eq(hashes(&lock));
        self.now.store(Arc::new(Known { lock, flagged, own }));
        self.changes.fetch_add(u64::from(!same), Ordering::Relaxed);
        true
    }
}

/// What is pinned, in the order of the file.
fn hashes(lock: &Lock) -> impl Iterator<Item = (&str, &str, &DefinitionHash)> {
    let servers = lock.servers.iter();
    servers.flat_map(|(server, pins)| pins.tools.iter().map(move |(tool, pin)| (&**server, &**tool, &pin.hash)))
}

/// What speaks against tools because of each other, enough to hold them back.
fn across(tools: &[&Arc<Item>], lock: &Lock) -> HashMap<Key, Vec<Finding>> {
    let mut servers: Vec<&str> = tools.iter().map(|item| item.server.as_str()).collect();
    servers.dedup();
    let claims = tools.iter().map(|item| pin::Claim {
        server: item.server.as_str(),
        tool: &item.raw,
        definition: &item.definition,
    });
    let mut claims: Vec<pin::Claim<'_>> = claims.collect();
    // Of two that look alike the one that is agreed to is the original, whichever is listed first; else the plain one.
    claims.sort_by_key(|claim| (lock.pin(claim.server, claim.tool).is_none(), !claim.tool.is_ascii()));
    let found = pin::across(&servers, &claims);
    let mut held: HashMap<Key, Vec<Finding>> = HashMap::new();
    let grave = |finding: &Finding| finding.severity == Severity::Quarantine;
    for (server, tool, finding) in found.tools.into_iter().filter(|(.., finding)| grave(finding)) {
        held.entry((ServerName::from(&*server), tool)).or_default().push(finding);
    }
    for (server, finding) in found.servers.into_iter().filter(|(_, finding)| grave(finding)) {
        for item in tools.iter().filter(|item| item.server.as_str() == &*server) {
            held.entry((item.server.clone(), item.raw.clone())).or_default().push(finding.clone());
        }
    }
    held
}

impl Known {
    fn held(&self, item: &Item) -> Option<Held> {
        let (changed, findings) = match self.lock.pin(item.server.as_str(), &item.raw) {
            Some(pin) if item.canonical_hash() == Some(&pin.hash) => return None,
            Some(_) => (true, Vec::new()),
            None => (false, self.against(item)),
        };
        Some(Held { server: item.server.clone(), tool: item.raw.clone(), changed, findings })
    }

    /// What speaks against a tool nobody agreed to: what was found when it was listed, else that its pin was taken away,
    /// since whatever is listed is pinned or has such findings.
    fn against(&self, item: &Item) -> Vec<Finding> {
        let found = self.flagged.get(&(item.server.clone(), item.raw.clone()));
        let gone = || vec![Finding::new("pin.gone", Severity::Quarantine, "", "its pin is no longer in toolgate.lock")];
        found.cloned().unwrap_or_else(gone)
    }
}

impl Held {
    /// What callers are told.
    pub(crate) fn refusal(&self) -> Refusal {
        let Held { server, tool, .. } = self;
        let why = match (self.changed, self.findings.first()) {
            (true, _) => "its definition is not the one that was pinned".to_owned(),
            (false, Some(finding)) => format!("its definition is suspicious ({})", finding.rule),
            (false, None) => "its definition is suspicious".to_owned(),
        };
        Refusal::Quarantined {
            message: format!("tool `{tool}` of server `{server}` is quarantined: {why}"),
            hint: format!("a person can look at it and let it run with `toolgate mcp approve {server} {tool}`"),
        }
    }
}

#[cfg(test)]
mod tests;
