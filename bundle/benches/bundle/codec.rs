//! How fast pictures are encoded and decoded. Bytes are those of the snapshots that the encoder is given, and those of
//! the messages that the decoder is given; elements are pictures.

use criterion::{BatchSize, Criterion, Throughput};
use praxis_bundle::Result;
use praxis_bundle::screen::Decoder;

use crate::scenes::{Scene, Snapshot, change, desktop};

/// Pictures of a sequence: five seconds.
const COUNT: u32 = 60;

pub(crate) fn bench(criterion: &mut Criterion) -> Result<()> {
    for (name, scene) in Scene::ALL {
        let snapshots: Vec<Snapshot> = (0..COUNT).map(|n| scene.snapshot(n)).collect();
        let (mut encoder, key) = desktop()?;
        let messages: Vec<_> = snapshots.iter().map(|snapshot| change(&mut encoder, snapshot, 0)).collect();

        let throughput =
            |bytes: usize| Throughput::ElementsAndBytes { elements: COUNT.into(), bytes: bytes as u64 };
        let mut group = criterion.benchmark_group("encode");
        group.throughput(throughput(snapshots.iter().map(|snapshot| snapshot.bgrx.len()).sum()));
        group.bench_function(name, |bencher| {
            let fresh = || desktop().expect("the size is fine").0;
            let encode = |mut encoder| {
                snapshots.iter().map(|snapshot| change(&mut encoder, snapshot, 0).len()).sum::<usize>()
            };
            bencher.iter_batched(fresh, encode, BatchSize::LargeInput);
        });
        group.finish();

        let mut group = criterion.benchmark_group("decode");
        group.throughput(throughput(messages.iter().map(Vec::len).sum()));
        group.bench_function(name, |bencher| {
            let fresh = || {
                let mut decoder = Decoder::new(0);
                decoder.apply(0, &key).expect("a keyframe stands alone");
                decoder
            };
            let decode = |mut decoder: Decoder| {
                for (n, message) in messages.iter().enumerate() {
                    decoder.apply(n as u32 + 1, message).expect("nothing is missing");
                }
                decoder
            };
            bencher.iter_batched(fresh, decode, BatchSize::LargeInput);
        });
        group.finish();
    }
    Ok(())
}
