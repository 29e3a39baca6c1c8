//! What was agreed to: one pin per tool, by server. How the file is written down is `lock_text`'s, where it lies the
//! store's.

use super::hash::DefinitionHash;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// What calling a tool can do, as policy saw it when the tool was pinned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PinClass {
    /// It only reads.
    Read,
    /// It changes something.
    Write,
    /// It changes what cannot be undone, or spends, or sends.
    HighImpact,
    /// Nobody said.
    #[default]
    Unknown,
}

impl PinClass {
    /// The word in the file.
    pub fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::HighImpact => "high_impact",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for PinClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// One tool as it was agreed to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pin {
    /// Its whole definition.
    pub hash: DefinitionHash,
    /// What calling it can do.
    #[serde(default)]
    pub class: PinClass,
    /// Its name on the face that shows everything.
    #[serde(default)]
    pub exposed: Box<str>,
    /// When it was pinned: RFC 3339, UTC.
    #[serde(default)]
    pub since: Box<str>,
}

/// What a server said it is, when its tools were last pinned.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Version {
    /// `serverInfo.name`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Box<str>>,
    /// `serverInfo.version`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Box<str>>,
    /// The protocol revision both sides spoke.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<Box<str>>,
    /// `version` of the server's entry in the configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configured: Option<Box<str>>,
}

impl Version {
    /// What of `now` differs, as `what: before -> after`; a part that is not known on one side does not differ.
    pub fn changes(&self, now: &Version) -> Vec<String> {
        let parts = [
            ("name", &self.name, &now.name),
            ("version", &self.version, &now.version),
            ("protocol", &self.protocol, &now.protocol),
            ("configured version", &self.configured, &now.configured),
        ];
        let differing = parts.into_iter().filter_map(|(what, was, is)| Some((what, was.as_ref()?, is.as_ref()?)));
        differing
            .filter(|(_, was, is)| was != is)
            .map(|(what, was, is)| format!("{what}: {} -> {}", super::elided(was, 80), super::elided(is, 80)))
            .collect()
    }
}

/// All that is pinned of one server.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ServerPin {
    /// What the server said it is.
    pub seen: Version,
    /// Its tools by their raw names.
    pub tools: BTreeMap<Box<str>, Pin>,
}

/// All pins, by the configured name of the server.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Lock {
    /// The servers.
    pub servers: BTreeMap<Box<str>, ServerPin>,
}

impl Lock {
    /// The pin of one tool.
    pub fn pin(&self, server: &str, tool: &str) -> Option<&Pin> {
        self.servers.get(server)?.tools.get(tool)
    }

    /// Pins one tool, in place of what was pinned of it.
    pub fn set(&mut self, server: &str, tool: &str, pin: Pin) {
        self.servers.entry(server.into()).or_default().tools.insert(tool.into(), pin);
    }

    /// Pins one tool unless it is pinned already; `false` if it was. For the first use of a tool, where another
    /// process may have been first: what it pinned stands.
    pub fn add(&mut self, server: &str, tool: &str, pin: Pin) -> bool {
        let tools = &mut self.servers.entry(server.into()).or_default().tools;
        let new = !tools.contains_key(tool);
        if new {
            tools.insert(tool.into(), pin);
        }
        new
    }

    /// Notes what a server says it is; parts it does not say stay. Returns what differs from before.
    pub fn saw(&mut self, server: &str, now: &Version) -> Vec<String> {
        let seen = &mut self.servers.entry(server.into()).or_default().seen;
        let changes = seen.changes(now);
        let keep = |slot: &mut Option<Box<str>>, now: &Option<Box<str>>| {
            if now.is_some() {
                slot.clone_from(now);
            }
        };
        keep(&mut seen.name, &now.name);
        keep(&mut seen.version, &now.version);
        keep(&mut seen.protocol, &now.protocol);
        keep(&mut seen.configured, &now.configured);
        changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pin(definition: &str) -> Pin {
        Pin {
            hash: DefinitionHash::of(definition.as_bytes()).expect("JSON"),
            class: PinClass::Read,
            exposed: "s__t".into(),
            since: "2026-01-02T03:04:05Z".into(),
        }
    }

    #[test]
    fn who_pinned_first_stands_until_somebody_approves() {
        let mut lock = Lock::default();
        assert!(lock.add("s", "t", pin("1")));
        assert!(!lock.add("s", "t", pin("2")));
        assert_eq!(lock.pin("s", "t"), Some(&pin("1")));
        lock.set("s", "t", pin("2"));
        assert_eq!(lock.pin("s", "t"), Some(&pin("2")));
        assert_eq!((lock.pin("s", "u"), lock.pin("r", "t")), (None, None));
    }

    #[test]
    fn a_new_version_is_told_once() {
        let mut lock = Lock::default();
        let version = |version: &str| Version { version: Some(version.into()), ..Version::default() };
        assert_eq!(lock.saw("s", &version("1")), Vec::<String>::new());
        assert_eq!(
            lock.saw("s", &Version { protocol: Some("2025-11-25".into()), ..version("2") }),
            ["version: 1 -> 2"]
        );
        assert_eq!(lock.saw("s", &version("2")), Vec::<String>::new());
        assert_eq!(lock.servers["s"].seen.protocol.as_deref(), Some("2025-11-25"), "what is not said again stays");
    }
}
