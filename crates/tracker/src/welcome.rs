//! What the operator is told at the start.

use std::fmt::{self, Display};
use std::net::{IpAddr, SocketAddr};

use crate::protocol::Protocol;

/// Where clients find the tracker, by protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AnnounceUrls(Vec<Found>);

/// Where clients find one protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Found {
    protocol: Protocol,
    /// For torrents, the best first.
    lan: Vec<SocketAddr>,
    /// For clients on this machine, where that is all there is.
    loopback: Option<SocketAddr>,
}

impl AnnounceUrls {
    /// The URLs of a tracker that speaks each protocol at its addresses, on a machine with these LAN addresses. The first
    /// protocol is the one that every client speaks.
    pub(crate) fn new(listening: &[(Protocol, Vec<SocketAddr>)], lan: &[IpAddr]) -> Self {
        Self(listening.iter().map(|(protocol, addresses)| Found::new(*protocol, addresses, lan)).collect())
    }

    /// All of them, those of the protocol that every client speaks first.
    pub(crate) fn all(&self) -> impl Iterator<Item = String> {
        self.0.iter().flat_map(Found::urls)
    }

    /// How many there are for other machines, by one protocol.
    fn on_lan(&self) -> usize {
        self.0.iter().map(|found| found.lan.len()).max().unwrap_or_default()
    }
}

impl Found {
    fn new(protocol: Protocol, listening: &[SocketAddr], lan: &[IpAddr]) -> Self {
        let lan = on_lan(listening, lan);
        Self { protocol, loopback: on_loopback(listening).filter(|_| lan.is_empty()), lan }
    }

    fn urls(&self) -> impl Iterator<Item = String> {
        let addresses = self.lan.iter().chain(&self.loopback);
        addresses.map(|address| format!("{}://{address}/announce", self.protocol.scheme()))
    }
}

/// Where browsers find the dashboard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DashboardUrls {
    /// With the token: by the best address on the LAN, and on this machine.
    operator: Vec<String>,
    /// For everybody else on the LAN.
    viewers: Option<String>,
}

impl DashboardUrls {
    /// The URLs of a dashboard at all of `listening`, on a machine with these LAN addresses. `url` makes one with the token.
    pub(crate) fn new(listening: &[SocketAddr], lan: &[IpAddr], url: impl Fn(SocketAddr) -> String) -> Self {
        let on_lan = on_lan(listening, lan).first().copied();
        Self {
            operator: on_lan.into_iter().chain(on_loopback(listening)).map(url).collect(),
            viewers: on_lan.map(|address| format!("http://{address}/")),
        }
    }

    /// Those with the token, the best first.
    pub(crate) fn operator(&self) -> &[String] {
        &self.operator
    }
}

/// How other machines reach what listens here, the best first, if this machine has these LAN addresses.
fn on_lan(listening: &[SocketAddr], lan: &[IpAddr]) -> Vec<SocketAddr> {
    let mut addresses: Vec<SocketAddr> = Vec::new();
    for listening in listening.iter().filter(|listening| !listening.ip().is_loopback()) {
        if listening.ip().is_unspecified() {
            let of_family = lan.iter().filter(|address| address.is_ipv4() == listening.is_ipv4());
            addresses.extend(of_family.map(|&address| SocketAddr::new(address, listening.port())));
        } else {
            addresses.push(*listening);
        }
    }
    addresses.sort_by_key(SocketAddr::is_ipv6);
    let mut distinct = Vec::new();
    for address in addresses {
        if !distinct.contains(&address) {
            distinct.push(address);
        }
    }
    distinct
}

/// How this machine itself does.
fn on_loopback(listening: &[SocketAddr]) -> Option<SocketAddr> {
    listening.iter().find_map(|&listening| match listening.ip() {
        IpAddr::V4(v4) if v4.is_unspecified() => Some(SocketAddr::from(([127, 0, 0, 1], listening.port()))),
        IpAddr::V6(v6) if v6.is_unspecified() => Some(SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], listening.port()))),
        ip => ip.is_loopback().then_some(listening),
    })
}

/// The start-up text.
#[derive(Debug)]
pub(crate) struct Welcome<'a> {
    pub(crate) dashboard: Option<&'a DashboardUrls>,
    pub(crate) urls: &'a AnnounceUrls,
    /// Whether the tracker listens on loopback addresses only.
    pub(crate) loopback_only: bool,
}

