//! Where managed files are and whether they may be believed. What they demand is `managed`'s.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::env::Env;
use super::node::{self, Table};
use super::place::{Place, Problem};

/// One managed file, read.
#[derive(Debug)]
pub(super) struct ManagedFile {
    pub(super) path: PathBuf,
    pub(super) dialect: Dialect,
    pub(super) table: Table,
    /// Why it could not be read whole. Nothing may run then.
    pub(super) problems: Vec<Problem>,
}

/// Whose file it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// Codex's: what is not ours in it is for Codex.
    Codex,
    /// Ours: what is not understood is a mistake.
    Toolgate,
}

const FIXED: [(&str, Dialect); 2] =
    [("/etc/toolgate/requirements.toml", Dialect::Toolgate), ("/etc/codex/requirements.toml", Dialect::Codex)];

const NAMED: [(&str, Dialect); 2] =
    [("TOOLGATE_REQUIREMENTS", Dialect::Toolgate), ("CODEX_REQUIREMENTS", Dialect::Codex)];

/// Reads the files at their fixed places, if they are there, and then those that variables name, which have to be.
pub(super) fn read(env: &Env) -> Vec<ManagedFile> {
    looked_for(env).filter_map(|(path, dialect, rank)| file(path, dialect, rank)).collect()
}

/// Changes when any managed file does.
pub fn managed_stamp(env: &Env) -> [u8; 32] {
    let mut digest = Sha256::new();
    for (path, ..) in looked_for(env) {
        let text = fs::read(&path).ok();
        digest.update((path.as_os_str().len() as u64).to_le_bytes());
        digest.update(path.as_os_str().as_encoded_bytes());
        digest.update(text.as_ref().map_or(u64::MAX, |text| text.len() as u64).to_le_bytes());
        digest.update(text.unwrap_or_default());
    }
    digest.finalize().into()
}

/// Where managed files can be.
pub(super) fn looked_for(env: &Env) -> impl Iterator<Item = (PathBuf, Dialect, Rank)> {
    let fixed = FIXED.iter().map(|(path, dialect)| (PathBuf::from(path), *dialect, Rank::Fixed));
    let named =
        NAMED.iter().filter_map(|(variable, dialect)| Some((env.filled(variable)?.into(), *dialect, Rank::Named)));
    fixed.chain(named)
}

/// Whether a file has to be there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Rank {
    /// Missing is fine, and only root may have written it.
    Fixed,
    /// Somebody said it is there.
    Named,
}

fn file(path: PathBuf, dialect: Dialect, rank: Rank) -> Option<ManagedFile> {
    let shared: Arc<Path> = path.as_path().into();
    let start = Place::at(&shared, "", 0);
    let text = match read_guarded(&path, rank == Rank::Fixed) {
        Ok(text) => text,
        Err(Unread::Io(error)) if rank == Rank::Fixed && error.kind() == io::ErrorKind::NotFound => return None,
        Err(Unread::Io(error)) => {
            let problem = Problem::new(&start, format!("this managed file cannot be read: {error}"));
            return Some(ManagedFile { path, dialect, table: Table::new(), problems: vec![problem] });
        }
        Err(Unread::Open(problem)) => {
            return Some(ManagedFile { path, dialect, table: Table::new(), problems: vec![*problem] });
        }
    };
    Some(parsed(path, dialect, &text))
}

/// A managed file of this text.
pub(super) fn parsed(path: PathBuf, dialect: Dialect, text: &str) -> ManagedFile {
    let (table, problems) = node::from_toml(&path.as_path().into(), text);
    ManagedFile { path, dialect, table, problems }
}

/// Why a file's text was not taken.
pub(super) enum Unread {
    /// The system would not.
    Io(io::Error),
    /// Others could have written it.
    Open(Box<Problem>),
}

impl From<io::Error> for Unread {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// The text of a file that not just anybody can write. Looks at the very file it reads, behind all links.
pub(super) fn read_guarded(path: &Path, of_root: bool) -> Result<String, Unread> {
    let mut file = File::open(path)?;
    if let Some(problem) = open_to_others(path, &file.metadata()?, of_root) {
        return Err(Unread::Open(Box::new(problem)));
    }
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    Ok(text)
}

fn open_to_others(path: &Path, metadata: &fs::Metadata, of_root: bool) -> Option<Problem> {
    let place = Place::at(&path.into(), "", 0);
    // What is no regular file (`/dev/null` most of all) has a mode that says nothing about its contents.
    if metadata.is_file() && metadata.mode() & 0o002 != 0 {
        let problem = Problem::new(&place, "everybody can write to this file, so it is not believed");
        return Some(problem.hint(format!("look at what is in it, then run `chmod o-w {}`", path.display())));
    }
    if of_root && metadata.uid() != 0 {
        let problem = Problem::new(&place, "this managed file does not belong to root, so it is not believed");
        return Some(problem.hint(format!("look at what is in it, then run `chown root {}`", path.display())));
    }
    None
}
