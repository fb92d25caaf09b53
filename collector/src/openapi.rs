//! The description of the API for programs, as OpenAPI has it: what reviewers and leads may ask.

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;

use crate::Collector;

const DESCRIPTION: &str = include_str!("openapi.json");

pub(crate) fn routes() -> Router<Collector> {
    Router::new()
        .route("/api/v1/openapi.json", get(|| async { ([(CONTENT_TYPE, "application/json")], DESCRIPTION) }))
}
