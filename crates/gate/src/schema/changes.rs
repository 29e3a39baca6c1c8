//! What a changed definition means for whoever calls the tool.

use super::snapshot::Snapshot;
use crate::pin::tree::{Node, below};
use crate::pin::{canonical, elided};
use serde::Serialize;
use std::collections::BTreeSet;
use std::fmt;

/// How many characters of a value are shown.
const LONGEST: usize = 80;

/// How deep schemas are compared.
const MOST_DEPTH: usize = 32;

/// How many changes of one tool are told of.
const MOST_CHANGES: usize = 100;

/// The kinds of changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// There is a tool that was not there.
    ToolAdded,
    /// A tool is gone.
    ToolRemoved,
    /// A parameter that must be given is new, or an optional one must be given now.
    RequiredParamAdded,
    /// A parameter need no longer be given.
    RequiredParamDropped,
    /// There is a parameter that may be given.
    OptionalParamAdded,
    /// A parameter is gone.
    ParamRemoved,
    /// A type accepts less, or something else.
    TypeNarrowed,
    /// A type accepts more.
    TypeWidened,
    /// A value is no longer allowed.
    EnumValueRemoved,
    /// There is one more allowed value.
    EnumValueAdded,
    /// A bound, a pattern or another condition is new or other than it was.
    ConditionChanged,
    /// A condition is gone.
    ConditionDropped,
    /// What the tool claims about itself (`readOnlyHint` and the like).
    AnnotationChanged,
    /// What the tool answers.
    OutputChanged,
    /// Text for people and models: titles, descriptions, examples.
    DescriptionChanged,
    /// Anything else in the definition.
    OtherChanged,
}

impl ChangeKind {
    /// Whether a caller that did right before may do wrong now, or rely on what no longer holds.
    pub fn is_breaking(self) -> bool {
        match self {
            Self::ToolRemoved
            | Self::RequiredParamAdded
            | Self::ParamRemoved
            | Self::TypeNarrowed
            | Self::EnumValueRemoved
            | Self::ConditionChanged
            | Self::AnnotationChanged
            | Self::OutputChanged => true,
            Self::ToolAdded
            | Self::RequiredParamDropped
            | Self::OptionalParamAdded
            | Self::TypeWidened
            | Self::EnumValueAdded
            | Self::ConditionDropped
            | Self::DescriptionChanged
            | Self::OtherChanged => false,
        }
    }
}

/// One change between two snapshots. The texts are safe to print.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SchemaChange {
    /// The configured name of the server.
    pub server: String,
    /// The tool's raw name.
    pub tool: String,
    /// Where in the definition, as a JSON pointer.
    pub pointer: String,
    /// What kind of change.
    pub kind: ChangeKind,
    /// Whether it may break callers.
    pub breaking: bool,
    /// The change in words.
    pub text: String,
}

impl fmt::Display for SchemaChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = if self.breaking { "breaking" } else { "compatible" };
        write!(f, "{mark:<10} {}/{} {}: {}", self.server, self.tool, self.pointer, self.text)
    }
}

/// What changed from `old` to `new`, by server and tool.
pub fn diff(old: &Snapshot, new: &Snapshot) -> Vec<SchemaChange> {
    let mut changes = Vec::new();
    let servers: BTreeSet<&String> = old.servers.keys().chain(new.servers.keys()).collect();
    for server in servers {
        let (was, is) = (old.servers.get(server), new.servers.get(server));
        let names = was.into_iter().chain(is).flat_map(|tools| tools.keys());
        for tool in names.collect::<BTreeSet<_>>() {
            let of = |tools: Option<&std::collections::BTreeMap<String, Box<serde_json::value::RawValue>>>| {
                tools.and_then(|tools| tools.get(tool)).map(|raw| raw.get().to_owned())
            };
            let mut told = Told { server, tool, changes: Vec::new() };
            match (of(was), of(is)) {
                (Some(_), None) => told.tell(ChangeKind::ToolRemoved, "", "the tool is gone"),
                (None, Some(_)) => told.tell(ChangeKind::ToolAdded, "", "the tool is new"),
                (Some(was), Some(is)) => told.definitions(&was, &is),
                (None, None) => {}
            }
            told.changes.truncate(MOST_CHANGES);
            changes.append(&mut told.changes);
        }
    }
    changes
}

