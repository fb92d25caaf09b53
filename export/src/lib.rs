//! Bundles as steps, in the formats that labs load: what was seen, what was done, what was said.
//!
//! A [`Session`] is what a bundle holds, found in one pass without decoding a picture. The [`plan`] gives each action the picture
//! before it and the one after it; [`steps`] goes through the bundle a second time and hands out each step with its pictures.
//! A [`Format`] writes them; [`run`] does that for many bundles, several at a time, and goes on where it was stopped.
//!
//! Memory does not grow with the length of a bundle, but for some bytes of each picture and action.

mod error;
mod folder;
pub mod format;
pub mod frames;
pub mod image;
mod options;
pub mod plan;
pub mod run;
pub mod steps;
pub mod survey;
pub mod transcript;

pub use error::{Error, Result};
pub use format::Format;
pub use survey::Session;
