//! One immutable snapshot of the catalog and its lookups.

use super::naming::{Naming, PrefixStyle, legal};
use super::{Item, Offer, shows};
use crate::refusal::Refusal;
use crate::words::{Face, ItemKind, Reference, ServerName, Target};
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

type Names = HashMap<(ItemKind, Box<str>), Vec<usize>>;

pub(super) struct Index {
    pub epoch: u64,
    pub servers: Vec<(ServerName, Option<Arc<Offer>>)>,
    pub items: Vec<Arc<Item>>,
    pub naming: Arc<Naming>,
    /// Exposed names: one item each, but for resources two servers offer alike.
    exposed: Names,
    /// Every other spelling that is understood.
    aliases: Names,
}

impl Index {
    pub fn build(epoch: u64, servers: Vec<(ServerName, Option<Arc<Offer>>)>, naming: Arc<Naming>) -> Self {
        let mut items = collect(&servers);
        let names: Vec<&ServerName> = servers.iter().map(|(name, _)| name).collect();
        expose(&mut items, &naming, &names);
        let (mut exposed, mut aliases) = (Names::new(), Names::new());
        for (at, item) in items.iter().enumerate() {
            exposed.entry((item.kind, item.exposed.clone())).or_default().push(at);
            for alias in spellings(item, &names) {
                let entry = aliases.entry((item.kind, alias)).or_default();
                if !entry.contains(&at) {
                    entry.push(at);
                }
            }
        }
        Self { epoch, servers, items: items.into_iter().map(Arc::new).collect(), naming, exposed, aliases }
    }

    pub fn resolve(&self, face: &Face, target: &Target) -> Result<Arc<Item>, Refusal> {
        match target {
            Target::Tool(name) => self.by_name(face, ItemKind::Tool, name),
            Target::Prompt(name) | Target::Completion(Reference::Prompt(name)) => {
                self.by_name(face, ItemKind::Prompt, name)
            }
            Target::Resource(uri) | Target::Subscribe(uri) | Target::Unsubscribe(uri) => self.by_uri(face, uri),
            Target::Completion(Reference::Resource(uri)) => {
                self.first(face, ItemKind::Template, uri).map_or_else(|| self.by_uri(face, uri), Ok)
            }
        }
    }

    fn by_name(&self, face: &Face, kind: ItemKind, asked: &str) -> Result<Arc<Item>, Refusal> {
        if let Face::Only(_) = face {
            let bare = self.items.iter().find(|i| i.kind == kind && shows(face, &i.server) && &*i.raw == asked);
            if let Some(item) = bare {
                return Ok(item.clone());
            }
        }
        let key = (kind, Box::from(asked));
        let found = [&self.exposed, &self.aliases].into_iter().find_map(|names| {
            let hits: Vec<_> =
                names.get(&key)?.iter().map(|at| &self.items[*at]).filter(|i| shows(face, &i.server)).collect();
            (!hits.is_empty()).then_some(hits)
        });
        match found.as_deref() {
            Some([one]) => Ok((*one).clone()),
            Some([first, second, ..]) => Err(Refusal::Ambiguous {
                asked: asked.to_owned(),
                first: first.exposed.to_string(),
                second: second.exposed.to_string(),
            }),
            _ => Err(unknown(kind, asked)),
        }
    }

    fn first(&self, face: &Face, kind: ItemKind, name: &str) -> Option<Arc<Item>> {
        self.items.iter().find(|i| i.kind == kind && shows(face, &i.server) && &*i.raw == name).cloned()
    }

    /// URIs are not rewritten, so their owner is found: a listed resource, else a template that fits, else
    /// the only server that serves resources at all. Where two fit, the one configured first owns it.
    fn by_uri(&self, face: &Face, uri: &str) -> Result<Arc<Item>, Refusal> {
        let listed = self.exposed.get(&(ItemKind::Resource, Box::from(uri))).into_iter().flatten();
        if let Some(item) = listed.map(|at| &self.items[*at]).find(|i| shows(face, &i.server)) {
            return Ok(item.clone());
        }
        let mut templates = self.items.iter().filter(|i| i.kind == ItemKind::Template && shows(face, &i.server));
        if let Some(item) = templates.find(|i| template_fits(&i.raw, uri)) {
            return Ok(Arc::new(Item::unlisted(&item.server, uri)));
        }
        let mut serving = self
            .servers
            .iter()
            .filter(|(name, offer)| shows(face, name) && offer.as_ref().is_some_and(|offer| offer.serves_resources));
        match (serving.next(), serving.next()) {
            (Some((server, _)), None) => Ok(Arc::new(Item::unlisted(server, uri))),
            _ => Err(unknown(ItemKind::Resource, uri)),
        }
    }
}

fn unknown(kind: ItemKind, asked: &str) -> Refusal {
    Refusal::Unknown { kind, asked: asked.to_owned(), similar: Vec::new() }
}

fn collect(servers: &[(ServerName, Option<Arc<Offer>>)]) -> Vec<Item> {
    let offered = servers.iter().filter_map(|(name, offer)| offer.as_ref().map(|offer| (name, offer)));
    offered
        .flat_map(|(server, offer)| {
            offer.listed.iter().map(|listed| Item {
                server: server.clone(),
                kind: listed.kind,
                raw: listed.raw.clone(),
                exposed: listed.raw.clone(),
                definition: listed.definition.clone(),
                name_at: listed.name_at,
                facts: listed.facts,
                hash: OnceLock::new(),
            })
        })
        .collect()
}

