//! What a request can fail with, and how HTTP says it: a status and `{code, message}`, mapped here and nowhere else.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// The error of every route.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No token, an unknown one, or a revoked one.
    #[error("a valid token is needed: enrol this device, or ask the project lead for a token")]
    Unauthorized,
    /// The token's role does not allow this.
    #[error("this needs the role {0}")]
    Forbidden(&'static str),
    /// An enrolment code that is wrong, used or expired.
    #[error("the enrolment code {0}: ask the project lead for a new one")]
    Code(&'static str),
    /// There is no such thing, or it belongs to someone else.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// The request makes no sense.
    #[error("{0}")]
    BadRequest(String),
    /// An upload without an announced, approved bundle.
    #[error("a bundle must be announced with the expert's approval before its bytes are sent: {0}")]
    NotApproved(String),
    /// The same bundle with other bytes, or a bundle in a state that does not allow this.
    #[error("{0}")]
    Conflict(String),
    /// A PATCH at another offset than the upload's.
    #[error("the upload is at byte {at}, not at {stated}: ask with HEAD and go on from there")]
    Offset {
        /// The upload's offset.
        at: u64,
        /// The request's.
        stated: u64,
    },
    /// A newer request for the same upload has taken over.
    #[error("a newer request has taken this upload over")]
    Superseded,
    /// Bytes beyond the announced length, or a bundle over the limit.
    #[error("{0}")]
    TooLarge(String),
    /// A chunk that does not have the stated checksum.
    #[error("the chunk does not have the stated checksum: it was not stored, send it again")]
    Checksum,
    /// Wrong content type of a PATCH.
    #[error("the content type must be application/offset+octet-stream")]
    ContentType,
    /// The route does not take this method.
    #[error("this address does not take this method")]
    Method,
    /// A range outside of the content.
    #[error("the range is outside of the {0} bytes of the content")]
    Range(u64),
    /// Another version of the tus protocol.
    #[error("this server speaks tus 1.0.0: send Tus-Resumable: 1.0.0")]
    TusVersion,
    /// The disk is full, or nearly.
    #[error("the collector's disk is full: nothing is lost, the upload can go on when there is room")]
    DiskFull,
    /// The store or the database failed.
    #[error("the collector failed; nothing that it acknowledged is lost: try again")]
    Internal(#[source] anyhow::Error),
}

/// A result of a route.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Closed set of codes that programs act on.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.status_and_code().1
    }

    fn status_and_code(&self) -> (StatusCode, &'static str) {
        match self {
            Self::Unauthorized => (StatusCode::UNAUTHORIZED, "unauthorized"),
            Self::Forbidden(_) => (StatusCode::FORBIDDEN, "forbidden"),
            Self::Code(_) => (StatusCode::FORBIDDEN, "enrolment_code"),
            Self::NotFound(_) => (StatusCode::NOT_FOUND, "not_found"),
            Self::BadRequest(_) => (StatusCode::BAD_REQUEST, "bad_request"),
            Self::NotApproved(_) => (StatusCode::FORBIDDEN, "not_approved"),
            Self::Conflict(_) => (StatusCode::CONFLICT, "conflict"),
            Self::Offset { .. } => (StatusCode::CONFLICT, "offset"),
            Self::Superseded => (StatusCode::CONFLICT, "superseded"),
            Self::TooLarge(_) => (StatusCode::PAYLOAD_TOO_LARGE, "too_large"),
            // Defined by the checksum extension of tus.
            Self::Checksum => (checksum_mismatch(), "checksum"),
            Self::ContentType => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "content_type"),
            Self::Range(_) => (StatusCode::RANGE_NOT_SATISFIABLE, "range"),
            Self::Method => (StatusCode::METHOD_NOT_ALLOWED, "method"),
            Self::TusVersion => (StatusCode::PRECONDITION_FAILED, "tus_version"),
            Self::DiskFull => (StatusCode::INSUFFICIENT_STORAGE, "disk_full"),
            Self::Internal(_) => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
        }
    }
}

fn checksum_mismatch() -> StatusCode {
    StatusCode::from_u16(460).unwrap_or(StatusCode::BAD_REQUEST)
}

/// A body, path or query that cannot be read, as one of our errors.
pub(crate) fn unreadable(rejection: impl std::fmt::Display) -> Error {
    Error::BadRequest(rejection.to_string())
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        Self::Internal(error.into())
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::StorageFull
            | std::io::ErrorKind::QuotaExceeded
            | std::io::ErrorKind::FileTooLarge => Self::DiskFull,
            _ => Self::Internal(error.into()),
        }
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let (status, code) = self.status_and_code();
        if let Self::Internal(cause) = &self {
            tracing::error!(error = format!("{cause:#}"), "a request failed");
        }
        let mut response = (status, Json(json!({"code": code, "message": self.to_string()}))).into_response();
        let headers = response.headers_mut();
        if let Self::Range(length) = self
            && let Ok(value) = format!("bytes */{length}").parse()
        {
            headers.insert("content-range", value);
        }
        if matches!(self, Self::DiskFull) {
            headers.insert("retry-after", axum::http::HeaderValue::from_static("10"));
        }
        response
    }
}
