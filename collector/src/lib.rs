//! The collector: takes bundles in by resumable upload, checks them, lists them, and hands them out.
//!
//! A request goes from the router to one of [`tus`], [`bundles`], [`exports`], [`page`]; who asks is settled by [`auth`], what is known
//! is in [`db`], the bytes are in a [`store`]. What has arrived is checked by [`verify`] in a child process, which also
//! derives the actions ([`derived`]). Leads ask for [`exports`], which [`exporter`] makes in a child of its own
//! ([`export_child`]) and [`ledger`] remembers. Bundle content is parsed in these children alone, and no capture code is in here.

pub mod auth;
mod bundles;
pub mod child;
pub mod db;
mod derived;
pub mod error;
pub mod export_child;
mod exporter;
mod exports;
mod ledger;
mod list;
mod openapi;
mod page;
pub mod store;
mod tus;
mod verify;

use std::future::{Future, IntoFuture};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, Method};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use db::{Db, State, Upload};
use error::Error;
use store::{LocalStore, Store};

/// Requests that are under way when the server is to end may take this long.
const GRACE: Duration = Duration::from_secs(5);
/// Where uploads live.
pub(crate) const UPLOADS: &str = "/api/v1/uploads";

/// A collector. Clones are the same one.
#[derive(Clone)]
pub struct Collector {
    pub(crate) db: Db,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) holders: Arc<tus::Holders>,
    /// What is written down when a request has ended.
    pub(crate) last_words: TaskTracker,
    /// Something was received, or a verification should be tried again.
    pub(crate) verify_wake: Arc<Notify>,
    /// The program that is run as `PROGRAM verify …`.
    pub(crate) verifier: Arc<Path>,
    /// Held while something is derived of a bundle that was verified before.
    pub(crate) deriving: Arc<tokio::sync::Mutex<()>>,
    /// Folder of the archives.
    pub(crate) exports: Arc<Path>,
    /// An export was asked for.
    pub(crate) export_wake: Arc<Notify>,
    /// The export that was removed last.
    pub(crate) export_stop: watch::Sender<String>,
    /// Held while it is open: one collector per data folder.
    _lock: Arc<std::fs::File>,
}

impl Collector {
    /// Opens the embedded profile in a data folder, which is made if need be: a database and a folder of blobs. Files are
    /// cut to what was acknowledged.
    ///
    /// # Errors
    /// If the folder cannot be used, or another collector uses it.
    pub async fn open(data: &Path, verifier: &Path) -> anyhow::Result<Self> {
        make_private(data).await.with_context(|| {
            format!("cannot make the data folder {}: choose another with --data", data.display())
        })?;
        let lock = std::fs::File::create(data.join("lock"))
            .with_context(|| format!("cannot write into {}: choose another with --data", data.display()))?;
        lock.try_lock().map_err(|_| {
            anyhow::anyhow!(
                "another collector uses {}: stop it, or choose another folder with --data",
                data.display()
            )
        })?;
        let db = Db::open(&data.join("collector.sqlite")).await.context("the database cannot be opened")?;
        let blobs = data.join("blobs");
        if !blobs.is_dir() && db.has_bundles().await? {
            anyhow::bail!(
                "{} is missing, though the database knows of bundles: is its disk mounted?",
                blobs.display()
            );
        }
        let store = LocalStore::open(&blobs).await.context("the blobs cannot be opened")?;
        let collector = Self {
            db,
            store: Arc::new(store),
            holders: Arc::default(),
            last_words: TaskTracker::new(),
            verify_wake: Arc::default(),
            verifier: verifier.into(),
            deriving: Arc::default(),
            exports: data.join("exports").into(),
            export_wake: Arc::default(),
            export_stop: watch::Sender::default(),
            _lock: Arc::new(lock),
        };
        collector.cut_to_what_was_acknowledged().await?;
        Ok(collector)
    }

    /// Where the archive of an export is.
    pub(crate) fn archive(&self, export: &str) -> PathBuf {
        self.exports.join(format!("{export}.tar"))
    }

