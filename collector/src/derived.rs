//! What is derived from a bundle and kept beside it: its actions and its strip of small pictures.
//!
//! The verifying child process makes both, when it verifies a bundle; for one that was verified before that was so, when
//! somebody asks for the first time, one bundle at a time.

use serde::{Deserialize, Serialize};
use sqlx::Row as _;

use crate::Collector;
use crate::db::{Bundle, Db};
use crate::error::{Error, Result};
use crate::verify::derive;

/// What there is to derive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Name {
    Actions,
    Preview,
}

impl Name {
    fn text(self) -> &'static str {
        match self {
            Self::Actions => "actions",
            Self::Preview => "preview",
        }
    }
}

/// Something derived: its bytes, or why there are none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Piece {
    #[serde(skip)]
    pub(crate) bytes: Option<Vec<u8>>,
    pub(crate) problem: Option<String>,
}

/// All that is derived of a bundle.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Derived {
    pub(crate) actions: Piece,
    pub(crate) preview: Piece,
}

/// Something derived of a verified bundle, made now if it was not made yet.
///
/// # Errors
/// `NotFound` if the bundle has none; `Conflict` if it could not be made; `Internal`.
pub(crate) async fn piece(collector: &Collector, bundle: &Bundle, name: Name) -> Result<Vec<u8>> {
    let mut found = collector.db.derived(&bundle.id, name).await?;
    if found.is_none() {
        let _one_at_a_time = collector.deriving.lock().await;
        found = collector.db.derived(&bundle.id, name).await?;
        if found.is_none() {
            let derived = derive(collector, bundle).await.map_err(Error::Internal)?;
            collector.db.keep_derived(&bundle.id, &derived).await?;
            found = collector.db.derived(&bundle.id, name).await?;
        }
    }
    let Piece { bytes, problem } = found.unwrap_or_default();
    bytes.ok_or_else(|| problem.map_or(Error::NotFound(name.text()), Error::Conflict))
}

impl Db {
    async fn derived(&self, bundle: &str, name: Name) -> Result<Option<Piece>> {
        let query = sqlx::query("select bytes, problem from derived where bundle = ? and name = ?")
            .bind(bundle)
            .bind(name.text());
        let Some(row) = query.fetch_optional(&self.readers).await? else { return Ok(None) };
        Ok(Some(Piece { bytes: row.try_get("bytes")?, problem: row.try_get("problem")? }))
    }

    /// Keeps what was derived of a bundle.
    ///
    /// # Errors
    /// `Internal`.
    pub(crate) async fn keep_derived(&self, bundle: &str, derived: &Derived) -> Result<()> {
        let mut transaction = self.writer.begin().await?;
        for (name, piece) in [(Name::Actions, &derived.actions), (Name::Preview, &derived.preview)] {
            sqlx::query("insert or replace into derived (bundle, name, bytes, problem) values (?, ?, ?, ?)")
                .bind(bundle)
                .bind(name.text())
                .bind(&piece.bytes)
                .bind(&piece.problem)
                .execute(&mut *transaction)
                .await?;
        }
        Ok(transaction.commit().await?)
    }
}
