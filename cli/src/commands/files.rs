//! `praxis list`, `recover`, `seal` and `delete`.

use std::path::Path;

use anyhow::{Context as _, Result};
use praxis_bundle::Profile;
use praxis_bundle::file::{self, LIVE_SUFFIX};
use praxis_bundle::rewrite::Rewritten;
use praxis_capture_core::library::{self, Entry, SessionState};
use serde_json::json;

use super::{clock_text, size_text};
use crate::Done;
use crate::args::{List, Recover};
use crate::terminal::print;

pub(crate) fn list(arguments: &List) -> Result<Done> {
    let folder = arguments.out.clone().unwrap_or_else(library::default_folder);
    let recovered = library::recover_interrupted(&folder)?;
    for (path, error) in &recovered.left {
        eprintln!("praxis: {} was interrupted and could not be recovered: {error}", path.display());
    }
    let entries = library::list(&folder)?;
    if arguments.json {
        let rows: Vec<_> = entries.iter().map(row).collect();
        print(&serde_json::to_string_pretty(&rows)?)?;
        return Ok(Done::Fine);
    }
    if entries.is_empty() {
        eprintln!("no sessions in {}: praxis record makes one", folder.display());
    }
    for entry in &entries {
        let (length, size, title) = match &entry.info {
            Ok(info) => {
                let title = info.manifest.title.clone().unwrap_or_default();
                (clock_text(info.duration_nanos), size_text(info.bytes), title)
            }
            Err(error) => (String::new(), String::new(), error.to_string()),
        };
        let (state, path) = (state_name(entry), entry.path.display());
        print(&format!("{state:<11} {length:>10} {size:>9}  {path}  {title}"))?;
    }
    Ok(Done::Fine)
}

fn state_name(entry: &Entry) -> &'static str {
    match (entry.state, &entry.info) {
        (SessionState::Recording, _) => "recording",
        (SessionState::Interrupted, _) => "interrupted",
        (SessionState::Unsealed, _) => "unsealed",
        (SessionState::Sealed, Ok(info)) if info.recovery.is_some() => "recovered",
        (SessionState::Sealed, _) => "sealed",
        (SessionState::Unreadable, _) => "unreadable",
    }
}

fn row(entry: &Entry) -> serde_json::Value {
    let info = entry.info.as_ref().ok();
    json!({
        "path": entry.path.display().to_string(),
        "state": state_name(entry),
        "session_id": info.map(|info| info.manifest.session_id),
        "title": info.and_then(|info| info.manifest.title.clone()),
        "duration_nanos": info.map(|info| info.duration_nanos),
        "bytes": info.map(|info| info.bytes),
    })
}

pub(crate) fn recover(arguments: &Recover) -> Result<Done> {
    let target = arguments.output.clone().unwrap_or_else(|| {
        let name = arguments.file.to_string_lossy();
        let stem = name.strip_suffix(LIVE_SUFFIX).or_else(|| name.strip_suffix(".mcap")).unwrap_or(&name);
        format!("{stem}.recovered.mcap").into()
    });
    anyhow::ensure!(
        target != arguments.file,
        "recovery does not write over its source: give another file with -o"
    );
    let rewritten = file::write_finished(&arguments.file, &target, Profile::Recover)
        .with_context(|| format!("{} cannot be recovered", arguments.file.display()))?;
    print(&target.display().to_string())?;
    Ok(report(&rewritten))
}

pub(crate) fn seal(path: &Path) -> Result<Done> {
    let (sealed, rewritten) = library::seal(path)
        .with_context(|| format!("{} cannot be sealed; it is left as it is", path.display()))?;
    print(&sealed.display().to_string())?;
    Ok(report(&rewritten))
}

/// Says what was left out, if anything was.
fn report(rewritten: &Rewritten) -> Done {
    let Some(recovery) = &rewritten.recovery else { return Done::Fine };
    for damage in &recovery.damages {
        let until = damage.before_nanos.map_or("the end".into(), clock_text);
        let from = clock_text(damage.after_nanos);
        eprintln!(
            "lost between {from} and {until}: bytes {} to {}: {}",
            damage.start_byte, damage.end_byte, damage.why
        );
    }
    if recovery.lost_pictures > 0 {
        eprintln!("{} pictures were left out: the ones they build on are lost", recovery.lost_pictures);
    }
    if recovery.damages.is_empty() {
        eprintln!("the session has no end of its own: it was interrupted");
    }
    Done::DataLost
}

pub(crate) fn delete(path: &Path) -> Result<Done> {
    library::delete(path)?;
    eprintln!("deleted {}", path.display());
    Ok(Done::Fine)
}
