//! Keys that are made at first use and kept in files that only their owner can read.

use crate::tree::hex;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// The key that signs the record, beside the audit directory.
pub const KEY_FILE: &str = "audit.key";

/// Its public half, for everybody.
pub const PUBLIC_FILE: &str = "audit.pub";

/// The DER that stands before the 32 bytes of an Ed25519 public key.
const DER: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// Why there is no key.
#[derive(Debug, Error)]
pub enum KeyError {
    /// Others may know it.
    #[error("the key `{}` can be read by others", .0.display())]
    Open(PathBuf),
    /// It is none of ours.
    #[error("the key `{}` has {} bytes instead of {}", .path.display(), .found, .wanted)]
    Length {
        /// Which file.
        path: PathBuf,
        /// How many bytes it has, at least.
        found: usize,
        /// How many it must have.
        wanted: usize,
    },
    /// The public key in the file is another one.
    #[error("`{}` is not the public half of the key beside it", .0.display())]
    Mismatch(PathBuf),
    /// What is in the file is no public key.
    #[error("`{}` holds no Ed25519 public key", .0.display())]
    NotPublic(PathBuf),
    /// The system would not.
    #[error("cannot use the key `{}`", .path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> KeyError + '_ {
    |source| KeyError::Io { path: path.to_owned(), source }
}

/// The `len` random bytes in the file `path`, made now if there is none, with mode 0600. Of any number of processes
/// that make it at once, all get the same.
///
/// # Errors
/// [`KeyError`] for a file that others can read, that has another length, or that cannot be made.
pub fn load_or_make(path: &Path, len: usize) -> Result<Vec<u8>, KeyError> {
    match load(path, len) {
        Err(KeyError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => {}
        loaded => return loaded,
    }
    let mut bytes = vec![0; len];
    getrandom::fill(&mut bytes).map_err(io::Error::other).map_err(at(path))?;
    match publish(path, &bytes, 0o600) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => load(path, len),
        made => made.map(|()| bytes).map_err(at(path)),
    }
}

fn load(path: &Path, wanted: usize) -> Result<Vec<u8>, KeyError> {
    let file = File::open(path).map_err(at(path))?;
    if file.metadata().map_err(at(path))?.mode() & 0o077 != 0 {
        return Err(KeyError::Open(path.to_owned()));
    }
    let mut bytes = Vec::new();
    file.take(wanted as u64 + 1).read_to_end(&mut bytes).map_err(at(path))?;
    if bytes.len() != wanted {
        return Err(KeyError::Length { path: path.to_owned(), found: bytes.len(), wanted });
    }
    Ok(bytes)
}

/// Makes a file that is whole when it appears. Fails with `AlreadyExists` if somebody else was first.
fn publish(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let dir = path.parent().unwrap_or(Path::new("."));
    crate::disk::ensure_private_dir(dir)?;
    let mut draft = path.as_os_str().to_owned();
    draft.push(format!(".{}.{}", std::process::id(), hex(&fresh()?)));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&draft)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    // A link, unlike a rename, fails if somebody else was first.
    let linked = written.and_then(|()| std::fs::hard_link(&draft, path));
    std::fs::remove_file(&draft)?;
    linked.and_then(|()| crate::disk::sync_dir(dir))
}

fn fresh() -> io::Result<[u8; 8]> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(bytes)
}

/// Signs the record. Does not print.
pub struct Signer {
    key: SigningKey,
    public: PublicKey,
}

impl Signer {
    /// The key in `dir` (`audit.key`, and `audit.pub` beside it), made now if there is none.
    ///
    /// # Errors
    /// [`KeyError`] if a file cannot be used, or the two do not belong together.
    pub fn load_or_make(dir: &Path) -> Result<Self, KeyError> {
        let seed = load_or_make(&dir.join(KEY_FILE), 32)?;
        let signer = Self::from_seed(&seed.try_into().expect("32 bytes were asked for"));
        let path = dir.join(PUBLIC_FILE);
        match publish_public(&path, &signer.public) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            made => return made.map(|()| signer).map_err(at(&path)),
        }
        match PublicKey::read(&path)? {
            public if public == signer.public => Ok(signer),
            _ => Err(KeyError::Mismatch(path)),
        }
    }

    /// The key of this seed.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        let key = SigningKey::from_bytes(seed);
        let public = PublicKey(key.verifying_key());
        Self { key, public }
    }

    /// The half that everybody may know.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    pub(crate) fn sign(&self, statement: &[u8]) -> [u8; 64] {
        self.key.sign(statement).to_bytes()
    }
}

fn publish_public(path: &Path, public: &PublicKey) -> io::Result<()> {
    if path.exists() {
        return Err(ErrorKind::AlreadyExists.into());
    }
    publish(path, public.to_pem().as_bytes(), 0o644)
}

/// Checks what a [`Signer`] signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

