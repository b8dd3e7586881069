//! The cost of bencode: decoding the .torrent file of a large folder and a hostile dict, encoding the answer to an announce.

use std::hint::black_box;

use bencode::{Decoder, Encoder};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

fn decode(c: &mut Criterion) {
    let metainfo = metainfo();
    let mut group = c.benchmark_group("decode");
    group.throughput(Throughput::Bytes(metainfo.len() as u64));
    for (name, decoder) in [("metainfo/strict", Decoder::strict()), ("metainfo/lenient", Decoder::lenient())] {
        group.bench_function(name, |b| {
            b.iter(|| decoder.decode(black_box(&metainfo)).expect("canonical"));
        });
    }

    let unsorted = unsorted_dict();
    group.throughput(Throughput::Bytes(unsorted.len() as u64));
    group.sample_size(20);
    group.bench_function("million unsorted keys/lenient", |b| {
        b.iter(|| Decoder::lenient().decode(black_box(&unsorted)).expect("lenient"));
    });
}

fn encode(c: &mut Criterion) {
    let peers = [[192, 168, 1, 7, 0x1a, 0xe1]; 50].concat();
    let mut encoder = Encoder::new();
    let mut group = c.benchmark_group("encode");
    group.bench_function("announce", |b| {
        b.iter(|| {
            let answer = encoder.encode(|answer| {
                answer.dict(|answer| {
                    answer.int("complete", black_box(12));
                    answer.int("incomplete", black_box(38));
                    answer.int("interval", black_box(900));
                    answer.int("min interval", black_box(450));
                    answer.bytes("peers", black_box(&peers));
                    answer.bytes("peers6", []);
                });
            });
            black_box(answer.expect("no duplicates").len())
        });
    });
}

/// About 2 MB: 16,384 files in 256 folders, and 20,000 pieces.
fn metainfo() -> Vec<u8> {
    let pieces: Vec<u8> = (0..20_000 * 20_u32).map(|i| (i * 37) as u8).collect();
    bencode::encode(|metainfo| {
        metainfo.dict(|metainfo| {
            metainfo.bytes("announce", "http://192.168.1.2:6969/announce");
            metainfo.int("creation date", 1_700_000_000);
            metainfo.dict("info", |info| {
                info.list("files", |files| {
                    for i in 0..16_384_u64 {
                        files.dict(|file| {
                            file.int("length", i * 7919);
                            file.list("path", |path| {
                                path.bytes("share");
                                path.bytes(format!("unit-{:03}", i % 256));
                                path.bytes(format!("recording of lecture no. {i:05}, room {}.ogg", i % 31));
                            });
                        });
                    }
                });
                info.bytes("name", "course material");
                info.int("piece length", 1 << 22);
                info.bytes("pieces", &pieces);
            });
        });
    })
    .expect("no duplicates")
}

/// The longest search for duplicates that the default limits leave room for is half as long again.
fn unsorted_dict() -> Vec<u8> {
    let mut dict = b"d".to_vec();
    for key in 0..1_000_000_u32 {
        dict.extend_from_slice(b"4:");
        dict.extend_from_slice(&key.wrapping_mul(0x9e37_79b1).to_be_bytes());
        dict.extend_from_slice(b"0:");
    }
    dict.push(b'e');
    dict
}

criterion_group!(benches, decode, encode);
criterion_main!(benches);
