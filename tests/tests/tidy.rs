//! House rules that a machine can check.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Files over 600 lines, each with its reason.
const LONG_FILES: [(&str, &str); 0] = [];
/// Who may depend on whom inside the workspace.
const MEMBERS: [(&str, &[&str]); 9] = [
    ("praxis-bundle", &[]),
    ("praxis-actions", &["praxis-bundle"]),
    ("praxis-export", &["praxis-bundle", "praxis-actions"]),
    ("praxis-page", &[]),
    ("praxis-capture-core", &["praxis-bundle"]),
    ("praxis-collector", &["praxis-bundle", "praxis-actions", "praxis-export", "praxis-page"]),
    (
        "praxis-cli",
        &["praxis-bundle", "praxis-actions", "praxis-export", "praxis-page", "praxis-capture-core"],
    ),
    ("praxis-desktop", &["praxis-bundle", "praxis-actions", "praxis-page", "praxis-capture-core"]),
    ("praxis-tests", &["praxis-bundle", "praxis-capture-core"]),
];
/// Outside crates with few homes (the tests may use them, too).
const HOMES: [(&str, &[&str]); 15] = [
    ("axum", &["praxis-collector", "praxis-cli"]),
    ("arrow-array", &["praxis-export"]),
    ("arrow-schema", &["praxis-export"]),
    ("parquet", &["praxis-export"]),
    ("foxglove", &["praxis-export"]),
    ("http-range-header", &["praxis-page"]),
    ("keyring", &["praxis-capture-core"]),
    ("reqwest", &["praxis-capture-core", "praxis-cli"]),
    ("alsa", &["praxis-capture-core"]),
    ("cpal", &["praxis-capture-core"]),
    ("x11rb", &["praxis-capture-core"]),
    ("xkbcommon", &["praxis-capture-core"]),
    ("flacenc", &["praxis-bundle"]),
    ("mcap", &["praxis-bundle", "praxis-export"]),
    ("tauri", &["praxis-desktop"]),
];

/// Where `cfg` on the system chooses among files.
const SEAMS: [&str; 6] = [
    "bundle/src/storage.rs",
    "capture-core/src/sources/mod.rs",
    "capture-core/src/sources/native/mod.rs",
    "capture-core/src/system/mod.rs",
    "cli/src/system/mod.rs",
    "src-tauri/src/system/mod.rs",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The files that git knows, with their text.
fn files(endings: &[&str]) -> Vec<(String, String)> {
    let output =
        Command::new("git").args(["ls-files", "-co", "--exclude-standard"]).current_dir(root()).output();
    let listed = String::from_utf8(output.expect("git is installed").stdout).unwrap();
    let wanted = |name: &&str| endings.iter().any(|ending| name.ends_with(ending));
    let read =
        |name: &str| std::fs::read_to_string(root().join(name)).ok().map(|text| (name.to_owned(), text));
    let files: Vec<_> = listed.lines().filter(wanted).filter_map(read).collect();
    assert!(!files.is_empty(), "no files end in {endings:?}");
    files
}

fn metadata() -> Value {
    let cargo = std::env::var("CARGO").unwrap_or("cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--locked"])
        .current_dir(root())
        .output();
    serde_json::from_slice(&output.unwrap().stdout).unwrap()
}

#[test]
fn every_source_file_says_first_what_it_is_and_stays_short() {
    for (name, text) in files(&[".rs"]) {
        assert!(text.starts_with("//! "), "{name} does not begin with //!");
        let num_lines = text.lines().count();
        let is_excused = LONG_FILES.iter().any(|(file, _)| *file == name);
        assert!(
            num_lines <= 600 || is_excused,
            "{name} has {num_lines} lines: split it, or write down why not"
        );
    }
}

#[test]
fn nothing_unfinished_and_no_unwrap_outside_tests() {
    let words = ["todo!(", "unimplemented!(", "dbg!(", concat!("FIX", "ME"), concat!("XX", "X")];
    for (name, text) in files(&[".rs", ".md", ".toml", ".py", "Makefile", "setup", "check-platforms"]) {
        let is_this = name.ends_with("tidy.rs");
        let found = words.iter().find(|word| text.contains(**word));
        assert!(is_this || found.is_none(), "{name} contains {found:?}");
        let is_suite = name == "tests/src/contract.rs";
        let is_test = is_suite
            || ["tests/tests/", "bundle/tests/", "fuzz/"].iter().any(|folder| name.starts_with(folder))
            || name.ends_with("tests.rs")
            || !name.ends_with(".rs");
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        assert!(is_test || !code.contains(".unwrap()"), "{name} unwraps outside tests");
        let ignored = concat!("#[ig", "nore");
        assert!(is_this || !text.contains(ignored), "{name} has a test that does not run");
        let places = [concat!("/ro", "ot/"), concat!("/wo", "rk/"), concat!("/ho", "me/")];
        let place = places.iter().find(|place| text.contains(**place));
        assert!(place.is_none(), "{name} names a place of one machine: {place:?}");
    }
}

