//! The database: tokens, codes, bundles, and the offset of every upload. One writer, many readers, every commit durable.

use std::path::Path;

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteRow, SqliteSynchronous,
};
use sqlx::{Row, migrate::MigrateError};
use time::OffsetDateTime;

use crate::auth::{Caller, Role, Secret};
use crate::error::{Error, Result};

/// Readers at once.
const READERS: u32 = 4;

/// The database of a collector. Clones are the same one.
#[derive(Clone)]
pub struct Db {
    /// One connection, so that no write waits for a lock.
    pub(crate) writer: SqlitePool,
    pub(crate) readers: SqlitePool,
}

/// Where a bundle is, as people see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Announced; no byte has come.
    Created,
    /// Bytes are coming.
    Receiving,
    /// All bytes are here and durable.
    Received,
    /// A child process is checking it.
    Verifying,
    /// Size, digest and every byte were checked: the expert's copy may go.
    Verified,
    /// It is not what was announced, or no sound bundle; `reason` says why.
    Rejected,
}

impl State {
    const ALL: [(Self, &'static str); 6] = [
        (Self::Created, "created"),
        (Self::Receiving, "receiving"),
        (Self::Received, "received"),
        (Self::Verifying, "verifying"),
        (Self::Verified, "verified"),
        (Self::Rejected, "rejected"),
    ];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(state, _)| *state == self).map_or("", |(_, name)| name)
    }

    /// The state of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == name).map(|(state, _)| *state)
    }
}

/// What an expert announces.
#[derive(Debug, Clone)]
pub struct Announcement {
    /// The bundle.
    pub bundle: String,
    /// Its length.
    pub bytes: u64,
    /// Its SHA-256, lowercase hexadecimal.
    pub sha256: String,
    /// The expert's approval, JSON.
    pub approval: String,
    /// If it was rejected: whether it begins anew.
    pub again: bool,
}

/// A bundle as the database knows it.
#[derive(Debug, Clone)]
pub struct Bundle {
    /// The bundle's id.
    pub id: String,
    /// The token that announced it.
    pub token: i64,
    /// Its project.
    pub project: String,
    /// Pseudonym of its expert.
    pub expert: String,
    /// Length.
    pub bytes: u64,
    /// SHA-256, hexadecimal.
    pub sha256: String,
    /// Where it is.
    pub state: State,
    /// Why it was rejected.
    pub reason: Option<String>,
    /// What verification read from it, JSON.
    pub facts: Option<String>,
    /// Id of its upload, which is also the name of its blob.
    pub upload: String,
    /// Bytes that are durable.
    pub offset: u64,
    /// When it was announced, milliseconds since 1970.
    pub created_at: i64,
    /// When its state last changed.
    pub changed_at: i64,
}

/// An upload as the database knows it.
#[derive(Debug, Clone)]
pub struct Upload {
    /// Its id.
    pub id: String,
    /// Project of its bundle.
    pub project: String,
    /// Expert of its bundle.
    pub expert: String,
    /// Its bundle.
    pub bundle: String,
    /// Length.
    pub length: u64,
    /// Bytes that are durable.
    pub offset: u64,
    /// Goes up with each request that takes it over.
    pub epoch: i64,
    /// `Upload-Metadata` of its creation, as it was sent.
    pub metadata: Option<String>,
}

pub(crate) const BUNDLE_COLUMNS: &str = "bundle.id, token, project, expert, bytes, sha256, state, reason, facts, upload, \
                              upload.offset as offset, created_at, changed_at";
pub(crate) const FROM_BUNDLE: &str = "from bundle join upload on upload.id = bundle.upload";

pub(crate) fn bundle_of(row: &SqliteRow) -> Result<Bundle> {
    let state: String = row.try_get("state")?;
    let state = State::from_name(&state)
        .ok_or_else(|| Error::Internal(anyhow::anyhow!("the database has the state {state:?}")))?;
    Ok(Bundle {
        id: row.try_get("id")?,
        token: row.try_get("token")?,
        project: row.try_get("project")?,
        expert: row.try_get("expert")?,
        bytes: unsigned(row, "bytes")?,
        sha256: row.try_get("sha256")?,
        state,
        reason: row.try_get("reason")?,
        facts: row.try_get("facts")?,
        upload: row.try_get("upload")?,
        offset: unsigned(row, "offset")?,
        created_at: row.try_get("created_at")?,
        changed_at: row.try_get("changed_at")?,
    })
}

