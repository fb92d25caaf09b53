//! What input devices themselves report, by XInput2: raw motion, smooth scrolling, and from which device an event comes.
//!
//! RECORD tells of events as programs get them; what their devices said comes here, on a connection of its own. The server
//! writes both at the same moment, so a round trip ([`Devices::settle`]) is enough to have what belongs to an event.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use x11rb::connection::{Connection, RequestConnection};
use x11rb::protocol::Event;
use x11rb::protocol::xinput::{
    self, ConnectionExt as _, DeviceClassData, EventMask, Fp3232, PointerEventFlags, RawMotionEvent,
    ScrollType, ValuatorMode, XIEventMask,
};
use x11rb::protocol::xproto::{
    AtomEnum, BUTTON_PRESS_EVENT, BUTTON_RELEASE_EVENT, ConnectionExt as _, KEY_PRESS_EVENT,
    KEY_RELEASE_EVENT, QueryPointerReply, Window,
};
use x11rb::rust_connection::RustConnection;

use super::{X11Error, atom, connect, wait_readable};
use crate::sources::SourceError;

/// Events remembered until theirs by RECORD is there.
const MAX_RECENT: usize = 256;
/// The first XInput2 that names the device of a raw event, also while a program holds the pointer, and the axes that scroll.
const VERSION: (u16, u16) = (2, 1);

/// The input devices of an X server.
pub(super) struct Devices {
    connection: RustConnection,
    root: Window,
    /// Set on the devices of XTEST, through which programs type and click.
    xtest: u32,
    /// Answers and events are received under the lock only, and events are noted before it is given back. So nobody who waits
    /// for an event looks for one in vain, again and again, while somebody else waits for an answer.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    known: HashMap<u16, Device>,
    recent: VecDeque<Reported>,
    moved: Moved,
}

/// What is known of a device.
#[derive(Clone, Default)]
struct Device {
    is_injected: bool,
    /// Whether its first two axes report differences, as a mouse does and a tablet does not.
    is_relative: bool,
    wheels: Vec<Wheel>,
}

/// An axis that scrolls.
#[derive(Clone)]
struct Wheel {
    axis: u16,
    is_vertical: bool,
    /// This much is one step.
    step: f64,
}

/// A key or button event, as its device reported it.
struct Reported {
    kind: u8,
    detail: u32,
    millis: u32,
    origin: Origin,
}

/// Where an event comes from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Origin {
    /// From a program, through XTEST.
    pub(super) is_injected: bool,
    /// Made up by the server for programs that know no smooth scrolling.
    pub(super) is_emulated: bool,
}

/// What devices reported of motion since it was last taken.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Moved {
    /// The sum, in the device's units; `None` if no device told differences.
    pub(super) delta: Option<(f64, f64)>,
    /// The server's time of the last motion, and whether it came from a program.
    last: Option<(u32, bool)>,
}

impl Moved {
    /// Whether a move of that time came from a program; `None` if no device reported it.
    pub(super) fn is_injected(&self, millis: u32) -> Option<bool> {
        self.last.filter(|last| last.0 == millis).map(|last| last.1)
    }
}

/// A smooth step of a wheel or of two fingers.
pub(super) struct Scrolled {
    pub(super) millis: u32,
    /// Steps to the right.
    pub(super) dx: f64,
    /// Steps up.
    pub(super) dy: f64,
    pub(super) is_injected: bool,
    /// Where the pointer is, and what is held.
    pub(super) pointer: QueryPointerReply,
}

impl Devices {
    /// Opens a display; `None` if the server lacks XInput 2.1.
    pub(super) fn open(display: Option<&str>) -> Result<Option<Self>, SourceError> {
        let (connection, screen) = connect(display)?;
        let root = connection.setup().roots[screen].root;
        Ok(Self::set_up(connection, root)?)
    }

