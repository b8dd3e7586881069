//! Every path that this CPU has, against the `sha1` crate and the vectors of FIPS 180.

use proptest::prelude::*;
use sha1::Digest as _;
use sha1_lanes::{Digest, Engine, MAX_LANES, Path, hash_all};

/// The engines to test: one per path, and the one that chooses.
fn engines() -> Vec<Engine> {
    let forced = Path::ALL.into_iter().filter(|path| path.is_available());
    let forced = forced.map(|path| Engine::with_path(path).expect("available"));
    forced.chain([Engine::fastest()]).collect()
}

fn expected(messages: &[&[u8]]) -> Vec<Digest> {
    messages.iter().map(|message| sha1::Sha1::digest(message).into()).collect()
}

fn hashed(engine: Engine, messages: &[&[u8]]) -> Vec<Digest> {
    let mut digests = vec![[0; 20]; messages.len()];
    engine.hash_all(messages, &mut digests);
    digests
}

/// Messages that differ everywhere.
fn messages(count: usize, length: usize, seed: u64) -> Vec<Vec<u8>> {
    let mut state = seed | 1;
    let mut byte = || {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        (state >> 56) as u8
    };
    (0..count).map(|_| (0..length).map(|_| byte()).collect()).collect()
}

fn borrowed(messages: &[Vec<u8>]) -> Vec<&[u8]> {
    messages.iter().map(Vec::as_slice).collect()
}

fn hex(digest: &Digest) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn vectors_of_the_standard() {
    let million = vec![b'a'; 1_000_000];
    let vectors: [(&[u8], &str); 5] = [
        (b"", "da39a3ee5e6b4b0d3255bfef95601890afd80709"),
        (b"abc", "a9993e364706816aba3e25717850c26c9cd0d89d"),
        (b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", "84983e441c3bd26ebaae4aa1f95129e5e54670f1"),
        (
            b"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmno\
              ijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu",
            "a49b2446a02c645bf419f995b67091253a04a259",
        ),
        (&million, "34aa973cd4c4daa4f61eeb2bdbad27316534016f"),
    ];
    for engine in engines() {
        for (message, digest) in vectors {
            let digests = hashed(engine, &[message; MAX_LANES + 1]);
            assert!(digests.iter().all(|hashed| hex(hashed) == digest), "{engine:?}, {} bytes", message.len());
        }
    }
}

#[test]
fn lengths_around_a_block_and_every_count() {
    for engine in engines() {
        for length in [0, 1, 55, 56, 63, 64, 65, 119, 120, 127, 128, 129] {
            for count in 0..=40 {
                let messages = messages(count, length, count as u64);
                let messages = borrowed(&messages);
                assert_eq!(hashed(engine, &messages), expected(&messages), "{engine:?}, {count} of {length} bytes");
            }
        }
    }
}

/// Each message, shifted by one byte in one buffer: no path needs aligned messages.
#[test]
fn unaligned_messages() {
    let content = messages(1, 5000, 3).concat();
    for engine in engines() {
        let messages: Vec<_> = (0..40).map(|start| &content[start..start + 4000]).collect();
        assert_eq!(hashed(engine, &messages), expected(&messages), "{engine:?}");
    }
}

#[test]
fn the_free_function_takes_the_fastest_path() {
    let messages = messages(20, 1000, 7);
    let messages = borrowed(&messages);
    let mut digests = vec![[0; 20]; 20];
    hash_all(&messages, &mut digests);
    assert_eq!(digests, expected(&messages));
    assert_eq!(Engine::fastest(), Engine::fastest());
}

#[test]
fn a_path_that_is_chosen_is_taken_or_refused() {
    for path in Path::ALL {
        match Engine::with_path(path) {
            Ok(engine) => {
                assert!(path.is_available());
                assert_eq!((engine.path(), engine.lanes()), (path, path.lanes()));
            }
            Err(error) => {
                assert!(!path.is_available());
                assert_eq!(error.to_string(), format!("the path {path} is not available on this CPU"));
            }
        }
    }
    assert!(Engine::with_path(Path::Single).is_ok());
}

#[test]
#[should_panic(expected = "messages of the same length")]
fn different_lengths_are_refused() {
    hash_all(&[b"abc", b"abcd"], &mut [[0; 20]; 2]);
}

#[test]
#[should_panic(expected = "a multiple of 64")]
fn a_part_that_ends_in_a_block_is_refused() {
    Engine::fastest().hasher(1).update(&[b"abc"]);
}

#[test]
#[should_panic(expected = "at most 16")]
fn too_many_messages_for_a_hasher_are_refused() {
    let _ = Engine::fastest().hasher(17);
}

proptest! {
    #[test]
    fn all_paths_agree_with_the_sha1_crate(
        count in 1..=40_usize,
        length in prop_oneof![0..200_usize, 200..8192_usize],
        seed: u64,
    ) {
        let messages = messages(count, length, seed);
        let messages = borrowed(&messages);
        let expected = expected(&messages);
        for engine in engines() {
            prop_assert_eq!(hashed(engine, &messages), expected.as_slice(), "{:?}", engine);
        }
    }

    #[test]
    fn parts_make_the_whole(
        count in 0..=MAX_LANES,
        parts in prop::collection::vec(0..20_usize, 0..5),
        last in 0..300_usize,
        seed: u64,
    ) {
        let length = 64 * parts.iter().sum::<usize>() + last;
        let messages = messages(count, length, seed);
        let messages = borrowed(&messages);
        let expected = expected(&messages);
        for engine in engines() {
            let mut hasher = engine.hasher(count);
            let mut start = 0;
            for blocks in &parts {
                let end = start + 64 * blocks;
                hasher.update(&messages.iter().map(|message| &message[start..end]).collect::<Vec<_>>());
                start = end;
            }
            let mut digests = vec![[0; 20]; count];
            hasher.finish(&messages.iter().map(|message| &message[start..]).collect::<Vec<_>>(), &mut digests);
            prop_assert_eq!(digests, expected.as_slice(), "{:?}", engine);
        }
    }
}
