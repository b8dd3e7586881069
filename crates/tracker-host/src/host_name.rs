//! What the machine is called.

/// The machine's own name, such as `lab-pc`, if it has one. Machines on the same LAN may know it by this name, or by it with
/// `.local` after it ([RFC 6762](https://www.rfc-editor.org/rfc/rfc6762)).
pub fn host_name() -> Option<String> {
    system_name().filter(|name| !name.is_empty())
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
    fn it_is_a_word() {
        if let Some(name) = host_name() {
            assert!(!name.is_empty() && !name.contains(char::is_whitespace), "{name:?}");
        }
    }
}
