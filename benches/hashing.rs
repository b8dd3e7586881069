//! The throughput of SHA-1 by every path that this CPU has: 16 pieces of 1 MiB, hashed part by part.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use sha1_lanes::{Digest, Engine, MAX_LANES, Path};

const PIECE: usize = 1 << 20;

/// The bytes of each piece in one update.
const PART: usize = 32 << 10;

fn pieces(c: &mut Criterion) {
    let content: Vec<u8> = (0..PIECE * MAX_LANES).map(|i| (i * 31 + i / 251) as u8).collect();
    let pieces: Vec<&[u8]> = content.chunks(PIECE).collect();
    let mut group = c.benchmark_group("pieces");
    group.throughput(Throughput::Bytes(content.len() as u64));
    for path in Path::ALL.into_iter().filter(|path| path.is_available()) {
        let engine = Engine::with_path(path).expect("available");
        group.bench_function(BenchmarkId::from_parameter(path), |b| b.iter(|| digests(engine, black_box(&pieces))));
    }
}

/// The throughput with fewer pieces than lanes.
fn few_pieces(c: &mut Criterion) {
    let content = vec![0xaa; PIECE];
    let mut group = c.benchmark_group("few pieces");
    for count in [1, 2, 4, 6, 8, 12] {
        let pieces = vec![&content[..]; count];
        group.throughput(Throughput::Bytes((count * PIECE) as u64));
        group.bench_function(BenchmarkId::from_parameter(count), |b| {
            b.iter(|| digests(Engine::fastest(), black_box(&pieces)));
        });
    }
}

fn digests(engine: Engine, pieces: &[&[u8]]) -> [Digest; MAX_LANES] {
    let mut hasher = engine.hasher(pieces.len());
    for start in (0..PIECE).step_by(PART) {
        let mut parts: [&[u8]; MAX_LANES] = [&[]; MAX_LANES];
        for (part, piece) in parts.iter_mut().zip(pieces) {
            *part = &piece[start..start + PART];
        }
        hasher.update(&parts[..pieces.len()]);
    }
    let mut digests = [[0; 20]; MAX_LANES];
    hasher.finish(&[&[][..]; MAX_LANES][..pieces.len()], &mut digests[..pieces.len()]);
    digests
}

criterion_group!(benches, pieces, few_pieces);
criterion_main!(benches);
