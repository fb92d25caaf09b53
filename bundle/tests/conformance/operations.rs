//! Pictures made by every operation in every way the format allows.

use praxis_bundle::manifest::{EndReason, Ending};
use praxis_bundle::{Manifest, Track};
use uuid::Uuid;

use crate::picture::{Painter, noise, shade, text};
use crate::session;
use crate::story::{Story, Told};

/// Display 0: copies and tiles; 1: lossy rectangles; 2: a single row; 3: a single pixel.
pub(crate) fn told() -> Told {
    let bundle_id = Uuid::from_u128(0x0192_0000_0000_7000_8000_0000_0000_0003);
    let manifest = Manifest { bundle_id, displays: Vec::new(), ..session::manifest() };
    let tracks: Vec<Track> = (0..4).map(Track::Screen).collect();
    let mut story = Story::new(&manifest, &tracks);
    copies(&mut story);
    lossy(&mut story);
    smallest(&mut story);
    story.end(&Ending {
        session_time_nanos: 10_000_000_000,
        reason: EndReason::DiskFull,
        outcome: None,
        note: None,
    })
}

fn copies(story: &mut Story) {
    let mut painter = Painter::new(101, 70);
    let mut now = 0;
    let mut show = |painter: &mut Painter, is_key: bool| {
        now += 83_333_333;
        story.picture(0, now, is_key, painter);
    };
    show(painter.all(noise), true);
    // In every direction, over its own source.
    for (dx, dy) in [(-3, 0), (5, 0), (0, -7), (0, 9), (-1, -1), (2, 1), (-4, 3), (3, -2), (0, 0)] {
        let moved = |value: u32, by: i32| (value as i32 + by) as u32;
        painter.copy((moved(20, dx), moved(15, dy), 60, 40), (20, 15));
        show(painter.tile((1, 1), dx < dy, text).tile((3, 2), dx >= dy, shade), false);
    }
    // Two places change with each other: both are read as they were.
    show(painter.copy((0, 0, 30, 70), (71, 0)).copy((71, 0, 30, 70), (0, 0)), false);
    // What a copy wrote is not read by the next; the later one is on top; tiles are on top of both.
    painter.copy((0, 0, 40, 40), (50, 20)).copy((20, 20, 40, 40), (0, 0)).copy((33, 33, 1, 1), (100, 69));
    show(painter.tile((0, 1), true, shade).tile((2, 1), false, noise), false);
    // The whole picture, as often as the bound allows: once.
    show(painter.copy((0, 0, 101, 70), (0, 0)), false);
    show(painter.copy((1, 0, 100, 70), (0, 0)), false);
    // Nothing at all, every tile in a delta, and a keyframe.
    show(&mut painter, false);
    show(painter.all(shade), false);
    show(painter.all(text), true);
    story.close_chunk();
}

fn lossy(story: &mut Story) {
    // Three columns and three rows of tiles; the last ones are cut off, to one pixel below.
    let mut painter = Painter::new(90, 65);
    let mut now = 1;
    let mut show = |painter: &mut Painter, is_key: bool| {
        now += 83_333_333;
        story.picture(1, now, is_key, painter);
    };
    show(painter.all(text), true);
    // At the right and the lower edge, and a corner of its own.
    show(painter.lossy((1, 1, 2, 2), shade), false);
    show(painter.lossy((0, 2, 3, 1), noise), false);
    // The later one is on top; a tile makes exact again; one that follows a tile does not.
    show(painter.lossy((0, 0, 1, 2), noise).lossy((0, 1, 2, 1), shade).tile((1, 1), true, noise), false);
    show(painter.tile((2, 0), false, text).lossy((2, 0, 1, 1), shade), false);
    // Copies over lossy tiles: part of one leaves it lossy, all of one makes it exact.
    show(painter.all(text), true);
    show(painter.lossy((1, 0, 2, 2), shade), false);
    show(painter.copy((40, 10, 15, 12), (2, 3)), false);
    show(painter.copy((32, 0, 32, 32), (0, 33)), false);
    show(painter.copy((60, 30, 30, 32), (0, 0)).lossy((1, 1, 1, 1), noise), false);
    // A copy and a lossy rectangle at one place: the copy comes first.
    show(painter.copy((0, 0, 32, 32), (0, 32)).lossy((0, 0, 1, 1), shade), false);
    // What is lossy stays, whatever happens beside it, until a keyframe.
    show(painter.tile((1, 2), false, noise), false);
    show(painter.all(shade), true);
    story.close_chunk();
}

fn smallest(story: &mut Story) {
    let (mut row, mut pixel) = (Painter::new(33, 1), Painter::new(1, 1));
    story.picture(2, 5, true, row.all(shade)).picture(3, 5, true, pixel.all(noise));
    story.picture(2, 6, false, row.lossy((0, 0, 2, 1), shade).tile((1, 0), true, text));
    story.picture(3, 6, false, pixel.lossy((0, 0, 1, 1), shade));
    story.picture(2, 7, false, row.copy((0, 0, 1, 1), (32, 0)));
    story.picture(3, 8, false, pixel.tile((0, 0), true, noise)).close_chunk();
}
