//! Waiting for an answer that may be given in this process or in any other.

use super::Db;
use gate::ports::{Desk, DeskError};
use gate::{Approval, ApprovalId, ApprovalState};
use sqlx::Row;
use std::time::Duration;

/// How often other processes' changes are looked for while anybody waits. A look is a few microseconds.
const LOOK_EVERY: Duration = Duration::from_millis(75);

/// What `PRAGMA data_version` said, and on which connection: the numbers of two connections have nothing to do
/// with each other.
pub(super) type Seen = (u64, i64);

impl Db {
    pub(super) async fn wait_for(&self, id: ApprovalId, until: u64) -> Result<Option<Approval>, DeskError> {
        let mut changes = self.changes.subscribe();
        loop {
            changes.mark_unchanged();
            let now = self.clock.wall_micros();
            let found = self.get(id, now.min(until)).await?;
            let open = found.as_ref().is_some_and(|approval| approval.state == ApprovalState::Open);
            if !open || now >= until {
                return Ok(found);
            }
            let left = Duration::from_micros(until - now);
            tokio::select! {
                // The sender lives as long as we do.
                _ = changes.changed() => {}
                noticed = self.look_out() => noticed?,
                () = tokio::time::sleep(left) => {}
            }
        }
    }

    /// Completes when another process has changed something. One waiter at a time looks; the others hear of it.
    async fn look_out(&self) -> Result<(), DeskError> {
        let mut seen = self.lookout.lock().await;
        loop {
            let version = self.version().await?;
            if seen.replace(version) != Some(version) {
                self.changed();
                return Ok(());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn version(&self) -> Result<Seen, DeskError> {
        self.lent(async |opened| {
            let rows = sqlx::query("PRAGMA data_version").fetch_all(&mut opened.connection).await?;
            let version = rows.first().ok_or(sqlx::Error::RowNotFound)?.try_get(0)?;
            Ok((opened.turn, version))
        })
        .await
    }
}
