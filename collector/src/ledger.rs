//! The ledger: what leads had exported, of which bundles, for whom, and when it went out.

use std::collections::BTreeMap;

use serde::Serialize;
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use crate::auth::Caller;
use crate::db::{Bundle, Db, now_millis, signed, unsigned};
use crate::error::{Error, Result};
use crate::export_child::Done;

/// Where an export is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    /// Others are before it.
    Waiting,
    /// A child process is at it.
    Running,
    /// Its archive can be fetched.
    Ready,
    /// It could not be made; `reason` says why.
    Failed,
    /// Its archive is not kept any more, or was never made.
    Removed,
}

impl State {
    const ALL: [(Self, &'static str); 5] = [
        (Self::Waiting, "waiting"),
        (Self::Running, "running"),
        (Self::Ready, "ready"),
        (Self::Failed, "failed"),
        (Self::Removed, "removed"),
    ];

    fn name(self) -> &'static str {
        Self::ALL.iter().find(|(state, _)| *state == self).map_or("", |(_, name)| name)
    }

    fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == name).map(|(state, _)| *state)
    }
}

/// An export, as the API shows it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Export {
    pub(crate) export_id: String,
    pub(crate) recipient: String,
    /// What was asked for, JSON.
    pub(crate) request: serde_json::Value,
    pub(crate) state: State,
    pub(crate) reason: Option<String>,
    /// How much of it is done, from 0 to 1.
    pub(crate) part: f64,
    pub(crate) steps: Option<u64>,
    pub(crate) bytes: Option<u64>,
    pub(crate) sha256: Option<String>,
    /// Number of the token that asked for it.
    pub(crate) token: i64,
    pub(crate) created_at_millis: i64,
    pub(crate) changed_at_millis: i64,
    pub(crate) num_bundles: u64,
    /// How many of them are not in it, or not whole.
    pub(crate) num_problems: u64,
    /// Bytes that went out, each as often as it did: those that were handed to the connection, not those asked for.
    pub(crate) delivered_bytes: u64,
}

/// An export with what is in it, and when it went out.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Whole {
    #[serde(flatten)]
    pub(crate) export: Export,
    pub(crate) sources: Vec<Source>,
    pub(crate) deliveries: Vec<Delivery>,
}

/// A bundle of an export.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Source {
    pub(crate) bundle_id: String,
    pub(crate) sha256: String,
    pub(crate) steps: Option<u64>,
    pub(crate) problem: Option<String>,
}

/// Bytes of an archive that went out.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Delivery {
    pub(crate) token: i64,
    pub(crate) at_millis: i64,
    pub(crate) start: u64,
    /// How many were asked for.
    pub(crate) bytes: u64,
    /// How many of them were handed to the connection; `None` if that is not known: it is under way, or the server ended meanwhile.
    pub(crate) sent_bytes: Option<u64>,
}

const COLUMNS: &str = "id, recipient, request, state, reason, part, steps, bytes, sha256, token, created_at, changed_at, \
    (select count(*) from export_source where export = id) as num_bundles, \
    (select count(*) from export_source where export = id and problem is not null) as num_problems, \
    (select coalesce(sum(sent), 0) from export_delivery where export = id) as delivered_bytes";

fn export_of(row: &SqliteRow) -> Result<Export> {
    let state: String = row.try_get("state")?;
    let state = State::from_name(&state)
        .ok_or_else(|| Error::Internal(anyhow::anyhow!("the database has an export that is {state:?}")))?;
    let request: String = row.try_get("request")?;
    Ok(Export {
        export_id: row.try_get("id")?,
        recipient: row.try_get("recipient")?,
        request: serde_json::from_str(&request).map_err(|error| Error::Internal(error.into()))?,
        state,
        reason: row.try_get("reason")?,
        part: row.try_get("part")?,
        steps: optional(row, "steps")?,
        bytes: optional(row, "bytes")?,
        sha256: row.try_get("sha256")?,
        token: row.try_get("token")?,
        created_at_millis: row.try_get("created_at")?,
        changed_at_millis: row.try_get("changed_at")?,
        num_bundles: unsigned(row, "num_bundles")?,
        num_problems: unsigned(row, "num_problems")?,
        delivered_bytes: unsigned(row, "delivered_bytes")?,
    })
}

