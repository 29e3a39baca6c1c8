//! `toolgate.lock` as text: TOML that a person reviews, always written in the same order.

use super::lock::{Lock, Pin, ServerPin, Version};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt::Write;
use thiserror::Error;

/// The format that this program reads and writes.
const FORMAT: u32 = 1;

/// What stands above everything else in the file.
const HEADER: &str = "\
# Written by toolgate: what each tool of each server said of itself when it was agreed to.
# A tool that says something else is held back until `toolgate mcp approve SERVER TOOL` agrees to that.
# Keep this file under version control and review its changes; do not write hashes by hand.
";

/// Why a text is no lock. Nothing is pinned and nothing runs on a file that says something unknown.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("line {line}, column {column}: {what}")]
pub struct LockFlaw {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// What is wrong there.
    pub what: String,
}

impl LockFlaw {
    /// What to do about it.
    pub const HINT: &'static str =
        "take the last good `toolgate.lock` from version control, or delete it and run `toolgate mcp lock`";
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: toml::Spanned<u32>,
    #[serde(default)]
    servers: BTreeMap<Box<str>, Server>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Server {
    #[serde(default)]
    seen: Version,
    #[serde(default)]
    tools: BTreeMap<Box<str>, Pin>,
}

impl Lock {
    /// Reads the text of a lock file. An empty text is an empty lock.
    ///
    /// # Errors
    /// Where it is no TOML, holds a key nobody knows, or was written by a newer toolgate.
    pub fn parse(text: &str) -> Result<Self, LockFlaw> {
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        let file: File = toml::from_str(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            flaw(text, at, error.message().replace('\n', " "))
        })?;
        if *file.format.get_ref() != FORMAT {
            let what = format!("format {} is not known to this toolgate, which knows {FORMAT}", file.format.get_ref());
            return Err(flaw(text, file.format.span().start, what));
        }
        let servers = file.servers.into_iter();
        let servers = servers.map(|(name, server)| (name, ServerPin { seen: server.seen, tools: server.tools }));
        Ok(Self { servers: servers.collect() })
    }

    /// The text of the lock file: sorted, one table per tool, so that a changed tool is a changed table.
    pub fn to_text(&self) -> String {
        let mut text = format!("{HEADER}\nformat = {FORMAT}\n");
        for (name, server) in &self.servers {
            let _ = write!(text, "\n[servers.{}]\n", key(name));
            let seen = server.seen.parts();
            if !seen.is_empty() {
                let parts: Vec<_> = seen.iter().map(|(what, value)| format!("{what} = {}", quoted(value))).collect();
                let _ = writeln!(text, "seen = {{ {} }}", parts.join(", "));
            }
            for (tool, pin) in &server.tools {
                let _ = write!(
                    text,
                    "\n[servers.{}.tools.{}]\nhash = \"{}\"\nclass = \"{}\"\nexposed = {}\nsince = {}\n",
                    key(name),
                    key(tool),
                    pin.hash,
                    pin.class,
                    quoted(&pin.exposed),
                    quoted(&pin.since),
                );
            }
        }
        text
    }
}

impl Version {
    fn parts(&self) -> Vec<(&'static str, &str)> {
        let all = [
            ("name", &self.name),
            ("version", &self.version),
            ("protocol", &self.protocol),
            ("configured", &self.configured),
        ];
        all.into_iter().filter_map(|(what, value)| Some((what, value.as_deref()?))).collect()
    }
}

fn flaw(text: &str, at: usize, what: String) -> LockFlaw {
    let before = &text[..text.floor_char_boundary(at)];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    LockFlaw { line, column, what }
}

fn key(name: &str) -> String {
    let bare = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    if bare { name.to_owned() } else { quoted(name) }
}

/// A TOML basic string in which nothing hides: whoever reviews the file sees what is there.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() || super::hidden(c) => {
                let _ = write!(out, "\\U{:08X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::super::{DefinitionHash, PinClass};
    use super::*;
    use expect_test::{Expect, expect};

    fn pin(definition: &str, exposed: &str) -> Pin {
        let hash = DefinitionHash::of(definition.as_bytes()).expect("JSON");
        Pin { hash, class: PinClass::HighImpact, exposed: exposed.into(), since: "2026-01-02T03:04:05Z".into() }
    }

    #[test]
    fn the_file_is_read_as_it_was_written() {
        let mut lock = Lock::default();
        lock.set("b", "z", pin("1", "b__z"));
        lock.set("b", "a.b \"\u{200b}\n", pin("2", "b__a.b"));
        lock.set("a.x", "t", pin("3", "t"));
        lock.saw("b", &Version { name: Some("n".into()), version: Some("1.0".into()), ..Version::default() });
        let text = lock.to_text();
        expect![[r#"
            # Written by toolgate: what each tool of each server said of itself when it was agreed to.
            # A tool that says something else is held back until `toolgate mcp approve SERVER TOOL` agrees to that.
            # Keep this file under version control and review its changes; do not write hashes by hand.

            format = 1

            [servers."a.x"]

            [servers."a.x".tools.t]
            hash = "sha256:4e07408562bedb8b60ce05c1decfe3ad16b72230967de01f640b7e4729b49fce"
            class = "high_impact"
            exposed = "t"
            since = "2026-01-02T03:04:05Z"

            [servers.b]
            seen = { name = "n", version = "1.0" }

            [servers.b.tools."a.b \"\U0000200B\U0000000A"]
            hash = "sha256:d4735e3a265e16eee03f59718b9b5d03019c07d8b6c51f90da3a666eec13ab35"
            class = "high_impact"
            exposed = "b__a.b"
            since = "2026-01-02T03:04:05Z"

            [servers.b.tools.z]
            hash = "sha256:6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b"
            class = "high_impact"
            exposed = "b__z"
            since = "2026-01-02T03:04:05Z"
        "#]]
        .assert_eq(&text);
        assert_eq!(Lock::parse(&text), Ok(lock));
        assert_eq!(Lock::parse(""), Ok(Lock::default()));
    }

    fn check(text: &str, want: &Expect) {
        want.assert_eq(&Lock::parse(text).expect_err("flawed").to_string());
    }

    #[test]
    fn a_flaw_says_where_it_is() {
        check("format = 2\n", &expect!["line 1, column 10: format 2 is not known to this toolgate, which knows 1"]);
        check(
            "format = 1\n[servers.a]\nmood = 1\n",
            &expect!["line 3, column 1: unknown field `mood`, expected `seen` or `tools`"],
        );
        check(
            "format = 1\n[servers.a.tools.t]\nhash = \"sha256:00\"\n",
            &expect!["line 3, column 8: not `sha256:` and 64 lower-case hex digits"],
        );
        check(
            "format = 1\n[servers.a.tools.t]\nclass = \"read\"\n",
            &expect!["line 2, column 1: missing field `hash`"],
        );
        check("<<<<<<< HEAD\n", &expect!["line 1, column 9: key with no value, expected `=`"]);
    }
}
