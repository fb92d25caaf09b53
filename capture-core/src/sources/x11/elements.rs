//! What is at a place, as programs tell assistive technology through AT-SPI: a button and its name, a field and its text.
//!
//! The X server says whose window is there, the accessibility bus which of its clients that process is. From its window the
//! search goes down, each step a question to the program itself, which may be slow or hang: it is given up when the caller
//! says so. Where programs contradict themselves or the X server, nothing is told: no element is better than a wrong one.

use std::collections::HashMap;
use std::time::Duration;

use atspi::proxy::accessible::AccessibleProxy;
use atspi::proxy::application::ApplicationProxy;
use atspi::proxy::bus::BusProxy;
use atspi::proxy::component::ComponentProxy;
use atspi::proxy::text::TextProxy;
use atspi::proxy::value::ValueProxy;
use atspi::{CoordType, Interface, ObjectRefOwned, RelationType, Role, State};
use futures_util::{StreamExt as _, stream};
use praxis_bundle::manifest::Backend;
use praxis_bundle::messages::{Element, ElementAbsence, Rect};
use x11rb::connection::{Connection as _, RequestConnection as _};
use x11rb::protocol::res;
use x11rb::protocol::xproto::{AtomEnum, ConnectionExt as _, Window};
use x11rb::rust_connection::RustConnection;
use zbus::Connection;
use zbus::connection::Builder;
use zbus::fdo::DBusProxy;
use zbus::proxy::{CacheProperties, Defaults, ProxyImpl};

use super::own::{pid_in, pid_of};
use super::{X11Error, connect};
use crate::sources::{ElementSource, SourceError};

/// Longest to wait for the accessibility bus.
const OPEN_WITHIN: Duration = Duration::from_secs(1);
const ANSWER_WITHIN: Duration = Duration::from_secs(1);
/// How often the caller is asked whether to go on.
const LOOK: Duration = Duration::from_millis(1);
/// So many questions wait at a program at once. A program paints nothing, GTK at least, while one waits.
const QUESTIONS: usize = 2;
/// Deepest that is gone down, and most children of one parent that are asked where they are.
const MAX_DEPTH: usize = 60;
const MAX_CHILDREN: usize = 200;
/// Programs and the X server agree on the size of a window to so many pixels.
const MAX_SIZE_ERROR_PX: u32 = 4;
/// A menu bar is no deeper in its window than this.
const MAX_DEPTH_OF_BAR: usize = 3;
/// Longest name and value that are told, in characters.
const MAX_NAME: usize = 500;
const MAX_VALUE: i32 = 200;
/// What cannot be told, for the manifest.
const NOT_TOLD: &str = "elements of programs that do not speak AT-SPI, of GTK 4, and of those that are scaled; what was there before the press";
const ROOT: &str = "/org/a11y/atspi/accessible/root";
const REGISTRY: &str = "org.a11y.atspi.Registry";

/// The elements of programs on an X server that speak AT-SPI.
pub struct Elements {
    runtime: tokio::runtime::Runtime,
    display: RustConnection,
    root: u32,
    bus: Result<Bus, String>,
}

/// A window on the screen.
struct Shown {
    pid: u32,
    /// With its frame.
    rect: Rect,
    /// Width and height that its program may say it has: with the frame, without, and without its own shadow.
    sizes: [(u32, u32); 3],
    /// Whether it is a menu or another window that the program placed by itself.
    is_menu: bool,
}

impl Shown {
    /// Whether a program says of one of its windows that it is this. Who counts in other pixels than the X server does not.
    fn is_like(&self, said: Rect) -> bool {
        let is_near = |one: u32, other: u32| one.abs_diff(other) <= MAX_SIZE_ERROR_PX;
        let is_size = |size: &(u32, u32)| is_near(size.0, said.width_px) && is_near(size.1, said.height_px);
        is_within(said, self.rect) && self.sizes.iter().any(is_size)
    }
}

/// What a program is made with, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Toolkit {
    Gtk,
    /// It does not know where its windows are.
    Gtk4,
    Other,
}

/// The accessibility bus.
struct Bus {
    connection: Connection,
    /// The process of each of its clients.
    pids: HashMap<String, u32>,
}

