//! Who this machine is to which collector. The token is in the system's keychain; where there is none, in a file that
//! only this user can read.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Result, UploadError, client};

const KEYCHAIN_SERVICE: &str = "praxis";

/// An enrolment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enrolment {
    /// The collector's address, without a slash at its end.
    pub collector: String,
    /// The project that recordings belong to.
    pub project: String,
    /// The expert's pseudonym.
    pub expert: String,
    /// The token, where the system has no keychain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    token: Option<String>,
}

/// The folder of this user's settings.
#[must_use]
pub fn settings_folder() -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let settings = set("XDG_CONFIG_HOME").or_else(|| set("HOME").map(|home| home.join(".config")));
    settings.map(|settings| settings.join("praxis"))
}

/// Turns an enrolment code into a token and keeps it. True if the token is in the keychain.
///
/// # Errors
/// `Refused` for a wrong, used or expired code; `Later` if the collector cannot be reached; `Io`.
pub async fn enrol(folder: &Path, collector: &str, code: &str) -> Result<(Enrolment, bool)> {
    let collector = collector.trim_end_matches('/').to_owned();
    let answer = client::enrol(&collector, code).await?;
    let account = collector.clone();
    let token = answer.token.clone();
    let is_in_keychain =
        in_keychain(move || keyring::Entry::new(KEYCHAIN_SERVICE, &account)?.set_password(&token))
            .await
            .is_ok();
    let token = (!is_in_keychain).then_some(answer.token);
    let enrolment = Enrolment { collector, project: answer.project, expert: answer.expert, token };
    save(folder, &enrolment)?;
    Ok((enrolment, is_in_keychain))
}

/// Forgets the enrolment. What was sent stays where it is; what waits to be sent waits for the next enrolment there.
///
/// # Errors
/// `Io`.
pub async fn forget(folder: &Path) -> Result<()> {
    if let Ok(enrolment) = load(folder) {
        // Where there is no keychain, or it holds nothing, there is nothing to remove.
        let _ = in_keychain(move || {
            keyring::Entry::new(KEYCHAIN_SERVICE, &enrolment.collector)?.delete_credential()
        })
        .await;
    }
    let path = file(folder);
    match std::fs::remove_file(&path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(UploadError::io(format!("removing {}", path.display()))(source))
        }
        _ => Ok(()),
    }
}

/// The enrolment of this machine.
///
/// # Errors
/// `NotEnrolled` if there is none.
pub fn load(folder: &Path) -> Result<Enrolment> {
    let none = || {
        UploadError::NotEnrolled(
            "this computer is not enrolled: enrol it with the address and the code from your project lead"
                .into(),
        )
    };
    let text = std::fs::read_to_string(file(folder)).map_err(|_| none())?;
    serde_json::from_str(&text).map_err(|_| {
        UploadError::NotEnrolled(
            "the enrolment cannot be read: enrol again with a new code from your project lead".into(),
        )
    })
}

impl Enrolment {
    /// The token.
    ///
    /// # Errors
    /// `NotEnrolled` if the keychain does not give it.
    pub async fn token(&self) -> Result<String> {
        if let Some(token) = &self.token {
            return Ok(token.clone());
        }
        let account = self.collector.clone();
        in_keychain(move || keyring::Entry::new(KEYCHAIN_SERVICE, &account)?.get_password()).await.map_err(
            |why| {
                UploadError::NotEnrolled(format!(
                    "the keychain does not give the token ({why}): unlock it, or enrol again with a new code"
                ))
            },
        )
    }
}

fn file(folder: &Path) -> PathBuf {
    folder.join("enrolment.json")
}

fn save(folder: &Path, enrolment: &Enrolment) -> Result<()> {
    let path = file(folder);
    let doing = || UploadError::io(format!("writing {}", path.display()));
    std::fs::create_dir_all(folder).map_err(doing())?;
    let temporary = praxis_bundle::file::with_suffix(&path, ".part");
    let text = serde_json::to_string_pretty(enrolment).unwrap_or_default();
    let mut options = std::fs::OpenOptions::new();
    let mut out =
        options.write(true).create(true).truncate(true).mode(0o600).open(&temporary).map_err(doing())?;
    out.write_all(text.as_bytes()).and_then(|()| out.sync_all()).map_err(doing())?;
    std::fs::rename(&temporary, &path).map_err(doing())
}

/// Runs on a thread of its own: the keychain's library waits for the session bus, and must not do so in a runtime.
async fn in_keychain<T: Send + 'static>(
    work: impl FnOnce() -> keyring::Result<T> + Send + 'static,
) -> Result<T, String> {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || sender.send(work().map_err(|error| error.to_string())));
    receiver.await.unwrap_or_else(|_| Err("it failed".into()))
}