struct Told<'a> {
    server: &'a str,
    tool: &'a str,
    changes: Vec<SchemaChange>,
}

/// Members of a schema that only say something.
const SAYINGS: [&str; 7] = ["title", "description", "examples", "default", "$comment", "deprecated", "$schema"];

/// Conditions for which more is less.
const LEAST: [&str; 5] = ["minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"];
const MOST: [&str; 5] = ["maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"];

impl Told<'_> {
    fn tell(&mut self, kind: ChangeKind, pointer: &str, text: &str) {
        self.changes.push(SchemaChange {
            server: elided(self.server, LONGEST),
            tool: elided(self.tool, LONGEST),
            pointer: elided(pointer, 200),
            kind,
            breaking: kind.is_breaking(),
            text: text.to_owned(),
        });
    }

    fn definitions(&mut self, was: &str, is: &str) {
        let (Ok(was), Ok(is)) = (Node::parse(was.as_bytes()), Node::parse(is.as_bytes())) else {
            if was != is {
                self.tell(ChangeKind::ConditionChanged, "", "the definition cannot be read");
            }
            return;
        };
        for key in keys(&was, &is) {
            let (before, after) = (was.get(&key), is.get(&key));
            if same(before, after) {
                continue;
            }
            let at = below("", &key);
            match key.as_str() {
                "inputSchema" => {
                    self.schemas(&at, before.unwrap_or(&Node::Bool(true)), after.unwrap_or(&Node::Bool(true)), 0)
                }
                "outputSchema" => self.changed(ChangeKind::OutputChanged, &at, before, after),
                "annotations" => self.annotations(&at, before, after),
                "description" | "title" => self.changed(ChangeKind::DescriptionChanged, &at, before, after),
                _ => self.changed(ChangeKind::OtherChanged, &at, before, after),
            }
        }
    }

    fn annotations(&mut self, at: &str, was: Option<&Node<'_>>, is: Option<&Node<'_>>) {
        let (was, is) = (was.unwrap_or(&Node::Null), is.unwrap_or(&Node::Null));
        for key in keys(was, is) {
            let kind = if key == "title" { ChangeKind::DescriptionChanged } else { ChangeKind::AnnotationChanged };
            if !same(was.get(&key), is.get(&key)) {
                self.changed(kind, &below(at, &key), was.get(&key), is.get(&key));
            }
        }
    }

    fn schemas(&mut self, at: &str, was: &Node<'_>, is: &Node<'_>, depth: usize) {
        if depth > MOST_DEPTH || self.changes.len() > MOST_CHANGES || same(Some(was), Some(is)) {
            return;
        }
        let (Node::Map(_), Node::Map(_)) = (was, is) else {
            let narrower = !matches!(is, Node::Bool(true));
            let kind = if narrower { ChangeKind::TypeNarrowed } else { ChangeKind::TypeWidened };
            return self.changed(kind, at, Some(was), Some(is));
        };
        self.properties(at, was, is, depth);
        for key in keys(was, is) {
            let (before, after) = (was.get(&key), is.get(&key));
            if !same(before, after) {
                self.keyword(&key, &below(at, &key), before, after, depth);
            }
        }
    }

    fn keyword(&mut self, key: &str, at: &str, was: Option<&Node<'_>>, is: Option<&Node<'_>>, depth: usize) {
        match (key, was, is) {
            ("properties" | "required", ..) => {}
            ("type", ..) => self.types(at, was, is),
            ("enum" | "const", ..) => self.values(at, was, is),
            ("items" | "additionalProperties" | "contains" | "propertyNames", was, is) if either_map(was, is) => {
                self.schemas(at, was.unwrap_or(&Node::Bool(true)), is.unwrap_or(&Node::Bool(true)), depth + 1);
            }
            ("$defs" | "definitions" | "patternProperties", was, is) => {
                let (was, is) = (was.unwrap_or(&Node::Null), is.unwrap_or(&Node::Null));
                for name in keys(was, is) {
                    match (was.get(&name), is.get(&name)) {
                        (Some(was), Some(is)) => self.schemas(&below(at, &name), was, is, depth + 1),
                        (was, is) if key == "patternProperties" => {
                            self.changed(ChangeKind::ConditionChanged, &below(at, &name), was, is);
                        }
                        // A definition that only one side has changes nothing that is not told where it is used.
                        _ => {}
                    }
                }
            }
            ("anyOf" | "oneOf", Some(Node::List(was)), Some(Node::List(is))) => self.alternatives(at, was, is, depth),
            (key, ..) if SAYINGS.contains(&key) => self.changed(ChangeKind::DescriptionChanged, at, was, is),
            (key, was, is) => {
                let kind =
                    if loosened(key, was, is) { ChangeKind::ConditionDropped } else { ChangeKind::ConditionChanged };
                self.changed(kind, at, was, is);
            }
        }
    }

    fn properties(&mut self, at: &str, was: &Node<'_>, is: &Node<'_>, depth: usize) {
        let none = Node::Null;
        let of = |node| Node::get(node, "properties").unwrap_or(&none);
        let (before, after) = (of(was), of(is));
        let needs = |schema: &Node<'_>, name: &str| {
            schema
                .get("required")
                .is_some_and(|required| required.elements().iter().any(|key| key.text() == Some(name)))
        };
        let mut names = keys(before, after);
        for required in [was, is].into_iter().filter_map(|schema| schema.get("required")) {
            names.extend(required.elements().iter().filter_map(Node::text).map(str::to_owned));
        }
        for name in names {
            let place = below(&below(at, "properties"), &name);
            let (needed, needs_now) = (needs(was, &name), needs(is, &name));
            match (before.get(&name), after.get(&name)) {
                (Some(was), Some(is)) => self.schemas(&place, was, is, depth + 1),
                (Some(_), None) => self.tell(ChangeKind::ParamRemoved, &place, "the parameter is gone"),
                (None, Some(_)) if !needs_now => {
                    self.tell(ChangeKind::OptionalParamAdded, &place, "the parameter is new, and optional")
                }
                _ => {}
            }
            if !needed && needs_now {
                self.tell(ChangeKind::RequiredParamAdded, &place, "the parameter must be given");
            } else if needed && !needs_now && after.get(&name).is_some() {
                self.tell(ChangeKind::RequiredParamDropped, &place, "the parameter need no longer be given");
            }
        }
    }

    fn types(&mut self, at: &str, was: Option<&Node<'_>>, is: Option<&Node<'_>>) {
        let (before, after) = (types_of(was), types_of(is));
        let accepted = |name: &String| after.contains(name) || name == "integer" && after.contains("number");
        let wider = is.is_none() || was.is_some() && before.iter().all(accepted);
        self.changed(if wider { ChangeKind::TypeWidened } else { ChangeKind::TypeNarrowed }, at, was, is);
    }

    fn values(&mut self, at: &str, was: Option<&Node<'_>>, is: Option<&Node<'_>>) {
        let (Some(Node::List(before)), Some(Node::List(after))) = (was, is) else {
            let kind = if is.is_none() { ChangeKind::ConditionDropped } else { ChangeKind::ConditionChanged };
            return self.changed(kind, at, was, is);
        };
        let gone = before.iter().filter(|value| !after.iter().any(|other| same(Some(value), Some(other))));
        for value in gone {
            self.tell(ChangeKind::EnumValueRemoved, at, &format!("{} is no longer allowed", shown(value)));
        }
        let new = after.iter().filter(|value| !before.iter().any(|other| same(Some(value), Some(other))));
        for value in new {
            self.tell(ChangeKind::EnumValueAdded, at, &format!("{} is allowed too", shown(value)));
        }
    }

    fn alternatives(&mut self, at: &str, was: &[Node<'_>], is: &[Node<'_>], depth: usize) {
        if was.len() == is.len() {
            for (index, (was, is)) in was.iter().zip(is).enumerate() {
                self.schemas(&below(at, &index.to_string()), was, is, depth + 1);
            }
            return;
        }
        let has = |all: &[Node<'_>], one: &Node<'_>| all.iter().any(|other| same(Some(other), Some(one)));
        let kind = if was.iter().all(|one| has(is, one)) { ChangeKind::TypeWidened } else { ChangeKind::TypeNarrowed };
        self.tell(kind, at, &format!("{} alternatives instead of {}", is.len(), was.len()));
    }

    fn changed(&mut self, kind: ChangeKind, at: &str, was: Option<&Node<'_>>, is: Option<&Node<'_>>) {
        let text = match (was, is) {
            (None, Some(is)) => format!("{} is new", shown(is)),
            (Some(was), None) => format!("{} is gone", shown(was)),
            (Some(was), Some(is)) => format!("{} instead of {}", shown(is), shown(was)),
            (None, None) => return,
        };
        self.tell(kind, at, &text);
    }
}

