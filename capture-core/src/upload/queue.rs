//! The queue of uploads, in a small database: what is to be sent, where to, and how far it is.

use std::path::{Path, PathBuf};

use sqlx::Row;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteRow, SqliteSynchronous,
};

use super::{Approval, Result, UploadError};
use crate::clock::{SystemTime, Time};
use crate::library::Entry;
use crate::system::private_folder_builder;

/// Where an upload is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Waiting for its turn, or for the network.
    Queued,
    /// Bytes are being sent.
    Sending,
    /// All bytes have arrived; the collector is checking them.
    Received,
    /// The collector has checked every byte: the copy here may be freed.
    Verified,
    /// All bytes are at a server that does not check bundles.
    Complete,
    /// The collector has rejected it; `reason` says why.
    Rejected,
    /// A person has to act; `reason` says how.
    Blocked,
}

impl State {
    const ALL: [(Self, &'static str); 7] = [
        (Self::Queued, "queued"),
        (Self::Sending, "sending"),
        (Self::Received, "received"),
        (Self::Verified, "verified"),
        (Self::Complete, "complete"),
        (Self::Rejected, "rejected"),
        (Self::Blocked, "blocked"),
    ];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(state, _)| *state == self).map_or("", |(_, name)| name)
    }

    fn from_name(name: &str) -> Self {
        Self::ALL.iter().find(|(_, known)| *known == name).map_or(Self::Queued, |(state, _)| *state)
    }

    /// Whether there is nothing left to do, unless a person does something.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(self, Self::Verified | Self::Complete | Self::Rejected | Self::Blocked)
    }
}

/// One upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// The bundle.
    pub bundle_id: String,
    /// Its file.
    pub path: PathBuf,
    /// Its length.
    pub bytes: u64,
    /// Its SHA-256, hexadecimal.
    pub sha256: String,
    /// The collector's address, or where another tus server makes uploads.
    pub server: String,
    /// Whether it goes to a collector of ours.
    pub is_collector: bool,
    /// The upload on the server, once there is one.
    pub upload_url: Option<String>,
    /// Bytes that the server has.
    pub sent: u64,
    /// Where it is.
    pub state: State,
    /// Why it waits, is blocked or was rejected.
    pub reason: Option<String>,
}

impl Item {
    /// Whether this is the upload of that very file: a copy of a bundle has its id, but nobody has looked at the copy.
    #[must_use]
    pub fn is_of(&self, entry: &Entry) -> bool {
        let is_its_bundle =
            entry.info.as_ref().is_ok_and(|info| info.manifest.bundle_id.to_string() == self.bundle_id);
        is_its_bundle && std::path::absolute(&entry.path).is_ok_and(|path| path == self.path)
    }
}

/// The queue. Clones are the same one.
#[derive(Clone)]
pub struct Queue(SqlitePool);

fn item_of(row: &SqliteRow) -> Result<Item> {
    let unsigned = |column: &str| -> Result<u64> { Ok(row.try_get::<i64, _>(column)?.max(0) as u64) };
    Ok(Item {
        bundle_id: row.try_get("bundle_id")?,
        path: PathBuf::from(row.try_get::<String, _>("path")?),
        bytes: unsigned("bytes")?,
        sha256: row.try_get("sha256")?,
        server: row.try_get("server")?,
        is_collector: row.try_get::<i64, _>("is_collector")? != 0,
        upload_url: row.try_get("upload_url")?,
        sent: unsigned("sent")?,
        state: State::from_name(&row.try_get::<String, _>("state")?),
        reason: row.try_get("reason")?,
    })
}

impl Queue {
    /// Opens the queue in a folder, which is made if need be.
    ///
    /// # Errors
    /// `Io` or `Queue`.
    pub async fn open(folder: &Path) -> Result<Self> {
        let made = private_folder_builder().recursive(true).create(folder);
        made.map_err(UploadError::io(format!("making {}", folder.display())))?;
        let options = SqliteConnectOptions::new()
            .filename(folder.join("uploads.sqlite"))
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(std::time::Duration::from_secs(10));
        let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await?;
        sqlx::migrate!().run(&pool).await.map_err(sqlx::Error::from)?;
        Ok(Self(pool))
    }

