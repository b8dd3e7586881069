//! The URLs of the tracker and of its dashboard.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use dashboard::BasePath;
use tracker_host::Addresses;

use crate::protocol::Protocol;

/// The announce URLs of a tracker, for each protocol that it serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnnounceUrls {
    protocols: Vec<ProtocolUrls>,
    is_limited: bool,
}

/// The addresses in the announce URLs of one protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
struct ProtocolUrls {
    protocol: Protocol,
    /// For torrents, the best first.
    lan: Vec<SocketAddr>,
    /// For clients on this machine, if there are no others.
    loopback: Option<SocketAddr>,
}

impl AnnounceUrls {
    /// The URLs of a tracker that serves each protocol at its addresses, on a machine with these LAN addresses.
    pub fn new(listening: &[(Protocol, Vec<SocketAddr>)], lan: &[IpAddr]) -> Self {
        let protocols = listening.iter().map(|(protocol, addresses)| ProtocolUrls::new(*protocol, addresses, lan));
        Self { protocols: protocols.collect(), is_limited: false }
    }

    /// The URLs of a tracker that serves each protocol at its addresses, on this machine: by its addresses on the LAN, or else by
    /// those that only some machines reach.
    pub fn of_machine(listening: &[(Protocol, Vec<SocketAddr>)], machine: &Addresses) -> Self {
        let urls = Self::new(listening, machine.for_urls());
        let is_limited = machine.lan.is_empty() && urls.addresses().any(|ip| machine.limited.contains(&ip));
        Self { is_limited, ..urls }
    }

    /// Returns `true` if the machine has no address on a LAN, and the URLs have its [limited](Addresses::limited) ones.
    pub fn are_limited(&self) -> bool {
        self.is_limited
    }

    /// The addresses in the URLs for other machines, those of each protocol.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.protocols.iter().flat_map(|urls| &urls.lan).map(SocketAddr::ip)
    }

    /// All URLs, those of HTTP first, since every client supports it. Of each protocol the best is the first.
    pub fn all(&self) -> impl Iterator<Item = String> {
        self.protocols.iter().flat_map(ProtocolUrls::urls)
    }

    /// The URLs of one protocol, the best first.
    pub fn of(&self, protocol: Protocol) -> impl Iterator<Item = String> {
        self.protocols.iter().filter(move |urls| urls.protocol == protocol).flat_map(ProtocolUrls::urls)
    }

    /// The number of addresses by which other machines reach the tracker. If it is 0, the URLs are for clients on this machine.
    pub fn lan_addresses(&self) -> usize {
        self.protocols.iter().map(|urls| urls.lan.len()).max().unwrap_or_default()
    }
}

impl ProtocolUrls {
    fn new(protocol: Protocol, listening: &[SocketAddr], lan: &[IpAddr]) -> Self {
        let lan = on_lan(listening, lan);
        Self { protocol, loopback: on_loopback(listening).filter(|_| lan.is_empty()), lan }
    }

    fn urls(&self) -> impl Iterator<Item = String> {
        let addresses = self.lan.iter().chain(&self.loopback);
        addresses.map(|address| format!("{}://{address}/announce", self.protocol.scheme()))
    }
}

/// The URLs of a dashboard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DashboardUrls {
    operator: Vec<String>,
    viewers: Vec<String>,
    named: Option<String>,
    local: Option<String>,
    is_limited: bool,
}

impl DashboardUrls {
    /// The URLs of a dashboard at all of `listening`, on this machine. `url` makes one with the token.
    pub fn of_machine(listening: &[SocketAddr], machine: &Addresses, url: impl Fn(SocketAddr) -> String) -> Self {
        let addresses = one_of_each_network(on_lan(listening, machine.for_urls()), machine);
        let loopback = on_loopback(listening);
        let page = |address: &SocketAddr| format!("http://{address}/");
        let is_limited_one = |address: &SocketAddr| machine.limited.contains(&address.ip());
        Self {
            operator: addresses.first().copied().into_iter().chain(loopback).map(url).collect(),
            viewers: addresses.iter().map(page).collect(),
            named: None,
            local: loopback.as_ref().map(page),
            is_limited: machine.lan.is_empty() && addresses.iter().any(is_limited_one),
        }
    }

    /// These URLs, and one by this name and port, such as `tracker.local:6970`.
    #[must_use]
    pub fn with_name(self, name: Option<String>) -> Self {
        Self { named: name.map(|name| format!("http://{name}/")), ..self }
    }

    /// These URLs, with the path under which a reverse proxy offers the dashboard in those without the token.
    #[must_use]
    pub fn with_base_path(mut self, base_path: &BasePath) -> Self {
        for url in self.viewers.iter_mut().chain(&mut self.named).chain(&mut self.local) {
            *url = format!("{}{base_path}/", url.trim_end_matches('/'));
        }
        self
    }

    /// These URLs, with the code in those for everybody else, if they need one.
    #[must_use]
    pub fn with_code(mut self, code: Option<&str>) -> Self {
        if let Some(code) = code {
            self.viewers.iter_mut().chain(&mut self.named).for_each(|url| *url = format!("{url}?code={code}"));
        }
        self
    }

