//! A rate of bytes, as it is written in settings.

use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The units, the largest first: powers of 1024, as in curl and nginx.
const UNITS: [(char, u64); 3] = [('G', 1 << 30), ('M', 1 << 20), ('K', 1 << 10)];

/// A number of bytes per second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ByteRate(pub(crate) NonZeroU64);

/// A text that is not such a rate.
#[derive(Debug, thiserror::Error)]
#[error("write a number of bytes per second above 0, such as 500K, 10M or 1G")]
pub(crate) struct ParseByteRateError;

impl fmt::Display for ByteRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.0.get();
        match UNITS.into_iter().find(|(_, unit)| bytes.is_multiple_of(*unit)) {
            Some((name, unit)) => write!(f, "{}{name}", bytes / unit),
            None => write!(f, "{bytes}"),
        }
    }
}

impl FromStr for ByteRate {
    type Err = ParseByteRateError;

    fn from_str(text: &str) -> Result<Self, ParseByteRateError> {
        let units = UNITS.into_iter().find_map(|(name, unit)| {
            let number = text.strip_suffix(name).or_else(|| text.strip_suffix(name.to_ascii_lowercase()))?;
            Some((number, unit))
        });
        let (number, unit) = units.unwrap_or((text, 1));
        // `parse` would take a sign, too.
        let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
        let bytes = number.parse::<u64>().ok().filter(|_| is_number).and_then(|number| number.checked_mul(unit));
        bytes.and_then(NonZeroU64::new).map(Self).ok_or(ParseByteRateError)
    }
}

impl Serialize for ByteRate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ByteRate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|error| de::Error::custom(format_args!("invalid value {text:?}: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_have_units() {
        for (text, bytes, printed) in [
            ("1", 1, "1"),
            ("1000", 1000, "1000"),
            ("1024", 1024, "1K"),
            ("500K", 500 << 10, "500K"),
            ("10m", 10 << 20, "10M"),
            ("2048M", 2 << 30, "2G"),
        ] {
            let rate: ByteRate = text.parse().unwrap();
            assert_eq!((rate.0.get(), rate.to_string()), (bytes, printed.to_owned()), "{text}");
            assert_eq!(printed.parse::<ByteRate>().unwrap(), rate);
        }
        for text in ["", "0", "0G", "K", "-1", "+1", "1.5M", "1 M", "1MB", "1T", "18446744073709551616", "17179869184G"]
        {
            assert!(text.parse::<ByteRate>().is_err(), "{text}");
        }
    }
}
