//! What a definition is, in one value.

use super::canonical::canonical;
use super::lexer::Flaw;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt::{self, Write};
use thiserror::Error;

/// The SHA-256 of a definition's canonical form. It covers everything the server sent: name, title, descriptions,
/// schemas, annotations, icons, `_meta`, and what no revision knows yet. Printed as `sha256:` and 64 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct DefinitionHash([u8; 32]);

/// Text that is no hash of a definition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not `sha256:` and 64 lower-case hex digits")]
pub struct NotAHash;

impl DefinitionHash {
    /// The hash of `definition`, raw JSON.
    ///
    /// # Errors
    /// A definition that cannot be pinned, because readers would disagree on what it says; see [`canonical`].
    pub fn of(definition: &[u8]) -> Result<Self, Flaw> {
        Ok(Self(Sha256::digest(canonical(definition)?).into()))
    }

    /// The 64 hex digits alone.
    pub fn hex(&self) -> String {
        self.0.iter().fold(String::with_capacity(64), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    }

    /// The hash itself.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for DefinitionHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.hex())
    }
}

impl fmt::Debug for DefinitionHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}…", &self.hex()[..8])
    }
}

impl From<DefinitionHash> for String {
    fn from(hash: DefinitionHash) -> Self {
        hash.to_string()
    }
}

impl TryFrom<String> for DefinitionHash {
    type Error = NotAHash;

    fn try_from(text: String) -> Result<Self, NotAHash> {
        text.parse()
    }
}

impl std::str::FromStr for DefinitionHash {
    type Err = NotAHash;

    fn from_str(text: &str) -> Result<Self, NotAHash> {
        let hex = text.strip_prefix("sha256:").ok_or(NotAHash)?;
        let lower_hex = hex.len() == 64 && hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if !lower_hex {
            return Err(NotAHash);
        }
        let mut bytes = [0; 32];
        for (byte, digits) in bytes.iter_mut().zip(hex.as_bytes().chunks(2)) {
            let digit = |digit: u8| (digit as char).to_digit(16).expect("checked above") as u8;
            *byte = digit(digits[0]) << 4 | digit(digits[1]);
        }
        Ok(Self(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_what_it_prints() {
        let hash = DefinitionHash::of(b"{}").expect("JSON");
        assert_eq!(hash.to_string(), "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a");
        assert_eq!(hash.to_string().parse(), Ok(hash));
        for bad in ["", "sha256:44", "sha512:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"] {
            assert_eq!(bad.parse::<DefinitionHash>(), Err(NotAHash), "{bad}");
        }
        assert!(hash.to_string().to_uppercase().replace("SHA256", "sha256").parse::<DefinitionHash>().is_err());
    }
}
