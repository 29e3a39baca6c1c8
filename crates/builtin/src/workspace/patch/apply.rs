//! A patch put in place: all of it or nothing. Read, find every file, work out every content, and only when all of it
//! fits write anything. Not here: the forms of a patch, and what a kill leaves behind.

use super::super::roots::{Astray, Protected, Roots, Target};
use super::FILE_MAX;
use super::commit::Commit;
use super::hunk::{self, Effort, Misfit};
use super::parse::{Change, Hunk, Kind, NoPatch, parse};
use rustix::fs::{FileType, Mode, OFlags, openat};
use rustix::io::Errno;
use serde::Serialize;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// The most files of one patch.
const FILES_MAX: usize = 1_000;
/// The most bytes of all of them, before and afterwards.
const BYTES_MAX: usize = 256 << 20;

/// What a patch did, or would do.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Applied {
    /// By file, in the order of the patch.
    pub files: Vec<Report>,
    /// Whether nothing was written because that was asked for.
    pub dry_run: bool,
}

/// What became of one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Which.
    pub path: String,
    /// `added`, `updated`, `deleted` or `moved`.
    pub action: &'static str,
    /// Its new name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Lines that came.
    pub added: usize,
    /// Lines that went.
    pub removed: usize,
}

impl Applied {
    /// For whoever reads only text.
    pub fn text(&self) -> String {
        let line = |file: &Report| {
            let to = file.to.as_ref().map(|to| format!(" to {to}")).unwrap_or_default();
            format!("{} {}{to} (+{} -{})", file.action, file.path, file.added, file.removed)
        };
        let head = self.dry_run.then(|| "would be done:".to_owned());
        head.into_iter().chain(self.files.iter().map(line)).collect::<Vec<_>>().join("\n")
    }
}

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum Rejected {
    /// It is no patch.
    #[error("the patch cannot be read: {0} [no_patch]")]
    NoPatch(#[from] NoPatch),
    /// It does not fit the files.
    #[error("nothing was changed:\n{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Files(Vec<Wrong>),
    /// It names too many files.
    #[error("nothing was changed: a patch changes at most {FILES_MAX} files [too_much]")]
    TooMany,
    /// The disk said no; what was done was undone.
    #[error("nothing was changed: {0} [disk]")]
    Disk(#[from] io::Error),
}

/// What is wrong with one file.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {why} [{}]", why.code())]
pub struct Wrong {
    /// Which.
    pub path: String,
    /// Why.
    pub why: Why,
}

/// Why a file cannot be changed as a patch says.
#[derive(Debug, thiserror::Error)]
pub enum Why {
    /// It may not be there, or cannot be reached.
    #[error(transparent)]
    Astray(#[from] Astray),
    /// It should not be there.
    #[error("there is such a file already: update it, or replace it with `write_file`")]
    Exists,
    /// Nor should its new name.
    #[error("it cannot move: there is a file `{0}` already")]
    Occupied(String),
    /// It should be there.
    #[error("there is no such file")]
    Missing,
    /// It is a link, and links are neither followed nor replaced.
    #[error("a link stands there: name what it leads to")]
    Link,
    /// It is a directory, a pipe or the like.
    #[error("something stands there that is no file")]
    NoFile,
    /// It is not UTF-8.
    #[error("it is no text")]
    Binary,
    /// It, or all of them together.
    #[error("a file or all files of the patch are too large: {FILE_MAX} bytes, together {BYTES_MAX}")]
    TooMuch,
    /// It is changed in two ways.
    #[error("the patch names this file twice")]
    Twice,
    /// A diff says that it goes, and what it holds; it holds something else.
    #[error("it holds more than the patch takes away")]
    Rest,
    /// What is changed in it is not there.
    #[error("{0}")]
    Misfit(#[from] Misfit),
    /// The system said no.
    #[error("{0}")]
    Io(#[from] io::Error),
}

impl From<Errno> for Why {
    fn from(errno: Errno) -> Self {
        Self::Io(errno.into())
    }
}

impl Why {
    /// One word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Astray(Astray::Outside(_) | Astray::Nowhere) => "outside",
            Self::Astray(Astray::Protected(_)) => "protected",
            Self::Astray(Astray::Senseless(..)) => "no_path",
            Self::Astray(Astray::Io { .. }) | Self::Io(_) => "io",
            Self::Exists | Self::Occupied(_) => "exists",
            Self::Missing => "missing",
            Self::Link => "link",
            Self::NoFile => "no_file",
            Self::Binary => "no_text",
            Self::TooMuch => "too_much",
            Self::Twice => "twice",
            Self::Rest | Self::Misfit(_) => "misfit",
        }
    }
}

/// Where a patch is applied.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The workspace.
    pub roots: &'a Roots,
    /// What nobody may write.
    pub protected: &'a Protected,
    /// Where plans lie while they are carried out.
    pub journals: &'a Path,
}

/// Applies a patch.
///
/// # Errors
/// [`Rejected`]; then every file is as it was.
pub fn apply(place: Place<'_>, patch: &str, dry_run: bool) -> Result<Applied, Rejected> {
    let changes = parse(patch)?;
    if changes.len() > FILES_MAX {
        return Err(Rejected::TooMany);
    }
    let (mut draft, mut wrong) = (Draft::default(), Vec::new());
    for change in &changes {
        if let Err(why) = draft.add(place, change) {
            wrong.push(Wrong { path: change.path.clone(), why });
        }
    }
    if !wrong.is_empty() {
        return Err(Rejected::Files(wrong));
    }
    if !dry_run {
        Commit::prepare(place, &draft.files)?.run()?;
    }
    Ok(Applied { files: draft.reports, dry_run })
}

/// What is to be done, worked out and not begun.
#[derive(Default)]
pub(super) struct Draft {
    pub(super) files: Vec<Planned>,
    reports: Vec<Report>,
    effort: Effort,
    bytes: usize,
}

/// One file that is to hold something else.
pub(super) struct Planned {
    pub(super) at: Target,
    pub(super) before: Option<Old>,
    pub(super) after: Option<New>,
}

/// A file as it is.
pub(super) struct Old {
    pub(super) content: String,
    mode: Mode,
}

/// A new content, and its permissions; none leaves them to the system.
type New = (String, Option<Mode>);

impl Draft {
    pub(super) fn add(&mut self, place: Place<'_>, change: &Change) -> Result<(), Why> {
        let at = target(place, &change.path)?;
        let old = old(&at)?;
        let (action, to, added, removed) = match (&change.kind, old) {
            (Kind::Add(_), Some(_)) => return Err(Why::Exists),
            (Kind::Add(content), None) => {
                self.plan(at, None, Some((content.clone(), None)))?;
                ("added", None, content.lines().count(), 0)
            }
            (Kind::Update { to: None, hunks }, old) if self.planned(&at).is_some() || old.is_some() => {
                let (added, removed) = counted(hunks);
                self.update(at, old, hunks)?;
                ("updated", None, added, removed)
            }
            (_, None) => return Err(Why::Missing),
            (Kind::Delete(hunks), Some(old)) => {
                let rest = hunks.as_ref().map(|hunks| self.changed(&old.content, hunks)).transpose()?;
                if rest.is_some_and(|rest| !rest.is_empty()) {
                    return Err(Why::Rest);
                }
                let lines = old.content.lines().count();
                self.plan(at, Some(old), None)?;
                ("deleted", None, 0, lines)
            }
            (Kind::Update { to, hunks }, Some(old)) => {
                let new = (self.changed(&old.content, hunks)?, Some(old.mode));
                let (added, removed) = counted(hunks);
                self.plan(at, Some(old), None)?;
                self.move_to(place, to.as_deref().unwrap_or(&change.path), new)?;
                ("moved", to.clone(), added, removed)
            }
        };
        self.reports.push(Report { path: change.path.clone(), action, to, added, removed });
        Ok(())
    }

    fn changed(&mut self, text: &str, hunks: &[Hunk]) -> Result<String, Misfit> {
        hunk::change(text, hunks, &mut self.effort)
    }

    /// A patch may change a file in several parts, one after the other.
    fn update(&mut self, at: Target, old: Option<Old>, hunks: &[Hunk]) -> Result<(), Why> {
        if let Some(number) = self.planned(&at) {
            let (text, mode) = self.files[number].after.take().ok_or(Why::Twice)?;
            let new = self.changed(&text, hunks)?;
            self.files[number].after = Some((new, mode));
            return Ok(());
        }
        let old = old.ok_or(Why::Missing)?;
        let new = (self.changed(&old.content, hunks)?, Some(old.mode));
        self.plan(at, Some(old), Some(new))
    }

    fn planned(&self, at: &Target) -> Option<usize> {
        self.files.iter().position(|file| (&file.at.dir_path, &file.at.name) == (&at.dir_path, &at.name))
    }

    fn move_to(&mut self, place: Place<'_>, to: &str, new: New) -> Result<(), Why> {
        let at = target(place, to)?;
        match old(&at)? {
            Some(_) => Err(Why::Occupied(to.to_owned())),
            None => self.plan(at, None, Some(new)),
        }
    }

    fn plan(&mut self, at: Target, before: Option<Old>, after: Option<New>) -> Result<(), Why> {
        if self.planned(&at).is_some() {
            return Err(Why::Twice);
        }
        let bytes = |content: Option<&String>| content.map_or(0, String::len);
        self.bytes += bytes(before.as_ref().map(|old| &old.content)) + bytes(after.as_ref().map(|new| &new.0));
        if self.bytes > BYTES_MAX || bytes(after.as_ref().map(|new| &new.0)) as u64 > FILE_MAX {
            return Err(Why::TooMuch);
        }
        self.files.push(Planned { at, before, after });
        Ok(())
    }
}

fn target(place: Place<'_>, path: &str) -> Result<Target, Astray> {
    place.roots.find(path).and_then(|(spot, rest)| spot.target(&rest, place.protected))
}

/// What stands there, if anything does.
fn old(at: &Target) -> Result<Option<Old>, Why> {
    let Some(dir) = &at.dir else { return Ok(None) };
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let fd = match openat(dir, &at.name, flags, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(None),
        Err(Errno::LOOP) => return Err(Why::Link),
        // A socket.
        Err(Errno::NXIO) => return Err(Why::NoFile),
        opened => opened?,
    };
    let stat = rustix::fs::fstat(&fd)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(Why::NoFile);
    }
    if stat.st_size.cast_unsigned() > FILE_MAX {
        return Err(Why::TooMuch);
    }
    let mut content = Vec::new();
    File::from(fd).take(FILE_MAX + 1).read_to_end(&mut content)?;
    let content = String::from_utf8(content).map_err(|_| Why::Binary)?;
    // Who runs a file with its owner's rights has not agreed to what stands in it from now on.
    Ok(Some(Old { content, mode: Mode::from_raw_mode(stat.st_mode & 0o777) }))
}

/// Lines that come and lines that go, without those that stay.
fn counted(hunks: &[Hunk]) -> (usize, usize) {
    let count = |side: fn(&Hunk) -> usize| hunks.iter().map(side).sum();
    (count(|hunk| hunk.after.len() - hunk.kept.len()), count(|hunk| hunk.before.len() - hunk.kept.len()))
}

#[cfg(test)]
mod tests;
