//! Who this machine is to which collector. The token is in the system's keychain; where there is none, in a file that
//! only this user can read.

use std::io::Write;
use std::path::{Path, PathBuf};

use praxis_bundle::storage::private_options;
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

/// Turns an enrolment code into a token and keeps it. True if the token is in the keychain. The token of an enrolment
/// elsewhere is forgotten.
///
/// # Errors
/// `Keychain` if it is locked: the code is not used then; `Refused` for a wrong, used or expired code; `Later` if the
/// collector cannot be reached; `Io`.
pub async fn enrol(folder: &Path, collector: &str, code: &str) -> Result<(Enrolment, bool)> {
    let collector = collector.trim_end_matches('/').to_owned();
    // Before the code is spent: it works once.
    let has_keychain = match in_keychain(|| Ok(entry("trial")?.set_password("-")?)).await {
        Ok(()) => true,
        Err(Refusal::Locked) => return Err(locked("enrol again; the code is still good")),
        Err(_) => false,
    };
    // Whatever keeps it there harms nobody.
    let _ = in_keychain(|| Ok(entry("trial")?.delete_credential()?)).await;
    let answer = client::enrol(&collector, code).await?;
    let (account, token) = (collector.clone(), answer.token.clone());
    let is_in_keychain =
        has_keychain && in_keychain(move || Ok(entry(&account)?.set_password(&token)?)).await.is_ok();
    if let Ok(old) = load(folder)
        && old.is_in_keychain()
        && (old.collector != collector || !is_in_keychain)
    {
        // Where it cannot be removed, it is of use to nobody but that collector.
        let _ = in_keychain(move || Ok(entry(&old.collector)?.delete_credential()?)).await;
    }
    let token = (!is_in_keychain).then_some(answer.token);
    let enrolment = Enrolment { collector, project: answer.project, expert: answer.expert, token };
    save(folder, &enrolment)?;
    Ok((enrolment, is_in_keychain))
}

/// Forgets the enrolment. What was sent stays where it is; what waits to be sent waits for the next enrolment there.
///
/// # Errors
/// `Keychain` if it is locked: nothing is forgotten then; `Io`.
pub async fn forget(folder: &Path) -> Result<()> {
    if let Ok(enrolment) = load(folder)
        && enrolment.is_in_keychain()
    {
        let removed = in_keychain(move || Ok(entry(&enrolment.collector)?.delete_credential()?)).await;
        // Where there is no keychain any more, or it holds nothing, there is nothing to remove.
        if removed == Err(Refusal::Locked) {
            return Err(locked("try again"));
        }
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
    /// Whether the token is in the keychain, and not in the file.
    #[must_use]
    pub fn is_in_keychain(&self) -> bool {
        self.token.is_none()
    }

    /// The token.
    ///
    /// # Errors
    /// `Keychain` if it is locked or cannot be reached; `NotEnrolled` if it does not have the token.
    pub async fn token(&self) -> Result<String> {
        if let Some(token) = &self.token {
            return Ok(token.clone());
        }
        let account = self.collector.clone();
        in_keychain(move || Ok(entry(&account)?.get_password()?)).await.map_err(|refusal| match refusal {
            Refusal::Locked => locked("try again"),
            Refusal::Empty => UploadError::NotEnrolled(
                "the keychain has no token for this collector: enrol again with a new code".into(),
            ),
            Refusal::Absent(why) => UploadError::Keychain(format!(
                "the keychain, which has the token, cannot be reached ({why}): try again inside your desktop session, \
                 or enrol again with a new code"
            )),
        })
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
    let mut out =
        private_options().write(true).create(true).truncate(true).open(&temporary).map_err(doing())?;
    out.write_all(text.as_bytes()).and_then(|()| out.sync_all()).map_err(doing())?;
    std::fs::rename(&temporary, &path).map_err(doing())
}

/// Why the keychain does not do what it should.
#[derive(Debug, PartialEq, Eq)]
enum Refusal {
    /// It is locked, and was not unlocked when the system asked.
    Locked,
    /// It has no such token.
    Empty,
    /// There is none, or none that answers.
    Absent(String),
}

impl From<keyring::Error> for Refusal {
    fn from(error: keyring::Error) -> Self {
        match error {
            keyring::Error::NoEntry => Self::Empty,
            // A service that has no keychain yet gives no result; one that has one is locked, or asked in vain.
            keyring::Error::NoStorageAccess(why) if !why.to_string().contains("result not returned") => {
                Self::Locked
            }
            keyring::Error::NoDefaultStore => Self::Absent("no session bus or no keychain on it".into()),
            other => Self::Absent(other.to_string()),
        }
    }
}

fn locked(then: &str) -> UploadError {
    UploadError::Keychain(format!("the keychain is locked: unlock it, then {then}"))
}

fn entry(account: &str) -> keyring::Result<keyring::Entry> {
    keyring::Entry::new(KEYCHAIN_SERVICE, account)
}

/// Runs on a thread of its own: the keychain's library waits for the session bus, and must not do so in a runtime.
async fn in_keychain<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || sender.send(work()));
    receiver.await.unwrap_or_else(|_| Err(Refusal::Absent("it failed".into())))
}
