//! Who asks: tokens of 256 random bits, of which only the digest is stored, and what each role may do.
//!
//! A token comes in the Authorization header or, from a browser, in a cookie that scripts cannot read. Every handler
//! that asks for a [`Caller`] is closed to everyone else.

use axum::extract::FromRequestParts;
use axum::http::header::{AUTHORIZATION, COOKIE};
use axum::http::request::Parts;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use crate::Collector;
use crate::error::{Error, Result};

/// Name of the cookie that holds a browser's token.
pub const COOKIE_NAME: &str = "praxis_token";

/// The header that only our own page sends.
const OF_THE_PAGE: &str = "x-praxis-page";

/// What a caller may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Sends bundles of one project under one pseudonym, and sees only those.
    Expert,
    /// Sees and replays all bundles.
    Reviewer,
    /// As a reviewer, and decides what goes out.
    Lead,
}

impl Role {
    const ALL: [(Self, &'static str); 3] =
        [(Self::Expert, "expert"), (Self::Reviewer, "reviewer"), (Self::Lead, "lead")];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(role, _)| *role == self).map_or("", |(_, name)| name)
    }

    /// The role of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == name).map(|(role, _)| *role)
    }
}

/// A token or an enrolment code: shown once, stored as its digest. Never logged.
pub struct Secret(String);

impl Secret {
    /// A new token: 256 random bits.
    ///
    /// # Errors
    /// `Internal` if the system gives no random numbers.
    pub fn token() -> Result<Self> {
        Ok(Self(format!("praxis_{}", URL_SAFE_NO_PAD.encode(random::<32>()?))))
    }

    /// A new enrolment code: 80 random bits in four groups, without letters that look alike.
    ///
    /// # Errors
    /// `Internal` if the system gives no random numbers.
    pub fn code() -> Result<Self> {
        const LETTERS: &[u8; 32] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
        let letters: Vec<u8> = random::<16>()?.iter().map(|byte| LETTERS[usize::from(byte % 32)]).collect();
        let groups: Vec<_> = letters.chunks(4).map(String::from_utf8_lossy).collect();
        Ok(Self(groups.join("-")))
    }

    /// What a person typed or a program sent.
    #[must_use]
    pub fn given(text: &str) -> Self {
        Self(text.trim().to_owned())
    }

    /// A code as a person typed it: case and separators do not matter.
    #[must_use]
    pub fn given_code(text: &str) -> Self {
        let letters: Vec<char> = text.to_uppercase().chars().filter(char::is_ascii_alphanumeric).collect();
        let groups: Vec<String> = letters.chunks(4).map(|group| group.iter().collect()).collect();
        Self(groups.join("-"))
    }

    /// The one time it is shown.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What is stored and looked up. A look-up by digest tells nothing of the secret by its timing.
    #[must_use]
    pub fn digest(&self) -> Vec<u8> {
        Sha256::digest(self.0.as_bytes()).to_vec()
    }
}

fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|error| Error::Internal(anyhow::anyhow!("no random numbers: {error}")))?;
    Ok(bytes)
}

/// Who asks.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Number of the token.
    pub token: i64,
    /// What it allows.
    pub role: Role,
    /// Project of an expert's token.
    pub project: Option<String>,
    /// Pseudonym of an expert's token.
    pub expert: Option<String>,
}

impl Caller {
    /// Only experts go on.
    ///
    /// # Errors
    /// `Forbidden`.
    pub fn as_expert(&self) -> Result<&Self> {
        if self.role == Role::Expert { Ok(self) } else { Err(Error::Forbidden("expert")) }
    }

    /// Only those who may see all bundles go on.
    ///
    /// # Errors
    /// `Forbidden`.
    pub fn as_reader(&self) -> Result<&Self> {
        if self.role == Role::Expert { Err(Error::Forbidden("reviewer or lead")) } else { Ok(self) }
    }

    /// Only leads go on.
    ///
    /// # Errors
    /// `Forbidden`.
    pub fn as_lead(&self) -> Result<&Self> {
        if self.role == Role::Lead { Ok(self) } else { Err(Error::Forbidden("lead")) }
    }

    /// Whether this caller may see something of that expert and project.
    #[must_use]
    pub fn may_see(&self, project: &str, expert: &str) -> bool {
        self.role != Role::Expert
            || (self.project.as_deref() == Some(project) && self.expert.as_deref() == Some(expert))
    }
}

impl FromRequestParts<Collector> for Caller {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, collector: &Collector) -> Result<Self> {
        let secret = secret_of(parts).ok_or(Error::Unauthorized)?;
        collector.db.caller(&secret.digest()).await?.ok_or(Error::Unauthorized)
    }
}

fn secret_of(parts: &Parts) -> Option<Secret> {
    if let Some(header) = parts.headers.get(AUTHORIZATION) {
        let (scheme, token) = header.to_str().ok()?.split_once(' ')?;
        return scheme.eq_ignore_ascii_case("bearer").then(|| Secret::given(token));
    }
    // A browser sends the cookie along whoever asks it to. What changes something needs a header beside it that a foreign page
    // may not send: it would have to ask first, and is refused.
    if !parts.method.is_safe() && !parts.headers.contains_key(OF_THE_PAGE) {
        return None;
    }
    let cookies = parts.headers.get_all(COOKIE).iter().filter_map(|cookies| cookies.to_str().ok());
    let mut pairs =
        cookies.flat_map(|cookies| cookies.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == COOKIE_NAME).map(|(_, token)| Secret::given(token))
}
