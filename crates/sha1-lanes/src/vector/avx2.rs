//! 8 lanes: AVX2.

#[cfg(target_arch = "x86")]
use std::arch::x86::*;
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

use super::{compress_with, operations, rounds};
use crate::Block;

type Vector = __m256i;

const LANES: usize = 8;

compress_with!("avx2");

#[inline]
#[target_feature(enable = "avx2")]
fn splat(word: u32) -> Vector {
    _mm256_set1_epi32(word.cast_signed())
}

/// The vector of these words: one load if they stand one after the other in memory.
#[inline]
#[target_feature(enable = "avx2")]
fn gather(words: [u32; LANES]) -> Vector {
    let [a, b, c, d, e, f, g, h] = words.map(u32::cast_signed);
    _mm256_setr_epi32(a, b, c, d, e, f, g, h)
}

/// The words of a vector.
#[inline]
#[target_feature(enable = "avx2")]
fn scatter(vector: Vector) -> [u32; LANES] {
    [
        _mm256_extract_epi32::<0>(vector),
        _mm256_extract_epi32::<1>(vector),
        _mm256_extract_epi32::<2>(vector),
        _mm256_extract_epi32::<3>(vector),
        _mm256_extract_epi32::<4>(vector),
        _mm256_extract_epi32::<5>(vector),
        _mm256_extract_epi32::<6>(vector),
        _mm256_extract_epi32::<7>(vector),
    ]
    .map(i32::cast_unsigned)
}

/// The sixteen words of one block of each message: two matrices of 8 x 8 words, transposed.
#[inline]
#[target_feature(enable = "avx2")]
fn words(blocks: [&Block; LANES]) -> [Vector; 16] {
    let (mut first, mut second) = ([splat(0); LANES], [splat(0); LANES]);
    for (i, block) in blocks.into_iter().enumerate() {
        let (words, _) = block.as_chunks();
        first[i] = gather(std::array::from_fn(|word| u32::from_le_bytes(words[word])));
        second[i] = gather(std::array::from_fn(|word| u32::from_le_bytes(words[8 + word])));
    }
    let (first, second) = (transposed(first), transposed(second));
    std::array::from_fn(|i| if i < 8 { first[i] } else { second[i - 8] })
}

/// The words of rows of big-endian bytes, transposed.
#[inline]
#[target_feature(enable = "avx2")]
fn transposed(mut rows: [Vector; LANES]) -> [Vector; LANES] {
    let big_endian = _mm256_broadcastsi128_si256(_mm_setr_epi32(0x0001_0203, 0x0405_0607, 0x0809_0a0b, 0x0c0d_0e0f));
    for row in &mut rows {
        *row = _mm256_shuffle_epi8(*row, big_endian);
    }
    let quads = quads(rows);
    // For each j, 2 x 2 halves.
    let mut words = quads;
    for j in 0..4 {
        words[j] = _mm256_permute2x128_si256::<0x20>(quads[j], quads[j + 4]);
        words[j + 4] = _mm256_permute2x128_si256::<0x31>(quads[j], quads[j + 4]);
    }
    words
}

operations! {
    "avx2":
    add(a, b) => _mm256_add_epi32(a, b),
    xor(a, b) => _mm256_xor_si256(a, b),
    rotate_1(a) => _mm256_or_si256(_mm256_slli_epi32::<1>(a), _mm256_srli_epi32::<31>(a)),
    rotate_5(a) => _mm256_or_si256(_mm256_slli_epi32::<5>(a), _mm256_srli_epi32::<27>(a)),
    rotate_30(a) => _mm256_or_si256(_mm256_slli_epi32::<30>(a), _mm256_srli_epi32::<2>(a)),
    choose(b, c, d) => xor(d, _mm256_and_si256(b, xor(c, d))),
    parity(b, c, d) => xor(xor(b, c), d),
    majority(b, c, d) => xor(_mm256_and_si256(b, c), _mm256_and_si256(d, xor(b, c))),
    low_32(a, b) => _mm256_unpacklo_epi32(a, b),
    high_32(a, b) => _mm256_unpackhi_epi32(a, b),
    low_64(a, b) => _mm256_unpacklo_epi64(a, b),
    high_64(a, b) => _mm256_unpackhi_epi64(a, b),
}
