//! `parquet`: tables that Hugging Face's `datasets` loads, with pictures as `Image` and the voice as `Audio`, and a README card with
//! its splits.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::builder::{BinaryBuilder, BooleanBuilder, Float64Builder, Int64Builder, StringBuilder};
use arrow_array::{ArrayRef, RecordBatch, StructArray};
use arrow_schema::{DataType, Field, Fields, Schema};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use serde_json::json;

use super::row::places;
use super::wav::wav_of;
use super::{Bundle, Format, Written, create};
use crate::steps::Whole;
use crate::{Error, Result};

/// Bytes of pictures and voice that wait to become a row group.
const GROUP_BYTES: usize = 8 << 20;
/// The columns, the kind of each, and what it is to `datasets`.
const COLUMNS: [(&str, Kind); 23] = [
    ("bundle_id", Kind::Text),
    ("session_id", Kind::Text),
    ("expert", Kind::Text),
    ("project", Kind::Text),
    ("instruction", Kind::Text),
    ("outcome", Kind::Text),
    ("index", Kind::Int),
    ("kind", Kind::Text),
    ("action", Kind::Text),
    ("start_nanos", Kind::Int),
    ("end_nanos", Kind::Int),
    ("x", Kind::Float),
    ("y", Kind::Float),
    ("to_x", Kind::Float),
    ("to_y", Kind::Float),
    ("text", Kind::Text),
    ("said", Kind::Text),
    ("image", Kind::Image),
    ("image_nanos", Kind::Int),
    ("is_stale", Kind::Flag),
    ("image_after", Kind::Image),
    ("image_after_nanos", Kind::Int),
    ("narration", Kind::Audio),
];

/// Those that hold files.
const FILES: [&str; 3] = ["image", "image_after", "narration"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Int,
    Float,
    Flag,
    Image,
    Audio,
}

pub(super) struct Parquet;

impl Format for Parquet {
    fn write(&self, bundle: &Bundle<'_>, folder: &Path) -> Result<Written> {
        let mut shards = Shards {
            folder: folder.join("data").join(bundle.split),
            id: bundle.id(),
            most_bytes: bundle.options.shard_bytes,
            number: 0,
            open: None,
            table: Table::new(),
        };
        let mut written = Written::default();
        bundle.for_each_step(true, |whole| {
            if whole.before.is_none() {
                written.left_out += 1;
                return Ok(());
            }
            written.steps += 1;
            shards.table.add(bundle, &whole)?;
            shards.flush(false)
        })?;
        shards.flush(true)?;
        Ok(written)
    }

    fn card(&self, splits: &[&str]) -> Option<(&'static str, String)> {
        use std::fmt::Write as _;
        let mut text = "---\nconfigs:\n- config_name: default\n  data_files:\n".to_owned();
        for split in splits {
            // Writing to a string does not fail.
            let _ = write!(text, "  - split: {split}\n    path: data/{split}/*.parquet\n");
        }
        text += "---\n\n# Recorded work, step by step\n\nEach row is an action of an expert: `image` is what was seen before it \
                 (never younger than 50 ms before `start_nanos`), `image_after` what came of it, `narration` what was said. `x` and \
                 `y` are shares of the picture's sides; `action` is the whole action as JSON. All times are nanoseconds since the \
                 session began. `sources/` names each bundle with its SHA-256.\n";
        Some(("README.md", text))
    }
}

struct Shards {
    folder: PathBuf,
    id: String,
    most_bytes: u64,
    number: u32,
    open: Option<(ArrowWriter<File>, u64)>,
    table: Table,
}