impl PublicKey {
    /// The key in a PEM file, as `audit.pub` is one.
    ///
    /// # Errors
    /// [`KeyError`] if it cannot be read or is no such key.
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        let mut text = String::new();
        let file = File::open(path).map_err(at(path))?;
        file.take(4096).read_to_string(&mut text).map_err(at(path))?;
        Self::from_pem(&text).ok_or_else(|| KeyError::NotPublic(path.to_owned()))
    }

    /// The key in PEM (SubjectPublicKeyInfo), as openssl reads it.
    pub fn to_pem(&self) -> String {
        let der = [&DER[..], self.0.as_bytes()].concat();
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", base64(&der))
    }

    /// Reads [`PublicKey::to_pem`].
    pub fn from_pem(text: &str) -> Option<Self> {
        let (_, rest) = text.split_once("-----BEGIN PUBLIC KEY-----")?;
        let (body, _) = rest.split_once("-----END PUBLIC KEY-----")?;
        let der = unbase64(body.split_whitespace().collect::<String>().as_bytes())?;
        let bytes: [u8; 32] = der.strip_prefix(&DER)?.try_into().ok()?;
        VerifyingKey::from_bytes(&bytes).ok().map(Self)
    }

    /// The first 16 hex digits of the SHA-256 of the 32 bytes: which key it is, for people and for checkpoints.
    pub fn id(&self) -> String {
        hex(&Sha256::digest(self.0.as_bytes())[..8])
    }

    pub(crate) fn holds(&self, statement: &[u8], signature: &[u8; 64]) -> bool {
        self.0.verify_strict(statement, &Signature::from_bytes(signature)).is_ok()
    }
}

const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// 44 bytes are the only thing written so, which does not earn a dependency.
fn base64(bytes: &[u8]) -> String {
    let group = |chunk: &[u8]| {
        let bits = chunk.iter().chain(&[0; 2]).take(3).fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
        let letter = |at: usize| char::from(LETTERS[(bits >> (18 - 6 * at)) as usize & 63]);
        (0..4).map(|at| if at <= chunk.len() { letter(at) } else { '=' }).collect::<String>()
    };
    bytes.chunks(3).map(group).collect()
}

fn unbase64(text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    for chunk in text.chunks(4) {
        let kept = chunk.iter().filter(|letter| **letter != b'=').count();
        let value = |letter: &u8| LETTERS.iter().position(|known| known == letter).unwrap_or(64) as u32;
        let values: Vec<u32> = chunk.iter().take(kept).map(value).collect();
        if chunk.len() != 4 || kept < 2 || values.contains(&64) {
            return None;
        }
        let bits = values.iter().chain(&[0; 2]).take(4).fold(0, |bits, value| bits << 6 | value);
        bytes.extend_from_slice(&bits.to_be_bytes()[1..kept]);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use tempfile::tempdir;

    #[test]
    fn all_who_make_a_key_at_once_get_the_same() {
        let dir = tempdir().expect("a directory");
        let path = dir.path().join("toolgate/audit.hmac");
        let made: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| load_or_make(&path, 32).expect("made"))).collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
        });
        assert!(made.iter().all(|key| *key == made[0]) && made[0] != [0; 32]);
        assert_eq!(std::fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(path.parent().expect("a parent")).expect("there").count(), 1, "no drafts stay");
    }

    #[test]
    fn a_key_that_others_can_read_or_that_is_cut_is_refused() {
        let dir = tempdir().expect("a directory");
        let path = dir.path().join("k");
        load_or_make(&path, 32).expect("made");
        assert!(matches!(load_or_make(&path, 16), Err(KeyError::Length { found: 17, wanted: 16, .. })));
        assert!(matches!(load_or_make(&path, 64), Err(KeyError::Length { found: 32, wanted: 64, .. })));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).expect("ours");
        assert!(matches!(load_or_make(&path, 32), Err(KeyError::Open(_))));
    }

    #[test]
    fn the_public_half_lies_beside_the_key_and_must_fit_it() {
        let dir = tempdir().expect("a directory");
        let signer = Signer::load_or_make(dir.path()).expect("made");
        let again = Signer::load_or_make(dir.path()).expect("kept");
        let public = PublicKey::read(&dir.path().join(PUBLIC_FILE)).expect("made");
        assert!(public == *signer.public() && public == *again.public());
        let signature = again.sign(b"this");
        assert!(public.holds(b"this", &signature) && !public.holds(b"that", &signature));
        std::fs::remove_file(dir.path().join(KEY_FILE)).expect("ours");
        assert!(matches!(Signer::load_or_make(dir.path()), Err(KeyError::Mismatch(_))));
    }

    #[test]
    fn a_public_key_is_read_back_and_nothing_else_is_one() {
        let public = Signer::from_seed(&[7; 32]).public().clone();
        let pem = public.to_pem();
        assert_eq!(PublicKey::from_pem(&pem), Some(public));
        for text in
            ["", "-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----", &pem[..60], &pem.replace("MCow", "MCox")]
        {
            assert_eq!(PublicKey::from_pem(text), None, "{text}");
        }
        for bytes in [&b""[..], b"a", b"ab", b"abc", b"abcd"] {
            assert_eq!(unbase64(base64(bytes).as_bytes()).as_deref(), Some(bytes));
        }
    }
}
