//! `lerobot`: a data set of LeRobot (v3.0) for each display: a row at every tick of a fixed rate, the picture that was there by then,
//! the pointer and the buttons as state, what came until the next tick as action.
//!
//! The data set has one episode: those of many bundles are put together with LeRobot's own tools. Pictures are exact, not videos.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow_array::builder::{
    BinaryBuilder, FixedSizeListBuilder, Float32Builder, Int64Builder, ListBuilder, StringBuilder,
};
use arrow_array::{ArrayRef, RecordBatch, StructArray};
use arrow_schema::{DataType, Field, Schema};
use parquet::arrow::ArrowWriter;
use praxis_bundle::Track;
use praxis_bundle::messages::{KeyKind, KeyMessage, PointerKind, PointerMessage};
use praxis_bundle::screen::{Picture, TILE_PX};
use serde_json::{Value, json};

use super::parquet::{file_fields, properties};
use super::{Bundle, Format, Written, create, parsed};
use crate::frames::{Frames, tick_at, tick_nanos};
use crate::image::{code, size_of};
use crate::{Error, Result};

/// Bytes of pictures that become a row group.
const GROUP_BYTES: usize = 8 << 20;
/// Where the pointer is as shares of the display's sides, and which buttons are down, or went down since the tick before.
const STATE: [&str; 5] = ["x", "y", "left", "middle", "right"];
/// What is so at the next tick, and wheel steps until then, to the right and up.
const ACTION: [&str; 7] = ["x", "y", "left", "middle", "right", "wheel_dx", "wheel_dy"];
/// Numbers that LeRobot wants of each row.
const COUNTED: [&str; 4] = ["frame_index", "episode_index", "index", "task_index"];
const IMAGE: &str = "observation.images.screen";

pub(super) struct LeRobot;

impl Format for LeRobot {
    fn write(&self, bundle: &Bundle<'_>, folder: &Path) -> Result<Written> {
        for display in bundle.session.sizes.keys() {
            let folder = folder.join(bundle.split).join(format!("{}-{display}", bundle.id()));
            write(bundle, *display, &folder)?;
        }
        Ok(Written { steps: bundle.steps.len() as u64, left_out: 0 })
    }
}

fn write(bundle: &Bundle<'_>, display: u8, folder: &Path) -> Result<()> {
    let (session, rate) = (bundle.session, bundle.options.rate);
    let ticks = ticks(bundle, display)?;
    let size = session.sizes.get(&display).copied().unwrap_or_default();
    let black = Picture {
        width_px: size.0,
        height_px: size.1,
        bgr: vec![0; size.0 as usize * size.1 as usize * 3],
        is_lossy: vec![false; (size.0.div_ceil(TILE_PX) * size.1.div_ceil(TILE_PX)) as usize],
        ..Picture::default()
    };
    let mut table = Table::create(&folder.join("data/chunk-000/file-000.parquet"), rate)?;
    let nothing = Arc::new(code(&black, bundle.options.pictures)?.bytes);
    let mut shown = (nothing.clone(), None);
    let mut frames = Frames::new(session, display, rate);
    let mut show = |frame: crate::frames::Frame<'_>, table: &mut Table| -> Result<()> {
        table.rows_until(frame.tick, &ticks, &shown)?;
        (bundle.progress)(frame.tick as f64 / ticks.len() as f64);
        shown = match frame.picture {
            Some(picture) if (picture.width_px, picture.height_px) == size => {
                (Arc::new(code(picture, bundle.options.pictures)?.bytes), Some(frame.nanos))
            }
            Some(picture) => {
                (Arc::new(code(&fitted(picture, &black), bundle.options.pictures)?.bytes), Some(frame.nanos))
            }
            None => (nothing.clone(), None),
        };
        Ok(())
    };
    session.for_each_message(|channel, sequence, nanos, data| match channel.track {
        Track::Screen(number) if number == display => {
            frames.take(sequence, nanos, data, |frame| show(frame, &mut table))
        }
        _ => Ok(()),
    })?;
    frames.end(|frame| show(frame, &mut table))?;
    table.rows_until(ticks.len() as u64, &ticks, &shown)?;
    table.finish()?;
    meta(bundle, folder, size, &ticks)
}

