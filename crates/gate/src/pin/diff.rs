//! What changed between two definitions, so that a person can decide on it.

use super::lexer::Flaw;
use super::tree::{Node, below};
use super::visible::elided;
use serde::Serialize;
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

/// How many characters of a value are shown.
const LONGEST: usize = 400;

/// How many characters of what stayed are shown before and behind what changed in a long text.
const CONTEXT: usize = 40;

/// How many changes are told of at most; a definition that was rewritten is one.
const MOST_CHANGES: usize = 100;

/// One place where two definitions differ. The texts are safe to print: hidden characters are spelled out, long
/// values lose their middle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Where, as a JSON pointer, hidden characters spelled out.
    pub pointer: String,
    /// What was there; `None` if nothing was.
    pub before: Option<String>,
    /// What is there now; `None` if nothing is.
    pub after: Option<String>,
}

/// The places where `old` and `new` differ, in the order of `old`, at most a hundred.
///
/// # Errors
/// When one of them is not JSON.
pub fn diff(old: &[u8], new: &[u8]) -> Result<Vec<Change>, Flaw> {
    let (old, new) = (Node::parse(old)?, Node::parse(new)?);
    let mut changes = Vec::new();
    walk("", Some(&old), Some(&new), &mut changes);
    Ok(changes)
}

fn walk(at: &str, old: Option<&Node<'_>>, new: Option<&Node<'_>>, changes: &mut Vec<Change>) {
    if changes.len() >= MOST_CHANGES {
        return;
    }
    match (old, new) {
        (Some(Node::Map(old)), Some(Node::Map(new))) => {
            let (was, is) = (by_key(old), by_key(new));
            for (key, value) in old {
                walk(&below(at, key), Some(value), is.get(&**key).copied(), changes);
            }
            for (key, value) in new.iter().filter(|(key, _)| !was.contains_key(&**key)) {
                walk(&below(at, key), None, Some(value), changes);
            }
        }
        (Some(Node::List(old)), Some(Node::List(new))) if old.len() == new.len() => {
            for (index, (old, new)) in old.iter().zip(new).enumerate() {
                walk(&below(at, &index.to_string()), Some(old), Some(new), changes);
            }
        }
        (old, new) if same(old, new) => {}
        (old, new) => changes.push(change(at, old, new)),
    }
}

fn by_key<'n>(members: &'n [(Cow<'_, str>, Node<'n>)]) -> HashMap<&'n str, &'n Node<'n>> {
    members.iter().map(|(key, value)| (&**key, value)).collect()
}

fn change(at: &str, old: Option<&Node<'_>>, new: Option<&Node<'_>>) -> Change {
    let (before, after) = match (old, new) {
        (Some(Node::Text(old)), Some(Node::Text(new))) => {
            let (old, new) = around_the_change(old, new);
            (Some(format!("\"{old}\"")), Some(format!("\"{new}\"")))
        }
        (old, new) => (old.map(|value| value.json()), new.map(|value| value.json())),
    };
    let shown = |value: String| elided(&value, LONGEST);
    Change { pointer: elided(at, LONGEST), before: before.map(shown), after: after.map(shown) }
}

/// Two long texts without the most of what they have in common at both ends: what changed must not be in the part
/// that is left out.
fn around_the_change(old: &str, new: &str) -> (String, String) {
    if old.len().max(new.len()) <= LONGEST {
        return (old.to_owned(), new.to_owned());
    }
    let (old, new): (Vec<char>, Vec<char>) = (old.chars().collect(), new.chars().collect());
    let same = |pairs: &mut dyn Iterator<Item = (&char, &char)>| pairs.take_while(|(a, b)| a == b).count();
    let head = same(&mut old.iter().zip(&new));
    let tail = same(&mut old[head..].iter().rev().zip(new[head..].iter().rev()));
    let (skip_head, skip_tail) = (head.saturating_sub(CONTEXT), tail.saturating_sub(CONTEXT));
    let cut = |text: &[char]| {
        let middle: String = text[skip_head..text.len() - skip_tail].iter().collect();
        let mark = |count: usize| if count > 0 { format!("[{count} characters as before]") } else { String::new() };
        format!("{}{middle}{}", mark(skip_head), mark(skip_tail))
    };
    (cut(&old), cut(&new))
}

/// Whether two values mean the same, as the hash sees it.
fn same(old: Option<&Node<'_>>, new: Option<&Node<'_>>) -> bool {
    let (Some(old), Some(new)) = (old, new) else { return old.is_none() && new.is_none() };
    old == new
        || super::canonical::canonical(old.json().as_bytes()) == super::canonical::canonical(new.json().as_bytes())
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", if self.pointer.is_empty() { "(all of it)" } else { &self.pointer })?;
        if let Some(before) = &self.before {
            writeln!(f, "  - {before}")?;
        }
        if let Some(after) = &self.after {
            writeln!(f, "  + {after}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn check(old: &str, new: &str, want: &Expect) {
        let changes = diff(old.as_bytes(), new.as_bytes()).expect("JSON");
        want.assert_eq(&changes.iter().map(ToString::to_string).collect::<String>());
    }

    #[test]
    fn a_change_is_shown_where_it_is() {
        check(
            r#"{"name":"a","annotations":{"readOnlyHint":true},"x":[1,2],"gone":{}}"#,
            r#"{"annotations":{"readOnlyHint":false},"name":"a","x":[1,3],"_meta":{"a/b":1}}"#,
            &expect![[r#"
                /annotations/readOnlyHint
                  - true
                  + false
                /x/1
                  - 2
                  + 3
                /gone
                  - {}
                /_meta
                  + {"a/b":1}
            "#]],
        );
    }

    #[test]
    fn what_cannot_be_seen_is_seen() {
        check(
            r#"{"description":"adds"}"#,
            "{\"description\":\"ad\u{200b}ds\\u001b[8m\u{e0049}\"}",
            &expect![[r#"
                /description
                  - "adds"
                  + "ad\u{200b}ds\u{1b}[8m\u{e0049}"
            "#]],
        );
    }

    #[test]
    fn a_change_in_the_middle_of_a_long_text_is_not_left_out() {
        let text = |middle: &str| format!(r#"{{"d":"{}{middle}{}"}}"#, "a".repeat(2000), "b".repeat(2000));
        let changes = diff(text("").as_bytes(), text("send it all").as_bytes()).expect("JSON");
        let after = changes[0].after.as_deref().expect("a text");
        assert!(after.contains("aasend it allbb") && after.contains("[1960 characters as before]"), "{after}");
    }

    #[test]
    fn another_order_and_another_spelling_are_no_change() {
        check(r#"{"a":1,"b":[1.0]}"#, r#"{"b":[1],"a":1}"#, &expect![""]);
    }
}
