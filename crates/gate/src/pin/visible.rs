//! Text of others, made fit to be looked at: what cannot be seen is spelled out, what is long is cut in the middle.

use std::fmt::Write;

/// Whether `c` shows nothing, moves the cursor, turns the direction of reading, or hides text from people that
/// models read: controls, zero-width and format characters, bidirectional marks, variation selectors, tags.
/// Line breaks and tabs are not hidden.
pub fn hidden(c: char) -> bool {
    match c {
        '\n' | '\r' | '\t' => false,
        '\u{20}'..='\u{7e}' => false,
        _ => c.is_control() || invisible(c),
    }
}

fn invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
        | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}'
        | '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..='\u{10ffff}')
}

/// `text` on one line, with everything hidden as `\u{..}` and line breaks as `\n`.
pub fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        show(c, &mut out);
    }
    out
}

fn show(c: char, out: &mut String) {
    match c {
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        c if hidden(c) => {
            let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
        }
        c => out.push(c),
    }
}

/// As [`visible`], but of a text longer than `most` characters only the ends, and between them how much is left out.
pub fn elided(text: &str, most: usize) -> String {
    let shown = visible(text);
    let count = shown.chars().count();
    if count <= most {
        return shown;
    }
    let keep = most.saturating_sub(32).max(8);
    let head = keep.div_ceil(2);
    let cut = |n: usize| shown.char_indices().nth(n).map_or(shown.len(), |(at, _)| at);
    let (end, begin) = (cut(head), cut(count - (keep - head)));
    format!("{} … {} characters left out … {}", &shown[..end], count - keep, &shown[begin..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hides_is_spelled_out() {
        assert_eq!(
            visible("a\u{1b}[2J\u{200b}b\u{202e}\u{e0041}\u{9b}\nc\u{fe0f}é"),
            "a\\u{1b}[2J\\u{200b}b\\u{202e}\\u{e0041}\\u{9b}\\nc\\u{fe0f}é"
        );
    }

    #[test]
    fn a_long_text_loses_its_middle_and_says_how_much() {
        let text = format!("{}{}{}", "a".repeat(50), "b".repeat(900), "c".repeat(50));
        let short = elided(&text, 100);
        assert!(
            short.starts_with("aaaa") && short.ends_with("cccc") && short.contains("932 characters left out"),
            "{short}"
        );
        assert!(short.chars().count() <= 105, "{}", short.len());
        assert_eq!(elided("short", 100), "short");
    }
}
