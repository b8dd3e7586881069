//! Advice on opening the tracker's ports in firewalls.

use std::collections::BTreeSet;
use std::env;
use std::fmt::{self, Display};
use std::net::SocketAddr;
use std::path::Path;

use tracker::{DashboardUrls, MdnsName, Protocol};
use tracker_host::Addresses;

use crate::settings::Settings;
use crate::text::{in_shell, list};

/// Instructions for these ports of these protocols.
#[derive(Debug)]
pub(crate) struct Firewall {
    ports: BTreeSet<u16>,
    protocols: &'static [Protocol],
    /// The ports of the dashboard, over TCP.
    dashboard: BTreeSet<u16>,
    /// The ports of the tracker's own peer: over TCP, and over UDP, by which clients try to connect first.
    peer: BTreeSet<u16>,
    /// The URL of the page for everybody.
    page: Option<String>,
    /// The name that the page takes on the LAN.
    name: Option<String>,
}

impl Firewall {
    /// The instructions for these settings, on this machine. Port 0 stands for any free port, which cannot be opened beforehand,
    /// and no firewall is between a loopback address and those who use it.
    pub(crate) fn new(settings: &Settings, machine: &Addresses) -> Self {
        let clients = settings.listen.iter().map(|listen| listen.0);
        let dashboard = settings.dashboard_listen.iter().map(|listen| listen.0).filter(|_| settings.dashboard);
        let peer = settings.peer_listen.iter().map(|listen| listen.0).filter(|_| settings.has_peer());
        let is_opened = |listen: &SocketAddr| listen.port() != 0 && !listen.ip().is_loopback();
        let dashboard: Vec<_> = dashboard.filter(is_opened).collect();
        let urls = DashboardUrls::of_machine(&dashboard, machine, |_| String::new());
        let name = settings.mdns.0.as_ref().filter(|_| !dashboard.is_empty());
        Self {
            ports: clients.filter(is_opened).map(|listen| listen.port()).collect(),
            protocols: Protocol::served(settings.udp),
            dashboard: dashboard.iter().map(SocketAddr::port).collect(),
            peer: peer.filter(is_opened).map(|listen| listen.port()).collect(),
            page: urls.viewers().first().cloned(),
            name: name.map(MdnsName::in_local),
        }
    }

    /// The command line that prints the instructions for a tracker with these settings, wherever they come from.
    pub(crate) fn command(settings: &Settings) -> String {
        let defaults = Settings::default();
        let mut command = String::from("tracker --firewall");
        if settings.listen != defaults.listen {
            command += &format!(" --listen {}", value(&settings.listen));
        }
        if !settings.udp {
            command += " --udp=false";
        }
        if !settings.dashboard {
            command += " --dashboard=false";
        } else if settings.dashboard_listen != defaults.dashboard_listen {
            command += &format!(" --dashboard-listen {}", value(&settings.dashboard_listen));
        }
        if !settings.has_peer() {
            command += " --peer=false";
        } else if settings.peer_listen != defaults.peer_listen {
            command += &format!(" --peer-listen {}", value(&settings.peer_listen));
        }
        command
    }

    /// Each port with its transport, `tcp` or `udp`: those for clients, of the dashboard and of the own peer.
    pub(crate) fn ports(&self) -> Vec<(u16, &'static str)> {
        let transports = self.protocols.iter().map(|protocol| protocol.transport());
        let clients = self.ports.iter().flat_map(|&port| transports.clone().map(move |transport| (port, transport)));
        let dashboard = self.dashboard.iter().map(|&port| (port, Protocol::Http.transport()));
        let peer = self.peer.iter().flat_map(|&port| ["tcp", "udp"].map(|transport| (port, transport)));
        clients.chain(dashboard).chain(peer).collect()
    }

    /// A line for each port and transport.
    fn each(&self, f: &mut fmt::Formatter<'_>, line: impl Fn(u16, &str) -> String) -> fmt::Result {
        self.ports().into_iter().try_for_each(|(port, transport)| writeln!(f, "    {}", line(port, transport)))
    }
}

/// The addresses as the value of a flag. Some shells have a use of their own for brackets.
fn value(addresses: &[impl Display]) -> String {
    in_shell(&addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(","))
}

