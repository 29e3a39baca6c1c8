//! The arguments of a call, taken one by one. Whatever is not understood is refused by name: a parameter that is
//! silently ignored is a request that was silently changed. Not here: any parameter.

use serde_json::{Map, Value};

/// What is wrong with the arguments, for the model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Misasked(pub String);

impl Misasked {
    /// In these words.
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}

/// The arguments that were not looked at yet.
pub(crate) struct Given(Map<String, Value>);

impl Given {
    /// Reads a JSON object, or nothing.
    pub fn read(arguments: &[u8]) -> Result<Self, Misasked> {
        if arguments.iter().all(u8::is_ascii_whitespace) {
            return Ok(Self(Map::new()));
        }
        let text = std::str::from_utf8(arguments).map_err(|_| Misasked::new("the arguments are not valid UTF-8"))?;
        let wrong = |why: String| Misasked(format!("the arguments cannot be read: {why}"));
        // Of a parameter that is given twice one would win, and nobody could say which.
        mcp::view::members(text).map_err(|flaw| wrong(flaw.to_string()))?;
        serde_json::from_str(text).map(Self).map_err(|error| wrong(error.to_string()))
    }

    /// What is given under a name; null is as good as nothing.
    pub fn take(&mut self, name: &str) -> Option<Value> {
        self.0.remove(name).filter(|value| !value.is_null())
    }

    /// A string.
    pub fn string(&mut self, name: &str) -> Result<Option<String>, Misasked> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) if text.contains('\0') => {
                Err(Misasked(format!("`{name}` contains a NUL character")))
            }
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(Misasked(format!("`{name}` is not a string"))),
        }
    }

    /// A string that says something.
    pub fn text(&mut self, name: &str) -> Result<Option<String>, Misasked> {
        match self.string(name)? {
            Some(text) if text.trim().is_empty() => Err(Misasked(format!("`{name}` is empty"))),
            text => Ok(text),
        }
    }

    /// A string that says something and has to be there.
    pub fn needed(&mut self, name: &str) -> Result<String, Misasked> {
        self.text(name)?.ok_or_else(|| Misasked(format!("`{name}` is missing")))
    }

    /// One of two names of the same thing.
    pub fn either(&mut self, name: &str, old: &str) -> Result<Option<String>, Misasked> {
        match (self.text(name)?, self.text(old)?) {
            (Some(_), Some(_)) => Err(Misasked(format!("`{name}` and `{old}` mean the same: give one of them"))),
            (new, old) => Ok(new.or(old)),
        }
    }

    /// A whole number that is not negative.
    pub fn number(&mut self, name: &str) -> Result<Option<u64>, Misasked> {
        let number = |value: Value| {
            value.as_u64().ok_or_else(|| Misasked(format!("`{name}` is not a whole number, or it is negative")))
        };
        self.take(name).map(number).transpose()
    }

    /// Yes or no; no if it is not there.
    pub fn flag(&mut self, name: &str) -> Result<bool, Misasked> {
        match self.take(name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(flag),
            Some(_) => Err(Misasked(format!("`{name}` is not a boolean"))),
        }
    }

    /// One of these words.
    pub fn one_of(&mut self, name: &str, words: &[&str]) -> Result<Option<String>, Misasked> {
        match self.string(name)? {
            Some(word) if !words.contains(&word.as_str()) => {
                Err(Misasked(format!("`{name}` is `{word}`; it can be `{}`", words.join("`, `"))))
            }
            word => Ok(word),
        }
    }

    /// Nothing else was given; `known` is what could have been.
    pub fn nothing_left(self, known: &[&str]) -> Result<(), Misasked> {
        let Some(name) = self.0.keys().next() else { return Ok(()) };
        let known =
            if known.is_empty() { "there are none".to_owned() } else { format!("known: `{}`", known.join("`, `")) };
        Err(Misasked(format!("unknown parameter `{name}` ({known})")))
    }
}
