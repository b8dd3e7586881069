//! The key of a user in the path of a tracker URL.

use tracker_core::UserKey;

/// The key of a [user](tracker_core::Users) in the path of an announce or a scrape, as in `/announce/KEY`: what stands between the first
/// slash after the name and the next one. `None` if that is no key.
pub fn user_key(path: &[u8]) -> Option<UserKey> {
    let segment = path.split(|&byte| byte == b'/').nth(2)?;
    UserKey::parse(segment).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_the_first_segment_after_the_name() {
        let key = "00112233445566778899aabbccddeeff";
        let found = |path: String| user_key(path.as_bytes()).map(|key| key.to_string());
        for path in ["/announce/KEY", "/announce/KEY/", "/scrape/KEY/more"] {
            assert_eq!(found(path.replace("KEY", key)).as_deref(), Some(key), "{path}");
        }
        for path in
            ["", "/", "/announce", "/announce/", "/announce/0", "/announce//KEY", "/announce/KEY0", "announce/KEY"]
        {
            assert_eq!(found(path.replace("KEY", key)), None, "{path}");
        }
    }
}
