//! Windows: what the console tells, which is to end and nothing else, and its events of keys.

use std::io::{IsTerminal, stdin};
use std::os::windows::io::AsRawHandle as _;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use anyhow::{Context as _, Result};
use praxis_capture_core::sources::Stop;
use tokio::signal::windows::{ctrl_break, ctrl_c, ctrl_close, ctrl_logoff, ctrl_shutdown};
use windows_sys::Win32::System::Console::{
    GetNumberOfConsoleInputEvents, INPUT_RECORD, KEY_EVENT, ReadConsoleInputW,
};

use super::Told;

/// What a recording is told, in order. Pauses and markers come by keys alone here.
pub(crate) struct Signals(Receiver<Told>);

impl Signals {
    /// From now on Ctrl-C does not end the program. A console that is closed waits some seconds for it.
    pub(crate) fn register() -> Result<Self> {
        let (sender, receiver) = channel();
        each_time_told(move || sender.send(Told::Stop).is_ok())?;
        Ok(Self(receiver))
    }

    /// Waits for the next.
    pub(crate) fn wait(&self, most: Duration) -> Result<Told, RecvTimeoutError> {
        self.0.recv_timeout(most)
    }
}

/// A switch that is turned when the program is told to end.
pub(crate) fn stop_when_told() -> Result<Stop> {
    let stop = Stop::default();
    let told = stop.clone();
    each_time_told(move || {
        told.stop();
        true
    })?;
    Ok(stop)
}

/// Calls `act` on a thread of its own each time the program is told to end, until it says that it is enough.
fn each_time_told(act: impl Fn() -> bool + Send + 'static) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut told = runtime.block_on(async { Endings::listen() }).context("Ctrl-C cannot be handled")?;
    std::thread::spawn(move || {
        runtime.block_on(async {
            loop {
                told.next().await;
                if !act() {
                    break;
                }
            }
        });
    });
    Ok(())
}

/// Waits until the program is told to end.
pub(crate) async fn told_to_end() {
    match Endings::listen() {
        Ok(mut told) => told.next().await,
        Err(_) => std::future::pending().await,
    }
}

/// All ways in which a console tells a program to end.
struct Endings {
    interrupt: tokio::signal::windows::CtrlC,
    stop: tokio::signal::windows::CtrlBreak,
    close: tokio::signal::windows::CtrlClose,
    logoff: tokio::signal::windows::CtrlLogoff,
    shutdown: tokio::signal::windows::CtrlShutdown,
}

impl Endings {
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: ctrl_c()?,
            stop: ctrl_break()?,
            close: ctrl_close()?,
            logoff: ctrl_logoff()?,
            shutdown: ctrl_shutdown()?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.stop.recv() => {}
            _ = self.close.recv() => {}
            _ = self.logoff.recv() => {}
            _ = self.shutdown.recv() => {}
        }
    }
}

/// A console that hands over single keys. Its modes stay as they are: its events come before any line of input does.
pub(crate) struct Keys;

impl Keys {
    /// `None` if there is no console.
    pub(crate) fn take() -> Option<Self> {
        stdin().is_terminal().then_some(Self)
    }

    /// The keys pressed since the last call.
    #[expect(unsafe_code, reason = "std waits for whole lines")]
    pub(crate) fn pressed(&self) -> Vec<u8> {
        let console = stdin().as_raw_handle();
        let mut events = [INPUT_RECORD::default(); 64];
        let (mut num_waiting, mut num_read) = (0, 0);
        // SAFETY: the handle is that of the process, and the numbers and the array, whose length is given, outlive the
        // calls. Reading does not wait, since something is there.
        unsafe {
            if GetNumberOfConsoleInputEvents(console, &raw mut num_waiting) == 0 || num_waiting == 0 {
                return Vec::new();
            }
            ReadConsoleInputW(console, events.as_mut_ptr(), events.len() as u32, &raw mut num_read);
        }
        let keys = events[..num_read as usize].iter().filter(|event| u32::from(event.EventType) == KEY_EVENT);
        // SAFETY: the type says which part of the union it is, and all keys have both kinds of letters.
        let pressed = keys
            .map(|event| unsafe { (event.Event.KeyEvent.bKeyDown, event.Event.KeyEvent.uChar.UnicodeChar) });
        pressed
            .filter(|(is_down, _)| *is_down != 0)
            .filter_map(|(_, letter)| u8::try_from(letter).ok())
            .collect()
    }
}
