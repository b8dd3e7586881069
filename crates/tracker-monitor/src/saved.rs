//! What the monitor remembers from one start of the tracker to the next.
//!
//! It is JSON, in a shape of its own: times are Unix seconds, sizes bytes, and rates bytes per second. Fields that are not there
//! have their defaults, and fields that are not known are ignored, so that only a change of meaning needs another version. What
//! cannot be is left out when it is taken in: a file that somebody has edited is no reason not to start.

mod history;
mod times;

use std::time::SystemTime;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tracker_host::unix_seconds;

pub(crate) use history::SavedHistory;
pub(crate) use times::Times;

use crate::lesson::SavedLesson;

/// The version of the format.
const VERSION: u32 = 1;

/// The largest count and the largest rate that is believed: more than a network has, and so small that sums of them are exact.
const MAX_FIGURE: f64 = 1e15;

/// The largest time that is believed, in Unix seconds: the year 9000.
const MAX_UNIX: u64 = 221_845_392_000;

/// The largest number of bytes that is believed, so that more can be added.
const MAX_BYTES: u64 = 1 << 60;

/// What changes all the time: the history, and the current lesson. Made by [`Observer::save`](crate::Observer::save), and taken in
/// by [`Computers::start`](crate::Computers::start) and then by the observer of these computers. By default nothing.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct SavedMonitor {
    version: u32,
    /// When it was saved.
    #[serde(default)]
    saved: u64,
    #[serde(default)]
    pub(crate) history: SavedHistory,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) lesson: Option<SavedLesson>,
}

/// The lessons before the current one, which change only when a lesson ends. Made by [`Lessons::save_past`](crate::Lessons::save_past),
/// and taken in by [`Computers::start`](crate::Computers::start). By default none.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct SavedLessons {
    version: u32,
    /// The oldest first.
    #[serde(default)]
    pub(crate) lessons: Vec<SavedLesson>,
}

/// The text is not what the monitor has saved.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ParseSavedError {
    /// It is damaged.
    #[error("it is damaged")]
    Damaged(#[from] serde_json::Error),
    /// A newer program wrote it.
    #[error("a newer tracker wrote it: it has version {version}, and this one reads up to version {supported}")]
    Newer {
        /// Its version.
        version: u32,
        /// The latest version that can be read.
        supported: u32,
    },
}

impl SavedMonitor {
    pub(crate) fn new(history: SavedHistory, lesson: SavedLesson, now: SystemTime) -> Self {
        Self { version: VERSION, saved: unix_seconds(now), history, lesson: Some(lesson) }
    }

    /// Reads what [`to_json`](Self::to_json) wrote. It takes up to ten times the memory of the text: limit its length.
    ///
    /// # Errors
    ///
    /// Returns [`ParseSavedError`] if it is no JSON of this shape, or has a newer version.
    pub fn parse(json: &[u8]) -> Result<Self, ParseSavedError> {
        parse(json)
    }

    /// The JSON. It has at most some 60 MB, but usually less than one.
    pub fn to_json(&self) -> Vec<u8> {
        to_json(self)
    }

    /// When it was saved, in Unix seconds.
    pub(crate) fn saved(&self) -> u64 {
        self.saved.min(MAX_UNIX)
    }
}

impl SavedLessons {
    pub(crate) fn new(lessons: Vec<SavedLesson>) -> Self {
        Self { version: VERSION, lessons }
    }

    /// Reads what [`to_json`](Self::to_json) wrote. It takes up to ten times the memory of the text: limit its length.
    ///
    /// # Errors
    ///
    /// Returns [`ParseSavedError`] if it is no JSON of this shape, or has a newer version.
    pub fn parse(json: &[u8]) -> Result<Self, ParseSavedError> {
        parse(json)
    }

    /// The JSON. It has at most some 60 MB, but usually less than one.
    pub fn to_json(&self) -> Vec<u8> {
        to_json(self)
    }
}

fn parse<T: DeserializeOwned>(json: &[u8]) -> Result<T, ParseSavedError> {
    #[derive(Deserialize)]
    struct Head {
        version: u32,
    }

    // What a newer one has beside the version may have any shape.
    let Head { version } = serde_json::from_slice(json)?;
    if version > VERSION {
        return Err(ParseSavedError::Newer { version, supported: VERSION });
    }
    Ok(serde_json::from_slice(json)?)
}

fn to_json(saved: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(saved).expect("lists and structs of numbers and texts can be written as JSON")
}

/// A count or a rate, if it can be one.
pub(crate) fn figure(value: f64) -> Option<f64> {
    (0.0..=MAX_FIGURE).contains(&value).then_some(value)
}

/// A part of something, if it can be one: from 0 to 1.
pub(crate) fn part(value: f64) -> Option<f64> {
    (0.0..=1.0).contains(&value).then_some(value)
}

/// A number of bytes to which others can be added.
pub(crate) fn bytes(value: u64) -> u64 {
    value.min(MAX_BYTES)
}

/// Returns `true` for what is not written, since it is the default.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_ignored_and_what_is_not_there_has_its_default() {
        let saved = SavedMonitor::parse(br#"{"version":1,"later":[{"a":1}],"history":{"1y":[]}}"#).unwrap();
        assert_eq!(saved, SavedMonitor { version: 1, ..SavedMonitor::default() });
        assert_eq!(SavedMonitor::parse(&saved.to_json()).unwrap(), saved);
        assert!(SavedLessons::parse(br#"{"version":1}"#).unwrap().lessons.is_empty());
    }

    #[test]
    fn numbers_are_read_as_they_were_written() {
        for numerator in 0..10_000 {
            let seeders = format!("\"seeders\":[{}]", f64::from(numerator) / 3_072.7);
            let json = format!(r#"{{"version":1,"history":{{"10m":{{{seeders}}}}}}}"#);
            let written = SavedMonitor::parse(json.as_bytes()).unwrap().to_json();
            assert!(String::from_utf8(written).unwrap().contains(&seeders.replace("[0]", "[0.0]")), "{seeders}");
        }
    }

    #[test]
    fn damaged_and_newer_ones_are_told_apart() {
        for damaged in ["", "{", "[]", "{}", r#"{"version":-1}"#, r#"{"version":1,"lesson":7}"#, r#"{"version":1}x"#] {
            let error = SavedMonitor::parse(damaged.as_bytes()).unwrap_err();
            assert!(matches!(error, ParseSavedError::Damaged(_)), "{damaged}: {error}");
        }
        let error = SavedLessons::parse(br#"{"version":2,"lessons":"elsewhere"}"#).unwrap_err();
        assert!(matches!(error, ParseSavedError::Newer { version: 2, supported: 1 }), "{error}");
        let deep = ["{\"version\":1,\"lesson\":".repeat(10_000), "1".to_owned(), "}".repeat(10_000)].concat();
        SavedMonitor::parse(deep.as_bytes()).unwrap();
        SavedMonitor::parse("[".repeat(100_000).as_bytes()).unwrap_err();
    }
}
