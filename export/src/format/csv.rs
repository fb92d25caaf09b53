//! `csv`: every pointer, key, window and marker message of a bundle as a line of a table, in order of time.

use std::path::Path;

use praxis_bundle::{Track, file};
use serde_json::Value;

use super::{Bundle, Format, Written, create};
use crate::{Error, Result};

/// Columns beside `session_time_nanos` and `track`, and where in a message they are.
const COLUMNS: [(&str, &[&str]); 20] = [
    ("kind", &["kind"]),
    ("x_px", &["x_px"]),
    ("y_px", &["y_px"]),
    ("display", &["display"]),
    ("button", &["button"]),
    ("dx", &["dx"]),
    ("dy", &["dy"]),
    ("modifiers", &["modifiers"]),
    ("text", &["text"]),
    ("keysym", &["keysym"]),
    ("keycode", &["keycode"]),
    ("repeat", &["repeat"]),
    ("layout", &["layout"]),
    ("source_millis", &["source_millis"]),
    ("window_title", &["active", "title"]),
    ("window_class", &["active", "class"]),
    ("label", &["label"]),
    ("gap_track", &["track"]),
    ("gap_reason", &["reason"]),
    ("gap_detail", &["detail"]),
];
pub(super) struct Csv;

impl Format for Csv {
    fn write(&self, bundle: &Bundle<'_>, folder: &Path) -> Result<Written> {
        let path = folder.join(bundle.split).join(format!("{}.csv", bundle.id()));
        let failed = |error: csv::Error| match error.into_kind() {
            csv::ErrorKind::Io(source) => Error::io(format!("writing {}", path.display()))(source),
            other => Error::coding("a table")(&format!("{other:?}")),
        };
        let mut out = csv::Writer::from_writer(create(&path)?);
        let names = COLUMNS.iter().map(|(name, _)| *name);
        out.write_record(["session_time_nanos", "track"].into_iter().chain(names)).map_err(failed)?;
        let is_listed =
            |track: Track| matches!(track, Track::Pointer | Track::Keys | Track::Windows | Track::Markers);
        let (mut failure, mut last_window) = (None, Vec::new());
        file::for_each_event(&bundle.session.path, is_listed, |track, nanos, fields| {
            if failure.is_none() {
                let message = Value::Object(fields);
                let cells: Vec<_> = COLUMNS
                    .iter()
                    .map(|(_, place)| cell(place.iter().fold(&message, |value, key| &value[key])))
                    .collect();
                // Others than the active window, and places, are not in the table.
                if track == Track::Windows && std::mem::replace(&mut last_window, cells.clone()) == cells {
                    return Ok(());
                }
                failure = out.write_record([nanos.to_string(), track.name()].into_iter().chain(cells)).err();
            }
            Ok(())
        })?;
        failure.map_or(Ok(()), Err).map_err(failed)?;
        out.flush().map_err(Error::io(format!("writing {}", path.display())))?;
        Ok(Written { steps: bundle.steps.len() as u64, left_out: 0 })
    }
}

/// A value as a cell of a table: lists with `+` between, nothing for what is missing.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(cell).collect::<Vec<_>>().join("+"),
        other => other.to_string(),
    }
}
