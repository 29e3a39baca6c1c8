//! Values that are secret because of the name they stand under: members of JSON objects, assignments and headers in text.

use super::rules::{Class, FIELD, URL_PASSWORD};
use smallvec::SmallVec;

/// What a name promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Promise {
    /// Chosen by a person, any text.
    Password,
    /// Made by a machine, without spaces.
    Key,
    /// The same, under a word that has other meanings.
    Token,
    /// A header's value.
    Header,
    /// A number or date of a person.
    Personal,
}

/// Words before `token` that make it something else: places in lists, parts of texts, counts.
const OTHER_TOKENS: [&str; 31] = [
    "next",
    "page",
    "previous",
    "prev",
    "progress",
    "continuation",
    "continue",
    "sync",
    "resume",
    "pagination",
    "cursor",
    "max",
    "min",
    "num",
    "number",
    "stop",
    "eos",
    "bos",
    "pad",
    "unk",
    "mask",
    "special",
    "cls",
    "sep",
    "start",
    "end",
    "first",
    "last",
    "line",
    "cancellation",
    "csrf",
];

/// What the value under `name` is, if the name says that it is secret.
pub(super) fn promise(name: &[u8]) -> Option<Promise> {
    if name.len() > 128 || !name.is_ascii() {
        return None;
    }
    let words = words(name);
    let at = |back: usize| words.len().checked_sub(back).map_or("", |at| words[at].as_str());
    let (last, before) = (at(1), at(2));
    match (before, last) {
        (_, "password" | "passwd" | "passphrase" | "passcode" | "pwd" | "pass" | "cvv" | "cvc" | "otp") => {
            Some(Promise::Password)
        }
        ("password", "confirmation" | "confirm" | "repeat") => Some(Promise::Password),
        (_, "ssn" | "dob" | "birthdate") | ("security", "number") => Some(Promise::Personal),
        ("of", "birth") | ("birth", "date") => Some(Promise::Personal),
        (
            _,
            "secret" | "apikey" | "accesskey" | "privatekey" | "secretkey" | "clientsecret" | "credential"
            | "credentials",
        ) => Some(Promise::Key),
        (
            "api" | "access" | "private" | "secret" | "auth" | "encryption" | "signing" | "account" | "ssh" | "master"
            | "shared",
            "key",
        ) => Some(Promise::Key),
        (
            _,
            "authtoken" | "accesstoken" | "refreshtoken" | "sessiontoken" | "apitoken" | "idtoken" | "jwt" | "bearer",
        ) => Some(Promise::Token),
        (_, "token") if !OTHER_TOKENS.contains(&before) => Some(Promise::Token),
        (_, "authorization" | "cookie" | "cookies" | "setcookie") => Some(Promise::Header),
        _ => None,
    }
}

/// The words of a name, in lower case: `clientSecret`, `CLIENT_SECRET` and `client-secret` are the same two.
fn words(name: &[u8]) -> SmallVec<[String; 4]> {
    let mut words: SmallVec<[String; 4]> = SmallVec::new();
    let mut before = b'_';
    for (at, byte) in name.iter().enumerate() {
        let next_is_lower = name.get(at + 1).is_some_and(u8::is_ascii_lowercase);
        let humps =
            byte.is_ascii_uppercase() && (before.is_ascii_lowercase() || before.is_ascii_uppercase() && next_is_lower);
        if !byte.is_ascii_alphabetic() {
            before = b'_';
            continue;
        }
        if before == b'_' || humps {
            words.push(String::new());
        }
        let Some(word) = words.last_mut() else { continue };
        word.push(byte.to_ascii_lowercase() as char);
        before = *byte;
    }
    words
}

/// Whether a member's value keeps the promise of its name.
pub(super) fn value_is_secret(promise: Promise, value: &[u8]) -> bool {
    let value = value.trim_ascii();
    if is_placeholder(value) {
        return false;
    }
    let spaced = value.iter().any(u8::is_ascii_whitespace);
    let digit = value.iter().any(u8::is_ascii_digit);
    match promise {
        Promise::Password => value.len() >= 3,
        Promise::Key => value.len() >= 6 && (!spaced || value.starts_with(b"-----")) && !is_reference(value),
        Promise::Token => value.len() >= 8 && !spaced && (digit || value.len() >= 20) && !is_reference(value),
        Promise::Header => value.len() >= 6 && (digit || value.len() >= 16),
        Promise::Personal => digit,
    }
}

