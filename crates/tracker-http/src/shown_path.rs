//! Paths as they are shown to people and in the log.

use tracker_core::UserKey;

/// A path to be shown, without the keys in it: everybody may see the log.
pub(crate) fn without_keys(path: &str) -> String {
    let shown = |segment| if UserKey::parse(str::as_bytes(segment)).is_ok() { "KEY" } else { segment };
    path.split('/').map(shown).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_not_shown() {
        let key = "00112233445566778899aabbccddeeff";
        assert_eq!(without_keys(&format!("/{key}/announce/{key}x")), format!("/KEY/announce/{key}x"));
    }
}
