//! Where the workspace is: directories held open, and the way to what lies beneath them. Every path goes from one of
//! these handles through `openat2` with `RESOLVE_BENEATH`, so the kernel itself refuses what leads out: `..`, links,
//! and directories that are exchanged while we look. Not here: what is read or written.

mod client;

use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// The directories of a workspace, the first being the one that relative paths start from.
#[derive(Debug, Default)]
pub struct Roots(Vec<Root>);

#[derive(Debug, Clone)]
struct Root {
    /// As its owner wrote it, absolute.
    named: PathBuf,
    /// With every link followed, as of when it was opened.
    real: PathBuf,
    dir: Arc<OwnedFd>,
}

/// Why a path leads nowhere.
#[derive(Debug, thiserror::Error)]
pub enum Astray {
    /// There are no roots.
    #[error("there is no workspace: the client has named no directory that may be one")]
    Nowhere,
    /// It is not beneath a root, or a link on the way leads out.
    #[error("`{0}` is outside the workspace")]
    Outside(String),
    /// It cannot be a path.
    #[error("`{0}` is not a path: {1}")]
    Senseless(String, &'static str),
    /// Nobody may write there.
    #[error("`{0}` is protected: what stands there decides what other programs run")]
    Protected(String),
    /// The system said no.
    #[error("`{path}`: {why}")]
    Io {
        /// As it was asked for.
        path: String,
        /// What the system said.
        why: io::Error,
    },
}

impl Astray {
    /// What the system said about `path`.
    pub fn io(path: &str) -> impl FnOnce(Errno) -> Self {
        move |errno| match errno {
            // An exchange that happens just now looks the same to the kernel as a way out.
            Errno::XDEV | Errno::AGAIN => Self::Outside(path.to_owned()),
            Errno::LOOP => Self::Senseless(path.to_owned(), "a link stands where none may"),
            errno => Self::Io { path: path.to_owned(), why: errno.into() },
        }
    }
}

/// A path beneath one of the roots; nothing is known of what is there.
#[derive(Debug, Clone, Copy)]
pub struct Spot<'a> {
    root: &'a Root,
    /// As it was asked for.
    asked: &'a str,
}

impl Roots {
    /// Opens the directories; those that are not there are left out.
    ///
    /// # Errors
    /// If none of them can be opened: the first reason.
    pub fn open(dirs: &[PathBuf]) -> io::Result<Self> {
        let (mut roots, mut first) = (Vec::<Root>::new(), None);
        for dir in dirs {
            match Root::open(dir) {
                Ok(root) if roots.iter().any(|known| known.real == root.real) => {}
                Ok(root) => roots.push(root),
                Err(error) => first = first.or(Some(error)),
            }
        }
        match (roots.is_empty(), first) {
            (true, first) => Err(first.unwrap_or_else(|| io::ErrorKind::NotFound.into())),
            _ => Ok(Self(roots)),
        }
    }

    /// The directories, with every link followed.
    pub fn dirs(&self) -> impl Iterator<Item = &Path> {
        self.0.iter().map(|root| root.real.as_path())
    }

    /// A directory beneath a root, by its real path: no part of it may be a link.
    ///
    /// # Errors
    /// What the system said.
    pub fn open_dir(&self, real: &Path) -> io::Result<OwnedFd> {
        let beneath = |root: &Root| {
            Some((root.dir.as_fd().try_clone_to_owned().ok()?, real.strip_prefix(&root.real).ok()?.to_owned()))
        };
        let Some((root, rest)) = self.0.iter().find_map(beneath) else {
            return Err(io::ErrorKind::PermissionDenied.into());
        };
        let rest = if rest.as_os_str().is_empty() { PathBuf::from(".") } else { rest };
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(openat2(root, rest, flags, Mode::empty(), resolve)?)
    }

    /// Where a directory of the workspace really lies.
    ///
    /// # Errors
    /// [`Astray`]; also for what is no directory.
    pub fn dir_path(&self, path: &str) -> Result<PathBuf, Astray> {
        let (spot, rest) = self.find(path)?;
        let dir = spot.dir(&rest)?;
        Ok(spot.root.real.join(spot.real(&dir)?))
    }

