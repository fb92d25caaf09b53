//! The Praxis bundle format: one MCAP file that holds everything a session recorded.
//!
//! The crate writes live files ([`LiveWriter`]), turns them into sealed or recovered bundles ([`rewrite`]),
//! reads whole, cut and damaged files ([`Scanner`], [`Index`]), codes screen pictures ([`screen`]) and proves a
//! file sound ([`check`]). The format itself is defined by `docs/bundle-format.md`.
//!
//! It never reads a clock, opens a socket or spawns a thread, and its readers do no I/O: they ask for byte ranges.
//! Files are changed through the seam [`storage`] alone and read in [`file`].

pub mod check;
pub mod drift;
mod error;
pub mod file;
pub mod finish;
pub mod index;
pub mod info;
mod layout;
pub mod limits;
pub mod live;
pub mod manifest;
pub mod messages;
pub mod narration;
pub mod record;
pub mod rewrite;
pub mod scan;
pub mod screen;
pub mod storage;
pub mod track;
pub mod work;

pub use error::{Error, Result};
pub use index::Index;
pub use live::LiveWriter;
pub use manifest::{Ending, Manifest, Recovery};
pub use rewrite::{Profile, rewrite};
pub use scan::Scanner;
pub use track::{Channel, Track};
