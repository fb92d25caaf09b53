//! A microphone through cpal: PulseAudio (or PipeWire's server for it) first, else the system's default host.
//!
//! The callback only copies and enqueues. The stream lives on a thread of its own, so that neither a device that is
//! slow to open nor one that hangs when closed holds anyone up.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::time::Duration;

use cpal::traits::{DeviceTrait, HostTrait, StreamTrait};
use cpal::{BufferSize, ErrorKind, SampleFormat, StreamConfig};
use praxis_bundle::manifest::Backend;

use crate::clock::SharedTime;
use crate::sources::native::silence_audio_library;
use crate::sources::{AudioEvent, AudioSource, SourceError, Stop};

/// Longest to wait for the first samples: a sound server that woke up for us takes up to two seconds.
const FIRST_SAMPLES: Duration = Duration::from_secs(5);
/// No samples for so long means that the device is gone, whatever the sound server says.
const SILENCE: Duration = Duration::from_secs(3);
/// How often the stop switch is looked at.
const STOP_LOOK: Duration = Duration::from_millis(100);
/// Runs that may wait for us: about ten seconds of them.
const QUEUE_RUNS: usize = 512;

/// A run of samples on its way from the callback.
struct Run {
    position: u64,
    samples: Vec<i16>,
    recorded_at_nanos: u64,
}

enum FromStream {
    Opened { device: String, rate_hz: u32, host: &'static str },
    Run(Run),
    Failed(SourceError),
}

/// A stream that was asked for, and what comes of it.
struct Stream {
    runs: Receiver<FromStream>,
    /// Dropping it ends the stream's thread.
    _keep_open: SyncSender<()>,
}

/// What is known of a stream when its first samples are there.
struct Opened {
    device: String,
    rate_hz: u32,
    host: &'static str,
    first: Run,
}

impl Stream {
    fn start(time: &SharedTime, device: Option<&str>, rate_hz: u32) -> Self {
        let (to_us, runs) = sync_channel(QUEUE_RUNS);
        let (keep_open, closed) = sync_channel(0);
        let (time, name) = (time.clone(), device.map(str::to_owned));
        std::thread::spawn(move || {
            match start(time, name.as_deref(), rate_hz, &to_us) {
                // Until the other end is dropped.
                Ok(stream) => {
                    let _: Result<(), _> = closed.recv();
                    drop(stream);
                }
                Err(error) => drop(to_us.send(FromStream::Failed(error))),
            }
        });
        Self { runs, _keep_open: keep_open }
    }

