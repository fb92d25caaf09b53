//! `vtt` and `srt`: the transcript that lies beside a bundle.

use std::io::Write;
use std::path::Path;

use super::{Bundle, Format, Written, create};
use crate::transcript::{to_srt, to_vtt};
use crate::{Error, Result};

pub(super) enum Text {
    Vtt,
    Srt,
}

impl Format for Text {
    fn write(&self, bundle: &Bundle<'_>, folder: &Path) -> Result<Written> {
        if bundle.said.iter().all(|span| span.text.is_none()) {
            let path = bundle.session.path.clone();
            let instead = "put one beside it, as FILE.transcript.json (of whisper), .vtt or .srt";
            return Err(Error::Lacks { path, what: "transcript", instead });
        }
        let (text, ending) = match self {
            Self::Vtt => (to_vtt(bundle.said), "vtt"),
            Self::Srt => (to_srt(bundle.said), "srt"),
        };
        let path = folder.join(bundle.split).join(format!("{}.{ending}", bundle.id()));
        create(&path)?
            .write_all(text.as_bytes())
            .map_err(Error::io(format!("writing {}", path.display())))?;
        Ok(Written { steps: bundle.steps.len() as u64, left_out: 0 })
    }
}
