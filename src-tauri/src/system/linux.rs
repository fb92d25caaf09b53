//! Linux: the page is WebKitGTK's.

use tauri::{Builder, WebviewWindow, Wry};
use webkit2gtk::WebViewExt as _;

pub(crate) use super::signals::told_to_end;

/// Nothing is to be said before there is a window.
pub(crate) fn look_after_pages(builder: Builder<Wry>) -> Builder<Wry> {
    builder
}

/// The page runs in a process of its own. If that dies, the recording goes on, and the page comes back to it.
pub(crate) fn look_after_page(window: &WebviewWindow) -> tauri::Result<()> {
    window.with_webview(|webview| {
        webview.inner().connect_web_process_terminated(|view, reason| {
            tracing::error!(?reason, "the page is gone: it is loaded again");
            view.reload();
        });
    })
}
