//! Writes the seeds of every fuzz target into a folder, made from the bundle that the end-to-end tests use.

use std::path::Path;

use anyhow::{Context, Result};
use praxis_bundle::manifest::MANIFEST_NAME;
use praxis_bundle::record::{op, parse_json_metadata};
use praxis_bundle::scan::{Item, messages, scan};
use praxis_bundle::{Channel, Profile, Track, rewrite};
use praxis_fuzz::unpacked;

#[allow(dead_code, reason = "the tests use more of it")]
#[path = "../../tests/src/fixture.rs"]
mod fixture;

fn main() -> Result<()> {
    let folder = std::env::args().nth(1).context("usage: seeds FOLDER")?;
    let folder = Path::new(&folder);
    let seed = |target: &str, name: String, bytes: &[u8]| -> Result<()> {
        let folder = folder.join(target);
        std::fs::create_dir_all(&folder)?;
        Ok(std::fs::write(folder.join(name), bytes)?)
    };
    let scratch = tempfile::tempdir()?;
    let path = scratch.path().join("live.mcap");
    fixture::write_live(&path)?;
    let live = std::fs::read(&path)?;
    let finished = |source: &[u8], profile| -> Result<Vec<u8>> {
        let mut out = Vec::new();
        rewrite(source, &mut out, profile)?;
        Ok(out)
    };
    let cut = &live[..live.len() * 3 / 4];
    let files = [
        ("live", live.clone()),
        ("cut", cut.to_vec()),
        ("sealed", finished(&live, Profile::Seal)?),
        ("recovered", finished(cut, Profile::Recover)?),
    ];
    for (name, bytes) in &files {
        for target in ["scan", "recover", "actions"] {
            seed(target, (*name).to_owned(), bytes)?;
            seed(target, format!("{name}-unpacked"), &unpacked(bytes))?;
        }
    }
    let (mut pictures, mut n) = (Vec::new(), 0);
    for (_, bytes) in &files {
        scan(&bytes[..], |item| {
            match item {
                Item::Record { opcode: op::METADATA, content, .. } => {
                    let (name, json) = parse_json_metadata(&content)?;
                    drop(seed("json_tracks", format!("{name}-{}", name == MANIFEST_NAME), json.as_bytes()));
                }
                Item::Chunk { records, .. } => {
                    for (_, message) in messages(&records) {
                        n += 1;
                        match Channel::from_id(message.channel).map(|channel| channel.track) {
                            Some(Track::Screen(_)) => {
                                pictures.push(0);
                                pictures.extend_from_slice(&(message.data.len() as u16).to_le_bytes());
                                pictures.extend_from_slice(message.data);
                            }
                            Some(Track::Narration) => drop(seed("narration", n.to_string(), message.data)),
                            _ => drop(seed("json_tracks", n.to_string(), message.data)),
                        }
                    }
                }
                _ => {}
            }
            Ok(())
        })?;
        seed("picture", n.to_string(), &pictures)?;
        pictures.clear();
    }
    Ok(())
}