    fn set_up(connection: RustConnection, root: Window) -> Result<Option<Self>, X11Error> {
        if connection.extension_information(xinput::X11_EXTENSION_NAME)?.is_none() {
            return Ok(None);
        }
        match connection.xinput_xi_query_version(VERSION.0, VERSION.1)?.reply() {
            Ok(version) if (version.major_version, version.minor_version) >= VERSION => {}
            _ => return Ok(None),
        }
        let raw = XIEventMask::RAW_MOTION
            | XIEventMask::RAW_BUTTON_PRESS
            | XIEventMask::RAW_BUTTON_RELEASE
            | XIEventMask::RAW_KEY_PRESS
            | XIEventMask::RAW_KEY_RELEASE;
        let masks = [
            EventMask { deviceid: xinput::Device::ALL_MASTER.into(), mask: vec![raw] },
            EventMask {
                deviceid: xinput::Device::ALL.into(),
                mask: vec![XIEventMask::HIERARCHY | XIEventMask::DEVICE_CHANGED],
            },
        ];
        connection.xinput_xi_select_events(root, &masks)?.check()?;
        let xtest = atom(&connection, "XTEST Device")?;
        Ok(Some(Self { connection, root, xtest, state: Mutex::default() }))
    }

    /// Follows what happens until `timeout` is over, or for a moment; hands over what was scrolled.
    pub(super) fn follow(
        &self,
        timeout: Duration,
        scrolled: &dyn Fn(Scrolled) -> Result<(), X11Error>,
    ) -> Result<(), X11Error> {
        wait_readable(&self.connection, timeout)?;
        self.note_events(&mut self.lock(), scrolled)
    }

    /// Has everything noted that devices have reported so far.
    pub(super) fn settle(&self, scrolled: &dyn Fn(Scrolled) -> Result<(), X11Error>) -> Result<(), X11Error> {
        let mut state = self.lock();
        self.connection.get_input_focus()?.reply()?;
        self.note_events(&mut state, scrolled)
    }

    /// Where a key or button event of the core protocol comes from, by its kind, key or button, and time.
    pub(super) fn origin_of(&self, kind: u8, detail: u8, millis: u32) -> Option<Origin> {
        let mut state = self.lock();
        let is_it =
            |each: &Reported| each.kind == kind && each.detail == u32::from(detail) && each.millis == millis;
        let at = state.recent.iter().position(is_it)?;
        state.recent.remove(at).map(|reported| reported.origin)
    }

    /// What was reported of motion since the last call.
    pub(super) fn take_moved(&self) -> Moved {
        let mut state = self.lock();
        let last = state.moved.last;
        std::mem::replace(&mut state.moved, Moved { delta: None, last })
    }

