//! The session clock: the one place that reads time.
//!
//! Session time is nanoseconds of the system's boot clock (it runs on in suspend and is the same in every process)
//! since the session epoch. Wall time is read once, together with the epoch. Tests drive a [`FakeTime`]. Which clocks of a
//! system these are is in its file of [`crate::system`].

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::system;

/// Reads of the machine's clocks.
pub trait Time: Send + Sync {
    /// Boot clock in nanoseconds: Linux's CLOCK_BOOTTIME, macOS's CLOCK_MONOTONIC_RAW, the interrupt time of Windows.
    fn boot_nanos(&self) -> u64;
    /// Monotonic clock without suspend in nanoseconds: Linux's CLOCK_MONOTONIC, macOS's CLOCK_UPTIME_RAW, the unbiased
    /// interrupt time of Windows.
    fn monotonic_nanos(&self) -> u64;
    /// Wall clock in nanoseconds since 1970-01-01 UTC.
    fn wall_nanos(&self) -> u64;
}

/// The machine's real clocks.
#[derive(Debug, Default)]
pub struct SystemTime;

impl Time for SystemTime {
    fn boot_nanos(&self) -> u64 {
        system::boot_nanos()
    }
    fn monotonic_nanos(&self) -> u64 {
        system::monotonic_nanos()
    }
    fn wall_nanos(&self) -> u64 {
        system::wall_nanos()
    }
}

/// A clock that moves only when told to.
#[derive(Debug, Default)]
pub struct FakeTime(AtomicU64);

impl FakeTime {
    /// A clock that shows `nanos` on all its faces.
    #[must_use]
    pub fn at(nanos: u64) -> Arc<Self> {
        Arc::new(Self(AtomicU64::new(nanos)))
    }

    /// Moves it forward.
    pub fn advance(&self, nanos: u64) {
        self.0.fetch_add(nanos, Ordering::SeqCst);
    }
}

impl Time for FakeTime {
    fn boot_nanos(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
    fn monotonic_nanos(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
    fn wall_nanos(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// The machine's clocks, as sources hold them.
pub type SharedTime = Arc<dyn Time>;

/// The clock of one session. Clones show the same time.
#[derive(Clone)]
pub struct SessionClock {
    time: SharedTime,
    epoch_boot_nanos: u64,
    epoch_wall_nanos: u64,
}

impl SessionClock {
    /// Starts a session now.
    #[must_use]
    pub fn start(time: SharedTime) -> Self {
        let (epoch_boot_nanos, epoch_wall_nanos) = (time.boot_nanos(), time.wall_nanos());
        Self { time, epoch_boot_nanos, epoch_wall_nanos }
    }

    /// Session time: nanoseconds since the session epoch.
    #[must_use]
    pub fn now_nanos(&self) -> u64 {
        self.time.boot_nanos().saturating_sub(self.epoch_boot_nanos)
    }

    /// Session time of a moment of the boot clock; `None` for one before the session epoch.
    #[must_use]
    pub fn at(&self, boot_nanos: u64) -> Option<u64> {
        boot_nanos.checked_sub(self.epoch_boot_nanos)
    }

    /// Boot clock at the session epoch.
    #[must_use]
    pub fn epoch_boot_nanos(&self) -> u64 {
        self.epoch_boot_nanos
    }

    /// Wall clock at the session epoch.
    #[must_use]
    pub fn epoch_wall_nanos(&self) -> u64 {
        self.epoch_wall_nanos
    }

    /// The clocks behind it.
    #[must_use]
    pub fn time(&self) -> &dyn Time {
        &*self.time
    }
}

impl std::fmt::Debug for SessionClock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SessionClock")
            .field("epoch_boot_nanos", &self.epoch_boot_nanos)
            .finish_non_exhaustive()
    }
}
