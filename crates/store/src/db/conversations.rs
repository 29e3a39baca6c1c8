//! Conversations with Codex, in SQL: what of them outlives a process. Each method is one transaction. Not here: what
//! a turn is (its text is opaque), or who may go on with one.

use super::Db;
use super::rows::time;
use super::trouble::Trouble;
use gate::ports::DeskError;
use sqlx::sqlite::SqliteRow;
use sqlx::{Connection, Row, SqliteConnection};

/// A conversation. Times are milliseconds since 1970, from the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conversation {
    /// Its name, among those of its owner.
    pub id: String,
    /// When it began.
    pub created: u64,
    /// When it was last used.
    pub accessed: u64,
    /// Codex's own thread.
    pub thread: Option<String>,
    /// How many exchanges there were.
    pub count: u64,
    /// The last exchanges, as its owner wrote them.
    pub turns: String,
}

impl Db {
    /// A conversation that was used at `since` or later.
    ///
    /// # Errors
    /// When the database cannot be used, or holds what cannot be understood.
    pub async fn conversation(&self, owner: &str, id: &str, since: u64) -> Result<Option<Conversation>, DeskError> {
        self.using(async |connection| {
            let found = sqlx::query("SELECT * FROM conversations WHERE owner = ? AND id = ? AND accessed >= ?");
            let found = found.bind(owner).bind(id).bind(time(since)).fetch_all(connection).await?;
            found.first().map(conversation).transpose()
        })
        .await
    }

    /// All that were used at `since` or later, the one used last first. What cannot be understood is left out.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub async fn conversations(&self, owner: &str, since: u64) -> Result<Vec<Conversation>, DeskError> {
        self.using(async |connection| {
            let found = sqlx::query(
                "SELECT * FROM conversations WHERE owner = ? AND accessed >= ? ORDER BY accessed DESC, id DESC",
            );
            let found = found.bind(owner).bind(time(since)).fetch_all(connection).await?;
            Ok(found.iter().filter_map(|row| conversation(row).ok()).collect())
        })
        .await
    }

    /// Keeps a conversation as it is now. Of its owner's, those not used since `since`, and all but the `most` that
    /// were used last, are let go.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub async fn keep_conversation(
        &self,
        owner: &str,
        kept: &Conversation,
        since: u64,
        most: usize,
    ) -> Result<(), DeskError> {
        self.using(async |connection| keep(connection, owner, kept, since, most).await).await
    }

    /// Lets a conversation go.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub async fn forget_conversation(&self, owner: &str, id: &str) -> Result<(), DeskError> {
        self.using(async |connection| {
            let gone = sqlx::query("DELETE FROM conversations WHERE owner = ? AND id = ?").bind(owner).bind(id);
            gone.execute(connection).await?;
            Ok(())
        })
        .await
    }
}

async fn keep(
    connection: &mut SqliteConnection,
    owner: &str,
    kept: &Conversation,
    since: u64,
    most: usize,
) -> Result<(), Trouble> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    let put = sqlx::query("INSERT OR REPLACE INTO conversations VALUES (?, ?, ?, ?, ?, ?, ?)");
    let put = put.bind(owner).bind(&kept.id).bind(time(kept.created)).bind(time(kept.accessed));
    let put = put.bind(&kept.thread).bind(time(kept.count)).bind(&kept.turns);
    put.execute(&mut *transaction).await?;
    let old = sqlx::query("DELETE FROM conversations WHERE owner = ? AND accessed < ?").bind(owner).bind(time(since));
    old.execute(&mut *transaction).await?;
    let too_many = sqlx::query(
        "DELETE FROM conversations WHERE owner = ?1 AND id NOT IN
            (SELECT id FROM conversations WHERE owner = ?1 ORDER BY accessed DESC, id DESC LIMIT ?2)",
    );
    too_many.bind(owner).bind(time(most as u64)).execute(&mut *transaction).await?;
    Ok(transaction.commit().await?)
}

fn conversation(row: &SqliteRow) -> Result<Conversation, Trouble> {
    let number = |column: &str| -> Result<u64, Trouble> {
        let value: i64 = row.try_get(column)?;
        u64::try_from(value).map_err(|_| Trouble::Senseless(format!("a negative `{column}`")))
    };
    Ok(Conversation {
        id: row.try_get("id")?,
        created: number("created")?,
        accessed: number("accessed")?,
        thread: row.try_get("thread")?,
        count: number("count")?,
        turns: row.try_get("turns")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use gate::ports::Clock;
    use std::sync::Arc;

    struct Never;

    impl Clock for Never {
        fn wall_micros(&self) -> u64 {
            0
        }

        fn mono_micros(&self) -> u64 {
            0
        }
    }

    fn used(id: &str, accessed: u64) -> Conversation {
        let turns = r#"[{"prompt":"p"}]"#.to_owned();
        Conversation { id: id.to_owned(), created: 1, accessed, thread: Some("t".into()), count: 2, turns }
    }

    async fn ids(db: &Db, owner: &str, since: u64) -> Vec<String> {
        db.conversations(owner, since).await.expect("usable").into_iter().map(|found| found.id).collect()
    }

    #[tokio::test]
    async fn conversations_outlive_the_process_that_had_them() {
        let home = tempfile::tempdir().expect("temporary");
        let path = home.path().join("toolgate.db");
        let (first, second) = (Db::at(&path, Arc::new(Never)), Db::at(&path, Arc::new(Never)));
        first.keep_conversation("me", &used("a", 5), 0, 100).await.expect("kept");
        assert_eq!(second.conversation("me", "a", 5).await.expect("usable"), Some(used("a", 5)));
        assert_eq!(second.conversation("me", "a", 6).await.expect("usable"), None);
        assert_eq!(second.conversation("you", "a", 0).await.expect("usable"), None);
        second.forget_conversation("me", "a").await.expect("gone");
        assert_eq!(first.conversation("me", "a", 0).await.expect("usable"), None);
    }

    #[tokio::test]
    async fn the_old_ones_and_those_too_many_are_let_go_of_their_owner_alone() {
        let home = tempfile::tempdir().expect("temporary");
        let db = Db::at(home.path().join("toolgate.db"), Arc::new(Never));
        db.keep_conversation("you", &used("z", 1), 0, 9).await.expect("kept");
        for (id, accessed) in [("a", 10), ("b", 30), ("c", 20), ("d", 40)] {
            db.keep_conversation("me", &used(id, accessed), 0, 3).await.expect("kept");
        }
        assert_eq!(ids(&db, "me", 0).await, ["d", "b", "c"]);
        db.keep_conversation("me", &used("e", 50), 30, 9).await.expect("kept");
        assert_eq!(ids(&db, "me", 0).await, ["e", "d", "b"]);
        assert_eq!(ids(&db, "you", 0).await, ["z"]);
    }
}