impl Display for Firewall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.ports.is_empty() && self.dashboard.is_empty() && self.peer.is_empty() {
            return writeln!(
                f,
                "There is no port to open: the tracker would use any free port, or be there for this machine only. Choose \
                 addresses and ports with --listen, --dashboard-listen and --peer-listen first."
            );
        }
        let program = env::current_exe().ok();
        let program = program.as_deref().unwrap_or_else(|| Path::new("/path/to/tracker")).display();
        let transports: Vec<_> = self.protocols.iter().map(|protocol| protocol.transport().to_uppercase()).collect();
        if !self.ports.is_empty() {
            writeln!(f, "Clients reach the tracker on {} port {}.", transports.join(" and "), list(&self.ports))?;
        }
        if !self.dashboard.is_empty() {
            writeln!(f, "Browsers reach the dashboard on TCP port {}.", list(&self.dashboard))?;
        }
        if !self.peer.is_empty() {
            let ports = list(&self.peer);
            writeln!(
                f,
                "Clients to which nobody can connect reach the tracker's own peer on TCP port {ports}. Many try UDP first, and \
                 lose some seconds where that is not answered."
            )?;
        }
        if let Some(name) = &self.name {
            writeln!(
                f,
                "Who looks for {name} asks on UDP port 5353. ufw lets that in unasked; elsewhere, open it if the name is not found."
            )?;
        }
        writeln!(
            f,
            "If you start the tracker with other ports, write the same --listen, --dashboard-listen, --peer-listen or --config \
             here."
        )?;
        writeln!(f, "To open these ports, run the commands for your firewall on the machine that runs the tracker.\n")?;

        writeln!(f, "ufw (Ubuntu, Debian, Mint):")?;
        self.each(f, |port, transport| format!("sudo ufw allow {port}/{transport}"))?;
        writeln!(f, "\nfirewalld (Fedora, RHEL, openSUSE):")?;
        self.each(f, |port, transport| format!("sudo firewall-cmd --permanent --add-port={port}/{transport}"))?;
        writeln!(f, "    sudo firewall-cmd --reload")?;
        writeln!(
            f,
            "\nnftables (for the usual table `inet filter`, until the next reboot; permanently: /etc/nftables.conf):"
        )?;
        self.each(f, |port, transport| {
            format!("sudo nft insert rule inet filter input {transport} dport {port} accept")
        })?;
        writeln!(f, "\nWindows Defender (PowerShell as administrator):")?;
        self.each(f, |port, transport| {
            let transport = transport.to_uppercase();
            format!(
                "New-NetFirewallRule -DisplayName \"BitTorrent tracker {port} {transport}\" -Direction Inbound \
                 -Action Allow -Profile Private,Domain -Protocol {transport} -LocalPort {port}"
            )
        })?;
        writeln!(f, "\nmacOS (its firewall allows programs, not ports):")?;
        writeln!(f, "    sudo /usr/libexec/ApplicationFirewall/socketfilterfw --add \"{program}\"")?;
        writeln!(f, "    sudo /usr/libexec/ApplicationFirewall/socketfilterfw --unblockapp \"{program}\"")?;
        if let Some(page) = &self.page {
            writeln!(f, "\nTo test it while the tracker runs, open this on a phone or another computer:")?;
            writeln!(f, "    {page}")?;
        } else if let Some(port) = self.ports.first() {
            writeln!(f, "\nTo test it, run this on another machine, with the tracker's address; it prints ok:")?;
            writeln!(f, "    curl http://ADDRESS:{port}/health")?;
        }
        writeln!(
            f,
            "\nEvery client needs its own port open as well; otherwise it can only connect to clients whose port is open."
        )
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::cli::Cli;

    fn machine() -> Addresses {
        Addresses { lan: vec!["192.168.1.5".parse().unwrap()], ..Addresses::default() }
    }

    fn firewall(flags: &[&str]) -> String {
        let cli = Cli::parse([&["tracker"], flags].concat()).unwrap();
        Firewall::new(&cli.settings().unwrap(), &machine()).to_string()
    }

    #[test]
    fn the_port_for_the_name_is_named_where_one_is_taken() {
        for (flags, is_named) in [
            (&[][..], true),
            (&["--mdns="], false),
            (&["--dashboard=false"], false),
            (&["--dashboard-listen", "127.0.0.1:6970"], false),
        ] {
            let text = firewall(flags);
            assert_eq!(text.contains("tracker.local asks on UDP port 5353"), is_named, "{flags:?}: {text}");
        }
    }

    fn text(listen: &[&str], udp: bool) -> String {
        firewall(&["--listen", &listen.join(","), if udp { "--udp" } else { "--udp=false" }, "--dashboard=false"])
    }

    #[test]
    fn each_port_is_opened() {
        for udp in [false, true] {
            let text = text(&["0.0.0.0:7000", "[::]:7000", "10.0.0.1:80"], udp);
            for (line, is_udp) in [
                ("Clients reach the tracker on TCP", false),
                ("Clients reach the tracker on TCP and UDP port 80, 7000.", true),
                ("sudo ufw allow 7000/tcp", false),
                ("sudo ufw allow 80/tcp", false),
                ("sudo ufw allow 80/udp", true),
                ("--add-port=7000/tcp", false),
                ("--add-port=7000/udp", true),
                ("input tcp dport 80 accept", false),
                ("input udp dport 80 accept", true),
                ("-Protocol TCP -LocalPort 7000", false),
                ("-Protocol UDP -LocalPort 7000", true),
                ("socketfilterfw --add", false),
            ] {
                assert_eq!(text.matches(line).count(), usize::from(udp || !is_udp), "{line}: {text}");
            }
            assert!(!text.contains("6969"), "{text}");
        }
    }

    #[test]
    fn any_port_and_one_of_loopback_cannot_be_opened() {
        for listen in ["0.0.0.0:0", "127.0.0.1:7000"] {
            let alone = firewall(&["--listen", listen, "--dashboard=false", "--peer=false"]);
            assert!(alone.starts_with("There is no port to open"), "{listen}");
            let here = firewall(&["--listen", listen, "--dashboard=false", "--peer-listen", "127.0.0.1:7002"]);
            assert!(here.starts_with("There is no port to open"), "{listen}");
            let peer = text(&[listen], true);
            assert!(peer.starts_with("Clients to which nobody can connect reach the tracker's own peer"), "{peer}");
            assert!(peer.contains("allow 6968/tcp") && peer.contains("allow 6968/udp"), "{peer}");
            assert!(!peer.contains("Clients reach"), "{peer}");
            let dashboard = firewall(&["--listen", listen]);
            assert!(dashboard.contains("allow 6970/tcp") && !dashboard.contains("Clients reach"), "{dashboard}");
        }
    }

    #[test]
    fn the_command_prints_the_ports_in_use_wherever_they_come_from() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tracker.toml");
        fs::write(&file, "listen = ['0.0.0.0:7000', '[::]:7000']\n").unwrap();
        let config = ["--config", file.to_str().unwrap()];
        for (flags, expected) in [
            (&[][..], "tracker --firewall"),
            (&["--lean"], "tracker --firewall --peer=false"),
            (&["--peer=false", "--peer-listen", "0.0.0.0:80"], "tracker --firewall --peer=false"),
            (&["--peer-listen", "0.0.0.0:80"], r#"tracker --firewall --peer-listen "0.0.0.0:80""#),
            (&config, r#"tracker --firewall --listen "0.0.0.0:7000,[::]:7000""#),
            (&["--dashboard-listen", "0.0.0.0:80"], r#"tracker --firewall --dashboard-listen "0.0.0.0:80""#),
            (
                &["--listen", "10.0.0.1:7", "--udp=false", "--dashboard=false"],
                r#"tracker --firewall --listen "10.0.0.1:7" --udp=false --dashboard=false"#,
            ),
        ] {
            let settings = Cli::parse([&["tracker"], flags].concat()).unwrap().settings().unwrap();
            let command = Firewall::command(&settings);
            assert_eq!(command, expected);
            let again = command.replace('"', "");
            let again = Cli::parse(again.split(' ')).unwrap().settings().unwrap();
            assert_eq!(Firewall::new(&again, &machine()).to_string(), Firewall::new(&settings, &machine()).to_string());
        }
    }

    #[test]
    fn the_own_peer_needs_tcp_and_udp() {
        let text = firewall(&["--peer-listen", "10.0.0.1:7001,127.0.0.1:7001"]);
        assert!(text.contains("reach the tracker's own peer on TCP port 7001. Many try UDP first"), "{text}");
        assert!(text.contains("allow 7001/tcp") && text.contains("allow 7001/udp"), "{text}");
        assert!(!firewall(&["--peer-listen", "127.0.0.1:7001"]).contains("7001"));
        assert!(firewall(&[]).contains("allow 6968/tcp"));
        for flag in ["--peer=false", "--lean"] {
            assert!(!firewall(&[flag]).contains("6968"), "{flag}");
        }
    }

    #[test]
    fn browsers_need_tcp_only() {
        let text = firewall(&["--dashboard-listen", "0.0.0.0:7001,[::]:7001,127.0.0.1:7002"]);
        assert!(text.contains("Browsers reach the dashboard on TCP port 7001.\n"), "{text}");
        assert!(text.contains("allow 6969/tcp") && text.contains("allow 6969/udp"), "{text}");
        assert!(text.contains("allow 7001/tcp") && !text.contains("7001/udp") && !text.contains("7002"), "{text}");
        assert!(firewall(&[]).contains("allow 6970/tcp") && firewall(&[]).contains("    http://192.168.1.5:6970/\n"));
        for flags in [&["--dashboard=false"][..], &["--dashboard-listen", "127.0.0.1:6970"]] {
            assert!(!firewall(flags).contains("6970"), "{flags:?}");
        }
    }
}
