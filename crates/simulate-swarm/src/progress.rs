//! The progress bar.

use std::io::{self, IsTerminal};

use indicatif::{ProgressBar, ProgressStyle};

/// The number of steps of the bar.
const STEPS: u64 = 1000;

/// The progress of a phase, shown only on a terminal.
#[derive(Debug)]
pub(crate) struct Bar(Option<ProgressBar>);

impl Bar {
    /// A bar with this name, unless `quiet`.
    pub(crate) fn new(name: &'static str, quiet: bool) -> Self {
        let style = "{prefix:6} [{bar:30}] {percent:>3} %, {msg} announces, {elapsed}";
        Self((!quiet && io::stderr().is_terminal()).then(|| {
            let style = ProgressStyle::with_template(style).expect("a template that a test parses");
            ProgressBar::new(STEPS).with_style(style.progress_chars("=> ")).with_prefix(name)
        }))
    }

    /// `progress` is from 0 to 1.
    pub(crate) fn show(&self, announces: u64, progress: f64) {
        if let Some(bar) = &self.0 {
            bar.set_position((progress * STEPS as f64) as u64);
            bar.set_message(announces.to_string());
        }
    }
}

/// Clears the line, however the phase ended.
impl Drop for Bar {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_shown_without_a_terminal() {
        assert!(Bar::new("fill", true).0.is_none());
    }
}
