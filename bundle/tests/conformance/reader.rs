//! Reads a file with the public reader, and compares with what its twin says.

use std::collections::BTreeMap;
use std::path::Path;

use praxis_bundle::scan::{Facts, Item, messages, scan};
use praxis_bundle::screen::{Decoder, Header, MAX_DECODER_DIFFERENCE, Picture};
use praxis_bundle::{Channel, Error, Track, file, narration};
use serde_json::{Map, Value, json};

use crate::picture::shown;
use crate::story::{Voice, in_twin};

/// What the reader finds, in the words of the twins.
pub(crate) fn read(path: &Path) -> Value {
    read_all(path).unwrap_or_else(|error| json!({"refused": name_of(&error)}))
}

fn name_of(error: &Error) -> &'static str {
    match error {
        Error::NotMcap => "not_mcap",
        Error::ForeignProfile { .. } => "foreign_profile",
        Error::NewerFormat { .. } => "newer_format",
        Error::NoManifest => "no_manifest",
        Error::LostPicture { .. } => "lost_picture",
        Error::UnreadablePicture { .. } => "unreadable_picture",
        Error::NoPicture { .. } => "no_picture",
        other => panic!("{other}"),
    }
}

fn read_all(path: &Path) -> praxis_bundle::Result<Value> {
    let (mut facts, mut unreadable) = (Facts::default(), Vec::new());
    let (mut voice, mut sound) = (Voice::default(), Voice::default());
    let mut tracks = Map::new();
    let mut decoders: BTreeMap<Track, Decoder> = BTreeMap::new();
    scan(&file::open(path)?, |item| {
        facts.note(&item)?;
        if let Item::Damage { start, end, .. } = item {
            unreadable.push(json!([start, end]));
        }
        let Item::Chunk { records, .. } = item else { return Ok(()) };
        let epoch = facts.manifest()?.epoch_wall_nanos;
        for (_, message) in messages(&records) {
            let channel = Channel::from_id(message.channel).unwrap();
            let nanos = message.log_time - epoch;
            let mut found = match channel.track {
                track @ (Track::Narration | Track::Sound) => {
                    let heard = if track == Track::Sound { &mut sound } else { &mut voice };
                    heard.add(nanos, &narration::decode(message.data)?);
                    continue;
                }
                Track::Screen(display) => {
                    let decoder = decoders.entry(channel.track).or_insert_with(|| Decoder::new(display));
                    let mut found = match decoder.apply(message.sequence, message.data) {
                        Ok(picture) => picture_in_twin(picture),
                        Err(Error::LostPicture { .. }) => json!({"is_lost": true}),
                        Err(error) => return Err(error),
                    };
                    let (header, _) = Header::parse(message.data)?;
                    assert_eq!((header.is_key, header.times.capture_end), (channel.is_key, nanos));
                    found["is_key"] = json!(channel.is_key);
                    found
                }
                _ => {
                    json!({"message": in_twin(&serde_json::from_slice(message.data).unwrap())})
                }
            };
            found["nanos"] = json!(nanos.to_string());
            found["sequence"] = json!(message.sequence);
            let list = tracks.entry(channel.track.name()).or_insert_with(|| json!([]));
            list.as_array_mut().unwrap().push(found);
        }
        Ok(())
    })?;
    Ok(json!({
        "is_complete": facts.is_complete,
        "is_sealed": facts.seal.is_some(),
        "manifest": in_twin(&json!(facts.manifest()?)),
        "ending": in_twin(&json!(facts.ending)),
        "recovery": in_twin(&json!(facts.recovery)),
        "unreadable": unreadable,
        "tracks": tracks,
        "narration": voice.finish(),
        "sound": sound.finish(),
    }))
}

fn picture_in_twin(picture: &Picture) -> Value {
    let mut found = shown(picture.width_px, picture.height_px, &picture.bgr, &picture.is_lossy);
    found["first_damage_nanos"] = json!(picture.times.first_damage.to_string());
    found["capture_start_nanos"] = json!(picture.times.capture_start.to_string());
    found
}

/// Equal in everything, but means of lossy tiles may differ by what two decoders may.
pub(crate) fn compare(path: &Path, found: &Value, twin: &Value) {
    let (mut found, mut twin) = (found.clone(), twin.clone());
    if let Some(twin) = twin.as_object_mut() {
        twin.remove("seeks");
    }
    let names: Vec<String> =
        twin["tracks"].as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect();
    for name in names {
        let (Some(found), Some(twin)) =
            (found["tracks"][&name].as_array_mut(), twin["tracks"][&name].as_array_mut())
        else {
            panic!("{}: {name} is missing", path.display());
        };
        for (found, twin) in found.iter_mut().zip(twin) {
            align_means(found, twin);
            assert_eq!(found, twin, "{} {name}", path.display());
        }
    }
    assert_eq!(found, twin, "{}", path.display());
}

/// Takes over the twin's means where they are near.
fn align_means(found: &mut Value, twin: &Value) {
    let Some(found) = found.get_mut("lossy").and_then(Value::as_object_mut) else { return };
    let Some(twin) = twin["lossy"].as_object() else { return };
    for (tile, mean) in found {
        let Some(stated) = twin.get(tile) else { continue };
        let values =
            |mean: &Value| mean.as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect();
        let (ours, theirs): (Vec<f64>, Vec<f64>) = (values(mean), values(stated));
        let limit = f64::from(MAX_DECODER_DIFFERENCE);
        if ours.iter().zip(&theirs).all(|(ours, theirs)| (ours - theirs).abs() <= limit) {
            *mean = stated.clone();
        }
    }
}

/// Seeks to each picture, just before the next, and to the times that the twin names.
pub(crate) fn seek(path: &Path, twin: &Value) {
    for (name, pictures) in twin["tracks"].as_object().into_iter().flatten() {
        let Some(Track::Screen(display)) = Track::from_name(name) else { continue };
        for twin in pictures.as_array().unwrap().iter().filter(|picture| picture["is_lost"].is_null()) {
            let nanos = twin["nanos"].as_str().unwrap().parse().unwrap();
            let picture = file::picture_at(path, display, nanos).unwrap();
            let mut found = picture_in_twin(&picture);
            align_means(&mut found, twin);
            for field in ["sha256", "lossy", "width_px", "height_px", "capture_start_nanos"] {
                assert_eq!(found[field], twin[field], "{} {name} at {nanos}: {field}", path.display());
            }
        }
    }
    for seek in twin["seeks"].as_array().into_iter().flatten() {
        let (display, nanos) = (seek["display"].as_u64().unwrap(), seek["nanos"].as_str().unwrap());
        let found = file::picture_at(path, display as u8, nanos.parse().unwrap());
        let found =
            found.map(|picture| picture.times.capture_end.to_string()).map_err(|error| name_of(&error));
        let name = format!("screen/{display}");
        let stated = match seek["error"].as_str() {
            Some(error) => Err(error),
            None => {
                let pictures = twin["tracks"][&name].as_array().unwrap();
                let picture = pictures.iter().find(|picture| picture["sequence"] == seek["sequence"]);
                Ok(picture.unwrap()["nanos"].as_str().unwrap().to_owned())
            }
        };
        assert_eq!(found, stated, "{} {name} at {nanos}", path.display());
    }
}
