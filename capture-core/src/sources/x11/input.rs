//! Pointer and keys of an X display through the RECORD extension: every event, with server time and position.
//!
//! One connection carries the events. A second one, on a thread of its own, reads server time and the server's idle
//! time each second and ends the recording. The keymap has a third ([`super::keymap`]); requests that change it are
//! recorded too, since only their place among the events says which keys they concern. A fourth follows the recorder's
//! own windows, if input into them is to be left out ([`super::own_input`]). Three more, on threads of their own, tell what the devices
//! themselves report ([`super::devices`]), how the pointer looks ([`super::cursor`]), and what is copied ([`super::clipboard`]).

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use praxis_bundle::manifest::{Backend, Keyboard, PointerSettings};
use praxis_bundle::messages::ClockMessage;
use x11rb::connection::{Connection, RequestConnection};
use x11rb::protocol::Event;
use x11rb::protocol::record::{self, ConnectionExt as _};
use x11rb::protocol::screensaver::{self, ConnectionExt as _};
use x11rb::protocol::xproto::{
    AtomEnum, CHANGE_KEYBOARD_MAPPING_REQUEST, ConnectionExt as _, CreateWindowAux, EventMask,
    KEY_PRESS_EVENT, KEY_RELEASE_EVENT, KeyPressEvent, MOTION_NOTIFY_EVENT, PropMode, Window, WindowClass,
};
use x11rb::rust_connection::RustConnection;
use x11rb::x11_utils::TryParse;

use super::clipboard::Clipboard;
use super::cursor::Cursor;
use super::devices::{Devices, Origin, Scrolled};
use super::events::{Reported, place_of, scroll_of, understand};
use super::keymap::{Keymap, keymap_requests};
use super::own_input::{LeftOut, Watcher};
use super::server_time::ServerTime;
use super::settings::{input_method, pointer_settings};
use super::{X11Error, connect, next_event};
use crate::clock::SharedTime;
use crate::sources::{InputEvent, InputSource, Own, SourceError, Stop};

/// Categories of RECORD replies.
const FROM_SERVER: u8 = 0;
const FROM_CLIENT: u8 = 1;
const START_OF_DATA: u8 = 4;
/// Longest to wait until the server has begun to record.
const START_WITHIN: Duration = Duration::from_secs(2);
/// How often the clocks are paired.
const PAIR_EVERY: Duration = Duration::from_secs(1);
/// Of moves that follow each other faster, what devices reported may be told with the next.
const SETTLE_MILLIS: u32 = 20;
/// Shortest time between two shapes of the pointer.
const SHAPE_EVERY: Duration = Duration::from_millis(80);
/// How often the stop switch is looked at.
const STOP_LOOK: Duration = Duration::from_millis(200);
/// Input that the server has seen must reach us within this time, or we are not alive.
const LATE_NANOS: u64 = 1_500_000_000;

/// Pointer and keys of an X server.
pub struct Input {
    time: SharedTime,
    display: Option<String>,
    /// Boot clock when it was opened or last run: input from before is none of ours.
    begun_nanos: u64,
    data: RustConnection,
    control: RustConnection,
    context: record::Context,
    root: Window,
    /// A window of ours whose property change tells the server's time.
    probe: Window,
    has_idle_time: bool,
    server_time: Mutex<ServerTime>,
    keyboard: Keyboard,
    pointer: PointerSettings,
    held: HashSet<u8>,
    own: Own,
    /// Follows the own windows, if input into them is to be left out.
    watcher: Option<Watcher>,
    /// What the devices themselves report, where the server tells it.
    devices: Option<Devices>,
    /// The shape of the pointer, where the server tells it.
    cursor: Option<Cursor>,
    /// What is copied, where the server tells it.
    clipboard: Option<Clipboard>,
    /// What composes text before programs get it: keys are recorded, but not what it makes of them.
    input_method: Option<String>,
}