/// A smaller picture on a black one.
fn fitted(picture: &Picture, black: &Picture) -> Picture {
    let mut fitted = black.clone();
    let (from, to) = (picture.width_px as usize * 3, black.width_px as usize * 3);
    for (row, into) in picture.bgr.chunks_exact(from).zip(fitted.bgr.chunks_exact_mut(to)) {
        into[..from.min(to)].copy_from_slice(&row[..from.min(to)]);
    }
    fitted
}

/// What is known of a tick beside its picture.
#[derive(Debug, Clone, Default)]
struct Tick {
    state: [f32; STATE.len()],
    wheel: [f32; 2],
    /// What was typed until the next tick.
    text: String,
    /// Keys that went down until the next tick, by the names of their symbols.
    keys: Vec<String>,
    /// What began to be said until the next tick.
    said: Vec<String>,
}

impl Tick {
    fn action(&self, next: &Self) -> [f32; ACTION.len()] {
        let [x, y, left, middle, right] = next.state;
        let [dx, dy] = self.wheel;
        [x, y, left, middle, right, dx, dy]
    }
}

/// All ticks of the session.
fn ticks(bundle: &Bundle<'_>, display: u8) -> Result<Vec<Tick>> {
    let (session, rate) = (bundle.session, bundle.options.rate);
    let last = (u128::from(session.duration_nanos) * u128::from(rate) / 1_000_000_000) as usize;
    let mut ticks = vec![Tick::default(); last + 1];
    // What the pointer and the buttons are like now, and were at the end of each tick that had an event.
    let mut state = [0.0; STATE.len()];
    let mut ends = vec![None; ticks.len()];
    // What comes at or after a tick, and before the next one, belongs to it.
    let of = |nanos: u64| (tick_at(nanos + 1, rate) as usize).saturating_sub(1).min(last);
    session.for_each_message(|channel, _, nanos, data| {
        match channel.track {
            Track::Pointer => {
                let message: PointerMessage = parsed(channel.track, data)?;
                let tick = (tick_at(nanos, rate) as usize).min(last);
                if message.kind == PointerKind::Scroll {
                    let [dx, dy] = &mut ticks[of(nanos)].wheel;
                    *dx += message.dx.unwrap_or_default() as f32;
                    *dy += message.dy.unwrap_or_default() as f32;
                }
                if let Some(screen) = session.screen(display, nanos) {
                    let share = |at: i32, start: i32, length: u32| {
                        ((f64::from(at) - f64::from(start)) / f64::from(length.max(1))).clamp(0.0, 1.0) as f32
                    };
                    state[0] = share(message.x_px, screen.x_px, screen.width_px);
                    state[1] = share(message.y_px, screen.y_px, screen.height_px);
                }
                if let (Some(button @ 1..=3), PointerKind::Press | PointerKind::Release) =
                    (message.button, message.kind)
                {
                    state[1 + usize::from(button)] = f32::from(u8::from(message.kind == PointerKind::Press));
                }
                // A click may be shorter than a tick: a button that went down since the tick before counts as down.
                let was = if ends[tick].is_some() { ticks[tick].state } else { [0.0; STATE.len()] };
                ticks[tick].state = state;
                (2..STATE.len())
                    .for_each(|button| ticks[tick].state[button] = state[button].max(was[button]));
                ends[tick] = Some(state);
            }
            Track::Keys => {
                let key: KeyMessage = parsed(channel.track, data)?;
                if key.kind == KeyKind::Press {
                    let tick = &mut ticks[of(nanos)];
                    tick.text += key.text.as_deref().unwrap_or_default();
                    tick.keys.push(key.keysym);
                }
            }
            _ => {}
        }
        Ok(())
    })?;
    let mut state = [0.0; STATE.len()];
    for (tick, end) in ticks.iter_mut().zip(ends) {
        match end {
            Some(end) => state = end,
            None => tick.state = state,
        }
    }
    for span in bundle.said {
        ticks[of(span.start_nanos)].said.extend(span.text.clone());
    }
    Ok(ticks)
}

