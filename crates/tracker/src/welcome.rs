//! The text that the operator sees at the start.

use std::fmt::{self, Display};

use tracker::{AnnounceUrls, DashboardUrls, Protocol};

/// The start-up text.
#[derive(Debug)]
pub(crate) struct Welcome<'a> {
    pub(crate) dashboard: Option<&'a DashboardUrls>,
    pub(crate) urls: &'a AnnounceUrls,
    /// `true` if the tracker listens on loopback addresses only.
    pub(crate) loopback_only: bool,
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
                    "This machine has no address on a LAN (only loopback, link-local, container or tunnel ones), so there \
                     is no announce URL for other machines. Connect it to the network and restart the tracker."
                )?;
                writeln!(f, "For clients on this machine:")?;
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
        if self.urls.lan_addresses() > 0 {
            writeln!(f, "If other machines cannot reach it, see `tracker --firewall`.")?;
        }
        writeln!(f, "Ctrl-C stops the tracker.")
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, SocketAddr};

    use super::*;

    fn text(listening: &[&str], lan: &[&str], udp: bool) -> String {
        let listening: Vec<SocketAddr> = listening.iter().map(|address| address.parse().unwrap()).collect();
        let lan: Vec<IpAddr> = lan.iter().map(|address| address.parse().unwrap()).collect();
        let loopback_only = listening.iter().all(|address| address.ip().is_loopback());
        let udp = udp.then(|| (Protocol::Udp, listening.clone()));
        let listening: Vec<_> = [(Protocol::Http, listening)].into_iter().chain(udp).collect();
        let urls = AnnounceUrls::new(&listening, &lan);
        Welcome { dashboard: None, urls: &urls, loopback_only }.to_string()
    }

    #[test]
    fn the_text_says_who_can_reach_the_tracker() {
        let one = text(&["10.77.0.1:80"], &[], false);
        assert!(one.starts_with("The announce URL to put into torrents:\n    http://10.77.0.1:80/announce\n"), "{one}");
        assert!(one.contains("--firewall") && !one.contains("UDP"), "{one}");
        let loopback = text(&["127.0.0.1:80"], &["10.77.0.1"], false);
        assert!(loopback.contains("only clients on this machine"), "{loopback}");
        let none = text(&["0.0.0.0:80"], &[], false);
        assert!(none.contains("no address on a LAN") && none.contains("http://127.0.0.1:80/announce"), "{none}");
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
        let text = Welcome { dashboard: Some(&dashboard), urls: &urls, loopback_only: false }.to_string();
        let (first, rest) = text.split_once("\n\n").unwrap();
        assert_eq!((first.matches("?token=secret").count(), first.matches("6969").count()), (2, 0), "{text}");
        assert_eq!((rest.matches("token").count(), rest.matches("6969/announce").count()), (0, 1), "{text}");
    }
}