fn upload_of(row: &SqliteRow) -> Result<Upload> {
    Ok(Upload {
        id: row.try_get("id")?,
        project: row.try_get("project")?,
        expert: row.try_get("expert")?,
        bundle: row.try_get("bundle")?,
        length: unsigned(row, "length")?,
        offset: unsigned(row, "offset")?,
        epoch: row.try_get("epoch")?,
        metadata: row.try_get("metadata")?,
    })
}

pub(crate) fn unsigned(row: &SqliteRow, column: &str) -> Result<u64> {
    Ok(u64::try_from(row.try_get::<i64, _>(column)?).unwrap_or_default())
}

pub(crate) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Milliseconds since 1970.
#[must_use]
pub fn now_millis() -> i64 {
    (OffsetDateTime::now_utc().unix_timestamp_nanos() / 1_000_000) as i64
}

impl Db {
    /// Opens the database, makes it if need be, and brings it to this version.
    ///
    /// # Errors
    /// If the file cannot be opened, or was made by a newer version.
    pub async fn open(path: &Path) -> anyhow::Result<Self> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(std::time::Duration::from_secs(10))
            .foreign_keys(true);
        let writer = SqlitePoolOptions::new().max_connections(1).connect_with(options.clone()).await?;
        sqlx::migrate!().run(&writer).await.map_err(|error| match error {
            MigrateError::VersionMissing(version) => anyhow::anyhow!(
                "the data folder was used by a newer version (migration {version}): update the collector"
            ),
            other => other.into(),
        })?;
        let readers =
            SqlitePoolOptions::new().max_connections(READERS).connect_with(options.read_only(true)).await?;
        Ok(Self { writer, readers })
    }

    /// Writes everything that is in the write-ahead log into the database and closes it.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }

    /// Makes a token.
    ///
    /// # Errors
    /// `Internal`.
    pub async fn new_token(&self, role: Role, secret: &Secret) -> Result<i64> {
        let query = sqlx::query("insert into token (digest, role, created_at) values (?, ?, ?)")
            .bind(secret.digest())
            .bind(role.name())
            .bind(now_millis());
        Ok(query.execute(&self.writer).await?.last_insert_rowid())
    }

    /// Revokes a token; false if there is none of that number.
    ///
    /// # Errors
    /// `Internal`.
    pub async fn revoke_token(&self, id: i64) -> Result<bool> {
        let query = sqlx::query("update token set revoked_at = ? where id = ? and revoked_at is null")
            .bind(now_millis())
            .bind(id);
        Ok(query.execute(&self.writer).await?.rows_affected() == 1)
    }

    /// Who a token belongs to; revocation counts at once.
    ///
    /// # Errors
    /// `Internal`.
    pub async fn caller(&self, digest: &[u8]) -> Result<Option<Caller>> {
        let query = sqlx::query(
            "select id, role, project, expert from token where digest = ? and revoked_at is null",
        );
        let Some(row) = query.bind(digest).fetch_optional(&self.readers).await? else { return Ok(None) };
        let role: String = row.try_get("role")?;
        let role = Role::from_name(&role)
            .ok_or_else(|| Error::Internal(anyhow::anyhow!("the database has the role {role:?}")))?;
        let (project, expert) = (row.try_get("project")?, row.try_get("expert")?);
        Ok(Some(Caller { token: row.try_get("id")?, role, project, expert }))
    }

    /// All tokens: number, role, project, expert, whether revoked.
    ///
    /// # Errors
    /// `Internal`.
    pub async fn tokens(&self) -> Result<Vec<(i64, String, Option<String>, Option<String>, bool)>> {
        let query = "select id, role, project, expert, revoked_at is not null from token order by id";
        Ok(sqlx::query_as(query).fetch_all(&self.readers).await?)
    }

    /// Makes an enrolment code for an expert.
    ///
    /// # Errors
    /// `Internal`.
    pub async fn new_code(&self, code: &Secret, project: &str, expert: &str, expires_at: i64) -> Result<()> {
        sqlx::query("insert into enrolment (digest, project, expert, expires_at) values (?, ?, ?, ?)")
            .bind(code.digest())
            .bind(project)
            .bind(expert)
            .bind(expires_at)
            .execute(&self.writer)
            .await?;
        Ok(())
    }

    /// Turns a code into an expert's token, once. Returns project and expert.
    ///
    /// # Errors
    /// `Code` if it is unknown, used or expired.
    pub async fn enrol(&self, code: &[u8], token: &Secret) -> Result<(String, String)> {
        let mut transaction = self.writer.begin().await?;
        let query =
            sqlx::query("select id, project, expert, expires_at, used_at from enrolment where digest = ?");
        let row = query.bind(code).fetch_optional(&mut *transaction).await?.ok_or(Error::Code("is wrong"))?;
        if row.try_get::<Option<i64>, _>("used_at")?.is_some() {
            return Err(Error::Code("was used before"));
        }
        if row.try_get::<i64, _>("expires_at")? < now_millis() {
            return Err(Error::Code("has expired"));
        }
        let (project, expert): (String, String) = (row.try_get("project")?, row.try_get("expert")?);
        sqlx::query("update enrolment set used_at = ? where id = ?")
            .bind(now_millis())
            .bind(row.try_get::<i64, _>("id")?)
            .execute(&mut *transaction)
            .await?;
        sqlx::query(
            "insert into token (digest, role, project, expert, created_at) values (?, 'expert', ?, ?, ?)",
        )
        .bind(token.digest())
        .bind(&project)
        .bind(&expert)
        .bind(now_millis())
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok((project, expert))
    }

    /// Announces a bundle, or finds it announced before. A rejected one begins anew under the fresh upload, if asked to.
    ///
    /// # Errors
    /// `Conflict` if it was announced with other bytes; `NotFound` if it is someone else's.
    pub async fn announce(&self, caller: &Caller, what: &Announcement, fresh_upload: &str) -> Result<Bundle> {
        let mut transaction = self.writer.begin().await?;
        let query = format!("select {BUNDLE_COLUMNS} {FROM_BUNDLE} where bundle.id = ?");
        let known =
            sqlx::query(sqlx::AssertSqlSafe(query)).bind(&what.bundle).fetch_optional(&mut *transaction);
        let known = known.await?.as_ref().map(bundle_of).transpose()?;
        match known {
            Some(known)
                if Some(&known.expert) != caller.expert.as_ref()
                    || Some(&known.project) != caller.project.as_ref() =>
            {
                return Err(Error::NotFound("bundle"));
            }
            Some(known) if known.state != State::Rejected || !what.again => {
                if known.state != State::Rejected
                    && (known.bytes, &known.sha256) != (what.bytes, &what.sha256)
                {
                    return Err(Error::Conflict(
                        "this bundle was announced with other bytes: an edited session needs a new bundle id"
                            .into(),
                    ));
                }
                // The same expert may have enrolled anew since: the upload belongs to the token that asks now.
                sqlx::query("update bundle set token = ? where id = ?")
                    .bind(caller.token)
                    .bind(&known.id)
                    .execute(&mut *transaction)
                    .await?;
                transaction.commit().await?;
                return Ok(Bundle { token: caller.token, ..known });
            }
            Some(known) => {
                insert_upload(&mut transaction, fresh_upload, what).await?;
                // Other bytes, other actions.
                sqlx::query("delete from derived where bundle = ?")
                    .bind(&known.id)
                    .execute(&mut *transaction)
                    .await?;
                sqlx::query(
                    "update bundle set token = ?, bytes = ?, sha256 = ?, approval = ?, state = 'created', reason = null, \
                     facts = null, upload = ?, changed_at = ? where id = ?",
                )
                .bind(caller.token)
                .bind(signed(what.bytes))
                .bind(&what.sha256)
                .bind(&what.approval)
                .bind(fresh_upload)
                .bind(now_millis())
                .bind(&known.id)
                .execute(&mut *transaction)
                .await?;
            }
            None => {
                sqlx::query("pragma defer_foreign_keys = on").execute(&mut *transaction).await?;
                insert_upload(&mut transaction, fresh_upload, what).await?;
                sqlx::query(
                    "insert into bundle (id, token, project, expert, bytes, sha256, approval, state, upload, created_at, \
                     changed_at) values (?, ?, ?, ?, ?, ?, ?, 'created', ?, ?, ?)",
                )
                .bind(&what.bundle)
                .bind(caller.token)
                .bind(&caller.project)
                .bind(&caller.expert)
                .bind(signed(what.bytes))
                .bind(&what.sha256)
                .bind(&what.approval)
                .bind(fresh_upload)
                .bind(now_millis())
                .bind(now_millis())
                .execute(&mut *transaction)
                .await?;
            }
        }
        transaction.commit().await?;
        self.bundle(&what.bundle).await?.ok_or(Error::NotFound("bundle"))
    }

    /// A bundle.
    ///
    /// # Errors
    /// `Internal`.
    pub async fn bundle(&self, id: &str) -> Result<Option<Bundle>> {
        let query = format!("select {BUNDLE_COLUMNS} {FROM_BUNDLE} where bundle.id = ?");
        let row = sqlx::query(sqlx::AssertSqlSafe(query)).bind(id).fetch_optional(&self.readers).await?;
        row.as_ref().map(bundle_of).transpose()
    }

    /// Bundles in a state, oldest first.
    ///
    /// # Errors
    /// `Internal`.
    pub async fn bundles_in(&self, states: [State; 2]) -> Result<Vec<Bundle>> {
        let query =
            format!("select {BUNDLE_COLUMNS} {FROM_BUNDLE} where state in (?, ?) order by changed_at");
        let query = sqlx::query(sqlx::AssertSqlSafe(query)).bind(states[0].name()).bind(states[1].name());
        query.fetch_all(&self.readers).await?.iter().map(bundle_of).collect()
    }

    /// Moves a bundle to a state.
    ///
    /// # Errors
    /// `Internal`.
    pub async fn set_state(
        &self,
        bundle: &str,
        state: State,
        reason: Option<&str>,
        facts: Option<&str>,
    ) -> Result<()> {
        sqlx::query("update bundle set state = ?, reason = ?, facts = ?, changed_at = ? where id = ?")
            .bind(state.name())
            .bind(reason)
            .bind(facts)
            .bind(now_millis())
            .bind(bundle)
            .execute(&self.writer)
            .await?;
        Ok(())
    }

    /// An upload of the bundle it belongs to now; a rejected bundle's old upload is gone.
    ///
    /// # Errors
    /// `Internal`.
    pub async fn upload(&self, id: &str) -> Result<Option<Upload>> {
        let query = "select upload.id, project, expert, upload.bundle, length, offset, epoch, metadata \
                     from upload join bundle on bundle.upload = upload.id where upload.id = ?";
        let row = sqlx::query(query).bind(id).fetch_optional(&self.readers).await?;
        row.as_ref().map(upload_of).transpose()
    }

    /// Uploads that can still grow.
    ///
    /// # Errors
    /// `Internal`.
    pub async fn open_uploads(&self) -> Result<Vec<Upload>> {
        let query = "select upload.id, project, expert, upload.bundle, length, offset, epoch, metadata \
                     from upload join bundle on bundle.upload = upload.id where state in ('created', 'receiving')";
        sqlx::query(query).fetch_all(&self.readers).await?.iter().map(upload_of).collect()
    }

    /// Takes an upload over: whoever held it commits nothing any more. Returns it as it is now.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn take_over(&self, id: &str) -> Result<Upload> {
        sqlx::query("update upload set epoch = epoch + 1 where id = ?")
            .bind(id)
            .execute(&self.writer)
            .await?;
        self.upload(id).await?.ok_or(Error::NotFound("upload"))
    }

    /// Remembers the metadata of an upload's creation.
    ///
    /// # Errors
    /// `Internal`.
    pub async fn set_metadata(&self, id: &str, metadata: &str) -> Result<()> {
        let query = sqlx::query("update upload set metadata = ? where id = ?").bind(metadata).bind(id);
        query.execute(&self.writer).await?;
        Ok(())
    }

    /// Moves an upload's offset after its bytes are durable; its bundle follows.
    ///
    /// # Errors
    /// `Superseded` if another request has taken the upload over.
    pub async fn commit(&self, upload: &Upload, to: u64) -> Result<()> {
        let mut transaction = self.writer.begin().await?;
        let moved = sqlx::query("update upload set offset = ? where id = ? and epoch = ? and offset = ?")
            .bind(signed(to))
            .bind(&upload.id)
            .bind(upload.epoch)
            .bind(signed(upload.offset))
            .execute(&mut *transaction)
            .await?;
        if moved.rows_affected() != 1 {
            return Err(Error::Superseded);
        }
        let state = if to == upload.length { State::Received } else { State::Receiving };
        sqlx::query("update bundle set state = ?, changed_at = ? where upload = ? and state in ('created', 'receiving')")
            .bind(state.name())
            .bind(now_millis())
            .bind(&upload.id)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Forgets a bundle whose upload was terminated before its end.
    ///
    /// # Errors
    /// `Internal`.
    pub async fn forget(&self, bundle: &str) -> Result<()> {
        let mut transaction = self.writer.begin().await?;
        sqlx::query("pragma defer_foreign_keys = on").execute(&mut *transaction).await?;
        sqlx::query("delete from upload where bundle = ?").bind(bundle).execute(&mut *transaction).await?;
        sqlx::query("delete from bundle where id = ?").bind(bundle).execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(())
    }
}

async fn insert_upload(
    transaction: &mut sqlx::Transaction<'_, sqlx::Sqlite>,
    id: &str,
    what: &Announcement,
) -> Result<()> {
    sqlx::query("insert into upload (id, bundle, length) values (?, ?, ?)")
        .bind(id)
        .bind(&what.bundle)
        .bind(signed(what.bytes))
        .execute(&mut **transaction)
        .await?;
    Ok(())
}
