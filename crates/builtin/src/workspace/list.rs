//! Listing directories of the workspace: in order, without following links, without what git ignores unless that is
//! asked for. Not here: where they may lie.

use super::roots::{Astray, Roots, Spot};
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use rustix::fs::{AtFlags, Dir, FileType, OFlags, statat};
use serde::Serialize;
use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// A file of patterns that is longer is not read.
const PATTERNS_MAX: u64 = 1 << 20;

/// What is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// How many levels down; 1 is the directory alone.
    pub depth: usize,
    /// Whether what git ignores is left out.
    pub gitignore: bool,
    /// At most so many entries.
    pub most: usize,
}

/// What is in a directory.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Listing {
    /// As it was asked for.
    pub path: String,
    /// In order of their paths.
    pub entries: Vec<Entry>,
    /// Whether there are more than were asked for.
    pub truncated: bool,
}

/// One entry.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// Seen from the directory that is listed.
    pub path: String,
    /// What it is.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Bytes in a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// When it was last changed: RFC 3339, in UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub modified: Option<String>,
}

impl Listing {
    /// For whoever reads only text.
    pub fn text(&self) -> String {
        let line = |entry: &Entry| match (entry.kind, entry.size) {
            ("directory", _) => format!("{}/", entry.path),
            (_, Some(size)) => format!("{} ({size} bytes)", entry.path),
            (kind, None) => format!("{} ({kind})", entry.path),
        };
        let mut lines: Vec<_> = self.entries.iter().map(line).collect();
        if lines.is_empty() {
            lines.push("[nothing]".to_owned());
        }
        if self.truncated {
            lines.push("[and more: ask for a directory further down]".to_owned());
        }
        lines.join("\n")
    }
}

/// Lists a directory.
///
/// # Errors
/// [`Astray`]. A directory further down that cannot be read is listed without what is in it.
pub fn list(roots: &Roots, path: &str, wanted: Wanted) -> Result<Listing, Astray> {
    let (spot, rest) = roots.find(path)?;
    let dir = spot.open(&rest, OFlags::RDONLY | OFlags::DIRECTORY)?;
    let mut walk = Walk { spot, rest, wanted, entries: Vec::new(), truncated: false };
    let ignored = if wanted.gitignore { walk.patterns_above() } else { Vec::new() };
    walk.directory(dir, Path::new(""), 1, &ignored);
    let Walk { entries, truncated, .. } = walk;
    Ok(Listing { path: path.to_owned(), entries, truncated })
}

struct Walk<'a> {
    spot: Spot<'a>,
    rest: PathBuf,
    wanted: Wanted,
    entries: Vec<Entry>,
    truncated: bool,
}

impl Walk<'_> {
    /// What the directories above the listed one ignore, the outermost first.
    fn patterns_above(&self) -> Vec<Gitignore> {
        let clean = self.rest.components().all(|part| matches!(part, std::path::Component::Normal(_)));
        let above = self.rest.ancestors().skip(1).filter(|_| clean);
        let mut above: Vec<_> =
            above.map(|dir| if dir.as_os_str().is_empty() { Path::new(".") } else { dir }).collect();
        above.reverse();
        let open = |dir: &&Path| self.spot.open(dir, OFlags::RDONLY | OFlags::DIRECTORY).ok();
        above.iter().filter_map(|dir| patterns(&open(dir)?, &self.spot_path(dir))).collect()
    }

    /// A path that patterns are matched against; it need not exist.
    fn spot_path(&self, dir: &Path) -> PathBuf {
        let dir = dir.strip_prefix(".").unwrap_or(dir);
        Path::new("/").join(dir)
    }

    fn directory(&mut self, dir: OwnedFd, seen: &Path, level: usize, above: &[Gitignore]) {
        let here = self.spot_path(&self.rest).join(seen);
        let own = self.wanted.gitignore.then(|| patterns(&dir, &here)).flatten();
        let ignored: Vec<Gitignore> = above.iter().cloned().chain(own).collect();
        let Ok(stream) = Dir::read_from(&dir) else { return };
        let names = stream.flatten().map(|entry| entry.file_name().to_owned());
        let mut names: Vec<_> = names.filter(|name| !matches!(name.to_bytes(), b"." | b"..")).collect();
        names.sort();
        for name in names {
            let name = OsStr::from_bytes(name.to_bytes());
            let Ok(stat) = statat(&dir, name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
            let kind = FileType::from_raw_mode(stat.st_mode);
            let is_dir = kind == FileType::Directory;
            if self.wanted.gitignore && (name == ".git" || is_ignored(&ignored, &here.join(name), is_dir)) {
                continue;
            }
            if self.entries.len() == self.wanted.most {
                self.truncated = true;
                return;
            }
            let path = seen.join(name);
            self.entries.push(entry(&path, kind, &stat));
            if is_dir && level < self.wanted.depth {
                // No link is followed down: the name was a directory a moment ago, and has to be one still.
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                if let Ok(below) = rustix::fs::openat(&dir, name, flags, rustix::fs::Mode::empty()) {
                    self.directory(below, &path, level + 1, &ignored);
                }
            }
        }
    }
}

