//! `praxis list`, `recover`, `seal` and `delete`.

use std::path::Path;

use anyhow::{Context as _, Result};
use praxis_bundle::file::{self, LIVE_SUFFIX};
use praxis_bundle::finish::write_finished;
use praxis_bundle::storage::Disk;
use praxis_bundle::{Profile, Recovery};
use praxis_capture_core::library::{self, Entry, Recovered, SessionState};
use serde_json::json;

use super::{clock_text, library_folder, printable, size_text};
use crate::Done;
use crate::args::{List, Recover};
use crate::terminal::{print, say, show_sealing, show_status};

pub(crate) fn list(arguments: &List) -> Result<Done> {
    let folder = library_folder(arguments.out.as_ref())?;
    anyhow::ensure!(!folder.is_file(), "{} is a file: give the folder of the sessions", folder.display());
    let recovered = library::recover_interrupted(&folder)?;
    let done = if recovered.damaged.is_empty() { Done::Fine } else { Done::DataLost };
    say_what_was_lost(recovered);
    let entries = library::list(&folder)?;
    if arguments.json {
        let rows: Vec<_> = entries.iter().map(row).collect();
        print(&serde_json::to_string_pretty(&rows)?)?;
        return Ok(done);
    }
    if entries.is_empty() {
        eprintln!("no sessions in {}: praxis record makes one", folder.display());
    }
    for entry in &entries {
        let (length, size, title) = match &entry.info {
            Ok(info) => {
                let title = printable(info.manifest.title.as_deref().unwrap_or_default());
                (clock_text(info.duration_nanos), size_text(info.bytes), title)
            }
            Err(error) => (String::new(), String::new(), error.to_string()),
        };
        let (state, path) = (state_name(entry), entry.path.display());
        print(&format!("{state:<11} {length:>10} {size:>9}  {path}  {title}"))?;
    }
    Ok(done)
}

/// Names what recovery could not keep, and what it could not recover.
pub(super) fn say_what_was_lost(recovered: Recovered) {
    for (path, num_damages) in recovered.damaged {
        say(&format!(
            "{} had {num_damages} damaged stretches: praxis info names them; the damaged file is kept beside it",
            path.display()
        ));
    }
    for (path, error) in recovered.left {
        let why = anyhow::Error::new(error);
        say(&format!("{} was interrupted and could not be recovered: {why:#}", path.display()));
    }
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
    file::open(&arguments.file)?;
    anyhow::ensure!(
        !library::is_held(&arguments.file),
        "{} is being recorded or sealed: stop the recording, or wait",
        arguments.file.display()
    );
    anyhow::ensure!(
        !target.exists(),
        "{} is there already: give another file to write to with -o",
        target.display()
    );
    let rewritten = write_finished(&Disk, &arguments.file, &target, Profile::Recover)
        .with_context(|| format!("{} cannot be recovered", arguments.file.display()))?;
    print(&target.display().to_string())?;
    Ok(report(rewritten.recovery.as_ref()))
}

pub(crate) fn seal(path: &Path) -> Result<Done> {
    let sealed = library::seal_on(&Disk, path, &show_sealing)
        .with_context(|| format!("{} cannot be sealed; it is left as it is", path.display()))?;
    show_status("");
    print(&sealed.path.display().to_string())?;
    if let Some(kept) = &sealed.kept {
        say(&format!("the damaged file is kept as {}", kept.display()));
    }
    Ok(report(sealed.recovery.as_ref()))
}

/// Says what was left out, if anything was.
fn report(recovery: Option<&Recovery>) -> Done {
    let Some(recovery) = recovery else { return Done::Fine };
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
        eprintln!(
            "the session has no end of its own: it was interrupted, and its last half second may be missing"
        );
    }
    Done::DataLost
}

pub(crate) fn delete(path: &Path) -> Result<Done> {
    library::delete(path).with_context(|| format!("{} is not deleted", path.display()))?;
    eprintln!("deleted {}", path.display());
    Ok(Done::Fine)
}
