//! One immutable snapshot of the catalog and its lookups.

use super::naming::{Naming, PrefixStyle, legal};
use super::{Item, Offer, shows};
use crate::refusal::Refusal;
use crate::words::{Face, ItemKind, Reference, ServerName, Target};
use std::collections::HashMap;
use std::sync::Arc;

type Names = HashMap<(ItemKind, Box<str>), Vec<usize>>;

pub(super) struct Index {
    pub epoch: u64,
    pub servers: Vec<(ServerName, Option<Arc<Offer>>)>,
    pub items: Vec<Arc<Item>>,
    /// Exposed names: one item each, but for resources two servers offer alike.
    exposed: Names,
    /// Every other spelling that is understood.
    aliases: Names,
}

impl Index {
    pub fn build(epoch: u64, servers: Vec<(ServerName, Option<Arc<Offer>>)>, naming: &Naming) -> Self {
        let mut items = collect(&servers);
        expose(&mut items, naming);
        let (mut exposed, mut aliases) = (Names::new(), Names::new());
        for (at, item) in items.iter().enumerate() {
            exposed.entry((item.kind, item.exposed.clone())).or_default().push(at);
            for alias in spellings(item) {
                let entry = aliases.entry((item.kind, alias)).or_default();
                if !entry.contains(&at) {
                    entry.push(at);
                }
            }
        }
        Self { epoch, servers, items: items.into_iter().map(Arc::new).collect(), exposed, aliases }
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
            _ => Err(self.unknown(face, kind, asked)),
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
            _ => Err(self.unknown(face, ItemKind::Resource, uri)),
        }
    }

    fn unknown(&self, face: &Face, kind: ItemKind, asked: &str) -> Refusal {
        let mut similar: Vec<(f64, String)> = self
            .items
            .iter()
            .filter(|item| item.kind == kind && shows(face, &item.server))
            .map(|item| {
                let name = item.name_on(face);
                let score = strsim::jaro_winkler(name, asked).max(strsim::jaro_winkler(&item.raw, asked));
                (score, name.to_owned())
            })
            .filter(|(score, _)| *score > 0.85)
            .collect();
        similar.sort_by(|a, b| b.0.total_cmp(&a.0));
        similar.truncate(3);
        Refusal::Unknown { kind, asked: asked.to_owned(), similar: similar.into_iter().map(|(_, name)| name).collect() }
    }
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
            })
        })
        .collect()
}

/// Gives every tool and prompt its exposed name; whoever collides is marked, both sides.
fn expose(items: &mut [Item], naming: &Naming) {
    let mut bare_names: HashMap<(ItemKind, String), usize> = HashMap::new();
    for item in items.iter().filter(|item| named(item)) {
        *bare_names.entry((item.kind, legal(&item.raw))).or_default() += 1;
    }
    for item in items.iter_mut().filter(|item| named(item)) {
        let bare = legal(&item.raw);
        let shared = bare_names[&(item.kind, bare.clone())] > 1;
        let name = match naming.style(&item.server) {
            PrefixStyle::Never => bare,
            PrefixStyle::Conditional if !shared => bare,
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

/// Other names under which people and clients know an item.
fn spellings(item: &Item) -> Vec<Box<str>> {
    if !named(item) {
        return Vec::new();
    }
    let (server, raw) = (item.server.as_str(), &*item.raw);
    let mut names = vec![format!("{server}__{raw}"), format!("mcp__{server}__{raw}"), raw.to_owned()];
    let (legal_server, legal_raw) = (legal(server), legal(raw));
    if legal_server != server || legal_raw != raw {
        names.extend([format!("{legal_server}__{legal_raw}"), format!("mcp__{legal_server}__{legal_raw}"), legal_raw]);
    }
    names.into_iter().map(Into::into).collect()
}

/// Whether `uri` can come of the URI template (RFC 6570): its literal parts stand in order, each
/// expression takes at least one character, and only reserved expansions cross a `/`.
fn template_fits(template: &str, uri: &str) -> bool {
    let Some(open) = template.find('{') else { return template == uri };
    let Some(close) = template[open..].find('}').map(|at| open + at) else { return false };
    let Some(rest) = uri.strip_prefix(&template[..open]) else { return false };
    let operator = template[open + 1..close].chars().next().unwrap_or(' ');
    let crosses = matches!(operator, '+' | '#' | '/');
    let optional = matches!(operator, '?' | '&' | '#' | '/' | '.' | ';');
    let mut ends =
        rest.char_indices().map(|(at, c)| at + c.len_utf8()).chain(optional.then_some(0)).collect::<Vec<_>>();
    ends.sort_unstable();
    ends.into_iter()
        .take_while(|end| crosses || optional || !rest[..*end].contains('/'))
        .any(|end| template_fits(&template[close + 1..], &rest[end..]))
}

#[cfg(test)]
pub(super) fn fits(template: &str, uri: &str) -> bool {
    template_fits(template, uri)
}
