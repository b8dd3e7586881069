//! Downloads over HTTP, as copies of files.

use torrent_library::ContentKey;
use tracker_core::Instant;

use super::Computers;
use crate::downloads::Running;
use crate::event_log::browser;
use crate::lesson::{FileNumber, Lesson};

impl Computers {
    pub(crate) fn transfer_begins(&self, running: &Running) {
        let is_first = self.with_copy_of(running, |lesson, number, now| {
            lesson.begin(number, running.address, running.way, running.wanted(), now)
        });
        if is_first == Some(true) {
            browser::log_beginning(self, running);
        }
    }

    pub(crate) fn transfer_ends(&self, running: &Running) {
        self.take_sent(running);
        self.with_copy_of(running, |lesson, number, _| {
            if let Some(copy) = lesson.copy_mut(number, running.address) {
                copy.end(running.way);
            }
        });
    }

    /// Takes in what a transfer has sent since the last time.
    pub(super) fn take_sent(&self, running: &Running) {
        let sent = running.take();
        let has_finished =
            self.with_copy_of(running, |lesson, number, now| lesson.sent(number, running.address, sent, now));
        if has_finished == Some(true) {
            browser::log_end(self, running);
        }
    }

    /// Calls `act` with the number of the file that a transfer is of, if there is room for it.
    fn with_copy_of<T>(&self, running: &Running, act: impl FnOnce(&mut Lesson, FileNumber, Instant) -> T) -> Option<T> {
        let info_hash = self.0.contents.info_hash_of(running.content);
        let known = info_hash.and_then(|info_hash| self.0.library.get(&info_hash));
        let mut state = self.state();
        let now = self.now(&state);
        let lesson = &mut state.lesson;
        if let (Some(info_hash), None) = (info_hash, lesson.find(ContentKey::Id(running.content))) {
            lesson.file_of_swarm(&info_hash, known.as_deref(), now)?;
            lesson.join(running.content, info_hash);
        }
        let number = lesson.file_of_content(running.content, &running.name, running.size, now)?;
        Some(act(lesson, number, now))
    }
}
