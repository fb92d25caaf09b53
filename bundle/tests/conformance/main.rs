//! Conformance: small bundles with twins that say what any reader must find in them, and the proof that this one does.
//!
//! `UPDATE_FIXTURES=1 cargo test -p praxis-bundle --test conformance` writes both anew. The files are read by the
//! decoder of the page, too. `docs/bundle-format.md`, part Conformance, says what a twin holds.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod fixtures;
mod operations;
mod picture;
mod reader;
mod session;
mod story;

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use serde_json::Value;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/conformance")
}

const HOW: &str = "UPDATE_FIXTURES=1 cargo test -p praxis-bundle --test conformance writes it anew";

/// Every file by its name; written, if that is asked for, before any test reads them.
static MADE: LazyLock<Vec<(String, Vec<u8>)>> = LazyLock::new(|| {
    let mut made = Vec::new();
    for fixture in fixtures::all() {
        let twin = serde_json::to_string(&fixture.twin).unwrap().replace("},{\"", "},\n{\"") + "\n";
        made.push((format!("{}.mcap", fixture.name), fixture.file));
        made.push((format!("{}.json", fixture.name), twin.into_bytes()));
    }
    if std::env::var_os("UPDATE_FIXTURES").is_some() {
        std::fs::create_dir_all(folder()).unwrap();
        made.iter().for_each(|(name, bytes)| std::fs::write(folder().join(name), bytes).unwrap());
    }
    made
});

#[test]
fn the_committed_files_are_what_the_generator_makes() {
    for (name, made) in MADE.iter() {
        let known = std::fs::read(folder().join(name)).unwrap_or_default();
        assert!(known == *made, "{name} is not what the generator makes: {HOW}");
    }
    for entry in std::fs::read_dir(folder()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(MADE.iter().any(|(made, _)| *made == name), "{name} is no fixture: remove it");
    }
    let bytes: usize = MADE.iter().map(|(_, bytes)| bytes.len()).sum();
    assert!(bytes < 1_000_000, "{bytes} bytes of fixtures");
}

#[test]
fn the_reader_finds_what_the_twins_say() {
    for (name, _) in MADE.iter().filter(|(name, _)| name.ends_with(".mcap")) {
        let path = folder().join(name);
        let twin = std::fs::read(path.with_extension("json")).unwrap();
        let twin: Value = serde_json::from_slice(&twin).unwrap();
        reader::compare(&path, &reader::read(&path), &twin);
        reader::seek(&path, &twin);
    }
}
