//! Bundles over HTTP: announce, list, look, fetch.

use axum::body::Body;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, RANGE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, put};
use axum::{Json, Router};
use praxis_page::{Part, RangeError};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::io::AsyncRead;
use tokio_util::io::ReaderStream;
use uuid::Uuid;

use crate::auth::{Caller, Secret};
use crate::db::{Announcement, Bundle, State as BundleState};
use crate::derived::{Name, piece};
use crate::error::{Error, Result, unreadable};
use crate::list::Wanted;
use crate::{Collector, UPLOADS};

/// Longest bundle that is taken in.
pub(crate) const MAX_BUNDLE_BYTES: u64 = 64 << 30;
/// Bytes read at once while a bundle is handed out.
const READ_BYTES: usize = 256 << 10;

/// The routes of bundles, and of enrolment.
pub(crate) fn routes() -> Router<Collector> {
    Router::new()
        .route("/api/v1/enrol", axum::routing::post(enrol))
        .route("/api/v1/bundles", get(list))
        .route("/api/v1/bundles/{id}", put(announce).get(look))
        .route("/api/v1/bundles/{id}/content", get(content))
        .route("/api/v1/bundles/{id}/actions", get(actions))
        .route("/api/v1/bundles/{id}/preview", get(preview))
}

#[derive(Deserialize)]
struct EnrolRequest {
    code: String,
}

/// The one route without a token: the code is the key.
async fn enrol(
    State(collector): State<Collector>,
    request: Result<Json<EnrolRequest>, JsonRejection>,
) -> Result<Json<Value>> {
    let Json(request) = request.map_err(unreadable)?;
    let token = Secret::token()?;
    let (project, expert) = collector.db.enrol(&Secret::given_code(&request.code).digest(), &token).await?;
    tracing::info!(project, "a device was enrolled");
    Ok(Json(json!({"token": token.reveal(), "project": project, "expert": expert})))
}

/// The expert's approval to send a bundle, bound to its bytes.
#[derive(Deserialize, Serialize)]
struct Approval {
    bundle_id: Uuid,
    sha256: String,
    approved_at_millis: i64,
    statement_version: String,
}

#[derive(Deserialize)]
struct AnnounceRequest {
    bytes: u64,
    sha256: String,
    approval: Option<Approval>,
    /// A rejected bundle is to be sent anew.
    #[serde(default)]
    again: bool,
}

async fn announce(
    State(collector): State<Collector>,
    caller: Caller,
    id: Result<Path<Uuid>, PathRejection>,
    request: Result<Json<AnnounceRequest>, JsonRejection>,
) -> Result<Response> {
    let caller = caller.as_expert()?;
    let (Path(id), Json(request)) = (id.map_err(unreadable)?, request.map_err(unreadable)?);
    let is_digest = request.sha256.len() == 64
        && request.sha256.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if !is_digest {
        return Err(Error::BadRequest("sha256 must be 64 lowercase hexadecimal digits".into()));
    }
    if request.bytes == 0 || request.bytes > MAX_BUNDLE_BYTES {
        return Err(Error::TooLarge(format!(
            "a bundle has 1 to {MAX_BUNDLE_BYTES} bytes, not {}",
            request.bytes
        )));
    }
    let approval = request.approval.ok_or_else(|| Error::NotApproved("the approval is missing".into()))?;
    if approval.bundle_id != id || approval.sha256 != request.sha256 {
        return Err(Error::NotApproved("the approval is for another bundle or other bytes".into()));
    }
    let approval = serde_json::to_string(&approval).map_err(|error| Error::Internal(error.into()))?;
    let (bytes, sha256) = (request.bytes, request.sha256);
    let what = Announcement { bundle: id.to_string(), bytes, sha256, approval, again: request.again };
    let before = collector.db.bundle(&what.bundle).await?;
    if before.is_none() && !collector.store.has_room(bytes).await? {
        return Err(Error::DiskFull);
    }
    let bundle = collector.db.announce(caller, &what, &Uuid::new_v4().simple().to_string()).await?;
    let status = if before.is_none() { StatusCode::CREATED } else { StatusCode::OK };
    if let Some(before) = before.filter(|before| before.upload != bundle.upload) {
        collector.store.delete(&before.upload).await?;
    }
    Ok((status, Json(json_of(&bundle))).into_response())
}

async fn list(
    State(collector): State<Collector>,
    caller: Caller,
    query: Result<Query<Wanted>, QueryRejection>,
) -> Result<Json<Value>> {
    let Query(wanted) = query.map_err(unreadable)?;
    let (bundles, total) = collector.db.bundles(&caller, &wanted).await?;
    let rows: Vec<Value> = bundles.iter().map(json_of).collect();
    Ok(Json(json!({"bundles": rows, "total": total})))
}

async fn look(
    State(collector): State<Collector>,
    caller: Caller,
    id: Result<Path<Uuid>, PathRejection>,
) -> Result<Json<Value>> {
    let Path(id) = id.map_err(unreadable)?;
    Ok(Json(json_of(&seen(&collector, &caller, id).await?)))
}