/// Where events go, from several threads: those of one kind in the order of their times.
struct Line<'a> {
    sink: &'a (dyn Fn(InputEvent) + Sync),
    newest_pointer_nanos: Mutex<u64>,
    /// Server time of the last move for which it was made sure that what devices reported is there.
    settled_millis: AtomicU32,
}

impl Line<'_> {
    fn send(&self, event: InputEvent) {
        let InputEvent::Pointer(nanos, message) = event else {
            (self.sink)(event);
            return;
        };
        let mut newest = self.newest_pointer_nanos.lock().unwrap_or_else(PoisonError::into_inner);
        *newest = nanos.max(*newest);
        (self.sink)(InputEvent::Pointer(*newest, message));
    }
}

impl Input {
    /// Opens a display, by default the one that DISPLAY names.
    ///
    /// # Errors
    /// `Unavailable` if it cannot be reached, lacks RECORD or XKB, or does not tell which windows are our own though
    /// input into them is to be left out.
    pub fn open(time: SharedTime, display: Option<&str>, own: &Own) -> Result<Self, SourceError> {
        Self::open_with(time, display, own, false)
    }

    /// Opens a display as [`Self::open`] does; `has_clipboard_text` says whether the text that is copied is told.
    ///
    /// # Errors
    /// As `open`.
    pub fn open_with(
        time: SharedTime,
        display: Option<&str>,
        own: &Own,
        has_clipboard_text: bool,
    ) -> Result<Self, SourceError> {
        let (data, screen) = connect(display)?;
        let (control, _) = connect(display)?;
        if control.extension_information(record::X11_EXTENSION_NAME).map_err(X11Error::from)?.is_none() {
            return Err(SourceError::Unavailable(
                "the X server lacks the RECORD extension, which Praxis needs for keys and pointer: enable it in the server's configuration"
                    .into(),
            ));
        }
        let keyboard = Keyboard { layouts: Keymap::open(display)?.layouts() };
        let pointer = pointer_settings(&control, screen)?;
        let root = control.setup().roots[screen].root;
        let context = record_context(&control)?;
        let probe = probe_window(&control, root)?;
        let has_idle_time =
            control.extension_information(screensaver::X11_EXTENSION_NAME).map_err(X11Error::from)?.is_some();
        let watcher = match own.hides_windows {
            true => Some(Watcher::open(time.clone(), display)?),
            false => None,
        };
        let input = Self {
            begun_nanos: time.boot_nanos(),
            devices: Devices::open(display)?,
            cursor: Cursor::open(display)?,
            clipboard: Clipboard::open(time.clone(), display, has_clipboard_text)?,
            input_method: input_method(&control, root)?,
            time,
            display: display.map(str::to_owned),
            held: held_keys(&control)?,
            data,
            control,
            context,
            root,
            probe,
            has_idle_time,
            server_time: Mutex::default(),
            keyboard,
            pointer,
            own: own.clone(),
            watcher,
        };
        input.pair_clocks()?;
        Ok(input)
    }

    /// Reads server time and boot clock together.
    fn pair_clocks(&self) -> Result<Option<InputEvent>, X11Error> {
        let before = self.time.boot_nanos();
        let name = AtomEnum::CUT_BUFFER0;
        self.control.change_property(PropMode::APPEND, self.probe, name, AtomEnum::STRING, 8, 0, &[])?;
        while let Some(event) = next_event(&self.control, PAIR_EVERY)? {
            if let Event::PropertyNotify(notice) = event {
                let after = self.time.boot_nanos();
                if let Ok(mut server_time) = self.server_time.lock() {
                    server_time.pair(notice.time, before, after);
                }
                let message = ClockMessage::XServer {
                    server_millis: notice.time,
                    uncertainty_nanos: (after - before) / 2,
                };
                return Ok(Some(InputEvent::Clock(u64::midpoint(before, after), message)));
            }
        }
        Ok(None)
    }