    /// Where `path` begins: relative to the first root, or absolute beneath any.
    ///
    /// # Errors
    /// [`Astray`] if it is no path, or begins outside.
    pub fn find<'a>(&'a self, path: &'a str) -> Result<(Spot<'a>, PathBuf), Astray> {
        if path.is_empty() {
            return Err(Astray::Senseless(path.to_owned(), "it is empty"));
        }
        if path.contains('\0') {
            return Err(Astray::Senseless(path.replace('\0', "\\0"), "it contains a NUL character"));
        }
        let asked = Path::new(path);
        if asked.is_relative() {
            let root = self.0.first().ok_or(Astray::Nowhere)?;
            return Ok((Spot { root, asked: path }, asked.to_owned()));
        }
        let beneath = |root: &'a Root| {
            let rest = asked.strip_prefix(&root.real).or_else(|_| asked.strip_prefix(&root.named)).ok()?;
            Some((root, rest))
        };
        // Of roots within roots the inner one.
        let found = self.0.iter().filter_map(beneath).min_by_key(|(_, rest)| rest.components().count());
        let (root, rest) = found.ok_or_else(|| Astray::Outside(path.to_owned()))?;
        let rest = if rest.as_os_str().is_empty() { Path::new(".") } else { rest };
        Ok((Spot { root, asked: path }, rest.to_owned()))
    }
}

impl Root {
    fn open(dir: &Path) -> io::Result<Self> {
        let real = dir.canonicalize()?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir_fd = rustix::fs::open(&real, flags, Mode::empty())?;
        Ok(Self { named: dir.to_owned(), real, dir: Arc::new(dir_fd) })
    }
}

impl Spot<'_> {
    /// Opens `rest`, which begins at this spot's root.
    ///
    /// # Errors
    /// [`Astray`].
    pub fn open(&self, rest: &Path, flags: OFlags) -> Result<OwnedFd, Astray> {
        self.open_as(rest, flags, Mode::empty(), ResolveFlags::empty())
    }

    fn open_as(&self, rest: &Path, flags: OFlags, mode: Mode, more: ResolveFlags) -> Result<OwnedFd, Astray> {
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS | more;
        let mut tries = 0;
        loop {
            match openat2(&self.root.dir, rest, flags | OFlags::CLOEXEC, mode, resolve) {
                // Something was moved while the kernel looked.
                Err(Errno::AGAIN) if tries < 16 => tries += 1,
                opened => return opened.map_err(Astray::io(self.asked)),
            }
        }
    }

    /// The directory that holds what `rest` names, and its name in there; directories on the way are made if
    /// `create`. It may be written to: nothing on the way is protected.
    ///
    /// # Errors
    /// [`Astray`].
    pub fn parent(&self, rest: &Path, create: bool, protected: &Protected) -> Result<Parent, Astray> {
        let senseless = |why| Astray::Senseless(self.asked.to_owned(), why);
        let name = match rest.components().next_back() {
            Some(Component::Normal(name)) => name.to_owned(),
            _ => return Err(senseless("it names no file")),
        };
        if self.asked.ends_with('/') {
            return Err(senseless("it names a directory"));
        }
        let above = rest.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let dir = if create { self.make(above, protected)? } else { self.dir(above)? };
        let parent = Parent { real: self.real(&dir)?, dir, name };
        match protected.covers(&parent.real.join(&parent.name)) {
            true => Err(Astray::Protected(self.asked.to_owned())),
            false => Ok(parent),
        }
    }

    /// Where a file would be whose directories need not be there yet. It may be written to.
    ///
    /// # Errors
    /// [`Astray`].
    pub fn target(&self, rest: &Path, protected: &Protected) -> Result<Target, Astray> {
        let senseless = |why| Astray::Senseless(self.asked.to_owned(), why);
        let name = match rest.components().next_back() {
            Some(Component::Normal(name)) if !self.asked.ends_with('/') => {
                name.to_str().ok_or_else(|| senseless("it is not UTF-8"))?
            }
            _ => return Err(senseless("it names no file")),
        };
        let above: Vec<_> = rest.parent().into_iter().flat_map(Path::components).collect();
        for there in (0..=above.len()).rev() {
            let path: PathBuf = Path::new(".").components().chain(above[..there].iter().copied()).collect();
            let dir = match self.dir(&path) {
                Err(Astray::Io { why, .. }) if why.kind() == io::ErrorKind::NotFound => continue,
                dir => dir?,
            };
            let missing: PathBuf = above[there..].iter().collect();
            if missing.components().any(|part| !matches!(part, Component::Normal(_))) {
                return Err(senseless("it goes up from a directory that is not there"));
            }
            let real = self.real(&dir)?;
            if protected.covers(&real.join(&missing).join(name)) {
                return Err(Astray::Protected(self.asked.to_owned()));
            }
            let dir = missing.as_os_str().is_empty().then_some(dir);
            let real = self.root.real.join(real);
            return Ok(Target { there: real.clone(), dir_path: real.join(missing), dir, name: name.to_owned() });
        }
        Err(Astray::Outside(self.asked.to_owned()))
    }

    fn dir(&self, rest: &Path) -> Result<OwnedFd, Astray> {
        self.open(rest, OFlags::PATH | OFlags::DIRECTORY)
    }

    /// Makes the directories one by one, each beneath the one that is there.
    fn make(&self, rest: &Path, protected: &Protected) -> Result<OwnedFd, Astray> {
        let mut done = PathBuf::from(".");
        let mut dir = self.dir(&done)?;
        for part in rest.components() {
            done.push(part);
            dir = match self.dir(&done) {
                Err(Astray::Io { why, .. }) if why.kind() == io::ErrorKind::NotFound => {
                    if protected.covers(&self.real(&dir)?.join(part)) {
                        return Err(Astray::Protected(self.asked.to_owned()));
                    }
                    let made = rustix::fs::mkdirat(&dir, part.as_os_str(), Mode::from_raw_mode(0o777));
                    match made {
                        Ok(()) | Err(Errno::EXIST) => self.dir(&done)?,
                        Err(errno) => return Err(Astray::io(self.asked)(errno)),
                    }
                }
                opened => opened?,
            };
        }
        Ok(dir)
    }

    /// Where a directory that was opened beneath this root really lies, seen from the root.
    fn real(&self, dir: &OwnedFd) -> Result<PathBuf, Astray> {
        let (root, dir) = (place(&self.root.dir), place(dir));
        let outside = || Astray::Outside(self.asked.to_owned());
        let (root, dir) = (root.map_err(|_| outside())?, dir.map_err(|_| outside())?);
        dir.strip_prefix(&root).map(Path::to_owned).map_err(|_| outside())
    }
}

