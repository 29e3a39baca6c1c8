//! From a schema as a server sent it to checks, or to the reason why it is not used.
//!
//! What a server sends may be made to cost. So everything is counted before anything is run: size, depth, how many
//! sub-schemas it comes to when every reference is followed, and what its patterns compile to. Nothing is fetched.

use super::pattern;
use crate::pin::tree::{Node, below};
use crate::pin::{canonical, elided};
use regex::Regex;
use std::collections::{HashMap, HashSet};
use thiserror::Error;

/// How long a schema may be, in bytes.
pub const MOST_BYTES: usize = 64 << 10;
/// How deep sub-schemas may nest.
pub const MOST_DEPTH: usize = 32;
/// How many sub-schemas it may come to when every reference is followed.
pub const MOST_EXPANDED: u64 = 10_000;
/// How many references and sub-schemas may lie between the root and a sub-schema.
const MOST_STEPS: usize = 160;
/// How many patterns it may hold.
const MOST_PATTERNS: usize = 256;

/// Why a schema is not used for checking arguments. The tool stays usable: its server checks for itself.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Unusable {
    /// Longer than [`MOST_BYTES`].
    #[error("the schema has {0} bytes, more than {MOST_BYTES}")]
    TooLong(usize),
    /// Not JSON, or JSON that readers disagree on.
    #[error("the schema cannot be read: {0}")]
    Unreadable(#[from] crate::pin::Flaw),
    /// Something that has to be a schema is none, or a keyword has a value that means nothing.
    #[error("the schema is none at {0}")]
    NoSchema(String),
    /// A reference that leads out of the document; nothing is fetched.
    #[error("the schema refers to something outside itself: {0}")]
    RemoteRef(String),
    /// A reference to nothing.
    #[error("the schema refers to {0}, which is not in it")]
    DanglingRef(String),
    /// A reference that leads back to itself without going into the value.
    #[error("the schema refers to itself without end at {0}")]
    Endless(String),
    /// Sub-schemas nest deeper than [`MOST_DEPTH`].
    #[error("the schema nests deeper than {MOST_DEPTH} levels")]
    TooDeep,
    /// With every reference followed it has more than [`MOST_EXPANDED`] sub-schemas.
    #[error("the schema comes to more than {MOST_EXPANDED} sub-schemas when its references are followed")]
    TooWide,
    /// A pattern takes too much to compile, or there are too many.
    #[error("the schema's pattern takes too much to check: {0}")]
    DearPattern(String),
}

/// Names a compiled sub-schema.
pub(super) type Id = usize;

/// The kinds of JSON values, one bit each.
pub(super) mod kind {
    pub const NULL: u8 = 1;
    pub const BOOLEAN: u8 = 2;
    pub const NUMBER: u8 = 4;
    pub const INTEGER: u8 = 8;
    pub const STRING: u8 = 16;
    pub const ARRAY: u8 = 32;
    pub const OBJECT: u8 = 64;

    /// The bit of a type's name.
    pub fn of(name: &str) -> Option<u8> {
        NAMES.iter().find(|(_, known)| *known == name).map(|(bit, _)| *bit)
    }

    pub const NAMES: [(u8, &str); 7] = [
        (NULL, "null"),
        (BOOLEAN, "boolean"),
        (NUMBER, "number"),
        (INTEGER, "integer"),
        (STRING, "string"),
        (ARRAY, "array"),
        (OBJECT, "object"),
    ];
}

/// One thing a value is held to.
#[derive(Debug)]
pub(super) enum Check {
    Never,
    Type(u8),
    /// The allowed values in canonical form, and as they are shown.
    Enum(Vec<(Vec<u8>, String)>),
    Minimum {
        limit: f64,
        exclusive: bool,
        shown: String,
    },
    Maximum {
        limit: f64,
        exclusive: bool,
        shown: String,
    },
    MultipleOf {
        of: f64,
        shown: String,
    },
    Length {
        least: usize,
        most: usize,
    },
    Pattern(Regex, String),
    Items {
        first: Vec<Id>,
        rest: Option<Id>,
    },
    Contains {
        id: Id,
        least: usize,
        most: usize,
    },
    Count {
        least: usize,
        most: usize,
    },
    Unique,
    Properties {
        named: HashMap<String, Id>,
        by_pattern: Vec<(Option<Regex>, Id)>,
        rest: Option<Id>,
    },
    Names(Id),
    Required(Vec<String>),
    Members {
        least: usize,
        most: usize,
    },
    NeedsKeys(Vec<(String, Vec<String>)>),
    NeedsSchema(Vec<(String, Id)>),
    AllOf(Vec<Id>),
    AnyOf(Vec<Id>),
    OneOf(Vec<Id>),
    Not(Id),
    If {
        id: Id,
        then: Option<Id>,
        otherwise: Option<Id>,
    },
    Same(Id),
}

