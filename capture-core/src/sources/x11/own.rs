//! Which windows of an X display are this process's own, and where they are, at every moment.
//!
//! Nothing is asked at a picture: the server tells every change of the root's children, in order, and each event says
//! after which of our requests it happened. So where everything was when a picture was taken is known exactly, also when
//! windows move, appear or close at that moment. Only a new window costs a round trip: whose it is (X-Resource).
//!
//! A window is ours if its client has our process id as the server knows it. Toolkits use several connections, and
//! window managers put windows into frames: a frame belongs to whose window is in it.
//!
//! What was ours stays covered for [`LINGER_NANOS`]: a compositing manager or the program below repaints later than the
//! server moves windows.

use praxis_bundle::messages::Rect;
use x11rb::connection::{Connection, RequestConnection};
use x11rb::errors::ReplyError;
use x11rb::protocol::Event;
use x11rb::protocol::res::{self, ClientIdMask, ClientIdSpec, ConnectionExt as _};
use x11rb::protocol::xproto::{
    Atom, ChangeWindowAttributesAux, ConnectionExt as _, EventMask, GetGeometryReply, MapState, NotifyDetail,
    NotifyMode, Window, WindowClass,
};
use x11rb::rust_connection::RustConnection;

use super::{X11Error, atom, property};
use crate::sources::SourceError;
use crate::sources::own::outermost;

/// How long a place stays covered after an own window has left it.
pub(super) const LINGER_NANOS: u64 = 500_000_000;
/// How long it is remembered that an own window was at a place: input is told late.
const REMEMBER_NANOS: u64 = 5_000_000_000;
/// Moves so close together count as one.
const TOGETHER_NANOS: u64 = 100_000_000;
/// Own windows are looked for so deep inside frames.
const DEPTH: usize = 4;

/// A child of the root: a window, a frame, a menu.
struct Top {
    window: Window,
    /// With its border.
    rect: Rect,
    is_mapped: bool,
    /// It has no pixels, but takes clicks.
    is_input_only: bool,
    /// `None`: new, and not asked yet.
    is_ours: Option<bool>,
}

/// A window that was put into a frame.
struct Inner {
    window: Window,
    parent: Window,
    /// The frame; `None`: not asked yet.
    top: Option<Window>,
    is_ours: Option<bool>,
}

/// A place that was ours, or perhaps, and is no more.
struct Left {
    top: Window,
    rect: Rect,
    first_nanos: u64,
    last_nanos: u64,
    is_sure: bool,
}

/// The own windows on a display.
pub(super) struct OwnWindows {
    root: Window,
    /// Our process id, as the server knows it.
    pid: u32,
    net_wm_state: Atom,
    net_wm_state_hidden: Atom,
    tops: Vec<Top>,
    inners: Vec<Inner>,
    /// Own windows that the window manager says are minimised; some leave them mapped.
    hidden: Vec<Window>,
    /// Own windows whose state has to be asked.
    unread: Vec<Window>,
    left: Vec<Left>,
    got_focus_nanos: u64,
    lost_focus_nanos: u64,
}

impl OwnWindows {
    /// Finds the own windows on the display; from then on events of this connection have to be noted.
    ///
    /// # Errors
    /// `Unavailable` if the server does not tell whose windows are whose.
    pub(super) fn open(connection: &RustConnection, root: Window) -> Result<Self, SourceError> {
        let has_res = connection.extension_information(res::X11_EXTENSION_NAME).map_err(X11Error::from)?;
        let pid = match has_res {
            Some(_) => own_pid(connection)?,
            None => None,
        };
        let pid = pid.ok_or_else(|| {
            SourceError::Unavailable(
                "the X server does not tell which windows are Praxis's own (it lacks the X-Resource extension 1.2, or is on another machine), so they cannot be kept out of the recording: use a local X.Org server, or `praxis record` in a terminal"
                    .into(),
            )
        })?;
        Ok(Self::find(connection, root, pid)?)
    }