/// Whether a number under this name is one.
pub(super) fn number_is_secret(promise: Promise, number: &[u8]) -> bool {
    matches!(promise, Promise::Password | Promise::Personal)
        && number.len() >= 3
        && number.iter().all(u8::is_ascii_digit)
}

const PLACEHOLDERS: [&[u8]; 22] = [
    b"null",
    b"none",
    b"nil",
    b"true",
    b"false",
    b"undefined",
    b"string",
    b"str",
    b"required",
    b"optional",
    b"redacted",
    b"hidden",
    b"changeme",
    b"change_me",
    b"password",
    b"passwd",
    b"secret",
    b"token",
    b"unset",
    b"empty",
    b"n/a",
    b"same-origin",
];

/// Whether the value says what would stand there, or that something was taken out.
fn is_placeholder(value: &[u8]) -> bool {
    let Some(first) = value.first() else { return true };
    let opens: [&[u8]; 12] =
        [b"[masked", b"*****", b"${", b"$(", b"$", b"{{", b"{", b"<", b"%(", b"[redacted", b"tg_sec_", b"your"];
    let starts = |open: &[u8]| value.len() >= open.len() && value[..open.len()].eq_ignore_ascii_case(open);
    opens.iter().any(|open| starts(open))
        || value.iter().all(|byte| byte == first)
        || PLACEHOLDERS.iter().any(|word| word.eq_ignore_ascii_case(value))
        || value.iter().all(|byte| byte.is_ascii_uppercase() || *byte == b'_')
        || value.ends_with(b"...")
        || contains(value, b"xxxx")
        || contains(value, b"example")
}

/// Whether the value names where the secret lies.
fn is_reference(value: &[u8]) -> bool {
    let opens: [&[u8]; 9] =
        [b"projects/", b"arn:", b"vault:", b"secret://", b"op://", b"env:", b"env.", b"file:", b"http"];
    opens.iter().any(|open| value.starts_with(open)) || value.starts_with(b"/") && !value.ends_with(b"=")
}

fn contains(value: &[u8], word: &[u8]) -> bool {
    value.windows(word.len()).any(|part| part.eq_ignore_ascii_case(word))
}

/// The secret assigned to the name in which a keyword stands at `at`, if there is one.
pub(super) fn assigned(text: &[u8], at: usize) -> Option<(usize, usize, Class)> {
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    let start = at - text[..at].iter().rev().take(64).take_while(|byte| is_name(byte)).count();
    let end = at + text[at..].iter().take(64).take_while(|byte| is_name(byte) || spaced_key(text, at, byte)).count();
    let flag = text[start..end].starts_with(b"--");
    let (value, quoted, tight) = value(text, end, flag)?;
    let promise = promise(&text[start..end])?;
    let (from, to) = if promise == Promise::Header { past_scheme(text, value) } else { value };
    text_is_secret(promise, &text[from..to], quoted, tight).then_some((from, to, FIELD))
}

/// `api key` is one name.
fn spaced_key(text: &[u8], at: usize, byte: &u8) -> bool {
    *byte == b' '
        && text[at..].len() > 6
        && text[at..at + 7].eq_ignore_ascii_case(b"api key")
        && std::ptr::eq(byte, &text[at + 3])
}

type Span = (usize, usize);

/// More of an assigned value is not looked at.
const LONGEST: usize = 1024;

