//! How far a file has come to the computers.

use std::time::Duration;

use serde::{Serialize, Serializer};

/// How far a file or folder has come: "27 of 30 have it".
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct FileProgress {
    /// Computers that have it.
    pub has: u32,
    /// Computers that are counted: those in the names file, if there is one, or else all that were seen in this lesson. This
    /// machine is not.
    pub of: u32,
    /// The average completion of those that do not have it, from 0 to 1. One that has not begun has nothing; one of which it is
    /// not known is left out. `null` if there are none.
    pub average_of_others: Option<f64>,
    /// The time until the slowest of those that get on has it, in seconds; `null` if none does.
    #[serde(serialize_with = "in_seconds")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<u64>))]
    pub time_left: Option<Duration>,
    /// Computers that do not have it.
    pub missing: u32,
    /// Computers that are downloading it, those that are stuck left out.
    pub downloading: u32,
    /// Computers that are downloading it and get nothing.
    pub stuck: u32,
    /// Computers whose BitTorrent client has it and is there to give it to others.
    pub sources: u32,
    /// Bytes per second that all computers download of it.
    pub rate: f64,
}

impl FileProgress {
    /// The progress of a file that none of so many computers has asked for.
    pub(crate) fn of_nobody(of: u32) -> Self {
        Self { of, missing: of, average_of_others: (of > 0).then_some(0.0), ..Self::default() }
    }
}

pub(crate) fn in_seconds<S: Serializer>(time: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    time.map(|time| time.as_secs_f64().ceil() as u64).serialize(serializer)
}
