//! Resumable uploads by tus 1.0: core, creation, creation-with-upload, checksum, termination.
//!
//! The database row owns the offset: a byte is acknowledged when it is durable and the row says so, in that order. Each
//! request takes the upload over from the one before, so a connection that hangs somewhere blocks nobody. The work
//! goes on in a task of its own when the client's connection ends, so what arrived is kept.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, BodyDataStream};
use axum::extract::{Path, Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, LOCATION};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::options;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::StreamExt;
use sha1::Sha1;
use sha2::{Digest, Sha256};
use tokio::sync::OwnedMutexGuard;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::auth::Caller;
use crate::bundles::MAX_BUNDLE_BYTES;
use crate::db::{State as BundleState, Upload};
use crate::error::{Error, Result};
use crate::store::Blob;
use crate::{Collector, UPLOADS};

const TUS_RESUMABLE: HeaderName = HeaderName::from_static("tus-resumable");
const UPLOAD_OFFSET: HeaderName = HeaderName::from_static("upload-offset");
const UPLOAD_LENGTH: HeaderName = HeaderName::from_static("upload-length");
const UPLOAD_METADATA: HeaderName = HeaderName::from_static("upload-metadata");
const UPLOAD_CHECKSUM: HeaderName = HeaderName::from_static("upload-checksum");
const VERSION: HeaderValue = HeaderValue::from_static("1.0.0");
const CHUNK_TYPE: &str = "application/offset+octet-stream";
/// Bytes collected before they are written.
const WRITE_BYTES: usize = 1 << 20;
/// A long request without a checksum is committed this often.
const COMMIT_BYTES: u64 = 16 << 20;
/// A client that sends nothing for so long is gone.
const STALL: Duration = Duration::from_secs(60);

/// The routes of this protocol.
pub(crate) fn routes() -> Router<Collector> {
    let upload = options(describe).head(head).patch(patch).delete(terminate);
    Router::new()
        .route(UPLOADS, options(describe).post(create))
        .route(&format!("{UPLOADS}/{{id}}"), upload)
        .layer(from_fn(speak_tus))
}

/// Refuses other versions of the protocol, and says on every answer which one this is.
async fn speak_tus(request: Request, next: Next) -> Response {
    let is_ours = request.headers().get(TUS_RESUMABLE) == Some(&VERSION);
    let mut response = if is_ours || request.method() == Method::OPTIONS {
        next.run(request).await
    } else {
        let mut response = Error::TusVersion.into_response();
        response.headers_mut().insert("tus-version", VERSION);
        response
    };
    response.headers_mut().insert(TUS_RESUMABLE, VERSION);
    response
}

