//! Captures screen, pointer, keys, windows and voice in one time base, and writes them into a bundle.
//!
//! Data flows one way: a source ([`sources`]) hands stamped samples to its feed, the feed turns them into messages,
//! the messages wait in one byte-bounded queue per track ([`queue`]), and one writer thread moves them into the live
//! file ([`recorder`]). What is sealed and approved is sent by [`upload`], the one module with a network. No desktop shell in here.

pub mod calibration;
pub mod clock;
pub mod library;
pub mod narration;
pub mod queue;
pub mod recorder;
pub mod session;
pub mod sources;
pub mod studio;
pub mod system;
pub mod upload;
