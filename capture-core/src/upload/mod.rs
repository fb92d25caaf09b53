//! Sends approved bundles to a collector, or to any other tus 1.0 server, and gives up only when a person has to act.
//!
//! `approve` binds the expert's approval to a file's bytes ([`approval`]); `enrolment` holds who we are to which collector;
//! `queue` remembers what is to be sent; [`Uploader`] sends it, chunk by chunk, each with its checksum. After a kill, a
//! reboot, a network cut or a restart of the server it asks how much has arrived and goes on there. Nothing in here
//! deletes a recording: a copy may be freed when its state is `verified`.

pub mod approval;
mod client;
pub mod courier;
pub mod enrolment;
pub mod queue;
mod uploader;

pub use approval::{Approval, approve};
pub use courier::Courier;
pub use enrolment::Enrolment;
pub use queue::{Item, Queue, State};
pub use uploader::{Tuning, Uploader};

/// Why something about uploads did not work. The variants say what the caller can do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UploadError {
    /// The file is not ready to be sent; the sentence says what to do first.
    #[error("{0}")]
    NotReady(String),
    /// This machine is not enrolled, or its enrolment cannot be read.
    #[error("{0}")]
    NotEnrolled(String),
    /// The system's keychain is locked or cannot be reached; the sentence says what to do.
    #[error("{0}")]
    Keychain(String),
    /// The server refuses for good: a person has to act.
    #[error("the collector refuses: {message}")]
    Refused {
        /// Its code, for programs.
        code: String,
        /// Its sentence.
        message: String,
    },
    /// It may work later: the network, the server, its disk.
    #[error("{why}")]
    Later {
        /// What happened.
        why: String,
        /// How long the server asks to wait.
        after_seconds: Option<u64>,
    },
    /// The server does not know the upload any more.
    #[error("the upload is gone from the server")]
    Gone,
    /// The upload is at another offset than we thought.
    #[error("the upload is at another byte")]
    Elsewhere,
    /// The chunk was damaged on its way.
    #[error("a chunk arrived damaged")]
    Damaged,
    /// Reading the bundle failed.
    #[error(transparent)]
    Bundle(#[from] praxis_bundle::Error),
    /// The queue's database failed.
    #[error("the queue of uploads cannot be used")]
    Queue(#[from] sqlx::Error),
    /// A file beside the bundle, or of the enrolment, cannot be read or written.
    #[error("{doing} failed")]
    Io {
        /// What was tried, with the path.
        doing: String,
        /// The system's reason.
        #[source]
        source: std::io::Error,
    },
}

impl UploadError {
    fn io(doing: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Io { doing, source }
    }

    fn later(why: impl Into<String>) -> Self {
        Self::Later { why: why.into(), after_seconds: None }
    }
}

/// A result of this module.
pub type Result<T, E = UploadError> = std::result::Result<T, E>;
