//! [`PieceLength`]: the length of content that one SHA-1 digest covers.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// The length of a piece in a new torrent: a power of two from 16 KiB to 128 MiB.
///
/// [BEP 3](https://www.bittorrent.org/beps/bep_0003.html) allows any length, and reading accepts
/// any that clients do; this is the narrower set that every client also handles well.
///
/// ```
/// use metainfo::PieceLength;
///
/// let chosen = PieceLength::for_total(700 << 20);
/// assert_eq!(chosen.bytes(), 512 << 10);
/// assert_eq!(chosen.to_string(), "512 KiB");
/// assert_eq!("4MiB".parse::<PieceLength>()?.bytes(), 4 << 20);
/// assert_eq!(PieceLength::try_from(262_144)?.pieces(1_000_000), 4);
/// # Ok::<(), metainfo::PieceLengthError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PieceLength(u32);

impl PieceLength {
    /// 16 KiB, the size of one block on the wire.
    pub const MIN: Self = Self(16 << 10);
    /// 128 MiB, the most that libtorrent writes.
    pub const MAX: Self = Self(128 << 20);
    /// 16 MiB: [`for_total`](Self::for_total) goes above it only to stay within
    /// [`MAX_PIECES`](Self::MAX_PIECES).
    pub const AUTO_MAX: Self = Self(16 << 20);
    /// 64 KiB: shorter pieces only where there would be fewer than 256.
    const SMALL: Self = Self(64 << 10);
    /// The maximum number of pieces in a new torrent: 9.6 MB of digests, because libtorrent by default refuses a
    /// .torrent of more than 10 MB.
    pub const MAX_PIECES: u64 = 480_000;

    /// The piece length for content of `total` bytes: the power of two nearest below `total /
    /// 1024`, so that there are 1024 to 2047 pieces, but at most 16 MiB. More than that (to 128 MiB)
    /// only where there would be more than [`MAX_PIECES`](Self::MAX_PIECES) pieces otherwise. Content
    /// of less than 64 MiB has pieces of 64 KiB, if there are at least 256, or else shorter ones, down to
    /// 16 KiB: clients with few upload slots share longer pieces sooner, unless there are very few.
    ///
    /// A piece is the unit that a client fetches again if it was damaged, and shares once it is
    /// complete; on a LAN a thousand pieces are fine enough for both, and the .torrent stays below
    /// 40 kB up to 32 GiB.
    pub fn for_total(total: u64) -> Self {
        let log2 = total.max(1).ilog2();
        let exponent = log2.saturating_sub(10).max(log2.saturating_sub(8).min(Self::SMALL.0.ilog2()));
        let mut length = Self(1 << exponent.clamp(Self::MIN.0.ilog2(), Self::AUTO_MAX.0.ilog2()));
        while length.pieces(total) > Self::MAX_PIECES && length < Self::MAX {
            length.0 *= 2;
        }
        length
    }

    /// The length in bytes.
    pub const fn bytes(self) -> u64 {
        self.0 as u64
    }

    /// The number of pieces in content of `total` bytes; the last one may be shorter.
    pub const fn pieces(self, total: u64) -> u64 {
        total.div_ceil(self.bytes())
    }
}

impl TryFrom<u64> for PieceLength {
    type Error = PieceLengthError;

    fn try_from(bytes: u64) -> Result<Self, Self::Error> {
        if !bytes.is_power_of_two() {
            return Err(PieceLengthError::NotAPowerOfTwo { bytes });
        }
        u32::try_from(bytes)
            .ok()
            .map(Self)
            .filter(|length| (Self::MIN..=Self::MAX).contains(length))
            .ok_or(PieceLengthError::OutOfRange { bytes })
    }
}

/// Bytes (`262144`) or a number of KiB or MiB (`256KiB`, `4 MiB`; `K`, `M`, `k`, `m` are short for
/// them).
impl FromStr for PieceLength {
    type Err = PieceLengthError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let unreadable = || PieceLengthError::Unreadable { text: text.to_owned() };
        let text = text.trim();
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let unit: u64 = match text[digits.len()..].to_ascii_lowercase().as_str() {
            "" => 1,
            "k" | "kib" => 1 << 10,
            "m" | "mib" => 1 << 20,
            _ => return Err(unreadable()),
        };
        let number: u64 = digits.trim_end().parse().map_err(|_| unreadable())?;
        Self::try_from(number.checked_mul(unit).ok_or_else(unreadable)?)
    }
}

