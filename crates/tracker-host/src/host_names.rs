//! The names of the machine.

/// The names by which machines on the same LAN may know this one, as far as it knows itself: `lab-pc`, say, with and without
/// the domain that it may have, `lab-pc.local` ([RFC 6762](https://www.rfc-editor.org/rfc/rfc6762)), and the name in each of
/// the network's search domains, such as `lab-pc.fritz.box`, in the machine's NIS domain, and as `/etc/hosts` has it.
///
/// They may change with the network.
pub fn host_names() -> Vec<String> {
    let configuration = Configuration::of_system();
    system_name().map_or_else(Vec::new, |name| names(&name, &configuration))
}

/// The texts of the system that have domains of the machine. Where there is none, it is empty.
#[derive(Debug, Default)]
struct Configuration {
    /// Of /etc/resolv.conf.
    resolver: String,
    /// Of /etc/hosts.
    hosts: String,
    /// The name of the NIS domain, or `(none)`.
    domain: String,
}

/// The names of the machine that calls itself `full`.
fn names(full: &str, configuration: &Configuration) -> Vec<String> {
    let short = full.split('.').next().unwrap_or_default();
    if short.is_empty() {
        return Vec::new();
    }
    let mut names = vec![short.to_owned()];
    let domain = Some(configuration.domain.as_str()).filter(|domain| !domain.is_empty() && *domain != "(none)");
    let domains = search_domains(&configuration.resolver).chain(domain).map(|domain| format!("{short}.{domain}"));
    let names_in_hosts = names_in_hosts(&configuration.hosts, short).map(ToOwned::to_owned);
    for name in [format!("{short}.local"), full.to_owned()].into_iter().chain(domains).chain(names_in_hosts) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// The domains that the system tries for a name without one, as `resolv.conf` lists them.
fn search_domains(resolver: &str) -> impl Iterator<Item = &str> {
    resolver
        .lines()
        .filter_map(|line| line.trim_start().split_once(char::is_whitespace))
        .filter(|(keyword, _)| matches!(*keyword, "search" | "domain"))
        .flat_map(|(_, domains)| domains.split_whitespace())
        .map(|domain| domain.trim_end_matches('.'))
        .filter(|domain| !domain.is_empty())
}

/// The names with a domain that `/etc/hosts` gives to the machine which is called `short`, such as `127.0.1.1 lab-pc.example
/// lab-pc`.
fn names_in_hosts<'t>(hosts: &'t str, short: &str) -> impl Iterator<Item = &'t str> {
    let names = hosts.lines().flat_map(|line| line.split('#').next().unwrap_or_default().split_whitespace().skip(1));
    names.filter(move |name| name.split_once('.').is_some_and(|(first, _)| first.eq_ignore_ascii_case(short)))
}

#[cfg(unix)]
impl Configuration {
    fn of_system() -> Self {
        let read = |path| std::fs::read_to_string(path).unwrap_or_default();
        Self { resolver: read("/etc/resolv.conf"), hosts: read("/etc/hosts"), domain: nis_domain() }
    }
}

#[cfg(not(unix))]
impl Configuration {
    fn of_system() -> Self {
        Self::default()
    }
}

#[cfg(target_os = "linux")]
fn nis_domain() -> String {
    rustix::system::uname().domainname().to_string_lossy().into_owned()
}

#[cfg(all(unix, not(target_os = "linux")))]
fn nis_domain() -> String {
    String::new()
}

#[cfg(unix)]
fn system_name() -> Option<String> {
    rustix::system::uname().nodename().to_str().ok().map(ToOwned::to_owned)
}

#[cfg(not(unix))]
fn system_name() -> Option<String> {
    std::env::var("COMPUTERNAME").ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_known_with_and_without_its_domain() {
        for (full, expected) in [
            ("lab-pc", &["lab-pc", "lab-pc.local"][..]),
            ("lab-pc.local", &["lab-pc", "lab-pc.local"]),
            ("lab-pc.school.example", &["lab-pc", "lab-pc.local", "lab-pc.school.example"]),
            ("", &[]),
            (".example", &[]),
        ] {
            assert_eq!(names(full, &Configuration::default()), expected, "{full}");
        }
    }

    #[test]
    fn a_name_is_known_in_the_search_domains_of_the_network() {
        for (resolver, expected) in [
            ("nameserver 192.168.178.1\nsearch fritz.box\n", &["fritz.box"][..]),
            (
                "# search not.this\n search\ta.example  b.example. .\ndomain c.example",
                &["a.example", "b.example", "c.example"],
            ),
            ("search\nsearching a.example\noptions edns0", &[]),
        ] {
            assert_eq!(search_domains(resolver).collect::<Vec<_>>(), expected, "{resolver}");
        }
        let configuration = Configuration {
            resolver: "search fritz.box school.example local".to_owned(),
            hosts: "127.0.0.1 localhost\n127.0.1.1\tLab-PC.lan lab-pc # lab-pc.not\n10.0.0.9 other.lan lab-pc2.lan\n"
                .to_owned(),
            domain: "(none)".to_owned(),
        };
        assert_eq!(
            names("lab-pc.school.example", &configuration),
            ["lab-pc", "lab-pc.local", "lab-pc.school.example", "lab-pc.fritz.box", "Lab-PC.lan"]
        );
        let nis = Configuration { domain: "nis.example".to_owned(), ..Configuration::default() };
        assert_eq!(names("lab-pc", &nis), ["lab-pc", "lab-pc.local", "lab-pc.nis.example"]);
    }

    #[test]
    fn the_system_can_be_asked() {
        assert!(host_names().iter().all(|name| !name.contains(char::is_whitespace)));
    }
}
