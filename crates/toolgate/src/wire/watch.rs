//! Notices when files are not what they were, however they are written: in place, renamed over, through a link, in a
//! directory that comes later. What they say is nothing to it.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use sha2::{Digest, Sha256};
use tokio::io::unix::AsyncFd;
use tokio::time::Instant;

/// How long nothing may be written until files are taken as written.
const SETTLED: Duration = Duration::from_millis(100);

/// How long files are waited for that are written again and again.
const LONGEST: Duration = Duration::from_secs(1);

/// How often files are looked at where the system tells nothing of them.
const LOOK: Duration = Duration::from_secs(2);

/// The longest file that is looked at, in bytes; what is behind that makes no difference.
const MOST: u64 = 16 << 20;

/// What makes a file another one, or lets it come and go.
const EVENTS: WatchFlags = WatchFlags::CLOSE_WRITE
    .union(WatchFlags::MODIFY)
    .union(WatchFlags::MOVED_TO)
    .union(WatchFlags::MOVED_FROM)
    .union(WatchFlags::CREATE)
    .union(WatchFlags::DELETE)
    .union(WatchFlags::ATTRIB)
    .union(WatchFlags::DELETE_SELF)
    .union(WatchFlags::MOVE_SELF);

/// Files that are watched.
pub struct Watch {
    files: Vec<PathBuf>,
    /// Nothing where the system cannot tell.
    events: Option<AsyncFd<OwnedFd>>,
    /// What something has to be called to matter.
    names: HashSet<OsString>,
    /// What they said when they were read last. None: they may have been read as something else.
    stamp: Option<[u8; 32]>,
    /// How often they had been read by then.
    reads: u64,
}

impl Watch {
    /// Watches `files`, which need not be there. Inside a runtime.
    pub fn new(files: &[PathBuf]) -> Self {
        let fd = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).map_err(io::Error::from);
        #[expect(deprecated, reason = "an `OwnedFd` stays open for as long as it is here, and the other way is unsafe")]
        let events = fd.and_then(AsyncFd::new);
        if let Err(error) = &events {
            tracing::info!(target: "mcp::manager", %error, "changed files are looked for every {LOOK:?}");
        }
        let stamp = Some(stamp(files));
        let mut watch = Self { files: files.to_vec(), events: events.ok(), names: HashSet::new(), stamp, reads: 0 };
        watch.look_where_they_are();
        watch
    }

    /// They are about to be read, for the time that is counted.
    pub fn reading(&mut self, reads: u64) {
        self.drain();
        self.stamp = Some(stamp(&self.files));
        self.reads = reads;
    }

    /// They were read, and `files` are to be watched from now on. What was written meanwhile may be what was read, or
    /// not: then they have to be read once more.
    pub fn follow(&mut self, files: &[PathBuf]) {
        let same = self.files == files;
        self.files = files.to_vec();
        self.look_where_they_are();
        if self.drain() || !same || self.stamp != Some(stamp(&self.files)) {
            self.stamp = None;
        }
    }

    /// Forgets what the system told so far; whether any of it mattered.
    fn drain(&self) -> bool {
        self.events.as_ref().is_some_and(|events| drained(events.get_ref(), &self.names))
    }

    /// Whether one of the files was written less than `time` ago, seen from `now` (microseconds since 1970).
    pub fn touched_within(&self, time: Duration, now: u64) -> bool {
        let since = now.saturating_sub(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
        let written = self.files.iter().filter_map(|file| file.metadata().ok());
        written.map(|meta| meta.ctime() * 1_000_000 + meta.ctime_nsec() / 1_000).any(|at| at as u64 >= since)
    }

    /// Waits until a file is another one than when it was read last and nobody writes any more. `reads` tells how often
    /// they were read, by whomever: somebody else may have read what is no longer there.
    pub async fn changed(&mut self, reads: impl Fn() -> u64) {
        loop {
            if self.stamp.is_some() {
                self.touched().await;
            }
            let first = Instant::now();
            while first.elapsed() < LONGEST && tokio::time::timeout(SETTLED, self.touched()).await.is_ok() {}
            self.look_where_they_are();
            let files = self.files.clone();
            let Ok(now) = tokio::task::spawn_blocking(move || stamp(&files)).await else { continue };
            if self.stamp != Some(now) || reads() != self.reads {
                self.stamp = Some(now);
                return;
            }
        }
    }

    /// Waits until something happens to what has one of the names, or it is time to look.
    async fn touched(&self) {
        let Some(events) = &self.events else { return tokio::time::sleep(LOOK).await };
        loop {
            let Ok(mut ready) = events.readable().await else { return tokio::time::sleep(LOOK).await };
            let concerns = drained(events.get_ref(), &self.names);
            ready.clear_ready();
            if concerns {
                return;
            }
        }
    }

    /// Watches the directories that the files are in now, or will be.
    fn look_where_they_are(&mut self) {
        self.names.clear();
        let targets: Vec<_> = self.files.iter().filter_map(|file| file.canonicalize().ok()).collect();
        let spots: Vec<_> = self.files.iter().chain(&targets).filter_map(|file| spot(file)).collect();
        for (directory, name) in spots {
            self.names.insert(name.to_owned());
            let added = self.events.as_ref().map(|events| inotify::add_watch(events.get_ref(), directory, EVENTS));
            if let Some(Err(error)) = added {
                tracing::info!(target: "mcp::manager", %error, "{} is looked at every {LOOK:?}", directory.display());
                self.events = None;
            }
        }
    }
}

impl builtin::workspace::Watcher for Watch {
    fn changed(&mut self) -> gate::ports::BoxFuture<'_, ()> {
        Box::pin(Self::changed(self, || 0))
    }
}

