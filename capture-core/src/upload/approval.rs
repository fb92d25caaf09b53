//! The expert's approval to send a bundle: beside the file, and bound to its bytes by their SHA-256.

use std::io::Write;
use std::path::{Path, PathBuf};

use praxis_bundle::file;
use praxis_bundle::storage::private_options;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Result, UploadError};
use crate::clock::{SystemTime, Time};
use crate::library;

/// Version of the sentence that the expert agrees to.
pub const STATEMENT_VERSION: &str = "1";
/// That sentence.
pub const STATEMENT: &str =
    "I have looked at this recording and agree that it is sent, as it is, with all that it shows and says.";

/// An approval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// The bundle.
    pub bundle_id: Uuid,
    /// SHA-256 of the approved bytes, hexadecimal.
    pub sha256: String,
    /// Wall clock of the approval, milliseconds since 1970.
    pub approved_at_millis: i64,
    /// What was agreed to.
    pub statement_version: String,
}

/// Where a file's approval is.
#[must_use]
pub fn approval_path(path: &Path) -> PathBuf {
    file::with_suffix(path, ".approval")
}

/// Approves a sealed, sound bundle.
///
/// # Errors
/// `NotReady` if it is not sealed, being recorded, or damaged; `Bundle`, `Io`.
pub fn approve(path: &Path) -> Result<Approval> {
    let (bundle_id, sha256) = ready(path)?;
    let approved_at_millis = (SystemTime.wall_nanos() / 1_000_000) as i64;
    let approval =
        Approval { bundle_id, sha256, approved_at_millis, statement_version: STATEMENT_VERSION.into() };
    let text = serde_json::to_string_pretty(&approval).unwrap_or_default();
    let to = approval_path(path);
    let out = private_options().write(true).create(true).truncate(true).open(&to);
    let written = out.and_then(|mut out| out.write_all(text.as_bytes()));
    written.map_err(UploadError::io(format!("writing {}", to.display())))?;
    Ok(approval)
}

/// The approval of a file, if it is still about these bytes; their number too.
///
/// # Errors
/// `NotReady` if there is none, or the file has changed since.
pub fn approval_of(path: &Path) -> Result<(Approval, u64)> {
    let shown = path.display();
    let bytes = file::open(path)?.metadata().map_err(UploadError::io(format!("reading {shown}")))?.len();
    let text = std::fs::read_to_string(approval_path(path)).map_err(|_| {
        UploadError::NotReady(format!("{shown} is not approved: look at it, then approve it"))
    })?;
    let approval: Approval = serde_json::from_str(&text).map_err(|_| {
        UploadError::NotReady(format!("the approval of {shown} cannot be read: approve it again"))
    })?;
    if file::sha256(path)? != approval.sha256 {
        return Err(UploadError::NotReady(format!(
            "{shown} has changed since it was approved: look at it, then approve it again"
        )));
    }
    Ok((approval, bytes))
}

/// Bundle id and digest of a bundle that can be sent.
fn ready(path: &Path) -> Result<(Uuid, String)> {
    let shown = path.display();
    if library::is_held(path) {
        return Err(UploadError::NotReady(format!("{shown} is being recorded: stop the recording first")));
    }
    let info = file::info_of(path)?;
    if !info.is_sealed {
        return Err(UploadError::NotReady(format!("{shown} is not sealed: seal it first")));
    }
    let report = file::check_file(path)?;
    if let Some(finding) = report.findings.first() {
        return Err(UploadError::NotReady(format!("{shown} is damaged ({finding}): recover it")));
    }
    Ok((info.manifest.bundle_id, file::sha256(path)?))
}
