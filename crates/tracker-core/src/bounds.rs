//! The bounds of what can be set.

use std::ops::RangeInclusive;

/// A number of a configuration is too small or too large.
///
/// The adapters' configurations are checked by this, too.
///
/// ```
/// use tracker_core::OutOfBounds;
///
/// let error = OutOfBounds::check([("threads", 8, 1..=1024), ("max_headers", 5, 24..=1024)]).unwrap_err();
/// assert_eq!(error.to_string(), "max_headers is 5, but must be from 24 to 1024");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name} is {value}, but must be from {least} to {most}")]
#[non_exhaustive]
pub struct OutOfBounds {
    /// The name of the field.
    pub name: &'static str,
    /// Its value, in the unit that the configuration documents.
    pub value: u64,
    /// The smallest value allowed.
    pub least: u64,
    /// The largest value allowed.
    pub most: u64,
}

impl OutOfBounds {
    /// Checks named values, each against the values allowed for it.
    ///
    /// # Errors
    ///
    /// The first value that is not allowed.
    pub fn check<const N: usize>(values: [(&'static str, u64, RangeInclusive<u64>); N]) -> Result<(), Self> {
        for (name, value, allowed) in values {
            if !allowed.contains(&value) {
                return Err(Self { name, value, least: *allowed.start(), most: *allowed.end() });
            }
        }
        Ok(())
    }
}