    /// Waits for the first samples.
    fn opened(&self, stop: &Stop) -> Result<Opened, SourceError> {
        let silent = || {
            SourceError::Unavailable("the microphone gives no samples: check that it is plugged in and not muted, or record without a voice".into())
        };
        let (mut known, mut waited) = (None, Duration::ZERO);
        while waited < FIRST_SAMPLES && !stop.is_stopped() {
            match self.runs.recv_timeout(STOP_LOOK) {
                Ok(FromStream::Opened { device, rate_hz, host }) => known = Some((device, rate_hz, host)),
                Ok(FromStream::Run(first)) => {
                    let (device, rate_hz, host) = known.ok_or_else(silent)?;
                    return Ok(Opened { device, rate_hz, host, first });
                }
                Ok(FromStream::Failed(error)) => return Err(error),
                Err(RecvTimeoutError::Timeout) => waited += STOP_LOOK,
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        Err(silent())
    }
}

/// A microphone.
pub struct Microphone {
    time: SharedTime,
    /// As it was asked for.
    name: Option<String>,
    device: String,
    rate_hz: u32,
    host: &'static str,
    stream: Stream,
    /// The first run, taken while opening.
    first: Option<Run>,
}

impl Microphone {
    /// Opens a microphone by name, or the default one, and waits for its first samples.
    ///
    /// # Errors
    /// `Unavailable` with what to do: no sound server, no microphone, no such name.
    pub fn open(time: SharedTime, device: Option<&str>, rate_hz: u32) -> Result<Self, SourceError> {
        let stream = Stream::start(&time, device, rate_hz);
        let name = device.map(str::to_owned);
        let Opened { device, rate_hz, host, first } = stream.opened(&Stop::default())?;
        Ok(Self { time, name, device, rate_hz, host, stream, first: Some(first) })
    }
}

/// Names of the microphones there are.
#[must_use]
pub fn microphones() -> Vec<String> {
    names_of(&hosts())
}

fn names_of(hosts: &[(&'static str, cpal::Host)]) -> Vec<String> {
    let devices = hosts.iter().flat_map(|(_, host)| host.input_devices().into_iter().flatten());
    devices.map(|device| name_of(&device)).collect()
}

fn name_of(device: &cpal::Device) -> String {
    device.description().map(|description| description.name().to_owned()).unwrap_or_default()
}

/// The hosts that can be reached, the preferred one first.
fn hosts() -> Vec<(&'static str, cpal::Host)> {
    silence_audio_library();
    let ids = cpal::available_hosts().into_iter();
    let mut hosts: Vec<_> = ids.filter_map(|id| Some((id.name(), cpal::host_from_id(id).ok()?))).collect();
    hosts.sort_by_key(|(name, _)| !name.eq_ignore_ascii_case("pulseaudio"));
    // With a sound server its devices are all there is; raw ones behind it are busy.
    if hosts.first().is_some_and(|(_, host)| host.default_input_device().is_some()) {
        hosts.truncate(1);
    }
    hosts
}

fn find(name: Option<&str>) -> Result<(&'static str, cpal::Device), SourceError> {
    // Once: each look keeps a client of the sound server for as long as the program runs.
    let hosts = hosts();
    for (host_name, host) in &hosts {
        let found = match name {
            None => host.default_input_device(),
            Some(name) => host
                .input_devices()
                .ok()
                .and_then(|mut devices| devices.find(|device| name_of(device) == name)),
        };
        if let Some(device) = found {
            return Ok((*host_name, device));
        }
    }
    let there = names_of(&hosts);
    Err(SourceError::Unavailable(match (name, there.is_empty()) {
        (_, true) => "no microphone: no sound server or no input device was found; plug one in, start the sound server, or record without a voice".into(),
        (Some(name), _) => format!("no microphone is called {name:?}; there are: {}", there.join(", ")),
        (None, _) => format!("no default microphone is set; choose one with --mic: {}", there.join(", ")),
    }))
}

fn start(
    time: SharedTime,
    name: Option<&str>,
    rate_hz: u32,
    to_us: &SyncSender<FromStream>,
) -> Result<cpal::Stream, SourceError> {
    let (host, device) = find(name)?;
    let unusable = |error: cpal::Error| {
        SourceError::Unavailable(format!(
            "the microphone cannot be opened ({error}): check that it is plugged in, that the sound server runs and that no other program holds it, or record without a voice"
        ))
    };
    // Mono at our rate, where the sound server converts; else what the device has.
    let wanted =
        StreamConfig { channels: 1, sample_rate: rate_hz, buffer_size: BufferSize::Fixed(rate_hz / 50) };
    let first = open(&device, &wanted, &time, to_us);
    let (stream, config) = match first {
        Ok(stream) => (stream, wanted),
        Err(_) => {
            let own = device.default_input_config().map_err(unusable)?;
            let config = own.config();
            (open(&device, &config, &time, to_us).map_err(unusable)?, config)
        }
    };
    let opened = FromStream::Opened { device: name_of(&device), rate_hz: config.sample_rate, host };
    // Before the first run: the stream does not play yet.
    let _ = to_us.send(opened);
    stream.play().map_err(unusable)?;
    Ok(stream)
}

fn open(
    device: &cpal::Device,
    config: &StreamConfig,
    time: &SharedTime,
    to_us: &SyncSender<FromStream>,
) -> Result<cpal::Stream, cpal::Error> {
    let (time, runs, errors) = (time.clone(), to_us.clone(), to_us.clone());
    let channels = i32::from(config.channels.max(1));
    let mut position = 0;
    let take = move |data: &cpal::Data, info: &cpal::InputCallbackInfo| {
        let stamp = info.timestamp();
        let latency = stamp.callback.duration_since(stamp.capture).as_nanos() as u64;
        let recorded_at_nanos = time.boot_nanos().saturating_sub(latency);
        let interleaved = data.as_slice::<i16>().unwrap_or_default();
        let mono =
            |part: &[i16]| (part.iter().map(|sample| i32::from(*sample)).sum::<i32>() / channels) as i16;
        let samples: Vec<i16> = interleaved.chunks_exact(channels as usize).map(mono).collect();
        let run = Run { position, samples, recorded_at_nanos };
        position += run.samples.len() as u64;
        // A full queue loses the run: the hole in the positions says so.
        let _ = runs.try_send(FromStream::Run(run));
    };
    let fail = move |error: cpal::Error| {
        if !matches!(error.kind(), ErrorKind::Xrun | ErrorKind::DeviceChanged | ErrorKind::RealtimeDenied) {
            let _ = errors
                .try_send(FromStream::Failed(SourceError::Lost(format!("the microphone is gone ({error})"))));
        }
    };
    device.build_input_stream_raw(*config, SampleFormat::I16, take, fail, Some(FIRST_SAMPLES))
}

impl AudioSource for Microphone {
    fn backend(&self) -> Backend {
        let name = format!("cpal ({})", self.host);
        Backend { tracks: vec!["narration".into()], name, cannot: Vec::new() }
    }

    fn device(&self) -> String {
        self.device.clone()
    }

    fn rate_hz(&self) -> u32 {
        self.rate_hz
    }

    fn run(&mut self, sink: &mut dyn FnMut(AudioEvent<'_>), stop: &Stop) -> Result<(), SourceError> {
        let mut deliver = |run: &Run| {
            sink(AudioEvent::Samples {
                position: run.position,
                samples: &run.samples,
                recorded_at_nanos: run.recorded_at_nanos,
            });
        };
        if let Some(first) = self.first.take() {
            deliver(&first);
        }
        let mut silence = Duration::ZERO;
        loop {
            match self.stream.runs.recv_timeout(STOP_LOOK) {
                Ok(FromStream::Run(run)) => {
                    silence = Duration::ZERO;
                    deliver(&run);
                }
                Ok(FromStream::Opened { .. }) => {}
                Ok(FromStream::Failed(error)) => return Err(error),
                Err(RecvTimeoutError::Timeout) => silence += STOP_LOOK,
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(SourceError::Lost("the microphone is gone".into()));
                }
            }
            if stop.is_stopped() {
                break;
            }
            if silence >= SILENCE {
                return Err(SourceError::Lost("the microphone has given no samples for 3 seconds".into()));
            }
        }
        // What was recorded before the stop is still delivered.
        loop {
            match self.stream.runs.try_recv() {
                Ok(FromStream::Run(run)) => deliver(&run),
                Ok(_) => {}
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => return Ok(()),
            }
        }
    }

    fn reopen(&mut self, stop: &Stop) -> Result<(), SourceError> {
        let stream = Stream::start(&self.time, self.name.as_deref(), self.rate_hz);
        let Opened { device, rate_hz, host, first } = stream.opened(stop)?;
        if rate_hz != self.rate_hz {
            let why = format!("{device} gives {rate_hz} samples a second, not {}", self.rate_hz);
            return Err(SourceError::Unavailable(why));
        }
        (self.device, self.host, self.first, self.stream) = (device, host, Some(first), stream);
        Ok(())
    }
}
