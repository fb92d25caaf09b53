//! Windows: the page is WebView2's, which shows a page of its own after a crash: F5 loads ours again.

use tauri::{Builder, WebviewWindow, Wry};

/// Nothing is to be said before there is a window.
pub(crate) fn look_after_pages(builder: Builder<Wry>) -> Builder<Wry> {
    builder
}

/// The recording goes on without its page.
pub(crate) fn look_after_page(_: &WebviewWindow) -> tauri::Result<()> {
    Ok(())
}

/// Waits for Ctrl-C, where there is a console: the system ends a program with windows by its window.
pub(crate) async fn told_to_end() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending().await
    }
}
