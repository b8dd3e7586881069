//! The names of the machine.

/// The names by which machines on the same LAN may know this one, as far as it knows itself: `lab-pc`, say, with and without
/// the domain that it may have, `lab-pc.local` ([RFC 6762](https://www.rfc-editor.org/rfc/rfc6762)), and the name in each of
/// the network's search domains, such as `lab-pc.fritz.box`.
pub fn host_names() -> Vec<String> {
    system_name().map_or_else(Vec::new, |name| names(&name, &resolver_configuration()))
}

/// The names of the machine that calls itself `full`, where the resolver has this configuration.
fn names(full: &str, resolver: &str) -> Vec<String> {
    let short = full.split('.').next().unwrap_or_default();
    if short.is_empty() {
        return Vec::new();
    }
    let mut names = vec![short.to_owned()];
    let domains = search_domains(resolver).map(|domain| format!("{short}.{domain}"));
    for name in [format!("{short}.local"), full.to_owned()].into_iter().chain(domains) {
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

#[cfg(unix)]
fn resolver_configuration() -> String {
    // Where there is none, there are no search domains.
    std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default()
}

#[cfg(not(unix))]
fn resolver_configuration() -> String {
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
            assert_eq!(names(full, ""), expected, "{full}");
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
        let resolver = "search fritz.box school.example local";
        assert_eq!(
            names("lab-pc.school.example", resolver),
            ["lab-pc", "lab-pc.local", "lab-pc.school.example", "lab-pc.fritz.box"]
        );
    }

    #[test]
    fn the_system_can_be_asked() {
        assert!(host_names().iter().all(|name| !name.contains(char::is_whitespace)));
    }
}
