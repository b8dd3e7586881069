//! What the machine is called.

/// The names by which machines on the same LAN may know this one, as far as it knows itself: `lab-pc`, say, with and without
/// the domain that it may have, and `lab-pc.local` ([RFC 6762](https://www.rfc-editor.org/rfc/rfc6762)).
pub fn host_names() -> Vec<String> {
    system_name().map_or_else(Vec::new, |name| names(&name))
}

fn names(full: &str) -> Vec<String> {
    let short = full.split('.').next().unwrap_or_default();
    if short.is_empty() {
        return Vec::new();
    }
    let mut names = vec![short.to_owned(), format!("{short}.local")];
    if !names.iter().any(|name| name == full) {
        names.push(full.to_owned());
    }
    names
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
        assert_eq!(names("lab-pc"), ["lab-pc", "lab-pc.local"]);
        assert_eq!(names("lab-pc.local"), ["lab-pc", "lab-pc.local"]);
        assert_eq!(names("lab-pc.school.example"), ["lab-pc", "lab-pc.local", "lab-pc.school.example"]);
        assert_eq!(names(""), [""; 0]);
        assert_eq!(names(".example"), [""; 0]);
    }

    #[test]
    fn the_system_can_be_asked() {
        assert!(host_names().iter().all(|name| !name.contains(char::is_whitespace)));
    }
}
