//! How the pointer looks, by XFixes: each shape once it is shown, with the point of it that is at the pointer's position.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use praxis_bundle::messages::CursorMessage;
use x11rb::connection::{Connection, RequestConnection};
use x11rb::protocol::Event;
use x11rb::protocol::xfixes::{self, ConnectionExt as _, CursorNotifyMask};
use x11rb::rust_connection::RustConnection;

use super::{X11Error, connect, next_event};
use crate::sources::SourceError;

/// Pictures with a longer side are left out.
const MAX_SIDE_PX: u16 = 512;

/// The pointer's shape on an X server.
pub(super) struct Cursor {
    connection: RustConnection,
    shown: Option<CursorMessage>,
}

impl Cursor {
    /// Opens a display; `None` if the server lacks XFixes 2.
    pub(super) fn open(display: Option<&str>) -> Result<Option<Self>, SourceError> {
        let (connection, screen) = connect(display)?;
        let root = connection.setup().roots[screen].root;
        let set_up = || -> Result<bool, X11Error> {
            if connection.extension_information(xfixes::X11_EXTENSION_NAME)?.is_none()
                || connection.xfixes_query_version(5, 0)?.reply()?.major_version < 2
            {
                return Ok(false);
            }
            connection.xfixes_select_cursor_input(root, CursorNotifyMask::DISPLAY_CURSOR)?.check()?;
            Ok(true)
        };
        let is_set_up = set_up()?;
        Ok(is_set_up.then_some(Self { connection, shown: None }))
    }

    /// Waits at most `timeout` for another shape; the first time it is the one that is shown.
    pub(super) fn next(&mut self, timeout: Duration) -> Result<Option<CursorMessage>, X11Error> {
        let is_first = self.shown.is_none();
        if !is_first && !matches!(next_event(&self.connection, timeout)?, Some(Event::XfixesCursorNotify(_)))
        {
            return Ok(None);
        }
        // Of several notices only the last shape is still there to be asked for.
        while self.connection.poll_for_event()?.is_some() {}
        let image = match self.connection.xfixes_get_cursor_image_and_name()?.reply() {
            Ok(image) => image,
            // None is shown, or it went while it was asked for.
            Err(x11rb::errors::ReplyError::X11Error(_)) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let is_small = image.width <= MAX_SIDE_PX && image.height <= MAX_SIDE_PX;
        let is_there = image.width > 0 && image.height > 0;
        let message = CursorMessage {
            name: (!image.name.is_empty()).then(|| String::from_utf8_lossy(&image.name).into_owned()),
            width_px: image.width.into(),
            height_px: image.height.into(),
            hot_x_px: image.xhot.into(),
            hot_y_px: image.yhot.into(),
            png: (is_small && is_there)
                .then(|| png(image.width.into(), image.height.into(), &image.cursor_image))
                .flatten(),
        };
        if self.shown.as_ref() == Some(&message) {
            return Ok(None);
        }
        self.shown = Some(message.clone());
        Ok(Some(message))
    }
}

/// A picture of premultiplied ARGB as PNG in base64.
fn png(width: u32, height: u32, pixels: &[u32]) -> Option<String> {
    let straight = |pixel: &u32| {
        let [blue, green, red, alpha] = pixel.to_le_bytes();
        let whole = |part: u8| match alpha {
            0 => 0,
            alpha => (u32::from(part) * 255 / u32::from(alpha)).min(255) as u8,
        };
        [whole(red), whole(green), whole(blue), alpha]
    };
    let data: Vec<u8> = pixels.iter().flat_map(straight).collect();
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(png::ColorType::Rgba);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.write_header().ok()?.write_image_data(&data).ok()?;
    Some(STANDARD.encode(file))
}