    fn find(connection: &RustConnection, root: Window, pid: u32) -> Result<Self, X11Error> {
        watch(connection, root, EventMask::SUBSTRUCTURE_NOTIFY)?;
        let mut own = Self {
            root,
            pid,
            net_wm_state: atom(connection, "_NET_WM_STATE")?,
            net_wm_state_hidden: atom(connection, "_NET_WM_STATE_HIDDEN")?,
            tops: Vec::new(),
            inners: Vec::new(),
            hidden: Vec::new(),
            unread: Vec::new(),
            left: Vec::new(),
            got_focus_nanos: 0,
            lost_focus_nanos: 0,
        };
        // What changes from here on is told by events; one that is older than an answer does no harm, for a newer one follows.
        let children = connection.query_tree(root)?.reply()?.children;
        let bases = own_bases(connection, pid)?;
        let base = |window: Window| window & !connection.setup().resource_id_mask;
        for (window, geometry, class, is_mapped) in describe(connection, &children)? {
            let is_ours = Some(bases.contains(&base(window)));
            let is_input_only = class == WindowClass::INPUT_ONLY;
            own.tops.push(Top { window, rect: rect_of(&geometry), is_mapped, is_input_only, is_ours });
        }
        let is_foreign = |top: &&Top| top.is_ours == Some(false);
        let mut level: Vec<(Window, Window)> =
            own.tops.iter().filter(is_foreign).map(|top| (top.window, top.window)).collect();
        for _ in 0..DEPTH {
            let asked: Result<Vec<_>, _> = level
                .iter()
                .map(|(top, window)| Ok((*top, *window, connection.query_tree(*window)?)))
                .collect();
            level.clear();
            for (top, parent, cookie) in asked.map_err(|error: x11rb::errors::ConnectionError| error)? {
                let children = there(cookie.reply())?.map(|tree| tree.children).unwrap_or_default();
                for window in children {
                    if bases.contains(&base(window)) {
                        own.inners.push(Inner { window, parent, top: Some(top), is_ours: Some(true) });
                    } else {
                        level.push((top, window));
                    }
                }
            }
        }
        let ours: Vec<Window> = own.ours().collect();
        ours.into_iter().try_for_each(|window| own.watch_ours(connection, window))?;
        own.settle(connection, 0)?;
        Ok(own)
    }

    fn ours(&self) -> impl Iterator<Item = Window> {
        let tops = self.tops.iter().filter(|top| top.is_ours == Some(true)).map(|top| top.window);
        let inners = self.inners.iter().filter(|inner| inner.is_ours == Some(true)).map(|inner| inner.window);
        tops.chain(inners)
    }

    /// Asks for the events of an own window, wherever it is put.
    fn watch_ours(&mut self, connection: &RustConnection, window: Window) -> Result<(), X11Error> {
        let events = EventMask::STRUCTURE_NOTIFY | EventMask::PROPERTY_CHANGE | EventMask::FOCUS_CHANGE;
        watch(connection, window, events)?;
        self.unread.push(window);
        Ok(())
    }

    /// Takes an event that was received at `now` (boot clock). They have to come in their order, and all.
    pub(super) fn note(&mut self, event: &Event, now_nanos: u64) {
        // Programs send events, too, as messages to each other.
        if event.sent_event() {
            return;
        }
        match event {
            Event::FocusIn(notice) if is_focus(notice.mode, notice.detail) => {
                self.got_focus_nanos = now_nanos;
            }
            Event::FocusOut(notice) if is_focus(notice.mode, notice.detail) => {
                self.lost_focus_nanos = now_nanos;
            }
            Event::PropertyNotify(notice) if notice.atom == self.net_wm_state => {
                self.unread.push(notice.window);
            }
            Event::CreateNotify(_)
            | Event::DestroyNotify(_)
            | Event::MapNotify(_)
            | Event::UnmapNotify(_)
            | Event::ReparentNotify(_)
            | Event::ConfigureNotify(_)
            | Event::GravityNotify(_) => {
                let before = self.visible();
                self.follow(event);
                self.remember(before, now_nanos);
            }
            _ => {}
        }
    }

