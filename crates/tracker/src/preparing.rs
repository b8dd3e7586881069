//! Telling the operator how the share folder is prepared: hashed, so that BitTorrent clients can get what is in it.

use std::thread;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::sync::mpsc;
use torrent_library::{ItemState, SharedFolder, SharedItem, SharedItems};

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
    /// The number of files and folders that wait.
    waiting: usize,
    /// The number of those that are prepared.
    ready: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Current {
    name: String,
    percent: u64,
}

impl Preparation {
    fn of(items: &SharedItems) -> Self {
        let count = |is: fn(&ItemState) -> bool| items.items.iter().filter(|item| is(&item.state)).count();
        Self {
            current: items.items.iter().find_map(Current::of),
            waiting: count(|state| matches!(state, ItemState::Waiting)),
            ready: count(|state| matches!(state, ItemState::Shared { .. } | ItemState::SameAs { .. })),
        }
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
}

impl Current {
    fn of(item: &SharedItem) -> Option<Self> {
        let ItemState::Hashing { hashed, total } = item.state else { return None };
        let percent = u128::from(hashed) * 100 / u128::from(total.max(1));
        let percent = u64::try_from(percent).unwrap_or(100).min(100);
        // A name may have any characters, which a terminal may obey.
        let name =
            item.name.chars().map(|char| if char.is_control() { char::REPLACEMENT_CHARACTER } else { char }).collect();
        Some(Self { name, percent })
    }
}

/// Logs when the preparation of what is in the share folder begins and ends, and shows its progress in between, on a terminal. Ends
/// when the folder is not followed any more.
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
        let now = Preparation::of(&folder.items());
        // What was prepared before the first look has a line, too.
        if now.is_over() != logged.is_over() || (now.is_over() && now.ready > logged.ready) {
            log(&now);
            logged = now.clone();
        }
        if sender.send(now.line()).await.is_err() || changes.changed().await.is_err() {
            return;
        }
        tokio::time::sleep(PERIOD).await;
    }
}

fn log(preparation: &Preparation) {
    let ready = preparation.ready;
    if preparation.is_over() {
        tracing::info!(
            event = "share_prepared",
            ready,
            "all is prepared: BitTorrent clients can get {}, too",
            items(ready)
        );
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
