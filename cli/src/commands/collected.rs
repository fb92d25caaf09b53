//! Bundles on a collector: which there are, and fetching one, by the token of a reviewer or lead.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use praxis_bundle::file::sha256;
use praxis_bundle::manifest::Outcome;
use reqwest::header::RANGE;
use reqwest::{Client, RequestBuilder, Response, StatusCode, Url};
use serde::Deserialize;
use tokio::runtime::Runtime;

/// Most rows that a collector gives at once.
const PAGE: usize = 1000;
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// Silence after which a connection is given up.
const SILENT_WITHIN: Duration = Duration::from_secs(30);
/// Waits before an interrupted answer is asked for again.
const WAITS: [Duration; 4] =
    [Duration::from_secs(1), Duration::from_secs(3), Duration::from_secs(9), Duration::from_secs(27)];

/// A bundle as the collector lists it.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Listed {
    pub(crate) bundle_id: String,
    pub(crate) expert: String,
    pub(crate) project: String,
    pub(crate) bytes: u64,
    pub(crate) sha256: String,
    pub(crate) facts: Option<Facts>,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Facts {
    pub(crate) duration_nanos: u64,
    pub(crate) outcome: Option<Outcome>,
}

#[derive(Deserialize)]
struct Page {
    bundles: Vec<Listed>,
    total: usize,
}

/// A collector, and who asks.
pub(crate) struct Collector {
    runtime: Runtime,
    client: Client,
    url: Url,
    token: String,
}

impl Collector {
    pub(crate) fn new(url: &str, token_file: Option<&Path>) -> Result<Self> {
        let parsed = Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let mut parsed = parsed.with_context(|| format!("{url:?} is no http or https address"))?;
        if !parsed.path().ends_with('/') {
            parsed.set_path(&format!("{}/", parsed.path()));
        }
        let token = match token_file {
            Some(path) => std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?,
            None => std::env::var("PRAXIS_TOKEN").ok().context(
                "a reviewer's or lead's token is needed: in a file named with --token-file, or in PRAXIS_TOKEN",
            )?,
        };
        let token = token.trim().to_owned();
        ensure!(
            !token.is_empty() && token.chars().all(|letter| letter.is_ascii_graphic()),
            "the token is not one line of letters and digits: is there something else in {}?",
            token_file.map_or_else(|| "PRAXIS_TOKEN".into(), |path| path.display().to_string())
        );
        // A second installation is refused, and means the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder().connect_timeout(CONNECT_WITHIN).read_timeout(SILENT_WITHIN);
        Ok(Self {
            runtime: tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?,
            client: client.redirect(reqwest::redirect::Policy::none()).build()?,
            url: parsed,
            token,
        })
    }

    /// The verified bundles, of one project if it is named, the oldest first.
    pub(crate) fn bundles(&self, project: Option<&str>) -> Result<Vec<Listed>> {
        let mut found = Vec::new();
        loop {
            let (limit, skip) = (PAGE.to_string(), found.len().to_string());
            let mut url = self.url.join("api/v1/bundles")?;
            url.query_pairs_mut()
                .extend_pairs([("state", "verified"), ("sort", "announced"), ("order", "asc")])
                .extend_pairs([("limit", &limit), ("skip", &skip)])
                .extend_pairs(project.map(|project| ("project", project)));
            let page: Page = self.runtime.block_on(async {
                let answer = self.ask(self.client.get(url)).await?;
                answer.json().await.with_context(|| format!("{} is no collector", self.url))
            })?;
            let is_last = page.bundles.is_empty();
            found.extend(page.bundles);
            if is_last || found.len() >= page.total {
                return Ok(found);
            }
        }
    }

    /// Fetches a bundle, from where an earlier try has left off, and compares its digest.
    pub(crate) fn fetch(&self, bundle: &Listed, to: &Path) -> Result<()> {
        let url = self.url.join(&format!("api/v1/bundles/{}/content", bundle.bundle_id))?;
        let mut waits = WAITS.iter();
        while let Err(error) = self.runtime.block_on(self.fetch_rest(&url, bundle, to)) {
            let is_final = error.downcast_ref::<reqwest::Error>().is_none();
            match waits.next().filter(|_| !is_final) {
                Some(wait) => std::thread::sleep(*wait),
                None => return Err(error.context(format!("fetching bundle {}", bundle.bundle_id))),
            }
        }
        if sha256(to)? != bundle.sha256 {
            // What is left of it is no start for another try; the file itself is held by whoever exports.
            OpenOptions::new().write(true).open(to)?.set_len(0)?;
            bail!(
                "bundle {} came with other bytes than the collector has verified: run the same command again; if it stays so, tell whoever \
                 runs the collector that its file has changed",
                bundle.bundle_id
            );
        }
        Ok(())
    }

    async fn fetch_rest(&self, url: &Url, bundle: &Listed, to: &Path) -> Result<()> {
        let mut file = OpenOptions::new().create(true).append(true).open(to)?;
        let mut at = there(&file)?;
        if at > bundle.bytes {
            // Who may only append may not shorten on every system.
            OpenOptions::new().write(true).open(to)?.set_len(0)?;
            at = 0;
        }
        if at == bundle.bytes {
            return Ok(());
        }
        let mut answer = self.ask(self.client.get(url.clone()).header(RANGE, format!("bytes={at}-"))).await?;
        ensure!(
            answer.status() == StatusCode::PARTIAL_CONTENT || at == 0,
            "the collector hands out whole bundles only: is something between that cuts ranges?"
        );
        while let Some(bytes) = answer.chunk().await? {
            file.write_all(&bytes)?;
        }
        Ok(())
    }

    /// Sends a request; an answer that is no success is an error with what the collector says.
    async fn ask(&self, request: RequestBuilder) -> Result<Response> {
        #[derive(Deserialize)]
        struct Refusal {
            message: String,
        }
        let answer = request.bearer_auth(&self.token).send().await;
        let answer = answer.with_context(|| format!("{} cannot be reached", self.url))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let said = answer.json::<Refusal>().await.map(|refusal| refusal.message);
        bail!(
            "{} answers {status}: {}",
            self.url,
            said.unwrap_or("it is no collector, or too new for this program".into())
        )
    }
}

fn there(file: &File) -> std::io::Result<u64> {
    file.metadata().map(|metadata| metadata.len())
}
