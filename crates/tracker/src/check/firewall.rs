//! Firewalls on this machine.

mod ufw;

use std::collections::BTreeSet;
use std::io::Read;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tracker_host::Addresses;

use self::ufw::{Lan, Ufw, Verdict};
use super::finding::Finding;
use crate::firewall::Firewall;
use crate::settings::Settings;
use crate::text::list;

/// The name of these findings.
const CHECK: &str = "firewall";

/// The time within which a program says whether firewalld runs.
const TIMEOUT: Duration = Duration::from_secs(3);

/// The pause between two looks whether it has ended.
const LOOK_INTERVAL: Duration = Duration::from_millis(10);

/// The maximum length of what it says, in bytes.
const MAX_ANSWER_BYTES: u64 = 256;

/// The firewalls that were found. Rules of nftables and iptables that something else has made are not seen: only root may read them.
#[derive(Debug, Default)]
pub(super) struct Firewalls {
    /// ufw, if it is on.
    ufw: Option<Ufw>,
    /// firewalld runs.
    firewalld: bool,
}

/// Looks for the firewalls that distributions of Linux bring.
pub(super) fn look() -> Firewalls {
    // No file says so: systemd starts firewalld without a file of its process.
    let says = |command: &[&str], words| cfg!(target_os = "linux") && says(command, words, TIMEOUT);
    let firewalld =
        says(&["systemctl", "is-active", "firewalld"], "active") || says(&["firewall-cmd", "--state"], "running");
    Firewalls { ufw: Ufw::find(), firewalld }
}

/// Returns `true` if this command line succeeds in time, and prints these words only.
fn says(command: &[&str], words: &str, within: Duration) -> bool {
    let [program, arguments @ ..] = command else { return false };
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let Ok(mut child) = command.spawn() else { return false };
    let deadline = Instant::now() + within;
    while let Ok(None) = child.try_wait() {
        if Instant::now() >= deadline {
            _ = child.kill();
            _ = child.wait();
            return false;
        }
        thread::sleep(LOOK_INTERVAL);
    }
    let mut said = String::new();
    let read = child.stdout.is_some_and(|out| out.take(MAX_ANSWER_BYTES).read_to_string(&mut said).is_ok());
    read && said.trim() == words
}

/// Says whether they let others reach the ports. Nothing if there is no port that others could reach.
pub(super) fn judge(firewalls: &Firewalls, settings: &Settings, machine: &Addresses) -> Option<Finding> {
    let firewall = Firewall::new(settings, machine);
    let ports: BTreeSet<_> = firewall.ports().into_iter().collect();
    if ports.is_empty() {
        return None;
    }
    let all = Firewall::command(settings);
    let name = match firewalls {
        Firewalls { ufw: Some(ufw), .. } if ufw.is_readable() => {
            let listening: Vec<_> = settings.listen.iter().map(|listen| listen.0.ip()).collect();
            return Some(judge_ufw(ufw, &ports, &Lan::of_each_family(&listening, machine)));
        }
        Firewalls { ufw: Some(_), .. } => "ufw",
        Firewalls { firewalld: true, .. } => "firewalld",
        Firewalls { .. } if cfg!(target_os = "linux") => {
            let text = "neither ufw nor firewalld is on; rules of another firewall are not seen";
            return Some(Finding::good(CHECK, text).with_advice(format!("`{all}` prints how to open the ports")));
        }
        Firewalls { .. } => {
            let text = "the firewall of this system is not checked";
            return Some(Finding::good(CHECK, text).with_advice(format!("`{all}` prints how to open the ports")));
        }
    };
    Some(Finding::warning(
        CHECK,
        format!("a firewall is on ({name}), and may keep others out; what it lets in cannot be read"),
        format!("if other machines do not reach the tracker, open its ports: `{all}` prints how"),
    ))
}