    /// Follows a change of the root's children.
    fn follow(&mut self, event: &Event) {
        let root = self.root;
        match event {
            Event::CreateNotify(notice) if notice.parent == root && self.top(notice.window).is_none() => {
                let border = notice.border_width;
                let rect = rect(notice.x, notice.y, notice.width, notice.height, border);
                self.tops.push(Top::new(notice.window, rect));
            }
            Event::DestroyNotify(notice) => self.forget(notice.window),
            Event::MapNotify(notice) if notice.event == root => self.set_mapped(notice.window, true),
            Event::UnmapNotify(notice) if notice.event == root => self.set_mapped(notice.window, false),
            Event::ReparentNotify(notice) => self.reparent(notice.window, notice.parent),
            Event::ConfigureNotify(notice) if notice.event == root => {
                let border = notice.border_width;
                if let Some(top) = self.top(notice.window) {
                    top.rect = rect(notice.x, notice.y, notice.width, notice.height, border);
                }
            }
            Event::GravityNotify(notice) if notice.event == root => {
                if let Some(top) = self.top(notice.window) {
                    (top.rect.x_px, top.rect.y_px) = (notice.x.into(), notice.y.into());
                }
            }
            _ => {}
        }
    }

    fn top(&mut self, window: Window) -> Option<&mut Top> {
        self.tops.iter_mut().find(|top| top.window == window)
    }

    fn set_mapped(&mut self, window: Window, is_mapped: bool) {
        if let Some(top) = self.top(window) {
            top.is_mapped = is_mapped;
        }
    }

    fn forget(&mut self, window: Window) {
        self.tops.retain(|top| top.window != window);
        self.inners.retain(|inner| inner.window != window && inner.top != Some(window));
        self.hidden.retain(|hidden| *hidden != window);
    }

    /// A window went into a frame, out of it, or into another one.
    fn reparent(&mut self, window: Window, parent: Window) {
        let (root, known) = (self.root, self.inners.iter().position(|inner| inner.window == window));
        let inner = known.map(|at| self.inners.swap_remove(at));
        if parent == root {
            if self.top(window).is_none() {
                // Its place is told or asked next; until then it is where its frame was.
                let frame = inner.as_ref().and_then(|inner| self.top(inner.top?)).map(|frame| frame.rect);
                let nowhere = Rect { x_px: 0, y_px: 0, width_px: 0, height_px: 0 };
                self.tops.push(Top::new(window, frame.unwrap_or(nowhere)));
            }
            return;
        }
        let at = self.tops.iter().position(|top| top.window == window);
        let is_ours = at.map(|at| self.tops.remove(at).is_ours).or(inner.map(|inner| inner.is_ours));
        let is_ours = is_ours.unwrap_or_default();
        if is_ours != Some(false) {
            let top = self.top(parent).map(|top| top.window);
            self.inners.push(Inner { window, parent, top, is_ours });
        }
    }

    /// Whether a child of the root is ours, or holds a window of ours; `None` if that is not known yet.
    fn belongs(&self, top: &Top) -> Option<bool> {
        let inside = self.inners.iter().filter(|inner| inner.top == Some(top.window));
        let parts = inside.map(|inner| inner.is_ours).chain([top.is_ours]);
        parts.reduce(|a, b| match (a, b) {
            (Some(true), _) | (_, Some(true)) => Some(true),
            (None, _) | (_, None) => None,
            _ => Some(false),
        })?
    }

