//! The list of bundles, as people want it: filtered, searched, sorted, in parts.

use serde::Deserialize;
use sqlx::Row as _;
use sqlx::sqlite::SqliteArguments;

use crate::auth::{Caller, Role};
use crate::db::{BUNDLE_COLUMNS, Bundle, Db, FROM_BUNDLE, State, bundle_of};
use crate::error::{Error, Result};

/// Most rows of an answer.
const MAX_ROWS: u32 = 1000;
const CONDITIONS: &str = "(?1 is null or (project = ?1 and expert = ?2)) and (?3 is null or project = ?3) \
    and (?4 is null or expert = ?4) and (?5 is null or state = ?5) \
    and (?6 is null or project like ?6 escape '\\' or expert like ?6 escape '\\' or bundle.id like ?6 escape '\\' \
    or json_extract(facts, '$.title') like ?6 escape '\\')";

/// What is asked for. An empty text is as good as none.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Wanted {
    limit: Option<u32>,
    skip: u32,
    project: String,
    expert: String,
    state: String,
    /// Part of a title, project, pseudonym or id; the case of Latin letters does not matter.
    search: String,
    sort: Sort,
    order: Option<Order>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Sort {
    #[default]
    Announced,
    Length,
    Bytes,
    Title,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Order {
    Asc,
    Desc,
}

impl Wanted {
    /// The verified bundles that a filter takes, the oldest first.
    pub(crate) fn verified(project: &str, expert: &str, search: &str) -> Self {
        Self {
            limit: Some(MAX_ROWS),
            project: project.to_owned(),
            expert: expert.to_owned(),
            state: State::Verified.name().to_owned(),
            search: search.to_owned(),
            order: Some(Order::Asc),
            ..Self::default()
        }
    }

    /// The rows after those.
    pub(crate) fn go_on_after(&mut self, rows: usize) {
        self.skip = u32::try_from(rows).unwrap_or(u32::MAX);
    }

    /// The part of the query that sorts, made of words of ours alone.
    fn order_by(&self) -> String {
        let (column, usual) = match self.sort {
            Sort::Announced => ("created_at", Order::Desc),
            Sort::Length => ("json_extract(facts, '$.duration_nanos')", Order::Desc),
            Sort::Bytes => ("bytes", Order::Desc),
            Sort::Title => ("json_extract(facts, '$.title') collate nocase", Order::Asc),
        };
        let order = if self.order.unwrap_or(usual) == Order::Asc { "asc" } else { "desc" };
        format!("order by {column} {order} nulls last, bundle.id {order}")
    }
}

fn some(text: &str) -> Option<&str> {
    Some(text.trim()).filter(|text| !text.is_empty())
}

impl Db {
    /// The wanted ones of the bundles that a caller may see, an expert's own or all of them; and how many there are.
    ///
    /// # Errors
    /// `BadRequest` if there is no such state; `Internal`.
    pub(crate) async fn bundles(&self, caller: &Caller, wanted: &Wanted) -> Result<(Vec<Bundle>, u64)> {
        let of = (caller.role == Role::Expert).then_some(caller);
        let state = match some(&wanted.state) {
            Some(name) => Some(
                State::from_name(name)
                    .ok_or_else(|| Error::BadRequest(format!("there is no state {name:?}")))?
                    .name(),
            ),
            None => None,
        };
        let pattern = some(&wanted.search).map(|search| {
            let literal = search.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
            format!("%{literal}%")
        });
        let ask = |query: String| -> sqlx::query::Query<'_, sqlx::Sqlite, SqliteArguments> {
            sqlx::query(sqlx::AssertSqlSafe(query))
                .bind(of.map(|caller| caller.project.clone().unwrap_or_default()))
                .bind(of.and_then(|caller| caller.expert.clone()))
                .bind(some(&wanted.project).map(str::to_owned))
                .bind(some(&wanted.expert).map(str::to_owned))
                .bind(state)
                .bind(pattern.clone())
        };
        let rows = format!(
            "select {BUNDLE_COLUMNS} {FROM_BUNDLE} where {CONDITIONS} {} limit ?7 offset ?8",
            wanted.order_by()
        );
        let limit = wanted.limit.unwrap_or(100).min(MAX_ROWS);
        let rows = ask(rows).bind(limit).bind(wanted.skip).fetch_all(&self.readers).await?;
        let total = ask(format!("select count(*) as total from bundle where {CONDITIONS}"));
        let total: i64 = total.fetch_one(&self.readers).await?.try_get("total")?;
        let bundles = rows.iter().map(bundle_of).collect::<Result<_>>()?;
        Ok((bundles, u64::try_from(total).unwrap_or_default()))
    }

    /// Whether any bundle was ever announced.
    ///
    /// # Errors
    /// `Internal`.
    pub(crate) async fn has_bundles(&self) -> Result<bool> {
        let found = sqlx::query("select 1 from bundle limit 1").fetch_optional(&self.readers).await?;
        Ok(found.is_some())
    }
}
