//! Why an export fails, in sentences that say what to do.

use std::path::PathBuf;

use praxis_actions::CorrectionError;

/// An export's result.
pub type Result<T> = std::result::Result<T, Error>;

/// Why an export fails.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Reading the bundle fails.
    #[error(transparent)]
    Bundle(#[from] praxis_bundle::Error),
    /// The file is still being recorded, or was never sealed.
    #[error("{} is not a finished bundle: seal it first (praxis seal), or recover it if it was cut (praxis recover)", path.display())]
    NotSealed {
        /// Which file.
        path: PathBuf,
    },
    /// Corrections are for other actions.
    #[error(transparent)]
    Corrections(#[from] CorrectionError),
    /// A file that was given beside the bundle is not what it should be.
    #[error("{}: {why}", path.display())]
    Input {
        /// Which file.
        path: PathBuf,
        /// What is wrong and what to do.
        why: String,
    },
    /// The folder cannot take this export.
    #[error("{why}")]
    Folder {
        /// What is wrong and what to do.
        why: String,
    },
    /// A bundle that is elsewhere cannot be fetched.
    #[error("{why}{}", make_room(says_full(why)))]
    Fetch {
        /// Why.
        why: String,
    },
    /// A picture or a table cannot be coded.
    #[error("{what} cannot be written: {why}{}", make_room(says_full(why)))]
    Coding {
        /// What.
        what: &'static str,
        /// Why.
        why: String,
    },
    /// The bundle lacks what the format is made of.
    #[error("{} has no {what}: {instead}", path.display())]
    Lacks {
        /// Which bundle.
        path: PathBuf,
        /// What is missing.
        what: &'static str,
        /// What to do.
        instead: &'static str,
    },
    /// Writing fails.
    #[error("{doing}: {cause}{}", make_room(is_full(cause)))]
    Io {
        /// What was being done.
        doing: String,
        /// Why it fails. Not called `source`, for it is in the sentence: whoever prints all causes says it once.
        cause: std::io::Error,
    },
}

impl Error {
    /// Whether the disk has no room left: nothing else can be written to it either. ffmpeg and the libraries that write tables hand
    /// on only the system's words.
    #[must_use]
    pub fn is_disk_full(&self) -> bool {
        match self {
            Self::Io { cause, .. } => is_full(cause),
            Self::Coding { why, .. } | Self::Fetch { why } => says_full(why),
            _ => false,
        }
    }

    /// Says what was being done when the system refused.
    pub fn io(doing: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let doing = doing.into();
        move |cause| Self::Io { doing, cause }
    }

    pub(crate) fn coding(what: &'static str) -> impl Fn(&dyn std::fmt::Display) -> Self {
        move |why| Self::Coding { what, why: why.to_string() }
    }
}

fn is_full(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded)
}

fn says_full(why: &str) -> bool {
    why.contains("No space left on device") || why.contains("Disk quota exceeded")
}

fn make_room(is_full: bool) -> &'static str {
    if is_full { ". Make room and run the same command again: it goes on where it was" } else { "" }
}
