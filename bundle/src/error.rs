//! The errors of this crate: what is wrong with the bytes, with both numbers, and where.

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can be wrong with a bundle or its parts.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file is not MCAP at all.
    #[error("not a bundle: the file does not begin with the MCAP magic bytes")]
    NotMcap,
    /// The file is MCAP, but nothing of Praxis is in it.
    #[error("not a Praxis bundle: its MCAP profile is {profile:?}, expected \"praxis\"")]
    ForeignProfile {
        /// The profile found in the header.
        profile: String,
    },
    /// The format version is newer than this program.
    #[error(
        "bundle format version {found} is newer than {supported}, the newest this program reads: update Praxis"
    )]
    NewerFormat {
        /// Version in the manifest.
        found: u32,
        /// Newest supported version.
        supported: u32,
    },
    /// The manifest is missing (the file was cut in its first bytes, or damaged there).
    #[error("the bundle has no readable manifest")]
    NoManifest,
    /// A record breaks its layout.
    #[error("malformed {what} at byte {offset}: {why}")]
    Malformed {
        /// Which record or message.
        what: &'static str,
        /// Byte position in the file or payload.
        offset: u64,
        /// What is wrong with it.
        why: String,
    },
    /// A length is over its limit.
    #[error("{what}: {found}, over the limit of {limit}")]
    TooLarge {
        /// What is counted: bytes of a chunk, pixels of a display.
        what: &'static str,
        /// As many as there are, or are claimed.
        found: u64,
        /// As many as are allowed.
        limit: u64,
    },
    /// A checksum does not match its bytes.
    #[error("checksum of {what} is {found:#010x}, expected {expected:#010x}")]
    Checksum {
        /// Which record.
        what: &'static str,
        /// CRC-32 computed over the bytes.
        found: u32,
        /// CRC-32 stored.
        expected: u32,
    },
    /// A screen delta cannot be decoded because the picture it builds on is not there.
    #[error("screen/{display} picture {found} builds on picture {needed}, which is lost")]
    LostPicture {
        /// The display's number.
        display: u8,
        /// Sequence number of the delta.
        found: u32,
        /// Sequence number it needs.
        needed: u32,
    },
    /// The file is damaged just before that time, or was before it was recovered: nobody can tell what the display showed.
    #[error(
        "what screen/{display} showed then cannot be told: it is damaged or lost; praxis info says where"
    )]
    UnreadablePicture {
        /// The display's number.
        display: u8,
    },
    /// No picture of that display at or before that time.
    #[error("there is no picture of screen/{display} at or before {:.3} s", *at_nanos as f64 / 1e9)]
    NoPicture {
        /// The display's number.
        display: u8,
        /// Session time asked for.
        at_nanos: u64,
    },
    /// Another session's bundle is where this one's has to go.
    #[error("{path} is there already and holds another session: move one of them")]
    Taken {
        /// The file that is in the way.
        path: String,
    },
    /// Another program has the file: a recorder or a sealer.
    #[error("the session is being recorded or sealed: stop the recording, or wait: {path}")]
    Busy {
        /// The file.
        path: String,
    },
    /// The writer failed before; nothing more is accepted.
    #[error("the bundle writer failed earlier and is closed")]
    WriterFailed,
    /// The narration coder failed.
    #[error("narration could not be coded: {0}")]
    Narration(String),
    /// JSON of a message or of the manifest does not fit its type.
    #[error("{what} is not valid JSON of its kind")]
    Json {
        /// Which track or record.
        what: String,
        /// What the parser said.
        #[source]
        source: serde_json::Error,
    },
    /// Reading or writing failed.
    #[error("{doing} failed")]
    Io {
        /// What was being done, with the path where one is known.
        doing: String,
        /// The operating system's reason.
        #[source]
        source: std::io::Error,
    },
}

impl Error {
    pub(crate) fn malformed(what: &'static str, offset: u64, why: impl Into<String>) -> Self {
        Self::Malformed { what, offset, why: why.into() }
    }

    /// Reading or writing failed while `doing`.
    pub fn io(doing: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Io { doing, source }
    }

    pub(crate) fn json(what: impl Into<String>) -> impl FnOnce(serde_json::Error) -> Self {
        let what = what.into();
        move |source| Self::Json { what, source }
    }
}

/// The beginning of a text from a file, for messages to people: the whole may be many megabytes.
pub(crate) fn short(text: &str) -> String {
    let mut chars = text.chars();
    let mut short: String = chars.by_ref().take(40).collect();
    if chars.next().is_some() {
        short.push('…');
    }
    short
}
