//! Advice on opening the tracker's ports in firewalls.

use std::collections::BTreeSet;
use std::env;
use std::fmt::{self, Display};
use std::path::Path;

use crate::settings::Settings;
use tracker::Protocol;

/// Instructions for these ports of these protocols.
#[derive(Debug)]
pub(crate) struct Firewall {
    ports: BTreeSet<u16>,
    protocols: &'static [Protocol],
    /// The ports of the dashboard, over TCP.
    dashboard: BTreeSet<u16>,
}

impl Firewall {
    /// The instructions for these settings. Port 0 stands for any free port, which cannot be opened beforehand.
    pub(crate) fn new(settings: &Settings) -> Self {
        let ports = settings.listen.iter().map(|listen| listen.0.port()).filter(|&port| port != 0).collect();
        let dashboard = settings.dashboard_listen.iter().map(|listen| listen.0);
        let dashboard =
            dashboard.filter(|listen| settings.dashboard && listen.port() != 0 && !listen.ip().is_loopback());
        let dashboard = dashboard.map(|listen| listen.port()).collect();
        Self { ports, protocols: Protocol::served(settings.udp), dashboard }
    }

    /// A line for each port and transport.
    fn each(&self, f: &mut fmt::Formatter<'_>, line: impl Fn(u16, &str) -> String) -> fmt::Result {
        let transports = self.protocols.iter().map(|protocol| protocol.transport());
        let clients = self.ports.iter().flat_map(|&port| transports.clone().map(move |transport| (port, transport)));
        let people = self.dashboard.iter().map(|&port| (port, Protocol::Http.transport()));
        for (port, transport) in clients.chain(people) {
            writeln!(f, "    {}", line(port, transport))?;
        }
        Ok(())
    }
}

fn list(ports: &BTreeSet<u16>) -> String {
    ports.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

impl Display for Firewall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(port) = self.ports.first() else {
            return writeln!(f, "The tracker would use any free port. Choose a fixed one with --listen first.");
        };
        let program = env::current_exe().ok();
        let program = program.as_deref().unwrap_or_else(|| Path::new("/path/to/tracker")).display();
        let transports: Vec<_> = self.protocols.iter().map(|protocol| protocol.transport().to_uppercase()).collect();
        writeln!(f, "Clients reach the tracker on {} port {}.", transports.join(" and "), list(&self.ports))?;
        if !self.dashboard.is_empty() {
            writeln!(f, "Browsers reach the dashboard on TCP port {}.", list(&self.dashboard))?;
        }
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
        writeln!(f, "\nTo test it, run this on another machine, with the tracker's address; it prints ok:")?;
        writeln!(f, "    curl http://ADDRESS:{port}/health")?;
        writeln!(
            f,
            "\nEvery client needs its own port open as well; otherwise it can only connect to clients whose port is open."
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;

    fn firewall(flags: &[&str]) -> String {
        let cli = Cli::parse([&["tracker"], flags].concat()).unwrap();
        Firewall::new(&cli.settings().unwrap()).to_string()
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
    fn any_port_cannot_be_opened() {
        assert!(text(&["0.0.0.0:0"], true).contains("--listen"));
    }

    #[test]
    fn browsers_need_tcp_only() {
        let text = firewall(&["--dashboard-listen", "0.0.0.0:7001,[::]:7001,127.0.0.1:7002"]);
        assert!(text.contains("Browsers reach the dashboard on TCP port 7001.\n"), "{text}");
        assert!(text.contains("allow 6969/tcp") && text.contains("allow 6969/udp"), "{text}");
        assert!(text.contains("allow 7001/tcp") && !text.contains("7001/udp") && !text.contains("7002"), "{text}");
        assert!(firewall(&[]).contains("allow 6970/tcp"));
        for flags in [&["--dashboard=false"][..], &["--dashboard-listen", "127.0.0.1:6970"]] {
            assert!(!firewall(flags).contains("6970"), "{flags:?}");
        }
    }
}
