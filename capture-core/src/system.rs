//! What the manifest says of the machine: never its name, its user or a path.

use praxis_bundle::manifest::System;

/// The operating system this program runs on.
#[must_use]
pub fn describe() -> System {
    let release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let name = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    System {
        os: std::env::consts::OS.into(),
        name: name.unwrap_or_default().trim_matches('"').into(),
        kernel: rustix::system::uname().release().to_string_lossy().into_owned(),
        arch: std::env::consts::ARCH.into(),
        window_system: "x11".into(),
    }
}
