//! `jsonl`: a folder for each bundle with `session.json`, `steps.jsonl` (a line for each step) and the pictures as files.

use std::io::{BufWriter, Write};
use std::path::Path;

use serde_json::json;

use super::row::{Kept, Row};
use super::{Bundle, Format, Written, create, put_image};
use crate::{Error, Result};

pub(super) struct Jsonl;

impl Format for Jsonl {
    fn write(&self, bundle: &Bundle<'_>, folder: &Path) -> Result<Written> {
        let folder = folder.join(bundle.split).join(bundle.id());
        let path = folder.join("steps.jsonl");
        let failed = || Error::io(format!("writing {}", path.display()));
        let mut out = BufWriter::new(create(&path)?);
        std::fs::create_dir_all(folder.join("images")).map_err(failed())?;
        let session = bundle.session;
        let about = json!({
            "manifest": session.manifest, "ending": session.ending, "duration_nanos": session.duration_nanos,
            "bundle_sha256": session.sha256, "unreadable_bytes": session.unreadable_bytes,
            "reducer_version": session.answer.reducer_version, "parameters": session.answer.parameters,
            "left_out": session.answer.left_out,
        });
        std::fs::write(folder.join("session.json"), format!("{about:#}\n")).map_err(failed())?;
        let mut written = Written::default();
        bundle.for_each_step(false, |whole| {
            let display = whole.step.display;
            let ending = bundle.options.pictures.coding.ending();
            let name = |kept: Kept| {
                let (Kept::Before(nanos) | Kept::After(nanos)) = kept;
                format!("images/{display}-{nanos:015}.{ending}")
            };
            let before = whole.step.before.zip(whole.before.as_ref());
            if let Some((before, image)) = before {
                put_image(&folder, &name(Kept::Before(before.captured_nanos)), image)?;
            }
            if let Some((after, image)) = whole.step.after.zip(whole.after.as_ref()) {
                put_image(&folder, &name(Kept::After(after.captured_nanos)), image)?;
            }
            let line = serde_json::to_string(&Row::of(bundle, &whole, name))
                .map_err(|error| Error::coding("a step")(&error))?;
            writeln!(out, "{line}").map_err(failed())?;
            written.steps += 1;
            Ok(())
        })?;
        out.flush().map_err(failed())?;
        Ok(written)
    }
}
