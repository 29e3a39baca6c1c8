//! What the desk does, in SQL. Each method is one transaction; most are one statement, which is the same.

use super::Db;
use super::rows::{self, approval, json, time};
use super::trouble::Trouble;
use gate::ports::{Desk, DeskAnswer, DeskError};
use gate::{Approval, ApprovalId, CallDigest, ServerName, Settled, StandingGrant, Verdict};
use sqlx::sqlite::SqliteRow;
use sqlx::{Connection, SqliteConnection};
use uuid::Uuid;

/// How long what is over is still shown: 30 days, in microseconds.
const KEPT: u64 = 30 * 24 * 3_600 * 1_000_000;

impl Desk for Db {
    fn open(&self, asked: Approval) -> DeskAnswer<'_, Approval> {
        Box::pin(async move {
            let opened = self.using(async |connection| find_or_create(connection, &asked).await).await?;
            self.changed();
            Ok(opened)
        })
    }

    fn get(&self, id: ApprovalId, now: u64) -> DeskAnswer<'_, Option<Approval>> {
        Box::pin(self.using(async move |connection| by_id(connection, id, now).await))
    }

    fn list(&self, now: u64, all: bool) -> DeskAnswer<'_, Vec<Approval>> {
        Box::pin(self.using(async move |connection| {
            let found =
                sqlx::query("SELECT * FROM approvals WHERE ?1 OR (state = 'open' AND expires > ?2) ORDER BY asked, id");
            let found = found.bind(all).bind(time(now)).fetch_all(connection).await?;
            found.iter().map(|row| approval(row, now)).collect()
        }))
    }

    fn settle(&self, id: ApprovalId, verdict: Verdict) -> DeskAnswer<'_, Settled> {
        Box::pin(async move {
            let settled = self.using(async |connection| settle(connection, id, &verdict).await).await?;
            self.changed();
            Ok(settled)
        })
    }

    fn spend(&self, id: ApprovalId, digest: CallDigest, now: u64) -> DeskAnswer<'_, bool> {
        let spent = sqlx::query(
            "UPDATE approvals SET state = 'spent' WHERE id = ? AND digest = ? AND state = 'approved' AND expires > ?",
        );
        self.change(spent.bind(id.to_string()).bind(digest.hex()).bind(time(now)))
    }

    /// `now` does not matter: the call has begun, and what a person is asked in its midst may take its time.
    fn advance(&self, id: ApprovalId, digest: CallDigest, round: u32, _now: u64) -> DeskAnswer<'_, bool> {
        let advanced = sqlx::query(
            "UPDATE approvals SET rounds = rounds + 1 WHERE id = ? AND digest = ? AND state = 'spent' AND rounds = ?",
        );
        self.change(advanced.bind(id.to_string()).bind(digest.hex()).bind(i64::from(round)))
    }

    fn wait(&self, id: ApprovalId, until: u64) -> DeskAnswer<'_, Option<Approval>> {
        Box::pin(self.wait_for(id, until))
    }

    fn expire(&self, now: u64) -> DeskAnswer<'_, Vec<Approval>> {
        Box::pin(async move {
            let expired = self.using(async move |connection| expire(connection, now).await).await?;
            if !expired.is_empty() {
                self.changed();
            }
            Ok(expired)
        })
    }

    fn standing(&self, server: &ServerName, tool: &str, now: u64) -> DeskAnswer<'_, Vec<StandingGrant>> {
        let found = sqlx::query(
            "SELECT * FROM grants WHERE server = ? AND tool = ? AND until > ? ORDER BY given DESC, id DESC",
        );
        self.grants(found.bind(server.as_str().to_owned()).bind(tool.to_owned()).bind(time(now)))
    }

    fn all_standing(&self, now: u64) -> DeskAnswer<'_, Vec<StandingGrant>> {
        self.grants(sqlx::query("SELECT * FROM grants WHERE until > ? ORDER BY given DESC, id DESC").bind(time(now)))
    }

    fn remember(&self, grant: StandingGrant) -> DeskAnswer<'_, ()> {
        Box::pin(self.using(async move |connection| insert_grant(connection, &grant).await))
    }

    fn revoke(&self, id: Uuid) -> DeskAnswer<'_, bool> {
        self.change(sqlx::query("DELETE FROM grants WHERE id = ?").bind(id.to_string()))
    }
}

type Query = sqlx::query::Query<'static, sqlx::Sqlite, sqlx::sqlite::SqliteArguments>;

impl Db {
    /// Makes a change of one row. Whether there was such a row.
    fn change(&self, query: Query) -> DeskAnswer<'_, bool> {
        Box::pin(async move {
            let changed = async |connection: &mut SqliteConnection| {
                Ok::<_, Trouble>(query.execute(connection).await?.rows_affected() == 1)
            };
            let changed = self.using(changed).await?;
            if changed {
                self.changed();
            }
            Ok::<_, DeskError>(changed)
        })
    }

    fn grants(&self, query: Query) -> DeskAnswer<'_, Vec<StandingGrant>> {
        Box::pin(
            self.using(async move |connection| query.fetch_all(connection).await?.iter().map(rows::grant).collect()),
        )
    }
}

