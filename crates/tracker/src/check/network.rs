//! The addresses of the machine.

use std::net::IpAddr;

use tracker_host::Addresses;

use super::finding::Finding;
use crate::settings::Settings;
use crate::text::list;

/// The name of these findings.
const CHECK: &str = "addresses";

/// Says by which addresses others reach the tracker, as far as addresses decide it.
pub(super) fn judge(settings: &Settings, machine: &Addresses) -> Finding {
    let listening = || settings.listen.iter().map(|listen| listen.0.ip());
    if listening().all(|ip| ip.is_loopback()) {
        return Finding::warning(
            CHECK,
            "only programs on this machine reach the tracker: it listens on loopback addresses",
            "for other machines, listen on all addresses, which is the default, or on one of this machine with --listen",
        );
    }
    let is_listened_on =
        |ip: &&IpAddr| listening().any(|own| own == **ip || (own.is_unspecified() && own.is_ipv4() == ip.is_ipv4()));
    let lan: Vec<_> = machine.lan.iter().filter(is_listened_on).collect();
    // An address of a VPN that is named is there for those in the VPN.
    let is_named = |ip: &&IpAddr| !lan.contains(ip) && listening().any(|own| own == **ip) && !ip.is_loopback();
    let named = machine.all.iter().filter(is_named);
    let reached: Vec<_> = lan.iter().copied().chain(named).collect();
    if !reached.is_empty() {
        let text = format!("others reach this machine at {}, unless a firewall is between", list(reached));
        return Finding::good(CHECK, text);
    }
    let limited: Vec<_> = machine.limited.iter().filter(is_listened_on).collect();
    if !limited.is_empty() && machine.lan.is_empty() {
        return Finding::warning(
            CHECK,
            format!(
                "only some machines reach this one: its only addresses are {}, of a VPN or link-local",
                list(limited)
            ),
            "connect this machine to the network of those who are to use the tracker; it notices new addresses by itself",
        );
    }
    match machine.for_urls() {
        [] => Finding::wrong(
            CHECK,
            "this machine has no address by which others reach it",
            "connect it to a network (`ip address` shows its addresses); the tracker notices new addresses by itself",
        ),
        own => Finding::wrong(
            CHECK,
            format!("the tracker listens on no address by which others reach this machine, which are {}", list(own)),
            "listen on all addresses, which is the default, or on one of these with --listen",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::finding::Kind;
    use crate::cli::Cli;

    #[test]
    fn a_machine_without_an_address_for_others_is_wrong() {
        let lan = || vec!["192.168.1.5".parse().unwrap()];
        let vpn = || vec!["10.8.0.1".parse().unwrap()];
        let machine = |lan: Vec<IpAddr>, limited: Vec<IpAddr>| {
            let all = [lan.clone(), limited.clone()].concat();
            Addresses { lan, limited, all, ..Addresses::default() }
        };
        for (listen, machine, expected, words) in [
            ("0.0.0.0:6969", machine(lan(), vec![]), Kind::Good, "192.168.1.5, unless a firewall"),
            ("0.0.0.0:6969", machine(lan(), vpn()), Kind::Good, "at 192.168.1.5, unless"),
            ("0.0.0.0:6969", machine(vec![], vpn()), Kind::Warning, "its only addresses are 10.8.0.1, of a VPN"),
            ("0.0.0.0:6969", machine(vec![], vec![]), Kind::Wrong, "no address"),
            ("127.0.0.1:6969,[::1]:6969", machine(lan(), vec![]), Kind::Warning, "loopback"),
            ("127.0.0.1:6969,192.168.1.5:6969", machine(lan(), vec![]), Kind::Good, "192.168.1.5"),
            ("10.8.0.1:6969", machine(lan(), vpn()), Kind::Good, "at 10.8.0.1, unless"),
            ("127.0.0.1:6969,10.8.0.1:6969", machine(lan(), vpn()), Kind::Good, "at 10.8.0.1, unless"),
            ("[::]:6969", machine(lan(), vec![]), Kind::Wrong, "which are 192.168.1.5"),
            ("192.168.7.7:6969", machine(lan(), vec![]), Kind::Wrong, "listens on no address"),
        ] {
            let settings = Cli::parse(["tracker", "--listen", listen]).unwrap().settings().unwrap();
            let found = judge(&settings, &machine);
            assert_eq!(found.kind(), expected, "{listen}: {found:?}");
            assert!(found.text().contains(words), "{found:?}");
        }
    }
}
