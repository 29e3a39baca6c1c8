//! Writing the configuration files: one writer at a time, whole or not at all, never wider open than before.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::edit::{self, Edit, EditError};
use super::json_edit;
use super::place::{Place, Problem, Source};

/// Why nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The file's text cannot be edited.
    #[error(transparent)]
    Text(#[from] Problem),
    /// The system would not.
    #[error("cannot {what} {path}", path = path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// The right to write the files of one home, held by one process at a time. Read the configuration again after
/// taking it: another may have written in between.
#[derive(Debug)]
pub struct Writer {
    home: PathBuf,
    _lock: File,
}

impl Writer {
    /// Waits for the right. Makes the home and its state directory (mode 0700) when they are missing.
    ///
    /// # Errors
    /// When a directory or the lock file cannot be made.
    pub fn lock(home: &Path) -> Result<Self, WriteError> {
        let state = home.join("toolgate");
        DirBuilder::new().recursive(true).mode(0o700).create(&state).map_err(failed("create", &state))?;
        let path = state.join("config.lock");
        let options = File::options().create(true).truncate(false).write(true).clone();
        let lock = options.open(&path).map_err(failed("open", &path))?;
        lock.lock().map_err(failed("lock", &path))?;
        Ok(Self { home: home.to_owned(), _lock: lock })
    }

    /// Edits the files of these layers, each named once, and says which of them changed. All edits are worked out before the first
    /// file is replaced, so that one that cannot be edited leaves all as they were.
    ///
    /// # Errors
    /// When a file cannot be read, edited or replaced.
    pub fn edit(&self, edits: &[(Source, Vec<Edit>)]) -> Result<Vec<Source>, WriteError> {
        self.write(self.plan(edits)?)
    }

    /// Works out what the files would become, and writes nothing yet.
    ///
    /// # Errors
    /// When a file cannot be read or edited.
    pub fn plan(&self, edits: &[(Source, Vec<Edit>)]) -> Result<Vec<Change>, WriteError> {
        let prepared: Result<Vec<_>, _> = edits.iter().map(|(source, edits)| self.prepare(*source, edits)).collect();
        Ok(prepared?.into_iter().flatten().collect())
    }

    /// Replaces the files, and says which.
    ///
    /// # Errors
    /// When a file cannot be replaced; those before it are new then.
    pub fn write(&self, changes: Vec<Change>) -> Result<Vec<Source>, WriteError> {
        changes.into_iter().map(|change| replace(&change.path, &change.text).map(|()| change.source)).collect()
    }

    fn prepare(&self, source: Source, edits: &[Edit]) -> Result<Option<Change>, WriteError> {
        let Some(path) = source.file(&self.home) else {
            return Ok(None);
        };
        // A link (people keep their settings in a repository) stays a link.
        let path = fs::canonicalize(&path).unwrap_or(path);
        let before = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(failed("read", &path)(error)),
        };
        let apply = if source == Source::Json { json_edit::apply } else { edit::apply };
        let text = apply(&before, edits).map_err(|error| problem(&path, &before, &error))?;
        Ok((text != before).then_some(Change { source, path, text }))
    }
}

/// What a file is to become.
#[derive(Debug)]
pub struct Change {
    /// Which layer it is.
    pub source: Source,
    /// Where it is.
    pub path: PathBuf,
    /// What it will hold.
    pub text: String,
}

fn problem(path: &Path, text: &str, error: &EditError) -> Problem {
    let path: Arc<Path> = path.into();
    let offset = if let EditError::Syntax { offset, .. } = error { *offset } else { 0 };
    Problem::new(&Place::at(&path, text, offset), error.to_string()).hint("nothing was written; mend the file by hand")
}

fn replace(path: &Path, text: &str) -> Result<(), WriteError> {
    let dir = path.parent().unwrap_or(Path::new("."));
    // Made with mode 0600; an older file keeps the mode its owner gave it.
    let mut file = tempfile::Builder::new().prefix(".config-").tempfile_in(dir).map_err(failed("create", dir))?;
    if let Ok(old) = fs::metadata(path) {
        let mode = Permissions::from_mode(old.permissions().mode());
        file.as_file().set_permissions(mode).map_err(failed("set the mode of", path))?;
    }
    file.write_all(text.as_bytes()).map_err(failed("write", path))?;
    file.as_file().sync_all().map_err(failed("write", path))?;
    file.persist(path).map_err(|error| failed("replace", path)(error.error))?;
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(failed("write", dir))
}

fn failed(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> WriteError + use<> {
    let path = path.to_owned();
    move |source| WriteError::Io { what, path, source }
}
