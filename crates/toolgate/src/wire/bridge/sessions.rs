//! Sessions of the server `codex` in the database of this home, and the turns in them: one at a time, whichever
//! process it runs in. A turn is a lock on a file, which the system gives back however its holder ends.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::time::Duration;

use builtin::codex::sessions::{Exchange, Hold, Keep, Kept, Session, Sessions, Unkept};
use sha2::{Digest, Sha256};
use store::db::{Conversation, Db};
use tokio::sync::OwnedMutexGuard;

use super::System;

/// How often a turn that another process has is asked for.
const AGAIN: Duration = Duration::from_millis(50);

/// Where sessions are kept.
pub struct Shelf {
    db: Db,
    /// Where the locks lie.
    turns: PathBuf,
    /// Who waits within this process: first come, first served, and one asker for the file.
    here: Mutex<HashMap<PathBuf, Arc<tokio::sync::Mutex<()>>>>,
    /// Done once the first turn is asked for.
    tidied: Once,
}

impl Shelf {
    pub fn new(state: &Path) -> Self {
        let db = Db::at(state.join(store::db::FILE), Arc::new(System));
        Self { db, turns: state.join("codex-turns"), here: Mutex::default(), tidied: Once::new() }
    }

    fn here(&self, path: &Path) -> Arc<tokio::sync::Mutex<()>> {
        // A map of whole values cannot be left half-changed.
        let mut here = self.here.lock().unwrap_or_else(PoisonError::into_inner);
        here.retain(|_, turn| Arc::strong_count(turn) > 1);
        here.entry(path.to_owned()).or_default().clone()
    }
}

/// The turn in one session; its file is taken away with it, so that nothing is left of sessions that are gone.
struct Turn {
    path: PathBuf,
    _file: File,
    _here: OwnedMutexGuard<()>,
}

impl Drop for Turn {
    fn drop(&mut self) {
        // Still locked: whoever waits for this file finds that it is no longer the one at its path, and asks again.
        _ = std::fs::remove_file(&self.path);
    }
}

/// The lock, if nobody has it.
fn try_take(path: &Path) -> io::Result<Option<File>> {
    let file = File::options().create(true).truncate(false).write(true).mode(0o600).open(path)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(std::fs::TryLockError::WouldBlock) => return Ok(None),
        Err(std::fs::TryLockError::Error(error)) => return Err(error),
    }
    let same =
        |there: &std::fs::Metadata, ours: &std::fs::Metadata| (there.dev(), there.ino()) == (ours.dev(), ours.ino());
    match path.symlink_metadata() {
        Ok(there) if same(&there, &file.metadata()?) => Ok(Some(file)),
        Ok(_) => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Takes the files away that processes left which were killed in a turn. One that somebody has stays.
fn tidy(turns: &Path) {
    for entry in std::fs::read_dir(turns).into_iter().flatten().flatten() {
        if let Ok(Some(_held)) = try_take(&entry.path()) {
            // Still locked, as when a turn is over.
            _ = std::fs::remove_file(entry.path());
        }
    }
}

fn unkept(error: impl std::fmt::Display) -> Unkept {
    Unkept(error.to_string())
}

/// What was last used before this is no longer kept at `now`.
fn since(keep: Keep, now: u64) -> u64 {
    now.saturating_sub(u64::try_from(keep.ttl.as_millis()).unwrap_or(u64::MAX))
}

impl Sessions for Shelf {
    fn hold<'a>(&'a self, owner: &'a str, id: &'a str) -> Kept<'a, Hold> {
        let name = Sha256::digest(format!("{owner}\n{id}"));
        let name: String = name.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        let path = self.turns.join(name);
        Box::pin(async move {
            let here = self.here(&path).lock_owned().await;
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.turns).map_err(unkept)?;
            self.tidied.call_once(|| tidy(&self.turns));
            loop {
                if let Some(file) = try_take(&path).map_err(unkept)? {
                    return Ok(Arc::new(Turn { path, _file: file, _here: here }) as Hold);
                }
                tokio::time::sleep(AGAIN).await;
            }
        })
    }

    fn get<'a>(&'a self, owner: &'a str, id: &'a str, keep: Keep, now: u64) -> Kept<'a, Option<Session>> {
        Box::pin(async move {
            let found = self.db.conversation(owner, id, since(keep, now)).await.map_err(unkept)?;
            Ok(found.map(session))
        })
    }

    fn put<'a>(&'a self, owner: &'a str, session: Session, keep: Keep) -> Kept<'a, ()> {
        Box::pin(async move {
            let kept = Conversation {
                turns: serde_json::to_string(&session.turns).map_err(unkept)?,
                id: session.id,
                created: session.created,
                accessed: session.accessed,
                thread: session.thread,
                count: session.count,
            };
            let since = since(keep, kept.accessed);
            self.db.keep_conversation(owner, &kept, since, keep.count).await.map_err(unkept)
        })
    }

    fn remove<'a>(&'a self, owner: &'a str, id: &'a str) -> Kept<'a, ()> {
        Box::pin(async move { self.db.forget_conversation(owner, id).await.map_err(unkept) })
    }

    fn list<'a>(&'a self, owner: &'a str, keep: Keep, now: u64) -> Kept<'a, Vec<Session>> {
        Box::pin(async move {
            let found = self.db.conversations(owner, since(keep, now)).await.map_err(unkept)?;
            Ok(found.into_iter().map(session).collect())
        })
    }
}

