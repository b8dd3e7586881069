//! The device of a viewer, and which way to get a file suits it.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, header};

/// The number of downloads in progress from which BitTorrent is offered first: this machine sends each of them a copy of its own,
/// and clients share what they have.
const MANY_DOWNLOADS: usize = 5;

const SEC_CH_UA_MOBILE: HeaderName = HeaderName::from_static("sec-ch-ua-mobile");

/// The headers that say what the device is, for `Vary`.
pub(super) const DEVICE_HEADERS: &str = "user-agent, sec-ch-ua-mobile";

/// The device of a viewer, as far as its browser says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Device {
    /// A phone or a tablet, which seldom has a BitTorrent client.
    Handheld,
    /// Anything else.
    Computer,
}

/// A way to get a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Browser,
    BitTorrent,
}

impl Device {
    fn of(headers: &HeaderMap) -> Self {
        // Chromium sends the first one only over https and on this machine.
        let says_so = headers.get(SEC_CH_UA_MOBILE).is_some_and(|mobile| mobile == "?1");
        let agent = headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
        let is_handheld = says_so || ["Mobi", "Android", "iPhone", "iPad"].iter().any(|word| agent.contains(word));
        if is_handheld { Self::Handheld } else { Self::Computer }
    }

    /// The way to offer first while this many downloads are in progress.
    pub(super) fn first_way(self, downloads: usize) -> Way {
        match self {
            Self::Computer if downloads >= MANY_DOWNLOADS => Way::BitTorrent,
            Self::Handheld | Self::Computer => Way::Browser,
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Device {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(&parts.headers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phones_and_tablets_are_handheld() {
        let device = |agent: &'static str, mobile: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            headers.insert(header::USER_AGENT, agent.parse().unwrap());
            headers.extend(mobile.map(|mobile| (SEC_CH_UA_MOBILE, mobile.parse().unwrap())));
            Device::of(&headers)
        };
        let chromium =
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36";
        for (agent, mobile, expected) in [
            (
                "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Mobile Safari/537.36",
                None,
                Device::Handheld,
            ),
            ("Mozilla/5.0 (Android 15; Mobile; rv:140.0) Gecko/140.0 Firefox/140.0", None, Device::Handheld),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 \
                 Mobile/15E148 Safari/604.1",
                None,
                Device::Handheld,
            ),
            // A tablet.
            (
                "Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
                None,
                Device::Handheld,
            ),
            (chromium, Some("?1"), Device::Handheld),
            (chromium, Some("?0"), Device::Computer),
            (chromium, None, Device::Computer),
            ("curl/8.14.1", None, Device::Computer),
            ("", None, Device::Computer),
        ] {
            assert_eq!(device(agent, mobile), expected, "{agent}");
        }
        assert_eq!(Device::of(&HeaderMap::new()), Device::Computer);
    }

    #[test]
    fn many_downloads_are_faster_by_bittorrent_but_not_for_phones() {
        for (device, downloads, expected) in [
            (Device::Computer, 0, Way::Browser),
            (Device::Computer, 4, Way::Browser),
            (Device::Computer, 5, Way::BitTorrent),
            (Device::Computer, 300, Way::BitTorrent),
            (Device::Handheld, 5, Way::Browser),
            (Device::Handheld, 300, Way::Browser),
        ] {
            assert_eq!(device.first_way(downloads), expected, "{device:?} {downloads}");
        }
    }
}
