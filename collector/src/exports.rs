//! Exports over HTTP, for leads: ask for one, look at the ledger, fetch an archive, take one away. They are made by [`exporter`].
//!
//! [`exporter`]: crate::exporter

use std::io::SeekFrom;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::fs::File;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncSeekExt, ReadBuf, Take};
use uuid::Uuid;

use crate::Collector;
use crate::auth::Caller;
use crate::bundles::{Content, part_of, respond};
use crate::db::{Bundle, State as BundleState};
use crate::error::{Error, Result, unreadable};
use crate::export_child::Wish;
use crate::ledger::{State as ExportState, Whole};
use crate::list::Wanted;

/// Most bundles of an export.
const MAX_BUNDLES: usize = 10_000;
/// Most rows of an answer.
const MAX_ROWS: u32 = 1000;

pub(crate) fn routes() -> Router<Collector> {
    Router::new()
        .route("/api/v1/exports", get(list).post(ask))
        .route("/api/v1/exports/{id}", get(look).delete(remove))
        .route("/api/v1/exports/{id}/content", get(content))
}

/// What a lead asks for: bundles by their ids, or all verified ones that a filter takes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    recipient: String,
    #[serde(default)]
    bundles: Vec<Uuid>,
    filter: Option<Filter>,
    wish: Wish,
}

#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
struct Filter {
    project: String,
    expert: String,
    search: String,
}

async fn ask(
    State(collector): State<Collector>,
    caller: Caller,
    request: Result<Json<Request>, JsonRejection>,
) -> Result<Response> {
    let caller = caller.as_lead()?;
    let Json(request) = request.map_err(unreadable)?;
    let recipient = request.recipient.trim();
    if recipient.is_empty() || recipient.chars().count() > 200 || recipient.chars().any(char::is_control) {
        return Err(Error::BadRequest("recipient: who gets it, in 1 to 200 printable characters".into()));
    }
    request.wish.options(collector.exports.to_path_buf()).map_err(Error::BadRequest)?;
    let bundles = chosen(&collector, caller, &request).await?;
    let id = Uuid::new_v4().to_string();
    let kept = json!({ "filter": request.filter, "wish": request.wish }).to_string();
    collector.db.new_export(caller, &id, recipient, &kept, &bundles).await?;
    collector.export_wake.notify_one();
    tracing::info!(export = id, bundles = bundles.len(), "an export was asked for");
    let export = collector.db.whole_export(&id).await?;
    Ok((StatusCode::CREATED, [("location", format!("/api/v1/exports/{id}"))], Json(export)).into_response())
}