impl fmt::Display for PieceLength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 >> 20 {
            0 => write!(f, "{} KiB", self.0 >> 10),
            mib => write!(f, "{mib} MiB"),
        }
    }
}

/// The reason why a value is not a [`PieceLength`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PieceLengthError {
    /// Clients split pieces into blocks of 16 KiB, and many demand a power of two.
    #[error("a piece length must be a power of two, which {bytes} is not")]
    NotAPowerOfTwo {
        /// The length asked for.
        bytes: u64,
    },
    /// Less than [`PieceLength::MIN`] or more than [`PieceLength::MAX`].
    #[error("a piece length must be from 16 KiB to 128 MiB (16384 to 134217728 bytes), which {bytes} is not")]
    OutOfRange {
        /// The length asked for.
        bytes: u64,
    },
    /// Neither a number of bytes nor one with a known unit.
    #[error("{text:?} is not a piece length, try 256KiB or 4MiB")]
    Unreadable {
        /// The text as given.
        text: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule() {
        const KIB: u64 = 1 << 10;
        const MIB: u64 = 1 << 20;
        const GIB: u64 = 1 << 30;
        for (total, expected) in [
            (0, 16 * KIB),
            (1, 16 * KIB),
            (8 * MIB - 1, 16 * KIB),
            (8 * MIB, 32 * KIB),
            (16 * MIB, 64 * KIB),
            (128 * MIB - 1, 64 * KIB),
            (128 * MIB, 128 * KIB),
            (700 * MIB, 512 * KIB),
            (GIB, MIB),
            (8 * GIB, 8 * MIB),
            (16 * GIB, 16 * MIB),
            (1024 * GIB, 16 * MIB),
            (PieceLength::MAX_PIECES * 16 * MIB, 16 * MIB),
            (PieceLength::MAX_PIECES * 16 * MIB + 1, 32 * MIB),
            (u64::MAX, 128 * MIB),
        ] {
            assert_eq!(PieceLength::for_total(total).bytes(), expected, "{total}");
        }
    }

    /// The rule in the compatibility notes: `2^round(log2(size) - 10.5)`, clamped.
    #[test]
    fn from_64_mib_on_the_rule_is_the_rounded_logarithm() {
        for total in (9..2000u64).map(|n| n * 7_654_321) {
            let exponent = ((total as f64).log2() - 10.5).round().clamp(14.0, 24.0) as u32;
            assert_eq!(PieceLength::for_total(total).bytes(), 1 << exponent, "{total}");
        }
    }

    #[test]
    fn text() {
        for (text, bytes) in [
            ("16384", 16_384),
            ("16KiB", 16_384),
            ("16k", 16_384),
            ("256 KiB", 262_144),
            ("4MiB", 4_194_304),
            ("128M", 134_217_728),
        ] {
            let length: PieceLength = text.parse().unwrap();
            assert_eq!(length.bytes(), bytes, "{text}");
            assert_eq!(length.to_string().parse(), Ok(length));
        }
        let unreadable = |text: &str| PieceLengthError::Unreadable { text: text.to_owned() };
        for (text, error) in [
            ("", unreadable("")),
            ("KiB", unreadable("KiB")),
            ("4GB", unreadable("4GB")),
            ("-1", unreadable("-1")),
            ("18446744073709551615KiB", unreadable("18446744073709551615KiB")),
            ("0", PieceLengthError::NotAPowerOfTwo { bytes: 0 }),
            ("100KiB", PieceLengthError::NotAPowerOfTwo { bytes: 102_400 }),
            ("8KiB", PieceLengthError::OutOfRange { bytes: 8192 }),
            ("256MiB", PieceLengthError::OutOfRange { bytes: 268_435_456 }),
            ("9223372036854775808", PieceLengthError::OutOfRange { bytes: 1 << 63 }),
        ] {
            assert_eq!(text.parse::<PieceLength>(), Err(error), "{text}");
        }
    }

    #[test]
    fn piece_count() {
        assert_eq!(PieceLength::MIN.pieces(0), 0);
        assert_eq!(PieceLength::MIN.pieces(1), 1);
        assert_eq!(PieceLength::MIN.pieces(16_384), 1);
        assert_eq!(PieceLength::MIN.pieces(16_385), 2);
    }
}