    /// Whether all input that the server has seen so far has reached us; an answered round trip is a proof too where
    /// the server does not tell its idle time.
    fn is_alive(&self, newest_nanos: u64) -> Result<bool, X11Error> {
        if !self.has_idle_time {
            self.control.get_input_focus()?.reply()?;
            return Ok(true);
        }
        let idle_millis = self.control.screensaver_query_info(self.root)?.reply()?.ms_since_user_input;
        let last_input = self.time.boot_nanos().saturating_sub(u64::from(idle_millis) * 1_000_000);
        Ok(last_input <= newest_nanos.max(self.begun_nanos) + LATE_NANOS)
    }

    /// Where the pointer is before it moves.
    fn place(&self) -> Result<InputEvent, X11Error> {
        let pointer = self.control.query_pointer(self.root)?.reply()?;
        Ok(InputEvent::Place(self.time.boot_nanos(), place_of(&pointer)))
    }

    /// Pairs clocks, proves life and, when told to stop, ends the recording.
    fn control(
        &self,
        line: &Line<'_>,
        stop: &Stop,
        is_over: &AtomicBool,
        newest: &AtomicU64,
        started: Receiver<()>,
    ) -> Result<(), X11Error> {
        // If the server never begins, there is no proof of life; if it is gone, the other thread says so.
        let is_started = started.recv_timeout(START_WITHIN).is_ok();
        line.send(self.place()?);
        let mut next_pair = 0;
        while !stop.is_stopped() && !is_over.load(Ordering::SeqCst) {
            if self.time.boot_nanos() >= next_pair {
                next_pair = self.time.boot_nanos() + PAIR_EVERY.as_nanos() as u64;
                if let Some(pair) = self.pair_clocks()? {
                    line.send(pair);
                }
                if is_started && self.is_alive(newest.load(Ordering::SeqCst))? {
                    line.send(InputEvent::Alive);
                }
            }
            next_event(&self.control, STOP_LOOK)?;
        }
        // The server answers with what it still holds, then with the end of data.
        self.control.record_disable_context(self.context)?.check()?;
        Ok(())
    }

    /// Reads events until the recording is ended.
    fn record(
        &self,
        line: &Line<'_>,
        stop: &Stop,
        newest: &AtomicU64,
        held: &mut HashSet<u8>,
        keymap: &mut Keymap,
        started: &Sender<()>,
    ) -> Result<(), X11Error> {
        let mut left_out = LeftOut::new(&self.own, self.watcher.as_ref());
        for reply in self.data.record_enable_context(self.context)? {
            let reply = reply?;
            match reply.category {
                // The other thread waits for it, or has given up.
                START_OF_DATA => drop(started.send(())),
                FROM_CLIENT if !reply.client_swapped => keymap.follow_requests(&reply.data),
                _ => {}
            }
            if reply.category != FROM_SERVER || reply.client_swapped {
                continue;
            }
            let mut rest = &reply.data[..];
            while let Ok((event, after)) = KeyPressEvent::try_parse(rest) {
                rest = after;
                let mapped = self.server_time.lock().map_or(0, |mut time| time.boot_nanos(event.time));
                let nanos = mapped.min(self.time.boot_nanos()).max(newest.load(Ordering::SeqCst));
                newest.store(nanos, Ordering::SeqCst);
                let was_held = hold(&event, held);
                let reported = self.reported(&event, line)?;
                if left_out.has(&event, nanos, was_held, keymap)? || reported.is_emulated {
                    continue;
                }
                if let Some(event) = understand(&event, nanos, was_held, keymap, &reported) {
                    line.send(event);
                }
            }
        }
        // The replies end when the recording was ended, which only we do.
        if stop.is_stopped() { Ok(()) } else { Err(X11Error("the X server ended the recording".into())) }
    }
}