/// The bundles that are meant, verified all of them.
async fn chosen(collector: &Collector, caller: &Caller, request: &Request) -> Result<Vec<Bundle>> {
    let mut found = Vec::new();
    match &request.filter {
        Some(_) if !request.bundles.is_empty() => {
            return Err(Error::BadRequest("either bundles or a filter, not both".into()));
        }
        Some(Filter { project, expert, search }) => {
            let mut wanted = Wanted::verified(project, expert, search);
            loop {
                let (rows, total) = collector.db.bundles(caller, &wanted).await?;
                let is_last = rows.is_empty();
                found.extend(rows);
                if is_last || found.len() as u64 >= total || found.len() > MAX_BUNDLES {
                    break;
                }
                wanted.go_on_after(found.len());
            }
        }
        None => {
            for id in &request.bundles {
                let bundle = collector.db.bundle(&id.to_string()).await?.ok_or(Error::NotFound("bundle"))?;
                if bundle.state != BundleState::Verified {
                    let why =
                        format!("bundle {id} is {}: only a verified one is exported", bundle.state.name());
                    return Err(Error::Conflict(why));
                }
                if found.iter().any(|other: &Bundle| other.id == bundle.id) {
                    return Err(Error::BadRequest(format!("bundle {id} is listed twice")));
                }
                found.push(bundle);
            }
        }
    }
    if found.is_empty() {
        return Err(Error::BadRequest("there is no verified bundle to export".into()));
    }
    if found.len() > MAX_BUNDLES {
        return Err(Error::TooLarge(format!("an export has at most {MAX_BUNDLES} bundles: choose fewer")));
    }
    Ok(found)
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Page {
    limit: Option<u32>,
    skip: u32,
}

async fn list(
    State(collector): State<Collector>,
    caller: Caller,
    page: Result<Query<Page>, QueryRejection>,
) -> Result<Json<Value>> {
    caller.as_lead()?;
    let Query(page) = page.map_err(unreadable)?;
    let (exports, total) = collector.db.exports(page.limit.unwrap_or(100).min(MAX_ROWS), page.skip).await?;
    Ok(Json(json!({ "exports": exports, "total": total })))
}

async fn look(
    State(collector): State<Collector>,
    caller: Caller,
    id: Result<Path<Uuid>, PathRejection>,
) -> Result<Json<Whole>> {
    caller.as_lead()?;
    let Path(id) = id.map_err(unreadable)?;
    Ok(Json(collector.db.whole_export(&id.to_string()).await?))
}

/// The archive of an export that is ready, whole or a range of it. That it goes out is noted first.
async fn content(
    State(collector): State<Collector>,
    caller: Caller,
    method: Method,
    id: Result<Path<Uuid>, PathRejection>,
    headers: HeaderMap,
) -> Result<Response> {
    let caller = caller.as_lead()?;
    let Path(id) = id.map_err(unreadable)?;
    let export = collector.db.export(&id.to_string()).await?;
    let (ExportState::Ready, Some(bytes), Some(sha256)) = (export.state, export.bytes, export.sha256) else {
        return Err(Error::Conflict(
            "the archive of this export is not there: it is not made yet, failed, or was removed".into(),
        ));
    };
    let part = part_of(&headers, bytes)?;
    let gone = || {
        Error::Conflict("the archive of this export is not on the disk any more: ask for a new export".into())
    };
    let mut file = File::open(collector.archive(&export.export_id)).await.map_err(|_| gone())?;
    if file.metadata().await?.len() != bytes {
        return Err(gone());
    }
    file.seek(SeekFrom::Start(part.start)).await?;
    let mut sent = None;
    if method == Method::GET {
        let number = collector.db.note_delivery(&export.export_id, caller, part.start, part.length).await?;
        sent = Some(Sent { collector: collector.clone(), delivery: number, bytes: 0 });
    }
    let name = format!("{}.tar", export.export_id);
    respond(
        &part,
        Watched { file: file.take(part.length), sent },
        &Content { sha256: &sha256, name: &name, kind: "application/x-tar" },
    )
}

/// An archive on its way: how much of it was taken is noted when nobody takes more, also if the connection was cut.
struct Watched {
    file: Take<File>,
    sent: Option<Sent>,
}

struct Sent {
    collector: Collector,
    delivery: i64,
    bytes: u64,
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.file).poll_read(context, buffer);
        if let Some(sent) = &mut self.sent {
            sent.bytes += (buffer.filled().len() - before) as u64;
        }
        read
    }
}

impl Drop for Sent {
    fn drop(&mut self) {
        let (db, delivery, bytes) = (self.collector.db.clone(), self.delivery, self.bytes);
        self.collector.last_words.spawn(async move {
            if let Err(error) = db.note_sent(delivery, bytes).await {
                tracing::error!(
                    error = format!("{error:#}"),
                    delivery,
                    bytes,
                    "what went out cannot be noted"
                );
            }
        });
    }
}

async fn remove(
    State(collector): State<Collector>,
    caller: Caller,
    id: Result<Path<Uuid>, PathRejection>,
) -> Result<StatusCode> {
    caller.as_lead()?;
    let Path(id) = id.map_err(unreadable)?;
    let id = id.to_string();
    collector.db.remove_export(&id).await?;
    // Whoever makes it at this moment stops and clears up.
    collector.export_stop.send_replace(id.clone());
    match tokio::fs::remove_file(collector.archive(&id)).await {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(StatusCode::NO_CONTENT),
    }
}
