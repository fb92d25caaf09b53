//! The tray of a desktop, as far as a status notifier needs it: takes the registration of an icon, shows what it says, and
//! chooses from its menu. It draws nothing.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, ensure};
use zbus::blocking::connection::Builder;
use zbus::blocking::{Connection, Proxy};
use zbus::message::Header;
use zbus::zvariant::{OwnedObjectPath, OwnedValue, Value};

use crate::bus::Bus;
use crate::desktop::wait_until;

/// An entry of a menu, as it is on the bus: its number, its properties, the entries below it.
type Layout = (i32, HashMap<String, OwnedValue>, Vec<OwnedValue>);

/// Name on the bus and path of an icon.
type Place = (String, String);

#[derive(Default)]
struct Watcher(Arc<Mutex<Vec<Place>>>);

#[zbus::interface(name = "org.kde.StatusNotifierWatcher")]
impl Watcher {
    /// An icon says its path, or a name of its own on the bus.
    fn register_status_notifier_item(&self, service: &str, #[zbus(header)] header: Header<'_>) {
        let sender = header.sender().map(ToString::to_string).unwrap_or_default();
        let place = if service.starts_with('/') {
            (sender, service.to_owned())
        } else {
            (service.to_owned(), "/StatusNotifierItem".to_owned())
        };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(place);
    }

    #[zbus(property)]
    fn is_status_notifier_host_registered(&self) -> bool {
        true
    }

    #[zbus(property)]
    fn protocol_version(&self) -> i32 {
        0
    }
}

/// A tray on a bus.
pub struct Tray {
    connection: Connection,
    places: Arc<Mutex<Vec<Place>>>,
}

impl Tray {
    /// Puts it on the bus.
    ///
    /// # Errors
    /// If there is one already.
    pub fn start(bus: &Bus) -> Result<Self> {
        let watcher = Watcher::default();
        let places = watcher.0.clone();
        let builder = Builder::address(bus.address.as_str())?.serve_at("/StatusNotifierWatcher", watcher)?;
        Ok(Self { connection: builder.name("org.kde.StatusNotifierWatcher")?.build()?, places })
    }

    /// The icon that is in it, once there is one.
    ///
    /// # Errors
    /// If none comes.
    pub fn icon(&self) -> Result<Icon> {
        let newest = || self.places.lock().unwrap_or_else(PoisonError::into_inner).last().cloned();
        wait_until("an icon in the tray", || Ok(newest().is_some()))?;
        let (name, path) = newest().context("no icon")?;
        let item =
            Proxy::new_owned(self.connection.clone(), name.clone(), path, "org.kde.StatusNotifierItem")?;
        let menu: OwnedObjectPath = item.get_property("Menu")?;
        let menu = Proxy::new_owned(self.connection.clone(), name, menu, "com.canonical.dbusmenu")?;
        Ok(Icon { item, menu })
    }
}

/// An icon in the tray.
pub struct Icon {
    item: Proxy<'static>,
    menu: Proxy<'static>,
}

impl Icon {
    /// Whether the desktop shall show it.
    ///
    /// # Errors
    /// If it is gone.
    pub fn is_shown(&self) -> Result<bool> {
        Ok(self.property("Status")? == "Active")
    }

    /// What stands beside it.
    ///
    /// # Errors
    /// If it is gone.
    pub fn label(&self) -> Result<String> {
        self.property("XAyatanaLabel")
    }

    /// The file of its picture.
    ///
    /// # Errors
    /// If it is gone.
    pub fn picture(&self) -> Result<String> {
        self.property("IconName")
    }

    fn property(&self, name: &str) -> Result<String> {
        // Asked anew each time: nothing is kept of what it said before.
        let connection = self.item.connection();
        let properties = "org.freedesktop.DBus.Properties";
        let (destination, path) = (self.item.destination(), self.item.path());
        let body = (self.item.interface(), name);
        let answer = connection.call_method(Some(destination), path, Some(properties), "Get", &body)?;
        let value: OwnedValue = answer.body().deserialize()?;
        Ok(value.try_into()?)
    }

    /// The words of its menu, from above; a separator has none.
    ///
    /// # Errors
    /// If it is gone.
    pub fn words(&self) -> Result<Vec<String>> {
        Ok(self.entries()?.into_iter().map(|(_, word)| word).collect())
    }

    /// Waits until its menu has these words.
    ///
    /// # Errors
    /// If it never has; says what it has instead.
    pub fn wait_for_words(&self, wanted: &[&str]) -> Result<()> {
        let mut last = Vec::new();
        let waited = wait_until("the menu of the tray", || {
            last = self.words()?;
            Ok(last == wanted)
        });
        waited.with_context(|| format!("the menu has {last:?}, not {wanted:?}"))
    }

    /// Chooses an entry, as a click does.
    ///
    /// # Errors
    /// If there is none of that word.
    pub fn choose(&self, word: &str) -> Result<()> {
        let entries = self.entries()?;
        let found = entries.iter().find(|(_, each)| each == word);
        let (number, _) = found.with_context(|| format!("no {word} in {entries:?}"))?;
        Ok(self.menu.call("Event", &(*number, "clicked", Value::from(0), 0_u32))?)
    }

    fn entries(&self) -> Result<Vec<(i32, String)>> {
        let asked = (0_i32, -1_i32, Vec::<&str>::new());
        let (_, root): (u32, Layout) = self.menu.call("GetLayout", &asked)?;
        let mut entries = Vec::new();
        for entry in root.2 {
            let (number, properties, below): Layout = Value::from(entry).try_into()?;
            ensure!(below.is_empty(), "the menu has a menu below it");
            let is_shown = properties.get("visible").is_none_or(|value| matches!(**value, Value::Bool(true)));
            let word = match properties.get("label").map(|value| &**value) {
                Some(Value::Str(label)) => label.to_string(),
                _ => String::new(),
            };
            entries.extend(is_shown.then_some((number, word)));
        }
        Ok(entries)
    }
}