/// Where the kernel says that a handle lies.
pub(super) fn place(fd: impl AsFd) -> io::Result<PathBuf> {
    std::fs::read_link(format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd()))
}

/// Where a file would be.
#[derive(Debug)]
pub struct Target {
    /// Its directory, if that is there.
    pub dir: Option<OwnedFd>,
    /// Its directory's path: absolute, and without links as far as it is there.
    pub dir_path: PathBuf,
    /// The part of that path that is there.
    pub there: PathBuf,
    /// Its name.
    pub name: String,
}

/// A directory that may be written to, and a name in it.
#[derive(Debug)]
pub struct Parent {
    /// The directory.
    pub dir: OwnedFd,
    /// The name.
    pub name: std::ffi::OsString,
    /// Where the directory really lies, seen from its root.
    pub real: PathBuf,
}

impl Parent {
    /// What stands under the name, if anything does; links are not followed.
    ///
    /// # Errors
    /// What the system said.
    pub fn there(&self) -> io::Result<Option<rustix::fs::Stat>> {
        match rustix::fs::statat(&self.dir, &self.name, rustix::fs::AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }
}

/// Names that nobody may write beneath a root, whether or not they are there: what stands under them decides what
/// other programs run.
#[derive(Debug, Clone)]
pub struct Protected(Vec<String>);

/// Those of security.md T30.
pub const PROTECTED: [&str; 12] = [
    ".git",
    ".codex",
    ".claude",
    ".cursor",
    ".vscode",
    ".mcp.json",
    ".fw_data",
    "AGENTS.md",
    "CLAUDE.md",
    ".env*",
    ".envrc",
    ".toolgate*",
];

impl Protected {
    /// Names; one that ends in `*` stands for all that begin so.
    pub fn new(names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self(names.into_iter().map(|name| name.into().to_lowercase()).collect())
    }

    /// Whether a path, seen from its root, leads to or through such a name. Case does not matter: on some file
    /// systems it does not, and a name that differs in nothing else is meant to deceive.
    pub fn covers(&self, path: &Path) -> bool {
        path.components().any(|part| self.is_name(part.as_os_str()))
    }