fn entry(path: &Path, kind: FileType, stat: &rustix::fs::Stat) -> Entry {
    let modified = jiff::Timestamp::new(stat.st_mtime, i32::try_from(stat.st_mtime_nsec).unwrap_or(0));
    Entry {
        path: path.to_string_lossy().into_owned(),
        kind: match kind {
            FileType::RegularFile => "file",
            FileType::Directory => "directory",
            FileType::Symlink => "symlink",
            _ => "other",
        },
        size: (kind == FileType::RegularFile).then_some(stat.st_size.cast_unsigned()),
        modified: modified.ok().map(|time| format!("{time:.3}")),
    }
}

/// What a directory's own `.gitignore` says.
fn patterns(dir: &OwnedFd, here: &Path) -> Option<Gitignore> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = rustix::fs::openat(dir, ".gitignore", flags, rustix::fs::Mode::empty()).ok()?;
    let file = File::from(file);
    if !file.metadata().ok()?.is_file() {
        return None;
    }
    let mut text = Vec::new();
    file.take(PATTERNS_MAX).read_to_end(&mut text).ok()?;
    let mut builder = GitignoreBuilder::new(here);
    for line in String::from_utf8_lossy(&text).lines() {
        // A line that is no pattern ignores nothing, as in git.
        _ = builder.add_line(None, line);
    }
    builder.build().ok()
}

/// The innermost file that says something decides.
fn is_ignored(patterns: &[Gitignore], path: &Path, is_dir: bool) -> bool {
    let said = patterns.iter().rev().map(|file| file.matched(path, is_dir)).find(|said| !said.is_none());
    said.is_some_and(|said| said.is_ignore())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(wanted: Wanted, path: &str, expected: &[&str]) {
        let temp = tempfile::tempdir().expect("temporary");
        let make = |path: &str, text: &str| {
            let path = temp.path().join(path);
            std::fs::create_dir_all(path.parent().expect("beneath")).expect("made");
            std::fs::write(path, text).expect("written");
        };
        make(".gitignore", "target/\n*.log\n!keep.log\n");
        make(".git/HEAD", "x");
        make("b.txt", "x");
        make("a/x.log", "x");
        make("a/keep.log", "x");
        make("a/.gitignore", "own\n");
        make("a/own", "x");
        make("a/deep/y", "x");
        make("target/big", "x");
        std::os::unix::fs::symlink("/etc", temp.path().join("link")).expect("linked");
        let roots = Roots::open(&[temp.path().to_owned()]).expect("there");
        let listing = list(&roots, path, wanted).expect("listed");
        let found: Vec<_> = listing.entries.iter().map(|entry| entry.path.as_str()).collect();
        assert_eq!(found, expected);
    }

    const ALL: Wanted = Wanted { depth: 9, gitignore: true, most: 1_000 };

    #[test]
    fn a_tree_is_listed_in_order_without_what_git_ignores() {
        check(ALL, ".", &[".gitignore", "a", "a/.gitignore", "a/deep", "a/deep/y", "a/keep.log", "b.txt", "link"]);
        check(Wanted { depth: 1, ..ALL }, ".", &[".gitignore", "a", "b.txt", "link"]);
        check(ALL, "a", &[".gitignore", "deep", "deep/y", "keep.log"]);
    }

    #[test]
    fn all_of_it_is_listed_when_asked_for() {
        let all = Wanted { gitignore: false, depth: 2, ..ALL };
        check(
            all,
            ".",
            &[
                ".git",
                ".git/HEAD",
                ".gitignore",
                "a",
                "a/.gitignore",
                "a/deep",
                "a/keep.log",
                "a/own",
                "a/x.log",
                "b.txt",
                "link",
                "target",
                "target/big",
            ],
        );
        check(Wanted { most: 2, ..all }, ".", &[".git", ".git/HEAD"]);
    }
}
