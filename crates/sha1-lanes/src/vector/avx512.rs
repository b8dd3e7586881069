//! 16 lanes: AVX-512.

#[cfg(target_arch = "x86")]
use std::arch::x86::*;
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

use super::{compress_with, operations, rounds};
use crate::Block;

type Vector = __m512i;

const LANES: usize = 16;

compress_with!("avx512f,avx512vl,avx512bw");

#[inline]
#[target_feature(enable = "avx512f,avx512vl,avx512bw")]
fn splat(word: u32) -> Vector {
    _mm512_set1_epi32(word.cast_signed())
}

/// The vector of these words: one load if they stand one after the other in memory.
#[inline]
#[target_feature(enable = "avx512f,avx512vl,avx512bw")]
fn gather(words: [u32; LANES]) -> Vector {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = words.map(u32::cast_signed);
    _mm512_setr_epi32(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p)
}

/// The words of a vector.
#[inline]
#[target_feature(enable = "avx512f,avx512vl,avx512bw")]
fn scatter(vector: Vector) -> [u32; LANES] {
    let quarters = [
        _mm512_extracti32x4_epi32::<0>(vector),
        _mm512_extracti32x4_epi32::<1>(vector),
        _mm512_extracti32x4_epi32::<2>(vector),
        _mm512_extracti32x4_epi32::<3>(vector),
    ];
    let mut words = [0; LANES];
    for (words, quarter) in words.as_chunks_mut().0.iter_mut().zip(quarters) {
        *words = [
            _mm_extract_epi32::<0>(quarter),
            _mm_extract_epi32::<1>(quarter),
            _mm_extract_epi32::<2>(quarter),
            _mm_extract_epi32::<3>(quarter),
        ]
        .map(i32::cast_unsigned);
    }
    words
}

/// The sixteen words of one block of each message: a matrix of 16 x 16 words, transposed.
#[inline]
#[target_feature(enable = "avx512f,avx512vl,avx512bw")]
fn words(blocks: [&Block; LANES]) -> [Vector; 16] {
    let big_endian = _mm512_set4_epi32(0x0c0d_0e0f, 0x0809_0a0b, 0x0405_0607, 0x0001_0203);
    let mut rows = [splat(0); LANES];
    for (row, block) in rows.iter_mut().zip(blocks) {
        let (words, _) = block.as_chunks();
        let words = gather(std::array::from_fn(|i| u32::from_le_bytes(words[i])));
        *row = _mm512_shuffle_epi8(words, big_endian);
    }
    let quads = quads(rows);
    // For each j, 4 x 4 quarters.
    let mut words = quads;
    for j in 0..4 {
        let [q0, q1, q2, q3] = [quads[j], quads[j + 4], quads[j + 8], quads[j + 12]];
        let even = [_mm512_shuffle_i32x4::<0x88>(q0, q1), _mm512_shuffle_i32x4::<0x88>(q2, q3)];
        let odd = [_mm512_shuffle_i32x4::<0xdd>(q0, q1), _mm512_shuffle_i32x4::<0xdd>(q2, q3)];
        words[j] = _mm512_shuffle_i32x4::<0x88>(even[0], even[1]);
        words[j + 4] = _mm512_shuffle_i32x4::<0x88>(odd[0], odd[1]);
        words[j + 8] = _mm512_shuffle_i32x4::<0xdd>(even[0], even[1]);
        words[j + 12] = _mm512_shuffle_i32x4::<0xdd>(odd[0], odd[1]);
    }
    words
}

operations! {
    "avx512f,avx512vl,avx512bw":
    add(a, b) => _mm512_add_epi32(a, b),
    xor(a, b) => _mm512_xor_si512(a, b),
    rotate_1(a) => _mm512_rol_epi32::<1>(a),
    rotate_5(a) => _mm512_rol_epi32::<5>(a),
    rotate_30(a) => _mm512_rol_epi32::<30>(a),
    choose(b, c, d) => _mm512_ternarylogic_epi32::<0xca>(b, c, d),
    parity(b, c, d) => _mm512_ternarylogic_epi32::<0x96>(b, c, d),
    majority(b, c, d) => _mm512_ternarylogic_epi32::<0xe8>(b, c, d),
    low_32(a, b) => _mm512_unpacklo_epi32(a, b),
    high_32(a, b) => _mm512_unpackhi_epi32(a, b),
    low_64(a, b) => _mm512_unpacklo_epi64(a, b),
    high_64(a, b) => _mm512_unpackhi_epi64(a, b),
}
