//! ufw, and what its rules mean for ports of the tracker.

use std::fs::{self, File};
use std::io::Read;
use std::net::IpAddr;
use std::ops::RangeInclusive;

use ipnet::IpNet;
use tracker_host::Addresses;

/// The settings of ufw, which everybody may read.
const SETTINGS: &str = "/etc/ufw/ufw.conf";

/// Further ones: whether it filters IPv6, and what becomes of packets without a rule.
const DEFAULTS: &str = "/etc/default/ufw";

/// The rules of ufw, which root may read.
const RULES: [&str; 2] = ["/etc/ufw/user.rules", "/etc/ufw/user6.rules"];

/// The maximum length of a file that is read, in bytes.
const MAX_BYTES: u64 = 1 << 20;

/// ufw while it is on.
#[derive(Debug, Default)]
pub(super) struct Ufw {
    /// The rules about what comes in, in their order, if they can be read.
    rules: Option<Vec<Rule>>,
    /// It leaves IPv6 alone.
    is_ipv4_only: bool,
    /// It lets in what no rule is about.
    is_open: bool,
}

/// What the rules mean for a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The whole LAN reaches it.
    Open,
    /// A rule keeps the whole LAN out.
    Closed,
    /// No rule is for the whole LAN.
    Unknown,
}

/// The addresses of one family on the LAN.
#[derive(Debug)]
pub(super) struct Lan {
    is_ipv4: bool,
    /// Those of this machine.
    own: Vec<IpAddr>,
    /// The networks that this machine is in by them.
    networks: Vec<IpNet>,
}

impl Lan {
    /// Those of the families that the machine has of the ones that are listened on; or of these, if it has none now.
    pub(super) fn of_each_family(listening: &[IpAddr], machine: &Addresses) -> Vec<Self> {
        let of_family = |is_ipv4| Self {
            is_ipv4,
            own: machine.lan.iter().copied().filter(|own| own.is_ipv4() == is_ipv4).collect(),
            networks: machine.networks.iter().copied().filter(|own| own.addr().is_ipv4() == is_ipv4).collect(),
        };
        let is_listened_on = |lan: &Self| listening.iter().any(|ip| ip.is_ipv4() == lan.is_ipv4 && !ip.is_loopback());
        let mut lans: Vec<_> = [true, false].map(of_family).into_iter().filter(is_listened_on).collect();
        if lans.iter().any(|lan| !lan.own.is_empty()) {
            lans.retain(|lan| !lan.own.is_empty());
        }
        lans
    }
}

impl Ufw {
    /// Reads the files of ufw. `None` if it is off, or is not installed.
    pub(super) fn find() -> Option<Self> {
        read(SETTINGS).filter(|text| is_set(text, "enabled", "yes"))?;
        let defaults = read(DEFAULTS).unwrap_or_default();
        let rules: Option<Vec<_>> = RULES.iter().map(|path| read(path)).collect();
        Some(Self {
            rules: rules.map(|rules| parse(&rules.concat())),
            is_ipv4_only: is_set(&defaults, "ipv6", "no"),
            is_open: is_set(&defaults, "default_input_policy", "accept"),
        })
    }

    #[cfg(test)]
    pub(super) fn with_rules(text: &str) -> Self {
        Self { rules: Some(parse(text)), ..Self::default() }
    }

    /// Returns `true` if its rules could be read.
    pub(super) fn is_readable(&self) -> bool {
        self.rules.is_some()
    }

    /// What it means for this port, for the families of the LAN together.
    pub(super) fn verdict(&self, (port, transport): (u16, &str), lans: &[Lan]) -> Verdict {
        let rules = self.rules.as_deref().unwrap_or_default();
        let of_family = |lan: &Lan| {
            if self.is_ipv4_only && !lan.is_ipv4 {
                return Verdict::Open;
            }
            match rules.iter().find(|rule| rule.is_about(port, transport) && rule.is_for(lan)) {
                Some(rule) if rule.lets_in => Verdict::Open,
                Some(_) => Verdict::Closed,
                None if self.is_open => Verdict::Open,
                None => Verdict::Unknown,
            }
        };
        let verdicts: Vec<_> = lans.iter().map(of_family).collect();
        match verdicts.iter().all(|verdict| *verdict == Verdict::Open) {
            true => Verdict::Open,
            false if verdicts.contains(&Verdict::Unknown) => Verdict::Unknown,
            false => Verdict::Closed,
        }
    }
}

fn read(path: &str) -> Option<String> {
    // Nothing but a file: a pipe would not end.
    fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
    let mut text = String::new();
    File::open(path).ok()?.take(MAX_BYTES).read_to_string(&mut text).ok()?;
    Some(text)
}

