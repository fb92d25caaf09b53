//! What the application stands on, without its window: a take from start to sealed, and a courier that nothing holds up.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use praxis_bundle::file;
use praxis_bundle::manifest::{EndReason, Lossy, Outcome};
use praxis_capture_core::clock::{SharedTime, SystemTime};
use praxis_capture_core::recorder::{DEFAULT_RESERVE_BYTES, DisplayChoice, Plan, Voice};
use praxis_capture_core::sources::synthetic::Stage;
use praxis_capture_core::studio::{Catalogue, Phase, StudioError, Take};
use praxis_capture_core::upload::{Courier, State, Tuning, approve};
use praxis_tests::collector::{Collector, Expert};
use praxis_tests::desktop::{let_pass, wait_until};
use praxis_tests::fixture::write_large;
use praxis_tests::proxy::{Fault, Proxy};
use tokio_util::sync::CancellationToken;

fn time() -> SharedTime {
    Arc::new(SystemTime)
}

fn plan(stage: &Stage, folder: &Path, reserve_bytes: u64) -> Plan {
    Plan {
        storage: Arc::new(praxis_bundle::storage::Disk),
        folder: folder.to_owned(),
        displays: DisplayChoice::All,
        max_fps: 12.0,
        lossy: Lossy::Auto,
        title: Some("A take".into()),
        project: Some(("Olympus".into(), "expert-7".into())),
        sound: Voice::None,
        clipboard_text: false,
        sync: None,
        reserve_bytes,
        screen: Box::new(stage.screen()),
        input: Box::new(stage.input()),
        windows: Box::new(stage.windows()),
        elements: None,
        voice: Voice::Source(Box::new(stage.audio())),
    }
}

#[test]
fn a_take_pauses_is_marked_stops_and_gets_its_outcome_afterwards() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let stage = Stage::new(time(), &[(64, 48)]);
    let take = Take::default();
    let catalogue = Catalogue::new(folder.path().to_owned());
    assert!(take.progress().is_none());
    assert!(!take.pause() && !take.resume() && !take.mark() && !take.stop() && !take.label_marker("no"));
    take.start(time(), || Ok(plan(&stage, folder.path(), DEFAULT_RESERVE_BYTES)))?;
    let again = take.start(time(), || Ok(plan(&stage, folder.path(), DEFAULT_RESERVE_BYTES)));
    assert!(matches!(again, Err(StudioError::NotNow(_))), "two recordings at a time");
    assert_eq!(take.progress().unwrap().phase, Phase::Recording);
    assert!(catalogue.bytes_per_second()?.is_none());

    assert!(take.mark() && take.label_marker("here") && take.label_marker("rather there"));
    assert!(take.pause() && !take.pause());
    let_pass(Duration::from_millis(300));
    let paused = take.progress().unwrap();
    assert_eq!((paused.phase, paused.num_markers), (Phase::Paused, 1));
    assert!(paused.paused_nanos >= 300_000_000, "{paused:?}");
    assert!(take.resume() && !take.resume());
    assert!(
        matches!(take.finish(None, None, |_| {}), Err(StudioError::NotNow(_))),
        "kept before it was stopped"
    );

    assert!(take.stop() && !take.stop());
    let stopped = take.progress().unwrap();
    assert_eq!(stopped.phase, Phase::Stopped);
    // The person thinks about the outcome; the session does not grow.
    let_pass(Duration::from_millis(300));
    let (sender, sealed) = std::sync::mpsc::channel();
    take.finish(Some(Outcome::Failure), Some("a note".into()), move |result| sender.send(result).unwrap())?;
    let sealed = sealed.recv()??.path;
    wait_until("nothing to be recorded", || Ok(take.progress().is_none()))?;
    let info = file::info_of(&sealed)?;
    let ending = info.ending.clone().context("no ending")?;
    assert_eq!(ending.session_time_nanos, stopped.elapsed_nanos);
    assert_eq!((ending.outcome, ending.reason), (Some(Outcome::Failure), EndReason::Stopped));
    assert_eq!(ending.note.as_deref(), Some("a note"));
    assert_eq!(info.markers.len(), 1);
    assert_eq!(info.markers[0].1, "rather there");
    assert_eq!(info.manifest.expert.as_deref(), Some("expert-7"));
    file::check_file(&sealed)?.findings.is_empty().then_some(()).context("it has findings")?;

    let entries = catalogue.list()?;
    let [entry] = &entries[..] else { anyhow::bail!("{} sessions", entries.len()) };
    let picture = catalogue.picture(entry);
    assert!(picture.starts_with(b"\x89PNG"), "no picture of the session");
    assert!(Arc::ptr_eq(&picture, &catalogue.picture(entry)), "made twice");
    assert!(Arc::ptr_eq(entry, &catalogue.list()?[0]), "an unchanged file was read again");
    Ok(())
}

