//! What is looked for, and where: the words of `[data]`. What a file may say is decided elsewhere.

use super::national::NationalId;
use super::rules::{self, Class};
use crate::words::ServerName;
use regex::bytes::{Regex, RegexBuilder};
use std::collections::HashMap;

/// How much is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Detect {
    /// Only values that toolgate itself holds. Those never pass, whatever is configured.
    Off,
    /// Besides these, what the operator's own patterns describe.
    Known,
    /// Besides these, everything that looks like a secret or a person's number.
    #[default]
    All,
}

/// What holds for the words of one server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DataRules {
    /// How much is looked for.
    pub detect: Detect,
    /// Classes that may pass, by name or with `*` for any part of one (`slack-*`). `registered` never passes.
    pub allow: Vec<String>,
    /// Whether what is found gets a handle that can be put back for the same server, instead of a mask.
    pub handles: bool,
}

/// One more class, in the operator's own words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomPattern {
    /// What its masks and counts are called.
    pub name: String,
    /// A regular expression over bytes (classes are ASCII). The first group is what is masked, without one all of it.
    pub pattern: String,
}

/// Everything that can be chosen about masking.
#[derive(Debug, Clone, Default)]
pub struct MaskOptions {
    /// For servers not named, and for our own lines.
    pub default: DataRules,
    /// For these servers.
    pub servers: HashMap<ServerName, DataRules>,
    /// More classes.
    pub custom: Vec<CustomPattern>,
    /// National numbers to look for besides the US one.
    pub national_ids: Vec<NationalId>,
    /// What handles are made with: random, new in each process, never written down. Without it there are none.
    pub handle_key: Option<[u8; 32]>,
}

/// A pattern of the operator that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("pattern {name:?} does not compile: {why}")]
pub struct BadPattern {
    /// Its name.
    pub name: String,
    /// What is wrong with it.
    pub why: String,
}

/// [`DataRules`] with every name looked up.
#[derive(Debug)]
pub(super) struct Judge {
    pub detect: Detect,
    pub handles: bool,
    passes: Vec<bool>,
}

impl Judge {
    pub fn new(rules: &DataRules, custom: &[Custom]) -> Self {
        let passes = |name: &str| rules.allow.iter().any(|glob| fits(glob, name));
        let custom = custom.iter().map(|custom| passes(&custom.name));
        let passes = rules::names().map(passes).chain(custom).collect();
        Self { detect: rules.detect, handles: rules.handles, passes }
    }

    /// Whether findings of this class are left as they are.
    pub fn passes(&self, class: Class) -> bool {
        class != rules::REGISTERED && self.passes.get(usize::from(class)).is_some_and(|passes| *passes)
    }
}

/// A [`CustomPattern`], compiled.
#[derive(Debug)]
pub(super) struct Custom {
    pub name: String,
    pub regex: Regex,
}

impl Custom {
    pub fn new(custom: &CustomPattern) -> Result<Self, BadPattern> {
        match RegexBuilder::new(&custom.pattern).unicode(false).size_limit(1 << 20).build() {
            Ok(regex) => Ok(Self { name: custom.name.clone(), regex }),
            Err(error) => Err(BadPattern { name: custom.name.clone(), why: error.to_string() }),
        }
    }
}

/// Whether `name` is what `glob` says, `*` standing for any characters.
fn fits(glob: &str, name: &str) -> bool {
    let mut parts = glob.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_characters() {
        for (glob, name) in
            [("email", "email"), ("slack-*", "slack-bot-token"), ("*", "x"), ("*-*-token", "slack-bot-token")]
        {
            assert!(fits(glob, name), "{glob} {name}");
        }
        for (glob, name) in [("email", "emails"), ("slack-*", "email"), ("", "x"), ("a*b*c", "acb")] {
            assert!(!fits(glob, name), "{glob} {name}");
        }
    }

    #[test]
    fn a_bad_pattern_is_named() {
        let error = Custom::new(&CustomPattern { name: "ours".into(), pattern: "(".into() }).expect_err("bad");
        assert_eq!(error.name, "ours");
    }
}
