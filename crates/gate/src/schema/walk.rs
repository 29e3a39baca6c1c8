//! Walks through a schema and compiles each sub-schema once.

use super::compile::{Check, Compiled, Id, MOST_DEPTH, MOST_EXPANDED, MOST_STEPS, Program, Unusable};
use super::expand::bearable;
use super::keywords::{bounds, percent_decoded, place, scalars, strings_of};
use super::pattern;
use crate::pin::elided;
use crate::pin::tree::{Node, below};
use regex::Regex;
use std::collections::HashMap;

/// How many patterns a schema may hold.
const MOST_PATTERNS: usize = 256;

/// Compiles the schema `root`.
///
/// # Errors
/// Why it is not used.
pub(super) fn walk(root: &Node<'_>) -> Result<Program, Unusable> {
    let mut compiler = Compiler::new(root);
    compiler.index("", root, 0)?;
    compiler.schema("", root)?;
    bearable(&compiler.schemas, &compiler.pointers)?;
    Ok(Program { schemas: compiler.schemas, partial: compiler.partial })
}

struct Compiler<'n> {
    root: &'n Node<'n>,
    schemas: Vec<Compiled>,
    /// Where each compiled sub-schema stands.
    pointers: Vec<String>,
    known: HashMap<String, Id>,
    anchors: HashMap<String, (String, &'n Node<'n>)>,
    /// Patterns in the document, where schemas are expected.
    patterns: usize,
    /// Patterns compiled by now; more than there seemed to be, if references lead to elsewhere.
    compiled: usize,
    depth: usize,
    partial: bool,
    /// Before 2019, nothing beside a `$ref` counts.
    ref_alone: bool,
}

/// Keywords whose value is one schema, many by name, many in order.
const ONE: [&str; 11] = [
    "items",
    "additionalItems",
    "contains",
    "additionalProperties",
    "propertyNames",
    "not",
    "if",
    "then",
    "else",
    "unevaluatedItems",
    "unevaluatedProperties",
];
const BY_NAME: [&str; 6] =
    ["properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies"];
const IN_ORDER: [&str; 5] = ["allOf", "anyOf", "oneOf", "prefixItems", "items"];

impl<'n> Compiler<'n> {
    fn new(root: &'n Node<'n>) -> Self {
        let draft = root.get("$schema").and_then(Node::text).unwrap_or_default();
        Self {
            root,
            schemas: Vec::new(),
            pointers: Vec::new(),
            known: HashMap::new(),
            anchors: HashMap::new(),
            patterns: 0,
            compiled: 0,
            depth: 0,
            partial: false,
            ref_alone: ["draft-07", "draft-06", "draft-04"].iter().any(|old| draft.contains(old)),
        }
    }

    /// Finds the anchors and counts the patterns of all sub-schemas, and how deep they nest.
    fn index(&mut self, at: &str, node: &'n Node<'n>, depth: usize) -> Result<(), Unusable> {
        if depth > MOST_DEPTH {
            return Err(Unusable::TooDeep);
        }
        let id = node.get("$id").and_then(Node::text).unwrap_or_default();
        if !at.is_empty() && !id.is_empty() && !id.starts_with('#') {
            // References below it would mean something else than they seem to.
            return Err(Unusable::RemoteRef(elided(id, 80)));
        }
        for key in ["$anchor", "$dynamicAnchor"] {
            if let Some(name) = node.get(key).and_then(Node::text) {
                self.anchors.insert(name.to_owned(), (at.to_owned(), node));
            }
        }
        if let Some(name) = id.strip_prefix('#').filter(|name| !name.is_empty()) {
            self.anchors.insert(name.to_owned(), (at.to_owned(), node));
        }
        self.patterns += usize::from(node.get("pattern").is_some());
        self.patterns += node.get("patternProperties").map_or(0, |map| map.members().len());
        for (pointer, child) in children(at, node) {
            self.index(&pointer, child, depth + 1)?;
        }
        Ok(())
    }

    /// The compiled form of the sub-schema at `at`.
    fn schema(&mut self, at: &str, node: &'n Node<'n>) -> Result<Id, Unusable> {
        if let Some(id) = self.known.get(at) {
            return Ok(*id);
        }
        if self.schemas.len() as u64 > MOST_EXPANDED {
            return Err(Unusable::TooWide);
        }
        self.depth += 1;
        if self.depth > MOST_STEPS {
            return Err(Unusable::TooDeep);
        }
        let id = self.schemas.len();
        self.schemas.push(Compiled::default());
        self.pointers.push(at.to_owned());
        self.known.insert(at.to_owned(), id);
        let compiled = match node {
            Node::Bool(true) => Compiled::default(),
            Node::Bool(false) => Compiled { checks: vec![Check::Never], known: Vec::new() },
            Node::Map(_) => self.keywords(at, node)?,
            _ => return Err(Unusable::NoSchema(place(at))),
        };
        self.schemas[id] = compiled;
        self.depth -= 1;
        Ok(id)
    }

