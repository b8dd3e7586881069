//! Requests that a browser sent.
//!
//! A page of any site can have its visitor's browser send a request anywhere: by a link, an image or a script that does not see
//! the answer. The request then comes from the visitor's machine and counts as that machine's, so that a server which is not for
//! browsers should refuse what they send.
//!
//! Not every sign is always there: browsers send `Sec-Fetch-Site`, `Sec-Fetch-Dest` and `Origin` to `https` and to loopback
//! only, a page can leave out `Referer`, and `Upgrade-Insecure-Requests` comes with navigations only. A page cannot change
//! the user agent of what it sends without asking the server before. `Sec-Fetch-Mode` and `Accept-Language` are no signs:
//! WebTorrent on Node.js sends both.

/// Headers that only browsers send, in lower case.
const HEADERS: [&str; 5] = ["sec-fetch-site", "sec-fetch-dest", "origin", "referer", "upgrade-insecure-requests"];

/// The beginning of the user agent of every browser.
const USER_AGENT: &[u8] = b"Mozilla/5.0";

/// Returns `true` if this header shows that a browser sent the request.
pub fn is_of_browser(name: &str, value: &[u8]) -> bool {
    if name.eq_ignore_ascii_case("user-agent") {
        value.starts_with(USER_AGENT)
    } else {
        HEADERS.iter().any(|header| name.eq_ignore_ascii_case(header))
    }
}
