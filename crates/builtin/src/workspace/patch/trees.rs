//! Directories that tests patch.

use super::super::roots::{PROTECTED, Protected, Roots};
use super::apply::{Applied, Place, Rejected, apply};
use super::journal;
use std::collections::BTreeMap;
use std::path::PathBuf;

pub struct Tree {
    pub temp: tempfile::TempDir,
    pub roots: Roots,
    pub protected: Protected,
}

impl Tree {
    pub fn new(files: &[(&str, &str)]) -> Self {
        let temp = tempfile::tempdir().expect("temporary");
        let root = temp.path().join("ws");
        std::fs::create_dir(&root).expect("made");
        for (path, text) in files {
            let path = root.join(path);
            std::fs::create_dir_all(path.parent().expect("beneath")).expect("made");
            std::fs::write(path, text).expect("written");
        }
        let roots = Roots::open(&[root]).expect("there");
        Self { temp, roots, protected: Protected::new(PROTECTED) }
    }

    pub fn root(&self) -> PathBuf {
        self.temp.path().join("ws")
    }

    pub fn journals(&self) -> PathBuf {
        self.temp.path().join("journals")
    }

    pub fn apply(&self, patch: &str, dry_run: bool) -> Result<Applied, Rejected> {
        apply(Place { roots: &self.roots, protected: &self.protected, journals: &self.journals() }, patch, dry_run)
    }

    pub fn recover(&self) -> std::io::Result<usize> {
        journal::recover(&self.journals(), &self.roots)
    }

    /// The plans that are under way, and those that a kill left.
    pub fn plans(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.journals()).into_iter().flatten();
        entries.map(|entry| entry.expect("readable").path()).collect()
    }

    /// Everything that is there, whatever its name.
    pub fn files(&self) -> BTreeMap<String, String> {
        let (mut files, mut dirs) = (BTreeMap::new(), vec![self.root()]);
        while let Some(dir) = dirs.pop() {
            for entry in std::fs::read_dir(dir).expect("there").flatten() {
                let path = entry.path();
                if path.is_dir() {
                    dirs.push(path);
                } else {
                    let name = path.strip_prefix(self.root()).expect("beneath").display().to_string();
                    files.insert(name, std::fs::read_to_string(path).expect("text"));
                }
            }
        }
        files
    }
}

pub fn files(all: &[(&str, &str)]) -> BTreeMap<String, String> {
    all.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect()
}

pub const OLD: [(&str, &str); 3] = [("a", "one\ntwo\n"), ("d/b", "bee\n"), ("gone", "x\n")];
pub const NEW: [(&str, &str); 4] = [("a", "one\n2\n"), ("moved/to/b", "Bee\n"), ("n/e/w", "new\n"), ("z", "zed\n")];
pub const PATCH: &str = "*** Begin Patch\n*** Update File: a\n@@\n one\n-two\n+2\n*** Update File: d/b\n*** Move to: moved/to/b\n\
    -bee\n+Bee\n*** Delete File: gone\n*** Add File: n/e/w\n+new\n*** Add File: z\n+zed\n*** End Patch\n";
