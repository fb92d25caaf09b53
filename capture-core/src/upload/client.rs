//! The two protocols of uploads over HTTP: the collector's own few routes, and tus 1.0. One request per call; what to do
//! after a failure is the caller's.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{HeaderMap, HeaderName, LOCATION, RETRY_AFTER};
use reqwest::{Client, RequestBuilder, Response, StatusCode, Url};
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::{Approval, Item, Result, UploadError};

const TUS_RESUMABLE: (&str, &str) = ("tus-resumable", "1.0.0");
const UPLOAD_OFFSET: HeaderName = HeaderName::from_static("upload-offset");
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// For enrolment, where a person waits.
const ENROL_WITHIN: Duration = Duration::from_secs(30);

/// For a look whether a collector is there.
const REACH_WITHIN: Duration = Duration::from_secs(5);

/// What enrolment gives.
#[derive(Deserialize)]
pub(super) struct Enrolled {
    pub(super) token: String,
    pub(super) project: String,
    pub(super) expert: String,
}

/// A bundle as the collector sees it.
#[derive(Debug, Deserialize)]
pub(super) struct Announced {
    pub(super) state: String,
    pub(super) reason: Option<String>,
    pub(super) offset: u64,
    pub(super) upload_url: String,
}

/// Talks to one server.
pub(super) struct Server {
    client: Client,
    token: Option<String>,
    /// For every request but those that carry a chunk.
    answer_within: Duration,
}

fn client() -> Result<Client> {
    // A second installation is refused, and means the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder =
        Client::builder().connect_timeout(CONNECT_WITHIN).redirect(reqwest::redirect::Policy::none());
    builder.build().map_err(|error| UploadError::later(format!("HTTP cannot be used: {}", chain(&error))))
}

/// Turns a code into a token.
pub(super) async fn enrol(collector: &str, code: &str) -> Result<Enrolled> {
    let url = parse(&format!("{collector}/api/v1/enrol"))?;
    let request = client()?.post(url).json(&json!({"code": code})).timeout(ENROL_WITHIN);
    let answer = send(request).await?;
    answer.json().await.map_err(|_| nonsense(collector))
}

/// Whether a collector answers.
pub(super) async fn is_reachable(collector: &str) -> bool {
    let Ok((client, url)) = client().and_then(|client| Ok((client, parse(&format!("{collector}/healthz"))?)))
    else {
        return false;
    };
    send(client.get(url).timeout(REACH_WITHIN)).await.is_ok()
}

impl Server {
    pub(super) fn new(token: Option<String>, answer_within: Duration) -> Result<Self> {
        Ok(Self { client: client()?, token, answer_within })
    }

