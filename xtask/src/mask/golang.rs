//! gitleaks' own examples, read from its rule generators: as much of Go as they are written in.

use super::random::Random;
use std::collections::HashMap;

/// One example.
pub struct Example {
    /// The rule's id.
    pub rule: String,
    /// The text.
    pub text: String,
    /// Whether the rule must find something in it.
    pub positive: bool,
    /// What was generated into it, if anything was.
    pub secret: Option<String>,
}

/// A value of the little that is understood.
#[derive(Clone, Debug)]
enum Value {
    Text(String, Option<String>),
    List(Vec<Value>),
}

/// The examples of one file, and how many expressions were not understood.
pub fn examples(source: &str, random: &mut Random) -> (Vec<Example>, usize) {
    let mut reader = Reader { tokens: tokens(source), at: 0, names: HashMap::new(), random, skipped: 0 };
    let mut examples = Vec::new();
    let mut rule = String::new();
    while reader.at < reader.tokens.len() {
        if reader.is("func") {
            reader.names.retain(|name, _| name.starts_with("top "));
        }
        if reader.is("RuleID") && reader.peek(1) == ":" {
            reader.at += 2;
            rule = reader.peek(0).trim_matches('"').to_owned();
        } else if let Some((name, value)) = reader.assignment() {
            reader.names.insert(name, value);
            continue;
        } else if reader.is("return") && reader.peek(1) == "utils" {
            for (name, positive) in [("tps", true), ("fps", false)] {
                let texts = reader.names.remove(name).map(flat).unwrap_or_default();
                let named =
                    texts.into_iter().map(|(text, secret)| Example { rule: rule.clone(), text, positive, secret });
                examples.extend(named);
            }
        }
        reader.at += 1;
    }
    (examples, reader.skipped)
}

fn flat(value: Value) -> Vec<(String, Option<String>)> {
    match value {
        Value::Text(text, secret) => vec![(text, secret)],
        Value::List(values) => values.into_iter().flat_map(flat).collect(),
    }
}

/// Go's tokens: names, strings with their quotes, single signs. No comments.
fn tokens(source: &str) -> Vec<String> {
    let bytes = source.as_bytes();
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let start = at;
        match bytes[at] {
            b'/' if bytes.get(at + 1) == Some(&b'/') => at += source[at..].find('\n').unwrap_or(bytes.len() - at),
            b'/' if bytes.get(at + 1) == Some(&b'*') => {
                at += source[at..].find("*/").unwrap_or(bytes.len() - at - 2) + 2
            }
            b'`' => {
                at += 2 + source[at + 1..].find('`').unwrap_or(0);
                tokens.push(source[start..at].to_owned());
            }
            b'"' => {
                at += 1;
                while bytes[at] != b'"' {
                    at += if bytes[at] == b'\\' { 2 } else { 1 };
                }
                at += 1;
                tokens.push(source[start..at].to_owned());
            }
            byte if byte.is_ascii_alphanumeric() || byte == b'_' => {
                at += source[at..].bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_').count();
                tokens.push(source[start..at].to_owned());
            }
            b' ' | b'\t' | b'\r' | b'\n' => at += 1,
            _ => {
                at += source[at..].chars().next().map_or(1, char::len_utf8);
                tokens.push(source[start..at].to_owned());
            }
        }
    }
    tokens
}

struct Reader<'a> {
    tokens: Vec<String>,
    at: usize,
    names: HashMap<String, Value>,
    random: &'a mut Random,
    skipped: usize,
}

