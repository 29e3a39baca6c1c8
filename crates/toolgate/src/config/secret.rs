//! Text that must not be shown: values that never print, and addresses that print without their secrets.
//! Masking what comes back from servers is not here, it is the gate's.

use std::fmt;

use super::lint::is_token;
use super::refs::is_reference;
use gate::mask::MASK;

/// The address of a server. Prints with user information and secret query values masked.
#[derive(Clone, PartialEq, Eq)]
pub struct Address(String);

impl Address {
    /// Takes an address as it was written; `config` has checked its shape before.
    pub fn new(url: impl Into<String>) -> Self {
        Self(url.into())
    }

    /// The address itself, for the one who connects to it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", mask_urls(&self.0))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&mask_urls(&self.0))
    }
}

/// `text` with every secret that its URLs carry replaced by [`MASK`].
pub fn mask_urls(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut rest = 0;
    for range in url_secrets(text) {
        masked.push_str(&text[rest..range.start]);
        masked.push_str(MASK);
        rest = range.end;
    }
    masked.push_str(&text[rest..]);
    masked
}

/// Where the URLs in `text` carry secrets: the password of `scheme://user:password@host` (the whole user
/// information when it has no colon), and query values whose name looks secret. Ascending, disjoint.
pub(super) fn url_secrets(text: &str) -> Vec<std::ops::Range<usize>> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(at) = text[from..].find("://") {
        let start = from + at + 3;
        let end = text[start..].find(char::is_whitespace).map_or(text.len(), |n| start + n);
        let authority_end = text[start..end].find(['/', '?', '#']).map_or(end, |n| start + n);
        found.extend(user_secret(text, start, authority_end));
        found.extend(query_secrets(text, authority_end, end));
        // A URL inside a query must not be searched twice, hence the whole word is skipped.
        from = end;
    }
    found.retain(|range| !range.is_empty());
    found
}

fn user_secret(text: &str, start: usize, end: usize) -> Option<std::ops::Range<usize>> {
    let at = start + text[start..end].rfind('@')?;
    let from = text[start..at].find(':').map_or(start, |colon| start + colon + 1);
    Some(from..at)
}

fn query_secrets(text: &str, start: usize, end: usize) -> Vec<std::ops::Range<usize>> {
    let Some(query) = text[start..end].find('?').map(|n| start + n + 1) else {
        return Vec::new();
    };
    let query_end = text[query..end].find('#').map_or(end, |n| query + n);
    let mut found = Vec::new();
    let mut from = query;
    for pair in text[query..query_end].split('&') {
        if let Some((name, _)) = pair.split_once('=')
            && looks_secret(name)
        {
            found.push(from + name.len() + 1..from + pair.len());
        }
        from += pair.len() + 1;
    }
    found
}

/// The words of a command line, each without the secrets that it carries: the word behind a flag whose name looks secret
/// (`--api-key`), the value of `--flag=VALUE`, `NAME=VALUE` and `Header: VALUE` with such a name, tokens of well-known
/// makers, and what URLs carry. A reference is no secret.
pub fn mask_words<S: AsRef<str>>(words: &[S]) -> Vec<String> {
    let mut secret_next = false;
    let mask = |word: &S| {
        let word = word.as_ref();
        let given = std::mem::replace(&mut secret_next, is_secret_flag(word));
        if given && !word.starts_with('-') && !is_reference(word) { MASK.to_owned() } else { mask_word(word) }
    };
    words.iter().map(mask).collect()
}

/// Whether the next word is a secret.
fn is_secret_flag(word: &str) -> bool {
    word.starts_with('-') && !word.contains(['=', ':', ' ']) && looks_secret(word.trim_start_matches('-'))
}

fn mask_word(word: &str) -> String {
    if is_reference(word) {
        return word.to_owned();
    }
    if is_token(word) && !word.contains("://") {
        return MASK.to_owned();
    }
    let mut out = String::with_capacity(word.len());
    let mut rest = word;
    // Word by word and name by name: a shell may be given several, an option another option.
    while let Some(at) = rest.find(['=', ':', ' ']) {
        let (name, value) = (&rest[..at], &rest[at + 1..]);
        if rest[at..].starts_with("://") {
            let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
            out.push_str(&mask_urls(&rest[..end]));
            rest = &rest[end..];
            continue;
        }
        out.push_str(&rest[..=at]);
        let given = value.trim_start();
        if !rest[at..].starts_with(' ') && !given.is_empty() && is_name(name) && looks_secret(name) {
            out.push_str(&value[..value.len() - given.len()]);
            return out + if is_reference(given) { given } else { MASK };
        }
        rest = value;
    }
    out + rest
}

