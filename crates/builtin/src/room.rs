//! The space left on the disks that a program may write to. One that fills them is ended before everybody else has to do
//! without. Not here: ending it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

/// Between two looks. A fast disk takes a few hundred megabytes in this time.
const LOOK: Duration = Duration::from_millis(100);

/// What has to stay free, in bytes, of the disk of each directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Room(Vec<(PathBuf, u64)>);

impl Room {
    /// `free` bytes; where there are not even so many, half of what there is: what is full already stops nobody.
    pub fn of<'a>(dirs: impl Iterator<Item = &'a Path>, free: u64) -> Self {
        let least = |left: u64| if left > free { free } else { left / 2 };
        Self(dirs.filter_map(|dir| Some((dir.to_owned(), least(left(dir)?)))).collect())
    }

    /// Returns once less is left somewhere.
    pub async fn used_up(self) {
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let this = std::sync::Arc::new(self);
        loop {
            looks.tick().await;
            let this = this.clone();
            // Asking may take as long as a disk that is far away.
            if let Ok(true) = tokio::task::spawn_blocking(move || this.is_used_up()).await {
                return;
            }
        }
    }

    fn is_used_up(&self) -> bool {
        self.0.iter().any(|(dir, least)| left(dir).is_some_and(|left| left < *least))
    }
}

/// Bytes that we could still write.
fn left(dir: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(dir).ok()?;
    disk.f_bavail.checked_mul(disk.f_frsize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_full_already_stops_nobody() {
        let dir = tempfile::tempdir().expect("temporary");
        let of = |free| Room::of([dir.path(), Path::new("/nowhere")].into_iter(), free);
        assert!(!of(u64::MAX).is_used_up(), "half of what there is");
        assert!(!of(0).is_used_up());
        assert!(Room(vec![(dir.path().to_owned(), u64::MAX)]).is_used_up());
    }
}