/// Turns that cannot be read are forgotten; the thread goes on without them.
fn session(kept: Conversation) -> Session {
    let turns: Vec<Exchange> = serde_json::from_str(&kept.turns).unwrap_or_default();
    let Conversation { id, created, accessed, thread, count, .. } = kept;
    Session { id, created, accessed, thread, count, turns }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEEP: Keep = Keep { count: 10, ttl: Duration::from_secs(10) };

    #[tokio::test]
    async fn two_processes_take_turns_and_leave_nothing_behind() {
        let state = tempfile::tempdir().expect("temporary");
        let (first, second) = (Shelf::new(state.path()), Shelf::new(state.path()));
        let turn = first.hold("me", "a").await.expect("free");
        let other = first.hold("me", "b").await.expect("another session");
        let waiting = second.hold("me", "a");
        tokio::pin!(waiting);
        tokio::select! {
            biased;
            _ = &mut waiting => panic!("two had the turn"),
            () = tokio::task::yield_now() => {}
        }
        drop(turn);
        drop(waiting.await.expect("its turn"));
        drop(other);
        assert_eq!(std::fs::read_dir(state.path().join("codex-turns")).expect("there").count(), 0);
    }

    #[tokio::test]
    async fn what_a_killed_process_left_is_taken_away() {
        let state = tempfile::tempdir().expect("temporary");
        let turns = state.path().join("codex-turns");
        let first = Shelf::new(state.path());
        let held = first.hold("me", "a").await.expect("free");
        std::fs::write(turns.join("left"), "").expect("a file");
        drop(Shelf::new(state.path()).hold("me", "b").await.expect("free"));
        assert_eq!(std::fs::read_dir(&turns).expect("there").count(), 1, "the turn that goes on");
        drop(held);
        assert_eq!(std::fs::read_dir(&turns).expect("there").count(), 0);
    }

    #[tokio::test]
    async fn a_session_whose_turns_cannot_be_read_goes_on_without_them() {
        let state = tempfile::tempdir().expect("temporary");
        let shelf = Shelf::new(state.path());
        let kept = Conversation {
            id: "a".into(),
            created: 1,
            accessed: 2,
            thread: Some("t".into()),
            count: 3,
            turns: "not JSON".into(),
        };
        shelf.db.keep_conversation("me", &kept, 0, 10).await.expect("kept");
        let found = shelf.get("me", "a", KEEP, 3).await.expect("usable").expect("kept");
        assert_eq!((found.thread.as_deref(), found.count, found.turns), (Some("t"), 3, Vec::new()));
    }
}
