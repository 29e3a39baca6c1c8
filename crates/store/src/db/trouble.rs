//! Why the database could not be used, in words that name the file and the next step.

use gate::ports::DeskError;
use std::io;
use std::path::Path;
use thiserror::Error;

const SQLITE_BUSY: i32 = 5;
const SQLITE_CORRUPT: i32 = 11;
const SQLITE_FULL: i32 = 13;
const SQLITE_NOTADB: i32 = 26;

/// Why the database could not be used.
#[derive(Debug, Error)]
pub(super) enum Trouble {
    #[error("{what}: {source}")]
    Io { what: &'static str, source: io::Error },
    #[error(transparent)]
    Sql(#[from] sqlx::Error),
    #[error("it was written by a newer toolgate (its schema is {found}, this program knows {known})")]
    Newer { found: i64, known: i64 },
    #[error("it is not a database of toolgate: {0}")]
    Foreign(&'static str),
    #[error("what stands in it cannot be understood: {0}")]
    Senseless(String),
}

impl Trouble {
    pub fn io(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { what, source }
    }

    /// The error of a desk that lies at `path`.
    pub fn at(self, path: &Path) -> DeskError {
        let next = self.next_step(path);
        DeskError(format!("the database {} cannot be used: {self}{next}", path.display()))
    }

    fn next_step(&self, path: &Path) -> String {
        match self {
            Self::Newer { .. } => "; update toolgate, or use another home".to_owned(),
            Self::Foreign(_) | Self::Senseless(_) => move_away(path),
            Self::Sql(error) => match sqlite_code(error) {
                Some(SQLITE_CORRUPT | SQLITE_NOTADB) => move_away(path),
                Some(SQLITE_FULL) => "; make room on its disk".to_owned(),
                Some(SQLITE_BUSY) => "; another process has held it for long: try again".to_owned(),
                _ => String::new(),
            },
            Self::Io { .. } => String::new(),
        }
    }
}

/// The primary result code. Extended codes carry theirs in the upper bytes.
fn sqlite_code(error: &sqlx::Error) -> Option<i32> {
    let extended: i32 = error.as_database_error()?.code()?.parse().ok()?;
    Some(extended & 0xff)
}

fn move_away(path: &Path) -> String {
    let path = path.display();
    format!(
        "; move it away (`mv {path} {path}.damaged`, and `{path}-wal` and `{path}-shm` with it): approvals and grants \
         in it are lost, the record of calls is not"
    )
}
