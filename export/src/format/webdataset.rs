//! `webdataset`: tar files whose samples are steps: `.json`, `.png` (before), `.after.png` and, where somebody spoke, `.wav`.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use super::row::{Kept, Row};
use super::wav::wav_of;
use super::{Bundle, Format, Written, create};
use crate::{Error, Result};

pub(super) struct Webdataset;

impl Format for Webdataset {
    fn write(&self, bundle: &Bundle<'_>, folder: &Path) -> Result<Written> {
        let id = bundle.id();
        let mut shards = Shards {
            folder: folder.join(bundle.split),
            id: id.clone(),
            most_bytes: bundle.options.shard_bytes,
            number: 0,
            tar: None,
        };
        let ending = bundle.options.pictures.coding.ending();
        let mut written = Written::default();
        bundle.for_each_step(true, |whole| {
            let Some(before) = &whole.before else {
                written.left_out += 1;
                return Ok(());
            };
            let key = format!("{id}/{:06}", whole.step.index);
            let name = |kept: Kept| match kept {
                Kept::Before(_) => format!("{key}.{ending}"),
                Kept::After(_) => format!("{key}.after.{ending}"),
            };
            let json = serde_json::to_vec(&Row::of(bundle, &whole, name))
                .map_err(|error| Error::coding("a step")(&error))?;
            let mut files =
                vec![(format!("{key}.json"), json), (name(Kept::Before(0)), before.bytes.clone())];
            if let Some(after) = &whole.after {
                files.push((name(Kept::After(0)), after.bytes.clone()));
            }
            if let Some(voice) = &whole.voice {
                files.push((format!("{key}.wav"), wav_of(voice)?));
            }
            written.steps += 1;
            shards.add(&files)
        })?;
        shards.close()?;
        Ok(written)
    }
}

/// Tar files, each closed when it is large enough.
struct Shards {
    folder: PathBuf,
    id: String,
    most_bytes: u64,
    number: u32,
    tar: Option<(tar::Builder<BufWriter<File>>, u64)>,
}

impl Shards {
    /// Adds the files of a sample, which stay together.
    fn add(&mut self, files: &[(String, Vec<u8>)]) -> Result<()> {
        let failed = || Error::io("writing a tar file");
        let (tar, bytes) = match &mut self.tar {
            Some(open) => open,
            none => {
                let path = self.folder.join(format!("{}-{:06}.tar", self.id, self.number));
                none.insert((tar::Builder::new(BufWriter::new(create(&path)?)), 0))
            }
        };
        for (name, content) in files {
            let mut header = tar::Header::new_ustar();
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            tar.append_data(&mut header, name, &content[..]).map_err(failed())?;
            *bytes += content.len() as u64 + 512;
        }
        if *bytes >= self.most_bytes {
            self.close()?;
        }
        Ok(())
    }

    fn close(&mut self) -> Result<()> {
        let Some((tar, _)) = self.tar.take() else { return Ok(()) };
        self.number += 1;
        tar.into_inner().and_then(|mut file| file.flush()).map_err(Error::io("writing a tar file"))
    }
}