/// Gives every tool and prompt its exposed name; whoever collides is marked, both sides.
fn expose(items: &mut [Item], naming: &Naming, servers: &[&ServerName]) {
    let mut bare_names: HashMap<(ItemKind, String), usize> = HashMap::new();
    for item in items.iter().filter(|item| named(item)) {
        *bare_names.entry((item.kind, legal(&item.raw))).or_default() += 1;
    }
    for item in items.iter_mut().filter(|item| named(item)) {
        let bare = legal(&item.raw);
        let shared = bare_names[&(item.kind, bare.clone())] > 1;
        let name = match naming.style(&item.server) {
            PrefixStyle::Never if foreign(&bare, &item.server, servers) => naming.marked(bare, &item.server, &item.raw),
            PrefixStyle::Never => bare,
            PrefixStyle::Conditional if !shared && !foreign(&bare, &item.server, servers) => bare,
            PrefixStyle::Conditional | PrefixStyle::Always => naming.prefixed(&item.server, &item.raw),
        };
        item.exposed = naming.fit(name, &item.server, &item.raw).into();
    }
    let mut uses: HashMap<(ItemKind, Box<str>), usize> = HashMap::new();
    for item in items.iter().filter(|item| named(item)) {
        *uses.entry((item.kind, item.exposed.clone())).or_default() += 1;
    }
    for item in items.iter_mut().filter(|item| named(item)) {
        if uses[&(item.kind, item.exposed.clone())] > 1 {
            item.exposed = naming.marked(item.exposed.to_string(), &item.server, &item.raw).into();
        }
    }
}

fn named(item: &Item) -> bool {
    matches!(item.kind, ItemKind::Tool | ItemKind::Prompt)
}

/// Whether `name` reads as if it were one of another server's. Such a name is never given to an item: while that
/// server was not seen yet, or no longer lists its own, calls meant for it would go to whoever claims it.
fn foreign(name: &str, own: &ServerName, servers: &[&ServerName]) -> bool {
    let name = name.strip_prefix("mcp__").unwrap_or(name);
    let is_of = |server: &str| name.strip_prefix(server).is_some_and(|rest| rest.starts_with("__"));
    name.contains("__")
        && servers.iter().any(|server| *server != own && (is_of(server.as_str()) || is_of(&legal(server.as_str()))))
}

/// Other names under which people and clients know an item.
fn spellings(item: &Item, servers: &[&ServerName]) -> Vec<Box<str>> {
    if !named(item) {
        return Vec::new();
    }
    let (server, raw) = (item.server.as_str(), &*item.raw);
    let mut names = vec![format!("{server}__{raw}"), format!("mcp__{server}__{raw}")];
    let (legal_server, legal_raw) = (legal(server), legal(raw));
    if legal_server != server || legal_raw != raw {
        names.extend([format!("{legal_server}__{legal_raw}"), format!("mcp__{legal_server}__{legal_raw}")]);
    }
    let bare = [raw.to_owned(), legal_raw].into_iter();
    names.extend(bare.filter(|name| !foreign(name, &item.server, servers)));
    names.into_iter().map(Into::into).collect()
}

/// The longest URI that is held against templates, and the longest template, in bytes.
const LONGEST_URI: usize = 2 << 10;

/// How many expressions a template may have; each takes a pass over the URI.
const MOST_EXPRESSIONS: usize = 32;

/// Whether `uri` can come of the URI template (RFC 6570): its literal parts stand in order, each
/// expression takes at least one character, and only reserved expansions cross a `/`.
fn template_fits(template: &str, uri: &str) -> bool {
    if uri.len() > LONGEST_URI || template.len() > LONGEST_URI {
        return false;
    }
    // Which places of `uri` the template can have come to so far. A search that follows each way to its end
    // would take as long as a server's template wants it to.
    let mut reached = vec![false; uri.len() + 1];
    reached[0] = true;
    let mut rest = template;
    for _ in 0..=MOST_EXPRESSIONS {
        let Some(open) = rest.find('{') else { return past_literal(&reached, rest, uri)[uri.len()] };
        let Some(close) = rest[open..].find('}').map(|at| open + at) else { return false };
        reached = past_literal(&reached, &rest[..open], uri);
        reached = past_expression(&reached, &rest[open + 1..close], uri);
        rest = &rest[close + 1..];
    }
    false
}

fn past_literal(reached: &[bool], literal: &str, uri: &str) -> Vec<bool> {
    let mut next = vec![false; reached.len()];
    for at in (0..reached.len()).filter(|at| reached[*at]) {
        if uri.as_bytes()[at..].starts_with(literal.as_bytes()) {
            next[at + literal.len()] = true;
        }
    }
    next
}

fn past_expression(reached: &[bool], expression: &str, uri: &str) -> Vec<bool> {
    let operator = expression.chars().next().unwrap_or(' ');
    let optional = matches!(operator, '?' | '&' | '#' | '/' | '.' | ';');
    let crosses = optional || operator == '+';
    let mut next = vec![false; reached.len()];
    let mut inside = false;
    for at in 0..reached.len() {
        next[at] = inside || optional && reached[at];
        let blocked = !crosses && uri.as_bytes().get(at) == Some(&b'/');
        inside = (inside || reached[at]) && !blocked;
    }
    next
}

#[cfg(test)]
pub(super) fn fits(template: &str, uri: &str) -> bool {
    template_fits(template, uri)
}