/// Behind a name: the value, whether it is in quotes, and whether nothing stands around the sign.
fn value(text: &[u8], end: usize, flag: bool) -> Option<(Span, bool, bool)> {
    let mut at = end;
    while at < end + 3
        && (matches!(text.get(at), Some(b'\\' | b'"' | b'\'' | b'`')) || at > end && text.get(at) == Some(&b']'))
    {
        at += 1;
    }
    let spaces = skip_spaces(text, at);
    let sign = match text.get(spaces..) {
        Some([b'=', b'=', ..]) | Some([b':', b':', ..]) => return None,
        Some([b'=', b'>', ..] | [b':', b'=', ..]) => 2,
        Some([b'=' | b':', ..]) => 1,
        Some(_) if flag && spaces > at => 0,
        _ => return None,
    };
    let after = skip_spaces(text, spaces + sign);
    let tight = spaces == at && after == spaces + sign && text.get(spaces) == Some(&b'=');
    let (open, quote) = match text.get(after..)? {
        [b'\\', quote @ (b'"' | b'\''), ..] => (after + 2, Some(*quote)),
        [quote @ (b'"' | b'\'' | b'`'), ..] => (after + 1, Some(*quote)),
        _ => (after, None),
    };
    let rest = &text[open..text.len().min(open + LONGEST)];
    let len = match quote {
        Some(quote) => rest.iter().position(|byte| *byte == quote || *byte == b'\n')?,
        None => {
            rest.iter().position(|b| b.is_ascii_whitespace() || b"\"'`,;<>(){}[]|&\\".contains(b)).unwrap_or(rest.len())
        }
    };
    let escaped = usize::from(quote.is_some() && len > 0 && rest[len - 1] == b'\\');
    Some(((open, open + len - escaped), quote.is_some(), tight))
}

fn skip_spaces(text: &[u8], at: usize) -> usize {
    at + text.get(at..).map_or(0, |rest| rest.iter().take(8).take_while(|byte| matches!(byte, b' ' | b'\t')).count())
}

/// A header's value runs to the end of its line, without `Bearer` and its like.
fn past_scheme(text: &[u8], (start, end): Span) -> Span {
    let scheme: [&[u8]; 5] = [b"bearer", b"basic", b"token", b"digest", b"apikey"];
    let is_scheme = scheme.iter().any(|word| {
        word.eq_ignore_ascii_case(&text[start..end.min(start + 6).max(start)])
            || word.eq_ignore_ascii_case(&text[start..end])
    });
    let rest = if is_scheme {
        skip_spaces(text, start + text[start..].iter().take_while(|byte| byte.is_ascii_alphabetic()).count())
    } else {
        start
    };
    let len = text[rest..]
        .iter()
        .take(LONGEST)
        .take_while(|byte| !matches!(byte, b'\n' | b'\r' | b'"' | b'\'' | b'`' | b'\\' | b'<' | b','))
        .count();
    (rest, (rest + len).max(end.min(text.len())).max(rest))
}

/// Whether a value in plain text is a secret: stricter than in a member, since code and prose name passwords too.
fn text_is_secret(promise: Promise, value: &[u8], quoted: bool, tight: bool) -> bool {
    // What is longer is judged by its beginning.
    let value = &value[..value.len().min(128)];
    let digit = value.iter().any(u8::is_ascii_digit);
    let letter = value.iter().any(u8::is_ascii_alphabetic);
    let special = value.iter().any(|byte| b"!@#$%^&*?".contains(byte));
    let visible = value.iter().all(|byte| (b' '..=b'~').contains(byte));
    if !(digit || special) || !visible || value.len() < 6 || is_placeholder(value) {
        return false;
    }
    let entropy = super::rules::entropy(value);
    let strong = value.len() >= 8 && digit && entropy >= 3.0 && !looks_like_code(value);
    match promise {
        Promise::Password => {
            letter
                && (digit || special)
                && !value.contains(&b' ')
                && (strong || (quoted || tight) && !is_expression(value))
        }
        Promise::Key | Promise::Token => strong && letter && !value.contains(&b' ') && !is_reference(value),
        Promise::Header => digit && letter && value.len() >= 8 && entropy >= 3.0 && !looks_like_code(value),
        Promise::Personal => {
            digit && value.len() <= 32 && value.iter().filter(|byte| byte.is_ascii_digit()).count() >= 6
        }
    }
}

/// Calls, paths of names, types, formats.
fn looks_like_code(value: &[u8]) -> bool {
    is_expression(value)
        || value.split(|byte| matches!(byte, b'.' | b'_' | b'-' | b'/')).all(|part| {
            let letters = part.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
            letters >= 2 && part[letters..].iter().all(u8::is_ascii_digit) && part.len() - letters <= 2
        })
}

fn is_expression(value: &[u8]) -> bool {
    value.windows(2).any(|pair| matches!(pair, b"()" | b"::" | b"->" | b"${" | b"{}" | b"%s" | b"[]"))
        || value.starts_with(b"&")
        || value.starts_with(b"./")
}

