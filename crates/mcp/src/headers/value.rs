//! Header values: plain where they can be, base64 in a sentinel where not.

use http::HeaderValue;
use thiserror::Error;

/// A header value that stands for no text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("neither plain text nor valid base64")]
pub struct InvalidValue;

/// `text` as a header value; `=?base64?…?=` unless it is plain visible ASCII.
pub fn encode_value(text: &str) -> HeaderValue {
    unimplemented!()
}

/// The text a header value stands for.
///
/// # Errors
/// [`InvalidValue`] for bytes that are neither plain ASCII nor a valid sentinel.
pub fn decode_value(value: &HeaderValue) -> Result<String, InvalidValue> {
    unimplemented!()
}
