//! The file: made whole or not at all, readable by its owner alone, opened with the settings we rely on.

use super::schema::{self, MIGRATIONS};
use super::trouble::Trouble;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, SqliteConnection};
use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How long a writer waits for another. Each holds the lock for one small transaction.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// The size of one page, which every database has.
const LEAST_BYTES: u64 = 4096;

/// How many left-over drafts are passed by.
const MOST_DRAFTS: u32 = 1_000;

/// A connection, and which file it is to.
pub(super) struct Opened {
    pub connection: SqliteConnection,
    /// Tells this connection from its predecessors: what SQLite counts is counted anew in each.
    pub turn: u64,
    inode: (u64, u64),
}

impl Opened {
    /// Whether the file of this connection is still the one at `path`.
    pub fn is_at(&self, path: &Path) -> bool {
        inode(path).is_ok_and(|inode| inode == self.inode)
    }
}

/// Opens the database at `path`, and makes it first if there is nothing.
pub(super) async fn open(path: &Path) -> Result<Opened, Trouble> {
    static TURN: AtomicU64 = AtomicU64::new(0);
    if !path.try_exists().map_err(Trouble::io("look for it"))? {
        create(path).await?;
    }
    keep_private(path).map_err(Trouble::io("make it private"))?;
    let inode = inode(path).map_err(Trouble::io("look at it"))?;
    if std::fs::metadata(path).map_err(Trouble::io("look at it"))?.len() < LEAST_BYTES {
        // SQLite would take it for a new database. We never leave such a one, so it lost what it had.
        return Err(Trouble::Foreign("the file is too short"));
    }
    let mut connection = connect(path).await?;
    schema::migrate(&mut connection, MIGRATIONS).await?;
    Ok(Opened { connection, turn: TURN.fetch_add(1, Ordering::Relaxed), inode })
}

async fn connect(path: &Path) -> Result<SqliteConnection, Trouble> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(false)
        .busy_timeout(BUSY_TIMEOUT)
        .journal_mode(SqliteJournalMode::Wal)
        // An answer that was acknowledged survives a power failure too.
        .synchronous(SqliteSynchronous::Full)
        .disable_statement_logging();
    Ok(options.connect().await?)
}

/// Makes a whole database under another name and gives it its own then, so that nobody ever sees half of one, and
/// of many processes that come first together one is the first.
async fn create(path: &Path) -> Result<(), Trouble> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(Trouble::io("make its directory"))?;
    let draft = make_draft(path).map_err(Trouble::io("create it"))?;
    let made = fill(&draft).await;
    let linked = made.and_then(|()| match std::fs::hard_link(&draft, path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(Trouble::io("create it")(error)),
        _ => Ok(()),
    });
    let removed = std::fs::remove_file(&draft).map_err(Trouble::io("remove its draft"));
    let synced = File::open(dir).and_then(|dir| dir.sync_all()).map_err(Trouble::io("sync its directory"));
    linked.and(removed).and(synced)
}

async fn fill(draft: &Path) -> Result<(), Trouble> {
    let mut connection = connect(draft).await?;
    schema::create(&mut connection, MIGRATIONS).await?;
    // The last one out moves everything into the one file.
    connection.close().await?;
    Ok(())
}

fn make_draft(path: &Path) -> io::Result<PathBuf> {
    let mut last = io::Error::from(ErrorKind::AlreadyExists);
    for number in 0..MOST_DRAFTS {
        let draft = beside(path, &format!(".{}-{number}.new", std::process::id()));
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft) {
            Ok(_) => return Ok(draft),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => last = error,
            Err(error) => return Err(error),
        }
    }
    Err(last)
}

fn keep_private(path: &Path) -> io::Result<()> {
    for path in [path.to_owned(), beside(path, "-wal"), beside(path, "-shm")] {
        // Never opened here: closing any descriptor of the file drops the locks that SQLite holds on it.
        match std::fs::metadata(&path) {
            Ok(found) if found.mode() & 0o077 != 0 => std::fs::set_permissions(&path, Permissions::from_mode(0o600))?,
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn inode(path: &Path) -> io::Result<(u64, u64)> {
    std::fs::metadata(path).map(|found| (found.dev(), found.ino()))
}