impl Input {
    fn reported(&self, event: &KeyPressEvent, line: &Line<'_>) -> Result<Reported, X11Error> {
        let Some(devices) = &self.devices else { return Ok(Reported::default()) };
        let kind = event.response_type & 0x7f;
        let settle = || devices.settle(&|scrolled| self.scroll(&scrolled, line));
        if kind == MOTION_NOTIFY_EVENT {
            // A fast mouse moves a thousand times a second: not each is worth a round trip. What comes too late counts for the next.
            let is_due =
                event.time.wrapping_sub(line.settled_millis.load(Ordering::Relaxed)) >= SETTLE_MILLIS;
            if is_due && !devices.has_move(event.time) {
                line.settled_millis.store(event.time, Ordering::Relaxed);
                settle()?;
            }
            let moved = devices.take_moved();
            let is_injected = moved.is_injected(event.time);
            return Ok(Reported { is_injected, is_emulated: false, raw: moved.delta });
        }
        settle()?;
        let origin = devices.origin_of(kind, event.detail, event.time);
        Ok(match origin {
            Some(Origin { is_injected, is_emulated }) => {
                Reported { is_injected: Some(is_injected), is_emulated, raw: None }
            }
            None => Reported::default(),
        })
    }

    /// Sends a smooth step, unless it is over an own window.
    fn scroll(&self, scrolled: &Scrolled, line: &Line<'_>) -> Result<(), X11Error> {
        let mapped = self.server_time.lock().map_or(0, |mut time| time.boot_nanos(scrolled.millis));
        let nanos = mapped.min(self.time.boot_nanos());
        let (x, y) = (scrolled.pointer.root_x, scrolled.pointer.root_y);
        if let Some(watcher) = &self.watcher
            && watcher.is_at(x, y, nanos)?
        {
            return Ok(());
        }
        line.send(InputEvent::Pointer(nanos, scroll_of(scrolled)));
        Ok(())
    }
}

/// Makes a recording context for all input, and for requests that change the keymap.
fn record_context(control: &RustConnection) -> Result<record::Context, X11Error> {
    control.record_query_version(1, 13)?.reply()?;
    let context = control.generate_id()?;
    let mapping = CHANGE_KEYBOARD_MAPPING_REQUEST;
    let range = record::Range {
        device_events: record::Range8 { first: KEY_PRESS_EVENT, last: MOTION_NOTIFY_EVENT },
        core_requests: record::Range8 { first: mapping, last: mapping },
        ext_requests: keymap_requests(control)?,
        ..record::Range::default()
    };
    control.record_create_context(context, 0, &[record::CS::ALL_CLIENTS.into()], &[range])?.check()?;
    Ok(context)
}

fn probe_window(control: &RustConnection, root: Window) -> Result<Window, X11Error> {
    let probe = control.generate_id()?;
    let attributes = CreateWindowAux::new().event_mask(EventMask::PROPERTY_CHANGE);
    control
        .create_window(0, probe, root, -1, -1, 1, 1, 0, WindowClass::INPUT_ONLY, 0, &attributes)?
        .check()?;
    Ok(probe)
}

fn held_keys(control: &RustConnection) -> Result<HashSet<u8>, X11Error> {
    let keys = control.query_keymap()?.reply()?.keys;
    Ok((0..=255u8).filter(|key| keys[usize::from(key / 8)] >> (key % 8) & 1 == 1).collect())
}

/// Keeps the set of held keys; says whether the event's key was held before it.
fn hold(event: &KeyPressEvent, held: &mut HashSet<u8>) -> bool {
    match event.response_type & 0x7f {
        KEY_PRESS_EVENT => !held.insert(event.detail),
        KEY_RELEASE_EVENT => held.remove(&event.detail),
        _ => false,
    }
}

