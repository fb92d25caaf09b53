//! Pictures of an X display: XDamage says what changed, MIT-SHM brings it, RandR says where the displays are.
//!
//! The recorder's own windows are covered in every picture, if that is asked for, by where they were when the server took
//! it ([`super::own`]). What happens beneath a cover is no damage.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Duration;

use praxis_bundle::manifest::Backend;
use praxis_bundle::messages::{GeometryMessage, Rect};
use x11rb::connection::{Connection, RequestConnection, SequenceNumber};
use x11rb::protocol::damage::{ConnectionExt as _, Damage, ReportLevel};
use x11rb::protocol::shm::ConnectionExt as _;
use x11rb::protocol::xfixes::{ConnectionExt as _, Region};
use x11rb::protocol::xproto::{ConnectionExt as _, ImageFormat, Window};
use x11rb::protocol::{Event, damage, shm, xfixes};
use x11rb::rust_connection::RustConnection;

use super::displays::{Displays, true_colour_root};
use super::own::OwnWindows;
use super::shm::Segment;
use super::{X11Error, connect, next_event};
use crate::clock::SharedTime;
use crate::sources::own::{Own, cover};
use crate::sources::{ScreenSource, SourceError, Wake};

/// The pictures of the default screen of an X server.
pub struct Screen {
    connection: RustConnection,
    root: Window,
    damage: Damage,
    region: Region,
    displays: Displays,
    /// The shared segment and its id on the server; `None` where memory cannot be shared (a remote display).
    shared: Option<(shm::Seg, Segment)>,
    /// The last pictures, where memory is not shared.
    copied: Vec<u8>,
    /// Where each of the last pictures is, in shared memory or in what was copied.
    places: Vec<Range<usize>>,
    /// Whether the last pictures are in shared memory.
    is_shared: bool,
    is_damaged: bool,
    is_geometry_changed: bool,
    /// The own windows, if they are to be covered.
    own: Option<OwnWindows>,
    /// What was covered in the last picture.
    masks: Vec<Rect>,
    /// What was covered when damage was last taken.
    told_masks: Vec<Rect>,
    time: SharedTime,
}

impl Screen {
    /// Opens a display, by default the one that DISPLAY names.
    ///
    /// # Errors
    /// `Unavailable` if it cannot be reached, has an unusual picture format, lacks the DAMAGE extension, or does not
    /// tell which windows are our own though they are to be covered.
    pub fn open(time: SharedTime, display: Option<&str>, own: &Own) -> Result<Self, SourceError> {
        let (connection, screen) = connect(display)?;
        let window = true_colour_root(&connection, screen)?;
        for extension in [damage::X11_EXTENSION_NAME, xfixes::X11_EXTENSION_NAME] {
            let found = connection.extension_information(extension).map_err(X11Error::from)?;
            if found.is_none() {
                return Err(SourceError::Unavailable(format!(
                    "the X server lacks the {extension} extension, which Praxis needs: enable it in the server's configuration"
                )));
            }
        }
        let own_windows = match own.hides_windows {
            true => Some(OwnWindows::open(&connection, window)?),
            false => None,
        };
        Ok(Self::set_up(time, connection, window, own_windows)?)
    }

    fn set_up(
        time: SharedTime,
        connection: RustConnection,
        root: Window,
        own: Option<OwnWindows>,
    ) -> Result<Self, X11Error> {
        connection.xfixes_query_version(5, 0)?.reply()?;
        connection.damage_query_version(1, 1)?.reply()?;
        let displays = Displays::follow(&connection, root)?;
        let (damage, region) = (connection.generate_id()?, connection.generate_id()?);
        connection.xfixes_create_region(region, &[])?.check()?;
        connection.damage_create(damage, root, ReportLevel::NON_EMPTY)?.check()?;
        let mut screen = Self {
            connection,
            root,
            damage,
            region,
            displays,
            shared: None,
            copied: Vec::new(),
            places: Vec::new(),
            is_shared: false,
            is_damaged: false,
            is_geometry_changed: false,
            own,
            masks: Vec::new(),
            told_masks: Vec::new(),
            time,
        };
        let geometry = screen.displays.now(&screen.connection)?;
        screen.share_memory((geometry.root_width_px * geometry.root_height_px * 4) as usize)?;
        Ok(screen)
    }