/// The password within the URL whose `://` stands at `at`.
pub(super) fn in_url(text: &[u8], at: usize) -> Option<(usize, usize, Class)> {
    let start = at + 3;
    let len = text[start..].iter().take(512).position(|b| b.is_ascii_whitespace() || b"/?#\"'`<>\\{}".contains(b));
    let authority = &text[start..start + len.unwrap_or(text.len().min(start + 512) - start)];
    let user_end = authority.iter().rposition(|byte| *byte == b'@')?;
    let colon = authority[..user_end].iter().position(|byte| *byte == b':')?;
    let password = &authority[colon + 1..user_end];
    let words: [&[u8]; 6] = [b"pass", b"pw", b"pwd", b"passw0rd", b"token", b"x-oauth-basic"];
    let shown = is_placeholder(password) || words.iter().any(|word| word.eq_ignore_ascii_case(password));
    (!shown && password.len() >= 3).then_some((start + colon + 1, start + user_end, URL_PASSWORD))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_promise_secrets_however_they_are_written() {
        for name in [
            "password",
            "dbPassword",
            "DB_PASSWORD",
            "client-secret",
            "clientSecret",
            "api_key",
            "apiKey",
            "API-KEY",
            "apikey",
            "x-api-key",
            "access_key",
            "authorization",
            "Set-Cookie",
            "cookie",
            "private_key",
            "refreshToken",
            "token",
            "githubToken",
            "password1",
        ] {
            assert!(promise(name.as_bytes()).is_some(), "{name}");
        }
        for name in [
            "max_tokens",
            "token_count",
            "next_page_token",
            "progressToken",
            "nextToken",
            "cursor",
            "tokens",
            "tokenizer",
            "secretary",
            "password_hash_algorithm",
            "key",
            "keyboard",
            "author",
            "token_type",
            "public_key",
            "primaryKey",
            "",
        ] {
            assert!(promise(name.as_bytes()).is_none(), "{name}");
        }
    }

    fn check(text: &str, want: Option<&str>) {
        let words = ["passw", "token", "secret", "api_key", "api key", "authorization", "cookie"];
        let at = words.iter().find_map(|word| text.to_lowercase().find(word)).expect("a keyword");
        let got = assigned(text.as_bytes(), at).map(|(start, end, _)| &text[start..end]);
        assert_eq!(got, want, "{text}");
    }

    #[test]
    fn assigned_secrets_are_found() {
        check("password=hunter2!", Some("hunter2!"));
        check("DB_PASSWORD='cor-rect 1'", None);
        check("  \"password\": \"hunter22\",", Some("hunter22"));
        check(r#"{\"password\":\"hunter22\"}"#, Some("hunter22"));
        check("Authorization: Bearer abc123DEF456ghi", Some("abc123DEF456ghi"));
        check("Cookie: sid=a1b2c3d4e5f6; theme=dark", Some("sid=a1b2c3d4e5f6; theme=dark"));
        check("tool --api_key 9f8e7d6c5b4a --x", Some("9f8e7d6c5b4a"));
        check("my api key: 9f8e7d6c5b4a", Some("9f8e7d6c5b4a"));
    }

    #[test]
    fn code_and_prose_are_left() {
        for text in [
            "password: String",
            "let token = next_token();",
            "password = get_password()",
            "secret: Option<Secret>",
            "token=token",
            "password=${DB_PASSWORD}",
            "password: <your password>",
            "the password is wrong",
            "secret == other1234",
            "token: utf8_token2",
            "PASSWORD=*****",
            "password=[masked:field]",
            "passwords: 12345678",
        ] {
            check(text, None);
        }
    }

    #[test]
    fn passwords_in_urls_are_found() {
        let of = |text: &str| {
            in_url(text.as_bytes(), text.find("://").expect("url")).map(|(start, end, _)| text[start..end].to_owned())
        };
        assert_eq!(of("postgres://app:s3cr3t@db/x").as_deref(), Some("s3cr3t"));
        for text in [
            "https://example.com/a:b@c",
            "https://user@host",
            "https://user:password@host",
            "https://u:${P}@h",
            "http://a:80/@x",
        ] {
            assert_eq!(of(text), None, "{text}");
        }
    }
}
