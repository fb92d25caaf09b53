//! `praxis open`: a server for one bundle and its player, on this machine alone.
//!
//! Whoever does not know the secret in the address gets nothing, and neither does a page from elsewhere that has its own
//! name lead to this machine: the Host header must be that of the loopback address. The file is as long as it was when it
//! was opened; nothing is ever written.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HOST, RANGE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::Stream;
use praxis_bundle::file;
use praxis_bundle::scan::Bytes;
use praxis_page::{Part, RangeError};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;

use crate::Done;
use crate::args::Open;
use crate::system::told_to_end;
use crate::terminal::{print, say};

/// Bytes read at once while the bundle is handed out.
const READ_BYTES: u64 = 256 << 10;

pub(crate) fn run(arguments: &Open) -> Result<Done> {
    let bundle = Snapshot::take(file::open(&arguments.file)?)?;
    file::manifest_of(&bundle.file)?;
    let name = arguments.file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(serve(arguments, bundle, name))?;
    Ok(Done::Fine)
}

/// What every request needs.
struct Shared {
    secret: String,
    address: SocketAddr,
    name: String,
    bundle: Arc<Snapshot>,
    actions: OnceCell<Result<Vec<u8>, String>>,
    quit: CancellationToken,
}

async fn serve(arguments: &Open, bundle: Snapshot, name: String) -> Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, arguments.port))
        .await
        .with_context(|| format!("cannot listen on port {}: choose another with --port", arguments.port))?;
    let shared = Arc::new(Shared {
        secret: secret()?,
        address: listener.local_addr()?,
        name,
        bundle: Arc::new(bundle),
        actions: OnceCell::new(),
        quit: CancellationToken::new(),
    });
    let url = format!("http://{}/{}/", shared.address, shared.secret);
    print(&url)?;
    if !arguments.no_browser && open::that_detached(&url).is_err() {
        say("no browser can be opened: open this address in one");
    }
    let quit = shared.quit.clone();
    let serving = axum::serve(listener, app(shared));
    // Nothing is written, so nobody needs to be waited for.
    tokio::select! {
        ended = serving.into_future() => Ok(ended?),
        () = quit.cancelled() => Ok(()),
        () = told_to_end() => Ok(()),
    }
}

fn app(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/{secret}/", get(|| async { asset(praxis_page::web()) }))
        .route("/{secret}/host.json", get(host))
        .route("/{secret}/content", get(content))
        .route("/{secret}/actions", get(actions))
        .route("/{secret}/quit", post(quit))
        .route("/{secret}/{*file}", get(page_file))
        .fallback(|| async { StatusCode::NOT_FOUND })
        .layer(from_fn_with_state(shared.clone(), guard))
        .with_state(shared)
}

/// Lets in who comes by the loopback address and knows the secret.
async fn guard(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let port = shared.address.port();
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let is_ours = [format!("127.0.0.1:{port}"), format!("localhost:{port}")]
        .iter()
        .any(|ours| host.eq_ignore_ascii_case(ours));
    if !is_ours {
        return (StatusCode::FORBIDDEN, "this server answers to 127.0.0.1 alone\n").into_response();
    }
    let given = request.uri().path().split('/').nth(1).unwrap_or_default();
    let mut response = if is_same(given, &shared.secret) {
        next.run(request).await
    } else {
        StatusCode::NOT_FOUND.into_response()
    };
    for (name, value) in [("x-content-type-options", "nosniff"), ("referrer-policy", "no-referrer")] {
        response.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    response
}

/// Compares without telling by the time it takes how much was right.
fn is_same(given: &str, secret: &str) -> bool {
    let differences = given.bytes().zip(secret.bytes()).fold(0, |sum, (a, b)| sum | (a ^ b));
    given.len() == secret.len() && differences == 0
}

/// 256 random bits as 43 letters.
fn secret() -> Result<String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).context("the system gives no random numbers")?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

fn asset(asset: praxis_page::Asset) -> Response {
    (asset.headers(), asset.body).into_response()
}

async fn page_file(Path((_, file)): Path<(String, String)>) -> Response {
    praxis_page::asset(&file).map_or_else(|| StatusCode::NOT_FOUND.into_response(), asset)
}

async fn host(State(shared): State<Arc<Shared>>) -> Response {
    let host = Json(json!({"kind": "file", "name": shared.name}));
    ([(CACHE_CONTROL, "no-store")], host).into_response()
}

async fn content(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    let range = headers.get(RANGE).map(|range| range.to_str().unwrap_or_default());
    match Part::of(range, shared.bundle.bytes) {
        Ok(part) => {
            answer(part.status(), &part.headers(), Body::from_stream(pieces(shared.bundle.clone(), part)))
        }
        Err(error @ RangeError::Outside(bytes)) => {
            let range = [("content-range", format!("bytes */{bytes}"))];
            answer(416, &range, Body::from(error.to_string()))
        }
        Err(error @ RangeError::Several) => answer(400, &[], Body::from(error.to_string())),
    }
}

fn answer(status: u16, headers: &[(&'static str, String)], body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in headers {
        if let Ok(value) = value.parse() {
            response.headers_mut().insert(*name, value);
        }
    }
    // The address is another one with every start; nothing of a recording stays in the browser.
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn failed(message: &str) -> Response {
    let problem = Json(json!({"code": "internal", "message": message}));
    (StatusCode::INTERNAL_SERVER_ERROR, [(CACHE_CONTROL, "no-store")], problem).into_response()
}

async fn actions(State(shared): State<Arc<Shared>>) -> Response {
    let bundle = shared.bundle.clone();
    let actions = shared.actions.get_or_init(|| async move {
        let work = tokio::task::spawn_blocking(move || {
            let reading = praxis_actions::actions_of(&*bundle).map_err(anyhow::Error::new)?;
            anyhow::Ok(serde_json::to_vec(&reading.answer)?)
        });
        work.await.map_err(anyhow::Error::new).flatten().map_err(|error| format!("{error:#}"))
    });
    match actions.await {
        Ok(actions) => ([(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-store")], actions.clone())
            .into_response(),
        Err(why) => failed(why),
    }
}

async fn quit(State(shared): State<Arc<Shared>>) -> StatusCode {
    shared.quit.cancel();
    StatusCode::NO_CONTENT
}

/// A file as it was when it was opened: one that is being recorded grows on, and goes when it is sealed.
struct Snapshot {
    file: File,
    bytes: u64,
}

impl Snapshot {
    fn take(file: File) -> Result<Self> {
        let bytes = file.metadata().context("the file's length cannot be read")?.len();
        Ok(Self { file, bytes })
    }
}

/// The bytes of a part, some at a time. Each read names its place: the handle is that of all requests.
fn pieces(bundle: Arc<Snapshot>, part: Part) -> impl Stream<Item = std::io::Result<Vec<u8>>> {
    futures_util::stream::try_unfold((part.start, part.length), move |(start, left)| {
        let bundle = bundle.clone();
        async move {
            if left == 0 {
                return Ok(None);
            }
            let length = left.min(READ_BYTES);
            let read = tokio::task::spawn_blocking(move || {
                let mut piece = vec![0; length as usize];
                bundle.fill(start, &mut piece).map(|()| piece)
            });
            Ok(Some((read.await??, (start + length, left - length))))
        }
    })
}

impl Bytes for Snapshot {
    fn num_bytes(&self) -> std::io::Result<u64> {
        Ok(self.bytes)
    }

    fn fill(&self, offset: u64, into: &mut [u8]) -> std::io::Result<()> {
        self.file.fill(offset, into)
    }
}