fn judge_ufw(ufw: &Ufw, ports: &BTreeSet<(u16, &'static str)>, lans: &[Lan]) -> Finding {
    let with = |verdict| ports.iter().filter(move |port| ufw.verdict(**port, lans) == verdict);
    let closed: Vec<_> = with(Verdict::Closed).map(|(port, transport)| format!("{port}/{transport}")).collect();
    let open: Vec<_> =
        with(Verdict::Unknown).map(|(port, transport)| format!("sudo ufw allow {port}/{transport}")).collect();
    let mut advice = Vec::new();
    if !closed.is_empty() {
        advice.push(format!("remove the rules for {}, which `sudo ufw status numbered` shows", list(closed)));
    }
    if !open.is_empty() {
        advice.push(format!("open them:\n{}", open.join("\n")));
    }
    match (advice.is_empty(), open.is_empty()) {
        (true, _) => Finding::good(CHECK, "the firewall of this machine (ufw) lets others reach the ports"),
        (false, true) => {
            let text = "rules of the firewall of this machine (ufw) keep others out of some of the ports";
            Finding::warning(CHECK, text, advice.join("\n"))
        }
        (false, false) => Finding::warning(
            CHECK,
            "the firewall of this machine (ufw) has no rule that opens some of the ports to the whole LAN, and may keep others out",
            advice.join("\n"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::finding::Kind;
    use crate::cli::Cli;

    const OPEN: &str = "### tuple ### allow any 6968:6970 0.0.0.0/0 any 0.0.0.0/0 in\n\
                        ### tuple ### allow any 6968:6970 ::/0 any ::/0 in\n";
    const SOME: &str =
        "### tuple ### allow tcp 80,6969 0.0.0.0/0 any 192.168.0.0/16 in_eth0\n-A ufw-user-input -j ACCEPT\n";
    const OUT: &str = "### tuple ### allow any 6968:6970 0.0.0.0/0 any 0.0.0.0/0 out\n";
    const DENY: &str = "### tuple ### deny any 6968:6970 0.0.0.0/0 any 0.0.0.0/0 in\n";

    #[test]
    fn ports_without_a_rule_are_named() {
        let machine = Addresses {
            lan: vec!["192.168.1.5".parse().unwrap()],
            networks: vec!["192.168.1.0/24".parse().unwrap()],
            ..Addresses::default()
        };
        let rules = |text: &str| Firewalls { ufw: Some(Ufw::with_rules(text)), firewalld: false };
        for (firewalls, expected, words, missing) in [
            (rules(OPEN), Kind::Good, "lets others reach", "allow"),
            (rules(SOME), Kind::Warning, "sudo ufw allow 6969/udp\nsudo ufw allow 6970/tcp", "6969/tcp"),
            (rules(OUT), Kind::Warning, "sudo ufw allow 6969/tcp", "none"),
            (rules(DENY), Kind::Warning, "remove the rules for 6968/tcp", "sudo ufw allow"),
            (rules(&(DENY.to_owned() + OPEN)), Kind::Warning, "ufw status numbered", "sudo ufw allow"),
            (rules(""), Kind::Warning, "sudo ufw allow 6968/udp", "none"),
            (Firewalls { ufw: Some(Ufw::default()), firewalld: false }, Kind::Warning, "(ufw), and may", "sudo"),
            (Firewalls { ufw: None, firewalld: true }, Kind::Warning, "(firewalld), and may", "sudo"),
            (Firewalls::default(), Kind::Good, "tracker --firewall", "sudo"),
        ] {
            let found = judge(&firewalls, &Settings::default(), &machine).unwrap();
            let text = found.words();
            assert_eq!(found.kind(), expected, "{text}");
            assert!(text.contains(words) && !text.contains(missing), "{text}");
        }
        let flags = ["tracker", "--listen", "127.0.0.1:1", "--dashboard=false", "--peer=false"];
        let settings = Cli::parse(flags).unwrap().settings().unwrap();
        assert_eq!(judge(&rules(""), &settings, &machine), None);
    }

    #[cfg(unix)]
    #[test]
    fn a_program_that_does_not_end_is_not_waited_for() {
        for (command, expected) in [
            (&["sh", "-c", "echo active"][..], true),
            (&["sh", "-c", "echo inactive; exit 3"], false),
            (&["sh", "-c", "echo active; echo active"], false),
            (&["sh", "-c", "exec sleep 1000"], false),
            (&["/no/such/program"], false),
        ] {
            // Only the one that does not end takes as long.
            let within = if command.contains(&"exec sleep 1000") { Duration::from_millis(50) } else { 10 * TIMEOUT };
            assert_eq!(says(command, "active", within), expected, "{command:?}");
        }
    }
}
