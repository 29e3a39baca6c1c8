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
    /// Somebody who does not ask for the right wrote in between.
    #[error("{path} was changed meanwhile; it was not written", path = path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
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
        changes.into_iter().map(|change| replace(&change).map(|()| change.source)).collect()
    }

    fn prepare(&self, source: Source, edits: &[Edit]) -> Result<Option<Change>, WriteError> {
        let Some(path) = source.file(&self.home) else {
            return Ok(None);
        };
        let path = followed(&path);
        let before = read(&path)?;
        let apply = if source == Source::Json { json_edit::apply } else { edit::apply };
        let text = apply(&before, edits).map_err(|error| problem(&path, &before, &error))?;
        Ok((text != before).then_some(Change { source, path, before, text }))
    }
}

/// What a file is to become.
#[derive(Debug)]
pub struct Change {
    /// Which layer it is.
    pub source: Source,
    /// Where it is.
    pub path: PathBuf,
    /// What it holds.
    pub before: String,
    /// What it will hold.
    pub text: String,
}

/// Where a link leads, also when nothing is there yet: people keep their settings in a repository, and a link stays a
/// link.
pub fn followed(path: &Path) -> PathBuf {
    let led = || path.read_link().map(|to| path.parent().unwrap_or(Path::new("/")).join(to));
    fs::canonicalize(path).or_else(|_| led()).unwrap_or_else(|_| path.to_owned())
}

fn read(path: &Path) -> Result<String, WriteError> {
    match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        read => read.map_err(failed("read", path)),
    }
}

fn problem(path: &Path, text: &str, error: &EditError) -> Problem {
    let path: Arc<Path> = path.into();
    let offset = if let EditError::Syntax { offset, .. } = error { *offset } else { 0 };
    Problem::new(&Place::at(&path, text, offset), error.to_string()).hint("nothing was written; mend the file by hand")
}

fn replace(change: &Change) -> Result<(), WriteError> {
    let path = change.path.as_path();
    let dir = path.parent().unwrap_or(Path::new("."));
    // Made with mode 0600; an older file keeps the mode its owner gave it.
    let mut file = tempfile::Builder::new().prefix(".config-").tempfile_in(dir).map_err(failed("create", dir))?;
    if let Ok(old) = fs::metadata(path) {
        let mode = Permissions::from_mode(old.permissions().mode());
        file.as_file().set_permissions(mode).map_err(failed("set the mode of", path))?;
    }
    file.write_all(change.text.as_bytes()).map_err(failed("write", path))?;
    file.as_file().sync_all().map_err(failed("write", path))?;
    if read(path)? != change.before {
        return Err(WriteError::Changed { path: path.to_owned() });
    }
    file.persist(path).map_err(|error| failed("replace", path)(error.error))?;
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(failed("write", dir))
}

fn failed(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> WriteError + use<> {
    let path = path.to_owned();
    move |source| WriteError::Io { what, path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edits() -> Vec<(Source, Vec<Edit>)> {
        let table: toml_edit::DocumentMut = "command = 'x'".parse().unwrap();
        vec![(Source::Codex, vec![Edit::Put { name: "a".to_owned(), table: table.as_table().clone() }])]
    }

    #[test]
    fn what_another_program_wrote_meanwhile_stays() {
        let home = tempfile::tempdir().unwrap();
        let writer = Writer::lock(home.path()).unwrap();
        let plan = writer.plan(&edits()).unwrap();
        let path = home.path().join("config.toml");
        fs::write(&path, "model = 'new'\n").unwrap();
        assert!(matches!(writer.write(plan), Err(WriteError::Changed { .. })));
        assert_eq!(fs::read_to_string(path).unwrap(), "model = 'new'\n");
        let left = fs::read_dir(home.path()).unwrap().count();
        assert_eq!(left, 2, "the file and the state directory");
    }

    #[test]
    fn a_link_that_leads_nowhere_yet_stays_a_link() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("config.toml");
        std::os::unix::fs::symlink("kept.toml", &path).unwrap();
        Writer::lock(home.path()).unwrap().edit(&edits()).unwrap();
        assert!(path.is_symlink());
        assert!(fs::read_to_string(home.path().join("kept.toml")).unwrap().contains("command"));
    }
}
