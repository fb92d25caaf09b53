//! A microphone, or what the computer itself sounds, through cpal: PulseAudio (or PipeWire's server for it) first, else the system's default host.
//!
//! The callback only copies and enqueues. The stream lives on a thread of its own, so that neither a device that is
//! slow to open nor one that hangs when closed holds anyone up.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use cpal::traits::{DeviceTrait, HostTrait, StreamTrait};
use cpal::{BufferSize, ErrorKind, SampleFormat, StreamConfig};
use praxis_bundle::manifest::Backend;

use crate::clock::SharedTime;
use crate::sources::native::silence_audio_library;
use crate::sources::{AudioEvent, AudioSource, SourceError, Stop};
use crate::system::{NeededFor, allowed};

/// Longest to wait for the first samples: a sound server that woke up for us takes up to two seconds.
const FIRST_SAMPLES: Duration = Duration::from_secs(5);
/// No samples for so long means that the device is gone, whatever the sound server says.
const SILENCE: Duration = Duration::from_secs(3);
/// So ends the name of what a sound server plays to a loudspeaker; before it is the loudspeaker's name.
const MONITOR: &str = ".monitor";
/// How often it is looked at whether the device is still the one.
const DEVICE_LOOK: Duration = Duration::from_secs(1);
/// How often the stop switch is looked at.
const STOP_LOOK: Duration = Duration::from_millis(100);
/// How many runs of samples are asked for: each costs the client of the sound server half a millisecond, whatever its length.
const RUNS_PER_SECOND: u32 = 20;
/// Runs that may wait for us: several seconds of them also where a device gives a hundred a second.
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