/// The deepest directory on the way to a file that is there, and the name of what comes below it.
fn spot(file: &Path) -> Option<(&Path, &OsStr)> {
    file.ancestors().find_map(|path| {
        let directory = path.parent()?;
        let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
        directory.is_dir().then_some((directory, path.file_name()?))
    })
}

/// Takes what the system has to tell; whether any of it matters.
fn drained(fd: &OwnedFd, names: &HashSet<OsString>) -> bool {
    let mut buffer = [MaybeUninit::uninit(); 4096];
    let mut reader = inotify::Reader::new(fd, &mut buffer);
    let mut concerns = false;
    while let Ok(event) = reader.next() {
        let lost = ReadFlags::QUEUE_OVERFLOW | ReadFlags::IGNORED | ReadFlags::DELETE_SELF | ReadFlags::MOVE_SELF;
        let named = event.file_name().is_some_and(|name| names.contains(OsStr::from_bytes(name.to_bytes())));
        concerns |= named || event.events().intersects(lost);
    }
    concerns
}

/// Changes when any of the files does, or who may write it.
fn stamp(files: &[PathBuf]) -> [u8; 32] {
    let mut digest = Sha256::new();
    for file in files {
        digest.update(file.as_os_str().as_bytes());
        match content(file) {
            // Says as little as one that is not there; the sandbox holds places with such files while a command runs.
            Ok((_, _, text)) if text.is_empty() => digest.update([0]),
            Err(error) if error.kind() == io::ErrorKind::NotFound => digest.update([0]),
            Ok((mode, owner, text)) => {
                digest.update([1]);
                digest.update(mode.to_le_bytes());
                digest.update(owner.to_le_bytes());
                digest.update((text.len() as u64).to_le_bytes());
                digest.update(text);
            }
            Err(error) => digest.update(format!("\0{:?}", error.kind())),
        }
    }
    digest.finalize().into()
}

fn content(path: &Path) -> io::Result<(u32, u32, Vec<u8>)> {
    // A pipe would be waited for.
    let meta = path.metadata()?;
    let mut text = Vec::new();
    if meta.is_file() {
        File::open(path)?.take(MOST).read_to_end(&mut text)?;
    }
    Ok((meta.mode(), meta.uid(), text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const PATIENCE: Duration = Duration::from_secs(30);

    /// Whether what `write` does to `dir` is noticed.
    async fn check(what: &str, files: &[&str], write: impl FnOnce(&Path)) {
        let home = tempfile::tempdir().expect("a directory");
        fs::write(home.path().join("there"), "one").expect("written");
        fs::create_dir(home.path().join("other")).expect("made");
        fs::write(home.path().join("other/far"), "one").expect("written");
        std::os::unix::fs::symlink("other/far", home.path().join("link")).expect("made");
        let files: Vec<_> = files.iter().map(|file| home.path().join(file)).collect();
        let mut watch = Watch::new(&files);
        write(home.path());
        let noticed = tokio::time::timeout(PATIENCE, watch.changed(|| 0)).await;
        assert!(noticed.is_ok(), "{what}");
    }

    #[tokio::test]
    async fn a_file_is_noticed_however_it_is_written() {
        check("in place", &["there"], |dir| fs::write(dir.join("there"), "two").expect("written")).await;
        check("renamed over", &["there"], |dir| {
            fs::write(dir.join("new"), "two").expect("written");
            fs::rename(dir.join("new"), dir.join("there")).expect("renamed");
        })
        .await;
        check("gone", &["there"], |dir| fs::remove_file(dir.join("there")).expect("removed")).await;
        check("come", &["later"], |dir| fs::write(dir.join("later"), "one").expect("written")).await;
        check("behind a link", &["link"], |dir| fs::write(dir.join("other/far"), "two").expect("written")).await;
        check("in a directory that comes", &["deep/down/file"], |dir| {
            fs::create_dir_all(dir.join("deep/down")).expect("made");
            fs::write(dir.join("deep/down/file"), "one").expect("written");
        })
        .await;
        check("writable by others", &["there"], |dir| {
            use std::os::unix::fs::PermissionsExt;
            fs::set_permissions(dir.join("there"), fs::Permissions::from_mode(0o666)).expect("set");
        })
        .await;
    }

    #[tokio::test]
    async fn what_was_read_in_between_is_noticed_to_be_gone() {
        let home = tempfile::tempdir().expect("a directory");
        let file = home.path().join("there");
        for (what, read_by_another) in [("while it was read", false), ("by somebody else", true)] {
            fs::write(&file, "one").expect("written");
            let mut watch = Watch::new(std::slice::from_ref(&file));
            if !read_by_another {
                watch.reading(1);
            }
            // Here it is read.
            fs::write(&file, "two").expect("written");
            fs::write(&file, "one").expect("written");
            if !read_by_another {
                watch.follow(std::slice::from_ref(&file));
            }
            assert!(tokio::time::timeout(PATIENCE, watch.changed(|| 1)).await.is_ok(), "{what}");
        }
    }

    #[tokio::test]
    async fn what_says_the_same_is_no_change() {
        let home = tempfile::tempdir().expect("a directory");
        let file = home.path().join("there");
        fs::write(&file, "one").expect("written");
        let absent = home.path().join("absent");
        let mut watch = Watch::new(&[file.clone(), absent.clone()]);
        fs::write(&file, "one").expect("written");
        fs::write(home.path().join("beside"), "two").expect("written");
        fs::write(&absent, "").expect("written");
        assert!(tokio::time::timeout(SETTLED * 5, watch.changed(|| 0)).await.is_err());
        fs::write(&file, "two").expect("written");
        assert!(tokio::time::timeout(PATIENCE, watch.changed(|| 0)).await.is_ok());
    }
}