    /// Queues an approved bundle. One that is queued already keeps its progress, unless it was rejected or blocked, or
    /// goes elsewhere now: then it begins anew. One that is verified is announced again, so that the collector says it.
    ///
    /// # Errors
    /// `NotReady` if the file is not approved; `Queue`.
    pub async fn add(&self, path: &Path, server: &str, is_collector: bool) -> Result<Item> {
        let (approval, bytes) = super::approval::approval_of(path)?;
        let path = std::path::absolute(path).map_err(UploadError::io("finding the file"))?;
        let shown = path.to_str().ok_or_else(|| {
            UploadError::NotReady(format!("{} is not UTF-8: rename the folder", path.display()))
        })?;
        let Approval { bundle_id, sha256, .. } = approval;
        let server = server.trim_end_matches('/');
        sqlx::query(
            "insert into upload (bundle_id, path, bytes, sha256, server, is_collector, state, queued_at) \
             values (?, ?, ?, ?, ?, ?, 'queued', ?) \
             on conflict (bundle_id) do update set path = excluded.path, \
             upload_url = case when server = excluded.server and sha256 = excluded.sha256 \
             and state <> 'rejected' then upload_url end, \
             sent = case when server = excluded.server and sha256 = excluded.sha256 \
             and state <> 'rejected' then sent else 0 end, \
             state = case when server = excluded.server and sha256 = excluded.sha256 \
             and state in ('complete', 'received', 'sending') then state else 'queued' end, \
             reason = null, bytes = excluded.bytes, sha256 = excluded.sha256, server = excluded.server, \
             is_collector = excluded.is_collector",
        )
        .bind(bundle_id.to_string())
        .bind(shown)
        .bind(bytes as i64)
        .bind(&sha256)
        .bind(server)
        .bind(i64::from(is_collector))
        .bind((SystemTime.wall_nanos() / 1_000_000) as i64)
        .execute(&self.0)
        .await?;
        self.get(&bundle_id.to_string()).await
    }

    /// All uploads, oldest first.
    ///
    /// # Errors
    /// `Queue`.
    pub async fn all(&self) -> Result<Vec<Item>> {
        let rows =
            sqlx::query("select * from upload order by queued_at, bundle_id").fetch_all(&self.0).await?;
        rows.iter().map(item_of).collect()
    }

    /// An upload.
    ///
    /// # Errors
    /// `Queue`.
    pub async fn get(&self, bundle_id: &str) -> Result<Item> {
        let row = sqlx::query("select * from upload where bundle_id = ?")
            .bind(bundle_id)
            .fetch_one(&self.0)
            .await?;
        item_of(&row)
    }

    /// Lets an upload that is blocked try again: a person may have acted.
    ///
    /// # Errors
    /// `Queue`.
    pub async fn reopen(&self, bundle_id: &str) -> Result<()> {
        let query =
            "update upload set state = 'queued', reason = null where bundle_id = ? and state = 'blocked'";
        sqlx::query(query).bind(bundle_id).execute(&self.0).await?;
        Ok(())
    }

    /// Forgets an upload: its file is deleted, or its copy here freed.
    ///
    /// # Errors
    /// `Queue`.
    pub async fn remove(&self, bundle_id: &str) -> Result<()> {
        sqlx::query("delete from upload where bundle_id = ?").bind(bundle_id).execute(&self.0).await?;
        Ok(())
    }

    /// Stores how an upload is now.
    pub(super) async fn save(&self, item: &Item) -> Result<()> {
        sqlx::query("update upload set upload_url = ?, sent = ?, state = ?, reason = ? where bundle_id = ?")
            .bind(&item.upload_url)
            .bind(item.sent as i64)
            .bind(item.state.name())
            .bind(&item.reason)
            .bind(&item.bundle_id)
            .execute(&self.0)
            .await?;
        Ok(())
    }
}
