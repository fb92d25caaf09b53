//! macOS: the page is WebKit's.

use tauri::{Builder, WebviewWindow, Wry};

pub(crate) use super::signals::told_to_end;

/// A page runs in a process of its own. If that dies, the recording goes on, and the page comes back to it.
pub(crate) fn look_after_pages(builder: Builder<Wry>) -> Builder<Wry> {
    builder.on_web_content_process_terminate(|page| {
        tracing::error!("the page is gone: it is loaded again");
        if let Err(error) = page.reload() {
            tracing::error!(%error, "the page did not come back");
        }
    })
}

/// All pages are looked after already.
pub(crate) fn look_after_page(_: &WebviewWindow) -> tauri::Result<()> {
    Ok(())
}
