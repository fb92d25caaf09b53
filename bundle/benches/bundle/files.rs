//! How fast files are sealed and recovered, and how long a picture takes to be found. Elements are seconds of the
//! session, so elements a second are times real time; bytes are those of the live file.

use std::path::Path;

use criterion::{Criterion, Throughput};
use praxis_bundle::file::picture_at;
use praxis_bundle::finish::write_finished;
use praxis_bundle::storage::Disk;
use praxis_bundle::{Error, Profile, Result};

use crate::scenes::write_session;

const FINISHED_SECONDS: u64 = 60;
const SOUGHT_SECONDS: u64 = 600;

pub(crate) fn bench(criterion: &mut Criterion) -> Result<()> {
    let folder = tempfile::tempdir().map_err(Error::io("making a folder"))?;
    finish(criterion, folder.path())?;
    seek(criterion, folder.path())?;
    Ok(())
}

fn finish(criterion: &mut Criterion, folder: &Path) -> Result<()> {
    let (live, target) = (folder.join("minute.live.mcap"), folder.join("finished.mcap"));
    write_session(&live, FINISHED_SECONDS)?;
    let bytes = std::fs::metadata(&live).map_err(Error::io("looking at the session"))?.len();
    let mut group = criterion.benchmark_group("finish");
    group.sample_size(10).throughput(Throughput::ElementsAndBytes { elements: FINISHED_SECONDS, bytes });
    for (name, profile) in [("seal", Profile::Seal), ("recover", Profile::Recover)] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| write_finished(&Disk, &live, &target, profile).expect("the session is whole"));
        });
    }
    group.finish();
    Ok(())
}

fn seek(criterion: &mut Criterion, folder: &Path) -> Result<()> {
    let (live, sealed) = (folder.join("long.live.mcap"), folder.join("long.mcap"));
    write_session(&live, SOUGHT_SECONDS)?;
    write_finished(&Disk, &live, &sealed, Profile::Seal)?;
    let mut group = criterion.benchmark_group("seek");
    group.sample_size(30);
    group.bench_function("picture_at", |bencher| {
        let mut at_millis = 0;
        bencher.iter(|| {
            // All over the session, the same times in each run.
            at_millis = (at_millis + 377_371) % (SOUGHT_SECONDS * 1000);
            picture_at(&sealed, 0, at_millis * 1_000_000).expect("a picture at any time")
        });
    });
    group.finish();
    Ok(())
}