impl Elements {
    /// Opens a display, by default the one that DISPLAY names, and looks for the accessibility bus of the session.
    ///
    /// # Errors
    /// `Unavailable` if the display cannot be reached. Without the bus it opens, and says that it has no elements.
    pub fn open(display: Option<&str>) -> Result<Self, SourceError> {
        let (display, screen) = connect(display)?;
        let root = display.setup().roots[screen].root;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| SourceError::Unavailable(format!("no thread for elements: {error}")))?;
        let bus = runtime.block_on(async {
            match tokio::time::timeout(OPEN_WITHIN, Bus::open()).await {
                Ok(Ok(bus)) => Ok(bus),
                Ok(Err(error)) => {
                    // The person's folders may be in it: it is not for the manifest.
                    tracing::debug!(%error, "no accessibility bus");
                    Err("there is no accessibility bus (package at-spi2-core, found by DBUS_SESSION_BUS_ADDRESS)".to_owned())
                }
                Err(_) => Err("the accessibility bus does not answer".into()),
            }
        });
        let has_pids =
            display.extension_information(res::X11_EXTENSION_NAME).map_err(X11Error::from)?.is_some();
        let bus = if has_pids { bus } else { Err("the X server lacks X-Resource".into()) };
        Ok(Self { runtime, display, root, bus })
    }

    /// The window of a program at a place. If it is known which window was pressed there, it must be that one: what was
    /// beneath a window that has closed is something else.
    fn window_at(&self, x_px: i32, y_px: i32, pressed: Option<u64>) -> Result<Option<Shown>, X11Error> {
        let (Ok(x), Ok(y)) = (i16::try_from(x_px), i16::try_from(y_px)) else { return Ok(None) };
        // Frames are the window manager's: the innermost window is the program's.
        let mut windows = vec![self.root];
        loop {
            let within = windows[windows.len() - 1];
            let child = self.display.translate_coordinates(self.root, within, x, y)?.reply()?.child;
            if child == x11rb::NONE {
                break;
            }
            windows.push(child);
        }
        let [_, top, ..] = windows[..] else { return Ok(None) };
        if pressed.is_some_and(|pressed| !windows.iter().any(|window| u64::from(*window) == pressed)) {
            return Ok(None);
        }
        let pid_of =
            |window| -> Result<_, X11Error> { Ok(pid_in(&pid_of(&self.display, window)?.reply()?.ids)) };
        let Some(pid) = pid_of(windows[windows.len() - 1])? else { return Ok(None) };
        let mut own = top;
        for window in &windows[1..] {
            own = *window;
            if pid_of(own)? == Some(pid) {
                break;
            }
        }
        let is_unmanaged = self.display.get_window_attributes(top)?.reply()?.override_redirect;
        let (rect, client) = (self.rect_of(top)?, self.rect_of(own)?);
        let [across, down] = self.shadow_of(own)?;
        let (width, height) = (client.width_px, client.height_px);
        let without = (width.saturating_sub(across), height.saturating_sub(down));
        let sizes = [(rect.width_px, rect.height_px), (width, height), without];
        Ok(Some(Shown { pid, rect, sizes, is_menu: is_unmanaged && own == top }))
    }

    fn rect_of(&self, window: Window) -> Result<Rect, X11Error> {
        let place = self.display.get_geometry(window)?.reply()?;
        let length = |length: u16| u32::from(length) + 2 * u32::from(place.border_width);
        let (width_px, height_px) = (length(place.width), length(place.height));
        Ok(Rect { x_px: place.x.into(), y_px: place.y.into(), width_px, height_px })
    }

    /// How much of a window, across and down, is a shadow that its program paints.
    fn shadow_of(&self, window: Window) -> Result<[u32; 2], X11Error> {
        let name = self.display.intern_atom(false, b"_GTK_FRAME_EXTENTS")?.reply()?.atom;
        let found = self.display.get_property(false, window, name, AtomEnum::CARDINAL, 0, 4)?.reply()?;
        let sides: Vec<u32> = found.value32().map(Iterator::collect).unwrap_or_default();
        let [left, right, top, bottom] = sides[..] else { return Ok([0, 0]) };
        Ok([left.saturating_add(right), top.saturating_add(bottom)])
    }
}

impl ElementSource for Elements {
    fn backend(&self) -> Backend {
        let (tracks, cannot) = match &self.bus {
            Ok(_) => (vec!["elements".to_owned()], NOT_TOLD.to_owned()),
            Err(why) => (Vec::new(), format!("elements: {why}")),
        };
        Backend { tracks, name: "at-spi".into(), cannot: vec![cannot] }
    }

