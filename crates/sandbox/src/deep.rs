//! Protected names below the top of a directory that may be written: those that are there. Looks at the file system,
//! changes nothing. Not here: making them unwritable; names that are not there, which nothing can keep free in every
//! directory.

use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};

use crate::profile::Protected;

/// More directories are not looked through: this is done for every single program.
const MOST_DIRS: usize = 2048;
/// More are not made unwritable: each is a mount.
const MOST_FOUND: usize = 128;
/// Directories that package managers and compilers fill and empty as they like; what lies in them is not the project's.
const FILLED: [&str; 5] = ["node_modules", "target", ".venv", "venv", "__pycache__"];

/// What was found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Deep {
    /// The paths, shallow ones first.
    pub found: Vec<PathBuf>,
    /// Whether one of them is a symbolic link, which can be replaced; those are not among `found`.
    pub has_link: bool,
    /// Whether there was more to look through.
    pub cut: bool,
}

/// Looks for `names` in the directories below `root`, but not in itself, in those of such a name, or through links.
pub(crate) fn look(root: &Path, names: &[Protected]) -> Deep {
    let mut deep = Deep::default();
    let mut seen = 1;
    let mut waiting: VecDeque<_> = dirs_in(root, names).collect();
    while let Some(dir) = waiting.pop_front() {
        if seen == MOST_DIRS || deep.found.len() >= MOST_FOUND {
            deep.cut = true;
            break;
        }
        seen += 1;
        for entry in fs::read_dir(&dir).into_iter().flatten().flatten() {
            let Ok(kind) = entry.file_type() else { continue };
            match (is_among(&entry, names), kind.is_symlink()) {
                (true, true) => deep.has_link = true,
                (true, false) => deep.found.push(entry.path()),
                (false, false) if kind.is_dir() && !is_filled(&entry) => waiting.push_back(entry.path()),
                (false, _) => {}
            }
        }
    }
    deep
}

fn dirs_in(root: &Path, names: &[Protected]) -> impl Iterator<Item = PathBuf> {
    let is_dir = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
    let entries = fs::read_dir(root).into_iter().flatten().flatten();
    entries.filter(move |entry| is_dir(entry) && !is_among(entry, names) && !is_filled(entry)).map(|entry| entry.path())
}

fn is_among(entry: &fs::DirEntry, names: &[Protected]) -> bool {
    let name = entry.file_name();
    names.iter().any(|protected| *protected.name == *name)
}

fn is_filled(entry: &fs::DirEntry) -> bool {
    let name = entry.file_name();
    FILLED.iter().any(|filled| **filled == *name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::protected_names;

    fn check(files: &[&str], links: &[&str], expected: &[&str], has_link: bool) {
        let root = tempfile::tempdir().unwrap();
        let made = |path: &&str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            path
        };
        files.iter().for_each(|path| fs::write(made(path), "").unwrap());
        links.iter().for_each(|path| std::os::unix::fs::symlink("/etc", made(path)).unwrap());
        let deep = look(root.path(), &protected_names());
        let mut found: Vec<_> =
            deep.found.iter().map(|path| path.strip_prefix(root.path()).unwrap().to_str().unwrap()).collect();
        found.sort_unstable();
        assert_eq!((found, deep.has_link, deep.cut), (expected.to_vec(), has_link, false));
    }

    #[test]
    fn names_below_the_top_are_found_and_not_what_lies_in_them() {
        check(
            &[".git/x", "a/.git/modules/m/.git", "a/b/c/.env", "a/b/AGENTS.md", "a/environment"],
            &[],
            &["a/.git", "a/b/AGENTS.md", "a/b/c/.env"],
            false,
        );
    }

    #[test]
    fn links_are_said_and_not_followed() {
        check(&["a/x"], &["a/.git", "b"], &[], true);
    }

    #[test]
    fn what_package_managers_fill_is_theirs() {
        check(&["node_modules/x/.vscode/s", "a/node_modules/x/.env", "target/.git/x"], &[], &[], false);
    }

    #[test]
    fn looking_has_an_end_and_that_is_said() {
        let root = tempfile::tempdir().unwrap();
        (0..MOST_DIRS).for_each(|number| fs::create_dir(root.path().join(number.to_string())).unwrap());
        assert!(look(root.path(), &protected_names()).cut);
    }
}
