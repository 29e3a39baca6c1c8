//! Which arguments a standing grant is for.

use crate::policy::matches;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// Which arguments a standing grant is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ArgPattern {
    /// Any.
    Any,
    /// Exactly those of this digest (SHA-256 of the canonical arguments, hex).
    Exact(String),
    /// Those in which each of these is there and fits: a JSON pointer or a top-level key, and a pattern with `*`
    /// and `?` for its text (or its JSON, if it is no text). Arguments not named here may be anything.
    Where(BTreeMap<String, String>),
}

impl ArgPattern {
    /// Whether these arguments fit. Arguments that cannot be read fit nothing but [`ArgPattern::Any`].
    pub fn fits(&self, arguments: &[u8], digest: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(expected) => expected == digest,
            Self::Where(wanted) => {
                let Ok(found) = serde_json::from_slice::<Value>(arguments) else { return false };
                wanted.iter().all(|(key, pattern)| fits_at(&found, key, pattern))
            }
        }
    }
}

fn fits_at(arguments: &Value, key: &str, pattern: &str) -> bool {
    let found = if key.starts_with('/') { arguments.pointer(key) } else { arguments.get(key) };
    match found {
        Some(Value::String(text)) => matches(pattern, text),
        Some(other) => matches(pattern, &other.to_string()),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: ArgPattern, arguments: &str, fits: bool) {
        assert_eq!(pattern.fits(arguments.as_bytes(), "d"), fits, "{pattern:?} {arguments}");
    }

    #[test]
    fn a_pattern_fits_what_it_names_and_nothing_that_cannot_be_read() {
        let on = |pairs: &[(&str, &str)]| {
            ArgPattern::Where(pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect())
        };
        check(ArgPattern::Any, "", true);
        check(ArgPattern::Exact("d".into()), "", true);
        check(ArgPattern::Exact("e".into()), "", false);
        check(on(&[("path", "/tmp/*")]), r#"{"path":"/tmp/x","more":1}"#, true);
        check(on(&[("path", "/tmp/*")]), r#"{"path":"/etc/x"}"#, false);
        check(on(&[("path", "*")]), "{}", false);
        check(on(&[("/a/n", "1")]), r#"{"a":{"n":1}}"#, true);
        check(on(&[("a", "*")]), "not json", false);
    }
}
