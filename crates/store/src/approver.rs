//! The approver's secret: what a person shows to answer without a terminal. Only its hash is kept here.
//!
//! Not here: how the secret is made and read, and when it is asked for.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use subtle::ConstantTimeEq;
use thiserror::Error;

/// The name of the file in the state directory.
pub const FILE: &str = "approver.json";

const SCHEMA: &str = "toolgate.approver/1";

/// Why the secret cannot be checked or kept.
#[derive(Debug, Error)]
pub enum ApproverError {
    /// Nobody has made a secret yet.
    #[error("there is no approver's secret yet")]
    None,
    /// Others could have put their own hash there, or try secrets against it.
    #[error("`{}` is open to others", .0.display())]
    Open(PathBuf),
    /// Somebody has changed the file.
    #[error("`{}` cannot be understood", .0.display())]
    Senseless(PathBuf),
    /// The file system would not.
    #[error("cannot {what} `{}`", .path.display())]
    Io {
        /// What was to be done with it.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl ApproverError {
    /// What would help.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::None => Some("make one: toolgate approvals secret --new --out FILE".to_owned()),
            Self::Open(path) => Some(format!("if nobody can have changed it: chmod 600 {}", path.display())),
            Self::Senseless(path) => Some(format!(
                "delete it (rm {}) and make a new secret: toolgate approvals secret --new",
                path.display()
            )),
            Self::Io { .. } => None,
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Kept {
    schema: String,
    sha256: String,
}

/// Whether this is the approver's secret. `state_dir` is `$CODEX_HOME/toolgate`; space around the secret does not
/// count. Takes as long for a wrong one as for the right one.
///
/// # Errors
/// [`ApproverError`] if there is none to compare with. That is a no.
pub fn check(state_dir: &Path, secret: &str) -> Result<bool, ApproverError> {
    let path = state_dir.join(FILE);
    let io = |source: io::Error| match source.kind() {
        ErrorKind::NotFound => ApproverError::None,
        _ => ApproverError::Io { what: "read", path: path.clone(), source },
    };
    if std::fs::metadata(&path).map_err(io)?.mode() & 0o077 != 0 {
        return Err(ApproverError::Open(path));
    }
    let text = std::fs::read(&path).map_err(io)?;
    let kept =
        serde_json::from_slice(&text).ok().filter(|kept: &Kept| kept.schema == SCHEMA && kept.sha256.len() == 64);
    let kept = kept.ok_or(ApproverError::Senseless(path))?;
    Ok(kept.sha256.as_bytes().ct_eq(hash(secret).as_bytes()).into())
}

/// Whether there is a secret, sound or not.
///
/// # Errors
/// [`ApproverError::Io`] if that cannot be told.
pub fn exists(state_dir: &Path) -> Result<bool, ApproverError> {
    let path = state_dir.join(FILE);
    path.try_exists().map_err(|source| ApproverError::Io { what: "look for", path, source })
}

/// From now on `secret` is the approver's, and any earlier one is not.
///
/// # Errors
/// [`ApproverError::Io`]; the earlier one is still the one then.
pub fn keep(state_dir: &Path, secret: &str) -> Result<(), ApproverError> {
    let path = state_dir.join(FILE);
    write(state_dir, &path, secret).map_err(|source| ApproverError::Io { what: "write", path, source })
}

fn write(dir: &Path, path: &Path, secret: &str) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    let draft = dir.join(format!("{FILE}.{}", std::process::id()));
    let text = serde_json::to_string(&Kept { schema: SCHEMA.to_owned(), sha256: hash(secret) })?;
    match std::fs::remove_file(&draft) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    let written = writeln!(file, "{text}").and_then(|()| file.sync_all()).and_then(|()| std::fs::rename(&draft, path));
    if written.is_err() {
        let _ = std::fs::remove_file(&draft);
    }
    written?;
    File::open(dir)?.sync_all()
}

fn hash(secret: &str) -> String {
    Sha256::digest(secret.trim()).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn mode(path: &Path, mode: u32) {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("ours");
    }

    #[test]
    fn only_the_secret_that_was_kept_last_is_the_secret() {
        let dir = tempfile::tempdir().expect("a directory");
        let state = dir.path().join("toolgate");
        assert!(matches!(check(&state, ""), Err(ApproverError::None)));
        assert!(!exists(&state).expect("told"));
        keep(&state, "one").expect("room");
        assert!(exists(&state).expect("told"));
        assert!(check(&state, " one\n").expect("told"));
        keep(&state, "two").expect("room");
        assert!(check(&state, "two").expect("told"));
        for wrong in ["one", "", "two2", "TWO"] {
            assert!(!check(&state, wrong).expect("told"), "{wrong}");
        }
        let text = std::fs::read_to_string(state.join(FILE)).expect("there");
        assert!(!text.contains("two"), "{text}");
        assert_eq!(std::fs::metadata(state.join(FILE)).expect("there").mode() & 0o777, 0o600);
    }

    #[test]
    fn a_file_others_can_reach_or_that_says_nothing_is_a_no() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join(FILE);
        keep(dir.path(), "one").expect("room");
        for open in [0o640, 0o604, 0o620, 0o602] {
            mode(&path, open);
            assert!(matches!(check(dir.path(), "one"), Err(ApproverError::Open(_))), "{open:o}");
        }
        mode(&path, 0o600);
        for text in ["", "{}", r#"{"schema":"toolgate.approver/1","sha256":""}"#, r#"{"schema":"x","sha256":"y"}"#] {
            std::fs::write(&path, text).expect("ours");
            assert!(matches!(check(dir.path(), ""), Err(ApproverError::Senseless(_))), "{text}");
        }
    }
}