    fn with_token(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// Announces a bundle to a collector; announcing it again tells where it is. One without an upload of ours yet, which was
    /// rejected before, begins anew.
    pub(super) async fn announce(&self, item: &Item, approval: &Approval) -> Result<Announced> {
        let url = parse(&format!("{}/api/v1/bundles/{}", item.server, item.bundle_id))?;
        let again = item.upload_url.is_none();
        let body = json!({"bytes": item.bytes, "sha256": item.sha256, "approval": approval, "again": again});
        let request = self.with_token(self.client.put(url.clone())).json(&body).timeout(self.answer_within);
        let answer = send(request).await.map_err(|error| match error {
            UploadError::Gone => UploadError::NotReady(format!(
                "{} has no place for this bundle: it is known there under another expert or project, or this is not the address of a collector",
                item.server
            )),
            other => other,
        })?;
        let mut announced: Announced = answer.json().await.map_err(|_| nonsense(&item.server))?;
        announced.upload_url = url.join(&announced.upload_url).map_err(|_| nonsense(&item.server))?.into();
        Ok(announced)
    }

    /// Makes an upload at a tus server; returns its address.
    pub(super) async fn create(&self, item: &Item) -> Result<String> {
        let url = parse(&item.server)?;
        let name = format!("{}.mcap", item.bundle_id);
        let metadata =
            format!("filename {},bundle_id {}", STANDARD.encode(name), STANDARD.encode(&item.bundle_id));
        let request = self.with_token(self.client.post(url.clone())).header(TUS_RESUMABLE.0, TUS_RESUMABLE.1);
        let request = request.header("upload-length", item.bytes).header("upload-metadata", metadata);
        let answer = send(request.header("content-length", 0).timeout(self.answer_within)).await?;
        let location = answer.headers().get(LOCATION).and_then(|location| location.to_str().ok());
        let location = location.and_then(|location| url.join(location).ok());
        Ok(location.ok_or_else(|| nonsense(&item.server))?.into())
    }

    /// Whether a tus server checks chunks by SHA-256.
    pub(super) async fn has_checksums(&self, item: &Item) -> Result<bool> {
        let request =
            self.client.request(reqwest::Method::OPTIONS, parse(&item.server)?).timeout(self.answer_within);
        let answer = send(self.with_token(request).header(TUS_RESUMABLE.0, TUS_RESUMABLE.1)).await;
        let answer = answer.map_err(|error| match error {
            UploadError::Gone => {
                UploadError::NotReady(format!("{} makes no uploads: check the address", item.server))
            }
            other => other,
        })?;
        let lists = |name: &str, what: &str| {
            let value = answer.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
            value.split(',').any(|item| item.trim() == what)
        };
        Ok(lists("tus-extension", "checksum") && lists("tus-checksum-algorithm", "sha256"))
    }

    /// How much of an upload has arrived.
    pub(super) async fn offset(&self, upload_url: &str) -> Result<u64> {
        let request = self.with_token(self.client.head(parse(upload_url)?)).timeout(self.answer_within);
        let answer = send(request.header(TUS_RESUMABLE.0, TUS_RESUMABLE.1)).await?;
        offset_in(answer.headers()).ok_or_else(|| nonsense(upload_url))
    }

    /// Sends a chunk; returns the offset after it.
    pub(super) async fn chunk(
        &self,
        upload_url: &str,
        at: u64,
        bytes: Vec<u8>,
        has_checksum: bool,
        within: Duration,
    ) -> Result<u64> {
        let mut request = self.with_token(self.client.patch(parse(upload_url)?));
        request = request.header(TUS_RESUMABLE.0, TUS_RESUMABLE.1).header(UPLOAD_OFFSET, at);
        request = request.header("content-type", "application/offset+octet-stream");
        if has_checksum {
            let digest = STANDARD.encode(Sha256::digest(&bytes));
            request = request.header("upload-checksum", format!("sha256 {digest}"));
        }
        let answer = send(request.body(bytes).timeout(within)).await?;
        offset_in(answer.headers()).ok_or_else(|| nonsense(upload_url))
    }
}

fn offset_in(headers: &HeaderMap) -> Option<u64> {
    headers.get(UPLOAD_OFFSET)?.to_str().ok()?.parse().ok()
}

fn parse(url: &str) -> Result<Url> {
    let parsed = Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    parsed.ok_or_else(|| UploadError::NotReady(format!("{url:?} is no http or https address")))
}

/// Sends a request and sorts what can go wrong into what can be done about it.
async fn send(request: RequestBuilder) -> Result<Response> {
    let answer =
        request.send().await.map_err(|error| UploadError::later(unanswered(&error.without_url())))?;
    let status = answer.status();
    if status.is_success() {
        return Ok(answer);
    }
    let after_seconds = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    #[derive(Deserialize, Default)]
    struct Refusal {
        #[serde(default)]
        code: String,
        #[serde(default)]
        message: String,
    }
    let text = answer.text().await.unwrap_or_default();
    let mut refusal: Refusal = serde_json::from_str(&text).unwrap_or_default();
    if refusal.message.is_empty() {
        refusal.message = format!("it answers {status}");
    }
    Err(match status.as_u16() {
        409 if refusal.code == "conflict" => {
            UploadError::Refused { code: refusal.code, message: refusal.message }
        }
        409 => UploadError::Elsewhere,
        460 => UploadError::Damaged,
        404 | 410 => UploadError::Gone,
        408 | 423 | 425 | 429 => UploadError::Later { why: refusal.message, after_seconds },
        _ if status.is_server_error() => UploadError::Later { why: refusal.message, after_seconds },
        _ if status == StatusCode::BAD_REQUEST && refusal.code == "bad_request" => {
            UploadError::later(refusal.message)
        }
        _ => UploadError::Refused { code: refusal.code, message: refusal.message },
    })
}

/// Why there is no answer, for a person: what happened, not through which layers it came.
fn unanswered(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".into();
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    // The system's number means nothing to most people.
    let cause = cause.to_string();
    let cause = cause.split(" (os error").next().unwrap_or_default().to_lowercase();
    if error.is_connect() {
        format!("the server cannot be reached ({cause})")
    } else {
        format!("the connection broke ({cause})")
    }
}

fn nonsense(server: &str) -> UploadError {
    UploadError::later(format!("{server} does not answer as a collector or tus server does"))
}

/// An error with its causes in one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text = format!("{text}: {next}");
        cause = next.source();
    }
    text
}