    /// Shares memory for pictures of that size with the server; goes without where that is impossible.
    fn share_memory(&mut self, bytes: usize) -> Result<(), X11Error> {
        if let Some((id, _)) = self.shared.take() {
            self.connection.shm_detach(id)?;
        }
        if self.connection.extension_information(shm::X11_EXTENSION_NAME)?.is_none() {
            return Ok(());
        }
        let Ok((segment, file)) = Segment::new(bytes) else { return Ok(()) };
        let id = self.connection.generate_id()?;
        let attached = match self.connection.shm_attach_fd(id, file, false) {
            Ok(cookie) => cookie.check().is_ok(),
            Err(_) => false,
        };
        self.shared = attached.then_some((id, segment));
        Ok(())
    }

    fn note(&mut self, event: &Event) {
        match event {
            Event::DamageNotify(_) => self.is_damaged = true,
            Event::RandrScreenChangeNotify(_) | Event::RandrNotify(_) => self.is_geometry_changed = true,
            event => {
                if let Some(own) = &mut self.own {
                    own.note(event, self.time.boot_nanos());
                }
            }
        }
    }

    fn note_received(&mut self) -> Result<(), X11Error> {
        while let Some(event) = self.connection.poll_for_event()? {
            self.note(&event);
        }
        Ok(())
    }

    /// What is to be covered now.
    fn masks_now(&mut self) -> Result<Vec<Rect>, X11Error> {
        let now = self.time.boot_nanos();
        let Some(own) = &mut self.own else { return Ok(Vec::new()) };
        own.settle(&self.connection, now)?;
        Ok(own.masks(now))
    }

    /// Covers in each picture what was ours when the server answered the request for it.
    fn cover(&mut self, rects: &[Rect], requests: &[SequenceNumber]) -> Result<(), X11Error> {
        if self.own.is_none() {
            return Ok(());
        }
        let mut events = VecDeque::new();
        while let Some(event) = self.connection.poll_for_event_with_sequence()? {
            events.push_back(event);
        }
        for (at, request) in requests.iter().enumerate() {
            while let Some((event, _)) = events.pop_front_if(|(_, after)| *after < *request) {
                self.note(&event);
            }
            self.masks = self.masks_now()?;
            let place = self.places[at].clone();
            let pixels = match &mut self.shared {
                Some((_, segment)) if self.is_shared => segment.write(place.end),
                _ => &mut self.copied,
            };
            cover(&mut pixels[place], rects[at], &self.masks);
        }
        events.iter().for_each(|(event, _)| self.note(event));
        Ok(())
    }
}

impl ScreenSource for Screen {
    fn backend(&self) -> Backend {
        let mut cannot = Vec::new();
        if self.own.is_some() {
            cannot.push(
                "what is beneath Praxis's own windows: they are covered, and geometry says where".into(),
            );
        }
        Backend { tracks: vec!["screen".into(), "geometry".into()], name: "x11".into(), cannot }
    }

    fn geometry(&mut self) -> Result<GeometryMessage, SourceError> {
        self.is_geometry_changed = false;
        let geometry = self.displays.now(&self.connection)?;
        let bytes = (geometry.root_width_px * geometry.root_height_px * 4) as usize;
        if self.shared.as_ref().is_some_and(|(_, segment)| segment.num_bytes() < bytes) {
            self.share_memory(bytes)?;
        }
        Ok(geometry)
    }

    fn wait(&mut self, timeout: Duration) -> Result<Wake, SourceError> {
        self.note_received()?;
        self.is_damaged |= self.masks_now()? != self.told_masks;
        let now = self.time.boot_nanos();
        let uncovered = self.own.as_ref().and_then(|own| own.next_uncovered_nanos(now));
        let timeout = uncovered.map_or(timeout, |at| timeout.min(Duration::from_nanos(at - now)));
        if !self.is_damaged
            && !self.is_geometry_changed
            && let Some(event) = next_event(&self.connection, timeout)?
        {
            self.note(&event);
            self.note_received()?;
        }
        self.is_damaged |= self.masks_now()? != self.told_masks;
        Ok(if self.is_geometry_changed {
            Wake::GeometryChanged
        } else if self.is_damaged {
            Wake::Damaged
        } else {
            Wake::Quiet
        })
    }

