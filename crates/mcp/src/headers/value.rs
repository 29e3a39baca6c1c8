//! Header values: plain where they can be, base64 in a sentinel where not.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use thiserror::Error;

const OPEN: &str = "=?base64?";
const CLOSE: &str = "?=";

/// A header value that stands for no text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("neither plain text nor valid base64")]
pub struct InvalidValue;

/// `text` as a header value; `=?base64?…?=` unless it is plain visible ASCII.
pub fn encode_value(text: &str) -> HeaderValue {
    let encoded = if is_plain(text) {
        HeaderValue::from_str(text)
    } else {
        HeaderValue::from_str(&format!("{OPEN}{}{CLOSE}", STANDARD.encode(text)))
    };
    encoded.expect("visible ASCII, as `is_plain` and base64 are")
}

/// The text a header value stands for.
///
/// # Errors
/// [`InvalidValue`] for bytes that are neither plain ASCII nor a valid sentinel.
pub fn decode_value(value: &HeaderValue) -> Result<String, InvalidValue> {
    let text = value.to_str().map_err(|_| InvalidValue)?.trim_matches([' ', '\t']);
    let Some(encoded) = text.strip_prefix(OPEN).and_then(|text| text.strip_suffix(CLOSE)) else {
        return Ok(text.to_owned());
    };
    let bytes = STANDARD.decode(encoded).map_err(|_| InvalidValue)?;
    String::from_utf8(bytes).map_err(|_| InvalidValue)
}

fn is_plain(text: &str) -> bool {
    let visible = text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    visible && text.trim_matches(' ') == text && !(text.starts_with(OPEN) && text.ends_with(CLOSE))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(text: &str, header: &str) {
        assert_eq!(encode_value(text), header, "{text:?}");
        assert_eq!(decode_value(&encode_value(text)).as_deref(), Ok(text));
    }

    #[test]
    fn values_are_encoded_as_the_specification_shows() {
        check("us-west1", "us-west1");
        check("Hello, 世界", "=?base64?SGVsbG8sIOS4lueVjA==?=");
        check(" padded ", "=?base64?IHBhZGRlZCA=?=");
        check("line1\nline2", "=?base64?bGluZTEKbGluZTI=?=");
        check("=?base64?literal?=", "=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?=");
    }

    #[test]
    fn only_what_needs_it_is_encoded() {
        check("", "");
        check("a b", "a b");
        check("=?base64?open", "=?base64?open");
        check("=?BASE64?x?=", "=?BASE64?x?=");
        check("file:///a%20b?c#d", "file:///a%20b?c#d");
        check("a\tb", "=?base64?YQli?=");
        check("\u{7f}", "=?base64?fw==?=");
    }

    #[test]
    fn broken_values_are_refused() {
        for value in ["=?base64?%%%?=", "=?base64?YQ?=", "=?base64?/w==?=", "=?base64?YQ==\u{e9}?="] {
            let value = HeaderValue::from_bytes(value.as_bytes()).expect("a header value");
            assert_eq!(decode_value(&value), Err(InvalidValue), "{value:?}");
        }
        assert_eq!(decode_value(&HeaderValue::from_bytes(b"caf\xe9").expect("a header value")), Err(InvalidValue));
    }

    proptest! {
        #[test]
        fn every_text_survives(text in "\\PC*|[ -~\t\r\n=?]{0,20}|=\\?base64\\?[ -~]{0,9}\\?=") {
            prop_assert_eq!(decode_value(&encode_value(&text)), Ok(text));
        }
    }
}