/// One compiled sub-schema.
#[derive(Debug, Default)]
pub(super) struct Compiled {
    pub checks: Vec<Check>,
    /// The names of its properties, for whoever misspelt one.
    pub known: Vec<String>,
}

/// All sub-schemas of one schema; the first is the schema itself.
#[derive(Debug)]
pub(super) struct Program {
    pub schemas: Vec<Compiled>,
    /// Whether a keyword was left out that this checker cannot check.
    pub partial: bool,
}

pub(super) fn compile(schema: &[u8]) -> Result<Program, Unusable> {
    if schema.len() > MOST_BYTES {
        return Err(Unusable::TooLong(schema.len()));
    }
    let root = Node::parse(schema)?;
    let mut compiler = Compiler::new(&root);
    compiler.index("", &root, 0)?;
    let first = compiler.schema("", &root)?;
    let program = compiler.finish()?;
    debug_assert_eq!(first, 0);
    Ok(program)
}

struct Compiler<'n> {
    root: &'n Node<'n>,
    schemas: Vec<Compiled>,
    /// Where each compiled sub-schema stands.
    pointers: Vec<String>,
    known: HashMap<String, Id>,
    anchors: HashMap<String, (String, &'n Node<'n>)>,
    patterns: usize,
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
        if self.patterns > MOST_PATTERNS {
            return Err(Unusable::DearPattern(format!("there are {} of them", self.patterns)));
        }
        // What all of them together may take is bounded too.
        let most = (1 << 20) / self.patterns.max(1);
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

    /// Counts what it comes to, and hands it out if that is bearable.
    fn finish(self) -> Result<Program, Unusable> {
        let mut count = Count {
            schemas: &self.schemas,
            pointers: &self.pointers,
            total: vec![None; self.schemas.len()],
            in_place: HashSet::new(),
            open: HashSet::new(),
        };
        if count.expanded(0)? > MOST_EXPANDED {
            return Err(Unusable::TooWide);
        }
        Ok(Program { schemas: self.schemas, partial: self.partial })
    }
}

/// How many sub-schemas one comes to. Products of a shared sub-schema are computed once; a reference that leads back
/// to where it stands counts as one, because how often it is followed is up to the value.
struct Count<'c> {
    schemas: &'c [Compiled],
    pointers: &'c [String],
    total: Vec<Option<u64>>,
    /// Those on the way here that look at the same value.
    in_place: HashSet<Id>,
    open: HashSet<Id>,
}

impl Count<'_> {
    fn expanded(&mut self, id: Id) -> Result<u64, Unusable> {
        if self.in_place.contains(&id) {
            return Err(Unusable::Endless(place(&self.pointers[id])));
        }
        if let Some(total) = self.total[id] {
            return Ok(total);
        }
        if !self.open.insert(id) {
            return Ok(1);
        }
        if self.open.len() > MOST_STEPS {
            return Err(Unusable::TooDeep);
        }
        self.in_place.insert(id);
        let mut total: u64 = 1;
        for check in &self.schemas[id].checks {
            for child in same_value(check) {
                total = total.saturating_add(self.expanded(child)?);
            }
        }
        // What goes into the value may come back here: the value ends.
        let here = std::mem::take(&mut self.in_place);
        for check in &self.schemas[id].checks {
            for child in part_of_value(check) {
                total = total.saturating_add(self.expanded(child)?);
            }
        }
        self.in_place = here;
        self.in_place.remove(&id);
        self.open.remove(&id);
        self.total[id] = Some(total);
        Ok(total)
    }
}

