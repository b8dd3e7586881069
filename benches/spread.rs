//! What the commands of the spreader cost, with as many pieces and peers as there are in a large torrent.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use peer_wire::Block;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use tracker_peer::spreader::{Action, Layout, MAX_RECEIVERS, Spreader};

const PIECES: u32 = 400_000;
const PIECE_LENGTH: u32 = 16 * 1024;

/// A spreader whose peers have a random half of all pieces, and as many have each.
fn crowd() -> (Spreader<usize>, SmallRng) {
    let mut rng = SmallRng::seed_from_u64(1);
    let layout = Layout::new(u64::from(PIECES) * u64::from(PIECE_LENGTH), PIECE_LENGTH).expect("it is not too large");
    let mut spreader = Spreader::new(layout, &mut rng);
    for peer in 0..MAX_RECEIVERS {
        spreader.handle_joined(Duration::ZERO, peer, true, Some(&half(&mut rng)));
    }
    drain(&mut spreader);
    (spreader, rng)
}

fn half(rng: &mut SmallRng) -> Vec<u8> {
    (0..PIECES / 8).map(|_| rng.random()).collect()
}

fn drain(spreader: &mut Spreader<usize>) {
    while let Some(action) = spreader.poll_action() {
        black_box(action);
    }
}

fn commands(c: &mut Criterion) {
    let mut group = c.benchmark_group(format!("spreader, 400,000 pieces, {MAX_RECEIVERS} peers"));
    let (mut spreader, mut rng) = crowd();
    group.bench_function("have", |b| {
        b.iter(|| {
            spreader.handle_have(Duration::ZERO, rng.random_range(0..MAX_RECEIVERS), rng.random_range(0..PIECES));
            drain(&mut spreader);
        });
    });
    group.bench_function("reveal, request, serve or sent", |b| {
        b.iter(|| {
            match spreader.poll_action() {
                Some(Action::Reveal { connection, piece }) => {
                    let block = Block { piece, begin: 0, length: PIECE_LENGTH };
                    spreader.handle_request(Duration::ZERO, connection, block);
                }
                Some(Action::Serve { connection, block }) => {
                    spreader.handle_sent(Duration::ZERO, connection, block.length);
                }
                Some(_) => {}
                // It has everything. Seldom enough not to count.
                None => {
                    spreader.handle_left(Duration::ZERO, 0);
                    spreader.handle_joined(Duration::ZERO, 0, true, None);
                }
            }
        });
    });
    group.bench_function("leave and join", |b| {
        let bitfield = half(&mut rng);
        b.iter(|| {
            spreader.handle_left(Duration::ZERO, 7);
            spreader.handle_joined(Duration::ZERO, 7, true, Some(&bitfield));
            drain(&mut spreader);
        });
    });
    group.finish();
}

criterion_group!(benches, commands);
criterion_main!(benches);