async fn describe(_caller: Caller) -> Response {
    let headers = [
        ("tus-version", "1.0.0".to_owned()),
        ("tus-extension", "creation,creation-with-upload,checksum,termination".to_owned()),
        ("tus-max-size", MAX_BUNDLE_BYTES.to_string()),
        ("tus-checksum-algorithm", "sha1,sha256".to_owned()),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}

/// Gives the upload of an announced bundle, which the metadata names as `bundle_id`, to a client that knows only tus.
async fn create(
    State(collector): State<Collector>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<Response> {
    let caller = caller.as_expert()?;
    if headers.contains_key("upload-defer-length") {
        return Err(Error::BadRequest("Upload-Defer-Length is not supported: send Upload-Length".into()));
    }
    let length: u64 = number(&headers, &UPLOAD_LENGTH)?;
    if length > MAX_BUNDLE_BYTES {
        return Err(Error::TooLarge(format!("{length} bytes are over the limit of {MAX_BUNDLE_BYTES}")));
    }
    let metadata = text(&headers, &UPLOAD_METADATA)?.unwrap_or_default();
    let bundle_id = metadata_value(metadata, "bundle_id")?
        .ok_or_else(|| Error::NotApproved("Upload-Metadata has no bundle_id".into()))?;
    // Ids are stored as UUIDs are written.
    let bundle = match bundle_id.parse::<Uuid>() {
        Ok(id) => collector.db.bundle(&id.to_string()).await?,
        Err(_) => None,
    };
    let bundle = bundle
        .filter(|bundle| caller.may_see(&bundle.project, &bundle.expert))
        .ok_or_else(|| Error::NotApproved(format!("bundle {bundle_id:?} was not announced")))?;
    if bundle.bytes != length {
        return Err(Error::Conflict(format!(
            "{} bytes were announced, Upload-Length is {length}",
            bundle.bytes
        )));
    }
    collector.db.set_metadata(&bundle.upload, metadata).await?;
    let location = format!("{UPLOADS}/{}", bundle.upload);
    let has_body = text(&headers, &CONTENT_LENGTH)?.is_some_and(|length| length != "0");
    let mut response = (StatusCode::CREATED, [(LOCATION, location)]).into_response();
    if has_body {
        let at = receive_whole(&collector, &bundle.upload, &headers, 0, body).await?;
        response.headers_mut().insert(UPLOAD_OFFSET, at.into());
    }
    Ok(response)
}

async fn head(
    State(collector): State<Collector>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response> {
    owned(&collector, &caller, &id).await?;
    // Whoever is still sending keeps what has arrived and lets go, so the offset that is told is final.
    let _hold = collector.holders.take(&id).await?;
    let upload = collector.db.take_over(&id).await?;
    let mut response = StatusCode::OK.into_response();
    let headers = response.headers_mut();
    headers.insert(UPLOAD_OFFSET, upload.offset.into());
    headers.insert(UPLOAD_LENGTH, upload.length.into());
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(metadata) = upload.metadata.and_then(|metadata| metadata.parse().ok()) {
        headers.insert(UPLOAD_METADATA, metadata);
    }
    Ok(response)
}

async fn patch(
    State(collector): State<Collector>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response> {
    owned(&collector, &caller, &id).await?;
    let stated = number(&headers, &UPLOAD_OFFSET)?;
    let at = receive_whole(&collector, &id, &headers, stated, body).await?;
    Ok((StatusCode::NO_CONTENT, [(UPLOAD_OFFSET, at.to_string())]).into_response())
}

async fn terminate(
    State(collector): State<Collector>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response> {
    let upload = owned(&collector, &caller, &id).await?;
    let _hold = collector.holders.take(&id).await?;
    let bundle = collector.db.bundle(&upload.bundle).await?.ok_or(Error::NotFound("upload"))?;
    if !matches!(bundle.state, BundleState::Created | BundleState::Receiving | BundleState::Rejected) {
        return Err(Error::Conflict(format!(
            "the bundle is {}: it is no longer an upload",
            bundle.state.name()
        )));
    }
    collector.db.forget(&bundle.id).await?;
    collector.store.delete(&id).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// The upload, if the caller is the expert who announced its bundle; a stranger learns nothing.
async fn owned(collector: &Collector, caller: &Caller, id: &str) -> Result<Upload> {
    let upload = collector.db.upload(id).await?;
    let caller = caller.as_expert()?;
    upload.filter(|upload| caller.may_see(&upload.project, &upload.expert)).ok_or(Error::NotFound("upload"))
}

/// Checks the headers of a chunk and receives it in a task that outlives the connection.
async fn receive_whole(
    collector: &Collector,
    id: &str,
    headers: &HeaderMap,
    stated: u64,
    body: Body,
) -> Result<u64> {
    if text(headers, &CONTENT_TYPE)? != Some(CHUNK_TYPE) {
        return Err(Error::ContentType);
    }
    let checksum = text(headers, &UPLOAD_CHECKSUM)?.map(Checksum::parse).transpose()?;
    let receive = Receive { collector: collector.clone(), id: id.to_owned(), stated, checksum };
    let task = tokio::spawn(receive.run(body.into_data_stream()));
    task.await.map_err(|error| Error::Internal(error.into()))?
}

/// One chunk on its way.
struct Receive {
    collector: Collector,
    id: String,
    stated: u64,
    checksum: Option<Checksum>,
}

/// How the bytes of a request ended.
enum End {
    Whole,
    Cut,
    Superseded,
}

impl Receive {
    async fn run(mut self, mut stream: BodyDataStream) -> Result<u64> {
        let hold = self.collector.holders.take(&self.id).await?;
        let mut upload = self.collector.db.take_over(&self.id).await?;
        if upload.offset != self.stated {
            return Err(Error::Offset { at: upload.offset, stated: self.stated });
        }
        if upload.offset == 0 {
            self.collector.store.create(&self.id).await?;
        }
        let Some(mut blob) = self.collector.store.append(&self.id, upload.offset).await? else {
            return Err(self.collector.storage_lost(&upload).await);
        };
        let received = self.receive(&mut upload, &mut *blob, &mut stream, &hold.cancel).await;
        if received.is_err() {
            // Nothing of it counts: the file is cut back when it is next opened; now, if the disk lets us.
            drop(blob);
            let _ = self.collector.store.append(&self.id, upload.offset).await;
        }
        let at = received?;
        if at == upload.length {
            self.collector.verify_wake.notify_one();
        }
        Ok(at)
    }

    async fn receive(
        &mut self,
        upload: &mut Upload,
        blob: &mut dyn Blob,
        stream: &mut BodyDataStream,
        cancel: &CancellationToken,
    ) -> Result<u64> {
        let mut at = upload.offset;
        let mut buffer = Vec::with_capacity(WRITE_BYTES);
        let end = loop {
            let next = tokio::select! {
                biased;
                () = cancel.cancelled() => break End::Superseded,
                next = tokio::time::timeout(STALL, stream.next()) => next,
            };
            let bytes = match next {
                Ok(None) => break End::Whole,
                Ok(Some(Ok(bytes))) => bytes,
                Ok(Some(Err(_))) | Err(_) => break End::Cut,
            };
            at += bytes.len() as u64;
            if at > upload.length {
                let message = format!("more bytes than the {} that were announced", upload.length);
                return Err(Error::TooLarge(message));
            }
            if let Some(checksum) = &mut self.checksum {
                checksum.update(&bytes);
            }
            buffer.extend_from_slice(&bytes);
            if buffer.len() >= WRITE_BYTES {
                blob.write(&buffer).await?;
                buffer.clear();
            }
            if self.checksum.is_none() && at - upload.offset >= COMMIT_BYTES {
                blob.write(&buffer).await?;
                buffer.clear();
                self.commit(upload, blob, at).await?;
            }
        };
        let cut = || Error::BadRequest("the connection was cut: ask with HEAD and go on from there".into());
        if let Some(checksum) = self.checksum.take() {
            match end {
                End::Whole if checksum.holds() => {}
                End::Whole => return Err(Error::Checksum),
                End::Cut => return Err(cut()),
                End::Superseded => return Err(Error::Superseded),
            }
        }
        blob.write(&buffer).await?;
        self.commit(upload, blob, at).await?;
        match end {
            End::Whole => Ok(at),
            End::Cut if at == upload.length => Ok(at),
            End::Cut => Err(cut()),
            End::Superseded => Err(Error::Superseded),
        }
    }

    /// First the bytes are made durable, then the row says so.
    async fn commit(&self, upload: &mut Upload, blob: &mut dyn Blob, at: u64) -> Result<()> {
        blob.sync().await?;
        self.collector.db.commit(upload, at).await?;
        upload.offset = at;
        Ok(())
    }
}

/// What a client says the bytes of a chunk add up to.
struct Checksum {
    hasher: Hasher,
    stated: Vec<u8>,
}

enum Hasher {
    Sha1(Sha1),
    Sha256(Sha256),
}

impl Checksum {
    fn parse(header: &str) -> Result<Self> {
        let bad = |why: &str| Error::BadRequest(format!("Upload-Checksum: {why}"));
        let (algorithm, stated) = header.split_once(' ').ok_or_else(|| bad("an algorithm and Base64"))?;
        let hasher = match algorithm {
            "sha1" => Hasher::Sha1(Sha1::new()),
            "sha256" => Hasher::Sha256(Sha256::new()),
            _ => return Err(bad("sha1 and sha256 are known")),
        };
        let stated = STANDARD.decode(stated.trim()).map_err(|_| bad("the digest is not Base64"))?;
        Ok(Self { hasher, stated })
    }

    fn update(&mut self, bytes: &[u8]) {
        match &mut self.hasher {
            Hasher::Sha1(hasher) => hasher.update(bytes),
            Hasher::Sha256(hasher) => hasher.update(bytes),
        }
    }

    fn holds(self) -> bool {
        match self.hasher {
            Hasher::Sha1(hasher) => hasher.finalize()[..] == self.stated[..],
            Hasher::Sha256(hasher) => hasher.finalize()[..] == self.stated[..],
        }
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>> {
    let value = headers.get(name).map(HeaderValue::to_str).transpose();
    value.map_err(|_| Error::BadRequest(format!("{name} is not plain text")))
}

fn number(headers: &HeaderMap, name: &HeaderName) -> Result<u64> {
    let value = text(headers, name)?.and_then(|value| value.parse().ok());
    value.ok_or_else(|| Error::BadRequest(format!("{name} must be a number of bytes")))
}

/// The value of a key of `Upload-Metadata`, which is `key base64,key base64`.
fn metadata_value(metadata: &str, key: &str) -> Result<Option<String>> {
    let pairs = metadata.split(',').map(|pair| pair.trim().split_once(' ').unwrap_or((pair.trim(), "")));
    let Some((_, value)) = pairs.into_iter().find(|(name, _)| *name == key) else { return Ok(None) };
    let bytes = STANDARD.decode(value.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    bytes.map(Some).ok_or_else(|| Error::BadRequest(format!("Upload-Metadata: {key} is not Base64 of text")))
}

/// Who works on which upload: one at a time, and the newest request wins.
#[derive(Default)]
pub(crate) struct Holders(Mutex<HashMap<String, Holder>>);

struct Holder {
    cancel: CancellationToken,
    free: Arc<tokio::sync::Mutex<()>>,
}

/// The right to work on an upload, until it is dropped or a newer request cancels it.
pub(crate) struct Hold {
    cancel: CancellationToken,
    _guard: OwnedMutexGuard<()>,
}

impl Holders {
    /// Ends all work; what has arrived is kept.
    pub(crate) fn cancel_all(&self) {
        let holders = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        holders.values().for_each(|holder| holder.cancel.cancel());
    }

    /// Ends the work of whoever holds the upload and waits until they have kept what they have and let go.
    async fn take(&self, id: &str) -> Result<Hold> {
        let cancel = CancellationToken::new();
        let free = {
            let mut holders = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            holders.retain(|_, holder| Arc::strong_count(&holder.free) > 1);
            match holders.get_mut(id) {
                Some(holder) => {
                    std::mem::replace(&mut holder.cancel, cancel.clone()).cancel();
                    holder.free.clone()
                }
                None => {
                    let free = Arc::default();
                    let holder = Holder { cancel: cancel.clone(), free: Arc::clone(&free) };
                    holders.insert(id.to_owned(), holder);
                    free
                }
            }
        };
        let guard = free.lock_owned().await;
        if cancel.is_cancelled() {
            return Err(Error::Superseded);
        }
        Ok(Hold { cancel, _guard: guard })
    }
}
