//! Exports onto a disk that gets full: a small file system of its own, in a namespace that may mount one (Linux, `unshare`).

use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::praxis::{path, program};

const FORMATS: [&str; 6] = ["jsonl", "parquet", "webdataset", "owamcap", "lerobot", "mp4"];
/// What the shell says when one step ends and the next begins.
const STEP: &str = "--- ";

/// Exports in each format onto a disk that has too little room, then again when it has more; returns how many formats passed.
///
/// # Errors
/// If something half-written is left, the message does not say what to do, or the export does not go on.
pub fn exports_onto_a_full_disk() -> Result<u32> {
    let folder = tempfile::tempdir()?;
    let bundle = folder.path().join("worked.mcap");
    let made = Command::new(program("examples/long_bundle")?).arg(&bundle).args(["1", "input"]).status()?;
    ensure!(made.success(), "long_bundle: {made}");
    let disk = folder.path().join("disk");
    std::fs::create_dir(&disk)?;
    for format in FORMATS {
        let script = format!(
            "mount -t tmpfs -o size=256k tmpfs \"$1\" || exit 9
             export_it() {{ \"$0\" export \"$2\" --format {format} --out \"$1/out\" 2>&1; echo \"{STEP}$?\"; }}
             export_it \"$@\"
             (cd \"$1/out\" && find . -type f | sort)
             echo '{STEP}listed'
             mount -o remount,size=1g \"$1\" && export_it \"$@\""
        );
        let praxis = program("praxis")?;
        let output = Command::new("unshare")
            .args(["--user", "--map-root-user", "--mount", "sh", "-c", &script])
            .args([path(&praxis), path(&disk), path(&bundle)])
            .output()
            .context("unshare")?;
        let said = String::from_utf8_lossy(&output.stdout);
        ensure!(
            output.status.success(),
            "{format}: no disk could be mounted: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let parts: Vec<&str> = said.split(STEP).collect();
        let [full, listed, again, code] = parts[..] else {
            anyhow::bail!("{format}: {said}");
        };
        ensure!(full.contains("No space left on device"), "{format} does not say why: {full}");
        ensure!(
            full.contains("Make room") && listed.starts_with("1\n"),
            "{format} does not say what to do: {said}"
        );
        ensure!(listed.trim() == "1\n./export.json", "{format} leaves something half-written: {listed}");
        ensure!(again.contains("1 bundles") && code.trim() == "0", "{format} does not go on: {again}{code}");
        println!("{format}: {}", full.trim());
    }
    Ok(FORMATS.len() as u32)
}