impl Shards {
    /// Writes a row group if there is enough for one, or at the end.
    fn flush(&mut self, is_end: bool) -> Result<()> {
        let failed = Error::coding("a Parquet file");
        if self.table.bytes >= GROUP_BYTES || is_end && self.table.rows > 0 {
            let bytes = self.table.bytes as u64;
            let batch = std::mem::replace(&mut self.table, Table::new()).finish()?;
            let (writer, held) = match &mut self.open {
                Some(open) => open,
                none => {
                    let path = self.folder.join(format!("{}-{:05}.parquet", self.id, self.number));
                    let writer =
                        ArrowWriter::try_new(create(&path)?, batch.schema(), Some(properties(&FILES)));
                    none.insert((writer.map_err(|error| failed(&error))?, 0))
                }
            };
            writer.write(&batch).and_then(|()| writer.flush()).map_err(|error| failed(&error))?;
            *held += bytes;
        }
        if self.open.as_ref().is_some_and(|(_, held)| is_end || *held >= self.most_bytes)
            && let Some((writer, _)) = self.open.take()
        {
            self.number += 1;
            writer.close().map_err(|error| failed(&error))?;
        }
        Ok(())
    }
}

/// Rows that become a row group.
struct Table {
    texts: Vec<StringBuilder>,
    ints: Vec<Int64Builder>,
    floats: Vec<Float64Builder>,
    flags: Vec<BooleanBuilder>,
    files: Vec<(BinaryBuilder, StringBuilder)>,
    rows: usize,
    bytes: usize,
}

impl Table {
    fn new() -> Self {
        let count = |wanted: &[Kind]| COLUMNS.iter().filter(|(_, kind)| wanted.contains(kind)).count();
        let file = || (BinaryBuilder::new(), StringBuilder::new());
        Self {
            texts: (0..count(&[Kind::Text])).map(|_| StringBuilder::new()).collect(),
            ints: (0..count(&[Kind::Int])).map(|_| Int64Builder::new()).collect(),
            floats: (0..count(&[Kind::Float])).map(|_| Float64Builder::new()).collect(),
            flags: (0..count(&[Kind::Flag])).map(|_| BooleanBuilder::new()).collect(),
            files: (0..count(&[Kind::Image, Kind::Audio])).map(|_| file()).collect(),
            rows: 0,
            bytes: 0,
        }
    }

    /// Values of a kind are given in the order of the columns of that kind.
    fn add(&mut self, bundle: &Bundle<'_>, whole: &Whole<'_>) -> Result<()> {
        let (manifest, step) = (&bundle.session.manifest, whole.step);
        let coding = |error: serde_json::Error| Error::coding("a step")(&error);
        let action = serde_json::to_value(&step.action).map_err(coding)?;
        let outcome = bundle.session.ending.as_ref().and_then(|ending| ending.outcome);
        let outcome = serde_json::to_value(outcome).map_err(coding)?;
        let said: Vec<&str> = step.narration.iter().filter_map(|span| span.text.as_deref()).collect();
        let id = bundle.id();
        let texts = [
            Some(id.clone()),
            Some(manifest.session_id.to_string()),
            manifest.expert.clone(),
            manifest.project.clone(),
            Some(bundle.instruction().to_owned()),
            outcome.as_str().map(str::to_owned),
            action["kind"].as_str().map(str::to_owned),
            Some(action.to_string()),
            step.action.text.clone(),
            (!said.is_empty()).then(|| said.join(" ")),
        ];
        let int = |nanos: u64| nanos as i64;
        let ints = [
            Some(int(step.index)),
            Some(int(step.action.start_nanos)),
            Some(int(step.action.end_nanos)),
            step.before.map(|before| int(before.captured_nanos)),
            step.after.map(|after| int(after.captured_nanos)),
        ];
        let (from, to) = places(step, whole.before.as_deref());
        let floats = [from.map(|p| p.x), from.map(|p| p.y), to.map(|p| p.x), to.map(|p| p.y)];
        let ending = bundle.options.pictures.coding.ending();
        let name = |what: &str, ending: &str| format!("{id}-{:06}{what}.{ending}", step.index);
        let voice = whole.voice.as_ref().map(wav_of).transpose()?;
        let files = [
            whole.before.as_ref().map(|image| (name("", ending), &image.bytes)),
            whole.after.as_ref().map(|image| (name(".after", ending), &image.bytes)),
            voice.as_ref().map(|wav| (name("", "wav"), wav)),
        ];
        self.texts.iter_mut().zip(&texts).for_each(|(column, value)| column.append_option(value.as_ref()));
        self.ints.iter_mut().zip(ints).for_each(|(column, value)| column.append_option(value));
        self.floats.iter_mut().zip(floats).for_each(|(column, value)| column.append_option(value));
        let flags = [step.before.map(|before| before.is_stale)];
        self.flags.iter_mut().zip(flags).for_each(|(column, value)| column.append_option(value));
        for ((bytes, path), file) in self.files.iter_mut().zip(files) {
            self.bytes += file.as_ref().map_or(0, |(_, bytes)| bytes.len());
            path.append_option(file.as_ref().map(|(name, _)| name));
            bytes.append_option(file.map(|(_, bytes)| bytes));
        }
        self.rows += 1;
        Ok(())
    }