    fn at(
        &mut self,
        x_px: i32,
        y_px: i32,
        window: Option<u64>,
        give_up: &dyn Fn() -> Option<ElementAbsence>,
    ) -> Result<Element, ElementAbsence> {
        // Windows that are gone by now tell nothing either.
        let found = self.window_at(x_px, y_px, window).ok().flatten();
        let shown = found.ok_or(ElementAbsence::NotTold)?;
        let bus = self.bus.as_mut().map_err(|_| ElementAbsence::NotTold)?;
        self.runtime.block_on(async {
            let mut search = std::pin::pin!(bus.find(&shown, (x_px, y_px)));
            loop {
                if let Some(why) = give_up() {
                    return Err(why);
                }
                if let Ok(found) = tokio::time::timeout(LOOK, &mut search).await {
                    return found.ok().flatten().ok_or(ElementAbsence::NotTold);
                }
            }
        })
    }

    fn ping(&mut self) -> Result<(), SourceError> {
        let Ok(bus) = &self.bus else { return Ok(()) };
        let answered = self.runtime.block_on(async {
            tokio::time::timeout(ANSWER_WITHIN, async {
                DBusProxy::new(&bus.connection).await?.get_id().await
            })
            .await
        });
        match answered {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(SourceError::Lost(format!("the accessibility bus is gone ({error})"))),
            Err(_) => Err(SourceError::Lost("the accessibility bus does not answer".into())),
        }
    }
}

impl Bus {
    async fn open() -> zbus::Result<Self> {
        let session = Connection::session().await?;
        let address = BusProxy::new(&session).await?.get_address().await?;
        let connection = Builder::address(address.as_str())?.build().await?;
        Ok(Self { connection, pids: HashMap::new() })
    }

    /// What a window shows at a place.
    async fn find(&mut self, shown: &Shown, place: (i32, i32)) -> zbus::Result<Option<Element>> {
        let Some(program) = self.program_of(shown.pid).await? else { return Ok(None) };
        let toolkit = self.toolkit_of(&program).await;
        if toolkit == Toolkit::Gtk4 {
            return Ok(None);
        }
        let windows = self.accessible(&program).await?.get_children().await?;
        let mut outermost = None;
        if shown.is_menu {
            // One that is open hangs below the bar that it belongs to, but may be outside of it.
            for window in &windows {
                outermost = self.menu_item_at(window, place).await;
                if outermost.is_some() {
                    break;
                }
            }
        }
        if outermost.is_none() {
            for window in windows {
                // A menu or a dialog may have closed by now, and the window beneath it is the same program's.
                if self.is_at(&window, place).await && shown.is_like(self.rect_of(&window).await?) {
                    outermost = Some(window);
                    break;
                }
            }
        }
        let Some(outermost) = outermost else { return Ok(None) };
        let Some(innermost) = self.innermost(outermost, toolkit, shown.is_menu, place).await else {
            return Ok(None);
        };
        let found = self.describe(&innermost).await?;
        // It may have moved or gone while it was looked at.
        let is_there = found.rect.contains(place.0, place.1);
        Ok(Some(found).filter(|found| is_there && (!shown.is_menu || is_within(found.rect, shown.rect))))
    }