impl Display for Welcome<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(DashboardUrls { operator, viewers }) = self.dashboard {
            writeln!(
                f,
                "The dashboard, for whoever runs the tracker (with this URL it can be stopped, so keep it to yourself):"
            )?;
            operator.iter().try_for_each(|url| writeln!(f, "    {url}"))?;
            if let Some(url) = viewers {
                writeln!(f, "Everybody else may look at {url}")?;
            }
            writeln!(f)?;
        }
        match self.urls.on_lan() {
            0 if self.loopback_only => {
                writeln!(f, "The tracker listens on a loopback address: only clients on this machine can use it, by")?;
            }
            0 => {
                writeln!(
                    f,
                    "This machine has no address on a LAN (only loopback, link-local, container or tunnel ones), so there \
                     is no announce URL for other machines. Connect it to the network and start the tracker again."
                )?;
                writeln!(f, "Clients on this machine can use")?;
            }
            1 => writeln!(f, "The announce URL to put into torrents:")?,
            _ => writeln!(f, "The announce URLs, each by another address of this machine; the first suits most:")?,
        }
        for found in &self.urls.0 {
            if found.protocol == Protocol::Udp {
                writeln!(f, "The same over UDP, which is cheaper for all and not known to every client:")?;
            }
            found.urls().try_for_each(|url| writeln!(f, "    {url}"))?;
        }
        if self.urls.on_lan() > 0 {
            writeln!(f, "If other machines cannot reach it, see `tracker --firewall`.")?;
        }
        writeln!(f, "Ctrl-C stops the tracker.")
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;
    use std::str::FromStr;

    use super::*;

    fn urls(listening: &[&str], lan: &[&str]) -> AnnounceUrls {
        AnnounceUrls::new(&[(Protocol::Http, parse(listening))], &parse(lan))
    }

    fn parse<T: FromStr<Err: Debug>>(addresses: &[&str]) -> Vec<T> {
        addresses.iter().map(|address| address.parse().unwrap()).collect()
    }

    #[test]
    fn urls_follow_what_is_listened_on() {
        let lan = ["192.168.1.5", "10.77.0.1", "fd77::1"];
        for (listening, expected) in [
            (
                &["0.0.0.0:6969", "[::]:6969"][..],
                &[
                    "http://192.168.1.5:6969/announce",
                    "http://10.77.0.1:6969/announce",
                    "http://[fd77::1]:6969/announce",
                ][..],
            ),
            (&["[::]:6969", "10.77.0.1:80"], &["http://10.77.0.1:80/announce", "http://[fd77::1]:6969/announce"]),
            (&["10.77.0.1:80", "127.0.0.1:80"], &["http://10.77.0.1:80/announce"]),
            (
                &["10.77.0.1:6969", "0.0.0.0:6969"],
                &["http://10.77.0.1:6969/announce", "http://192.168.1.5:6969/announce"],
            ),
        ] {
            let urls = urls(listening, &lan);
            assert_eq!(urls.all().collect::<Vec<_>>(), expected, "{listening:?}");
            assert_eq!(urls.0[0].loopback, None);
        }
    }

    #[test]
    fn without_the_lan_there_is_loopback() {
        for (listening, expected) in [
            (&["0.0.0.0:6969", "[::]:6969"][..], "http://127.0.0.1:6969/announce"),
            (&["[::]:6969"], "http://[::1]:6969/announce"),
            (&["127.0.0.1:4000"], "http://127.0.0.1:4000/announce"),
        ] {
            let urls = urls(listening, &[]);
            assert_eq!(urls.on_lan(), 0);
            assert_eq!(urls.all().collect::<Vec<_>>(), [expected]);
        }
        let loopback = urls(&["127.0.0.1:4000"], &["192.168.1.5"]);
        assert_eq!(loopback.all().collect::<Vec<_>>(), ["http://127.0.0.1:4000/announce"]);
    }

    #[test]
    fn udp_has_the_same_urls_with_its_own_scheme() {
        let listening: Vec<SocketAddr> = parse(&["0.0.0.0:6969", "[::]:6969"]);
        let both = [(Protocol::Http, listening.clone()), (Protocol::Udp, listening)];
        let lan: Vec<IpAddr> = parse(&["192.168.1.5", "fd77::1"]);
        let urls = AnnounceUrls::new(&both, &lan);
        assert_eq!(
            urls.all().collect::<Vec<_>>(),
            [
                "http://192.168.1.5:6969/announce",
                "http://[fd77::1]:6969/announce",
                "udp://192.168.1.5:6969/announce",
                "udp://[fd77::1]:6969/announce",
            ]
        );
        let text = Welcome { dashboard: None, urls: &urls, loopback_only: false }.to_string();
        let (http, udp) = text.split_once("over UDP").unwrap();
        assert_eq!((http.matches("http://").count(), http.matches("udp://").count()), (2, 0), "{text}");
        assert_eq!((udp.matches("http://").count(), udp.matches("udp://").count()), (0, 2), "{text}");
    }

    #[test]
    fn a_protocol_has_the_urls_of_its_own_addresses() {
        let listening: Vec<SocketAddr> = parse(&["0.0.0.0:6969", "[::]:6969"]);
        let lan: Vec<IpAddr> = parse(&["192.168.1.5", "fd77::1"]);
        let udp = listening[..1].to_vec();
        let urls = AnnounceUrls::new(&[(Protocol::Http, listening), (Protocol::Udp, udp)], &lan);
        assert_eq!(
            urls.all().collect::<Vec<_>>(),
            ["http://192.168.1.5:6969/announce", "http://[fd77::1]:6969/announce", "udp://192.168.1.5:6969/announce",]
        );
    }

    #[test]
    fn the_text_says_what_is_the_matter() {
        let text = |urls, loopback_only| Welcome { dashboard: None, urls: &urls, loopback_only }.to_string();
        let one = text(urls(&["10.77.0.1:80"], &[]), false);
        assert!(one.starts_with("The announce URL to put into torrents:\n    http://10.77.0.1:80/announce\n"), "{one}");
        assert!(one.contains("--firewall") && !one.contains("UDP"), "{one}");
        let loopback = text(urls(&["127.0.0.1:80"], &["10.77.0.1"]), true);
        assert!(loopback.contains("only clients on this machine"), "{loopback}");
        let none = text(urls(&["0.0.0.0:80"], &[]), false);
        assert!(none.contains("no address on a LAN") && none.contains("http://127.0.0.1:80/announce"), "{none}");
    }

    #[test]
    fn the_dashboard_comes_first() {
        let dashboard = |listening: &[&str], lan: &[&str]| {
            let listening: Vec<_> = listening.iter().map(|address| address.parse().unwrap()).collect();
            let lan: Vec<_> = lan.iter().map(|address| address.parse().unwrap()).collect();
            DashboardUrls::new(&listening, &lan, |address| format!("http://{address}/?token=secret"))
        };
        for (listening, lan, operator, viewers) in [
            (
                &["0.0.0.0:6970", "[::]:6970"][..],
                &["192.168.1.5", "10.77.0.1", "fd77::1"][..],
                &["http://192.168.1.5:6970/?token=secret", "http://127.0.0.1:6970/?token=secret"][..],
                Some("http://192.168.1.5:6970/"),
            ),
            (&["0.0.0.0:6970"], &[], &["http://127.0.0.1:6970/?token=secret"], None),
            (&["127.0.0.1:80"], &["192.168.1.5"], &["http://127.0.0.1:80/?token=secret"], None),
            (&["[fd77::1]:80"], &["fd77::1"], &["http://[fd77::1]:80/?token=secret"], Some("http://[fd77::1]:80/")),
        ] {
            let urls = dashboard(listening, lan);
            assert_eq!(
                (urls.operator(), urls.viewers.as_deref()),
                (&*operator.iter().map(ToString::to_string).collect::<Vec<_>>(), viewers)
            );
        }
        let people = dashboard(&["0.0.0.0:6970"], &["192.168.1.5"]);
        let clients = urls(&["0.0.0.0:6969"], &["192.168.1.5"]);
        let text = Welcome { dashboard: Some(&people), urls: &clients, loopback_only: false }.to_string();
        let (first, rest) = text.split_once("\n\n").unwrap();
        assert_eq!((first.matches("?token=secret").count(), first.matches("6969").count()), (2, 0), "{text}");
        assert_eq!((rest.matches("token").count(), rest.matches("6969/announce").count()), (0, 1), "{text}");
    }
}