#[test]
fn the_system_is_asked_for_in_few_places() {
    let is_about_system = |line: &str| {
        line.contains(concat!("cf", "g"))
            && ["target_os", "unix", "windows"].iter().any(|it| line.contains(it))
    };
    for (name, text) in files(&[".rs"]).into_iter().filter(|(name, _)| !SEAMS.contains(&&name[..])) {
        let found = text.lines().find(|line| is_about_system(line));
        // An attribute of a whole program.
        let is_fine = found.is_none_or(|line| line.contains("windows_subsystem"));
        assert!(is_fine || name.ends_with("tidy.rs"), "{name} asks for the system: {found:?}");
    }
}

#[test]
fn tests_wait_for_events_and_never_sleep_and_hope() {
    for (name, text) in files(&[".rs"]).into_iter().filter(|(name, _)| name.contains("tests/")) {
        let is_pacing = name == "tests/src/desktop.rs" || name.ends_with("tidy.rs");
        assert!(is_pacing || !text.contains("thread::sleep"), "{name} sleeps: use wait_until or let_pass");
    }
}

#[test]
fn dependencies_point_one_way_and_each_outside_crate_has_one_home() {
    let metadata = metadata();
    let members: Vec<&str> =
        metadata["workspace_members"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    let packages = metadata["packages"].as_array().unwrap();
    for package in packages.iter().filter(|package| members.contains(&package["id"].as_str().unwrap())) {
        let name = package["name"].as_str().unwrap();
        let allowed =
            MEMBERS.iter().find(|(member, _)| *member == name).unwrap_or_else(|| panic!("{name} is new")).1;
        for dependency in package["dependencies"].as_array().unwrap() {
            let needed = dependency["name"].as_str().unwrap();
            assert!(
                !needed.starts_with("praxis-") || allowed.contains(&needed),
                "{name} must not need {needed}"
            );
            let homes = HOMES.iter().find(|(outside, _)| *outside == needed).map(|(_, homes)| *homes);
            let is_home = homes.is_none_or(|homes| homes.contains(&name) || name == "praxis-tests");
            assert!(is_home, "{needed} belongs into {homes:?}, not into {name}");
            // Bundles are written by our own code; foreign MCAP files are not.
            let is_for_tests = dependency["kind"] == "dev" || name == "praxis-export";
            assert!(needed != "mcap" || is_for_tests, "mcap is for tests only");
        }
    }
}

#[test]
fn every_dependency_has_a_licence_that_deny_toml_allows() {
    let deny = std::fs::read_to_string(root().join("deny.toml")).unwrap();
    let line =
        deny.lines().find_map(|line| line.strip_prefix("allow = ")).expect("deny.toml has an allow list");
    let allowed: BTreeSet<String> = serde_json::from_str(line).unwrap();
    for package in metadata()["packages"].as_array().unwrap() {
        let name = package["name"].as_str().unwrap();
        let licence = package["license"].as_str().unwrap_or("none").replace('/', " OR ");
        let is_allowed = |part: &str| allowed.contains(part.trim().trim_matches(['(', ')']));
        // Either of the alternatives will do, but all parts of it.
        let is_fine = licence.split(" OR ").any(|choice| choice.split(" AND ").all(is_allowed))
            || licence.split(" AND ").all(|part| part.split(" OR ").any(is_allowed));
        assert!(is_fine, "{name} has the licence {licence}");
    }
}

/// The command that a line of help begins with; a line that goes on with the text before begins with none.
fn command_of(line: &str) -> Option<&str> {
    line.strip_prefix("  ").filter(|line| !line.starts_with(' '))?.split_whitespace().next()
}

#[test]
fn documents_link_to_files_that_exist_and_name_every_command() {
    for (name, text) in files(&[".md"]) {
        let folder = root().join(&name).parent().unwrap().to_owned();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = link.split('#').next().unwrap_or_default();
            let is_there = file.is_empty() || link.contains("://") || folder.join(file).exists();
            assert!(is_there, "{name} links to {link}, which is not there");
        }
    }
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let help = praxis_tests::praxis::ok(&["help"]).unwrap();
    let commands =
        help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    for command in commands.filter_map(command_of) {
        assert!(
            command == "help" || readme.contains(&format!("praxis {command}")),
            "README.md lacks praxis {command}"
        );
    }
    assert!(std::fs::read_to_string(root().join("CHANGELOG.md")).unwrap().contains("## [Unreleased]"));
}
