//! What a server says in `WWW-Authenticate` when it wants a token, or another one.

/// The `Bearer` challenge.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Challenge {
    /// Its error code.
    pub error: Option<String>,
    /// The scopes it wants.
    pub scopes: Option<Vec<String>>,
    /// Where its metadata is.
    pub resource_metadata: Option<String>,
}

impl Challenge {
    /// Reads the header; of several challenges in it, the one for bearers.
    pub fn parse(header: &str) -> Self {
        let mut challenge = Self::default();
        let mut bearer = false;
        for part in parts(header) {
            let part = part.trim();
            let (word, rest) = part.split_once([' ', '\t']).unwrap_or((part, ""));
            let parameter = if word.contains('=') {
                part
            } else {
                bearer = word.eq_ignore_ascii_case("bearer");
                rest.trim()
            };
            if let Some((name, value)) = parameter.split_once('=').filter(|_| bearer) {
                challenge.take(name.trim(), unquoted(value.trim()));
            }
        }
        challenge
    }

    fn take(&mut self, name: &str, value: String) {
        match name.to_ascii_lowercase().as_str() {
            "error" => self.error = Some(value),
            "resource_metadata" => self.resource_metadata = Some(value),
            "scope" => {
                self.scopes = Some(value.split(' ').filter(|scope| is_scope(scope)).map(str::to_owned).collect())
            }
            _ => {}
        }
    }

    /// Whether the token is good and its scopes are too few.
    pub fn wants_more(&self) -> bool {
        self.error.as_deref() == Some("insufficient_scope")
    }
}

/// Whether a text is one scope, as RFC 6749 spells them, and of a sane length.
pub(crate) fn is_scope(text: &str) -> bool {
    let fits = |byte: u8| byte == 0x21 || (0x23..=0x5b).contains(&byte) || (0x5d..=0x7e).contains(&byte);
    !text.is_empty() && text.len() <= 200 && text.bytes().all(fits)
}

/// Splits at commas outside quotes.
fn parts(header: &str) -> Vec<&str> {
    let (mut parts, mut start, mut quoted, mut escaped) = (Vec::new(), 0, false, false);
    for (at, byte) in header.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b',' if !quoted => {
                parts.push(&header[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&header[start..]);
    parts
}

fn unquoted(value: &str) -> String {
    let Some(inner) = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else { return value.to_owned() };
    let mut text = String::new();
    let mut chars = inner.chars();
    while let Some(char) = chars.next() {
        text.extend(if char == '\\' { chars.next() } else { Some(char) });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(header: &str, error: Option<&str>, scopes: Option<&[&str]>, metadata: Option<&str>) {
        let want = Challenge {
            error: error.map(str::to_owned),
            scopes: scopes.map(|scopes| scopes.iter().map(|scope| (*scope).to_owned()).collect()),
            resource_metadata: metadata.map(str::to_owned),
        };
        assert_eq!(Challenge::parse(header), want, "{header}");
    }

    #[test]
    fn a_challenge_is_read_in_all_its_spellings() {
        check("Bearer", None, None, None);
        check(
            r#"Bearer error="insufficient_scope", scope="a b", resource_metadata="https://x/y,z""#,
            Some("insufficient_scope"),
            Some(&["a", "b"]),
            Some("https://x/y,z"),
        );
        check(r#"Basic realm="a, Bearer scope=x", bearer scope=read"#, None, Some(&["read"]), None);
        check(r#"Bearer scope="a", Basic scope="b""#, None, Some(&["a"]), None);
        check(r#"Bearer realm="a \" b", error=invalid_token"#, Some("invalid_token"), None, None);
        check("Bearer scope=\"a \u{1b}[2J b\"", None, Some(&["a", "b"]), None);
        check(r#"Bearer scope=""#, None, Some(&[]), None);
        check("", None, None, None);
    }
}
