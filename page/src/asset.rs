//! The files of the page.

/// What the page may do: load its own files, nothing from elsewhere.
pub const POLICY: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; style-src 'self'; \
                          font-src 'self'; img-src 'self' data: blob:; connect-src 'self' data:; media-src blob:; \
                          base-uri 'none'; form-action 'self'; frame-ancestors 'none'";
/// Every file by its name, as it was when this program was built.
static FILES: &[(&str, &[u8])] = &include!(concat!(env!("OUT_DIR"), "/files.rs"));
const WEB: &str = "web.html";
const NOT_BUILT: &[u8] = b"<!doctype html><html lang=en><meta charset=utf-8><title>Praxis</title>\
    <p>The page is not part of this program: run <code>make page</code>, then build the program again.</p>";

/// A file of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asset {
    /// Its bytes.
    pub body: &'static [u8],
    content_type: &'static str,
    cache_control: &'static str,
}

impl Asset {
    /// The headers that go with it.
    #[must_use]
    pub fn headers(&self) -> [(&'static str, &'static str); 5] {
        [
            ("content-type", self.content_type),
            ("cache-control", self.cache_control),
            ("content-security-policy", POLICY),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
        ]
    }
}

/// The page itself; a sentence that says what to do if it was not built.
#[must_use]
pub fn web() -> Asset {
    let body = FILES.iter().find(|(name, _)| *name == WEB).map_or(NOT_BUILT, |(_, body)| *body);
    Asset { body, content_type: content_type_of(WEB), cache_control: "no-store" }
}

/// A file that the page asks for, by its address from the page on.
#[must_use]
pub fn asset(name: &str) -> Option<Asset> {
    let (name, body) = FILES.iter().find(|(known, _)| *known == name && name != WEB)?;
    // The name of what is in there changes with its content.
    let is_hashed = name.starts_with("assets/");
    let cache_control = if is_hashed { "public, max-age=31536000, immutable" } else { "no-store" };
    Some(Asset { body, content_type: content_type_of(name), cache_control })
}

fn content_type_of(name: &str) -> &'static str {
    match name.rsplit_once('.').map_or("", |(_, ending)| ending) {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "wasm" => "application/wasm",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" => "image/jpeg",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "woff" => "font/woff",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_never_kept_and_its_files_have_a_known_kind() {
        assert_eq!(web().cache_control, "no-store");
        assert!(web().body.starts_with(b"<!doctype html>"));
        assert_eq!((asset(WEB), asset("index.html"), asset("../Cargo.toml")), (None, None, None));
        for (name, _) in FILES.iter().filter(|(name, _)| name.starts_with("assets/")) {
            let asset = asset(name).unwrap();
            assert!(asset.cache_control.ends_with("immutable"), "{name}");
            assert_ne!(asset.content_type, "application/octet-stream", "{name}");
        }
    }
}
