//! How to open the tracker's port.

use std::collections::BTreeSet;
use std::env;
use std::fmt::{self, Display};
use std::path::Path;

use crate::listen_address::ListenAddress;

/// Instructions for these TCP ports.
#[derive(Debug)]
pub(crate) struct Firewall {
    ports: BTreeSet<u16>,
}

impl Firewall {
    /// For what is listened on. Port 0, which is any free one, cannot be opened beforehand.
    pub(crate) fn new(listen: &[ListenAddress]) -> Self {
        Self { ports: listen.iter().map(|listen| listen.0.port()).filter(|&port| port != 0).collect() }
    }

    fn each(&self, f: &mut fmt::Formatter<'_>, line: impl Fn(u16) -> String) -> fmt::Result {
        self.ports.iter().try_for_each(|&port| writeln!(f, "    {}", line(port)))
    }
}

impl Display for Firewall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(port) = self.ports.first() else {
            return writeln!(f, "The tracker would take any free port. Give it a fixed one with --listen first.");
        };
        let ports: Vec<_> = self.ports.iter().map(ToString::to_string).collect();
        let program = env::current_exe().ok();
        let program = program.as_deref().unwrap_or_else(|| Path::new("/path/to/tracker")).display();
        writeln!(f, "Clients reach the tracker on TCP port {}.", ports.join(", "))?;
        writeln!(f, "To open it, on the machine that runs the tracker, use what belongs to your firewall.\n")?;

        writeln!(f, "ufw (Ubuntu, Debian, Mint):")?;
        self.each(f, |port| format!("sudo ufw allow {port}/tcp"))?;
        writeln!(f, "\nfirewalld (Fedora, RHEL, openSUSE):")?;
        self.each(f, |port| format!("sudo firewall-cmd --permanent --add-port={port}/tcp"))?;
        writeln!(f, "    sudo firewall-cmd --reload")?;
        writeln!(
            f,
            "\nnftables (with the usual table `inet filter`, until the next start; for good: /etc/nftables.conf):"
        )?;
        self.each(f, |port| format!("sudo nft insert rule inet filter input tcp dport {port} accept"))?;
        writeln!(f, "\nWindows Defender (PowerShell as administrator):")?;
        self.each(f, |port| {
            format!(
                "New-NetFirewallRule -DisplayName \"BitTorrent tracker {port}\" -Direction Inbound \
                 -Action Allow -Profile Private,Domain -Protocol TCP -LocalPort {port}"
            )
        })?;
        writeln!(f, "\nmacOS (the firewall there goes by programs, not by ports):")?;
        writeln!(f, "    sudo /usr/libexec/ApplicationFirewall/socketfilterfw --add \"{program}\"")?;
        writeln!(f, "    sudo /usr/libexec/ApplicationFirewall/socketfilterfw --unblockapp \"{program}\"")?;
        writeln!(f, "\nThen this, on another machine and with the tracker's address, answers ok:")?;
        writeln!(f, "    curl http://ADDRESS:{port}/health")?;
        writeln!(f, "\nEach client needs its own port open, too, or it can only fetch from those that have.")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(listen: &[&str]) -> String {
        let listen: Vec<_> = listen.iter().map(|address| address.parse().unwrap()).collect();
        Firewall::new(&listen).to_string()
    }

    #[test]
    fn each_port_is_opened() {
        let text = text(&["0.0.0.0:7000", "[::]:7000", "10.0.0.1:80"]);
        for line in [
            "sudo ufw allow 7000/tcp",
            "sudo ufw allow 80/tcp",
            "--add-port=7000/tcp",
            "input tcp dport 80 accept",
            "-Protocol TCP -LocalPort 7000",
            "socketfilterfw --add",
        ] {
            assert_eq!(text.matches(line).count(), 1, "{line}: {text}");
        }
        assert!(!text.contains("6969"), "{text}");
    }

    #[test]
    fn any_port_cannot_be_opened() {
        assert!(text(&["0.0.0.0:0"]).contains("--listen"));
    }
}