/// A bundle, if the caller may see it.
async fn seen(collector: &Collector, caller: &Caller, id: Uuid) -> Result<Bundle> {
    let bundle = collector.db.bundle(&id.to_string()).await?;
    bundle.filter(|bundle| caller.may_see(&bundle.project, &bundle.expert)).ok_or(Error::NotFound("bundle"))
}

/// A bundle as the API shows it.
fn json_of(bundle: &Bundle) -> Value {
    let facts: Option<Value> = bundle.facts.as_deref().and_then(|facts| serde_json::from_str(facts).ok());
    json!({
        "bundle_id": bundle.id,
        "project": bundle.project,
        "expert": bundle.expert,
        "bytes": bundle.bytes,
        "sha256": bundle.sha256,
        "state": bundle.state,
        "reason": bundle.reason,
        "facts": facts,
        "offset": bundle.offset,
        "upload_url": format!("{UPLOADS}/{}", bundle.upload),
        "announced_at_millis": bundle.created_at,
        "changed_at_millis": bundle.changed_at,
    })
}

/// A verified bundle that the caller may see: only of such a one is anything handed out.
async fn verified(
    collector: &Collector,
    caller: &Caller,
    id: Result<Path<Uuid>, PathRejection>,
) -> Result<Bundle> {
    let Path(id) = id.map_err(unreadable)?;
    let bundle = seen(collector, caller, id).await?;
    if bundle.state != BundleState::Verified {
        let state = bundle.state.name();
        return Err(Error::Conflict(format!("the bundle is {state}: only a verified one is handed out")));
    }
    Ok(bundle)
}

/// The bytes of a verified bundle, whole or a range of them.
async fn content(
    State(collector): State<Collector>,
    caller: Caller,
    id: Result<Path<Uuid>, PathRejection>,
    headers: HeaderMap,
) -> Result<Response> {
    let bundle = verified(&collector, &caller, id).await?;
    let part = part_of(&headers, bundle.bytes)?;
    let reader = collector.store.read(&bundle.upload, part.start, part.length).await?;
    let name = format!("{}.mcap", bundle.id);
    // The bytes of a bundle never change; whether one may still have them is asked each time.
    respond(&part, reader, &Content { sha256: &bundle.sha256, name: &name, kind: "application/octet-stream" })
}

/// The part of some content that is asked for.
pub(crate) fn part_of(headers: &HeaderMap, bytes: u64) -> Result<Part> {
    let range = headers.get(RANGE).map(|range| range.to_str().unwrap_or_default());
    Part::of(range, bytes).map_err(|error| match error {
        RangeError::Outside(bytes) => Error::Range(bytes),
        RangeError::Several => Error::BadRequest(error.to_string()),
    })
}

/// What is handed out as a file.
pub(crate) struct Content<'a> {
    pub(crate) sha256: &'a str,
    pub(crate) name: &'a str,
    pub(crate) kind: &'a str,
}

/// Hands out a part of a file, which `reader` reads.
pub(crate) fn respond(
    part: &Part,
    reader: impl AsyncRead + Send + 'static,
    content: &Content<'_>,
) -> Result<Response> {
    let mut response = Body::from_stream(ReaderStream::with_capacity(reader, READ_BYTES)).into_response();
    *response.status_mut() = StatusCode::from_u16(part.status()).unwrap_or(StatusCode::OK);
    let named = [
        ("etag", format!("\"{}\"", content.sha256)),
        ("content-type", content.kind.to_owned()),
        ("content-disposition", format!("attachment; filename=\"{}\"", content.name)),
        ("cache-control", "private, no-cache".to_owned()),
    ];
    for (name, value) in part.headers().into_iter().chain(named) {
        let value = value.parse().map_err(|_| Error::BadRequest("a header cannot be made".into()))?;
        response.headers_mut().insert(name, value);
    }
    Ok(response)
}

/// What was done in a verified session.
async fn actions(
    State(collector): State<Collector>,
    caller: Caller,
    id: Result<Path<Uuid>, PathRejection>,
) -> Result<Response> {
    let bundle = verified(&collector, &caller, id).await?;
    derived_piece(&collector, &bundle, Name::Actions, "application/json").await
}

/// The strip of small pictures of a verified session.
async fn preview(
    State(collector): State<Collector>,
    caller: Caller,
    id: Result<Path<Uuid>, PathRejection>,
) -> Result<Response> {
    let bundle = verified(&collector, &caller, id).await?;
    derived_piece(&collector, &bundle, Name::Preview, "image/jpeg").await
}

async fn derived_piece(
    collector: &Collector,
    bundle: &Bundle,
    name: Name,
    kind: &'static str,
) -> Result<Response> {
    let bytes = piece(collector, bundle, name).await?;
    Ok(([(CONTENT_TYPE, kind), (CACHE_CONTROL, "private, no-cache")], bytes).into_response())
}
