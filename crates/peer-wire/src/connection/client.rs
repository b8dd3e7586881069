//! What is known of how programs behave, by what they call themselves in their extended handshake.

use std::time::Duration;

/// Returns `true` for programs that hold back what pieces they get, Transmission for 10 s and rTorrent for a minute, and send it when
/// they are asked for a piece of the metadata. Transmission 4 sends it at once.
pub(super) fn holds_progress_back(client: &str) -> bool {
    ["Transmission 2", "Transmission 3", "libTorrent 0."].iter().any(|name| client.starts_with(name))
}

/// How many messages of peer exchange a client takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PexRate {
    /// The number of messages that may be sent in a period.
    pub(super) count: usize,
    /// The length of the period, which begins at any time.
    pub(super) period: Duration,
}

impl PexRate {
    /// For programs that were seen to take several messages a minute. libtorrent (with qBittorrent and Deluge) closes the
    /// connection at the seventh within 60 s, and the others have no limit.
    const SEVERAL: Self = Self { count: 5, period: Duration::from_secs(60) };
    /// For all others: one a minute, as [BEP 11](https://www.bittorrent.org/beps/bep_0011.html) demands, and some seconds for clocks
    /// that differ. WebTorrent closes the connection at the second within 60 s.
    const ONE: Self = Self { count: 1, period: Duration::from_secs(65) };

    /// The most messages that are sent in one period.
    pub(super) const MOST: usize = Self::SEVERAL.count;

    pub(super) fn of(client: Option<&str>) -> Self {
        const TAKE_SEVERAL: [&str; 6] = ["aria2", "Deluge", "libtorrent", "libTorrent", "qBittorrent", "Transmission"];
        match client {
            Some(client) if TAKE_SEVERAL.iter().any(|name| client.starts_with(name)) => Self::SEVERAL,
            _ => Self::ONE,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_recognised() {
        for (client, holds_back, rate) in [
            ("Transmission 2.94", true, PexRate::SEVERAL),
            ("Transmission 3.00", true, PexRate::SEVERAL),
            ("Transmission 4.1.0-beta.2", false, PexRate::SEVERAL),
            ("libTorrent 0.13.8", true, PexRate::SEVERAL),
            ("libtorrent/2.0.8.0", false, PexRate::SEVERAL),
            ("qBittorrent/4.5.2", false, PexRate::SEVERAL),
            ("Deluge/2.0.3 libtorrent/2.0.8.0", false, PexRate::SEVERAL),
            ("aria2/1.36.0", false, PexRate::SEVERAL),
            ("WebTorrent 2.8", false, PexRate::ONE),
            ("xTransmission 3.00", false, PexRate::ONE),
            ("", false, PexRate::ONE),
        ] {
            assert_eq!(holds_progress_back(client), holds_back, "{client}");
            assert_eq!(PexRate::of(Some(client)), rate, "{client}");
        }
        // WebTorrent does not say.
        assert_eq!(PexRate::of(None), PexRate::ONE);
    }
}
