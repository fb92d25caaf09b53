//! Bundles over HTTP: announce, list, look, fetch.

use axum::body::Body;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::header::{
    ACCEPT_RANGES, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, RANGE,
};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, put};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio_util::io::ReaderStream;
use uuid::Uuid;

use crate::auth::{Caller, Role, Secret};
use crate::db::{Announcement, Bundle, State as BundleState};
use crate::error::{Error, Result, unreadable};
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

#[derive(Deserialize)]
struct ListQuery {
    #[serde(default = "default_limit")]
    limit: u32,
    #[serde(default)]
    skip: u32,
}

fn default_limit() -> u32 {
    100
}

async fn list(
    State(collector): State<Collector>,
    caller: Caller,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Result<Json<Value>> {
    let Query(query) = query.map_err(unreadable)?;
    let bundles = visible(&collector, &caller, query.limit, query.skip).await?;
    let rows: Vec<Value> = bundles.iter().map(json_of).collect();
    Ok(Json(json!({"bundles": rows})))
}

/// The bundles that a caller may see: an expert's are the expert's own.
pub(crate) async fn visible(
    collector: &Collector,
    caller: &Caller,
    limit: u32,
    skip: u32,
) -> Result<Vec<Bundle>> {
    let of = (caller.role == Role::Expert).then_some(caller);
    collector.db.bundles(of, limit.min(1000), skip).await
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

/// The bytes of a verified bundle, whole or a range of them.
async fn content(
    State(collector): State<Collector>,
    caller: Caller,
    id: Result<Path<Uuid>, PathRejection>,
    headers: HeaderMap,
) -> Result<Response> {
    let Path(id) = id.map_err(unreadable)?;
    let bundle = seen(&collector, &caller, id).await?;
    if bundle.state != BundleState::Verified {
        let state = bundle.state.name();
        return Err(Error::Conflict(format!("the bundle is {state}: only a verified one is handed out")));
    }
    let range = match headers.get(RANGE) {
        Some(range) => Some(single_range(range.to_str().unwrap_or_default(), bundle.bytes)?),
        None => None,
    };
    let (start, end) = range.unwrap_or((0, bundle.bytes - 1));
    let length = end - start + 1;
    let reader = collector.store.read(&bundle.upload, start, length).await?;
    let mut response = Body::from_stream(ReaderStream::with_capacity(reader, READ_BYTES)).into_response();
    if range.is_some() {
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    let headers = response.headers_mut();
    let mut set = |name, value: String| -> Result<()> {
        headers.insert(name, value.parse().map_err(|_| Error::BadRequest("a header cannot be made".into()))?);
        Ok(())
    };
    set(CONTENT_TYPE, "application/octet-stream".into())?;
    set(CONTENT_LENGTH, length.to_string())?;
    set(ACCEPT_RANGES, "bytes".into())?;
    set(ETAG, format!("\"{}\"", bundle.sha256))?;
    set(CONTENT_DISPOSITION, format!("attachment; filename=\"{}.mcap\"", bundle.id))?;
    if range.is_some() {
        set(CONTENT_RANGE, format!("bytes {start}-{end}/{}", bundle.bytes))?;
    }
    Ok(response)
}

/// First and last byte of a Range header with one range. Several ranges are answered by none of the clients we know.
fn single_range(header: &str, length: u64) -> Result<(u64, u64)> {
    let outside = || Error::Range(length);
    let ranges = http_range_header::parse_range_header(header).map_err(|_| outside())?;
    let ranges = ranges.validate(length).map_err(|_| outside())?;
    match &ranges[..] {
        [range] => Ok((*range.start(), *range.end())),
        _ => Err(Error::BadRequest("one range at a time".into())),
    }
}