    fn keywords(&mut self, at: &str, node: &'n Node<'n>) -> Result<Compiled, Unusable> {
        let mut checks = Vec::new();
        for key in ["$ref", "$dynamicRef", "$recursiveRef"] {
            if let Some(target) = node.get(key) {
                checks.push(Check::Same(self.reference(at, target)?));
            }
        }
        if self.ref_alone && node.get("$ref").is_some() {
            return Ok(Compiled { checks, known: Vec::new() });
        }
        scalars(at, node, &mut checks)?;
        self.strings(at, node, &mut checks)?;
        self.arrays(at, node, &mut checks)?;
        self.objects(at, node, &mut checks)?;
        self.logic(at, node, &mut checks)?;
        self.partial |= node.get("unevaluatedProperties").is_some() || node.get("unevaluatedItems").is_some();
        let known = node.get("properties").map_or(&[][..], Node::members);
        Ok(Compiled { checks, known: known.iter().map(|(key, _)| key.to_string()).collect() })
    }

    fn reference(&mut self, at: &str, target: &'n Node<'n>) -> Result<Id, Unusable> {
        let target = target.text().ok_or_else(|| Unusable::NoSchema(place(&below(at, "$ref"))))?;
        let own = self.root.get("$id").and_then(Node::text).unwrap_or_default().trim_end_matches('#');
        let local = target.strip_prefix(own).filter(|_| !own.is_empty()).unwrap_or(target);
        let Some(fragment) = local.strip_prefix('#').or((local.is_empty() && !target.is_empty()).then_some("")) else {
            return Err(Unusable::RemoteRef(elided(target, 80)));
        };
        let dangling = || Unusable::DanglingRef(elided(target, 80));
        let fragment = percent_decoded(fragment).ok_or_else(dangling)?;
        if !fragment.is_empty() && !fragment.starts_with('/') {
            let (pointer, node) = self.anchors.get(&fragment).cloned().ok_or_else(dangling)?;
            return self.schema(&pointer, node);
        }
        let mut node = self.root;
        let mut pointer = String::new();
        for token in fragment.split('/').skip(1) {
            let key = token.replace("~1", "/").replace("~0", "~");
            node = match node {
                Node::List(elements) => key.parse::<usize>().ok().and_then(|index| elements.get(index)),
                node => node.get(&key),
            }
            .ok_or_else(dangling)?;
            pointer = below(&pointer, &key);
        }
        self.schema(&pointer, node)
    }

    fn strings(&mut self, at: &str, node: &'n Node<'n>, checks: &mut Vec<Check>) -> Result<(), Unusable> {
        if let Some((least, most)) = bounds(node, "minLength", "maxLength") {
            checks.push(Check::Length { least, most });
        }
        if let Some(value) = node.get("pattern") {
            let pattern = value.text().ok_or_else(|| Unusable::NoSchema(place(&below(at, "pattern"))))?;
            if let Some(regex) = self.pattern(pattern)? {
                checks.push(Check::Pattern(regex, elided(pattern, 80)));
            }
        }
        Ok(())
    }

    /// The compiled pattern; `None` if it is one that a linear engine cannot run.
    fn pattern(&mut self, pattern: &str) -> Result<Option<Regex>, Unusable> {
        self.compiled += 1;
        let count = self.patterns.max(self.compiled);
        if count > MOST_PATTERNS {
            return Err(Unusable::DearPattern(format!("there are {count} of them")));
        }
        // What all of them together may take is bounded too.
        let most = if self.compiled > self.patterns { 0 } else { (1 << 20) / count };
        match pattern::compile(pattern, most.max(16 << 10)) {
            Ok(regex) => Ok(Some(regex)),
            Err(pattern::Refused::Unsupported) => {
                self.partial = true;
                Ok(None)
            }
            Err(pattern::Refused::TooDear) => Err(Unusable::DearPattern(elided(pattern, 80))),
        }
    }

    fn arrays(&mut self, at: &str, node: &'n Node<'n>, checks: &mut Vec<Check>) -> Result<(), Unusable> {
        let tuple = if node.get("prefixItems").is_some() { "prefixItems" } else { "items" };
        let first = self.list(at, tuple, node.get(tuple).filter(|value| matches!(value, Node::List(_))))?;
        let rest = match node.get("items") {
            Some(Node::List(_)) => self.one(at, node, "additionalItems")?,
            Some(_) => self.one(at, node, "items")?,
            None => None,
        };
        if !first.is_empty() || rest.is_some() {
            checks.push(Check::Items { first, rest });
        }
        if let Some(id) = self.one(at, node, "contains")? {
            let (least, most) = bounds(node, "minContains", "maxContains").unwrap_or((1, usize::MAX));
            let least = if node.get("minContains").is_some() { least } else { 1 };
            checks.push(Check::Contains { id, least, most });
        }
        if let Some((least, most)) = bounds(node, "minItems", "maxItems") {
            checks.push(Check::Count { least, most });
        }
        if node.get("uniqueItems") == Some(&Node::Bool(true)) {
            checks.push(Check::Unique);
        }
        Ok(())
    }

