//! The page for people, and the way in: a token becomes a cookie that scripts cannot read.
//!
//! The page itself is for everyone and says nothing of anyone: what it shows, it asks the API for.

use axum::extract::rejection::FormRejection;
use axum::extract::{Form, State};
use axum::http::header::{CACHE_CONTROL, LOCATION, SET_COOKIE};
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::json;

use crate::Collector;
use crate::auth::{COOKIE_NAME, Caller, Secret};
use crate::error::{Error, Result, unreadable};

pub(crate) fn routes() -> Router<Collector> {
    Router::new()
        .route("/", get(|| async { answer(praxis_page::web()) }))
        .route("/host.json", get(host))
        .route("/login", post(login))
        .route("/logout", post(logout))
}

/// A file of the page, or nothing at all.
pub(crate) async fn file(method: Method, uri: Uri) -> Result<Response> {
    let name = uri.path().trim_start_matches('/');
    let asset = praxis_page::asset(name).filter(|_| method == Method::GET || method == Method::HEAD);
    asset.map(answer).ok_or(Error::NotFound("page"))
}

fn answer(asset: praxis_page::Asset) -> Response {
    (asset.headers(), asset.body).into_response()
}

/// Tells the page who serves it, and to whom.
async fn host(caller: Result<Caller>) -> Response {
    let host = caller.map(|caller| Json(json!({"kind": "collector", "role": caller.role})));
    ([(CACHE_CONTROL, "no-store")], host).into_response()
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
        return Ok((StatusCode::SEE_OTHER, [(LOCATION, "./?wrong=1")]).into_response());
    }
    let cookie = format!("{COOKIE_NAME}={}; HttpOnly; SameSite=Strict; Path=/", secret.reveal());
    Ok((StatusCode::SEE_OTHER, [(LOCATION, "/".to_owned()), (SET_COOKIE, cookie)]).into_response())
}

async fn logout() -> Response {
    let cookie = format!("{COOKIE_NAME}=; HttpOnly; SameSite=Strict; Path=/; Max-Age=0");
    (StatusCode::SEE_OTHER, [(LOCATION, "/".to_owned()), (SET_COOKIE, cookie)]).into_response()
}
