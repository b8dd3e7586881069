//! The text that the operator sees at the start.

use std::fmt::{self, Display};
use std::path::Path;

use ipnet::IpNet;
use tracker::{Allow, AnnounceUrls, DashboardUrls, Protocol};

use crate::terminal::Terminal;

/// The start-up text.
///
/// With a share folder it begins with the one URL that everybody else opens, and its QR code; the announce URLs are for the few
/// who make torrents themselves, and come last. Without a share folder they are what the operator needs.
#[derive(Debug)]
pub(crate) struct Welcome<'a> {
    pub(crate) dashboard: Option<&'a DashboardUrls>,
    /// The folder that is shared.
    pub(crate) share: Option<&'a Path>,
    /// `true` if there is nothing in it.
    pub(crate) is_empty: bool,
    pub(crate) urls: &'a AnnounceUrls,
    /// `true` if the tracker listens on loopback addresses only.
    pub(crate) loopback_only: bool,
    /// Networks of the addresses in the URLs whose clients are refused.
    pub(crate) refused: Vec<IpNet>,
    /// `true` if only users may announce.
    pub(crate) users: bool,
    /// Whose clients are served.
    pub(crate) allow: &'a [Allow],
    /// The command that prints how to open the ports.
    pub(crate) firewall: String,
    /// What the terminal shows.
    pub(crate) terminal: Terminal,
}

impl Display for Welcome<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.share, self.dashboard) {
            (Some(share), Some(dashboard)) => {
                self.page(f, share, dashboard)?;
                if self.is_empty {
                    writeln!(
                        f,
                        "There is nothing in the folder yet. What you put into it is shared after a few seconds.\n"
                    )?;
                }
                self.operator(f, dashboard)?;
                if self.users {
                    writeln!(
                        f,
                        "\nOnly users may announce: `tracker users add NAME` makes one. They sign in on the page."
                    )?;
                } else {
                    writeln!(f, "\nAnnounce URLs, for torrents that you make yourself:")?;
                    self.urls.all().try_for_each(|url| writeln!(f, "    {url}"))?;
                }
            }
            (_, dashboard) => {
                if let Some(dashboard) = dashboard {
                    self.operator(f, dashboard)?;
                    if let [url, ..] = dashboard.viewers() {
                        writeln!(f, "Everybody else can view it at {url}")?;
                        if let Some(named) = dashboard.named() {
                            writeln!(f, "or, where the system resolves the name, at {named}")?;
                        }
                    }
                    writeln!(f)?;
                }
                self.announce_urls(f)?;
                if dashboard.is_some() {
                    writeln!(f, "To share a folder with everybody, start the program with it: tracker FOLDER")?;
                }
            }
        }
        for network in &self.refused {
            write!(f, "Clients from {network} are refused. If that network is yours, start the tracker with")?;
            self.allow.iter().try_for_each(|allow| write!(f, " --allow {allow}"))?;
            writeln!(f, " --allow {network}")?;
        }
        if self.urls.lan_addresses() > 0 {
            writeln!(f, "If other machines cannot reach it, see `{}`.", self.firewall)?;
        }
        writeln!(f, "Ctrl-C stops the tracker.")
    }
}

