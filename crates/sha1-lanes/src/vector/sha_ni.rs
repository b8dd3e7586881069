//! 4 lanes: SHA instructions.
//!
//! A group of four rounds is one instruction, which waits several cycles for the group before. The CPU can begin others
//! meanwhile: those of other messages. Here a vector is a part of one message, and lanes are vectors side by side.

#[cfg(target_arch = "x86")]
use std::arch::x86::*;
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;
use std::array;

use crate::{Block, State};

type Vector = __m128i;

/// More do not fit in the 16 registers, and gain little.
const LANES: usize = 4;

#[target_feature(enable = "sha,ssse3,sse4.1")]
pub(super) fn compress(states: &mut [State], messages: &[&[Block]]) {
    let Some(first) = messages.first() else { return };
    // A lane without a message of its own repeats the first, for nothing.
    let mut lanes = [*first; LANES];
    lanes[..messages.len()].copy_from_slice(messages);

    // The first four variables of each message are in one vector, beginning at its high end. The fifth is at the high
    // end of another.
    let mut abcd = [_mm_setzero_si128(); LANES];
    let mut e = abcd;
    for (i, state) in states.iter().enumerate() {
        let [a, b, c, d, fifth] = state.map(u32::cast_signed);
        abcd[i] = _mm_set_epi32(a, b, c, d);
        e[i] = _mm_set_epi32(fifth, 0, 0, 0);
    }
    for block in 0..first.len() {
        let mut w = [[_mm_setzero_si128(); 4]; LANES];
        for (w, blocks) in w.iter_mut().zip(lanes) {
            *w = words(&blocks[block]);
        }
        (abcd, e) = compress_block(abcd, e, w);
    }
    for (i, state) in states.iter_mut().enumerate() {
        *state = [
            _mm_extract_epi32::<3>(abcd[i]),
            _mm_extract_epi32::<2>(abcd[i]),
            _mm_extract_epi32::<1>(abcd[i]),
            _mm_extract_epi32::<0>(abcd[i]),
            _mm_extract_epi32::<3>(e[i]),
        ]
        .map(i32::cast_unsigned);
    }
}

/// The 20 groups, written out. Of each schedule the last four vectors are kept: that of group `g` takes the place of
/// that of group `g - 4`. From the first group on `e` has the variables before the last group, of which the next one
/// makes the fifth.
#[inline]
#[target_feature(enable = "sha,ssse3,sse4.1")]
fn compress_block(
    abcd: [Vector; LANES],
    e: [Vector; LANES],
    mut w: [[Vector; 4]; LANES],
) -> ([Vector; LANES], [Vector; LANES]) {
    let (abcd_before, e_before) = (abcd, e);
    let (mut abcd, mut e) = (abcd, e);
    /// The groups `g` with one function and one constant, which have a number.
    macro_rules! groups {
        ($function:literal, $($g:literal)*) => {
            $(for i in 0..LANES {
                if $g >= 4 {
                    let two = _mm_xor_si128(_mm_sha1msg1_epu32(w[i][$g % 4], w[i][($g + 1) % 4]), w[i][($g + 2) % 4]);
                    w[i][$g % 4] = _mm_sha1msg2_epu32(two, w[i][($g + 3) % 4]);
                }
                let sum = match $g {
                    0 => _mm_add_epi32(e[i], w[i][0]),
                    _ => _mm_sha1nexte_epu32(e[i], w[i][$g % 4]),
                };
                e[i] = abcd[i];
                abcd[i] = _mm_sha1rnds4_epu32::<$function>(abcd[i], sum);
            })*
        };
    }
    groups!(0, 0 1 2 3 4);
    groups!(1, 5 6 7 8 9);
    groups!(2, 10 11 12 13 14);
    groups!(3, 15 16 17 18 19);
    for i in 0..LANES {
        e[i] = _mm_sha1nexte_epu32(e[i], e_before[i]);
        abcd[i] = _mm_add_epi32(abcd[i], abcd_before[i]);
    }
    (abcd, e)
}

/// The sixteen words of a block, each vector beginning at its high end.
#[inline]
#[target_feature(enable = "sha,ssse3,sse4.1")]
fn words(block: &Block) -> [Vector; 4] {
    let reversed = _mm_set_epi64x(0x0001_0203_0405_0607, 0x0809_0a0b_0c0d_0e0f);
    let (halves, _) = block.as_chunks();
    let half = |i: usize| i64::from_le_bytes(halves[i]);
    array::from_fn(|i| _mm_shuffle_epi8(_mm_set_epi64x(half(2 * i + 1), half(2 * i)), reversed))
}
