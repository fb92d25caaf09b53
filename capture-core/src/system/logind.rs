//! Has what was recorded written and synced before the computer sleeps, whose battery may not last.
//!
//! logind delays sleep while somebody holds its lock ([inhibitor locks](https://systemd.io/INHIBITOR_LOCKS/)): ours is let go when
//! the disk has everything, and taken again after waking up. Without logind nothing is lost but what a power cut takes, too. How
//! long the computer slept is not asked here: the two clocks of the machine say it.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::spawn;

use zbus::blocking::{Connection, Proxy};
use zbus::zvariant::OwnedFd;

const SERVICE: &str = "org.freedesktop.login1";

/// Listens until it is dropped.
pub(crate) struct BeforeSleep(Arc<Mutex<Listening>>);

#[derive(Default)]
struct Listening {
    connection: Option<Connection>,
    is_over: bool,
}

impl BeforeSleep {
    /// Calls `flush` whenever the computer is about to sleep; it returns when the disk has everything.
    pub(crate) fn listen(flush: impl Fn() + Send + 'static) -> Self {
        let listening: Arc<Mutex<Listening>> = Arc::default();
        let shared = listening.clone();
        spawn(move || match follow(&shared, flush) {
            Ok(()) => {}
            Err(error) => tracing::debug!(%error, "sleep is not announced"),
        });
        Self(listening)
    }
}

impl Drop for BeforeSleep {
    fn drop(&mut self) {
        let mut listening = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        listening.is_over = true;
        // Which ends the thread. A connection that is broken has ended it already.
        if let Some(connection) = listening.connection.take() {
            let _ = connection.close();
        }
    }
}

fn follow(shared: &Mutex<Listening>, flush: impl Fn()) -> zbus::Result<()> {
    let connection = Connection::system()?;
    {
        let mut listening = shared.lock().unwrap_or_else(PoisonError::into_inner);
        if listening.is_over {
            return Ok(());
        }
        listening.connection = Some(connection.clone());
    }
    let manager =
        Proxy::new(&connection, SERVICE, "/org/freedesktop/login1", "org.freedesktop.login1.Manager")?;
    // Before the lock is taken, so that no announcement is missed.
    let announcements = manager.receive_signal("PrepareForSleep")?;
    let take = || -> zbus::Result<OwnedFd> {
        manager.call("Inhibit", &("sleep", "Praxis", "a recording is written to the disk", "delay"))
    };
    let mut lock = Some(take()?);
    for announcement in announcements {
        let is_about_to_sleep: bool = announcement.body().deserialize()?;
        if is_about_to_sleep {
            flush();
            lock = None;
            tracing::info!("everything is on the disk before the computer sleeps");
        } else if lock.is_none() {
            lock = Some(take()?);
        }
    }
    Ok(())
}