impl Welcome<'_> {
    /// What everybody opens who comes for the files.
    fn page(&self, f: &mut fmt::Formatter<'_>, share: &Path, dashboard: &DashboardUrls) -> fmt::Result {
        let share = share.display();
        let [best, others @ ..] = dashboard.viewers() else {
            let local = dashboard.local().unwrap_or_default();
            writeln!(f, "The files in {share} are at {local}, on this machine only.")?;
            return match self.loopback_only {
                true => writeln!(f),
                false => writeln!(
                    f,
                    "No other machine reaches this address. Connect this machine to the network: the tracker notices, and logs \
                     the URL for the others. If it is connected, name its address with --dashboard-listen ADDRESS:PORT.\n"
                ),
            };
        };
        if dashboard.are_limited() {
            writeln!(
                f,
                "This machine has no address on a LAN, only one that not everybody reaches: of a VPN, or one that it gave"
            )?;
            writeln!(
                f,
                "itself (169.254.x.x). Machines in the same VPN, or on the same cable, get the files in {share} at"
            )?;
            return writeln!(f, "\n    {best}\n");
        }
        writeln!(f, "Open this on the other computers and phones to get the files in {share}:\n\n    {best}\n")?;
        if let Some(named) = dashboard.named() {
            writeln!(f, "or, where the system resolves the name, {named}\n")?;
        }
        if let Some(code) = self.terminal.qr_code(best) {
            writeln!(f, "{code}")?;
        }
        if !others.is_empty() {
            writeln!(f, "In other networks that this machine is in: {}\n", others.join(", "))?;
        }
        Ok(())
    }

    fn operator(&self, f: &mut fmt::Formatter<'_>, dashboard: &DashboardUrls) -> fmt::Result {
        writeln!(f, "The dashboard, for the operator (this URL controls the tracker, so keep it private):")?;
        dashboard.operator().iter().try_for_each(|url| writeln!(f, "    {url}"))
    }

    /// What torrents need, and who can use it.
    fn announce_urls(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use tracker_host::Addresses;

    use super::*;

    /// The text of a tracker that listens on these addresses, with a dashboard if `people` has any.
    fn text(
        share: Option<&str>,
        clients: &[&str],
        people: &[&str],
        udp: bool,
        machine: &Addresses,
        terminal: Terminal,
    ) -> String {
        let [clients, people] = [clients, people]
            .map(|listening| listening.iter().map(|address| address.parse().unwrap()).collect::<Vec<SocketAddr>>());
        let loopback_only = clients.iter().all(|address| address.ip().is_loopback());
        let udp = udp.then(|| (Protocol::Udp, clients.clone()));
        let listening: Vec<_> = [(Protocol::Http, clients)].into_iter().chain(udp).collect();
        let urls = AnnounceUrls::of_machine(&listening, machine);
        let token = |address| format!("http://{address}/?token=secret");
        let dashboard = (!people.is_empty()).then(|| DashboardUrls::of_machine(&people, machine, token));
        let refused = Vec::new();
        let (dashboard, share, firewall) = (dashboard.as_ref(), share.map(Path::new), "tracker --firewall".to_owned());
        let (is_empty, allow) = (false, &[]);
        Welcome {
            dashboard,
            share,
            is_empty,
            urls: &urls,
            loopback_only,
            refused,
            users: false,
            allow,
            firewall,
            terminal,
        }
        .to_string()
    }

    fn machine(lan: &[&str]) -> Addresses {
        Addresses { lan: lan.iter().map(|address| address.parse().unwrap()).collect(), ..Addresses::default() }
    }

    fn clients_only(listening: &[&str], lan: &[&str], udp: bool) -> String {
        text(None, listening, &[], udp, &machine(lan), Terminal::Colors)
    }

    fn shared(people: &[&str], machine: &Addresses, terminal: Terminal) -> String {
        text(Some("/home/me/Lessons"), &["0.0.0.0:6969"], people, true, machine, terminal)
    }

    #[test]
    fn the_text_says_who_can_reach_the_tracker() {
        let one = clients_only(&["10.77.0.1:80"], &[], false);
        assert!(one.starts_with("The announce URL to put into torrents:\n    http://10.77.0.1:80/announce\n"), "{one}");
        assert!(one.contains("--firewall") && !one.contains("UDP"), "{one}");
        let loopback = clients_only(&["127.0.0.1:80"], &["10.77.0.1"], false);
        assert!(loopback.contains("only clients on this machine"), "{loopback}");
        let none = clients_only(&["0.0.0.0:80"], &[], false);
        assert!(
            none.contains("no address by which others reach it") && none.contains("http://127.0.0.1:80/announce"),
            "{none}"
        );
    }

    #[test]
    fn an_address_that_not_everybody_reaches_has_a_note() {
        let listening: SocketAddr = "0.0.0.0:6969".parse().unwrap();
        let machine = Addresses { limited: vec!["100.101.102.103".parse().unwrap()], ..Addresses::default() };
        let urls = AnnounceUrls::of_machine(&[(Protocol::Http, vec![listening])], &machine);
        let refused = vec!["100.64.0.0/10".parse().unwrap()];
        let allow = &[Allow::Lan, "10.1.0.0/16".parse().unwrap()];
        let (dashboard, share, is_empty, loopback_only) = (None, None, false, false);
        let (firewall, terminal) = (String::new(), Terminal::Colors);
        let welcome = Welcome {
            dashboard,
            share,
            is_empty,
            urls: &urls,
            loopback_only,
            refused,
            users: false,
            allow,
            firewall,
            terminal,
        };
        let text = welcome.to_string();
        assert!(text.contains("no address on a LAN") && text.contains("VPN"), "{text}");
        assert!(text.contains("http://100.101.102.103:6969/announce") && !text.contains("127.0.0.1"), "{text}");
        assert!(text.contains("--allow lan --allow 10.1.0.0/16 --allow 100.64.0.0/10"), "{text}");

        let text = shared(&["0.0.0.0:6970"], &machine, Terminal::Colors);
        assert!(
            text.contains("no address on a LAN") && text.contains("\n    http://100.101.102.103:6970/\n"),
            "{text}"
        );
        assert!(!text.contains('█'), "nobody points a phone at it: {text}");
    }

    #[test]
    fn udp_comes_after_http() {
        let text = clients_only(&["0.0.0.0:6969", "[::]:6969"], &["192.168.1.5", "fd77::1"], true);
        let (http, udp) = text.split_once("over UDP").unwrap();
        assert_eq!((http.matches("http://").count(), http.matches("udp://").count()), (2, 0), "{text}");
        assert_eq!((udp.matches("http://").count(), udp.matches("udp://").count()), (0, 2), "{text}");
    }

    #[test]
    fn without_a_share_folder_the_dashboard_comes_first() {
        let machine = machine(&["192.168.1.5"]);
        let text = text(None, &["0.0.0.0:6969"], &["0.0.0.0:6970"], false, &machine, Terminal::Colors);
        let (first, rest) = text.split_once("\n\n").unwrap();
        assert_eq!((first.matches("?token=secret").count(), first.matches("6969").count()), (2, 0), "{text}");
        assert_eq!((rest.matches("token").count(), rest.matches("6969/announce").count()), (0, 1), "{text}");
        assert!(rest.contains("tracker FOLDER") && !text.contains('█'), "{text}");
    }

    #[test]
    fn with_a_share_folder_one_url_and_its_qr_code_come_first() {
        let machine = machine(&["192.168.1.5", "10.77.0.1"]);
        let all = ["0.0.0.0:6970"];
        let text = shared(&all, &machine, Terminal::Colors);
        let code = Terminal::Colors.qr_code("http://192.168.1.5:6970/").unwrap();
        let (first, rest) = text.split_once(&code).unwrap();
        assert_eq!(
            first,
            "Open this on the other computers and phones to get the files in /home/me/Lessons:\n\n    http://192.168.1.5:6970/\n\n"
        );
        let order = ["other networks", "http://10.77.0.1:6970/", "?token=secret", "announce"]
            .map(|part| rest.find(part).unwrap());
        assert!(order.is_sorted(), "{text}");
        assert!(!shared(&all, &machine, Terminal::None).contains('█'));
        assert!(shared(&all, &machine, Terminal::Plain).contains('█'));
    }

    #[test]
    fn the_name_of_the_page_is_below_its_address() {
        let listening: SocketAddr = "0.0.0.0:6970".parse().unwrap();
        let dashboard = DashboardUrls::of_machine(&[listening], &machine(&["192.168.1.5"]), |_| String::new());
        let dashboard = dashboard.with_name(Some("tracker.local:6970".to_owned()));
        let urls = AnnounceUrls::of_machine(&[(Protocol::Http, vec![listening])], &machine(&["192.168.1.5"]));
        for share in [Some(Path::new("/home/me/Lessons")), None] {
            let welcome = Welcome {
                dashboard: Some(&dashboard),
                share,
                is_empty: false,
                urls: &urls,
                loopback_only: false,
                refused: Vec::new(),
                users: false,
                allow: &[],
                firewall: String::new(),
                terminal: Terminal::None,
            };
            let text = welcome.to_string();
            let order = ["http://192.168.1.5:6970/", "http://tracker.local:6970/", "/announce"];
            assert!(order.map(|part| text.find(part).unwrap()).is_sorted(), "{text}");
            assert_eq!(text.matches(".local").count(), 1, "{text}");
        }
    }

    #[test]
    fn files_that_nobody_else_reaches_are_said_to_be_here_only() {
        for (people, lan) in [(&["0.0.0.0:6970"][..], &[][..]), (&["127.0.0.1:6970"], &["192.168.1.5"])] {
            let text = shared(people, &machine(lan), Terminal::Colors);
            let first = "The files in /home/me/Lessons are at http://127.0.0.1:6970/, on this machine only.\n";
            assert!(text.starts_with(first) && !text.contains('█'), "{text}");
        }
    }
}