#[test]
fn a_take_that_must_end_says_why_and_one_that_cannot_begin_leaves_nothing() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let stage = Stage::new(time(), &[(64, 48)]);
    let take = Take::default();
    let too_much = take.start(time(), || Ok(plan(&stage, folder.path(), u64::MAX >> 1)));
    ensure!(too_much.is_err_and(|error| error.to_string().contains("are needed to record")));
    assert!(take.progress().is_none());
    assert_eq!(std::fs::read_dir(folder.path())?.count(), 0);

    take.start(time(), || Ok(plan(&stage, folder.path(), DEFAULT_RESERVE_BYTES)))?;
    // Every source ends: nothing is left to record.
    stage.end();
    wait_until("the end", || Ok(take.progress().is_some_and(|progress| progress.phase == Phase::Stopped)))?;
    let why = take.progress().unwrap().ended_because.context("no reason")?;
    assert!(why.contains("no source is left"), "{why}");
    // The program ends before anybody answers: the recording is complete all the same.
    take.close();
    let entries = Catalogue::new(folder.path().to_owned()).list()?;
    let ending = entries[0].info.as_ref().unwrap().ending.as_ref().context("no ending")?;
    assert_eq!(ending.reason, EndReason::SourcesLost);
    Ok(())
}

#[test]
fn an_upload_that_cannot_go_on_lets_the_next_one_have_its_turn() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let collector = Collector::start(&folder.path().join("collector"))?;
    let expert = Expert::enrolled(&collector, "project", "expert")?;
    let bundle = |name: &str| -> Result<_> {
        let bundle = expert.home.path().join(name);
        write_large(&bundle, 1)?;
        approve(&bundle)?;
        Ok(bundle)
    };
    let (stuck, fine) = (bundle("stuck.mcap")?, bundle("fine.mcap")?);
    // A port that nobody listens on.
    let nobody = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let tuning = Tuning { turn: Duration::from_millis(300), ..Tuning::default() };
    let settings = expert.home.path().join(".config/praxis");
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        let courier = Arc::new(Courier::open(&folder.path().join("queue"), &settings, tuning).await?);
        let stuck = courier.queue().add(&stuck, &format!("http://{nobody}/files"), false).await?;
        let fine = courier.queue().add(&fine, &collector.url, true).await?;
        let (stop, worker) = (CancellationToken::new(), courier.clone());
        let stopping = stop.clone();
        let work = tokio::spawn(async move { worker.run(&stopping).await });
        for _ in 0..400 {
            if courier.queue().get(&fine.bundle_id).await?.state == State::Verified {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(courier.queue().get(&fine.bundle_id).await?.state, State::Verified);
        let waiting = courier.queue().get(&stuck.bundle_id).await?;
        assert!(!waiting.state.is_final(), "{waiting:?}");
        let why = waiting.reason.context("no reason")?;
        assert!(why.contains("cannot be reached"), "{why}");
        assert_eq!(courier.is_reached(&collector.url), Some(true));
        assert_eq!(courier.is_reached("http://another"), None);
        // A copy of a bundle is another file: nobody has verified that one.
        std::fs::copy(&fine.path, fine.path.with_file_name("copy.mcap"))?;
        let sent = courier.queue().get(&fine.bundle_id).await?;
        for entry in Catalogue::new(expert.home.path().to_owned()).list()? {
            assert_eq!(sent.is_of(&entry), entry.path == fine.path, "{}", entry.path.display());
        }
        // Ended in the middle, it ends at once.
        stop.cancel();
        tokio::time::timeout(Duration::from_secs(5), work).await??;
        Ok::<_, anyhow::Error>(())
    })?;
    Ok(())
}

#[test]
fn a_turn_does_not_cut_off_a_chunk_on_a_slow_network() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let collector = Collector::start(&folder.path().join("collector"))?;
    let expert = Expert::enrolled(&collector, "project", "expert")?;
    let bundle = expert.home.path().join("slow.mcap");
    write_large(&bundle, 1)?;
    approve(&bundle)?;
    let bytes = std::fs::metadata(&bundle)?.len();
    // The one chunk takes about two seconds, and so do twenty turns.
    let proxy = Proxy::start(collector.address(), vec![Fault::Slow(bytes / 2); 64])?;
    expert.move_collector(&collector.url, &proxy.url)?;
    let tuning = Tuning { turn: Duration::from_millis(100), ..Tuning::default() };
    let settings = expert.home.path().join(".config/praxis");
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        let courier = Arc::new(Courier::open(&folder.path().join("queue"), &settings, tuning).await?);
        let item = courier.queue().add(&bundle, &proxy.url, true).await?;
        let (stop, worker) = (CancellationToken::new(), courier.clone());
        let stopping = stop.clone();
        let work = tokio::spawn(async move { worker.run(&stopping).await });
        for _ in 0..400 {
            if courier.queue().get(&item.bundle_id).await?.state.is_final() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        stop.cancel();
        work.await?;
        let sent = courier.queue().get(&item.bundle_id).await?;
        assert_eq!(sent.state, State::Verified, "{sent:?}");
        assert!(proxy.from_clients() < bytes + bytes / 4, "{} of {bytes} bytes", proxy.from_clients());
        Ok::<_, anyhow::Error>(())
    })?;
    Ok(())
}
