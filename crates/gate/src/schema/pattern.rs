//! Patterns of schemas, which are ECMAScript's, for an engine that takes time linear in the text.

use regex::{Error, Regex, RegexBuilder};

/// Why a pattern is not run.
pub(super) enum Refused {
    /// It needs what no linear engine has (look-around, back references), or is no pattern.
    Unsupported,
    /// Its compiled form is too large.
    TooDear,
}

/// The longest pattern, in bytes.
const LONGEST: usize = 4 << 10;

const DIGIT: &str = "0-9";
const WORD: &str = "A-Za-z0-9_";
const SPACE: &str = r"\t\n\x0b\x0c\r \x{a0}\x{feff}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}";

/// Compiles `pattern`, taking at most `most` bytes.
pub(super) fn compile(pattern: &str, most: usize) -> Result<Regex, Refused> {
    if pattern.len() > LONGEST {
        return Err(Refused::TooDear);
    }
    let ours = translate(pattern).ok_or(Refused::Unsupported)?;
    let built = RegexBuilder::new(&ours).size_limit(most).dfa_size_limit(1 << 20).nest_limit(50).build();
    built.map_err(|error| match error {
        Error::CompiledTooBig(_) => Refused::TooDear,
        _ => Refused::Unsupported,
    })
}

/// The same pattern in the syntax of our engine, where the two differ; `None` if it ends within an escape.
fn translate(pattern: &str) -> Option<String> {
    let mut out = String::with_capacity(pattern.len() + 16);
    let mut chars = pattern.chars().peekable();
    let mut class = false;
    while let Some(c) = chars.next() {
        match c {
            // Between brackets it is a character.
            '\\' if class && chars.peek() == Some(&'b') => {
                chars.next();
                out.push_str(r"\x08");
            }
            '\\' => escape(&mut chars, &mut out)?,
            '[' if class => out.push_str("\\["),
            '[' => {
                class = true;
                out.push('[');
                if chars.peek() == Some(&'^') {
                    chars.next();
                    out.push('^');
                }
            }
            ']' => {
                class = false;
                out.push(']');
            }
            '&' | '~' if class => out.extend(['\\', c]),
            '.' if !class => out.push_str(r"[^\n\r\x{2028}\x{2029}]"),
            c => out.push(c),
        }
    }
    Some(out)
}

fn escape(chars: &mut std::iter::Peekable<std::str::Chars<'_>>, out: &mut String) -> Option<()> {
    match chars.next()? {
        'd' => out.push_str(&format!("[{DIGIT}]")),
        'D' => out.push_str(&format!("[^{DIGIT}]")),
        'w' => out.push_str(&format!("[{WORD}]")),
        'W' => out.push_str(&format!("[^{WORD}]")),
        's' => out.push_str(&format!("[{SPACE}]")),
        'S' => out.push_str(&format!("[^{SPACE}]")),
        'b' => out.push_str(r"(?-u:\b)"),
        'B' => out.push_str(r"(?-u:\B)"),
        '0' => out.push_str(r"\x00"),
        'c' => out.push_str(&format!(r"\x{:02x}", u32::from(chars.next()?) % 32)),
        'u' if chars.peek() == Some(&'{') => out.push_str(r"\x"),
        'u' => {
            let digits: String = chars.by_ref().take(4).collect();
            out.push_str(&format!(r"\x{{{digits}}}"));
        }
        '/' => out.push('/'),
        // The engine has its own meaning for these, and ECMAScript has none.
        c @ ('A' | 'z' | 'Z' | 'a' | 'h' | 'H' | 'R' | 'K' | 'Q' | 'E' | 'G' | 'x') if c != 'x' => out.push(c),
        c => out.extend(['\\', c]),
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, fits: &[&str], fails: &[&str]) {
        let regex = compile(pattern, 1 << 20).unwrap_or_else(|_| panic!("{pattern} does not compile"));
        for text in fits {
            assert!(regex.is_match(text), "{pattern} on {text}");
        }
        for text in fails {
            assert!(!regex.is_match(text), "{pattern} on {text}");
        }
    }

    #[test]
    fn patterns_mean_what_they_mean_in_ecmascript() {
        check(r"^\d+$", &["12"], &["٣", "1a"]);
        check(r"^\w[\w\-.]*$", &["a-b.c"], &["é", "a b"]);
        check(r"^[^\s/]+$", &["ab"], &["a b", "a\u{a0}b", "a/b"]);
        check(r"^\u0041\/[[&]$", &["A/[", "A/&"], &["A/]"]);
        check(r"\bfoo\b", &["a foo b"], &["afoo"]);
        check(r"^[\b]$", &["\u{8}"], &["(", "u", "b"]);
        check(r"^\S+@\S+$", &["a@b"], &["a @b"]);
        check("^.$", &["a", "é"], &["\n", "\r"]);
        check(r"^\p{L}$", &["é"], &["1"]);
        check(r"^(?<year>[0-9]{4})-\x41$", &["2026-A"], &["2026-B"]);
    }

    #[test]
    fn what_is_dear_is_refused_and_what_is_unknown_is_left_alone() {
        assert!(matches!(compile("^((a{1,50}){1,50}){1,50}$", 1 << 20), Err(Refused::TooDear)));
        assert!(matches!(compile(&"a".repeat(5_000), 1 << 20), Err(Refused::TooDear)));
        for unknown in ["(?=a)", r"(a)\1", "(", "\\"] {
            assert!(matches!(compile(unknown, 1 << 20), Err(Refused::Unsupported)), "{unknown}");
        }
    }

    #[test]
    fn a_pattern_that_backtracks_elsewhere_is_linear_here() {
        let text = format!("{}!", "a".repeat(50_000));
        check("^(a+)+$", &["aaa"], &[&text]);
        check("^(a|a)*$", &["aaa"], &[&text]);
    }
}