impl InputSource for Input {
    fn backend(&self) -> Backend {
        let mut cannot = Vec::new();
        if self.devices.is_none() {
            let why = "smooth scrolling, raw motion, and which device an event comes from: the server lacks XInput 2.1";
            cannot.push(why.to_owned());
        }
        if self.cursor.is_none() {
            cannot.push("the shape of the pointer: the server lacks XFixes 2".into());
        }
        if self.clipboard.is_none() {
            cannot.push("what is copied: the server lacks XFixes".into());
        }
        if let Some(name) = &self.input_method {
            cannot.push(format!(
                "text that the input method {name} composes: its keys are recorded as they were pressed"
            ));
        }
        if !self.has_idle_time {
            cannot.push("proof that no input was missed: the server does not tell its idle time".into());
        }
        if self.watcher.is_some() {
            cannot.push("clicks on and keys into Praxis's own windows: they are left out".into());
        }
        if !self.own.hotkeys.is_empty() {
            cannot.push("Praxis's own hotkeys: they are left out".into());
        }
        let mut tracks = vec!["pointer".to_owned(), "keys".to_owned()];
        tracks.extend(self.cursor.as_ref().map(|_| "cursor".to_owned()));
        tracks.extend(self.clipboard.as_ref().map(|_| "clipboard".to_owned()));
        Backend { tracks, name: "x11".into(), cannot }
    }

    fn settings(&self) -> (Keyboard, PointerSettings) {
        (self.keyboard.clone(), self.pointer.clone())
    }

    fn run(&mut self, sink: &(dyn Fn(InputEvent) + Sync), stop: &Stop) -> Result<(), SourceError> {
        self.begun_nanos = self.time.boot_nanos();
        // The keymap is bound to the thread that uses it.
        let mut keymap = Keymap::open(self.display.as_deref())?;
        let mut held = std::mem::take(&mut self.held);
        let (mut cursor, mut clipboard) = (self.cursor.take(), self.clipboard.take());
        let line =
            Line { sink, newest_pointer_nanos: Mutex::default(), settled_millis: AtomicU32::default() };
        let line = &line;
        let (is_over, newest) = (AtomicBool::new(false), AtomicU64::new(0));
        let (to_control, started) = channel();
        let (this, over, newest) = (&*self, &is_over, &newest);
        let (recorded, controlled) = std::thread::scope(|scope| {
            let control = scope.spawn(move || this.control(line, stop, over, newest, started));
            if let Some(watcher) = &this.watcher {
                scope.spawn(
                    move || {
                        while !over.load(Ordering::SeqCst) && watcher.follow(STOP_LOOK).is_ok() {}
                    },
                );
            }
            // If the server is gone, the recording ends, too, and says so.
            if let Some(devices) = &this.devices {
                scope.spawn(move || {
                    let scrolled = |scrolled| this.scroll(&scrolled, line);
                    while !over.load(Ordering::SeqCst) && devices.follow(STOP_LOOK, &scrolled).is_ok() {}
                });
            }
            if let Some(cursor) = &mut cursor {
                scope.spawn(move || {
                    while !over.load(Ordering::SeqCst)
                        && let Ok(shape) = cursor.next(STOP_LOOK)
                    {
                        if let Some(shape) = shape {
                            sink(InputEvent::Cursor(this.time.boot_nanos(), shape));
                            // One that moves all the time is not told more often than pictures are taken.
                            std::thread::sleep(SHAPE_EVERY);
                        }
                    }
                    // The last one is told, however short the time since the one before.
                    if let Ok(Some(shape)) = cursor.next(Duration::ZERO) {
                        sink(InputEvent::Cursor(this.time.boot_nanos(), shape));
                    }
                });
            }
            if let Some(clipboard) = &mut clipboard {
                scope.spawn(move || {
                    while !over.load(Ordering::SeqCst)
                        && let Ok(copied) = clipboard.next(STOP_LOOK)
                    {
                        if let Some((nanos, copied)) = copied {
                            sink(InputEvent::Clipboard(nanos, copied));
                        }
                    }
                });
            }
            let recorded = this.record(line, stop, newest, &mut held, &mut keymap, &to_control);
            drop(to_control);
            over.store(true, Ordering::SeqCst);
            (recorded, control.join())
        });
        (self.held, self.cursor, self.clipboard) = (held, cursor, clipboard);
        recorded?;
        match controlled {
            Ok(controlled) => Ok(controlled?),
            Err(_) => Err(SourceError::Lost("the input thread failed".into())),
        }
    }
}
