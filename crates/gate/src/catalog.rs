//! What there is to call, under which name, on which face. Names are looked up here and never split.

mod index;
mod naming;
mod similar;

pub(crate) use similar::similar;

pub use naming::{Naming, PrefixStyle};

use crate::pin::DefinitionHash;
use crate::pins::{Held, Pins};
use crate::policy::Policy;
use crate::refusal::Refusal;
use crate::words::{Face, ItemKind, Place, ServerName, Target};
use arc_swap::ArcSwap;
use bytes::Bytes;
use index::Index;
use sha2::{Digest, Sha256};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// What a tool's annotations claim. `None` where they are silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Facts {
    /// `readOnlyHint`.
    pub read_only: Option<bool>,
    /// `destructiveHint`.
    pub destructive: Option<bool>,
    /// `openWorldHint`.
    pub open_world: Option<bool>,
}

/// One thing a server listed.
#[derive(Debug, Clone)]
pub struct Listed {
    /// What kind of thing.
    pub kind: ItemKind,
    /// Its name, URI or URI template, unescaped.
    pub raw: Box<str>,
    /// Its definition as the server sent it.
    pub definition: Bytes,
    /// Where the value of `name` stands in the definition, quotes included.
    pub name_at: Place,
    /// What its annotations claim.
    pub facts: Facts,
}

/// Everything one server offers, as last seen.
#[derive(Debug, Clone, Default)]
pub struct Offer {
    /// Tools, prompts, resources and templates in the server's order.
    pub listed: Vec<Listed>,
    /// The server's instructions for a model.
    pub instructions: Option<Box<str>>,
    /// The server's capabilities object, raw.
    pub capabilities: Option<Bytes>,
    /// The server's `serverInfo`, raw.
    pub server_info: Option<Bytes>,
    /// Whether it serves resources at all, listed or not.
    pub serves_resources: bool,
}

/// What is known of a server that a renewed catalog has.
#[derive(Debug, Clone)]
pub enum Seen {
    /// What was known before.
    AsBefore,
    /// This, or nothing: it is another server than before.
    Anew(Option<Arc<Offer>>),
}

impl Seen {
    pub(crate) fn is_nothing(&self) -> bool {
        matches!(self, Self::Anew(None))
    }
}

/// One thing of one server, under its exposed name.
#[derive(Debug, Clone)]
pub struct Item {
    /// Whose.
    pub server: ServerName,
    /// What kind of thing.
    pub kind: ItemKind,
    /// The server's own name for it.
    pub raw: Box<str>,
    /// Its name on the face that shows everything.
    pub exposed: Box<str>,
    /// Its definition as the server sent it.
    pub definition: Bytes,
    /// Where the value of `name` stands in the definition.
    pub name_at: Place,
    /// What its annotations claim.
    pub facts: Facts,
    /// See [`Item::definition_hash`]. Made when first asked for.
    pub hash: OnceLock<Hashed>,
}

/// A definition's hash, and how it is spelled.
#[derive(Debug, Clone)]
pub struct Hashed {
    hash: Option<DefinitionHash>,
    text: Box<str>,
}

impl Item {
    /// The hash of the whole definition, as pins and the ledger spell it.
    pub fn definition_hash(&self) -> &str {
        &self.hashed().text
    }

    /// The same as a value, unless readers may disagree on what the definition says.
    pub fn canonical_hash(&self) -> Option<&DefinitionHash> {
        self.hashed().hash.as_ref()
    }

    fn hashed(&self) -> &Hashed {
        self.hash.get_or_init(|| {
            let hash = DefinitionHash::of(&self.definition).ok();
            // What has no canonical form equals only its own bytes.
            let own = || format!("bytes:{}", crate::ledger::hex(&Sha256::digest(&self.definition)));
            Hashed { hash, text: hash.map_or_else(own, |hash| hash.to_string()).into() }
        })
    }

    /// The name this item has on `face`.
    pub fn name_on(&self, face: &Face) -> &str {
        match face {
            Face::All => &self.exposed,
            Face::Only(_) => &self.raw,
        }
    }