/// The rows.
struct Table {
    writer: ArrowWriter<File>,
    rate: u32,
    /// The next row.
    next: u64,
    pictures: (BinaryBuilder, StringBuilder),
    picture_nanos: Int64Builder,
    nanos: Int64Builder,
    state: FixedSizeListBuilder<Float32Builder>,
    action: FixedSizeListBuilder<Float32Builder>,
    texts: [StringBuilder; 3],
    timestamp: Float32Builder,
    counted: [Int64Builder; COUNTED.len()],
    bytes: usize,
}

impl Table {
    fn create(path: &Path, rate: u32) -> Result<Self> {
        let writer = ArrowWriter::try_new(create(path)?, Arc::new(schema()), Some(properties(&[IMAGE])));
        Ok(Self {
            writer: writer.map_err(|error| Error::coding("a Parquet file")(&error))?,
            rate,
            next: 0,
            pictures: Default::default(),
            picture_nanos: Int64Builder::new(),
            nanos: Int64Builder::new(),
            state: FixedSizeListBuilder::new(Float32Builder::new(), STATE.len() as i32),
            action: FixedSizeListBuilder::new(Float32Builder::new(), ACTION.len() as i32),
            texts: Default::default(),
            timestamp: Float32Builder::new(),
            counted: Default::default(),
            bytes: 0,
        })
    }

    /// Writes the rows before a tick, which all show the same.
    fn rows_until(&mut self, tick: u64, ticks: &[Tick], shown: &(Arc<Vec<u8>>, Option<u64>)) -> Result<()> {
        while self.next < tick.min(ticks.len() as u64) {
            self.row(ticks, shown);
            if self.bytes >= GROUP_BYTES {
                self.flush()?;
            }
        }
        Ok(())
    }

    fn row(&mut self, ticks: &[Tick], (image, taken_nanos): &(Arc<Vec<u8>>, Option<u64>)) {
        let at = self.next as usize;
        let now = &ticks[at];
        let action = now.action(ticks.get(at + 1).unwrap_or(now));
        self.pictures.0.append_value(&**image);
        self.pictures.1.append_value(format!("{at:06}"));
        self.picture_nanos.append_option(taken_nanos.map(|nanos| nanos as i64));
        self.nanos.append_value(tick_nanos(self.next, self.rate) as i64);
        self.state.values().append_slice(&now.state);
        self.state.append(true);
        self.action.values().append_slice(&action);
        self.action.append(true);
        let texts = [now.text.clone(), now.keys.join(" "), now.said.join(" ")];
        self.texts.iter_mut().zip(texts).for_each(|(column, text)| column.append_value(text));
        self.timestamp.append_value((self.next as f64 / f64::from(self.rate)) as f32);
        let counted = [self.next as i64, 0, self.next as i64, 0];
        self.counted.iter_mut().zip(counted).for_each(|(column, number)| column.append_value(number));
        self.bytes += image.len();
        self.next += 1;
    }