fn either_map(was: Option<&Node<'_>>, is: Option<&Node<'_>>) -> bool {
    let schema = |node: Option<&Node<'_>>| matches!(node, None | Some(Node::Map(_) | Node::Bool(_)));
    schema(was) && schema(is)
}

/// Whether a condition became weaker.
fn loosened(key: &str, was: Option<&Node<'_>>, is: Option<&Node<'_>>) -> bool {
    let number = |node: Option<&Node<'_>>| match node {
        Some(Node::Number(spelling)) => spelling.parse::<f64>().ok(),
        _ => None,
    };
    match (number(was), number(is)) {
        _ if is.is_none() => true,
        (Some(was), Some(is)) if LEAST.contains(&key) => is <= was,
        (Some(was), Some(is)) if MOST.contains(&key) => is >= was,
        _ => false,
    }
}

fn types_of(node: Option<&Node<'_>>) -> BTreeSet<String> {
    match node {
        Some(Node::Text(name)) => BTreeSet::from([name.to_string()]),
        Some(Node::List(names)) => names.iter().filter_map(Node::text).map(str::to_owned).collect(),
        _ => BTreeSet::new(),
    }
}

fn keys(was: &Node<'_>, is: &Node<'_>) -> BTreeSet<String> {
    was.members().iter().chain(is.members()).map(|(key, _)| key.to_string()).collect()
}

