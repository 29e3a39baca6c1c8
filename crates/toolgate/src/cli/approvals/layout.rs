//! Arguments as a person reads them before saying yes: one member per line, nothing hidden, nothing out of sight.
//!
//! The text is laid out as it was written and never parsed into something else: of a key that stands there twice a
//! reader would show one, and a server may take the other.

use serde::de::IgnoredAny;

use crate::cli::person::is_hidden;

/// Longer runs of spaces would push what follows out of sight.
const MOST_SPACES: usize = 8;

/// Arguments, laid out.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Laid {
    /// The text, without a last newline.
    pub text: String,
    /// How many characters that show as nothing were written out.
    pub hidden: usize,
    /// How many spaces were left out.
    pub spaces: usize,
}

impl Laid {
    /// Lays out JSON text, or whatever else it is.
    pub fn out(json: &str) -> Self {
        let (mut laid, mut depth, mut quoted, mut escaped) = (Self::default(), 0_usize, false, false);
        let mut chars = json.trim().chars().peekable();
        // Arguments that were cut are no JSON any more, and where their texts begin cannot be told.
        let plain = serde_json::from_str::<IgnoredAny>(json).is_err();
        while let Some(c) = chars.next() {
            if plain {
                laid.push(c, &mut chars);
                continue;
            }
            if quoted {
                quoted = c != '"' || escaped;
                escaped = c == '\\' && !escaped;
                laid.push(c, &mut chars);
                continue;
            }
            match c {
                '"' => {
                    quoted = true;
                    laid.text.push(c);
                }
                '{' | '[' => {
                    depth += 1;
                    laid.text.push(c);
                    while chars.next_if(|next| matches!(next, ' ' | '\n' | '\r' | '\t')).is_some() {}
                    match chars.next_if(|next| matches!(next, '}' | ']')) {
                        Some(end) => {
                            depth -= 1;
                            laid.text.push(end);
                        }
                        None => laid.line(depth),
                    }
                }
                '}' | ']' => {
                    depth = depth.saturating_sub(1);
                    laid.line(depth);
                    laid.text.push(c);
                }
                ',' => {
                    laid.text.push(c);
                    laid.line(depth);
                }
                ':' => laid.text.push_str(": "),
                ' ' | '\n' | '\r' | '\t' => {}
                other => laid.push(other, &mut chars),
            }
        }
        laid
    }

    fn line(&mut self, depth: usize) {
        self.text.push('\n');
        // Deeper than this, depth says nothing to a reader any more.
        self.text.push_str(&"  ".repeat(depth.min(40)));
    }

    fn push(&mut self, c: char, rest: &mut std::iter::Peekable<std::str::Chars<'_>>) {
        if is_hidden(c) {
            self.hidden += 1;
            self.text.push_str(&format!("\\u{{{:x}}}", u32::from(c)));
            return;
        }
        if c != ' ' {
            self.text.push(c);
            return;
        }
        let mut run = 1;
        while rest.next_if_eq(&' ').is_some() {
            run += 1;
        }
        if run > MOST_SPACES {
            self.spaces += run;
            self.text.push_str(&format!("⟨{run} spaces⟩"));
        } else {
            self.text.push_str(&" ".repeat(run));
        }
    }

    /// What was done to the text, if anything.
    pub fn remark(&self) -> Option<String> {
        let hidden = (self.hidden > 0).then(|| format!("{} hidden characters are written as \\u{{…}}", self.hidden));
        let spaces = (self.spaces > 0).then(|| format!("{} spaces in long runs are left out", self.spaces));
        let remarks: Vec<String> = hidden.into_iter().chain(spaces).collect();
        (!remarks.is_empty()).then(|| remarks.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str, text: &str, hidden: usize, spaces: usize) {
        assert_eq!(Laid::out(json), Laid { text: text.to_owned(), hidden, spaces }, "{json}");
    }

    #[test]
    fn every_member_has_a_line_and_nothing_is_lost() {
        check(
            r#"{"a":1,"a": [true ,{}, []],"b":"x,{\"y\":1}"}"#,
            "{\n  \"a\": 1,\n  \"a\": [\n    true,\n    {},\n    []\n  ],\n  \"b\": \"x,{\\\"y\\\":1}\"\n}",
            0,
            0,
        );
        check("{ }", "{}", 0, 0);
        check("{\"a\": \"x … y\": 1", "{\"a\": \"x … y\": 1", 0, 0);
        check("", "", 0, 0);
        check("}]", "}]", 0, 0);
    }

    #[test]
    fn nothing_hides_in_a_text() {
        check("{\"a\":\"x\u{202e}y\u{200b}\"}", "{\n  \"a\": \"x\\u{202e}y\\u{200b}\"\n}", 2, 0);
        let long = format!(r#"{{"a":"rm{}-rf"}}"#, " ".repeat(400));
        check(&long, "{\n  \"a\": \"rm⟨400 spaces⟩-rf\"\n}", 0, 400);
        check(r#"["\u202e\\"]"#, "[\n  \"\\u202e\\\\\"\n]", 0, 0);
        assert_eq!(Laid::out(&long).remark().as_deref(), Some("400 spaces in long runs are left out"));
        assert_eq!(Laid::out("[]").remark(), None);
    }
}