    fn flush(&mut self) -> Result<()> {
        let failed = Error::coding("a Parquet file");
        let parts: Vec<ArrayRef> =
            vec![Arc::new(self.pictures.0.finish()), Arc::new(self.pictures.1.finish())];
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(StructArray::new(file_fields(), parts, None)),
            Arc::new(self.picture_nanos.finish()),
            Arc::new(self.nanos.finish()),
            Arc::new(self.state.finish()),
            Arc::new(self.action.finish()),
        ];
        columns.extend(self.texts.iter_mut().map(|column| Arc::new(column.finish()) as ArrayRef));
        columns.push(Arc::new(self.timestamp.finish()));
        columns.extend(self.counted.iter_mut().map(|column| Arc::new(column.finish()) as ArrayRef));
        self.bytes = 0;
        let batch = RecordBatch::try_new(Arc::new(schema()), columns).map_err(|error| failed(&error))?;
        self.writer.write(&batch).and_then(|()| self.writer.flush()).map_err(|error| failed(&error))
    }

    fn finish(mut self) -> Result<()> {
        self.flush()?;
        self.writer.close().map(|_| ()).map_err(|error| Error::coding("a Parquet file")(&error))
    }
}

fn schema() -> Schema {
    let floats = |name: &str, length: usize| {
        let item = Field::new_list_field(DataType::Float32, true);
        Field::new(name, DataType::FixedSizeList(Arc::new(item), length as i32), false)
    };
    let mut fields = vec![
        Field::new(IMAGE, DataType::Struct(file_fields()), false),
        Field::new("observation.image_nanos", DataType::Int64, true),
        Field::new("observation.nanos", DataType::Int64, false),
        floats("observation.state", STATE.len()),
        floats("action", ACTION.len()),
    ];
    fields.extend(
        ["action.text", "action.keys", "narration"].map(|name| Field::new(name, DataType::Utf8, false)),
    );
    fields.push(Field::new("timestamp", DataType::Float32, false));
    fields.extend(COUNTED.map(|name| Field::new(name, DataType::Int64, false)));
    Schema::new(fields)
}

/// What the data set says of itself.
fn meta(bundle: &Bundle<'_>, folder: &Path, size: (u32, u32), ticks: &[Tick]) -> Result<()> {
    let rate = bundle.options.rate;
    let (width, height) = size_of(size.0, size.1, bundle.options.pictures);
    let value = |dtype: &str| json!({ "dtype": dtype, "shape": [1], "names": null });
    let mut features = json!({
        IMAGE: { "dtype": "image", "shape": [height, width, 3], "names": ["height", "width", "channels"] },
        "observation.image_nanos": value("int64"), "observation.nanos": value("int64"),
        "observation.state": { "dtype": "float32", "shape": [STATE.len()], "names": STATE },
        "action": { "dtype": "float32", "shape": [ACTION.len()], "names": ACTION },
        "action.text": value("string"), "action.keys": value("string"), "narration": value("string"),
        "timestamp": value("float32"),
    });
    for name in COUNTED {
        features[name] = value("int64");
    }
    let info = json!({
        "codebase_version": "v3.0", "robot_type": "desktop", "fps": rate, "features": features,
        "total_episodes": 1, "total_frames": ticks.len(), "total_tasks": 1, "chunks_size": 1000,
        "data_files_size_in_mb": 100, "video_files_size_in_mb": 200, "splits": { "train": "0:1" },
        "data_path": "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet", "video_path": null,
    });
    let put = |name: &str, value: &Value| {
        let path = folder.join("meta").join(name);
        create(&path)?;
        std::fs::write(&path, format!("{value:#}\n"))
            .map_err(Error::io(format!("writing {}", path.display())))
    };
    put("info.json", &info)?;
    put("stats.json", &stats(ticks, rate))?;
    let task = bundle.instruction();
    tasks(&folder.join("meta/tasks.parquet"), task)?;
    episodes(&folder.join("meta/episodes/chunk-000/file-000.parquet"), task, ticks.len() as i64)
}

