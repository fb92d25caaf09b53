//! The plain list of bundles for people, and the way in: a token becomes a cookie that scripts cannot read.

use axum::Router;
use axum::extract::rejection::FormRejection;
use axum::extract::{Form, State};
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::Value;
use time::OffsetDateTime;

use crate::Collector;
use crate::auth::{COOKIE_NAME, Caller, Secret};
use crate::bundles::visible;
use crate::db::Bundle;
use crate::error::{Result, unreadable};

/// Rows on the page.
const ROWS: u32 = 200;
const STYLE: &str = include_str!("page.css");
/// Nothing but our own style sheet and our own form.
const POLICY: &str =
    "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

pub(crate) fn routes() -> Router<Collector> {
    Router::new()
        .route("/", get(index))
        .route("/login", post(login))
        .route("/logout", post(logout))
        .route("/page.css", get(|| async { ([(CONTENT_TYPE, "text/css")], STYLE) }))
}

async fn index(State(collector): State<Collector>, caller: Result<Caller>) -> Result<Response> {
    let Ok(caller) = caller else { return Ok(login_page(StatusCode::UNAUTHORIZED, "")) };
    let bundles = visible(&collector, &caller, ROWS, 0).await?;
    let rows: String = bundles.iter().map(row).collect();
    let body = if bundles.is_empty() {
        "<p class=empty>No bundles yet. An expert enrols with a code (<code>praxis-collector code new</code>), \
         records, approves and uploads; the bundle then appears here.</p>"
            .to_owned()
    } else {
        format!(
            "<table><thead><tr><th>Session<th>Expert<th>Project<th>State<th class=number>Length<th class=number>Size\
             <th>Announced</thead><tbody>{rows}</tbody></table>"
        )
    };
    let head = "<form method=post action=/logout><button>Sign out</button></form>";
    Ok(page(StatusCode::OK, head, &body))
}

fn row(bundle: &Bundle) -> String {
    let facts: Value =
        bundle.facts.as_deref().and_then(|facts| serde_json::from_str(facts).ok()).unwrap_or_default();
    let title = facts["title"].as_str().unwrap_or(&bundle.id);
    let title = escape(title);
    let title = match facts.is_object() {
        true => format!("<a href=\"/api/v1/bundles/{}/content\">{title}</a>", escape(&bundle.id)),
        false => title,
    };
    let state = bundle.state.name();
    let reason = bundle.reason.as_deref().map(|reason| format!("<small>{}</small>", escape(reason)));
    let progress =
        (state == "receiving").then(|| format!(" {} %", bundle.offset * 100 / bundle.bytes.max(1)));
    let length = facts["duration_nanos"].as_u64().map_or_else(String::new, |nanos| {
        let seconds = nanos / 1_000_000_000;
        format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
    });
    let announced = OffsetDateTime::from_unix_timestamp(bundle.created_at / 1000)
        .map(|at| format!("{} {:02}:{:02} UTC", at.date(), at.hour(), at.minute()))
        .unwrap_or_default();
    let size = match bundle.bytes {
        0..1_000_000 => format!("{:.0} kB", bundle.bytes as f64 / 1e3),
        bytes => format!("{:.1} MB", bytes as f64 / 1e6),
    };
    format!(
        "<tr><td class=title>{title}<td>{}<td>{}<td class={state}>{state}{}{}<td class=number>{length}<td class=number>{size}<td>{announced}",
        escape(&bundle.expert),
        escape(&bundle.project),
        progress.unwrap_or_default(),
        reason.unwrap_or_default(),
    )
}

#[derive(Deserialize)]
struct Login {
    token: String,
}

async fn login(
    State(collector): State<Collector>,
    login: Result<Form<Login>, FormRejection>,
) -> Result<Response> {
    let Form(login) = login.map_err(unreadable)?;
    let secret = Secret::given(&login.token);
    if collector.db.caller(&secret.digest()).await?.is_none() {
        return Ok(login_page(StatusCode::UNAUTHORIZED, "This token is wrong or was revoked."));
    }
    let cookie = format!("{COOKIE_NAME}={}; HttpOnly; SameSite=Strict; Path=/", secret.reveal());
    Ok((StatusCode::SEE_OTHER, [(LOCATION, "/".to_owned()), (SET_COOKIE, cookie)]).into_response())
}

async fn logout() -> Response {
    let cookie = format!("{COOKIE_NAME}=; HttpOnly; SameSite=Strict; Path=/; Max-Age=0");
    (StatusCode::SEE_OTHER, [(LOCATION, "/".to_owned()), (SET_COOKIE, cookie)]).into_response()
}

fn login_page(status: StatusCode, wrong: &str) -> Response {
    let body = format!(
        "<form method=post action=/login class=login><label>Token <input name=token type=password autocomplete=off \
         autofocus required></label><button>Sign in</button><p class=rejected role=alert>{wrong}</p>\
         <p>The project lead makes one: <code>praxis-collector token new --role reviewer</code></p></form>"
    );
    page(status, "", &body)
}

fn page(status: StatusCode, head: &str, body: &str) -> Response {
    let html = format!(
        "<!doctype html><html lang=en><head><meta charset=utf-8><meta name=viewport content=\"width=device-width\">\
         <title>Praxis collector</title><link rel=stylesheet href=/page.css></head><body><header><h1>Praxis collector</h1>\
         {head}</header><main>{body}</main></body></html>"
    );
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, axum::http::HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(CONTENT_SECURITY_POLICY, axum::http::HeaderValue::from_static(POLICY));
    (status, headers, html).into_response()
}

fn escape(text: &str) -> String {
    let entity = |letter: char| match letter {
        '&' => "&amp;".to_owned(),
        '<' => "&lt;".to_owned(),
        '>' => "&gt;".to_owned(),
        '"' => "&quot;".to_owned(),
        '\'' => "&#39;".to_owned(),
        other => other.to_string(),
    };
    text.chars().map(entity).collect()
}