/// The sub-schemas that look at the same value.
fn same_value(check: &Check) -> Vec<Id> {
    match check {
        Check::AllOf(ids) | Check::AnyOf(ids) | Check::OneOf(ids) => ids.clone(),
        Check::Not(id) | Check::Same(id) => vec![*id],
        Check::If { id, then, otherwise } => [Some(*id), *then, *otherwise].into_iter().flatten().collect(),
        Check::NeedsSchema(needed) => needed.iter().map(|(_, id)| *id).collect(),
        _ => Vec::new(),
    }
}

/// The sub-schemas that look at a part of the value.
fn part_of_value(check: &Check) -> Vec<Id> {
    match check {
        Check::Items { first, rest } => first.iter().copied().chain(*rest).collect(),
        Check::Contains { id, .. } | Check::Names(id) => vec![*id],
        Check::Properties { named, by_pattern, rest } => {
            named.values().copied().chain(by_pattern.iter().map(|(_, id)| *id)).chain(*rest).collect()
        }
        _ => Vec::new(),
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

fn scalars(at: &str, node: &Node<'_>, checks: &mut Vec<Check>) -> Result<(), Unusable> {
    let no_schema = |key: &str| Unusable::NoSchema(place(&below(at, key)));
    if let Some(value) = node.get("type") {
        let names = if let Some(one) = value.text() { vec![one.to_owned()] } else { strings_of(Some(value)) };
        let bits = names.iter().map(|name| kind::of(name)).collect::<Option<Vec<_>>>();
        let bits = bits.filter(|bits| !bits.is_empty()).ok_or_else(|| no_schema("type"))?;
        checks.push(Check::Type(bits.into_iter().fold(0, |all, bit| all | bit)));
    }
    if let Some(value) = node.get("enum") {
        checks.push(Check::Enum(value.elements().iter().map(allowed).collect()));
    }
    if let Some(value) = node.get("const") {
        checks.push(Check::Enum(vec![allowed(value)]));
    }
    let number = |key: &str| match node.get(key) {
        Some(Node::Number(spelling)) => spelling.parse::<f64>().ok().map(|limit| (limit, (*spelling).to_owned())),
        _ => None,
    };
    let strict = |key: &str| node.get(key) == Some(&Node::Bool(true));
    if let Some((limit, shown)) = number("minimum") {
        checks.push(Check::Minimum { limit, exclusive: strict("exclusiveMinimum"), shown });
    }
    if let Some((limit, shown)) = number("maximum") {
        checks.push(Check::Maximum { limit, exclusive: strict("exclusiveMaximum"), shown });
    }
    if let Some((limit, shown)) = number("exclusiveMinimum") {
        checks.push(Check::Minimum { limit, exclusive: true, shown });
    }
    if let Some((limit, shown)) = number("exclusiveMaximum") {
        checks.push(Check::Maximum { limit, exclusive: true, shown });
    }
    if let Some((of, shown)) = number("multipleOf").filter(|(of, _)| *of > 0.0) {
        checks.push(Check::MultipleOf { of, shown });
    }
    Ok(())
}

fn allowed(value: &Node<'_>) -> (Vec<u8>, String) {
    let json = value.json();
    (canonical(json.as_bytes()).unwrap_or_default(), elided(&json, 40))
}

/// A lower and an upper bound, if one of them is there.
fn bounds(node: &Node<'_>, least: &str, most: &str) -> Option<(usize, usize)> {
    let number = |key: &str| match node.get(key) {
        Some(Node::Number(spelling)) => spelling.parse::<f64>().ok().filter(|n| *n >= 0.0).map(|n| n as usize),
        _ => None,
    };
    let (least, most) = (number(least), number(most));
    (least.is_some() || most.is_some()).then(|| (least.unwrap_or(0), most.unwrap_or(usize::MAX)))
}

fn strings_of(value: Option<&Node<'_>>) -> Vec<String> {
    let elements = value.map_or(&[][..], Node::elements);
    elements.iter().filter_map(Node::text).map(str::to_owned).collect()
}

fn place(at: &str) -> String {
    if at.is_empty() { "its root".to_owned() } else { elided(at, 120) }
}

fn percent_decoded(text: &str) -> Option<String> {
    if !text.contains('%') {
        return Some(text.to_owned());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        if *first != b'%' {
            bytes.push(*first);
            rest = tail;
            continue;
        }
        let digits = std::str::from_utf8(tail.get(..2)?).ok()?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = &tail[2..];
    }
    String::from_utf8(bytes).ok()
}