    fn finish(self) -> Result<RecordBatch> {
        let failed = Error::coding("a Parquet table");
        let (mut texts, mut ints) = (self.texts.into_iter(), self.ints.into_iter());
        let (mut floats, mut flags) = (self.floats.into_iter(), self.flags.into_iter());
        let mut files = self.files.into_iter();
        let mut columns: Vec<ArrayRef> = Vec::new();
        for (_, kind) in COLUMNS {
            let column: Option<ArrayRef> = match kind {
                Kind::Text => texts.next().map(|mut column| Arc::new(column.finish()) as ArrayRef),
                Kind::Int => ints.next().map(|mut column| Arc::new(column.finish()) as ArrayRef),
                Kind::Float => floats.next().map(|mut column| Arc::new(column.finish()) as ArrayRef),
                Kind::Flag => flags.next().map(|mut column| Arc::new(column.finish()) as ArrayRef),
                Kind::Image | Kind::Audio => files.next().map(|(mut bytes, mut path)| {
                    let (bytes, path) = (bytes.finish(), path.finish());
                    let nulls = arrow_array::Array::nulls(&bytes).cloned();
                    let parts: Vec<ArrayRef> = vec![Arc::new(bytes), Arc::new(path)];
                    Arc::new(StructArray::new(file_fields(), parts, nulls)) as ArrayRef
                }),
            };
            columns.extend(column);
        }
        RecordBatch::try_new(Arc::new(schema()), columns).map_err(|error| failed(&error))
    }
}

/// How a table is written: files in the columns of these names are compressed already, and nobody looks for the least of them.
pub(super) fn properties(files: &[&str]) -> WriterProperties {
    let mut builder = WriterProperties::builder().set_compression(Compression::SNAPPY);
    for name in files {
        let column = ColumnPath::new(vec![(*name).to_owned(), "bytes".to_owned()]);
        builder = builder
            .set_column_compression(column.clone(), Compression::UNCOMPRESSED)
            .set_column_dictionary_enabled(column.clone(), false)
            .set_column_statistics_enabled(column, EnabledStatistics::None);
    }
    builder.build()
}

/// A file inside a table, as `datasets` has it.
pub(super) fn file_fields() -> Fields {
    Fields::from(vec![Field::new("bytes", DataType::Binary, true), Field::new("path", DataType::Utf8, true)])
}

/// The columns; the schema's metadata says to `datasets` what they are.
fn schema() -> Schema {
    let mut features = serde_json::Map::new();
    let mut fields = Vec::new();
    for (name, kind) in COLUMNS {
        let value = |dtype: &str| json!({ "dtype": dtype, "_type": "Value" });
        let (data_type, feature) = match kind {
            Kind::Text => (DataType::Utf8, value("string")),
            Kind::Int => (DataType::Int64, value("int64")),
            Kind::Float => (DataType::Float64, value("float64")),
            Kind::Flag => (DataType::Boolean, value("bool")),
            Kind::Image => (DataType::Struct(file_fields()), json!({ "_type": "Image" })),
            Kind::Audio => (DataType::Struct(file_fields()), json!({ "_type": "Audio" })),
        };
        features.insert(name.to_owned(), feature);
        fields.push(Field::new(name, data_type, true));
    }
    let known = json!({ "info": { "features": features } }).to_string();
    Schema::new(fields).with_metadata([("huggingface".to_owned(), known)].into())
}
