//! The page that shows bundles, embedded as it was built, and how it and the bytes of bundles are handed out.
//!
//! Collector, `praxis open` and application say the same here: content types, caching, the content security policy,
//! ranges. There is no server in here and nothing is parsed.

mod asset;
mod part;

pub use asset::{Asset, POLICY, asset, web};
pub use part::{Part, RangeError, session_address};