    /// Appends the definition as `face` shows it: the server's bytes, with only a tool's or prompt's name replaced.
    pub fn define(&self, face: &Face, out: &mut Vec<u8>) {
        let name = self.name_on(face);
        let renamed = matches!(self.kind, ItemKind::Tool | ItemKind::Prompt) && name != &*self.raw;
        if !renamed || self.name_at.is_none() {
            out.extend_from_slice(&self.definition);
            return;
        }
        out.extend_from_slice(&self.definition[..self.name_at.start as usize]);
        serde_json::to_writer(&mut *out, name).expect("a string always serialises into a vector");
        out.extend_from_slice(&self.definition[self.name_at.end as usize..]);
    }

    /// A stand-in for a resource that no list mentions.
    fn unlisted(server: &ServerName, uri: &str) -> Self {
        Self {
            server: server.clone(),
            kind: ItemKind::Resource,
            raw: uri.into(),
            exposed: uri.into(),
            definition: Bytes::new(),
            name_at: Place::default(),
            facts: Facts { read_only: Some(true), ..Facts::default() },
            hash: OnceLock::new(),
        }
    }

    #[cfg(test)]
    pub(crate) fn for_test(server: &str, tool: &str, facts: Facts) -> Self {
        Self { kind: ItemKind::Tool, facts, ..Self::unlisted(&server.into(), tool) }
    }
}

/// All items of all servers. Readers take a snapshot; a publisher swaps in the next one.
pub struct Catalog {
    index: ArcSwap<Index>,
    /// Held while the next index is built, so that two publishers cannot lose each other's change. It guards no
    /// data, so a publisher that panicked leaves nothing half done.
    publishing: Mutex<()>,
    pins: OnceLock<Arc<Pins>>,
    results: OnceLock<ServerName>,
}

/// What the URI of every kept result begins with.
pub const RESULTS: &str = "toolgate://results/";

impl Catalog {
    /// An empty catalog of `servers`, in the order they are shown.
    pub fn new(servers: Vec<ServerName>, naming: Naming) -> Self {
        let index = Index::build(1, servers.into_iter().map(|name| (name, None)).collect(), naming.into());
        Self {
            index: ArcSwap::from_pointee(index),
            publishing: Mutex::new(()),
            pins: OnceLock::new(),
            results: OnceLock::new(),
        }
    }

    /// From now on, whatever is published is held against these pins first. Said once.
    pub fn watched_by(&self, pins: Arc<Pins>) {
        // A second set of pins would be a second opinion: the first stands.
        let _ = self.pins.set(pins);
    }

    /// From now on, whatever begins with [`RESULTS`] is read from `server`, on every face. The server is in no list.
    /// Said once.
    pub fn results_at(&self, server: ServerName) {
        // A second place would hold the results of somebody else: the first stands.
        let _ = self.results.set(server);
    }

    /// Whether there is a place for whole results.
    pub fn keeps_results(&self) -> bool {
        self.results.get().is_some()
    }

    /// The item of a kept result. It may hold the words of any server.
    fn kept_result(&self, target: &Target) -> Option<Arc<Item>> {
        let server = self.results.get()?;
        let Target::Resource(uri) = target else { return None };
        let item = Item::unlisted(server, uri);
        let facts = Facts { open_world: Some(true), ..item.facts };
        uri.starts_with(RESULTS).then(|| Arc::new(Item { facts, ..item }))
    }

    /// What of these items is held back.
    pub fn held(&self, item: &Item) -> Option<Held> {
        self.pins.get()?.held(item)
    }

    /// Replaces what some servers offer. Servers that are not in the catalog are ignored.
    pub fn publish(&self, offers: Vec<(ServerName, Arc<Offer>)>) {
        let _turn = self.publishing.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.index.load();
        let mut servers = now.servers.clone();
        for (name, offer) in offers {
            if let Some(slot) = servers.iter_mut().find(|(known, _)| *known == name) {
                slot.1 = Some(offer);
            }
        }
        self.put(Index::build(now.epoch + 1, servers, now.naming.clone()));
    }