impl Reader<'_> {
    fn peek(&self, ahead: usize) -> &str {
        self.tokens.get(self.at + ahead).map_or("", String::as_str)
    }

    fn is(&self, word: &str) -> bool {
        self.peek(0) == word
    }

    fn takes(&mut self, word: &str) -> bool {
        let is = self.is(word);
        self.at += usize::from(is);
        is
    }

    /// `name := value` or `name = value`.
    fn assignment(&mut self) -> Option<(String, Value)> {
        let name = self.peek(0).to_owned();
        let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        let signs = match (self.peek(1), self.peek(2)) {
            (":", "=") => 3,
            ("=", next) if next != "=" => 2,
            _ => return None,
        };
        let start = self.at;
        self.at += signs;
        let value = if is_name { self.expression() } else { None };
        match value {
            Some(value) => Some((name, value)),
            None => {
                self.at = start;
                None
            }
        }
    }

    fn expression(&mut self) -> Option<Value> {
        let mut value = self.term()?;
        while self.takes("+") {
            value = match (value, self.term()?) {
                (Value::Text(a, first), Value::Text(b, second)) => {
                    let secret = match (first, second) {
                        (Some(a), Some(b)) if a.len() < b.len() => Some(b),
                        (first, second) => first.or(second),
                    };
                    Value::Text(a + &b, secret)
                }
                _ => return None,
            };
        }
        Some(value)
    }

    fn term(&mut self) -> Option<Value> {
        let token = self.peek(0).to_owned();
        if let Some(text) = literal(&token) {
            self.at += 1;
            return Some(Value::Text(text, None));
        }
        match token.as_str() {
            "[" if self.peek(1) == "]" && self.peek(2) == "string" => {
                self.at += 3;
                self.list("{", "}")
            }
            "map" => {
                self.at += 5;
                self.list("{", "}")
            }
            "append" => {
                self.at += 1;
                self.list("(", ")")
            }
            "utils" | "secrets" | "fmt" | "strings" if self.peek(1) == "." => self.call(),
            name => {
                let value = self.names.get(name).cloned();
                self.at += usize::from(value.is_some());
                value
            }
        }
    }

    /// Elements in brackets; of `key: value` the value, and `...` says nothing.
    fn list(&mut self, open: &str, close: &str) -> Option<Value> {
        if !self.takes(open) {
            return None;
        }
        let mut values = Vec::new();
        while !self.takes(close) {
            let start = self.at;
            match self.expression() {
                Some(_) if self.takes(":") => continue,
                Some(value) => values.push(value),
                None => self.skip(start, close),
            }
            while self.takes(".") || self.takes(",") {}
            if self.at >= self.tokens.len() {
                return None;
            }
        }
        Some(Value::List(values))
    }

    /// Past an element that is not understood.
    fn skip(&mut self, start: usize, close: &str) {
        self.skipped += 1;
        self.at = start;
        let mut depth = 0;
        while self.at < self.tokens.len() {
            match self.peek(0) {
                "(" | "{" | "[" => depth += 1,
                sign if depth == 0 && (sign == "," || sign == close) => return,
                ")" | "}" | "]" => depth -= 1,
                _ => {}
            }
            self.at += 1;
        }
    }

    fn call(&mut self) -> Option<Value> {
        let name = self.peek(2).to_owned();
        self.at += 3;
        let Value::List(arguments) = self.list("(", ")")? else { return None };
        let texts: Vec<(String, Option<String>)> = arguments.into_iter().flat_map(flat).collect();
        let first = texts.first().map_or("", |(text, _)| text.as_str());
        let class = |class: &str| Some(Value::Text(format!("{class}{{{first}}}"), None));
        match name.as_str() {
            "Numeric" => class("[0-9]"),
            "Hex" => class("[a-f0-9]"),
            "AlphaNumeric" => class("[a-z0-9]"),
            "AlphaNumericExtendedShort" => class("[a-z0-9_-]"),
            "AlphaNumericExtended" => class(r"[a-z0-9=_\-]"),
            "AlphaNumericExtendedLong" => class(r"[a-z0-9\/=_\+\-]"),
            "Hex8_4_4_4_12" => {
                let pattern = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}";
                Some(Value::Text(pattern.to_owned(), None))
            }
            "NewSecret" => {
                let secret = self.random.text(first)?;
                Some(Value::Text(secret.clone(), Some(secret)))
            }
            "GenerateSampleSecret" => {
                let (secret, _) = texts.get(1)?;
                Some(Value::Text(format!("{first}_api_token = \"{secret}\""), Some(secret.clone())))
            }
            "GenerateSampleSecrets" => Some(samples(first, &texts.get(1)?.0)),
            "Sprintf" => {
                let filled = texts[1..].iter().fold(first.to_owned(), |text, (value, _)| text.replacen("%s", value, 1));
                Some(Value::Text(filled, texts[1..].iter().find_map(|(_, secret)| secret.clone())))
            }
            _ => None,
        }
    }
}

fn literal(token: &str) -> Option<String> {
    if let Some(raw) = token.strip_prefix('`') {
        return raw.strip_suffix('`').map(str::to_owned);
    }
    token.starts_with('"').then(|| serde_json::from_str(&token.replace("\\x60", "`")).ok()).flatten()
}

/// gitleaks' carriers for a secret under a name.
const CARRIERS: [&str; 25] = [
    "{i}Token=\"{s}\"",
    "{i}Token = \"{s}\"",
    "{i}Token={s}",
    "{i}Token = {s}",
    "{\n    \"{i}_token\": \"{s}\"\n}",
    "{\"config.ini\": \"{I}_TOKEN={s}\\nBACKUP_ENABLED=true\"}",
    "<{i}Token>\n    {s}\n</{i}Token>",
    "{i}_token: {s}",
    "{i}_token: '{s}'",
    "{i}_token: \"{s}\"",
    "string {i}Token = \"{s}\";",
    "var {i}Token string = \"{s}\"",
    "{i}Token := \"{s}\"",
    "{i}Token := `{s}`",
    "String {i}Token = \"{s}\";",
    "var {i}Token = \"{s}\"",
    "${i}Token .= \"{s}\"",
    "{i}Token = '{s}'",
    "System.setProperty(\"{I}_TOKEN\", \"{s}\")",
    "  \"{i}Token\" => \"{s}\"",
    "{i}_TOKEN = \"{s}\"",
    "{i}_TOKEN := \"{s}\"",
    "{i}_TOKEN ::= \"{s}\"",
    "{i}_TOKEN :::= \"{s}\"",
    "{i}_TOKEN ?= \"{s}\"",
];

fn samples(name: &str, secret: &str) -> Value {
    let fill = |carrier: &str| carrier.replace("{i}", name).replace("{I}", &name.to_uppercase()).replace("{s}", secret);
    let carriers = CARRIERS.iter();
    Value::List(carriers.map(|carrier| Value::Text(fill(carrier), Some(secret.to_owned()))).collect())
}
