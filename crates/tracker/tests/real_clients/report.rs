use std::io::{self, Write as _};
use std::time::Duration;

use crate::support::client::Transfer;
use crate::tracker::Latency;

/// The table of a scenario's downloads.
#[derive(Debug)]
pub(crate) struct Report {
    title: String,
    length: u64,
    rows: Vec<(String, Transfer, Latency)>,
}

impl Report {
    /// `length` is the size of the content in bytes.
    pub(crate) fn new(title: &str, length: u64) -> Self {
        Self { title: title.to_owned(), length, rows: Vec::new() }
    }

    pub(crate) fn add(&mut self, leecher: &str, transfer: Transfer, latency: Latency) {
        self.rows.push((leecher.to_owned(), transfer, latency));
    }

    /// Writes to standard output itself, since the test harness keeps what the print macros of a passed test say.
    pub(crate) fn print(&self) -> io::Result<()> {
        let mut out = io::stdout().lock();
        writeln!(out, "\n{}", self.title)?;
        writeln!(
            out,
            "{:<17} {:>14} {:>13} {:>11} {:>13} {:>17}",
            "leecher", "first peer, s", "transfer, s", "rate, MB/s", "announce, ms", "with connect, ms"
        )?;
        for (leecher, Transfer { first_peer, transfer }, Latency { request, with_connect }) in &self.rows {
            let megabytes = Duration::from_micros(self.length).as_secs_f64();
            // A client that shows its progress rarely may show the first byte and the last in one look.
            let rate = if *transfer < Duration::from_millis(10) {
                "not seen".to_owned()
            } else {
                format!("{:.1}", megabytes / transfer.as_secs_f64())
            };
            writeln!(
                out,
                "{leecher:<17} {:>14.2} {:>13.2} {rate:>11} {:>13.2} {:>17.2}",
                first_peer.as_secs_f64(),
                transfer.as_secs_f64(),
                request.as_secs_f64() * 1e3,
                with_connect.as_secs_f64() * 1e3,
            )?;
        }
        writeln!(out)
    }
}