    fn is_minimised(&self, top: &Top) -> bool {
        let inside = self.inners.iter().filter(|inner| inner.top == Some(top.window));
        let mut ours = inside
            .filter(|inner| inner.is_ours == Some(true))
            .map(|inner| inner.window)
            .chain((top.is_ours == Some(true)).then_some(top.window))
            .peekable();
        ours.peek().is_some() && ours.all(|window| self.hidden.contains(&window))
    }

    /// What of the screen is, or may be, ours now: the window, its place, and whether it is known to be ours.
    fn visible(&self) -> Vec<(Window, Rect, bool)> {
        let shown = self.tops.iter().filter(|top| top.is_mapped && !top.is_input_only);
        shown
            .filter_map(|top| match self.belongs(top) {
                Some(false) => None,
                _ if self.is_minimised(top) => None,
                known => Some((top.window, top.rect, known.is_some())),
            })
            .collect()
    }

    /// Notes what was visible before and is no more.
    fn remember(&mut self, before: Vec<(Window, Rect, bool)>, now_nanos: u64) {
        if before.is_empty() {
            return;
        }
        self.left.retain(|left| left.last_nanos + REMEMBER_NANOS > now_nanos);
        let after = self.visible();
        for (top, rect, is_sure) in before {
            if after.iter().any(|(window, place, _)| *window == top && *place == rect) {
                continue;
            }
            let is_same_move = |left: &&mut Left| {
                left.top == top
                    && left.is_sure == is_sure
                    && left.first_nanos + TOGETHER_NANOS > now_nanos
                    && !left.rect.clip(rect).is_empty()
            };
            match self.left.iter_mut().find(is_same_move) {
                Some(left) => (left.rect, left.last_nanos) = (left.rect.around(rect), now_nanos),
                None => {
                    let (first_nanos, last_nanos) = (now_nanos, now_nanos);
                    self.left.push(Left { top, rect, first_nanos, last_nanos, is_sure });
                }
            }
        }
    }

    /// Asks what events do not tell: whose new windows are, in which frames they are, whether they are minimised.
    pub(super) fn settle(&mut self, connection: &RustConnection, now_nanos: u64) -> Result<(), X11Error> {
        self.settle_frames(connection)?;
        self.settle_owners(connection)?;
        let unread = std::mem::take(&mut self.unread);
        if !unread.is_empty() {
            let before = self.visible();
            for window in unread {
                let state = property(connection, window, self.net_wm_state)?;
                let mut states = state.iter().filter_map(|reply| reply.value32()).flatten();
                let is_hidden = states.any(|state| state == self.net_wm_state_hidden);
                self.hidden.retain(|hidden| *hidden != window);
                self.hidden.extend(is_hidden.then_some(window));
            }
            self.remember(before, now_nanos);
        }
        Ok(())
    }

    /// Frames that are deeper than one window.
    fn settle_frames(&mut self, connection: &RustConnection) -> Result<(), X11Error> {
        for at in (0..self.inners.len()).rev() {
            if self.inners[at].top.is_none() {
                match outermost_around(connection, self.root, self.inners[at].parent)? {
                    Some(top) => self.inners[at].top = Some(top),
                    None => drop(self.inners.swap_remove(at)),
                }
            }
        }
        Ok(())
    }

