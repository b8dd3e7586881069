//! A file of a lesson as it is saved.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use torrent_library::displayable;

use super::FileRecord;
use super::saved_copy::SavedCopy;
use super::saved_plot::SavedCompletionPlot;
use crate::FileProgress;
use crate::saved::{Times, figure, is_default, part};

/// The largest size of a file that is believed: as many bytes as BitTorrent can count.
const MAX_SIZE: u64 = i64::MAX as u64;

/// A file or folder that somebody has asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct SavedFile {
    name: Arc<str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    info_hash: Option<String>,
    /// The id that it had before it was hashed, which another run of the program does not know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    content: Option<String>,
    /// How far it had come when the lesson ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    progress: Option<SavedProgress>,
    #[serde(default, skip_serializing_if = "is_default")]
    plot: SavedCompletionPlot,
    #[serde(default)]
    pub(super) copies: Vec<SavedCopy>,
}

/// A [`FileProgress`].
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
struct SavedProgress {
    has: u32,
    of: u32,
    average_of_others: Option<f64>,
    /// Milliseconds.
    time_left: Option<u64>,
    missing: u32,
    downloading: u32,
    stuck: u32,
    sources: u32,
    rate: f64,
}

impl SavedFile {
    /// With so many copies at most. In a lesson that has ended it has its progress.
    pub(super) fn new(file: &FileRecord, progress: Option<FileProgress>, max_copies: usize, times: Times) -> Self {
        let copies = file.copies.iter().take(max_copies);
        Self {
            name: Arc::clone(&file.name),
            size: file.size,
            info_hash: file.info_hash.map(|info_hash| info_hash.to_string()),
            content: file.content.filter(|_| file.info_hash.is_none()).map(|id| id.to_string()),
            plot: SavedCompletionPlot::new(&file.plot, times),
            copies: copies.map(|(address, copy)| SavedCopy::new(*address, copy, progress.is_some(), times)).collect(),
            progress: progress.map(SavedProgress::new),
        }
    }

    /// The file without its copies; `None` if it has no key.
    pub(super) fn restore(&self, times: Times) -> Option<FileRecord> {
        let info_hash = self.info_hash.as_ref().map(|text| text.parse()).transpose().ok()?;
        let content = self.content.as_ref().map(|text| text.parse()).transpose().ok()?;
        let size = self.size.filter(|&size| size <= MAX_SIZE);
        // A content has a size, and nobody could tell it from others without.
        if info_hash.is_none() && (content.is_none() || size.is_none()) {
            return None;
        }
        Some(FileRecord {
            info_hash,
            content: content.filter(|_| info_hash.is_none()),
            plot: self.plot.restore(times),
            progress_at_end: self.progress.as_ref().map(SavedProgress::restore),
            ..FileRecord::new(displayable(&self.name).into(), size, times.now())
        })
    }
}

impl SavedProgress {
    fn new(progress: FileProgress) -> Self {
        let FileProgress { has, of, average_of_others, time_left, missing, downloading, stuck, sources, rate } =
            progress;
        Self {
            has,
            of,
            average_of_others: average_of_others.and_then(part),
            time_left: time_left.map(|left| u64::try_from(left.as_millis()).unwrap_or(u64::MAX)),
            missing,
            downloading,
            stuck,
            sources,
            rate: figure(rate).unwrap_or(0.0),
        }
    }

    fn restore(&self) -> FileProgress {
        FileProgress {
            has: self.has,
            of: self.of,
            average_of_others: self.average_of_others.and_then(part),
            time_left: self.time_left.map(Duration::from_millis),
            missing: self.missing,
            downloading: self.downloading,
            stuck: self.stuck,
            sources: self.sources,
            rate: figure(self.rate).unwrap_or(0.0),
        }
    }
}
