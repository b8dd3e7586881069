//! The text that the operator sees at the start.

use std::fmt::{self, Display};

use ipnet::IpNet;
use tracker::{Allow, AnnounceUrls, DashboardUrls, Protocol};

/// The start-up text.
#[derive(Debug)]
pub(crate) struct Welcome<'a> {
    pub(crate) dashboard: Option<&'a DashboardUrls>,
    pub(crate) urls: &'a AnnounceUrls,
    /// `true` if the tracker listens on loopback addresses only.
    pub(crate) loopback_only: bool,
    /// Networks of the addresses in the URLs whose clients are refused.
    pub(crate) refused: Vec<IpNet>,
    /// Whose clients are served.
    pub(crate) allow: &'a [Allow],
}

impl Display for Welcome<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(urls) = self.dashboard {
            writeln!(f, "The dashboard, for the operator (this URL controls the tracker, so keep it private):")?;
            urls.operator().iter().try_for_each(|url| writeln!(f, "    {url}"))?;
            if let Some(url) = urls.viewers() {
                writeln!(f, "Everybody else can view it at {url}")?;
            }
            writeln!(f)?;
        }
        match self.urls.lan_addresses() {
            0 if self.loopback_only => {
                writeln!(
                    f,
                    "The tracker listens on a loopback address: only clients on this machine can use it. For them:"
                )?;
            }
            0 => {
                writeln!(
                    f,
                    "This machine has no address by which others reach it, so there is no announce URL for other machines \
                     yet. Connect it to the network: the tracker notices, and the dashboard shows the URL."
                )?;
                writeln!(f, "For clients on this machine:")?;
            }
            _ if self.urls.are_limited() => {
                writeln!(
                    f,
                    "This machine has no address on a LAN, only one that not everybody reaches: of a VPN, or one that it gave \
                     itself (169.254.x.x). For machines in the same VPN, or on the same cable:"
                )?;
            }
            1 => writeln!(f, "The announce URL to put into torrents:")?,
            _ => writeln!(
                f,
                "The announce URLs, one for each address of this machine; usually the first is the right one:"
            )?,
        }
        self.urls.of(Protocol::Http).try_for_each(|url| writeln!(f, "    {url}"))?;
        let mut udp = self.urls.of(Protocol::Udp).peekable();
        if udp.peek().is_some() {
            writeln!(f, "The same over UDP, which costs less but is not supported by every client:")?;
            udp.try_for_each(|url| writeln!(f, "    {url}"))?;
        }
        for network in &self.refused {
            write!(f, "Clients from {network} are refused. If that network is yours, start the tracker with")?;
            self.allow.iter().try_for_each(|allow| write!(f, " --allow {allow}"))?;
            writeln!(f, " --allow {network}")?;
        }
        if self.urls.lan_addresses() > 0 {
            writeln!(f, "If other machines cannot reach it, see `tracker --firewall`.")?;
        }
        writeln!(f, "Ctrl-C stops the tracker.")
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, SocketAddr};

    use tracker_host::Addresses;

    use super::*;

    fn text(listening: &[&str], lan: &[&str], udp: bool) -> String {
        let listening: Vec<SocketAddr> = listening.iter().map(|address| address.parse().unwrap()).collect();
        let lan: Vec<IpAddr> = lan.iter().map(|address| address.parse().unwrap()).collect();
        let loopback_only = listening.iter().all(|address| address.ip().is_loopback());
        let udp = udp.then(|| (Protocol::Udp, listening.clone()));
        let listening: Vec<_> = [(Protocol::Http, listening)].into_iter().chain(udp).collect();
        let urls = AnnounceUrls::new(&listening, &lan);
        Welcome { dashboard: None, urls: &urls, loopback_only, refused: Vec::new(), allow: &[] }.to_string()
    }

    #[test]
    fn the_text_says_who_can_reach_the_tracker() {
        let one = text(&["10.77.0.1:80"], &[], false);
        assert!(one.starts_with("The announce URL to put into torrents:\n    http://10.77.0.1:80/announce\n"), "{one}");
        assert!(one.contains("--firewall") && !one.contains("UDP"), "{one}");
        let loopback = text(&["127.0.0.1:80"], &["10.77.0.1"], false);
        assert!(loopback.contains("only clients on this machine"), "{loopback}");
        let none = text(&["0.0.0.0:80"], &[], false);
        assert!(
            none.contains("no address by which others reach it") && none.contains("http://127.0.0.1:80/announce"),
            "{none}"
        );
    }

    #[test]
    fn an_address_that_not_everybody_reaches_has_a_note() {
        let listening: SocketAddr = "0.0.0.0:6969".parse().unwrap();
        let limited = vec!["100.101.102.103".parse().unwrap()];
        let machine = Addresses { limited, ..Addresses::default() };
        let urls = AnnounceUrls::of_machine(&[(Protocol::Http, vec![listening])], &machine);
        let refused = vec!["100.64.0.0/10".parse().unwrap()];
        let allow = &[Allow::Lan, "10.1.0.0/16".parse().unwrap()];
        let text = Welcome { dashboard: None, urls: &urls, loopback_only: false, refused, allow }.to_string();
        assert!(text.contains("no address on a LAN") && text.contains("VPN"), "{text}");
        assert!(text.contains("http://100.101.102.103:6969/announce") && !text.contains("127.0.0.1"), "{text}");
        assert!(text.contains("--allow lan --allow 10.1.0.0/16 --allow 100.64.0.0/10"), "{text}");
    }

    #[test]
    fn udp_comes_after_http() {
        let text = text(&["0.0.0.0:6969", "[::]:6969"], &["192.168.1.5", "fd77::1"], true);
        let (http, udp) = text.split_once("over UDP").unwrap();
        assert_eq!((http.matches("http://").count(), http.matches("udp://").count()), (2, 0), "{text}");
        assert_eq!((udp.matches("http://").count(), udp.matches("udp://").count()), (0, 2), "{text}");
    }

    #[test]
    fn the_dashboard_comes_first() {
        let lan = ["192.168.1.5".parse().unwrap()];
        let [clients, people] = ["0.0.0.0:6969", "0.0.0.0:6970"].map(|address| vec![address.parse().unwrap()]);
        let dashboard = DashboardUrls::new(&people, &lan, |address| format!("http://{address}/?token=secret"));
        let urls = AnnounceUrls::new(&[(Protocol::Http, clients)], &lan);
        let text =
            Welcome { dashboard: Some(&dashboard), urls: &urls, loopback_only: false, refused: Vec::new(), allow: &[] }
                .to_string();
        let (first, rest) = text.split_once("\n\n").unwrap();
        assert_eq!((first.matches("?token=secret").count(), first.matches("6969").count()), (2, 0), "{text}");
        assert_eq!((rest.matches("token").count(), rest.matches("6969/announce").count()), (0, 1), "{text}");
    }
}
