//! The cost of keeping a million peers in files, and of reading them.

use std::time::{Duration, SystemTime};

use benches::shards;
use criterion::{Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use tracker_core::{Instant, SwarmImage, Walk};
use tracker_store::Store;

fn images() -> Vec<SwarmImage> {
    let shards = shards(10_000, 100);
    let (mut walk, mut images) = (Walk::by_peer(), Vec::new());
    while shards.walk(&mut walk, 1000, |slice| images.push(slice.image(Instant::ZERO))) {}
    images
}

fn snapshot(c: &mut Criterion) {
    let images = images();
    let folder = tempfile::tempdir().expect("a folder");
    let (mut store, _) = Store::open(folder.path()).expect("an empty folder");
    let mut group = c.benchmark_group("a million peers in 10,000 swarms");
    group.sampling_mode(SamplingMode::Flat).sample_size(10).measurement_time(Duration::from_secs(3));
    group.throughput(Throughput::Elements(images.iter().map(|image| image.peers.len() as u64).sum()));
    group.bench_function("write", |b| {
        b.iter(|| {
            let mut snapshot = store.begin_snapshot(SystemTime::now()).expect("a snapshot");
            images.iter().for_each(|image| snapshot.add(image).expect("there is room"));
            store.finish_snapshot(snapshot).expect("there is room");
        });
    });
    let bytes = std::fs::metadata(folder.path().join("swarms.snapshot")).expect("a snapshot").len();
    println!("a snapshot of a million peers: {:.1} MB", bytes as f64 / 1e6);
    // Once to see whether it is whole, and once for what is in it.
    group.bench_function("open and read", |b| {
        b.iter(|| {
            let now = SystemTime::now();
            let (_, mut recovered) = Store::open(folder.path()).expect("a store");
            std::iter::from_fn(|| recovered.next_image(now)).map(|(image, _)| image.peers.len()).sum::<usize>()
        });
    });
    group.finish();
    let completed = [SwarmImage { peers: images[0].peers[..1].to_vec(), ..images[0] }];
    c.bench_function("append one download", |b| {
        b.iter(|| store.append(SystemTime::now(), &completed).expect("there is room"));
    });
}

criterion_group!(benches, snapshot);
criterion_main!(benches);
