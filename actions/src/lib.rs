//! Raw input of a bundle, reduced to what a person would say was done: click, drag, scroll, type, press, hotkey,
//! hover, wait.
//!
//! [`actions_of`] reads a bundle, [`Gatherer`] takes its messages from whoever reads it; [`Reducer`] works on messages in order
//! of time and holds no more than the actions that are open. [`Corrections`] of a person can be applied on top. The same input gives the same actions, always. Every press of a button or key is in exactly one action, but
//! for modifiers, which belong to what was done while they were held.
//!
//! Of pictures it sees where they change, and of the voice whether there is one. It decides nothing about what an action meant.

mod action;
mod corrections;
mod keyboard;
mod names;
mod path;
mod pointer;
mod read;
mod reducer;
mod rest;

#[cfg(test)]
mod property_tests;
#[cfg(test)]
mod tests;

pub use action::{Action, Answer, Kind, LeftOut, Parameters, PathPoint, WindowName};
pub use corrections::{Change, CorrectionError, Corrections};
pub use read::{Gatherer, MAX_ACTIONS, Reading, actions_of, actions_of_file};
pub use reducer::{Input, Reducer, Shown};
pub use rest::is_speech;

/// Goes up when the same input may give other actions.
pub const REDUCER_VERSION: u32 = 5;
