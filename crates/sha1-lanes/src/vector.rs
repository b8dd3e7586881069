//! The paths that hash several messages at once, and the one place that calls them.
//!
//! For AVX2 and AVX-512 the compression function of SHA-1 ([FIPS
//! 180-4](https://csrc.nist.gov/pubs/fips/180-4/upd1/final), 6.1.2) is written once, in `compress_with`, and compiled
//! for each width. A variable of the standard, one word, is a vector there: the word of each message. All lanes do the
//! same, so that no round waits for anything but the round before.
//!
//! The compiler vectorises plain loops over arrays only for AVX-512, and their transposition is slow. Hence the
//! intrinsics, which are safe to call in a function with their target features. `array::map` and `array::from_fn` are
//! compiled without these features, so that their closures are not always inlined: measure before you use them in what
//! runs for each block.

mod avx2;
mod avx512;
mod sha_ni;

use crate::{Block, Path, State};

/// Hashes the blocks of up to [`Path::lanes`] messages into their states, by a path that is not [`Path::Single`]. All
/// messages have the same number of blocks.
///
/// # Panics
///
/// If the path is not available.
#[expect(unsafe_code, reason = "a function with target features is unsafe to call for one without them")]
pub(crate) fn compress_by(path: Path, states: &mut [State], messages: &[&[Block]]) {
    assert!(path.is_available(), "the path {path} is not available on this CPU");
    let compress: unsafe fn(&mut [State], &[&[Block]]) = match path {
        Path::Single => unreachable!("the path of the sha1 crate"),
        Path::ShaNi => sha_ni::compress,
        Path::Avx2 => avx2::compress,
        Path::Avx512 => avx512::compress,
    };
    // SAFETY: these functions are safe but for the target features that they need, which `is_available` has just found
    // in this CPU.
    unsafe { compress(states, messages) }
}

/// Defines `compress` for the vectors of a module, with these target features.
///
/// The module has `Vector`, `LANES`, `splat`, `gather`, `scatter`, `words`, and what `rounds` and `quads` call.
macro_rules! compress_with {
    ($features:literal) => {
        #[target_feature(enable = $features)]
        pub(super) fn compress(states: &mut [crate::State], messages: &[&[crate::Block]]) {
            let Some(first) = messages.first() else { return };
            // A lane without a message of its own repeats the first, for nothing.
            let mut lanes = [*first; LANES];
            lanes[..messages.len()].copy_from_slice(messages);

            let mut variables = [0, 1, 2, 3, 4].map(|i| {
                let mut words = [0; LANES];
                for (word, state) in words.iter_mut().zip(&*states) {
                    *word = state[i];
                }
                gather(words)
            });
            for block in 0..first.len() {
                let mut blocks = [&[0; size_of::<crate::Block>()]; LANES];
                for (current, lane) in blocks.iter_mut().zip(lanes) {
                    *current = &lane[block];
                }
                variables = compress_block(variables, words(blocks));
            }
            for (i, variable) in variables.into_iter().enumerate() {
                for (word, state) in scatter(variable).into_iter().zip(&mut *states) {
                    state[i] = word;
                }
            }
        }

        /// The 80 rounds, written out, so that the schedule and all variables are in registers. Of the schedule the
        /// last 16 words are kept: word `t` takes the place of word `t - 16`, from which it is made.
        #[inline]
        #[target_feature(enable = $features)]
        fn compress_block(before: [Vector; 5], mut w: [Vector; 16]) -> [Vector; 5] {
            let mut after = before;
            rounds!(choose, 0x5a82_7999, after, w, 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19);
            rounds!(parity, 0x6ed9_eba1, after, w, 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39);
            rounds!(majority, 0x8f1b_bcdc, after, w, 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59);
            rounds!(parity, 0xca62_c1d6, after, w, 60 61 62 63 64 65 66 67 68 69 70 71 72 73 74 75 76 77 78 79);
            let [a, b, c, d, e] = before;
            let [a2, b2, c2, d2, e2] = after;
            [add(a, a2), add(b, b2), add(c, c2), add(d, d2), add(e, e2)]
        }

        /// The first half of a transposition: 4 x 4 words in each 128 bits of four rows. `quads[4 * i + j]` has, in its
        /// 128 bits number `n`, the word `4 * n + j` of the rows `4 * i` to `4 * i + 3`.
        #[inline]
        #[target_feature(enable = $features)]
        fn quads(rows: [Vector; LANES]) -> [Vector; LANES] {
            let mut quads = rows;
            for quads in quads.as_chunks_mut().0 {
                let [a, b, c, d] = *quads;
                let (low, high) = ([low_32(a, b), low_32(c, d)], [high_32(a, b), high_32(c, d)]);
                *quads = [
                    low_64(low[0], low[1]),
                    high_64(low[0], low[1]),
                    low_64(high[0], high[1]),
                    high_64(high[0], high[1]),
                ];
            }
            quads
        }
    };
}
use compress_with;

/// Defines functions from vectors to a vector, compiled with these target features.
macro_rules! operations {
    ($features:literal: $($name:ident($($argument:ident),+) => $value:expr,)+) => {
        $(#[inline]
        #[target_feature(enable = $features)]
        fn $name($($argument: Vector),+) -> Vector {
            $value
        })+
    };
}
use operations;

/// The rounds `t` with one function and one constant.
macro_rules! rounds {
    ($function:ident, $constant:literal, $variables:ident, $w:ident, $($t:literal)*) => {
        let constant = splat($constant);
        $(
            if $t >= 16 {
                let three = parity($w[($t + 13) % 16], $w[($t + 8) % 16], $w[($t + 2) % 16]);
                $w[$t % 16] = rotate_1(xor(three, $w[$t % 16]));
            }
            let [a, b, c, d, e] = $variables;
            let sum = add(add(e, add(constant, $w[$t % 16])), $function(b, c, d));
            $variables = [add(sum, rotate_5(a)), a, rotate_30(b), c, d];
        )*
    };
}
use rounds;