/// Least, most, mean and standard deviation of what is a number and no count.
fn stats(ticks: &[Tick], rate: u32) -> Value {
    let next = |at: usize| ticks.get(at + 1).unwrap_or(&ticks[at]);
    let of = |rows: &mut dyn Iterator<Item = Vec<f64>>| {
        let rows: Vec<Vec<f64>> = rows.collect();
        let each = |of: &dyn Fn(&mut dyn Iterator<Item = f64>) -> f64| -> Vec<f64> {
            (0..rows[0].len()).map(|column| of(&mut rows.iter().map(|row| row[column]))).collect()
        };
        let count = rows.len() as f64;
        let mean = each(&|values| values.sum::<f64>() / count);
        let variance =
            |column: usize| rows.iter().map(|row| (row[column] - mean[column]).powi(2)).sum::<f64>() / count;
        json!({
            "min": each(&|values| values.fold(f64::INFINITY, f64::min)),
            "max": each(&|values| values.fold(f64::NEG_INFINITY, f64::max)),
            "mean": mean, "std": (0..mean.len()).map(|column| variance(column).sqrt()).collect::<Vec<_>>(),
            "count": [rows.len()],
        })
    };
    let floats = |values: &[f32]| values.iter().map(|value| f64::from(*value)).collect::<Vec<_>>();
    json!({
        "observation.state": of(&mut ticks.iter().map(|tick| floats(&tick.state))),
        "action": of(&mut (0..ticks.len()).map(|at| floats(&ticks[at].action(next(at))))),
        "timestamp": of(&mut (0..ticks.len()).map(|at| vec![at as f64 / f64::from(rate)])),
    })
}

/// The tasks, as pandas would write them with the text as the index.
fn tasks(path: &Path, task: &str) -> Result<()> {
    let index = "__index_level_0__";
    let column = |name: Option<&str>, field: &str, pandas: &str, numpy: &str| json!({ "name": name, "field_name": field, "pandas_type": pandas, "numpy_type": numpy, "metadata": null });
    let pandas = json!({
        "index_columns": [index], "column_indexes": [], "creator": { "library": "praxis", "version": env!("CARGO_PKG_VERSION") },
        "columns": [column(Some("task_index"), "task_index", "int64", "int64"), column(None, index, "unicode", "object")],
        "pandas_version": "2.0.0",
    });
    let fields =
        vec![Field::new("task_index", DataType::Int64, false), Field::new(index, DataType::Utf8, false)];
    let schema = Schema::new(fields).with_metadata([("pandas".to_owned(), pandas.to_string())].into());
    one_row(path, schema, vec![int(0), text(task)])
}

fn episodes(path: &Path, task: &str, length: i64) -> Result<()> {
    let mut tasks = ListBuilder::new(StringBuilder::new());
    tasks.values().append_value(task);
    tasks.append(true);
    let tasks = tasks.finish();
    let numbers = [
        ("length", length),
        ("data/chunk_index", 0),
        ("data/file_index", 0),
        ("dataset_from_index", 0),
        ("dataset_to_index", length),
        ("meta/episodes/chunk_index", 0),
        ("meta/episodes/file_index", 0),
    ];
    let mut fields = vec![
        Field::new("episode_index", DataType::Int64, false),
        Field::new("tasks", arrow_array::Array::data_type(&tasks).clone(), false),
    ];
    fields.extend(numbers.map(|(name, _)| Field::new(name, DataType::Int64, false)));
    let mut columns = vec![int(0), Arc::new(tasks) as ArrayRef];
    columns.extend(numbers.map(|(_, number)| int(number)));
    one_row(path, Schema::new(fields), columns)
}

fn int(number: i64) -> ArrayRef {
    Arc::new(arrow_array::Int64Array::from(vec![number]))
}

fn text(text: &str) -> ArrayRef {
    Arc::new(arrow_array::StringArray::from(vec![text]))
}

fn one_row(path: &Path, schema: Schema, columns: Vec<ArrayRef>) -> Result<()> {
    let failed = Error::coding("a Parquet file");
    let schema = Arc::new(schema);
    let batch = RecordBatch::try_new(schema.clone(), columns).map_err(|error| failed(&error))?;
    let mut writer = ArrowWriter::try_new(create(path)?, schema, None).map_err(|error| failed(&error))?;
    writer.write(&batch).map_err(|error| failed(&error))?;
    writer.close().map(|_| ()).map_err(|error| failed(&error))
}
