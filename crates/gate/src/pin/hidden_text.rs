//! Text that people do not see and models read.

use super::finding::Finding;
use super::finding::Severity::{Note, Quarantine};
use super::visible::hidden;

/// Whether some of `text` is hidden, one finding for each way of hiding.
pub(super) fn hidden_in(pointer: &str, text: &str) -> Vec<Finding> {
    if text.bytes().all(|byte| matches!(byte, b'\n' | b'\r' | b'\t' | 0x20..=0x7e)) {
        return Vec::new();
    }
    let mut findings: Vec<Finding> = Vec::new();
    let characters: Vec<char> = text.chars().collect();
    for (at, c) in characters.iter().enumerate().filter(|(_, c)| hidden(**c)) {
        let before = at.checked_sub(1).map(|at| characters[at]);
        let after = characters.get(at + 1).copied();
        let Some((rule, severity)) = judge(*c, before, after) else { continue };
        if !findings.iter().any(|finding| finding.rule == rule) {
            let around: String = characters[at.saturating_sub(20)..(at + 40).min(characters.len())].iter().collect();
            findings.push(Finding::new(rule, severity, pointer, &around));
        }
    }
    findings
}

type Judgement = (&'static str, super::Severity);

/// What a hidden character is used for; `None` where its script or an emoji needs it.
fn judge(c: char, before: Option<char>, after: Option<char>) -> Option<Judgement> {
    Some(match c {
        '\u{e0000}'..='\u{e007f}' if flag_of_a_region(before) => return None,
        '\u{e0000}'..='\u{e0fff}' => ("hidden.tags", Quarantine),
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => ("hidden.direction", Quarantine),
        '\u{200e}' | '\u{200f}' | '\u{61c}' => ("hidden.mark", Note),
        '\u{fe00}'..='\u{fe0f}' if before.is_some_and(|c| !c.is_ascii_alphabetic() && !hidden(c)) => return None,
        '\u{200d}' if before.is_some_and(pictorial) && after.is_some_and(pictorial) => return None,
        '\u{200c}' | '\u{200d}' if before.is_some_and(joining) => return None,
        '\u{feff}' if before.is_none() => return None,
        '\u{ad}' => ("hidden.mark", Note),
        '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..='\u{10ffff}' => ("hidden.private_use", Note),
        '\u{1b}' | '\u{9b}' => ("hidden.escape_sequence", Quarantine),
        c if c.is_control() => ("hidden.control", Quarantine),
        _ => ("hidden.zero_width", Quarantine),
    })
}

/// Whether `c` can be a part of an emoji.
fn pictorial(c: char) -> bool {
    matches!(c, '\u{2190}'..='\u{2bff}' | '\u{fe0f}' | '\u{1f000}'..='\u{1faff}')
}

/// Tags spell the region of a flag behind a black flag, and otherwise nothing that anybody draws.
fn flag_of_a_region(before: Option<char>) -> bool {
    before == Some('\u{1f3f4}')
}

/// Whether `c` is of a script in which joiners decide how letters are drawn.
fn joining(c: char) -> bool {
    matches!(c, '\u{600}'..='\u{8ff}' | '\u{900}'..='\u{dff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}'
        | '\u{1800}'..='\u{18af}' | '\u{fb50}'..='\u{fdff}' | '\u{fe70}'..='\u{fefe}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, want: &[&str]) {
        let rules: Vec<_> = hidden_in("", text).iter().map(|finding| finding.rule).collect();
        assert_eq!(rules, want, "{}", text.escape_unicode());
    }

    #[test]
    fn what_hides_is_found() {
        check("adds\u{e0049}\u{e0067}", &["hidden.tags"]);
        check("a\u{202e}b", &["hidden.direction"]);
        check("a\u{200b}b\u{200b}c", &["hidden.zero_width"]);
        check("pay\u{200d}pal", &["hidden.zero_width"]);
        check("\u{1b}[8mhidden\u{1b}[0m", &["hidden.escape_sequence"]);
        check("a\u{9b}8m", &["hidden.escape_sequence"]);
        check("a\u{0}b\u{7}", &["hidden.control"]);
        check("a\u{fe01}\u{fe02}", &["hidden.zero_width"]);
        check("\u{1f3f4}\u{e0049}\u{e0067}\u{e006e}\u{e006f}", &["hidden.tags"]);
    }

    #[test]
    fn what_scripts_and_emoji_need_is_not() {
        check("plain, with\ttabs\r\nand lines", &[]);
        check("👩\u{200d}💻 writes ✔\u{fe0f} and ❤\u{fe0f}\u{200d}🔥", &[]);
        check("می\u{200c}خواهم", &[]);
        check("naïve café 日本語", &[]);
        check("\u{feff}text", &[]);
        check("1\u{fe0f}\u{20e3}", &[]);
    }
}
