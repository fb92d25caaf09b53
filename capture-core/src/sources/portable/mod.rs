//! Backends from libraries that run on several systems: `scrap` takes pictures, `rdev` hears input.
//!
//! They do not tell whether a display is still there, where it is, or where the pointer is before it moves. Where native code
//! can say so, it stands beside them ([`Beside`]); where not, the manifest names what is missing.

mod helper;
mod input;
mod keys;
mod screen;

pub use helper::{HELPER, help};
pub use input::Input;
pub use screen::Screen;

use praxis_bundle::messages::GeometryMessage;

use super::SourceError;

/// What native code of a system knows that the libraries do not tell. Each answer is a proof of life of the display, too.
pub trait Beside: Send {
    /// The displays, in the order in which the system lists them.
    ///
    /// # Errors
    /// `Lost` if the display is gone.
    fn displays(&mut self) -> Result<GeometryMessage, SourceError>;

    /// Where the pointer is, in root pixels.
    ///
    /// # Errors
    /// `Lost` if the display is gone.
    fn pointer(&mut self) -> Result<(i32, i32), SourceError>;

    /// Whether a process gets all input that happens from now on.
    ///
    /// # Errors
    /// `Lost` if the display is gone.
    fn hears(&mut self, pid: u32) -> Result<bool, SourceError>;
}