/// What is to be listened to.
#[derive(Clone)]
enum Wanted {
    /// The system's microphone, whichever that is.
    Default,
    /// The microphone of that name.
    Named(String),
    /// What the computer itself sounds.
    SystemSound,
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
    fn start(time: &SharedTime, wanted: &Wanted, rate_hz: u32) -> Self {
        let (to_us, runs) = sync_channel(QUEUE_RUNS);
        let (keep_open, closed) = sync_channel(0);
        let (time, wanted) = (time.clone(), wanted.clone());
        std::thread::spawn(move || {
            match start(time, &wanted, rate_hz, &to_us) {
                Ok((stream, device)) => {
                    // Until the other end is dropped.
                    while let Err(RecvTimeoutError::Timeout) = closed.recv_timeout(DEVICE_LOOK) {
                        if let Err(error) = still_there(&wanted, &device) {
                            let _ = to_us.try_send(FromStream::Failed(error));
                            break;
                        }
                    }
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
    wanted: Wanted,
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
        Self::open_wanted(time, device.map_or(Wanted::Default, |name| Wanted::Named(name.into())), rate_hz)
    }

    /// Opens what the computer itself sounds, where the sound server tells it.
    ///
    /// # Errors
    /// `Unavailable` with what to do.
    pub fn open_system_sound(time: SharedTime, rate_hz: u32) -> Result<Self, SourceError> {
        Self::open_wanted(time, Wanted::SystemSound, rate_hz)
    }

    fn open_wanted(time: SharedTime, wanted: Wanted, rate_hz: u32) -> Result<Self, SourceError> {
        allowed(NeededFor::Microphone).map_err(SourceError::Unavailable)?;
        let stream = Stream::start(&time, &wanted, rate_hz);
        let Opened { device, rate_hz, host, first } = stream.opened(&Stop::default())?;
        Ok(Self { time, wanted, device, rate_hz, host, stream, first: Some(first) })
    }
}

/// Names of the microphones there are.
#[must_use]
pub fn microphones() -> Vec<String> {
    with_hosts(names_of)
}

pub(super) type Hosts = [(&'static str, cpal::Host)];

/// Kept while the sound server lives: each new one keeps a client of it, of which it has few, until the program ends.
static KEPT: Mutex<Vec<(&'static str, cpal::Host)>> = Mutex::new(Vec::new());

fn names_of(hosts: &Hosts) -> Vec<String> {
    let devices = hosts.iter().flat_map(|(_, host)| host.input_devices().into_iter().flatten());
    devices.map(|device| name_of(&device)).collect()
}

fn name_of(device: &cpal::Device) -> String {
    device.description().map(|description| description.name().to_owned()).unwrap_or_default()
}

/// The name that a device has for the system: of two that people call the same, each has its own.
fn id_of(device: &cpal::Device) -> String {
    device.id().map(|id| id.to_string()).unwrap_or_default()
}

/// Whether a device of a sound server is no microphone but what is played to a loudspeaker.
fn is_monitor(device: &cpal::Device) -> bool {
    id_of(device).ends_with(MONITOR)
}

/// Hands over the hosts that can be reached, the preferred one first.
pub(super) fn with_hosts<T>(work: impl FnOnce(&Hosts) -> T) -> T {
    let mut hosts = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    let is_kept = |(name, host): &(&str, cpal::Host)| is_server(name) && host.input_devices().is_ok();
    if !hosts.first().is_some_and(is_kept) {
        *hosts = reach_hosts();
    }
    // With a sound server its devices are all there is; raw ones behind it are busy.
    let is_all = hosts.first().is_some_and(|(_, host)| host.default_input_device().is_some());
    let num_hosts = if is_all { 1 } else { hosts.len() };
    work(&hosts[..num_hosts])
}

fn reach_hosts() -> Vec<(&'static str, cpal::Host)> {
    silence_audio_library();
    let ids = cpal::available_hosts().into_iter();
    let mut hosts: Vec<_> = ids.filter_map(|id| Some((id.name(), cpal::host_from_id(id).ok()?))).collect();
    hosts.sort_by_key(|(name, _)| !is_server(name));
    hosts
}

fn is_server(name: &str) -> bool {
    name.eq_ignore_ascii_case("pulseaudio")
}

/// The device that gives what is wanted, as the system is set now. What is played is no microphone, unless it is named.
fn chosen(host: &cpal::Host, wanted: &Wanted) -> Option<cpal::Device> {
    match wanted {
        Wanted::Default => host.default_input_device().filter(|device| !is_monitor(device)),
        Wanted::Named(name) => host.input_devices().ok()?.find(|device| name_of(device) == *name),
        Wanted::SystemSound => {
            let id = format!("{}{MONITOR}", id_of(&host.default_output_device()?));
            host.input_devices().ok()?.find(|device| id_of(device) == id)
        }
    }
}

fn find(hosts: &Hosts, wanted: &Wanted) -> Result<(&'static str, cpal::Device), SourceError> {
    for (host_name, host) in hosts {
        if let Some(device) = chosen(host, wanted) {
            return Ok((*host_name, device));
        }
    }
    let there = names_of(hosts);
    Err(SourceError::Unavailable(match (wanted, there.is_empty()) {
        (Wanted::SystemSound, _) => "the system does not tell what the computer sounds (on Linux, PulseAudio and PipeWire do): record without the system's sound".into(),
        (_, true) => "no microphone was found: plug one in, look whether the system's sound works, or record without a voice".into(),
        (Wanted::Named(name), _) => format!("no microphone is called {name:?}; there are: {}", there.join(", ")),
        (Wanted::Default, _) => format!("no default microphone is set; choose one with --mic: {}", there.join(", ")),
    }))
}

/// Whether the device is still the one that is recorded. A sound server gives a stream another one when its own is
/// pulled out, and says nothing; and who named none follows the person who chooses another in the system's settings.
fn still_there(wanted: &Wanted, device: &cpal::Device) -> Result<(), SourceError> {
    let hosts = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    // Without a server nothing is moved; one that does not answer is noticed by the samples.
    let Some((_, host)) = hosts.first().filter(|(name, _)| is_server(name)) else { return Ok(()) };
    let Ok(mut devices) = host.input_devices() else { return Ok(()) };
    let (id, name) = (id_of(device), name_of(device));
    if !devices.any(|each| id_of(&each) == id) {
        return Err(SourceError::Lost(format!("{name:?} is gone")));
    }
    match chosen(host, wanted) {
        Some(chosen) if id_of(&chosen) != id => Err(SourceError::Lost(format!(
            "the system is set to {:?} now, no longer to {name:?}",
            name_of(&chosen)
        ))),
        None => Err(SourceError::Lost(format!("the system is no longer set to {name:?}"))),
        Some(_) => Ok(()),
    }
}

fn start(
    time: SharedTime,
    wanted: &Wanted,
    rate_hz: u32,
    to_us: &SyncSender<FromStream>,
) -> Result<(cpal::Stream, cpal::Device), SourceError> {
    let (host, device) = with_hosts(|hosts| find(hosts, wanted))?;
    let unusable = |error: cpal::Error| {
        SourceError::Unavailable(format!(
            "the microphone cannot be opened ({error}): check that it is plugged in, that the system's sound works and that no other program holds it, or record without a voice"
        ))
    };
    // Mono at our rate, where the sound server converts; else what the device has.
    let buffer_size = BufferSize::Fixed(rate_hz / RUNS_PER_SECOND);
    let converted = StreamConfig { channels: 1, sample_rate: rate_hz, buffer_size };
    let first = open(&device, &converted, &time, to_us);
    let (stream, config) = match first {
        Ok(stream) => (stream, converted),
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
    Ok((stream, device))
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
                .try_send(FromStream::Failed(SourceError::Lost(format!("the device is gone ({error})"))));
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
                    return Err(SourceError::Lost("the device is gone".into()));
                }
            }
            if stop.is_stopped() {
                break;
            }
            if silence >= SILENCE {
                return Err(SourceError::Lost("the device has given no samples for 3 seconds".into()));
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
        let stream = Stream::start(&self.time, &self.wanted, self.rate_hz);
        let Opened { device, rate_hz, host, first } = stream.opened(stop)?;
        if rate_hz != self.rate_hz {
            let why = format!("{device} gives {rate_hz} samples a second, not {}", self.rate_hz);
            return Err(SourceError::Unavailable(why));
        }
        (self.device, self.host, self.first, self.stream) = (device, host, Some(first), stream);
        Ok(())
    }
}