    /// These URLs with `https`, if the dashboard is served over TLS.
    #[must_use]
    pub fn with_tls(mut self, has_tls: bool) -> Self {
        if has_tls {
            let Self { operator, viewers, named, local, .. } = &mut self;
            for url in operator.iter_mut().chain(viewers).chain(named).chain(local) {
                if let Some(rest) = url.strip_prefix("http://") {
                    *url = format!("https://{rest}");
                }
            }
        }
        self
    }

    /// The URLs with the token, for the operator: by the best LAN address, if there is one, and by loopback.
    pub fn operator(&self) -> &[String] {
        &self.operator
    }

    /// The URLs without the token, for everybody else: one for each network that the machine is in, that of the default route
    /// first.
    pub fn viewers(&self) -> &[String] {
        &self.viewers
    }

    /// The URL without the token by the [name](crate::Builder::mdns) that the page has on the LAN, if it has one: for everybody
    /// else whose system resolves such names.
    pub fn named(&self) -> Option<&str> {
        self.named.as_deref()
    }

    /// The URL without the token, for browsers on this machine, if the dashboard listens on loopback.
    pub fn local(&self) -> Option<&str> {
        self.local.as_deref()
    }

    /// Returns `true` if the machine has no address on a LAN, and the URLs have its [limited](Addresses::limited) ones.
    pub fn are_limited(&self) -> bool {
        self.is_limited
    }
}

/// The first of these addresses in each network, without IPv6 addresses if there are others: every device has IPv4 on a LAN.
fn one_of_each_network(addresses: Vec<SocketAddr>, machine: &Addresses) -> Vec<SocketAddr> {
    let has_v4 = addresses.iter().any(SocketAddr::is_ipv4);
    let mut chosen: Vec<SocketAddr> = Vec::new();
    for address in addresses.into_iter().filter(|address| address.is_ipv4() == has_v4) {
        if !chosen.iter().any(|other| machine.share_network(address.ip(), other.ip())) {
            chosen.push(address);
        }
    }
    chosen
}

/// The addresses by which other machines reach a server that listens on these, the best first.
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

/// The port at which other machines reach a server that listens on these addresses over IPv4, and the machine's addresses with that
/// port, sorted; `None` if there are none.
pub(crate) fn ipv4_on_lan(listening: &[SocketAddr], machine: &Addresses) -> Option<(u16, Vec<Ipv4Addr>)> {
    let addresses = on_lan(listening, machine.for_urls());
    // IPv4 comes first.
    let port = addresses.first().filter(|address| address.is_ipv4())?.port();
    let of_port = addresses.iter().filter_map(|address| match address {
        SocketAddr::V4(v4) if v4.port() == port => Some(*v4.ip()),
        _ => None,
    });
    let mut addresses: Vec<_> = of_port.collect();
    addresses.sort();
    Some((port, addresses))
}

