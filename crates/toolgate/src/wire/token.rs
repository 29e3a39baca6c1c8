//! The bearer token of the HTTP face: made at first start, kept in a file only its owner can read.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use base64::Engine;

use crate::ui::Failure;
use gate::Code;

const TOKEN_BYTES: usize = 32;

/// A token that is in force. Does not print.
pub struct Token(String);

impl Token {
    /// The token itself.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The token in `dir`, made now if there is none.
    ///
    /// # Errors
    /// A file that others can read, that is empty, or that cannot be made.
    pub fn load_or_make(dir: &Path) -> Result<Self, Failure> {
        let path = dir.join("token");
        match Self::make(dir, &path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Self::load(&path),
            made => made.map_err(|error| Failure::io(&format!("make the token {}", path.display()), error)),
        }
    }

    fn load(path: &Path) -> Result<Self, Failure> {
        let io = |error| Failure::io(&format!("read the token {}", path.display()), error);
        let mode = std::fs::metadata(path).map_err(io)?.mode();
        if mode & 0o077 != 0 {
            return Err(Failure::new(
                Code::ConfigInvalid,
                format!("the token {} can be read by others", path.display()),
            )
            .hint(format!("delete it, so that a new one is made: rm {}", path.display())));
        }
        let text = std::fs::read_to_string(path).map_err(io)?.trim().to_owned();
        if text.len() < 16 {
            return Err(Failure::new(Code::ConfigInvalid, format!("the token {} is too short", path.display()))
                .hint(format!("delete it, so that a new one is made: rm {}", path.display())));
        }
        Ok(Self(text))
    }

    /// Fails with `AlreadyExists` if there is one, so that two first starts agree on one token.
    fn make(dir: &Path, path: &Path) -> std::io::Result<Self> {
        if path.exists() {
            return Err(ErrorKind::AlreadyExists.into());
        }
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        let mut bytes = [0; TOKEN_BYTES];
        getrandom::fill(&mut bytes).map_err(std::io::Error::other)?;
        let token = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes);
        let draft = dir.join(format!("token.{}", std::process::id()));
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
        file.write_all(token.as_bytes())?;
        file.sync_all()?;
        // A link, unlike a rename, fails if somebody else was first; and the file is whole when it appears.
        let linked = std::fs::hard_link(&draft, path);
        std::fs::remove_file(&draft)?;
        linked.map(|()| Self(token))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_first_start_makes_a_token_and_the_next_one_keeps_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let state = dir.path().join("toolgate");
        let token = Token::load_or_make(&state).expect("made");
        assert_eq!(token.expose().len(), 43);
        assert_eq!(Token::load_or_make(&state).expect("kept").expose(), token.expose());
        let mode = std::fs::metadata(state.join("token")).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_token_others_can_read_is_refused() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("token");
        std::fs::write(&path, "x".repeat(43)).expect("written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).expect("set");
        assert_eq!(Token::load_or_make(dir.path()).err().map(|f| f.code), Some(Code::ConfigInvalid));
    }
}