fn optional(row: &SqliteRow, column: &str) -> Result<Option<u64>> {
    Ok(row.try_get::<Option<i64>, _>(column)?.and_then(|number| u64::try_from(number).ok()))
}

impl Db {
    /// Notes an export that a lead asks for.
    pub(crate) async fn new_export(
        &self,
        caller: &Caller,
        id: &str,
        recipient: &str,
        request: &str,
        bundles: &[Bundle],
    ) -> Result<()> {
        let mut transaction = self.writer.begin().await?;
        sqlx::query(
            "insert into export (id, token, recipient, request, state, created_at, changed_at) \
             values (?, ?, ?, ?, 'waiting', ?, ?)",
        )
        .bind(id)
        .bind(caller.token)
        .bind(recipient)
        .bind(request)
        .bind(now_millis())
        .bind(now_millis())
        .execute(&mut *transaction)
        .await?;
        for (bundle, place) in bundles.iter().zip(0i64..) {
            sqlx::query("insert into export_source (export, place, bundle, sha256) values (?, ?, ?, ?)")
                .bind(id)
                .bind(place)
                .bind(&bundle.id)
                .bind(&bundle.sha256)
                .execute(&mut *transaction)
                .await?;
        }
        Ok(transaction.commit().await?)
    }

    /// The newest exports.
    pub(crate) async fn exports(&self, limit: u32, skip: u32) -> Result<(Vec<Export>, u64)> {
        let query = format!("select {COLUMNS} from export order by created_at desc, id limit ? offset ?");
        let rows =
            sqlx::query(sqlx::AssertSqlSafe(query)).bind(limit).bind(skip).fetch_all(&self.readers).await?;
        let total = sqlx::query("select count(*) as total from export").fetch_one(&self.readers).await?;
        Ok((rows.iter().map(export_of).collect::<Result<_>>()?, unsigned(&total, "total")?))
    }

    /// An export.
    pub(crate) async fn export(&self, id: &str) -> Result<Export> {
        let query = format!("select {COLUMNS} from export where id = ?");
        let row = sqlx::query(sqlx::AssertSqlSafe(query)).bind(id).fetch_optional(&self.readers).await?;
        export_of(&row.ok_or(Error::NotFound("export"))?)
    }

    /// An export with its bundles, and when it went out.
    pub(crate) async fn whole_export(&self, id: &str) -> Result<Whole> {
        let mut whole = Whole { export: self.export(id).await?, sources: Vec::new(), deliveries: Vec::new() };
        let query =
            "select bundle, sha256, steps, problem from export_source where export = ? order by place";
        for row in sqlx::query(query).bind(id).fetch_all(&self.readers).await? {
            whole.sources.push(Source {
                bundle_id: row.try_get("bundle")?,
                sha256: row.try_get("sha256")?,
                steps: optional(&row, "steps")?,
                problem: row.try_get("problem")?,
            });
        }
        let query =
            "select token, at, start, bytes, sent from export_delivery where export = ? order by at, rowid";
        for row in sqlx::query(query).bind(id).fetch_all(&self.readers).await? {
            whole.deliveries.push(Delivery {
                token: row.try_get("token")?,
                at_millis: row.try_get("at")?,
                start: unsigned(&row, "start")?,
                bytes: unsigned(&row, "bytes")?,
                sent_bytes: optional(&row, "sent")?,
            });
        }
        Ok(whole)
    }