/// Returns `true` if a line of these variables of a shell has this value. Case does not count, as in ufw.
fn is_set(text: &str, key: &str, value: &str) -> bool {
    text.lines().filter_map(|line| line.split_once('=')).any(|(name, found)| {
        name.trim().eq_ignore_ascii_case(key) && found.trim().trim_matches(['"', '\'']).eq_ignore_ascii_case(value)
    })
}

fn parse(text: &str) -> Vec<Rule> {
    text.lines().filter_map(Rule::parse).collect()
}

/// A rule of ufw about what comes in.
#[derive(Debug, PartialEq, Eq)]
struct Rule {
    lets_in: bool,
    /// `None` for all transports.
    transport: Option<String>,
    /// `None` for all ports.
    ports: Option<Vec<RangeInclusive<u16>>>,
    /// The addresses of this machine that it is about.
    to: IpNet,
    /// The addresses of the others.
    from: IpNet,
    /// The interface, if it is about one only.
    interface: Option<String>,
}

impl Rule {
    /// Takes a line such as `### tuple ### allow tcp 6968:6970,80 0.0.0.0/0 any 10.0.0.0/8 in_eth0`, which ufw writes before the rules
    /// that it makes of it: action, transport, ports, own addresses, ports of the others, their addresses, and direction. Before the
    /// direction there may be two words with the names of applications, and after it a comment.
    fn parse(line: &str) -> Option<Self> {
        let words: Vec<_> = line.strip_prefix("### tuple ### ")?.split_ascii_whitespace().collect();
        let words = words.split(|word| word.starts_with("comment=")).next()?;
        let ([action, transport, ports, to, their_ports, from, direction]
        | [action, transport, ports, to, their_ports, from, _, _, direction]) = words
        else {
            return None;
        };
        // Rules for the way out, or through this machine, do not count, nor those for few ports of the others.
        let (direction, interface) = direction.split_once('_').map_or((*direction, None), |(way, on)| (way, Some(on)));
        if direction != "in" || *their_ports != "any" {
            return None;
        }
        // With a log, it is `allow_log`. A limit keeps out who comes often, as clients do.
        let lets_in = match action.split('_').next()? {
            "allow" => true,
            "deny" | "reject" | "limit" => false,
            _ => return None,
        };
        let range = |text: &str| {
            let (first, last) = text.split_once(':').unwrap_or((text, text));
            Some(first.parse().ok()?..=last.parse().ok()?)
        };
        let ports = if *ports == "any" { None } else { Some(ports.split(',').map(range).collect::<Option<_>>()?) };
        Some(Self {
            lets_in,
            transport: (*transport != "any").then(|| (*transport).to_owned()),
            ports,
            to: network(to)?,
            from: network(from)?,
            interface: interface.map(ToOwned::to_owned),
        })
    }

    fn is_about(&self, port: u16, transport: &str) -> bool {
        self.transport.as_ref().is_none_or(|own| own == transport)
            && self.ports.as_ref().is_none_or(|ports| ports.iter().any(|range| range.contains(&port)))
    }

    /// Returns `true` if it is for everybody, or for a network that has the whole LAN in it.
    fn is_for(&self, lan: &Lan) -> bool {
        let is_any = |network: &IpNet| network.prefix_len() == 0;
        let to_own = is_any(&self.to) || (!lan.own.is_empty() && lan.own.iter().all(|own| self.to.contains(own)));
        let from_lan = is_any(&self.from)
            || (!lan.networks.is_empty() && lan.networks.iter().all(|network| self.from.contains(network)));
        // Which network an interface is in is not looked up: only addresses tell that it is the LAN.
        let on_lan = self.interface.is_none() || !is_any(&self.from) || !is_any(&self.to);
        self.from.addr().is_ipv4() == lan.is_ipv4 && to_own && from_lan && on_lan
    }
}

