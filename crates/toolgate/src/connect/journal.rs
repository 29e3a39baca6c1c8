//! What is kept while a client is connected: how its files were, and what was done to them. One directory per client
//! below `$CODEX_HOME/toolgate/connect`, for its owner alone: the originals may hold secrets.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::apply::put;
use super::client::Client;
use super::plan::{Change, Which};
use super::{ConnectError, failed};

const SCHEMA: &str = "toolgate.connect-journal/1";

/// Where a client stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Its last round is being written.
    Connecting,
    /// It is behind the gate.
    Connected,
    /// Its files are being put back.
    Disconnecting,
}

/// What was done for one client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Journal {
    schema: String,
    /// The client.
    pub client: Client,
    /// Where it stands.
    pub state: State,
    /// One for each time servers were moved, oldest first.
    pub rounds: Vec<Round>,
    /// Servers that another client brought, which were left here when that one was disconnected.
    #[serde(default)]
    pub adopted: BTreeSet<String>,
}

/// What was done at one time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Round {
    /// When, in microseconds since 1970.
    pub at: u64,
    /// The files, in the order they were written.
    pub files: Vec<Record>,
    /// The servers.
    pub moved: Vec<Moved>,
    /// The keys under which the gate stands in the client's file.
    pub ours: Vec<String>,
}

/// One file, before and after.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Which of the two.
    pub which: Which,
    /// Where it is.
    pub path: PathBuf,
    /// The digest of what it held; none if it was not there.
    pub before: Option<String>,
    /// The digest of what was written; none if it was taken away.
    pub after: Option<String>,
    /// The mode it had, if it was narrowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<u32>,
}

/// One server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moved {
    /// Its name at the client.
    pub name: String,
    /// Its name in the gate.
    pub gate: String,
    /// Whether it was written into toolgate.toml; else the gate had the same one already.
    pub added: bool,
}

/// The digest of a text.
pub(super) fn digest(text: Option<&str>) -> Option<String> {
    let bytes = Sha256::digest(text?.as_bytes());
    Some(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn dir(home: &Path) -> PathBuf {
    home.join("toolgate/connect")
}

fn dir_of(home: &Path, client: Client) -> PathBuf {
    dir(home).join(client.word())
}

/// What is kept about a client; nothing if it is not connected.
///
/// # Errors
/// A journal that cannot be read.
pub fn read(home: &Path, client: Client) -> Result<Option<Journal>, ConnectError> {
    let path = dir_of(home, client).join("journal.json");
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed("read", &path)(error)),
    };
    let wrong = |why: String| ConnectError::Journal { path: path.clone(), why };
    let journal: Journal = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    if journal.schema != SCHEMA || journal.client != client {
        return Err(wrong(format!("it is no {SCHEMA} of {}", client.word())));
    }
    Ok(Some(journal))
}

/// The clients that are connected, or were on the way to be.
///
/// # Errors
/// A journal that cannot be read.
pub fn connected(home: &Path) -> Result<Vec<Journal>, ConnectError> {
    Client::ALL.into_iter().filter_map(|client| read(home, client).transpose()).collect()
}

impl Journal {
    /// A client that was never connected.
    pub(super) fn new(client: Client) -> Self {
        Self {
            schema: SCHEMA.to_owned(),
            client,
            state: State::Connecting,
            rounds: Vec::new(),
            adopted: BTreeSet::new(),
        }
    }

    /// The names its servers have in the gate.
    pub(super) fn gate_names(&self) -> BTreeSet<&str> {
        self.rounds.iter().flat_map(|round| &round.moved).map(|moved| moved.gate.as_str()).collect()
    }

    /// Writes it, whole or not at all.
    pub(super) fn save(&self, home: &Path) -> Result<(), ConnectError> {
        let dir = dir_of(home, self.client);
        make(&dir)?;
        let path = dir.join("journal.json");
        let text = serde_json::to_string_pretty(self);
        let text = text.map_err(|error| ConnectError::Journal { path: path.clone(), why: error.to_string() })?;
        put(&path, &text)
    }

    /// Keeps the texts of the round that comes next.
    pub(super) fn keep(&self, home: &Path, changes: &[Change]) -> Result<(), ConnectError> {
        let dir = dir_of(home, self.client);
        make(&dir)?;
        for (at, change) in changes.iter().enumerate() {
            for (kind, text) in [("before", &change.before), ("after", &change.after)] {
                if let Some(text) = text {
                    put(&dir.join(kept(self.rounds.len(), at, kind)), text)?;
                }
            }
        }
        Ok(())
    }

    /// The text of a file of a round before and after it.
    pub(super) fn texts(&self, home: &Path, round: usize, at: usize) -> Result<[Option<String>; 2], ConnectError> {
        let record = &self.rounds[round].files[at];
        let read = |kind: &str, expected: &Option<String>| {
            if expected.is_none() {
                return Ok(None);
            }
            let path = dir_of(home, self.client).join(kept(round, at, kind));
            let text = fs::read_to_string(&path).map_err(failed("read", &path))?;
            if digest(Some(&text)) != *expected {
                let why = "it is not what was kept".to_owned();
                return Err(ConnectError::Journal { path, why });
            }
            Ok(Some(text))
        };
        Ok([read("before", &record.before)?, read("after", &record.after)?])
    }

    /// The mode a file had that holds again what it held before some round.
    pub(super) fn mode_of(&self, path: &Path, text: Option<&str>) -> Option<u32> {
        let records = self.rounds.iter().flat_map(|round| &round.files);
        let now = digest(Some(text?));
        records.filter(|record| record.path == path && record.before == now).find_map(|record| record.mode)
    }

    /// Puts all of it aside: the client is not connected any more.
    pub(super) fn close(&self, home: &Path) -> Result<(), ConnectError> {
        let from = dir_of(home, self.client);
        let aside = |n: &u32| dir(home).join(format!("{}.{n}.done", self.client.word()));
        let to = (1..).map(|n| aside(&n)).find(|path| !path.exists()).unwrap_or_else(|| aside(&0));
        fs::rename(&from, &to).map_err(failed("put aside", &from))?;
        sync(&dir(home))
    }

    /// Forgets it: nothing was done.
    pub(super) fn forget(&self, home: &Path) -> Result<(), ConnectError> {
        let path = dir_of(home, self.client);
        // The journal first: without it, the rest is nothing.
        fs::remove_file(path.join("journal.json")).map_err(failed("remove", &path))?;
        fs::remove_dir_all(&path).map_err(failed("remove", &path))
    }
}

fn kept(round: usize, at: usize, kind: &str) -> String {
    format!("{round}-{at}.{kind}")
}

fn make(dir: &Path) -> Result<(), ConnectError> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed("create", dir))
}

/// Makes what was created or renamed in a directory last.
pub(super) fn sync(dir: &Path) -> Result<(), ConnectError> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(failed("write", dir))
}