    /// From now on has these servers, in this order, and names their items like this.
    pub(crate) fn reshape(&self, servers: Vec<(ServerName, Seen)>, naming: Naming) {
        let _turn = self.publishing.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.index.load();
        let known = |name: &ServerName| now.servers.iter().find(|(known, _)| known == name)?.1.clone();
        let offered = |(name, seen): (ServerName, Seen)| {
            let offer = match seen {
                Seen::AsBefore => known(&name),
                Seen::Anew(offer) => offer,
            };
            (name, offer)
        };
        let servers = servers.into_iter().map(offered).collect();
        self.put(Index::build(now.epoch + 1, servers, naming.into()));
    }

    fn put(&self, index: Index) {
        if let Some(pins) = self.pins.get() {
            pins.observe(&index.items);
        }
        self.index.store(Arc::new(index));
    }

    /// From now on, classes of tools that are pinned are those of `policy`.
    pub(crate) fn govern(&self, policy: &Arc<Policy>) {
        if let Some(pins) = self.pins.get() {
            pins.govern(policy.clone());
        }
    }

    /// Grows with each change; equal epochs mean an equal catalog.
    pub fn epoch(&self) -> u64 {
        // What is held back is in no list, so a person's word about that makes another catalog too.
        self.index.load().epoch + self.pins.get().map_or(0, |pins| pins.changes())
    }

    /// The servers a face shows, in order.
    pub fn servers(&self, face: &Face) -> Vec<ServerName> {
        let index = self.index.load();
        index.servers.iter().map(|(name, _)| name.clone()).filter(|name| shows(face, name)).collect()
    }

    /// Whether a face shows this server.
    pub fn has(&self, face: &Face, server: &str) -> bool {
        let index = self.index.load();
        index.servers.iter().any(|(name, _)| name.as_str() == server && shows(face, name))
    }

    /// What `server` offers, if it was ever seen.
    pub fn offer(&self, server: &ServerName) -> Option<Arc<Offer>> {
        self.index.load().servers.iter().find(|(name, _)| name == server).and_then(|(_, offer)| offer.clone())
    }

    /// The servers of a face whose name stands in front of `asked`, as in `server__tool`. Good for knowing whom to
    /// wait for; whose tool it is, only [`Catalog::resolve`] says.
    pub fn named_in(&self, face: &Face, asked: &str) -> Vec<ServerName> {
        let asked = asked.strip_prefix("mcp__").unwrap_or(asked);
        let leads = |name: &str| asked.strip_prefix(name).is_some_and(|rest| rest.starts_with("__"));
        let mut servers = self.servers(face);
        if *face == Face::All {
            servers.retain(|server| leads(server.as_str()) || leads(&naming::legal(server.as_str())));
        }
        servers
    }

    /// The items of one kind that a face shows, before policy, in order; and the epoch they are of.
    pub fn items(&self, face: &Face, kind: ItemKind) -> (u64, Vec<Arc<Item>>) {
        // Before the items: what comes in between makes the list look old, not new.
        let epoch = self.epoch();
        let index = self.index.load();
        let shown = index.items.iter().filter(|item| item.kind == kind && shows(face, &item.server));
        (epoch, shown.cloned().collect())
    }

    /// The item a target means on a face.
    ///
    /// # Errors
    /// [`Refusal::Unknown`], without suggestions, or [`Refusal::Ambiguous`]. Both are from before policy: see
    /// [`crate::Gate::call`] for what a caller may be told of them.
    pub fn resolve(&self, face: &Face, target: &Target) -> Result<Arc<Item>, Refusal> {
        match self.kept_result(target) {
            Some(item) => Ok(item),
            None => self.index.load().resolve(face, target),
        }
    }
}

fn shows(face: &Face, server: &ServerName) -> bool {
    match face {
        Face::All => true,
        Face::Only(only) => only == server,
    }
}

#[cfg(test)]
mod tests;
