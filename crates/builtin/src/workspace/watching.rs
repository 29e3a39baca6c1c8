//! Resources that somebody wants to hear of, and who tells: each is watched once, for as long as anybody wants to know.
//! Not here: how files are watched, or to whom it is said.

use super::resources::FILES;
use super::roots::{Astray, Roots};
use gate::ports::BoxFuture;
use gate::{Hub, Parts, Place, ReplyKind, ServerName, Unmasked, Wire};
use mcp::view::quoted;
use rustix::fs::OFlags;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::task::{AbortHandle, JoinSet};

/// Resources that are watched at a time.
const WATCHED_MAX: usize = 1_000;

/// Files that are watched from the moment they are given.
pub trait Watcher: Send {
    /// Waits until one of them is another one than before.
    fn changed(&mut self) -> BoxFuture<'_, ()>;
}

/// Begins to watch files, which need not be there. May read them; called inside a runtime.
pub type Watch = Arc<dyn Fn(&[PathBuf]) -> Box<dyn Watcher> + Send + Sync>;

/// What is watched.
pub struct Watching {
    server: ServerName,
    watch: Watch,
    hub: Arc<Hub>,
    watched: Mutex<Watched>,
}

#[derive(Default)]
struct Watched {
    /// By URI: how many want to know, and what ends it.
    uris: HashMap<Box<str>, (usize, AbortHandle)>,
    tasks: JoinSet<()>,
}

impl Watching {
    /// Nothing is watched yet.
    pub fn new(server: ServerName, watch: Watch, hub: Arc<Hub>) -> Self {
        Self { server, watch, hub, watched: Mutex::default() }
    }

    /// Somebody wants to hear of a resource.
    ///
    /// # Errors
    /// Why it cannot be watched.
    pub async fn begin(&self, uri: &str, roots: Arc<Roots>) -> Result<(), String> {
        if self.joined(uri) {
            return Ok(());
        }
        let (place, watch) = (Subject::of(uri)?, self.watch.clone());
        let (found, held) = (place.clone(), roots.clone());
        let begun = tokio::task::spawn_blocking(move || found.files(&held).map(|files| watch(&files))).await;
        let watcher = begun.map_err(|_| "toolgate is stopping".to_owned())?.map_err(|astray| astray.to_string())?;
        self.add(uri, watcher, place, roots)
    }

    /// One who wanted to hear of it no longer does.
    pub fn end(&self, uri: &str) {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((count, task)) = watched.uris.get_mut(uri) else { return };
        *count -= 1;
        if *count == 0 {
            task.abort();
            watched.uris.remove(uri);
        }
    }

    fn joined(&self, uri: &str) -> bool {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        let known = watched.uris.get_mut(uri);
        known.map(|(count, _)| *count += 1).is_some()
    }

    fn add(&self, uri: &str, watcher: Box<dyn Watcher>, place: Subject, roots: Arc<Roots>) -> Result<(), String> {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        while watched.tasks.try_join_next().is_some() {}
        if let Some((count, _)) = watched.uris.get_mut(uri) {
            *count += 1;
            return Ok(());
        }
        if watched.uris.len() >= WATCHED_MAX {
            return Err(format!("{WATCHED_MAX} resources are watched already"));
        }
        let tell = tell(self.hub.clone(), self.server.clone(), uri.into(), watcher, place, roots);
        let task = watched.tasks.spawn(tell);
        watched.uris.insert(uri.into(), (1, task));
        Ok(())
    }
}

/// Tells of each change, as long as what changed still lies where it may be read.
async fn tell(
    hub: Arc<Hub>,
    server: ServerName,
    uri: Box<str>,
    mut watcher: Box<dyn Watcher>,
    place: Subject,
    roots: Arc<Roots>,
) {
    loop {
        watcher.changed().await;
        let (place, roots) = (place.clone(), roots.clone());
        let allowed =
            tokio::task::spawn_blocking(move || !matches!(place.files(&roots), Err(Astray::Outside(_)))).await;
        if allowed.unwrap_or(false) {
            hub.resource_updated(&server, &uri, updated(&uri));
        }
    }
}

/// What stands behind a URI that can be watched.
#[derive(Debug, Clone)]
enum Subject {
    File(String),
    Commits,
}

impl Subject {
    fn of(uri: &str) -> Result<Self, String> {
        match uri.strip_prefix(FILES) {
            Some(path) => {
                super::resources::percent_decoded(path).map(Self::File).ok_or("its path cannot be read".to_owned())
            }
            None if ["git://log", "git://branch"].contains(&uri) => Ok(Self::Commits),
            None => Err("it cannot be watched: read it when you need it".to_owned()),
        }
    }

    /// The files whose change is a change of it.
    fn files(&self, roots: &Roots) -> Result<Vec<PathBuf>, Astray> {
        match self {
            Self::File(path) => {
                let (spot, rest) = roots.find(path)?;
                Ok(vec![
                    super::roots::place(spot.open(&rest, OFlags::PATH)?)
                        .map_err(|why| Astray::Io { path: path.clone(), why })?,
                ])
            }
            Self::Commits => {
                let git = roots.dir_path(".git")?;
                Ok(["HEAD", "logs/HEAD", "packed-refs"].iter().map(|name| git.join(name)).collect())
            }
        }
    }
}

fn updated(uri: &str) -> Unmasked {
    let head = r#"{"jsonrpc":"2.0","method":"notifications/resources/updated","params":"#;
    let (before, uri) = (r#"{"uri":"#, quoted(uri));
    let body = format!("{before}{uri}}}");
    let place = |start: usize, length: usize| Place { start: start as u32, end: (start + length) as u32 };
    let parts = Parts {
        body: place(head.len(), body.len()),
        subject: place(head.len() + before.len(), uri.len()),
        ..Parts::default()
    };
    Unmasked::message(Wire { json: format!("{head}{body}}}").into(), parts }, ReplyKind::Result)
}
