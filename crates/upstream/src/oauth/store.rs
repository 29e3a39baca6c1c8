//! Where logins are kept: one file each under `oauth/`, readable by its owner alone. A file is named by the issuer, the
//! resource and the configured server, so that nothing of one issuer is ever found for another.

use super::grant::Grant;
use super::registration::Client;
use super::{Address, canonical};
use crate::catalog_file::replace;
use gate::Secret;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use thiserror::Error;
use url::Url;

pub(super) const SCHEMA: &str = "toolgate.oauth/1";

/// The longest file that is read.
const LONGEST: u64 = 256 << 10;

/// Where a login at a server stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// There is none.
    None,
    /// There is one.
    LoggedIn {
        /// Who vouches for it.
        issuer: String,
        /// What it is for, as asked for and granted.
        scopes: Vec<String>,
        /// When its present token ends, in milliseconds of 1970; a new one is fetched if `renews`.
        expires_ms: Option<u64>,
        /// Whether it goes on without a person.
        renews: bool,
    },
    /// There was one, and it is over.
    Over,
}

/// Why what is kept cannot be used.
#[derive(Debug, Error)]
pub enum StoreError {
    /// Others could have read it.
    #[error("{} can be read or written by others", .0.display())]
    Exposed(PathBuf),
    /// The system would not.
    #[error("cannot {what} {}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// With which file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

impl StoreError {
    /// What would help.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Exposed(path) => {
                Some(format!("its tokens may be known to others: delete {} and log in anew", path.display()))
            }
            Self::Io { .. } => None,
        }
    }
}

/// One login.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Record {
    pub schema: String,
    pub server: String,
    /// Without query: whoever configures another place has no login there.
    pub url: String,
    pub issuer: String,
    pub resource: String,
    pub token_endpoint: Address,
    pub revocation_endpoint: Option<Address>,
    pub client: Client,
    pub access: Option<String>,
    pub refresh: Option<String>,
    pub obtained_ms: u64,
    pub expires_ms: Option<u64>,
    pub scopes: Vec<String>,
}

impl Record {
    /// Takes over what was granted at `now`.
    pub fn take(&mut self, granted: Grant, now_ms: u64) {
        self.access = Some(granted.access);
        // A server that does not rotate sends none again.
        self.refresh = granted.refresh.or(self.refresh.take());
        self.obtained_ms = now_ms;
        self.expires_ms = granted.expires_in_secs.map(|secs| now_ms.saturating_add(secs.saturating_mul(1000)));
        for scope in granted.scopes.unwrap_or_default() {
            if !self.scopes.contains(&scope) {
                self.scopes.push(scope);
            }
        }
    }

    /// Forgets what was granted; who we are at the issuer stays.
    pub fn end(&mut self) {
        (self.access, self.refresh, self.expires_ms) = (None, None, None);
    }

    pub fn standing(&self, now_ms: u64) -> Standing {
        let renews = self.refresh.is_some();
        let past = self.expires_ms.is_some_and(|at| at <= now_ms);
        if self.access.is_none() || (past && !renews) {
            return Standing::Over;
        }
        let (issuer, scopes) = (self.issuer.clone(), self.scopes.clone());
        Standing::LoggedIn { issuer, scopes, expires_ms: self.expires_ms, renews }
    }

    fn path(&self, state_dir: &Path) -> PathBuf {
        let name = Sha256::digest(format!("{}\n{}\n{}", self.issuer, self.resource, self.server));
        let name: String = name.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        folder(state_dir).join(format!("{name}.json"))
    }
}

fn folder(state_dir: &Path) -> PathBuf {
    state_dir.join("oauth")
}

/// Changes whenever something is kept or forgotten.
pub(super) fn stamp(state_dir: &Path) -> Option<SystemTime> {
    fs::metadata(folder(state_dir)).and_then(|folder| folder.modified()).ok()
}

/// A file that becomes another one whenever a login does: whoever masks tokens has to learn the new ones.
pub fn marker(state_dir: &Path) -> PathBuf {
    folder(state_dir).join("changed")
}

