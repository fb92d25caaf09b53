//! `bundle://localhost/SESSION/content` and `…/actions`: how the page reads the sessions of the library.
//!
//! A session is named by its id and found through the library; there is no way to name a file. Reading happens away from
//! the window's thread. An answer is in memory as a whole, so a part of more than [`MOST_BYTES`] is refused.

use std::path::Path;
use std::sync::Arc;

use praxis_bundle::file;
use praxis_bundle::scan::Bytes;
use praxis_capture_core::studio::Studio;
use praxis_page::{Part, RangeError, session_address};
use tauri::http::header::{HeaderName, HeaderValue};
use tauri::http::{Method, Request, Response, StatusCode};
use tauri::{Manager as _, Runtime, UriSchemeContext, UriSchemeResponder};

/// The scheme.
pub(crate) const SCHEME: &str = "bundle";
/// Longest part of an answer: the longest chunk of a bundle, its header, and room.
const MOST_BYTES: u64 = 80 << 20;
/// Where the page of the application is from, on Linux and macOS, and on Windows.
const ORIGINS: [&str; 2] = ["tauri://localhost", "http://tauri.localhost"];

type Answer = Response<Vec<u8>>;

/// Answers a request of the page.
pub(crate) fn handle<R: Runtime>(
    context: UriSchemeContext<'_, R>,
    request: Request<Vec<u8>>,
    responder: UriSchemeResponder,
) {
    // The page may be there before the library is.
    let studio = context.app_handle().try_state::<Arc<Studio>>().map(|studio| studio.inner().clone());
    tauri::async_runtime::spawn_blocking(move || {
        let answer = match studio {
            Some(studio) => answer(&studio, &request),
            None => said(StatusCode::SERVICE_UNAVAILABLE, "the library is not open yet"),
        };
        responder.respond(for_page(answer, &request));
    });
}

fn answer(studio: &Studio, request: &Request<Vec<u8>>) -> Answer {
    if request.method() == Method::OPTIONS {
        return Response::new(Vec::new());
    }
    let not_there = || said(StatusCode::NOT_FOUND, "there is no such session");
    let Some((id, what)) = session_address(request.uri().path()) else { return not_there() };
    let Ok(entry) = studio.session(&id) else { return not_there() };
    let done = match what {
        "content" => content(&entry.path, request),
        "actions" => actions(&entry.path),
        _ => return not_there(),
    };
    done.unwrap_or_else(|error| {
        tracing::warn!(error = format!("{error:#}"), "a session cannot be shown");
        said(StatusCode::INTERNAL_SERVER_ERROR, &format!("{error:#}"))
    })
}

fn content(path: &Path, request: &Request<Vec<u8>>) -> anyhow::Result<Answer> {
    let file = file::open(path)?;
    let range = request.headers().get("range").map(|range| range.to_str().unwrap_or_default());
    let part = match Part::of(range, file.num_bytes()?) {
        Ok(part) if part.length > MOST_BYTES && request.method() != Method::HEAD => {
            return Ok(said(StatusCode::BAD_REQUEST, "too much at once: ask for a range"));
        }
        Ok(part) => part,
        Err(error @ RangeError::Several) => return Ok(said(StatusCode::BAD_REQUEST, &error.to_string())),
        Err(error @ RangeError::Outside(bytes)) => {
            let mut answer = said(StatusCode::RANGE_NOT_SATISFIABLE, &error.to_string());
            set(&mut answer, "content-range", &format!("bytes */{bytes}"));
            return Ok(answer);
        }
    };
    let body = match request.method() {
        &Method::HEAD => Vec::new(),
        _ => part.read(MOST_BYTES, |offset, into| file.fill(offset, into))?,
    };
    let mut answer = Response::new(body);
    *answer.status_mut() = StatusCode::from_u16(part.status())?;
    part.headers().iter().for_each(|(name, value)| set(&mut answer, name, value));
    Ok(answer)
}

fn actions(path: &Path) -> anyhow::Result<Answer> {
    let reading = praxis_actions::actions_of_file(path)?;
    let mut answer = Response::new(serde_json::to_vec(&reading.answer)?);
    set(&mut answer, "content-type", "application/json");
    Ok(answer)
}

fn said(status: StatusCode, sentence: &str) -> Answer {
    let mut answer = Response::new(sentence.as_bytes().to_vec());
    *answer.status_mut() = status;
    set(&mut answer, "content-type", "text/plain; charset=utf-8");
    answer
}

/// Lets the application's page, and no other, read an answer.
fn for_page(mut answer: Answer, request: &Request<Vec<u8>>) -> Answer {
    let origin = request.headers().get("origin").and_then(|origin| origin.to_str().ok());
    let ours = ORIGINS.into_iter().find(|ours| Some(*ours) == origin).unwrap_or(ORIGINS[0]);
    let headers = [
        ("access-control-allow-origin", ours),
        ("access-control-allow-headers", "range"),
        ("access-control-allow-methods", "GET, HEAD, OPTIONS"),
        ("access-control-expose-headers", "content-range, content-length, accept-ranges"),
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
    ];
    headers.iter().for_each(|(name, value)| set(&mut answer, name, value));
    answer
}

fn set(answer: &mut Answer, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        answer.headers_mut().insert(HeaderName::from_static(name), value);
    }
}
