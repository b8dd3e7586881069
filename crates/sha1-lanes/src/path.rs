//! The code paths.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// A code path: the instructions that hash, and the number of messages that they hash at once.
///
/// Its name, such as `avx512`, is what [`Display`](fmt::Display) prints and [`FromStr`] parses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Path {
    /// `single`: one message after the other, with the `sha1` crate, which uses SHA instructions of the CPU if there
    /// are any. Every CPU has this path.
    Single,
    /// `sha-ni`: 4 messages at once, with SHA instructions.
    ShaNi,
    /// `avx2`: 8 messages at once.
    Avx2,
    /// `avx512`: 16 messages at once. Needs AVX-512 F, VL and BW.
    Avx512,
}

/// The maximum of [`Path::lanes`] over all paths.
pub const MAX_LANES: usize = 16;

impl Path {
    /// All paths, also those that this CPU does not have.
    pub const ALL: [Self; 4] = [Self::Single, Self::ShaNi, Self::Avx2, Self::Avx512];

    /// The number of messages that are hashed at once. Fewer take as long as that many.
    #[must_use]
    pub const fn lanes(self) -> usize {
        match self {
            Self::Single => 1,
            Self::ShaNi => 4,
            Self::Avx2 => 8,
            Self::Avx512 => MAX_LANES,
        }
    }

    /// Returns `true` if the CPU and the operating system support the path.
    #[must_use]
    pub fn is_available(self) -> bool {
        match self {
            Self::Single => true,
            #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
            Self::ShaNi => {
                is_x86_feature_detected!("sha")
                    && is_x86_feature_detected!("ssse3")
                    && is_x86_feature_detected!("sse4.1")
            }
            #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
            Self::Avx2 => is_x86_feature_detected!("avx2"),
            #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
            Self::Avx512 => {
                is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512bw")
            }
            #[cfg(not(any(target_arch = "x86", target_arch = "x86_64")))]
            Self::ShaNi | Self::Avx2 | Self::Avx512 => false,
        }
    }

    /// The path's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Single => "single",
            Self::ShaNi => "sha-ni",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
        }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A name that is not the name of a [`Path`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("no such path {name:?}: use single, sha-ni, avx2 or avx512")]
pub struct ParsePathError {
    /// What was parsed.
    pub name: String,
}

impl FromStr for Path {
    type Err = ParsePathError;

    fn from_str(name: &str) -> Result<Self, ParsePathError> {
        let path = Self::ALL.into_iter().find(|path| path.name() == name);
        path.ok_or_else(|| ParsePathError { name: name.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_run_both_ways() {
        for path in Path::ALL {
            assert_eq!(path.to_string().parse(), Ok(path));
            assert!(path.lanes() <= MAX_LANES);
        }
        let error = "AVX2".parse::<Path>().unwrap_err();
        assert_eq!(error.to_string(), "no such path \"AVX2\": use single, sha-ni, avx2 or avx512");
    }
}