fn same(was: Option<&Node<'_>>, is: Option<&Node<'_>>) -> bool {
    match (was, is) {
        (None, None) => true,
        (Some(was), Some(is)) => was == is || canonical(was.json().as_bytes()) == canonical(is.json().as_bytes()),
        _ => false,
    }
}

fn shown(node: &Node<'_>) -> String {
    elided(&node.json(), LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn snapshot(input: &str, rest: &str) -> Snapshot {
        let mut snapshot = Snapshot::new();
        snapshot.add("s", "t", format!(r#"{{"name":"t","inputSchema":{input}{rest}}}"#).as_bytes());
        snapshot
    }

    fn check(old: &str, new: &str, want: &Expect) {
        let split = |text: &str| {
            text.split_once(" + ").map_or((text.to_owned(), String::new()), |(a, b)| (a.to_owned(), format!(",{b}")))
        };
        let ((old, old_rest), (new, new_rest)) = (split(old), split(new));
        let changes = diff(&snapshot(&old, &old_rest), &snapshot(&new, &new_rest));
        let told: Vec<_> = changes.iter().map(|change| format!("{:?} {change}", change.kind)).collect();
        want.assert_eq(&told.join("\n"));
    }

    #[test]
    fn tools_come_and_go() {
        let (with, mut without) = (snapshot("{}", ""), Snapshot::new());
        without.servers.insert("s".to_owned(), std::collections::BTreeMap::new());
        assert_eq!(diff(&with, &without)[0].kind, ChangeKind::ToolRemoved);
        assert_eq!(diff(&without, &with)[0].kind, ChangeKind::ToolAdded);
        assert!(diff(&with, &Snapshot::new())[0].breaking);
        assert_eq!(diff(&with, &with), []);
    }

    #[test]
    fn parameters_come_and_go() {
        let plain = r#"{"properties":{"a":{"type":"string"}}}"#;
        check(
            plain,
            r#"{"properties":{"a":{"type":"string"},"b":{}}}"#,
            &expect!["OptionalParamAdded compatible s/t /inputSchema/properties/b: the parameter is new, and optional"],
        );
        check(
            plain,
            r#"{"properties":{"a":{"type":"string"},"b":{}},"required":["b"]}"#,
            &expect!["RequiredParamAdded breaking   s/t /inputSchema/properties/b: the parameter must be given"],
        );
        check(
            plain,
            r#"{"properties":{"a":{"type":"string"}},"required":["a"]}"#,
            &expect!["RequiredParamAdded breaking   s/t /inputSchema/properties/a: the parameter must be given"],
        );
        check(
            r#"{"properties":{"a":{}},"required":["a"]}"#,
            r#"{"properties":{"a":{}}}"#,
            &expect![
                "RequiredParamDropped compatible s/t /inputSchema/properties/a: the parameter need no longer be given"
            ],
        );
        check(plain, "{}", &expect!["ParamRemoved breaking   s/t /inputSchema/properties/a: the parameter is gone"]);
    }

    #[test]
    fn types_and_values_grow_and_shrink() {
        check(
            r#"{"properties":{"a":{"type":"string"}}}"#,
            r#"{"properties":{"a":{"type":["string","null"]}}}"#,
            &expect![[
                r#"TypeWidened compatible s/t /inputSchema/properties/a/type: ["string","null"] instead of "string""#
            ]],
        );
        check(
            r#"{"properties":{"a":{"type":"number"}}}"#,
            r#"{"properties":{"a":{"type":"integer"}}}"#,
            &expect![[r#"TypeNarrowed breaking   s/t /inputSchema/properties/a/type: "integer" instead of "number""#]],
        );
        check(
            r#"{"properties":{"a":{"enum":[1,2]}}}"#,
            r#"{"properties":{"a":{"enum":[2.0,3]}}}"#,
            &expect![[r#"
            EnumValueRemoved breaking   s/t /inputSchema/properties/a/enum: 1 is no longer allowed
            EnumValueAdded compatible s/t /inputSchema/properties/a/enum: 3 is allowed too"#]],
        );
        check(
            r#"{"properties":{"a":{"items":{"maxLength":5}}}}"#,
            r#"{"properties":{"a":{"items":{"maxLength":4}}}}"#,
            &expect!["ConditionChanged breaking   s/t /inputSchema/properties/a/items/maxLength: 4 instead of 5"],
        );
        check(
            r#"{"properties":{"a":{"maxLength":5,"pattern":"x"}}}"#,
            r#"{"properties":{"a":{"maxLength":6}}}"#,
            &expect![[r#"
            ConditionDropped compatible s/t /inputSchema/properties/a/maxLength: 6 instead of 5
            ConditionDropped compatible s/t /inputSchema/properties/a/pattern: "x" is gone"#]],
        );
        check(
            r#"{"anyOf":[{"type":"string"}]}"#,
            r#"{"anyOf":[{"type":"string"},{"type":"null"}]}"#,
            &expect!["TypeWidened compatible s/t /inputSchema/anyOf: 2 alternatives instead of 1"],
        );
        check(
            r#"{"anyOf":[{"type":"string"},{"type":"null"}]}"#,
            r#"{"anyOf":[{"type":"null"}]}"#,
            &expect!["TypeNarrowed breaking   s/t /inputSchema/anyOf: 1 alternatives instead of 2"],
        );
        check(
            "{}",
            r#"{"additionalProperties":false}"#,
            &expect!["TypeNarrowed breaking   s/t /inputSchema/additionalProperties: false instead of true"],
        );
    }

    #[test]
    fn what_is_said_breaks_nobody_and_what_is_claimed_does() {
        check(
            r#"{"properties":{"a":{"description":"x"}}} + "description":"y""#,
            r#"{"properties":{"a":{"description":"z"}}} + "description":"w""#,
            &expect![[r#"
            DescriptionChanged compatible s/t /description: "w" instead of "y"
            DescriptionChanged compatible s/t /inputSchema/properties/a/description: "z" instead of "x""#]],
        );
        check(
            r#"{} + "annotations":{"readOnlyHint":true,"title":"a"}"#,
            r#"{} + "annotations":{"title":"b"}"#,
            &expect![[r#"
            AnnotationChanged breaking   s/t /annotations/readOnlyHint: true is gone
            DescriptionChanged compatible s/t /annotations/title: "b" instead of "a""#]],
        );
        check(
            r#"{} + "outputSchema":{}"#,
            r#"{} + "outputSchema":{"type":"object"},"icons":[]"#,
            &expect![[r#"
            OtherChanged compatible s/t /icons: [] is new
            OutputChanged breaking   s/t /outputSchema: {"type":"object"} instead of {}"#]],
        );
        check(r#"{"a":1,"b":2}"#, r#"{"b":2.0,"a":1}"#, &expect![[""]]);
    }
}