    fn settle_owners(&mut self, connection: &RustConnection) -> Result<(), X11Error> {
        let tops = self.tops.iter().filter(|top| top.is_ours.is_none()).map(|top| top.window);
        let inners = self.inners.iter().filter(|inner| inner.is_ours.is_none()).map(|inner| inner.window);
        let left = self.left.iter().filter(|left| !left.is_sure).map(|left| left.top);
        let mut unknown: Vec<Window> = tops.chain(inners).chain(left).collect();
        unknown.sort_unstable();
        unknown.dedup();
        if unknown.is_empty() {
            return Ok(());
        }
        let asked: Result<Vec<_>, _> = unknown.iter().map(|window| pid_of(connection, *window)).collect();
        let described = describe(connection, &unknown)?;
        for (window, cookie) in unknown.into_iter().zip(asked?) {
            let pids = there(cookie.reply())?.map(|reply| reply.ids).unwrap_or_default();
            // Whose client is gone cannot be asked any more: it stays covered for as long as it is there.
            let is_ours = pids.is_empty() || pid_in(&pids) == Some(self.pid);
            let found = described.iter().find(|(found, ..)| *found == window);
            if let Some(top) = self.top(window) {
                top.is_ours = Some(is_ours);
                top.is_input_only = found.is_some_and(|(_, _, class, _)| *class == WindowClass::INPUT_ONLY);
                if let Some((_, geometry, ..)) = found.filter(|_| top.rect.is_empty()) {
                    top.rect = rect_of(geometry);
                }
            }
            for inner in self.inners.iter_mut().filter(|inner| inner.window == window) {
                inner.is_ours = Some(is_ours);
            }
            for left in self.left.iter_mut().filter(|left| left.top == window && !left.is_sure) {
                left.is_sure = is_ours;
            }
            if is_ours {
                self.watch_ours(connection, window)?;
            }
        }
        self.inners.retain(|inner| inner.is_ours == Some(true));
        // A frame was perhaps ours only because of what was put into it.
        let owners: Vec<Window> =
            self.tops.iter().filter(|top| self.belongs(top) == Some(true)).map(|top| top.window).collect();
        self.left.retain_mut(|left| {
            left.is_sure |= owners.contains(&left.top);
            left.is_sure
        });
        Ok(())
    }

    /// What is covered at this moment; after [`Self::settle`].
    pub(super) fn masks(&self, now_nanos: u64) -> Vec<Rect> {
        let lingering = self.left.iter().filter(|left| left.last_nanos + LINGER_NANOS > now_nanos);
        let visible = self.visible().into_iter().map(|(_, rect, _)| rect);
        outermost(visible.chain(lingering.map(|left| left.rect)).collect())
    }

    /// When the next place is no longer covered, if nothing happens.
    pub(super) fn next_uncovered_nanos(&self, now_nanos: u64) -> Option<u64> {
        let ends = self.left.iter().map(|left| left.last_nanos + LINGER_NANOS);
        ends.filter(|end| *end > now_nanos).min()
    }

    /// Whether this child of the root is ours or holds a window of ours.
    pub(super) fn has(&self, window: Window) -> bool {
        self.tops.iter().any(|top| top.window == window && self.belongs(top) == Some(true))
    }

    /// Whether an own window left this place at that time or later.
    pub(super) fn left_since(&self, x_px: i32, y_px: i32, nanos: u64) -> bool {
        self.left.iter().any(|left| left.last_nanos >= nanos && left.rect.contains(x_px, y_px))
    }

    /// When an own window got the focus, and when one lost it last.
    pub(super) fn focus_nanos(&self) -> (u64, u64) {
        (self.got_focus_nanos, self.lost_focus_nanos)
    }
}

impl Top {
    fn new(window: Window, rect: Rect) -> Self {
        Self { window, rect, is_mapped: false, is_input_only: false, is_ours: None }
    }
}

/// Whether the focus really moved to or from the window or what is in it.
fn is_focus(mode: NotifyMode, detail: NotifyDetail) -> bool {
    let is_real = mode == NotifyMode::NORMAL || mode == NotifyMode::WHILE_GRABBED;
    is_real && detail != NotifyDetail::INFERIOR && detail != NotifyDetail::POINTER
}

fn rect(x: i16, y: i16, width: u16, height: u16, border: u16) -> Rect {
    let (width_px, height_px) =
        (u32::from(width) + 2 * u32::from(border), u32::from(height) + 2 * u32::from(border));
    Rect { x_px: x.into(), y_px: y.into(), width_px, height_px }
}

fn rect_of(geometry: &GetGeometryReply) -> Rect {
    rect(geometry.x, geometry.y, geometry.width, geometry.height, geometry.border_width)
}