fn is_name(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

/// Whether a setting of this name usually holds a secret. `AUTHOR` is not `AUTH`.
pub(crate) fn looks_secret(name: &str) -> bool {
    const SIGNS: [&str; 10] =
        ["token", "key", "secret", "passw", "passphrase", "auth", "credential", "cookie", "bearer", "private"];
    let name = name.to_ascii_lowercase().replace("authorization", "auth").replace("author", "").replace("keyboard", "");
    let words = ["pat", "pwd", "pass", "dsn", "sig", "signature"];
    SIGNS.iter().any(|sign| name.contains(sign)) || name.split(['_', '-', '.']).any(|word| words.contains(&word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        assert_eq!(mask_urls(text), expected);
    }

    #[test]
    fn a_secret_never_prints() {
        let secret = gate::Secret::new("hunter22");
        assert_eq!(format!("{secret} {secret:?} {:?}", Some(&secret)), "***** ***** Some(*****)");
        assert_eq!(secret.expose(), "hunter22");
    }

    #[test]
    fn urls_lose_their_secrets_and_nothing_else() {
        check("plain words", "plain words");
        check("https://h/mcp?page=2#x", "https://h/mcp?page=2#x");
        check("postgres://me:pw@h:5432/db", "postgres://me:*****@h:5432/db");
        check("postgres://me:p@ss@h/db", "postgres://me:*****@h/db");
        check("https://ghp_abc@github.com/x", "https://*****@github.com/x");
        check("https://h/?a=1&api_key=s3cret&b=2", "https://h/?a=1&api_key=*****&b=2");
        check("https://h/?token=#x", "https://h/?token=#x");
        check("--db=a://u:1@h --db=b://u:2@h", "--db=a://u:*****@h --db=b://u:*****@h");
        check("https://h/path@home", "https://h/path@home");
    }

    #[test]
    fn an_address_prints_masked() {
        let address = Address::new("https://u:pw@h/mcp");
        assert_eq!(format!("{address} {address:?}"), "https://u:*****@h/mcp \"https://u:*****@h/mcp\"");
    }

    #[test]
    fn a_long_word_is_read_to_its_end() {
        let long = "a=b c:d ".repeat(100_000);
        assert_eq!(mask_words(&[&long]).concat(), long);
    }

    #[test]
    fn words_of_a_command_line_lose_their_secrets_and_nothing_else() {
        let check = |words: &[&str], expected: &[&str]| assert_eq!(mask_words(words), expected);
        check(&["-y", "--api-key", "abc", "--port", "80"], &["-y", "--api-key", "*****", "--port", "80"]);
        check(
            &["--token=abc", "--env=API_KEY=abc", "-e", "X=1"],
            &["--token=*****", "--env=API_KEY=*****", "-e", "X=1"],
        );
        check(&["run", "-e", "GITHUB_TOKEN=abc", "img:1"], &["run", "-e", "GITHUB_TOKEN=*****", "img:1"]);
        check(&["-e", "GITHUB_TOKEN", "img"], &["-e", "GITHUB_TOKEN", "img"]);
        check(&["--header", "Authorization: Bearer abc"], &["--header", "Authorization: *****"]);
        check(&["--header=X-API-Key:abc"], &["--header=X-API-Key:*****"]);
        check(
            &["--header", "Authorization: ${env:A}", "${env:T:-abc}"],
            &["--header", "Authorization: ${env:A}", "${env:T:-abc}"],
        );
        check(&["--token", "${env:T}", "--auth", "-v"], &["--token", "${env:T}", "--auth", "-v"]);
        check(&["--token", "${env:T:-abc}", "K_TOKEN=${env:T:-abc}"], &["--token", "*****", "K_TOKEN=*****"]);
        check(&["-c", "cd /x && API_KEY=a npx"], &["-c", "cd /x && API_KEY=*****"]);
        check(&["ghp_0123456789012345678901234"], &["*****"]);
        check(
            &["--db=postgres://u:pw@h/db", "https://u:pw@h/?api_key=x"],
            &["--db=postgres://u:*****@h/db", "https://u:*****@h/?api_key=*****"],
        );
        check(&["/a b/c:d", "x = y", "a@1.2", "C:\\x"], &["/a b/c:d", "x = y", "a@1.2", "C:\\x"]);
    }

    #[test]
    fn names_that_hold_secrets_are_told_from_others() {
        for name in [
            "GITHUB_TOKEN",
            "apiKey",
            "DB_PASSWORD",
            "X-Auth",
            "AWS_SECRET",
            "GITHUB_PAT",
            "SENTRY_DSN",
            "Authorization",
        ] {
            assert!(looks_secret(name), "{name}");
        }
        for name in ["PATH", "GIT_AUTHOR_NAME", "ALLOWED_DIRS", "PATTERN", "KEYBOARD", "LANG"] {
            assert!(!looks_secret(name), "{name}");
        }
    }
}