/// The address by which this machine itself reaches such a server.
fn on_loopback(listening: &[SocketAddr]) -> Option<SocketAddr> {
    listening.iter().find_map(|&listening| match listening.ip() {
        IpAddr::V4(v4) if v4.is_unspecified() => Some(SocketAddr::from(([127, 0, 0, 1], listening.port()))),
        IpAddr::V6(v6) if v6.is_unspecified() => Some(SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], listening.port()))),
        ip => ip.is_loopback().then_some(listening),
    })
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
            assert_eq!(urls.protocols[0].loopback, None);
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
            assert_eq!(urls.lan_addresses(), 0);
            assert_eq!(urls.all().collect::<Vec<_>>(), [expected]);
        }
        let loopback = urls(&["127.0.0.1:4000"], &["192.168.1.5"]);
        assert_eq!(loopback.all().collect::<Vec<_>>(), ["http://127.0.0.1:4000/announce"]);
    }

    #[test]
    fn without_the_lan_there_is_what_some_machines_reach() {
        let listening = [(Protocol::Http, parse(&["0.0.0.0:6969"]))];
        let machine = |lan: &[&str], limited: &[&str]| Addresses {
            lan: parse(lan),
            limited: parse(limited),
            ..Addresses::default()
        };
        for (lan, limited, is_limited, expected) in [
            (&[][..], &["100.101.102.103"][..], true, "http://100.101.102.103:6969/announce"),
            (&[], &["169.254.7.7"], true, "http://169.254.7.7:6969/announce"),
            (&["10.77.0.1"], &["100.101.102.103"], false, "http://10.77.0.1:6969/announce"),
            (&[], &[], false, "http://127.0.0.1:6969/announce"),
        ] {
            let urls = AnnounceUrls::of_machine(&listening, &machine(lan, limited));
            assert_eq!((urls.are_limited(), urls.all().collect::<Vec<_>>()), (is_limited, vec![expected.to_owned()]));
        }
        // It listens on an address that is on a LAN, whatever the machine says of it.
        let listening = [(Protocol::Http, parse(&["10.77.0.1:6969"]))];
        assert!(!AnnounceUrls::of_machine(&listening, &machine(&[], &["169.254.7.7"])).are_limited());
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
        assert_eq!(urls.of(Protocol::Udp).collect::<Vec<_>>(), urls.all().skip(2).collect::<Vec<_>>());
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
    fn the_dashboard_has_a_url_for_each_network_and_two_for_the_operator() {
        let token = |address| format!("http://{address}/?token=secret");
        for (listening, lan, limited, operator, viewers) in [
            (
                &["0.0.0.0:6970", "[::]:6970"][..],
                &["192.168.1.5", "192.168.1.6", "10.77.0.1", "fd77::1"][..],
                &["100.101.102.103"][..],
                &["http://192.168.1.5:6970/?token=secret", "http://127.0.0.1:6970/?token=secret"][..],
                &["http://192.168.1.5:6970/", "http://10.77.0.1:6970/"][..],
            ),
            (&["0.0.0.0:6970"], &[], &[], &["http://127.0.0.1:6970/?token=secret"], &[]),
            (&["127.0.0.1:80"], &["192.168.1.5"], &[], &["http://127.0.0.1:80/?token=secret"], &[]),
            (
                &["[::]:80"],
                &["192.168.1.5", "fd77::1"],
                &[],
                &["http://[fd77::1]:80/?token=secret", "http://[::1]:80/?token=secret"],
                &["http://[fd77::1]:80/"],
            ),
            (
                &["0.0.0.0:80"],
                &[],
                &["100.101.102.103"],
                &["http://100.101.102.103:80/?token=secret", "http://127.0.0.1:80/?token=secret"],
                &["http://100.101.102.103:80/"],
            ),
        ] {
            let machine = Addresses {
                lan: parse(lan),
                networks: parse(&["192.168.1.0/24", "10.77.0.0/24", "fd77::/64"]),
                limited: parse(limited),
                ..Addresses::default()
            };
            let urls = DashboardUrls::of_machine(&parse(listening), &machine, token);
            assert_eq!((urls.operator(), urls.viewers()), (&*texts(operator), &*texts(viewers)));
            assert_eq!(urls.are_limited(), lan.is_empty() && !limited.is_empty());
            let local = operator.last().unwrap().strip_suffix("?token=secret");
            assert_eq!(urls.local(), local, "{listening:?}");
        }
        let machine = Addresses { lan: parse(&["192.168.1.5"]), ..Addresses::default() };
        let with_code = DashboardUrls::of_machine(&parse(&["0.0.0.0:80"]), &machine, token).with_code(Some("4711"));
        assert_eq!(with_code.viewers(), texts(&["http://192.168.1.5:80/?code=4711"]));
        assert!(!with_code.operator().concat().contains("4711"));
        let listening = parse(&["0.0.0.0:80"]);
        let under = DashboardUrls::of_machine(&listening, &machine, token).with_base_path(&"/a/b".parse().unwrap());
        assert_eq!(under.viewers(), texts(&["http://192.168.1.5:80/a/b/"]));
        assert_eq!(under.local(), Some("http://127.0.0.1:80/a/b/"));
        let with_tls = with_code.with_tls(true);
        assert_eq!(with_tls.viewers(), texts(&["https://192.168.1.5:80/?code=4711"]));
        assert_eq!(with_tls.local(), Some("https://127.0.0.1:80/"));
        assert!(with_tls.operator().iter().all(|url| url.starts_with("https://")), "{:?}", with_tls.operator());
        let named =
            DashboardUrls::of_machine(&listening, &machine, token).with_name(Some("tracker.local:80".to_owned()));
        assert_eq!(named.named(), Some("http://tracker.local:80/"));
        let named = named.with_base_path(&"/a".parse().unwrap()).with_code(Some("4711")).with_tls(true);
        assert_eq!(named.named(), Some("https://tracker.local:80/a/?code=4711"));
        let only_lan = DashboardUrls::of_machine(&parse(&["192.168.1.5:80"]), &Addresses::default(), |_| String::new());
        assert_eq!((only_lan.viewers(), only_lan.local()), (&*texts(&["http://192.168.1.5:80/"]), None));
    }

    #[test]
    fn a_name_leads_to_the_ipv4_addresses_of_one_port() {
        let machine = Addresses { lan: parse(&["192.168.1.5", "10.77.0.1", "fd77::1"]), ..Addresses::default() };
        for (listening, expected) in [
            (&["0.0.0.0:80", "[::]:80"][..], Some((80, &["10.77.0.1", "192.168.1.5"][..]))),
            (&["[::]:80", "10.77.0.1:81"], Some((81, &["10.77.0.1"]))),
            (&["10.77.0.1:81", "0.0.0.0:80"], Some((81, &["10.77.0.1"]))),
            (&["[::]:80"], None),
            (&["127.0.0.1:80"], None),
        ] {
            let expected = expected.map(|(port, addresses)| (port, parse(addresses)));
            assert_eq!(ipv4_on_lan(&parse(listening), &machine), expected, "{listening:?}");
        }
    }

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(ToString::to_string).collect()
    }
}