    fn take_damage(&mut self) -> Result<Vec<Rect>, SourceError> {
        let take = |this: &Self| -> Result<_, X11Error> {
            this.connection.damage_subtract(this.damage, x11rb::NONE, this.region)?;
            Ok(this.connection.xfixes_fetch_region(this.region)?.reply()?)
        };
        // A notice is sent once until the next subtraction. One that arrives from here on may be of later damage, so it
        // counts; if it was not, the next look finds nothing.
        self.note_received()?;
        self.is_damaged = false;
        let region = take(self)?;
        // What changed the damage changed what is covered before.
        self.note_received()?;
        let masks = self.masks_now()?;
        let is_beneath = |rect: &Rect| masks.iter().any(|mask| rect.clip(*mask) == *rect);
        let rects = region.rectangles.iter().map(|rect| Rect {
            x_px: rect.x.into(),
            y_px: rect.y.into(),
            width_px: rect.width.into(),
            height_px: rect.height.into(),
        });
        if masks == self.told_masks {
            return Ok(rects.filter(|rect| !is_beneath(rect)).collect());
        }
        let told = std::mem::replace(&mut self.told_masks, masks.clone());
        Ok(rects.chain(told).chain(masks).collect())
    }

    fn is_damaged(&mut self) -> Result<bool, SourceError> {
        self.note_received()?;
        Ok(self.is_damaged)
    }

    fn grab(&mut self, rects: &[Rect]) -> Result<(), SourceError> {
        self.places.clear();
        let mut end = 0;
        for rect in rects {
            let start = end;
            end += rect.width_px as usize * rect.height_px as usize * 4;
            self.places.push(start..end);
        }
        let requests = match &self.shared {
            Some((id, segment)) if segment.num_bytes() >= end => {
                self.is_shared = true;
                grab_shared(&self.connection, self.root, rects, &self.places, *id)?
            }
            _ => {
                self.is_shared = false;
                grab_copied(&self.connection, self.root, rects, &self.places, &mut self.copied)?
            }
        };
        Ok(self.cover(rects, &requests)?)
    }

    fn pixels(&self, at: usize) -> &[u8] {
        let place = self.places[at].clone();
        match &self.shared {
            Some((_, segment)) if self.is_shared => &segment.read(place.end)[place],
            _ => &self.copied[place],
        }
    }

    fn masks(&self) -> &[Rect] {
        &self.masks
    }

    fn ping(&mut self) -> Result<(), SourceError> {
        let ping = || -> Result<_, X11Error> { Ok(self.connection.get_input_focus()?.reply()?) };
        ping()?;
        Ok(())
    }
}

/// Has the server write pictures into shared memory; returns the numbers of the requests.
fn grab_shared(
    connection: &RustConnection,
    root: Window,
    rects: &[Rect],
    places: &[Range<usize>],
    id: shm::Seg,
) -> Result<Vec<SequenceNumber>, X11Error> {
    let mut cookies = Vec::with_capacity(rects.len());
    for (rect, place) in rects.iter().zip(places) {
        let (x, y, width, height) = wire(*rect);
        let (format, start) = (ImageFormat::Z_PIXMAP.into(), place.start as u32);
        cookies.push(connection.shm_get_image(root, x, y, width, height, !0, format, id, start)?);
    }
    let answered = |cookie: x11rb::cookie::Cookie<'_, _, shm::GetImageReply>| {
        let request = cookie.sequence_number();
        cookie.reply().map(|_| request)
    };
    // All are answered before an error is told: none may write into the memory later.
    let answers: Vec<_> = cookies.into_iter().map(answered).collect();
    Ok(answers.into_iter().collect::<Result<_, _>>()?)
}

/// Has the server send pictures.
fn grab_copied(
    connection: &RustConnection,
    root: Window,
    rects: &[Rect],
    places: &[Range<usize>],
    copied: &mut Vec<u8>,
) -> Result<Vec<SequenceNumber>, X11Error> {
    let mut requests = Vec::with_capacity(rects.len());
    copied.clear();
    for (rect, place) in rects.iter().zip(places) {
        let (x, y, width, height) = wire(*rect);
        let cookie = connection.get_image(ImageFormat::Z_PIXMAP, root, x, y, width, height, !0)?;
        requests.push(cookie.sequence_number());
        copied.extend_from_slice(&cookie.reply()?.data);
        copied.truncate(place.end);
    }
    Ok(requests)
}

/// A rectangle as the X protocol wants it.
fn wire(rect: Rect) -> (i16, i16, u16, u16) {
    (rect.x_px as i16, rect.y_px as i16, rect.width_px as u16, rect.height_px as u16)
}
