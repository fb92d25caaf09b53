//! How Linux and macOS tell a program to end.

use tokio::signal::unix::{SignalKind, signal};

/// Waits for a signal that ends a program; forever if there are none.
pub(crate) async fn told_to_end() {
    let signals =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()), signal(SignalKind::hangup()));
    let (Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)) = signals else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
    }
}