    /// The export that is to be made next: one that was begun before the server ended, else the oldest that waits.
    pub(crate) async fn next_export(&self) -> Result<Option<String>> {
        let query = "select id from export where state in ('running', 'waiting') \
                     order by state = 'waiting', created_at, id limit 1";
        let row = sqlx::query(query).fetch_optional(&self.readers).await?;
        Ok(row.map(|row| row.try_get("id")).transpose()?)
    }

    /// Moves an export on, unless it was removed meanwhile; false if so.
    pub(crate) async fn set_export(
        &self,
        id: &str,
        state: State,
        part: f64,
        reason: Option<&str>,
    ) -> Result<bool> {
        let query = "update export set state = ?, part = ?, reason = ?, changed_at = ? where id = ? and state != 'removed'";
        let done = sqlx::query(query)
            .bind(state.name())
            .bind(part)
            .bind(reason)
            .bind(now_millis())
            .bind(id)
            .execute(&self.writer)
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Notes what came of an export, unless it was removed meanwhile; false if so. `problems` are by bundle.
    pub(crate) async fn finish_export(&self, id: &str, done: &Done) -> Result<bool> {
        let mut transaction = self.writer.begin().await?;
        let moved = sqlx::query(
            "update export set state = 'ready', part = 1, reason = null, steps = ?, bytes = ?, sha256 = ?, changed_at = ? \
             where id = ? and state = 'running'",
        )
        .bind(signed(done.sources.values().filter_map(|source| source.steps).sum()))
        .bind(signed(done.bytes))
        .bind(&done.sha256)
        .bind(now_millis())
        .bind(id)
        .execute(&mut *transaction)
        .await?;
        note_sources(&mut transaction, id, &done.sources).await?;
        transaction.commit().await?;
        Ok(moved.rows_affected() == 1)
    }

    /// Notes what became of the bundles of an export that failed.
    pub(crate) async fn note_sources(
        &self,
        id: &str,
        sources: &BTreeMap<String, crate::export_child::Source>,
    ) -> Result<()> {
        let mut transaction = self.writer.begin().await?;
        note_sources(&mut transaction, id, sources).await?;
        Ok(transaction.commit().await?)
    }

    /// Takes an export away: its bytes go, its row stays.
    pub(crate) async fn remove_export(&self, id: &str) -> Result<()> {
        let query = "update export set state = 'removed', changed_at = ? where id = ?";
        let done = sqlx::query(query).bind(now_millis()).bind(id).execute(&self.writer).await?;
        if done.rows_affected() == 0 { Err(Error::NotFound("export")) } else { Ok(()) }
    }

    /// Notes that bytes of an archive are asked for; the answer is the delivery's number.
    pub(crate) async fn note_delivery(
        &self,
        id: &str,
        caller: &Caller,
        start: u64,
        bytes: u64,
    ) -> Result<i64> {
        let query = "insert into export_delivery (export, token, at, start, bytes) values (?, ?, ?, ?, ?)";
        let done = sqlx::query(query)
            .bind(id)
            .bind(caller.token)
            .bind(now_millis())
            .bind(signed(start))
            .bind(signed(bytes))
            .execute(&self.writer)
            .await?;
        Ok(done.last_insert_rowid())
    }

    /// Notes how many bytes of a delivery were handed to the connection.
    pub(crate) async fn note_sent(&self, delivery: i64, bytes: u64) -> Result<()> {
        sqlx::query("update export_delivery set sent = ? where rowid = ?")
            .bind(signed(bytes))
            .bind(delivery)
            .execute(&self.writer)
            .await?;
        Ok(())
    }
}

async fn note_sources(
    transaction: &mut sqlx::Transaction<'_, sqlx::Sqlite>,
    id: &str,
    sources: &BTreeMap<String, crate::export_child::Source>,
) -> Result<()> {
    for (bundle, source) in sources {
        sqlx::query("update export_source set steps = ?, problem = ? where export = ? and bundle = ?")
            .bind(source.steps.map(signed))
            .bind(&source.problem)
            .bind(id)
            .bind(bundle)
            .execute(&mut **transaction)
            .await?;
    }
    Ok(())
}
