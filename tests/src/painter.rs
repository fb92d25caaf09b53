//! What the tests paint: rectangles of one colour, and a moving picture that shows its own counter. Each of its frames is
//! painted by one request, so a torn or mixed frame shows.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result};
use praxis_bundle::messages::Rect;
use x11rb::connection::Connection;
use x11rb::protocol::xproto::{ConnectionExt, CreateGCAux, CreateWindowAux, ImageFormat, WindowClass};
use x11rb::rust_connection::RustConnection;
use x11rb::wrapper::ConnectionExt as _;

use crate::desktop::let_pass;

/// Edge of the picture in pixels.
pub const EDGE: u32 = 256;
/// Edge of one bit's block.
const BLOCK: u32 = 16;
const BITS: u32 = 16;

/// Paints rectangles on a display, on top of everything else.
pub struct Brush {
    connection: RustConnection,
    root: u32,
}

impl Brush {
    /// Connects to a display.
    ///
    /// # Errors
    /// If it cannot be reached.
    pub fn new(display: &str) -> Result<Self> {
        let (connection, screen) = x11rb::connect(Some(display))?;
        let root = connection.setup().roots.get(screen).context("no screen")?.root;
        Ok(Self { connection, root })
    }

    /// Fills a rectangle with a colour (B, G, R); returns when it is on the screen.
    ///
    /// # Errors
    /// If the display is gone.
    pub fn paint(&self, rect: Rect, [blue, green, red]: [u8; 3]) -> Result<()> {
        let window = self.connection.generate_id()?;
        let colour = u32::from_be_bytes([0, red, green, blue]);
        let attributes = CreateWindowAux::new().override_redirect(1).background_pixel(colour);
        let (x, y, width, height) =
            (rect.x_px as i16, rect.y_px as i16, rect.width_px as u16, rect.height_px as u16);
        let class = WindowClass::INPUT_OUTPUT;
        self.connection
            .create_window(24, window, self.root, x, y, width, height, 0, class, 0, &attributes)?
            .check()?;
        self.connection.map_window(window)?;
        Ok(self.connection.sync()?)
    }
}

/// A window that is painted over and over.
pub struct Painter {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<u32>>>,
}

impl Painter {
    /// Opens the window at a position and paints `per_second` frames.
    ///
    /// # Errors
    /// If the display cannot be reached.
    pub fn start(display: &str, x: i16, y: i16, per_second: u64) -> Result<Self> {
        let (connection, screen) = x11rb::connect(Some(display))?;
        let screen = connection.setup().roots.get(screen).context("no screen")?.clone();
        let (window, gc) = (connection.generate_id()?, connection.generate_id()?);
        // The window manager leaves it where it is.
        let attributes = CreateWindowAux::new().override_redirect(1).background_pixel(0);
        let edge = EDGE as u16;
        connection.create_window(
            24,
            window,
            screen.root,
            x,
            y,
            edge,
            edge,
            0,
            WindowClass::INPUT_OUTPUT,
            0,
            &attributes,
        )?;
        connection.create_gc(gc, window, &CreateGCAux::new())?;
        connection.map_window(window)?;
        connection.sync()?;
        let stop = Arc::new(AtomicBool::new(false));
        let is_stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            let mut counter = 0;
            while !is_stopped.load(Ordering::SeqCst) {
                counter += 1;
                let pixels = picture(counter);
                connection.put_image(ImageFormat::Z_PIXMAP, window, gc, edge, edge, 0, 0, 0, 24, &pixels)?;
                connection.flush()?;
                let_pass(Duration::from_micros(1_000_000 / per_second));
            }
            connection.sync()?;
            Ok(counter)
        });
        Ok(Self { stop, thread: Some(thread) })
    }

    /// Ends it; returns how many frames were painted.
    ///
    /// # Errors
    /// If painting failed.
    pub fn stop(mut self) -> Result<u32> {
        self.stop.store(true, Ordering::SeqCst);
        let thread = self.thread.take().context("already stopped")?;
        thread.join().map_err(|_| anyhow::anyhow!("the painter panicked"))?
    }
}

impl Drop for Painter {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
    }
}

/// The picture of a counter: every row of blocks shows its bits, every other row inverted.
fn picture(counter: u32) -> Vec<u8> {
    let mut pixels = Vec::with_capacity((EDGE * EDGE * 4) as usize);
    for y in 0..EDGE {
        for x in 0..EDGE {
            let value = if bit(counter, x / BLOCK, y / BLOCK) { 0xf0 } else { 0x10 };
            pixels.extend_from_slice(&[value, value, value, 0]);
        }
    }
    pixels
}

fn bit(counter: u32, column: u32, row: u32) -> bool {
    (counter >> (column % BITS) & 1 == 1) ^ (row % 2 == 1)
}

/// The counter that a picture (B, G, R) shows at a position; `None` if it is none that was ever painted.
#[must_use]
pub fn counter_in(bgr: &[u8], width: u32, x: u32, y: u32) -> Option<u32> {
    let value = |column: u32, row: u32| bgr[(((y + row) * width + x + column) * 3) as usize];
    let counter = (0..BITS).filter(|bit| value(bit * BLOCK, 0) == 0xf0).map(|bit| 1 << bit).sum::<u32>();
    let pixels = (0..EDGE).flat_map(|row| (0..EDGE).map(move |column| (column, row)));
    let is_whole = pixels.into_iter().all(|(column, row)| {
        let expected = if bit(counter, column / BLOCK, row / BLOCK) { 0xf0 } else { 0x10 };
        value(column, row) == expected
    });
    is_whole.then_some(counter)
}
