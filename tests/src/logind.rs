//! A logind of a test's own, on a bus of its own: whoever asks may delay sleep, and is told when the computer is about to sleep.

use std::io::pipe;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use zbus::blocking::Connection;
use zbus::blocking::connection::Builder;
use zbus::zvariant;

const PATH: &str = "/org/freedesktop/login1";
const INTERFACE: &str = "org.freedesktop.login1.Manager";

/// A logind.
pub struct Logind {
    connection: Connection,
    locks: Locks,
}

/// Our ends of the locks that were given out, with what they were asked for.
type Locks = Arc<Mutex<Vec<(OwnedFd, [String; 2])>>>;

struct Manager(Locks);

#[zbus::interface(name = "org.freedesktop.login1.Manager")]
impl Manager {
    fn inhibit(
        &self,
        what: String,
        _who: String,
        _why: String,
        mode: String,
    ) -> zbus::fdo::Result<zvariant::OwnedFd> {
        let (ours, theirs) = pipe().map_err(|error| zbus::fdo::Error::Failed(error.to_string()))?;
        let mut locks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        locks.push((ours.into(), [what, mode]));
        Ok(OwnedFd::from(theirs).into())
    }
}

impl Logind {
    /// Starts it on a bus.
    ///
    /// # Errors
    /// If the bus is gone or has one.
    pub fn start(address: &str) -> Result<Self> {
        let locks = Locks::default();
        let builder = Builder::address(address)?.serve_at(PATH, Manager(locks.clone()))?;
        let connection = builder.name("org.freedesktop.login1")?.build()?;
        Ok(Self { connection, locks })
    }

    /// Tells all that the computer is about to sleep, or is awake again.
    ///
    /// # Errors
    /// If the bus is gone.
    pub fn announce(&self, is_about_to_sleep: bool) -> Result<()> {
        let signal = "PrepareForSleep";
        Ok(self.connection.emit_signal(None::<&str>, PATH, INTERFACE, signal, &is_about_to_sleep)?)
    }

    /// What is held just now: of each lock what it delays, and how.
    ///
    /// # Errors
    /// If the locks cannot be looked at.
    pub fn held(&self) -> Result<Vec<[String; 2]>> {
        let mut held = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
        let mut failed = Ok(());
        held.retain(|(lock, _)| {
            // A pipe that nobody can write into any more has hung up.
            let mut fds = [PollFd::new(lock, PollFlags::IN)];
            failed = poll(&mut fds, Some(&Timespec::default())).map(drop);
            !fds[0].revents().contains(PollFlags::HUP)
        });
        failed?;
        Ok(held.iter().map(|(_, asked)| asked.clone()).collect())
    }
}