/// Touches the marker with something new. Without it a running gate learns of new tokens at its next start.
fn mark(state_dir: &Path, text: &[u8]) {
    if let Err(error) = replace(&marker(state_dir), Sha256::digest(text).map(|byte| b'a' + byte % 26).as_slice()) {
        tracing::warn!(target: "mcp::manager", %error, "gates that run do not hear of a changed login");
    }
}

/// All that is kept. What cannot be read is none: it is of no use to anybody.
fn all(state_dir: &Path) -> Vec<(PathBuf, Record)> {
    let Ok(entries) = fs::read_dir(folder(state_dir)) else { return Vec::new() };
    let paths =
        entries.flatten().map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|e| e == "json"));
    let read = |path: PathBuf| {
        let fits = fs::symlink_metadata(&path).is_ok_and(|file| file.is_file() && file.len() <= LONGEST);
        let text = fits.then(|| fs::read(&path).ok())??;
        Some((path, serde_json::from_slice::<Record>(&text).ok()?))
    };
    paths.filter_map(read).filter(|(_, record)| record.schema == SCHEMA).collect()
}

/// The login at the server of this name and place, the newest if there are several.
///
/// # Errors
/// [`StoreError::Exposed`].
pub(super) fn find(state_dir: &Path, server: &str, url: &Url) -> Result<Option<Record>, StoreError> {
    let place = canonical(url);
    let ours = |(_, record): &(PathBuf, Record)| record.server == server && record.url == place;
    let found = all(state_dir).into_iter().filter(ours).max_by_key(|(_, record)| record.obtained_ms);
    let Some((path, record)) = found else { return Ok(None) };
    private(&path)?;
    Ok(Some(record))
}

fn private(path: &Path) -> Result<(), StoreError> {
    let file = fs::symlink_metadata(path);
    let file = file.map_err(|source| StoreError::Io { what: "look at", path: path.to_owned(), source })?;
    match file.mode() & 0o077 {
        0 => Ok(()),
        _ => Err(StoreError::Exposed(path.to_owned())),
    }
}

/// Keeps a login, in place of every other of the same server.
///
/// # Errors
/// [`StoreError::Io`].
pub(super) fn keep(state_dir: &Path, record: &Record) -> Result<(), StoreError> {
    let path = record.path(state_dir);
    let text = serde_json::to_vec_pretty(record).unwrap_or_default();
    replace(&path, &text).map_err(|source| StoreError::Io { what: "write", path: path.clone(), source })?;
    mark(state_dir, &text);
    for (other, of) in all(state_dir) {
        if of.server == record.server && other != path {
            remove(&other)?;
        }
    }
    Ok(())
}

fn remove(path: &Path) -> Result<(), StoreError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done.map_err(|source| StoreError::Io { what: "remove", path: path.to_owned(), source }),
    }
}

/// Forgets every login at the server of this name; whether there was one.
///
/// # Errors
/// [`StoreError::Io`].
pub fn forget(state_dir: &Path, server: &str) -> Result<bool, StoreError> {
    let mut any = false;
    for (path, _) in all(state_dir).into_iter().filter(|(_, record)| record.server == server) {
        remove(&path)?;
        remove(&path.with_extension("lock"))?;
        any = true;
    }
    Ok(any)
}

/// Where the login at a server stands, at `now_ms` of 1970. Nothing is asked over the network.
pub fn standing(state_dir: &Path, server: &str, url: &str, now_ms: u64) -> Standing {
    let record = Url::parse(url).ok().and_then(|url| find(state_dir, server, &url).ok().flatten());
    record.map_or(Standing::None, |record| record.standing(now_ms))
}

/// What of the logins at the server of this name must never be seen.
pub fn secrets(state_dir: &Path, server: &str) -> Vec<Secret> {
    let records = all(state_dir).into_iter().map(|(_, record)| record).filter(|record| record.server == server);
    records.flat_map(|r| [r.access, r.refresh, r.client.secret]).flatten().map(Secret::new).collect()
}

/// Waits until nobody else, in whatever process, renews this login; holds until the file is dropped.
pub(super) fn lock(state_dir: &Path, record: &Record) -> io::Result<File> {
    let path = record.path(state_dir).with_extension("lock");
    let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path)?;
    file.lock()?;
    Ok(file)
}

#[cfg(test)]
mod tests;