    fn is_name(&self, part: &OsStr) -> bool {
        // What some file systems ignore within or behind a name counts for nothing here. Two steps fold what one
        // does not, such as the long s.
        let part: String = part.to_string_lossy().chars().filter(|c| !is_ignorable(*c)).collect();
        let part = part.to_uppercase().to_lowercase();
        // A stream of a file is that file.
        let part = part.split(':').next().unwrap_or_default().trim_end_matches(['.', ' ']);
        self.0.iter().any(|name| {
            let whole = match name.strip_suffix('*') {
                Some(start) => part.starts_with(start),
                None => part == name,
            };
            whole || is_short_for(part, name)
        })
    }
}

/// Whether a name is the short one that some file systems make of a name with a dot, such as `git~1`.
fn is_short_for(part: &str, name: &str) -> bool {
    let Some(rest) = name.strip_prefix('.') else { return false };
    let stem: String = rest.split('.').next().unwrap_or_default().trim_end_matches('*').chars().take(6).collect();
    let number = part.strip_prefix(&stem).and_then(|rest| rest.strip_prefix('~'));
    number.is_some_and(|number| number.starts_with(|c: char| c.is_ascii_digit()))
}

/// Characters that HFS+ ignores in names (git's CVE-2014-9390).
fn is_ignorable(c: char) -> bool {
    matches!(c, '\u{200c}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{206a}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Place {
        _temp: tempfile::TempDir,
        roots: Roots,
        root: PathBuf,
    }

    fn place() -> Place {
        let temp = tempfile::tempdir().expect("temporary");
        let root = temp.path().join("ws");
        std::fs::create_dir_all(root.join("sub/.git")).expect("made");
        std::fs::create_dir(temp.path().join("secret")).expect("made");
        std::fs::write(temp.path().join("secret/s"), "s").expect("written");
        std::fs::write(root.join("ok"), "ok").expect("written");
        for (link, to) in [("in", "ok"), ("out", "../secret"), ("abs", "/etc"), ("hooks", "sub/.git")] {
            std::os::unix::fs::symlink(to, root.join(link)).expect("linked");
        }
        Place { roots: Roots::open(std::slice::from_ref(&root)).expect("there"), root, _temp: temp }
    }

    fn opens(place: &Place, path: &str) -> Result<(), String> {
        let (spot, rest) = place.roots.find(path).map_err(|astray| astray.to_string())?;
        spot.open(&rest, OFlags::RDONLY).map(drop).map_err(|astray| astray.to_string())
    }

    #[test]
    fn what_lies_beneath_is_found_however_it_is_spelled() {
        let place = place();
        for path in ["ok", "./ok", "in", "sub/../ok", "sub//../ok"] {
            assert_eq!(opens(&place, path), Ok(()), "{path}");
        }
        assert_eq!(opens(&place, &place.root.join("ok").display().to_string()), Ok(()));
        assert_eq!(opens(&place, &place.root.display().to_string()), Ok(()));
    }

    #[test]
    fn nothing_outside_is_found_however_it_is_spelled() {
        let place = place();
        let beside = format!("{}-evil/x", place.root.display());
        let up = format!("{}/../secret/s", place.root.display());
        for path in [
            "../secret/s",
            "out/s",
            "abs/passwd",
            "/etc/passwd",
            "sub/../../secret/s",
            "/proc/self/root/etc/passwd",
            &beside,
            &up,
        ] {
            let refused = opens(&place, path).expect_err(path);
            assert!(refused.contains("is outside the workspace"), "{path}: {refused}");
        }
        for path in ["", "a\0b"] {
            assert!(opens(&place, path).is_err(), "{path:?}");
        }
    }

    fn parent(place: &Place, path: &str, create: bool) -> Result<PathBuf, String> {
        let protected = Protected::new(PROTECTED);
        let (spot, rest) = place.roots.find(path).map_err(|astray| astray.to_string())?;
        let parent = spot.parent(&rest, create, &protected).map_err(|astray| astray.to_string())?;
        Ok(parent.real.join(parent.name))
    }

    #[test]
    fn protected_names_are_not_written_even_when_absent_or_in_disguise() {
        let place = place();
        for path in [
            ".git/hooks/pre-commit",
            "sub/.git/config",
            "hooks/pre-commit",
            ".codex/config.toml",
            "sub/../.codex/x",
            ".GIT/x",
            ".Env",
            ".env.local",
            "AGENTS.md",
            "deep/claude.md",
            ".git./x",
            ".g\u{200c}it/x",
            ".git . ./x",
            ".git::$INDEX_ALLOCATION/x",
            "GIT~1/hooks/x",
            "CODEX~1/config.toml",
            "AGENT\u{17f}.md",
            "sub//.git///config",
            "sub/./.git/./config",
            "new/.git/hooks/x",
            ".mcp.json",
            ".toolgate-x/y",
        ] {
            let refused = parent(&place, path, true).expect_err(path);
            assert!(refused.contains("is protected"), "{path}: {refused}");
        }
        assert!(!place.root.join(".codex").exists() && !place.root.join(".GIT").exists());
        for (path, real) in [
            ("a/b/c", "a/b/c"),
            ("sub/x", "sub/x"),
            (".github/x", ".github/x"),
            ("environment", "environment"),
            ("git~x", "git~x"),
        ] {
            assert_eq!(parent(&place, path, true), Ok(PathBuf::from(real)));
        }
    }

    #[test]
    fn a_path_without_a_name_is_no_file() {
        let place = place();
        for path in ["sub/", "..", ".", "sub/.."] {
            assert!(parent(&place, path, false).is_err(), "{path}");
        }
        assert!(parent(&place, "../secret/new", true).is_err());
        assert!(parent(&place, "out/new", true).is_err());
    }
}