    fn objects(&mut self, at: &str, node: &'n Node<'n>, checks: &mut Vec<Check>) -> Result<(), Unusable> {
        let required = strings_of(node.get("required"));
        if !required.is_empty() {
            checks.push(Check::Required(required));
        }
        let named = self.map(at, node, "properties")?.into_iter().collect::<HashMap<_, _>>();
        let mut by_pattern = Vec::new();
        for (pattern, id) in self.map(at, node, "patternProperties")? {
            by_pattern.push((self.pattern(&pattern)?, id));
        }
        let rest = self.one(at, node, "additionalProperties")?;
        if !named.is_empty() || !by_pattern.is_empty() || rest.is_some() {
            checks.push(Check::Properties { named, by_pattern, rest });
        }
        if let Some(id) = self.one(at, node, "propertyNames")? {
            checks.push(Check::Names(id));
        }
        if let Some((least, most)) = bounds(node, "minProperties", "maxProperties") {
            checks.push(Check::Members { least, most });
        }
        let mut needed = self.map(at, node, "dependentSchemas")?;
        let mut keys: Vec<(String, Vec<String>)> = Vec::new();
        for (key, value) in node.get("dependentRequired").map_or(&[][..], Node::members) {
            keys.push((key.to_string(), strings_of(Some(value))));
        }
        for (key, value) in node.get("dependencies").map_or(&[][..], Node::members) {
            match value {
                Node::List(_) => keys.push((key.to_string(), strings_of(Some(value)))),
                _ => needed.push((key.to_string(), self.schema(&below(&below(at, "dependencies"), key), value)?)),
            }
        }
        if !keys.is_empty() {
            checks.push(Check::NeedsKeys(keys));
        }
        if !needed.is_empty() {
            checks.push(Check::NeedsSchema(needed));
        }
        Ok(())
    }

    fn logic(&mut self, at: &str, node: &'n Node<'n>, checks: &mut Vec<Check>) -> Result<(), Unusable> {
        for (key, check) in
            [("allOf", Check::AllOf as fn(Vec<Id>) -> Check), ("anyOf", Check::AnyOf), ("oneOf", Check::OneOf)]
        {
            if let Some(value) = node.get(key) {
                checks.push(check(self.list(at, key, Some(value))?));
            }
        }
        if let Some(id) = self.one(at, node, "not")? {
            checks.push(Check::Not(id));
        }
        if let Some(id) = self.one(at, node, "if")? {
            let (then, otherwise) = (self.one(at, node, "then")?, self.one(at, node, "else")?);
            checks.push(Check::If { id, then, otherwise });
        }
        Ok(())
    }

    fn one(&mut self, at: &str, node: &'n Node<'n>, key: &str) -> Result<Option<Id>, Unusable> {
        node.get(key).map(|value| self.schema(&below(at, key), value)).transpose()
    }

    fn list(&mut self, at: &str, key: &str, value: Option<&'n Node<'n>>) -> Result<Vec<Id>, Unusable> {
        let at = below(at, key);
        let elements = match value {
            None => return Ok(Vec::new()),
            Some(Node::List(elements)) => elements,
            Some(_) => return Err(Unusable::NoSchema(place(&at))),
        };
        elements.iter().enumerate().map(|(index, value)| self.schema(&below(&at, &index.to_string()), value)).collect()
    }

    fn map(&mut self, at: &str, node: &'n Node<'n>, key: &str) -> Result<Vec<(String, Id)>, Unusable> {
        let at = below(at, key);
        let members = match node.get(key) {
            None => return Ok(Vec::new()),
            Some(Node::Map(members)) => members,
            Some(_) => return Err(Unusable::NoSchema(place(&at))),
        };
        members.iter().map(|(name, value)| Ok((name.to_string(), self.schema(&below(&at, name), value)?))).collect()
    }
}

/// What is below a schema and may be one.
fn children<'n>(at: &str, node: &'n Node<'n>) -> Vec<(String, &'n Node<'n>)> {
    let mut found = Vec::new();
    for (key, value) in node.members() {
        let at = below(at, key);
        let key = &**key;
        match value {
            Node::Map(members) if BY_NAME.contains(&key) => {
                found.extend(members.iter().map(|(name, child)| (below(&at, name), child)));
            }
            Node::List(elements) if IN_ORDER.contains(&key) => {
                found.extend(elements.iter().enumerate().map(|(n, child)| (below(&at, &n.to_string()), child)));
            }
            Node::Map(_) if ONE.contains(&key) => found.push((at, value)),
            _ => {}
        }
    }
    found
}
