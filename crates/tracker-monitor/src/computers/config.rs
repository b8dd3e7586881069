//! The parts that the computers of a lesson need, and their settings.

use std::path::PathBuf;
use std::sync::Arc;

use torrent_library::{Contents, Library};
use tracker_host::{AnswerTimes, Clock};

use crate::{PeerSightings, SavedLessons, SavedMonitor};

/// The parts that [`Computers`](super::Computers) need, which the embedder provides, and their settings.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ComputersConfig {
    /// The clock of the tracker's adapters.
    pub clock: Clock,
    /// The .torrent files that are known.
    pub library: Library,
    /// What this machine shares. Default: nothing.
    pub contents: Contents,
    /// A file with the names of computers: lines of an address, a comma and a name. It is read again when it changes. If it has
    /// names, its computers are those that are counted. Default: none.
    pub names_file: Option<PathBuf>,
    /// The file in which names that are given on the page are kept. Default: none; they are lost when the program ends.
    pub given_names: Option<PathBuf>,
    /// How long the tracker's adapters take to answer. Default: none; a report does not say it.
    pub answer_times: Vec<AnswerTimes>,
    /// What the tracker's own peer sees. Default: none; all that is known of peers is what they announce.
    pub sightings: Option<Arc<dyn PeerSightings>>,
    /// The current lesson and the history of an earlier run of the program, which go on. Default: none; the first lesson begins.
    pub saved_monitor: SavedMonitor,
    /// The lessons before the current one. Default: none.
    pub saved_lessons: SavedLessons,
}

impl ComputersConfig {
    /// A configuration with these parts, and the default settings.
    pub fn new(clock: Clock, library: Library) -> Self {
        Self {
            clock,
            library,
            contents: Contents::new(),
            names_file: None,
            given_names: None,
            answer_times: Vec::new(),
            sightings: None,
            saved_monitor: SavedMonitor::default(),
            saved_lessons: SavedLessons::default(),
        }
    }

    /// This configuration with some of its fields changed.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }
}