fn network(text: &str) -> Option<IpNet> {
    text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lans() -> Vec<Lan> {
        let machine = Addresses {
            lan: ["192.168.1.5", "fd77::5"].map(|own| own.parse().unwrap()).into(),
            networks: ["192.168.1.0/24", "fd77::/64"].map(|own| own.parse().unwrap()).into(),
            ..Addresses::default()
        };
        Lan::of_each_family(&["0.0.0.0", "::"].map(|ip| ip.parse().unwrap()), &machine)
    }

    fn verdict(rules: &str) -> Verdict {
        let text: String = rules.lines().map(|line| format!("### tuple ### {line}\n\n-A ufw-user-input\n")).collect();
        Ufw::with_rules(&text).verdict((6969, "tcp"), &lans())
    }

    #[test]
    fn the_first_rule_for_the_whole_lan_decides() {
        const V6: &str = "allow tcp 6969 ::/0 any ::/0 in";
        for (rules, expected) in [
            ("allow tcp 6969 0.0.0.0/0 any 0.0.0.0/0 in", Verdict::Open),
            ("allow any 6000:7000,80 0.0.0.0/0 any 192.168.0.0/16 in", Verdict::Open),
            ("allow_log any any 0.0.0.0/0 any 192.168.1.0/24 in", Verdict::Open),
            ("allow tcp 80,6969 0.0.0.0/0 any 0.0.0.0/0 LAN%20tracker - in", Verdict::Open),
            ("allow tcp 6969 0.0.0.0/0 any 0.0.0.0/0 in comment=616c6c6f77", Verdict::Open),
            ("allow tcp 6969 192.168.1.5 any 0.0.0.0/0 in", Verdict::Open),
            ("allow tcp 6969 0.0.0.0/0 any 192.168.0.0/16 in_eth0", Verdict::Open),
            // Of part of the LAN, of another one, and of none.
            ("allow any any 0.0.0.0/0 any 10.0.0.7 in", Verdict::Unknown),
            ("allow tcp 6969 0.0.0.0/0 any 192.168.1.128/25 in", Verdict::Unknown),
            ("allow tcp 6969 192.168.7.7 any 0.0.0.0/0 in", Verdict::Unknown),
            ("allow tcp 6969 0.0.0.0/0 6881 0.0.0.0/0 in", Verdict::Unknown),
            ("allow any any 0.0.0.0/0 any 0.0.0.0/0 in_wg0", Verdict::Unknown),
            ("allow udp 6969 0.0.0.0/0 any 0.0.0.0/0 in", Verdict::Unknown),
            ("allow tcp 6970 0.0.0.0/0 any 0.0.0.0/0 in", Verdict::Unknown),
            ("allow tcp 6969 0.0.0.0/0 any 0.0.0.0/0 out", Verdict::Unknown),
            ("route:allow any any 0.0.0.0/0 any 0.0.0.0/0 in_eth0!out_eth1", Verdict::Unknown),
            ("", Verdict::Unknown),
            // The order.
            ("deny tcp 6969 0.0.0.0/0 any 0.0.0.0/0 in\nallow tcp 6969 0.0.0.0/0 any 0.0.0.0/0 in", Verdict::Closed),
            ("allow tcp 6969 0.0.0.0/0 any 0.0.0.0/0 in\ndeny tcp 6969 0.0.0.0/0 any 0.0.0.0/0 in", Verdict::Open),
            ("deny tcp 6969 0.0.0.0/0 any 10.0.0.7 in\nallow tcp 6969 0.0.0.0/0 any 0.0.0.0/0 in", Verdict::Open),
            ("limit tcp 6969 0.0.0.0/0 any 0.0.0.0/0 in", Verdict::Closed),
            ("reject_log-all any any 0.0.0.0/0 any 192.168.0.0/16 in", Verdict::Closed),
        ] {
            assert_eq!(verdict(&format!("{rules}\n{V6}")), expected, "{rules}");
        }
        assert_eq!(verdict(V6), Verdict::Unknown, "IPv4 is kept out");
        assert_eq!(verdict("allow tcp 6969 0.0.0.0/0 any 0.0.0.0/0 in"), Verdict::Unknown, "IPv6 is kept out");
    }

    #[test]
    fn families_that_ufw_or_the_tracker_leaves_alone_do_not_count() {
        let v4 = "### tuple ### allow tcp 6969 0.0.0.0/0 any 0.0.0.0/0 in";
        let ufw = Ufw { is_ipv4_only: true, ..Ufw::with_rules(v4) };
        assert_eq!(ufw.verdict((6969, "tcp"), &lans()), Verdict::Open);
        let listening = Lan::of_each_family(&["0.0.0.0".parse().unwrap()], &Addresses::default());
        assert_eq!(Ufw::with_rules(v4).verdict((6969, "tcp"), &listening), Verdict::Open);
        let ufw = Ufw { is_open: true, ..Ufw::with_rules("") };
        assert_eq!(ufw.verdict((6969, "tcp"), &lans()), Verdict::Open);
    }

    #[test]
    fn it_is_on_if_its_file_says_so() {
        for (text, expected) in [
            ("# x\nENABLED=yes\nLOGLEVEL=low\n", true),
            ("ENABLED=\"yes\"\n", true),
            ("ENABLED=no\n", false),
            ("#ENABLED=yes", false),
        ] {
            assert_eq!(is_set(text, "enabled", "yes"), expected, "{text}");
        }
    }

    #[test]
    fn lines_that_are_no_rule_of_ufw_are_left_out() {
        for line in [
            "",
            "### tuple ###",
            "### tuple ### allow tcp x 0.0.0.0/0 any 0.0.0.0/0 in",
            "### tuple ### allow tcp 1 x any 0.0.0.0/0 in",
            "### tuple ### allow tcp 1",
        ] {
            assert_eq!(Rule::parse(line), None, "{line}");
        }
    }
}
