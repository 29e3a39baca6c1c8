//! The versions of the schema, each a file of statements that leads from the one before to it.

use super::trouble::Trouble;
use sqlx::{Connection, Row, SqliteConnection};

/// The steps, in order. A step that was published is never changed, only followed by another.
pub(super) const MIGRATIONS: &[&str] = &[
    include_str!("../../migrations/sqlite/0001_desk.sql"),
    include_str!("../../migrations/sqlite/0002_conversations.sql"),
];

/// Fills an empty database.
pub(super) async fn create(connection: &mut SqliteConnection, steps: &'static [&'static str]) -> Result<(), Trouble> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    take(&mut transaction, steps, 0).await?;
    Ok(transaction.commit().await?)
}

/// Brings a database to the newest version. Any number of processes may do so at once.
pub(super) async fn migrate(connection: &mut SqliteConnection, steps: &'static [&'static str]) -> Result<(), Trouble> {
    if missing(version(connection).await?, steps)?.is_empty() {
        return Ok(());
    }
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    // Somebody may have been faster.
    let version = version(&mut transaction).await?;
    let missing = missing(version, steps)?;
    take(&mut transaction, missing, version).await?;
    Ok(transaction.commit().await?)
}

fn missing(version: i64, steps: &'static [&'static str]) -> Result<&'static [&'static str], Trouble> {
    let newer = Trouble::Newer { found: version, known: steps.len() as i64 };
    usize::try_from(version).ok().and_then(|version| steps.get(version..)).ok_or(newer)
}

async fn take(connection: &mut SqliteConnection, steps: &'static [&'static str], version: i64) -> Result<(), Trouble> {
    for step in steps {
        sqlx::raw_sql(*step).execute(&mut *connection).await?;
    }
    let version = version + steps.len() as i64;
    sqlx::query("UPDATE meta SET schema_version = ?").bind(version).execute(&mut *connection).await?;
    Ok(())
}

async fn version(connection: &mut SqliteConnection) -> Result<i64, Trouble> {
    let table = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'meta'";
    if sqlx::query(table).fetch_all(&mut *connection).await?.is_empty() {
        return Err(Trouble::Foreign("it has no version"));
    }
    let rows = sqlx::query("SELECT schema_version FROM meta").fetch_all(&mut *connection).await?;
    let [row] = rows.as_slice() else { return Err(Trouble::Foreign("it has no version")) };
    Ok(row.try_get(0)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sqlx::sqlite::SqliteConnectOptions;
    use sqlx::{ConnectOptions, Executor};

    const OLD: &[&str] = &["CREATE TABLE meta (schema_version INTEGER); INSERT INTO meta VALUES (0)"];
    const NEW: &[&str] =
        &["CREATE TABLE meta (schema_version INTEGER); INSERT INTO meta VALUES (0)", "CREATE TABLE b (x)"];

    async fn memory() -> SqliteConnection {
        SqliteConnectOptions::new().in_memory(true).connect().await.expect("memory")
    }

    #[tokio::test]
    async fn an_older_database_is_brought_forward_and_a_newer_one_refused() {
        let mut connection = memory().await;
        create(&mut connection, OLD).await.expect("empty");
        assert_eq!(version(&mut connection).await.expect("there"), 1);
        migrate(&mut connection, NEW).await.expect("one step");
        migrate(&mut connection, NEW).await.expect("nothing to do");
        assert_eq!(version(&mut connection).await.expect("there"), 2);
        connection.execute("SELECT x FROM b").await.expect("the step was taken");
        let error = migrate(&mut connection, OLD).await.expect_err("newer");
        assert!(matches!(error, Trouble::Newer { found: 2, known: 1 }), "{error}");
    }

    #[tokio::test]
    async fn a_step_that_fails_changes_nothing() {
        let mut connection = memory().await;
        create(&mut connection, OLD).await.expect("empty");
        const BAD: &[&str] = &[OLD[0], "CREATE TABLE b (x); CREATE TABLE b (x)"];
        migrate(&mut connection, BAD).await.expect_err("twice the same table");
        assert_eq!(version(&mut connection).await.expect("there"), 1);
        connection.execute("SELECT x FROM b").await.expect_err("rolled back");
    }

    #[tokio::test]
    async fn a_database_of_somebody_else_is_refused() {
        let mut connection = memory().await;
        connection.execute("CREATE TABLE bookmarks (url)").await.expect("theirs");
        let error = migrate(&mut connection, NEW).await.expect_err("not ours");
        assert!(matches!(error, Trouble::Foreign(_)), "{error}");
    }
}
