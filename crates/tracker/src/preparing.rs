//! Telling the operator how the share folder is prepared: hashed, so that BitTorrent clients can get what is in it.

use std::thread;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::sync::mpsc;
use torrent_library::{HashProgress, ItemState, SharedFolder};

use crate::terminal::{self, Terminal};

/// The minimum interval between two looks at the items.
const PERIOD: Duration = Duration::from_millis(250);

/// The lines on the terminal that change in place, below those of the log.
pub(crate) fn progress_lines(terminal: Terminal) -> MultiProgress {
    let target = match terminal {
        Terminal::None => ProgressDrawTarget::hidden(),
        _ if terminal::is_dumb() => ProgressDrawTarget::hidden(),
        _ => ProgressDrawTarget::stderr(),
    };
    MultiProgress::with_draw_target(target)
}

/// How far the share folder is prepared.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Preparation {
    /// What is being hashed.
    current: Option<Current>,
    /// The number of other files and folders that wait.
    waiting: usize,
    /// The number of those that are prepared.
    ready: usize,
    /// The number of those that cannot be.
    failed: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Current {
    name: String,
    percent: u64,
}

impl Preparation {
    /// `items` are the names of the items and their states.
    fn of<'i>(items: impl IntoIterator<Item = (&'i str, &'i ItemState)>) -> Self {
        let (mut preparation, mut hashing) = (Self::default(), Vec::new());
        for (name, state) in items {
            match state {
                ItemState::Hashing(progress) => hashing.push((name, progress)),
                ItemState::Waiting => preparation.waiting += 1,
                ItemState::Shared { .. } | ItemState::SameAs { .. } => preparation.ready += 1,
                ItemState::Failed { .. } => preparation.failed += 1,
                _ => {}
            }
        }
        // Larger ones pause for it.
        let current = hashing.iter().min_by_key(|(_, progress)| progress.total());
        preparation.current = current.map(|(name, progress)| Current::new(name, progress));
        preparation.waiting += hashing.len().saturating_sub(1);
        preparation
    }

    fn of_folder(folder: &SharedFolder) -> Self {
        Self::of(folder.items().items.iter().map(|item| (&*item.name, &item.state)))
    }

    fn is_over(&self) -> bool {
        self.current.is_none() && self.waiting == 0
    }

    /// The line on the terminal.
    fn line(&self) -> String {
        let Some(Current { name, percent }) = &self.current else { return String::new() };
        match self.waiting {
            0 => format!("preparing {name}: {percent} %"),
            waiting => format!("preparing {name}: {percent} %, then {waiting} more"),
        }
    }

    /// The line in the log when it is over.
    fn outcome(&self) -> String {
        let ready = format!("BitTorrent clients can get {}, too", items(self.ready));
        match self.failed {
            0 => format!("all is prepared: {ready}"),
            failed => format!("{ready}; {} could not be prepared, and the page Share says why", items(failed)),
        }
    }
}

impl Current {
    fn new(name: &str, progress: &HashProgress) -> Self {
        // A name may have any characters, which a terminal may obey.
        let name =
            name.chars().map(|char| if char.is_control() { char::REPLACEMENT_CHARACTER } else { char }).collect();
        Self { name, percent: (progress.part() * 100.0) as u64 }
    }
}

/// Logs when the preparation of what is in the share folder begins and ends, and shows its progress in between, on a terminal.
/// Ends when the folder is not followed any more.
pub(crate) async fn report(folder: SharedFolder, lines: MultiProgress) {
    let (sender, receiver) = mpsc::channel(1);
    // A terminal may be paused, and then a write to it waits.
    let drawing = thread::Builder::new().name("progress".into()).spawn(move || draw(receiver, &lines));
    if let Err(error) = drawing {
        tracing::warn!(%error, "cannot start the thread that shows progress");
        return;
    }
    let mut changes = folder.changes();
    let mut logged = Preparation::default();
    loop {
        changes.mark_unchanged();
        let now = Preparation::of_folder(&folder);
        // What was prepared before the first look has a line, too.
        let is_more = now.ready > logged.ready || now.failed > logged.failed;
        if now.is_over() != logged.is_over() || (now.is_over() && is_more) {
            log(&now);
            logged = now.clone();
        }
        if sender.send(now.line()).await.is_err() {
            return;
        }
        tokio::time::sleep(PERIOD).await;
        // Progress is no change.
        if now.current.is_none() && changes.changed().await.is_err() {
            return;
        }
    }
}

fn log(preparation: &Preparation) {
    let ready = preparation.ready;
    if preparation.is_over() {
        tracing::info!(event = "share_prepared", ready, failed = preparation.failed, "{}", preparation.outcome());
    } else {
        let waiting = preparation.waiting + usize::from(preparation.current.is_some());
        tracing::info!(
            event = "share_preparing",
            waiting,
            "preparing {} for BitTorrent clients; browsers can download already",
            items(waiting)
        );
    }
}

fn items(count: usize) -> String {
    match count {
        1 => "1 file or folder".to_owned(),
        count => format!("{count} files and folders"),
    }
}

/// Shows each line in place of the one before, until there are no more.
fn draw(mut texts: mpsc::Receiver<String>, lines: &MultiProgress) {
    let mut shown: Option<ProgressBar> = None;
    while let Some(text) = texts.blocking_recv() {
        if text.is_empty() {
            if let Some(line) = shown.take() {
                line.finish_and_clear();
                lines.remove(&line);
            }
            continue;
        }
        let line = shown.get_or_insert_with(|| {
            let style = ProgressStyle::with_template("{wide_msg}").expect("the template is valid");
            lines.add(ProgressBar::new_spinner().with_style(style))
        });
        line.set_message(text);
        line.tick();
    }
    if let Some(line) = shown {
        line.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_pause_for_is_named_and_failures_are_told() {
        let hashing = |total| ItemState::Hashing(HashProgress::new(total));
        let failed = ItemState::Failed { error: "a bad disk".into() };
        let same = ItemState::SameAs { name: "z".into() };
        let preparation = |states: &[ItemState]| Preparation::of(["a", "b\n", "c"].into_iter().zip(states));
        let of = |states: &[ItemState]| preparation(states).line();
        assert_eq!(of(&[hashing(900), hashing(5), ItemState::Waiting]), "preparing b\u{fffd}: 0 %, then 2 more");
        assert_eq!(of(&[hashing(900), same.clone(), failed.clone()]), "preparing a: 0 %");
        assert_eq!(of(&[same.clone(), failed.clone()]), "");

        let over = preparation(&[same.clone(), same.clone()]);
        assert!(over.is_over());
        assert_eq!(over.outcome(), "all is prepared: BitTorrent clients can get 2 files and folders, too");
        assert_eq!(
            preparation(&[same, failed.clone(), failed]).outcome(),
            "BitTorrent clients can get 1 file or folder, too; 2 files and folders could not be prepared, and the page Share says why"
        );
    }
}