async fn by_id(connection: &mut SqliteConnection, id: ApprovalId, now: u64) -> Result<Option<Approval>, Trouble> {
    let found = sqlx::query("SELECT * FROM approvals WHERE id = ?").bind(id.to_string());
    found.fetch_all(connection).await?.first().map(|row| approval(row, now)).transpose()
}

async fn find_or_create(connection: &mut SqliteConnection, asked: &Approval) -> Result<Approval, Trouble> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    let found = match reusable(&mut transaction, asked).await? {
        Some(found) => found,
        None => {
            forget_old(&mut transaction, asked.asked).await?;
            insert(&mut transaction, asked).await?
        }
    };
    transaction.commit().await?;
    Ok(found)
}

async fn reusable(connection: &mut SqliteConnection, asked: &Approval) -> Result<Option<Approval>, Trouble> {
    let found = sqlx::query(
        "SELECT * FROM approvals WHERE digest = ? AND principal = ? AND state IN ('open', 'approved') AND expires > ?
         ORDER BY state, asked, id LIMIT 1",
    );
    let found = found.bind(asked.digest.hex()).bind(&asked.by).bind(time(asked.asked));
    found.fetch_all(connection).await?.first().map(|row| approval(row, asked.asked)).transpose()
}

/// What is still open is kept however old it is: nobody has said yet that it expired.
async fn forget_old(connection: &mut SqliteConnection, now: u64) -> Result<(), Trouble> {
    let oldest = time(now.saturating_sub(KEPT));
    let questions = sqlx::query("DELETE FROM approvals WHERE state <> 'open' AND expires < ?").bind(oldest);
    questions.execute(&mut *connection).await?;
    sqlx::query("DELETE FROM grants WHERE until < ?").bind(oldest).execute(connection).await?;
    Ok(())
}

async fn insert(connection: &mut SqliteConnection, asked: &Approval) -> Result<Approval, Trouble> {
    let inserted = sqlx::query(
        "INSERT INTO approvals (id, digest, principal, client, conversation, server, tool, definition, class,
         arguments, arguments_digest, rule, policy, asked, expires, requesters, state)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'open') RETURNING *",
    );
    let inserted = inserted
        .bind(asked.id.to_string())
        .bind(asked.digest.hex())
        .bind(&asked.by)
        .bind(&asked.client)
        .bind(&asked.conversation)
        .bind(asked.server.as_str())
        .bind(&asked.tool)
        .bind(&asked.definition)
        .bind(&asked.class)
        .bind(&asked.arguments)
        .bind(&asked.arguments_digest)
        .bind(&asked.rule)
        .bind(&asked.policy)
        .bind(time(asked.asked))
        .bind(time(asked.expires))
        .bind(json(&asked.requesters)?);
    approval(only(&inserted.fetch_all(connection).await?)?, asked.asked)
}

async fn settle(connection: &mut SqliteConnection, id: ApprovalId, verdict: &Verdict) -> Result<Settled, Trouble> {
    let settled = sqlx::query(
        "UPDATE approvals SET state = ?, approver = ?, way = ?, settled = ?
         WHERE id = ? AND state = 'open' AND expires > ? RETURNING *",
    );
    let settled = settled
        .bind(if verdict.yes { "approved" } else { "denied" })
        .bind(&verdict.approver)
        .bind(verdict.way.word())
        .bind(time(verdict.at))
        .bind(id.to_string())
        .bind(time(verdict.at));
    // All rows are read: only then has the statement ended, and with it the commit, which may fail.
    if let Some(row) = settled.fetch_all(&mut *connection).await?.first() {
        return Ok(Settled::Now(approval(row, verdict.at)?));
    }
    let stands = by_id(connection, id, verdict.at).await?;
    Ok(stands.map_or(Settled::Unknown, Settled::Already))
}

async fn expire(connection: &mut SqliteConnection, now: u64) -> Result<Vec<Approval>, Trouble> {
    let late = sqlx::query("UPDATE approvals SET state = 'expired' WHERE state = 'open' AND expires <= ? RETURNING *");
    let late = late.bind(time(now)).fetch_all(connection).await?;
    late.iter().map(|row| approval(row, now)).collect()
}

async fn insert_grant(connection: &mut SqliteConnection, grant: &StandingGrant) -> Result<(), Trouble> {
    let inserted = sqlx::query(
        "INSERT INTO grants (id, principal, server, tool, definition, arguments, conversation, until, given, giver,
         approval) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    );
    let inserted = inserted
        .bind(grant.id.to_string())
        .bind(&grant.by)
        .bind(&grant.server)
        .bind(&grant.tool)
        .bind(&grant.definition)
        .bind(json(&grant.arguments)?)
        .bind(&grant.conversation)
        .bind(time(grant.until))
        .bind(time(grant.given))
        .bind(&grant.giver)
        .bind(grant.approval.map(|approval| approval.to_string()));
    inserted.execute(connection).await?;
    Ok(())
}

fn only(rows: &[SqliteRow]) -> Result<&SqliteRow, Trouble> {
    rows.first().ok_or(Trouble::Sql(sqlx::Error::RowNotFound))
}
