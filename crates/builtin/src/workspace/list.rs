//! Listing directories of the workspace: in order, without following links, without what git ignores unless that is
//! asked for. Not here: where they may lie.

use super::roots::{Astray, Roots, Spot};
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use rustix::fs::{AtFlags, Dir, FileType, OFlags, statat};
use serde::Serialize;
use std::collections::BinaryHeap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// What a file of patterns says beyond this is not read: to take patterns in costs a thousand times their length.
const PATTERNS_MAX: u64 = 64 << 10;
/// The most entries that are looked at, those that are left out included.
const LOOKED_MAX: usize = 500_000;
/// The deepest level: each is a directory held open.
const DEPTH_MAX: usize = 128;

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
    let mut walk = Walk { spot, rest, wanted, entries: Vec::new(), truncated: false, looked: 0, ignored: Vec::new() };
    if wanted.gitignore {
        walk.ignored = walk.patterns_above();
    }
    walk.directory(&dir, Path::new(""), 1);
    let Walk { entries, truncated, .. } = walk;
    Ok(Listing { path: path.to_owned(), entries, truncated })
}

struct Walk<'a> {
    spot: Spot<'a>,
    rest: PathBuf,
    wanted: Wanted,
    entries: Vec<Entry>,
    truncated: bool,
    /// How many entries have been looked at, those that are left out included.
    looked: usize,
    /// What is ignored where we are, the outermost first.
    ignored: Vec<Gitignore>,
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

    fn directory(&mut self, dir: &OwnedFd, seen: &Path, level: usize) {
        let here = self.spot_path(&self.rest).join(seen);
        let own = self.wanted.gitignore.then(|| patterns(dir, &here)).flatten();
        let above = self.ignored.len();
        self.ignored.extend(own);
        for name in self.names(dir, &here) {
            if self.truncated {
                break;
            }
            self.one(dir, &name, seen, level);
        }
        self.ignored.truncate(above);
    }

    /// What is in a directory and not left out, in order. Of a large one no more is kept than can be shown: one more
    /// than that says that there are more.
    fn names(&mut self, dir: &OwnedFd, here: &Path) -> Vec<OsString> {
        let Ok(stream) = Dir::read_from(dir) else { return Vec::new() };
        let room = self.wanted.most - self.entries.len() + 1;
        let mut first = BinaryHeap::new();
        for entry in stream.flatten() {
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name == "." || name == ".." {
                continue;
            }
            if self.looked >= LOOKED_MAX {
                self.truncated = true;
                break;
            }
            self.looked += 1;
            let kind = known(dir, name, entry.file_type());
            if self.wanted.gitignore && (name == ".git" || self.is_ignored(&here.join(name), is_dir(kind))) {
                continue;
            }
            first.push(name.to_owned());
            if first.len() > room {
                first.pop();
            }
        }
        first.into_sorted_vec()
    }

    fn one(&mut self, dir: &OwnedFd, name: &OsStr, seen: &Path, level: usize) {
        if self.entries.len() >= self.wanted.most {
            self.truncated = true;
            return;
        }
        let Ok(stat) = statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) else { return };
        let path = seen.join(name);
        let kind = FileType::from_raw_mode(stat.st_mode);
        self.entries.push(entry(&path, kind, &stat));
        if !is_dir(kind) || level >= self.wanted.depth {
            return;
        }
        if level >= DEPTH_MAX {
            self.truncated = true;
            return;
        }
        // No link is followed down: the name was a directory a moment ago, and has to be one still.
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        if let Ok(below) = rustix::fs::openat(dir, name, flags, rustix::fs::Mode::empty()) {
            self.directory(&below, &path, level + 1);
        }
    }

    /// The innermost file that says something decides.
    fn is_ignored(&self, path: &Path, is_dir: bool) -> bool {
        let said = self.ignored.iter().rev().map(|file| file.matched(path, is_dir)).find(|said| !said.is_none());
        said.is_some_and(|said| said.is_ignore())
    }
}

fn is_dir(kind: FileType) -> bool {
    kind == FileType::Directory
}

/// Some file systems do not say in a directory what is in it.
fn known(dir: &OwnedFd, name: &OsStr, kind: FileType) -> FileType {
    match kind {
        FileType::Unknown => {
            statat(dir, name, AtFlags::SYMLINK_NOFOLLOW).map_or(kind, |stat| FileType::from_raw_mode(stat.st_mode))
        }
        kind => kind,
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

    #[test]
    fn a_directory_of_a_hundred_thousand_is_listed_in_order_and_in_bounds() {
        let temp = tempfile::tempdir().expect("temporary");
        std::fs::write(temp.path().join(".gitignore"), "*9\n/ignored/\n").expect("written");
        for name in ["many", "ignored"] {
            std::fs::create_dir(temp.path().join(name)).expect("made");
        }
        for number in 0..100_000_u32 {
            // Not in the order in which they are listed.
            let name = format!("f{:05}", number.wrapping_mul(7_919) % 100_000);
            std::fs::File::create(temp.path().join("many").join(name)).expect("made");
        }
        let roots = Roots::open(&[temp.path().to_owned()]).expect("there");
        let listing = list(&roots, "many", Wanted { most: 2_000, ..ALL }).expect("listed");
        let found: Vec<_> = listing.entries.iter().map(|entry| entry.path.clone()).collect();
        let expected: Vec<_> =
            (0..).filter(|number| number % 10 != 9).take(2_000).map(|n| format!("f{n:05}")).collect();
        assert!(listing.truncated && found == expected, "{:?}", found.last());
        let all = list(&roots, "many", Wanted { most: 90_000, ..ALL }).expect("listed");
        assert_eq!((all.entries.len(), all.truncated), (90_000, false));
    }

    #[test]
    fn a_tree_without_bottom_has_one() {
        let temp = tempfile::tempdir().expect("temporary");
        std::fs::create_dir_all(temp.path().join("d/".repeat(DEPTH_MAX + 50))).expect("made");
        let roots = Roots::open(&[temp.path().to_owned()]).expect("there");
        let listing = list(&roots, ".", Wanted { depth: usize::MAX, ..ALL }).expect("listed");
        assert_eq!((listing.entries.len(), listing.truncated), (DEPTH_MAX, true));
    }

    #[test]
    fn patterns_that_cost_much_are_bounded() {
        let temp = tempfile::tempdir().expect("temporary");
        let patterns: String = (0..200_000).map(|number| format!("*{number}*a*b\n")).collect();
        std::fs::write(temp.path().join(".gitignore"), patterns).expect("written");
        std::fs::write(temp.path().join("x1ab"), "").expect("written");
        std::fs::write(temp.path().join("y"), "").expect("written");
        let roots = Roots::open(&[temp.path().to_owned()]).expect("there");
        let listing = list(&roots, ".", ALL).expect("listed");
        assert_eq!(listing.entries.len(), 2, "{:?}", listing.entries);
    }
}
