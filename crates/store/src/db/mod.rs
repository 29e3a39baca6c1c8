//! The database: questions to people, their answers, leave that lasts, and conversations that go on, in one SQLite file that any number of
//! toolgate processes share.
//!
//! [`Db`] is `gate::ports::Desk`. Nothing is opened before the first question. Not here: what a question means (the
//! gate's), who may answer it (the command line's and the faces'), and the record of calls, which is a file first.

mod conversations;
mod desk;
mod file;
mod rows;
mod schema;
mod trouble;
mod wait;

pub use conversations::Conversation;

use file::Opened;
use gate::ports::{Clock, DeskError};
use sqlx::SqliteConnection;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::{Mutex, MutexGuard, watch};
use trouble::Trouble;
use wait::Seen;

/// The name of the file in the state directory.
pub const FILE: &str = "toolgate.db";

/// The database of one home. Cheap to make: the file is made or opened when it is first needed.
pub struct Db {
    path: PathBuf,
    clock: Arc<dyn Clock>,
    /// None before the first use, and after any that failed or was broken off: the next one starts afresh.
    opened: Mutex<Option<Opened>>,
    /// Goes up when this process, or somebody else as far as we noticed, changed something.
    changes: watch::Sender<u64>,
    /// Held by the one waiter who looks for changes of other processes on behalf of all.
    lookout: Mutex<Option<Seen>>,
}

impl Db {
    /// The database at `path`. Does no I/O.
    pub fn at(path: impl Into<PathBuf>, clock: Arc<dyn Clock>) -> Self {
        Self {
            path: path.into(),
            clock,
            opened: Mutex::new(None),
            changes: watch::Sender::new(0),
            lookout: Mutex::new(None),
        }
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// One use of the connection, which opens it if need be.
    async fn using<T>(
        &self,
        work: impl AsyncFnOnce(&mut SqliteConnection) -> Result<T, Trouble>,
    ) -> Result<T, DeskError> {
        self.lent(async |opened| work(&mut opened.connection).await).await
    }

    async fn lent<T>(&self, work: impl AsyncFnOnce(&mut Opened) -> Result<T, Trouble>) -> Result<T, DeskError> {
        let mut place = self.opened.lock().await;
        // Put back only after success: a connection whose use failed or was dropped half-way may be in the middle of
        // a transaction, and closing it rolls that back.
        let mut opened = self.opened_now(&mut place).await.map_err(|trouble| trouble.at(&self.path))?;
        let done = work(&mut opened).await.map_err(|trouble| trouble.at(&self.path))?;
        *place = Some(opened);
        Ok(done)
    }

    async fn opened_now(&self, place: &mut MutexGuard<'_, Option<Opened>>) -> Result<Opened, Trouble> {
        match place.take() {
            // Somebody may have moved the file away, as we tell people to do with a damaged one.
            Some(opened) if opened.is_at(&self.path) => Ok(opened),
            _ => file::open(&self.path).await,
        }
    }

    fn changed(&self) {
        self.changes.send_modify(|count| *count = count.wrapping_add(1));
    }
}