    /// Whether a move of that time was noted.
    pub(super) fn has_move(&self, millis: u32) -> bool {
        self.lock().moved.is_injected(millis).is_some()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note_events(
        &self,
        state: &mut State,
        scrolled: &dyn Fn(Scrolled) -> Result<(), X11Error>,
    ) -> Result<(), X11Error> {
        while let Some(event) = self.connection.poll_for_event()? {
            match event {
                Event::XinputRawMotion(event) => self.note_motion(state, &event, scrolled)?,
                Event::XinputRawKeyPress(event) => {
                    self.note(state, KEY_PRESS_EVENT, event.detail, event.time, event.sourceid, false)?;
                }
                Event::XinputRawKeyRelease(event) => {
                    self.note(state, KEY_RELEASE_EVENT, event.detail, event.time, event.sourceid, false)?;
                }
                Event::XinputRawButtonPress(event) => {
                    let is_emulated = event.flags.contains(PointerEventFlags::POINTER_EMULATED);
                    let (detail, millis, source) = (event.detail, event.time, event.sourceid);
                    self.note(state, BUTTON_PRESS_EVENT, detail, millis, source, is_emulated)?;
                }
                Event::XinputRawButtonRelease(event) => {
                    let is_emulated = event.flags.contains(PointerEventFlags::POINTER_EMULATED);
                    let (detail, millis, source) = (event.detail, event.time, event.sourceid);
                    self.note(state, BUTTON_RELEASE_EVENT, detail, millis, source, is_emulated)?;
                }
                Event::XinputHierarchy(_) | Event::XinputDeviceChanged(_) => state.known.clear(),
                _ => {}
            }
        }
        Ok(())
    }

    fn note(
        &self,
        state: &mut State,
        kind: u8,
        detail: u32,
        millis: u32,
        source: u16,
        is_emulated: bool,
    ) -> Result<(), X11Error> {
        let is_injected = self.device(state, source)?.is_injected;
        if state.recent.len() == MAX_RECENT {
            state.recent.pop_front();
        }
        let origin = Origin { is_injected, is_emulated };
        state.recent.push_back(Reported { kind, detail, millis, origin });
        Ok(())
    }

    fn note_motion(
        &self,
        state: &mut State,
        event: &RawMotionEvent,
        scrolled: &dyn Fn(Scrolled) -> Result<(), X11Error>,
    ) -> Result<(), X11Error> {
        let device = self.device(state, event.sourceid)?;
        let axes = axes_of(event);
        let value = |axis: u16| axes.iter().find(|(each, _)| *each == axis).map(|(_, value)| *value);
        if value(0).is_some() || value(1).is_some() {
            state.moved.last = Some((event.time, device.is_injected));
            // A program may have put the pointer somewhere: then these are no differences.
            if device.is_relative && !device.is_injected {
                let (x, y) = state.moved.delta.unwrap_or_default();
                state.moved.delta =
                    Some((x + value(0).unwrap_or_default(), y + value(1).unwrap_or_default()));
            }
        }
        let steps = |is_vertical: bool| -> f64 {
            let wheels = device.wheels.iter().filter(|wheel| wheel.is_vertical == is_vertical);
            wheels.filter_map(|wheel| Some(value(wheel.axis)? / wheel.step)).sum()
        };
        // The server counts down as positive.
        let (dx, dy) = (steps(false), -steps(true));
        if dx != 0.0 || dy != 0.0 {
            let pointer = self.connection.query_pointer(self.root)?.reply()?;
            let (millis, is_injected) = (event.time, device.is_injected);
            scrolled(Scrolled { millis, dx, dy: dy + 0.0, is_injected, pointer })?;
        }
        Ok(())
    }

    fn device(&self, state: &mut State, id: u16) -> Result<Device, X11Error> {
        if let Some(device) = state.known.get(&id) {
            return Ok(device.clone());
        }
        let device = self.ask(id)?;
        state.known.insert(id, device.clone());
        Ok(device)
    }

    fn ask(&self, id: u16) -> Result<Device, X11Error> {
        let property =
            self.connection.xinput_xi_get_property(id, false, self.xtest, AtomEnum::ANY.into(), 0, 1)?;
        let described = self.connection.xinput_xi_query_device(id)?;
        // It may have been unplugged meanwhile: then nothing is known of it.
        let is_injected = property.reply().is_ok_and(|reply| reply.num_items > 0);
        let infos = described.reply().map(|reply| reply.infos).unwrap_or_default();
        let mut device = Device { is_injected, ..Device::default() };
        for class in infos.into_iter().flat_map(|info| info.classes) {
            match class.data {
                DeviceClassData::Valuator(axis) if axis.number == 0 => {
                    device.is_relative = axis.mode == ValuatorMode::RELATIVE;
                }
                DeviceClassData::Scroll(scroll) if number(scroll.increment) != 0.0 => {
                    device.wheels.push(Wheel {
                        axis: scroll.number,
                        is_vertical: scroll.scroll_type == ScrollType::VERTICAL,
                        step: number(scroll.increment),
                    });
                }
                _ => {}
            }
        }
        Ok(device)
    }
}

/// The axes that an event tells of, with what the device itself said.
fn axes_of(event: &RawMotionEvent) -> Vec<(u16, f64)> {
    let is_set = |axis: &u16| {
        let (word, bit) = (usize::from(axis / 32), axis % 32);
        event.valuator_mask.get(word).is_some_and(|mask| mask >> bit & 1 == 1)
    };
    let axes = (0..event.valuator_mask.len() as u16 * 32).filter(is_set);
    axes.zip(event.axisvalues_raw.iter().copied().map(number)).collect()
}

fn number(value: Fp3232) -> f64 {
    f64::from(value.integral) + f64::from(value.frac) / 4_294_967_296.0
}