    async fn toolkit_of(&self, program: &ObjectRefOwned) -> Toolkit {
        let Ok(program) = self.proxy::<ApplicationProxy<'static>>(program).await else {
            return Toolkit::Other;
        };
        let name = program.toolkit_name().await.unwrap_or_default();
        let version = program.version().await.unwrap_or_default();
        match (name.eq_ignore_ascii_case("gtk"), version.starts_with('4')) {
            (true, true) => Toolkit::Gtk4,
            (true, false) => Toolkit::Gtk,
            (false, _) => Toolkit::Other,
        }
    }

    /// The root of the tree of a process.
    async fn program_of(&mut self, pid: u32) -> zbus::Result<Option<ObjectRefOwned>> {
        let registry = AccessibleProxy::builder(&self.connection).destination(REGISTRY)?.path(ROOT)?;
        let registry = registry.cache_properties(CacheProperties::No).build().await?;
        let programs = registry.get_children().await?;
        let names = DBusProxy::new(&self.connection).await?;
        for program in programs {
            let Some(name) = program.name() else { continue };
            let its = match self.pids.get(name.as_str()) {
                Some(its) => *its,
                None => {
                    // One that has just gone has no process any more.
                    let asked = names.get_connection_unix_process_id(name.clone().into()).await;
                    let Ok(its) = asked else { continue };
                    self.pids.insert(name.to_string(), its);
                    its
                }
            };
            if its == pid {
                return Ok(Some(program));
            }
        }
        Ok(None)
    }

    /// Goes down from something that is at a place to the innermost that is there; none if that is not certain.
    async fn innermost(
        &self,
        outermost: ObjectRefOwned,
        toolkit: Toolkit,
        is_menu: bool,
        place: (i32, i32),
    ) -> Option<ObjectRefOwned> {
        let mut innermost = outermost;
        for _ in 0..MAX_DEPTH {
            let role = self.accessible(&innermost).await.ok()?.get_role().await.ok()?;
            // Its list was opened by the press, in a window of its own.
            if role == Role::ComboBox && !is_menu {
                break;
            }
            match self.child_at(&innermost, toolkit, place).await? {
                Some(child) if child != innermost => innermost = child,
                _ => break,
            }
        }
        Some(innermost)
    }

    /// The topmost child of something at a place, if one is there; none if it is not certain which.
    async fn child_at(
        &self,
        parent: &ObjectRefOwned,
        toolkit: Toolkit,
        place: (i32, i32),
    ) -> Option<Option<ObjectRefOwned>> {
        let children = self.accessible(parent).await.ok()?.get_children().await.ok()?;
        let is_long = children.len() > MAX_CHILDREN;
        let there = if is_long { Vec::new() } else { self.shown_at(children, place).await };
        if toolkit == Toolkit::Gtk && !is_long {
            // It paints them in their order; what it says itself is the first.
            return Some(there.into_iter().next_back());
        }
        let component: ComponentProxy<'_> = self.proxy(parent).await.ok()?;
        let said = component.get_accessible_at_point(place.0, place.1, CoordType::Screen).await.ok();
        let Some(said) = said.filter(|said| !said.is_null() && said != parent) else {
            return (there.len() < 2).then(|| there.into_iter().next());
        };
        let child = self.child_towards(parent, said).await?;
        let is_certain = there.last().is_none_or(|last| *last == child) && self.is_at(&child, place).await;
        is_certain.then_some(Some(child))
    }

    /// Those of something's children that are shown at a place, in their order. What has no place of its own is looked through:
    /// the view of what scrolls, and tabs, below which their pages hang.
    async fn shown_at(&self, children: Vec<ObjectRefOwned>, place: (i32, i32)) -> Vec<ObjectRefOwned> {
        let there = self.those_at(&children, place).await;
        if !there.is_empty() {
            return there;
        }
        let mut below = Vec::new();
        for child in &children {
            let is_nowhere = self.rect_of(child).await.is_ok_and(|rect| rect.x_px == i32::MIN);
            let Ok(accessible) = self.accessible(child).await else { continue };
            if is_nowhere || accessible.get_role().await.is_ok_and(|role| role == Role::PageTab) {
                below.extend(accessible.get_children().await.unwrap_or_default());
            }
        }
        below.truncate(MAX_CHILDREN);
        self.those_at(&below, place).await
    }

    async fn those_at(&self, objects: &[ObjectRefOwned], place: (i32, i32)) -> Vec<ObjectRefOwned> {
        let looks = objects.iter().map(async |object| (object, self.is_at(object, place).await));
        let looked: Vec<_> = stream::iter(looks).buffered(QUESTIONS).collect().await;
        looked.into_iter().filter(|(_, is_there)| *is_there).map(|(object, _)| object.clone()).collect()
    }

    /// The child of something below which something else is, or that itself.
    async fn child_towards(
        &self,
        parent: &ObjectRefOwned,
        descendant: ObjectRefOwned,
    ) -> Option<ObjectRefOwned> {
        let mut child = descendant;
        for _ in 0..MAX_DEPTH {
            let above = self.accessible(&child).await.ok()?.parent().await.ok()?;
            if above == *parent {
                return Some(child);
            }
            child = above;
        }
        None
    }

    /// The item of an open menu at a place, below something.
    async fn menu_item_at(&self, top: &ObjectRefOwned, place: (i32, i32)) -> Option<ObjectRefOwned> {
        let mut waiting = vec![(top.clone(), 0)];
        while let Some((parent, depth)) = waiting.pop() {
            let children = self.accessible(&parent).await.ok()?.get_children().await.ok()?;
            for child in children.into_iter().take(MAX_CHILDREN) {
                let role = self.accessible(&child).await.ok()?.get_role().await.ok()?;
                let is_item = matches!(role, Role::MenuItem | Role::CheckMenuItem | Role::RadioMenuItem);
                if (is_item || role == Role::Menu) && self.is_at(&child, place).await {
                    return Some(child);
                }
                let is_way = match role {
                    Role::MenuBar => true,
                    Role::Menu => self.has_state(&child, State::Selected).await,
                    _ => depth < MAX_DEPTH_OF_BAR && !is_item,
                };
                if is_way {
                    waiting.push((child, depth + 1));
                }
            }
        }
        None
    }

    /// Whether something is shown at a place.
    async fn is_at(&self, object: &ObjectRefOwned, place: (i32, i32)) -> bool {
        let rect = self.rect_of(object).await;
        rect.is_ok_and(|rect| rect.contains(place.0, place.1)) && self.has_state(object, State::Showing).await
    }

    async fn has_state(&self, object: &ObjectRefOwned, state: State) -> bool {
        let Ok(accessible) = self.accessible(object).await else { return false };
        accessible.get_state().await.is_ok_and(|states| states.contains(state))
    }

    async fn rect_of(&self, object: &ObjectRefOwned) -> zbus::Result<Rect> {
        let component: ComponentProxy<'_> = self.proxy(object).await?;
        let (x_px, y_px, width, height) = component.get_extents(CoordType::Screen).await?;
        let size = |size: i32| size.max(0).unsigned_abs();
        Ok(Rect { x_px, y_px, width_px: size(width), height_px: size(height) })
    }

    async fn describe(&self, object: &ObjectRefOwned) -> zbus::Result<Element> {
        let accessible = self.accessible(object).await?;
        let role = accessible.get_role().await?;
        let mut name = accessible.name().await?;
        if name.is_empty() {
            name = self.name_of_label(&accessible).await.unwrap_or_default();
        }
        let value = match role {
            Role::PasswordText => None,
            _ => self.value_of(object, &accessible).await,
        };
        let rect = self.rect_of(object).await?;
        Ok(Element { role: role.name().into(), name: name.chars().take(MAX_NAME).collect(), value, rect })
    }

    async fn name_of_label(&self, accessible: &AccessibleProxy<'_>) -> Option<String> {
        let relations = accessible.get_relation_set().await.ok()?;
        let (_, labels) = relations.into_iter().find(|(kind, _)| *kind == RelationType::LabelledBy)?;
        self.accessible(labels.first()?).await.ok()?.name().await.ok()
    }

    /// The text of what can be edited, or the number of what is set to one.
    async fn value_of(&self, object: &ObjectRefOwned, accessible: &AccessibleProxy<'_>) -> Option<String> {
        let interfaces = accessible.get_interfaces().await.ok()?;
        if interfaces.contains(Interface::Value) {
            let value: ValueProxy<'_> = self.proxy(object).await.ok()?;
            return Some(value.current_value().await.ok()?.to_string());
        }
        if !interfaces.contains(Interface::EditableText) {
            return None;
        }
        let text: TextProxy<'_> = self.proxy(object).await.ok()?;
        let length = text.character_count().await.ok().filter(|length| *length <= MAX_VALUE)?;
        text.get_text(0, length).await.ok()
    }

    async fn accessible(&self, object: &ObjectRefOwned) -> zbus::Result<AccessibleProxy<'static>> {
        self.proxy(object).await
    }

    /// An interface of something in another program. Nothing of it is kept, and no change of it is asked for.
    async fn proxy<P>(&self, object: &ObjectRefOwned) -> zbus::Result<P>
    where
        P: ProxyImpl<'static> + Defaults + From<zbus::Proxy<'static>>,
    {
        let name = object.name().cloned().ok_or(zbus::Error::InterfaceNotFound)?;
        let builder = zbus::proxy::Builder::new(&self.connection).destination(name)?;
        builder.path(object.path().to_owned())?.cache_properties(CacheProperties::No).build().await
    }
}

fn is_within(inner: Rect, outer: Rect) -> bool {
    let last = |start: i32, length: u32| start.saturating_add_unsigned(length.saturating_sub(1));
    let (right, bottom) = (last(inner.x_px, inner.width_px), last(inner.y_px, inner.height_px));
    outer.contains(inner.x_px, inner.y_px) && outer.contains(right, bottom)
}
