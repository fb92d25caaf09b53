//! Linux and macOS: signals, and a terminal whose modes are changed and restored.

use std::io::{IsTerminal, stdin};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use anyhow::{Context as _, Result};
use praxis_capture_core::sources::Stop;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};

use super::Told;

/// What a recording is told, in order.
pub(crate) struct Signals(Receiver<Told>);

impl Signals {
    /// From now on signals do not end the program.
    pub(crate) fn register() -> Result<Self> {
        let wanted = [SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2];
        let mut signals = signal_hook::iterator::Signals::new(wanted).context("signals cannot be handled")?;
        let (sender, receiver) = channel();
        let meaning = |signal| match signal {
            SIGUSR1 => Told::Pause,
            SIGUSR2 => Told::Mark,
            _ => Told::Stop,
        };
        std::thread::spawn(move || signals.forever().try_for_each(|signal| sender.send(meaning(signal))));
        Ok(Self(receiver))
    }

    /// Waits for the next.
    pub(crate) fn wait(&self, most: Duration) -> Result<Told, RecvTimeoutError> {
        self.0.recv_timeout(most)
    }
}

/// A switch that the signals that end a program turn.
pub(crate) fn stop_when_told() -> Result<Stop> {
    let stop = Stop::default();
    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    let told = stop.clone();
    std::thread::spawn(move || signals.forever().for_each(|_| told.stop()));
    Ok(stop)
}

/// Waits for Ctrl-C or SIGTERM.
pub(crate) async fn told_to_end() {
    use tokio::signal::unix::{SignalKind, signal};
    let terminated = async {
        match signal(SignalKind::terminate()) {
            Ok(mut signal) => drop(signal.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = terminated => {}
    }
}

/// A terminal that hands over single keys; restored when dropped.
pub(crate) struct Keys {
    before: Termios,
}

impl Keys {
    /// Takes the terminal over; `None` if there is none to take.
    pub(crate) fn take() -> Option<Self> {
        if !stdin().is_terminal() {
            return None;
        }
        let before = tcgetattr(stdin()).ok()?;
        let mut single = before.clone();
        single.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO);
        tcsetattr(stdin(), OptionalActions::Now, &single).ok()?;
        Some(Self { before })
    }

    /// The keys pressed since the last call.
    pub(crate) fn pressed(&self) -> Vec<u8> {
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        let mut keys = vec![0; 64];
        let is_ready =
            poll(&mut [PollFd::new(&stdin(), PollFlags::IN)], Some(&now)).is_ok_and(|count| count > 0);
        let count = if is_ready { rustix::io::read(stdin(), &mut keys).unwrap_or(0) } else { 0 };
        keys.truncate(count);
        keys
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        // The terminal may be gone; then there is nothing to restore.
        let _ = tcsetattr(stdin(), OptionalActions::Now, &self.before);
    }
}
