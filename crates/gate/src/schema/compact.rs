//! Makes a definition shorter for a model with little room. Only on request, and only above the budget: what is lost is
//! lost to the model, though not to the checks, which use the whole schema.
//!
//! In this order, and no further than needed: descriptions and examples go (the tool's own stays), definitions that
//! nothing refers to go, and what lies deeper than three levels of properties becomes `{}`. Names of properties at the
//! top, lists of required ones, allowed values and alternatives near the top always stay.

use crate::pin::tree::Node;
use std::borrow::Cow;
use std::collections::HashSet;

/// How many levels of properties stay.
const DEPTH: usize = 3;

/// Members of a schema that only say something.
const SAYINGS: [&str; 5] = ["description", "examples", "example", "$comment", "title"];

/// `definition` within `budget` bytes, or as near to it as may be, marked `_meta["toolgate/compacted"]`; `None` if it
/// is short enough as it is, or cannot be read.
pub fn compact(definition: &[u8], budget: usize) -> Option<Vec<u8>> {
    if definition.len() <= budget {
        return None;
    }
    let mut tree = Node::parse(definition).ok()?;
    mark(&mut tree);
    let steps: [fn(&mut Node<'_>); 3] = [say_nothing, |schema| prune(schema), |schema| collapse(schema, 0)];
    for step in steps {
        for key in ["inputSchema", "outputSchema"] {
            if let Some(schema) = member_mut(&mut tree, key) {
                step(schema);
            }
        }
        if tree.json().len() <= budget {
            break;
        }
    }
    Some(tree.json().into_bytes())
}

fn members_mut<'m, 'n>(node: &'m mut Node<'n>) -> Option<&'m mut Vec<(Cow<'n, str>, Node<'n>)>> {
    match node {
        Node::Map(members) => Some(members),
        _ => None,
    }
}

fn member_mut<'m, 'n>(node: &'m mut Node<'n>, key: &str) -> Option<&'m mut Node<'n>> {
    members_mut(node)?.iter_mut().find(|(name, _)| name == key).map(|(_, value)| value)
}

fn mark(tree: &mut Node<'_>) {
    let Some(members) = members_mut(tree) else { return };
    if !members.iter().any(|(key, value)| key == "_meta" && matches!(value, Node::Map(_))) {
        members.retain(|(key, _)| key != "_meta");
        members.push(("_meta".into(), Node::Map(Vec::new())));
    }
    let meta = members.iter_mut().find(|(key, _)| key == "_meta").and_then(|(_, meta)| members_mut(meta));
    if let Some(meta) = meta {
        meta.retain(|(key, _)| key != "toolgate/compacted");
        meta.push(("toolgate/compacted".into(), Node::Bool(true)));
    }
}

/// Takes descriptions and examples out of a schema, and leaves properties alone that are called so.
fn say_nothing(schema: &mut Node<'_>) {
    if let Some(members) = members_mut(schema) {
        members.retain(|(key, value)| !SAYINGS.contains(&&**key) || !matches!(value, Node::Text(_) | Node::List(_)));
    }
    each_below(schema, &mut |below, _| say_nothing(below));
}

/// Drops definitions that nothing refers to, and what only those refer to.
fn prune(schema: &mut Node<'_>) {
    loop {
        let mut used = HashSet::new();
        references(schema, &mut used);
        let mut dropped = false;
        for key in ["$defs", "definitions"] {
            let prefix = format!("#/{key}/");
            if let Some(members) = member_mut(schema, key).and_then(members_mut) {
                let before = members.len();
                members.retain(|(name, node)| {
                    let path = format!("{prefix}{}", name.replace('~', "~0").replace('/', "~1"));
                    // A reference may lead into a definition; one that is found by an anchor is kept.
                    let anchored = node.get("$anchor").or(node.get("$dynamicAnchor")).or(node.get("$id")).is_some();
                    anchored || used.iter().any(|target| *target == path || target.starts_with(&format!("{path}/")))
                });
                dropped |= members.len() < before;
            }
        }
        if !dropped {
            break;
        }
    }
    for key in ["$defs", "definitions"] {
        if let Some(members) = members_mut(schema) {
            members.retain(|(name, value)| name != key || !value.members().is_empty());
        }
    }
}

fn references(node: &Node<'_>, used: &mut HashSet<String>) {
    for (key, value) in node.members() {
        if matches!(&**key, "$ref" | "$dynamicRef" | "$recursiveRef")
            && let Some(target) = value.text()
        {
            used.insert(target.to_owned());
        }
        references(value, used);
    }
    for element in node.elements() {
        references(element, used);
    }
}

/// Makes `{}` of what lies deeper than [`DEPTH`] levels of properties or elements. What alternatives hold lies as deep
/// as they do, and a definition as deep as its name.
fn collapse(schema: &mut Node<'_>, depth: usize) {
    each_below(schema, &mut |below, deeper| {
        let depth = depth + usize::from(deeper);
        if depth > DEPTH && matches!(below, Node::Map(_)) {
            *below = Node::Map(Vec::new());
        } else {
            collapse(below, depth);
        }
    });
}

/// Visits the sub-schemas right below one, and tells of each whether it looks at a part of the value.
fn each_below<'n>(schema: &mut Node<'n>, visit: &mut dyn FnMut(&mut Node<'n>, bool)) {
    let Some(members) = members_mut(schema) else { return };
    for (key, value) in members {
        match (&**key, value) {
            ("properties" | "patternProperties" | "$defs" | "definitions", Node::Map(members)) => {
                members.iter_mut().for_each(|(_, below)| visit(below, true));
            }
            ("dependentSchemas", Node::Map(members)) => members.iter_mut().for_each(|(_, below)| visit(below, false)),
            ("items" | "prefixItems", Node::List(elements)) => elements.iter_mut().for_each(|below| visit(below, true)),
            ("allOf" | "anyOf" | "oneOf", Node::List(elements)) => {
                elements.iter_mut().for_each(|below| visit(below, false));
            }
            (
                "items" | "additionalItems" | "contains" | "additionalProperties" | "propertyNames",
                below @ Node::Map(_),
            ) => visit(below, true),
            ("not" | "if" | "then" | "else", below @ Node::Map(_)) => visit(below, false),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn check(definition: &str, budget: usize, want: &Expect) {
        let compacted = compact(definition.as_bytes(), budget).map(|json| String::from_utf8(json).expect("UTF-8"));
        want.assert_eq(&compacted.unwrap_or_else(|| "as it is".to_owned()));
    }

    const TOOL: &str = r##"{"name":"a","description":"Does it.","inputSchema":{"type":"object","description":"the input","required":["x"],
        "properties":{"x":{"description":"an x","enum":["p","q"]},"description":{"type":"string"},"y":{"$ref":"#/$defs/y"}},
        "$defs":{"y":{"oneOf":[{"type":"string","examples":["e"]},{"properties":{"l2":{"properties":{"l3":{"properties":{"l4":{"type":"string"}}}}}}}]},
        "unused":{"$ref":"#/$defs/other"},"other":{"type":"null"}}},"_meta":{"k":1}}"##;

    #[test]
    fn no_more_is_lost_than_needed() {
        check(TOOL, 10_000, &expect!["as it is"]);
        check(
            TOOL,
            TOOL.len() - 1,
            &expect![[
                r##"{"name":"a","description":"Does it.","inputSchema":{"type":"object","required":["x"],"properties":{"x":{"enum":["p","q"]},"description":{"type":"string"},"y":{"$ref":"#/$defs/y"}},"$defs":{"y":{"oneOf":[{"type":"string"},{"properties":{"l2":{"properties":{"l3":{"properties":{"l4":{"type":"string"}}}}}}}]},"unused":{"$ref":"#/$defs/other"},"other":{"type":"null"}}},"_meta":{"k":1,"toolgate/compacted":true}}"##
            ]],
        );
        check(
            TOOL,
            420,
            &expect![[
                r##"{"name":"a","description":"Does it.","inputSchema":{"type":"object","required":["x"],"properties":{"x":{"enum":["p","q"]},"description":{"type":"string"},"y":{"$ref":"#/$defs/y"}},"$defs":{"y":{"oneOf":[{"type":"string"},{"properties":{"l2":{"properties":{"l3":{"properties":{"l4":{"type":"string"}}}}}}}]},"unused":{"$ref":"#/$defs/other"},"other":{"type":"null"}}},"_meta":{"k":1,"toolgate/compacted":true}}"##
            ]],
        );
        check(
            TOOL,
            10,
            &expect![[
                r##"{"name":"a","description":"Does it.","inputSchema":{"type":"object","required":["x"],"properties":{"x":{"enum":["p","q"]},"description":{"type":"string"},"y":{"$ref":"#/$defs/y"}},"$defs":{"y":{"oneOf":[{"type":"string"},{"properties":{"l2":{"properties":{"l3":{"properties":{"l4":{}}}}}}}]}}},"_meta":{"k":1,"toolgate/compacted":true}}"##
            ]],
        );
        check("no JSON", 1, &expect!["as it is"]);
    }

    /// A schema of 200 KB, as big services have them.
    #[test]
    fn what_is_near_the_top_stays() {
        let mut deep = r#"{"type":"string","enum":["z"]}"#.to_owned();
        for level in (0..8).rev() {
            let one =
                format!(r#""p{level}":{deep},"q{level}":{{"type":"integer","description":"{}"}}"#, "words ".repeat(60));
            deep = format!(r#"{{"type":"object","required":["p{level}"],"properties":{{{one}}}}}"#);
        }
        let wide: Vec<_> = (0..60).map(|n| format!(r#""param{n}":{deep}"#)).collect();
        let wide = wide.join(",");
        let definition = format!(
            r#"{{"name":"big","inputSchema":{{"type":"object","required":["param1"],"properties":{{{wide}}}}}}}"#
        );
        assert!(definition.len() > 200_000);
        let short = compact(definition.as_bytes(), 32_000).expect("compacted");
        assert!(short.len() <= 32_000, "{}", short.len());
        let tree = Node::parse(&short).expect("JSON");
        assert_eq!(tree.path(&["_meta", "toolgate/compacted"]), Some(&Node::Bool(true)));
        let properties = tree.path(&["inputSchema", "properties"]).expect("properties");
        assert_eq!(properties.members().len(), 60);
        for (_, param) in properties.members() {
            assert_eq!(param.path(&["required"]).map(Node::json).as_deref(), Some(r#"["p0"]"#));
            let third = param.path(&["properties", "p0", "properties"]).expect("level 2");
            assert!(third.get("p1").is_some() && third.get("q1").is_some(), "level 3 is there by name");
        }
    }
}