/// The answer; `None` if what was asked about is gone.
pub(super) fn there<T>(reply: Result<T, ReplyError>) -> Result<Option<T>, X11Error> {
    match reply {
        Ok(reply) => Ok(Some(reply)),
        Err(ReplyError::X11Error(_)) => Ok(None),
        Err(ReplyError::ConnectionError(error)) => Err(error.into()),
    }
}

/// Asks for a window's events; what goes wrong is told as an event, and means that it is gone.
fn watch(connection: &RustConnection, window: Window, events: EventMask) -> Result<(), X11Error> {
    let attributes = ChangeWindowAttributesAux::new().event_mask(events);
    connection.change_window_attributes(window, &attributes)?.ignore_error();
    Ok(())
}

/// Place, class and whether they are mapped, of those windows that are there.
fn describe(
    connection: &RustConnection,
    windows: &[Window],
) -> Result<Vec<(Window, GetGeometryReply, WindowClass, bool)>, X11Error> {
    let mut asked = Vec::new();
    for window in windows {
        let geometry = connection.get_geometry(*window)?;
        asked.push((*window, geometry, connection.get_window_attributes(*window)?));
    }
    let mut found = Vec::new();
    for (window, geometry, attributes) in asked {
        let (geometry, attributes) = (there(geometry.reply())?, there(attributes.reply())?);
        if let (Some(geometry), Some(attributes)) = (geometry, attributes) {
            found.push((window, geometry, attributes.class, attributes.map_state != MapState::UNMAPPED));
        }
    }
    Ok(found)
}

/// The child of the root that a window is in, or is; `None` if the window is gone.
pub(super) fn outermost_around(
    connection: &RustConnection,
    root: Window,
    window: Window,
) -> Result<Option<Window>, X11Error> {
    let mut outermost = window;
    loop {
        match there(connection.query_tree(outermost)?.reply())? {
            Some(tree) if tree.parent == root => return Ok(Some(outermost)),
            Some(tree) if tree.parent == x11rb::NONE => return Ok(None),
            Some(tree) => outermost = tree.parent,
            None => return Ok(None),
        }
    }
}

pub(super) type PidCookie<'a> = x11rb::cookie::Cookie<'a, RustConnection, res::QueryClientIdsReply>;

/// Asks for the process id of the client that made a window; of all clients with `NONE`.
pub(super) fn pid_of(connection: &RustConnection, window: Window) -> Result<PidCookie<'_>, X11Error> {
    // The client's id is answered as long as there is a client; its process only if it is on this machine.
    let mask = ClientIdMask::CLIENT_XID | ClientIdMask::LOCAL_CLIENT_PID;
    let spec = ClientIdSpec { client: window, mask };
    Ok(connection.res_query_client_ids(&[spec])?)
}

/// Our process id as the server knows it, which in a container is another than we know.
fn own_pid(connection: &RustConnection) -> Result<Option<u32>, X11Error> {
    let version = connection.res_query_version(1, 2)?.reply()?;
    if (version.server_major, version.server_minor) < (1, 2) {
        return Ok(None);
    }
    let ids = pid_of(connection, connection.setup().resource_id_base)?.reply()?.ids;
    Ok(pid_in(&ids).filter(|pid| *pid != 0))
}

pub(super) fn pid_in(ids: &[res::ClientIdValue]) -> Option<u32> {
    ids.iter().find_map(|id| id.value.first().copied())
}

/// Where the ids of our connections begin.
fn own_bases(connection: &RustConnection, pid: u32) -> Result<Vec<u32>, X11Error> {
    let mask = connection.setup().resource_id_mask;
    let ids = pid_of(connection, x11rb::NONE)?.reply()?.ids;
    let ours = ids.iter().filter(|id| id.value.first() == Some(&pid));
    Ok(ours.map(|id| id.spec.client & !mask).collect())
}
