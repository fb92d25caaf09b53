//! Generates what Tauri needs; a page that says what to do stands in for a user interface that has not been built yet.

use std::path::Path;

const NOT_BUILT: &str =
    "<!doctype html><title>Praxis</title><p>The user interface is not built: run make build.</p>";

fn main() -> std::io::Result<()> {
    let page = Path::new("../ui/dist/index.html");
    if !page.exists() {
        std::fs::create_dir_all("../ui/dist")?;
        std::fs::write(page, NOT_BUILT)?;
    }
    // What was built is part of the program.
    println!("cargo:rerun-if-changed=../ui/dist");
    tauri_build::build();
    Ok(())
}