    /// After a crash a file may be longer than its row says; it is cut. One that is shorter was damaged.
    async fn cut_to_what_was_acknowledged(&self) -> anyhow::Result<()> {
        for upload in self.db.open_uploads().await? {
            if upload.offset > 0 && self.store.append(&upload.id, upload.offset).await?.is_none() {
                self.storage_lost(&upload).await;
            }
        }
        Ok(())
    }

    /// The disk has lost bytes that were durable: said loudly, and the bundle has to be sent anew.
    pub(crate) async fn storage_lost(&self, upload: &Upload) -> Error {
        tracing::error!(
            bundle = upload.bundle,
            offset = upload.offset,
            "the disk has lost acknowledged bytes"
        );
        let reason = "the collector's disk has lost a part of it: it must be sent again";
        match self.db.set_state(&upload.bundle, State::Rejected, Some(reason), None).await {
            Ok(()) => Error::NotFound("upload"),
            Err(error) => error,
        }
    }
}

/// Makes a folder that only this user can look into; one that exists stays as it is.
///
/// # Errors
/// As the disk says.
pub async fn make_private(folder: &Path) -> std::io::Result<()> {
    tokio::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).await
}

/// All routes.
pub fn app(collector: Collector) -> Router {
    let routes = Router::new()
        .merge(bundles::routes())
        .merge(exports::routes())
        .merge(openapi::routes())
        .merge(page::routes())
        .merge(tus::routes())
        .route("/healthz", get(|| async { "ok\n" }))
        .fallback(page::file)
        .method_not_allowed_fallback(|| async { Error::Method })
        .with_state(collector);
    // Outside of the router, since it changes where a request goes.
    Router::new().fallback_service(routes).layer(from_fn(override_method)).layer(from_fn(harden))
}

/// `X-HTTP-Method-Override`, where present, is the method: for clients behind proxies that know only GET and POST.
async fn override_method(mut request: Request, next: Next) -> Response {
    if let Some(method) = request.headers().get("x-http-method-override") {
        match Method::from_bytes(method.as_bytes()) {
            Ok(method) => *request.method_mut() = method,
            Err(_) => {
                return Error::BadRequest("X-HTTP-Method-Override names no method".into()).into_response();
            }
        }
    }
    next.run(request).await
}

/// Headers that every answer has; a span with what was asked, never with who or what.
async fn harden(request: Request, next: Next) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let mut response = next.run(request).await;
    tracing::debug!(%method, path, status = response.status().as_u16(), "request");
    let headers = response.headers_mut();
    for (name, value) in [("x-content-type-options", "nosniff"), ("referrer-policy", "no-referrer")] {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    response
}

/// Serves until `shutdown`; requests that are under way then may end, the database is closed.
///
/// # Errors
/// If the listener fails.
pub async fn serve(
    collector: Collector,
    listener: TcpListener,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<()> {
    let (cancel, is_over) = (CancellationToken::new(), CancellationToken::new());
    let verifying = tokio::spawn(verify::run(collector.clone(), cancel.clone()));
    let exporting = tokio::spawn(exporter::run(collector.clone(), cancel.clone()));
    let db = collector.db.clone();
    let holders = collector.holders.clone();
    let last_words = collector.last_words.clone();
    let (cancelled, over) = (cancel.clone(), is_over.clone());
    let serving = axum::serve(listener, app(collector)).with_graceful_shutdown(async move {
        shutdown.await;
        // Uploads keep what is durable and go on with the next start; a verification is taken up again then.
        cancelled.cancel();
        holders.cancel_all();
        tokio::spawn(async move {
            tokio::time::sleep(GRACE).await;
            over.cancel();
        });
    });
    let ended = tokio::select! {
        ended = serving.into_future() => ended,
        // Whoever is still reading or writing by then is too slow to wait for.
        () = is_over.cancelled() => Ok(()),
    };
    cancel.cancel();
    verifying.await.context("the verifier failed")?;
    exporting.await.context("the exporter failed")?;
    // What is still to be written down of requests that have ended.
    last_words.close();
    last_words.wait().await;
    db.close().await;
    Ok(ended?)
}

/// Where the data is unless told otherwise.
#[must_use]
pub fn default_data() -> PathBuf {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let data = set("XDG_DATA_HOME").or_else(|| set("HOME").map(|home| home.join(".local/share")));
    data.unwrap_or_else(|| PathBuf::from(".")).join("praxis-collector")
}
