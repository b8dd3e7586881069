//! The head of a request, as far as the server reads it by itself.
//!
//! [`Head::parse`] reads plain GETs and nothing else: other methods, bodies, headers of proxies and heads that are large or wrong
//! are [`Head::Other`], which goes to hyper and the router byte for byte.

use memchr::memchr;

use crate::browser::is_of_browser;

/// Headers of a request that is read here. BitTorrent clients send up to 8. Heads with more are hyper's, so that this is the
/// least that [`ServerConfig::max_headers`](crate::ServerConfig::max_headers) may be.
pub const LEAST_MAX_HEADERS: usize = 24;

/// The first bytes of a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Head<'a> {
    /// The whole head of a plain GET.
    Whole(RequestHead<'a>),
    /// The beginning of one, perhaps.
    Partial,
    /// Something else.
    Other,
}

/// The head of a plain GET, which has no body.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RequestHead<'a> {
    /// The path of the target, as it was sent.
    pub path: &'a [u8],
    /// The part of the target after its first `?`, as it was sent. It may hold every byte but a space, control characters and
    /// DEL.
    pub query: &'a [u8],
    /// The client's version of HTTP.
    pub version: Version,
    /// The value of `Host`, if it is there.
    pub host: Option<&'a [u8]>,
    /// `true` if a header shows that a browser sent the request.
    pub is_of_browser: bool,
    /// `true` if the client keeps the connection.
    pub(crate) keep_alive: bool,
    /// Bytes of the head.
    pub(crate) len: usize,
}

/// A version of HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0.
    Http10,
    /// HTTP/1.1.
    Http11,
}

impl<'a> Head<'a> {
    /// Reads bytes that begin with a request. Further requests may follow it.
    pub(crate) fn parse(bytes: &'a [u8]) -> Self {
        let Some(line) = RequestLine::parse(bytes) else {
            return if may_become_ours(bytes) { Self::Partial } else { Self::Other };
        };
        let mut headers = [httparse::EMPTY_HEADER; LEAST_MAX_HEADERS];
        let (headers_len, headers) = match httparse::parse_headers(&bytes[line.len..], &mut headers) {
            Ok(httparse::Status::Complete(parsed)) => parsed,
            Ok(httparse::Status::Partial) => return Self::Partial,
            Err(_) => return Self::Other,
        };
        let Some(headers) = Headers::read(line.version, headers) else { return Self::Other };
        Self::Whole(RequestHead {
            path: line.path,
            query: line.query,
            version: line.version,
            host: headers.host,
            is_of_browser: headers.is_of_browser,
            keep_alive: headers.keep_alive,
            len: line.len + headers_len,
        })
    }
}

/// Read by hand, since a query may hold bytes that httparse and hyper refuse in a target: all but a space, control
/// characters and DEL.
#[derive(Debug)]
struct RequestLine<'a> {
    path: &'a [u8],
    query: &'a [u8],
    version: Version,
    /// With its line end.
    len: usize,
}

impl<'a> RequestLine<'a> {
    /// `None` when it is incomplete as well as when it is another.
    fn parse(bytes: &'a [u8]) -> Option<Self> {
        let rest = bytes.strip_prefix(b"GET ")?;
        let (target, rest) = rest.split_at(memchr(b' ', rest)?);
        // Without an early exit, so that it is done for many bytes at once.
        if !target.starts_with(b"/") || target.iter().fold(false, |found, byte| found | byte.is_ascii_control()) {
            return None;
        }
        let (version, rest) = if let Some(rest) = rest.strip_prefix(b" HTTP/1.1\r\n") {
            (Version::Http11, rest)
        } else {
            (Version::Http10, rest.strip_prefix(b" HTTP/1.0\r\n")?)
        };
        let (path, query) = match memchr(b'?', target) {
            Some(at) => (&target[..at], &target[at + 1..]),
            None => (target, &[][..]),
        };
        Some(Self { path, query, version, len: bytes.len() - rest.len() })
    }
}

/// Returns `true` if bytes without a whole request line may yet become one that is read here.
fn may_become_ours(bytes: &[u8]) -> bool {
    const BEGIN: &[u8] = b"GET /";
    let common = BEGIN.len().min(bytes.len());
    BEGIN[..common] == bytes[..common] && memchr(b'\n', bytes).is_none()
}

/// The headers of a request that concern the server.
#[derive(Debug)]
struct Headers<'a> {
    host: Option<&'a [u8]>,
    is_of_browser: bool,
    keep_alive: bool,
}

impl<'a> Headers<'a> {
    /// `None` when they ask for more than an answer to the request line.
    fn read(version: Version, headers: &[httparse::Header<'a>]) -> Option<Self> {
        /// They announce a body or another protocol, or speak for somebody else.
        const UNUSUAL: [&str; 7] =
            ["content-length", "transfer-encoding", "expect", "upgrade", "forwarded", "x-forwarded-for", "x-real-ip"];

        let (mut host, mut of_browser) = (None, false);
        let (mut close, mut keep) = (false, version == Version::Http11);
        for header in headers {
            if header.name.eq_ignore_ascii_case("connection") {
                for option in header.value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii) {
                    close |= option.eq_ignore_ascii_case(b"close");
                    keep |= option.eq_ignore_ascii_case(b"keep-alive");
                }
            } else if header.name.eq_ignore_ascii_case("host") {
                if host.replace(header.value).is_some() {
                    return None;
                }
            } else if UNUSUAL.iter().any(|unusual| header.name.eq_ignore_ascii_case(unusual)) {
                return None;
            } else {
                of_browser |= is_of_browser(header.name, header.value);
            }
        }
        Some(Self { host, is_of_browser: of_browser, keep_alive: keep && !close })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::head_invariants::request_head;

    fn whole(bytes: &[u8]) -> RequestHead<'_> {
        match Head::parse(bytes) {
            Head::Whole(request) => request,
            other => panic!("{other:?}: {}", bytes.escape_ascii()),
        }
    }

    #[test]
    fn heads_of_clients_are_read_whole() {
        // libtorrent, aria2, WebTorrent and ctorrent.
        for (head, query, version, host, keep_alive) in [
            (
                "GET /announce?a=1&b=2 HTTP/1.1\r\nHost: 10.0.0.1:6969\r\nUser-Agent: qBittorrent/4.5.2\r\n\
                 Accept-Encoding: gzip\r\nConnection: close\r\n\r\n",
                &b"a=1&b=2"[..],
                Version::Http11,
                Some(&b"10.0.0.1:6969"[..]),
                false,
            ),
            (
                "GET /announce?a HTTP/1.1\r\nUser-Agent: aria2/1.36.0\r\nAccept: */*\r\nHost: t:6969\r\n\
                 Pragma: no-cache\r\nCache-Control: no-cache\r\nWant-Digest: SHA-512;q=1, SHA-256;q=1, SHA;q=0.1\r\n\r\n",
                b"a",
                Version::Http11,
                Some(b"t:6969"),
                true,
            ),
            (
                "GET /announce?a HTTP/1.1\r\nhost: t:6969\r\nconnection: keep-alive\r\naccept: */*\r\n\
                 accept-language: *\r\nsec-fetch-mode: cors\r\nuser-agent: node\r\naccept-encoding: gzip, deflate\r\n\r\n",
                b"a",
                Version::Http11,
                Some(b"t:6969"),
                true,
            ),
            ("GET /announce?a HTTP/1.0\r\nUser-Agent: ctorrent/dnh3.3.2\r\n\r\n", b"a", Version::Http10, None, false),
        ] {
            let len = head.len();
            let expected =
                RequestHead { path: b"/announce", query, version, host, is_of_browser: false, keep_alive, len };
            assert_eq!(whole(head.as_bytes()), expected, "{head}");
            assert_eq!(whole(format!("{head}GET /announce").as_bytes()), expected, "{head}");
            for cut in 0..len {
                assert_eq!(Head::parse(&head.as_bytes()[..cut]), Head::Partial, "{}", &head[..cut]);
            }
        }
    }

    #[test]
    fn paths_and_queries() {
        for (target, path, query) in [
            (&b"/announce"[..], &b"/announce"[..], &b""[..]),
            (b"/announce?", b"/announce", b""),
            (b"/announce/", b"/announce/", b""),
            (b"/announce/key/more?a=?b", b"/announce/key/more", b"a=?b"),
            (b"/", b"/", b""),
            (b"/announce?\"<>#`{}\xff\x80\\^|", b"/announce", b"\"<>#`{}\xff\x80\\^|"),
        ] {
            let head = [b"GET ", target, b" HTTP/1.1\r\n\r\n"].concat();
            let request = whole(&head);
            assert_eq!((request.path, request.query), (path, query), "{}", head.escape_ascii());
        }
    }

    #[test]
    fn keep_alive_follows_the_version_and_the_connection_header() {
        for (version, headers, expected) in [
            ("1.1", "", true),
            ("1.1", "Connection: close\r\n", false),
            ("1.1", "CONNECTION: x, Close \r\n", false),
            ("1.1", "connection: keep-alive, close\r\n", false),
            ("1.1", "connection: close\r\nconnection: keep-alive\r\n", false),
            ("1.1", "connection: closed\r\n", true),
            ("1.0", "", false),
            ("1.0", "Connection: Keep-Alive\r\n", true),
            ("1.0", "Connection: keep-alive, close\r\n", false),
            ("1.0", "Proxy-Connection: keep-alive\r\n", false),
        ] {
            let head = format!("GET /announce HTTP/{version}\r\n{headers}\r\n");
            assert_eq!(whole(head.as_bytes()).keep_alive, expected, "{head}");
        }
    }

    #[test]
    fn unusual_and_malformed_heads_are_left_to_hyper() {
        for head in [
            &b"HEAD /announce HTTP/1.1\r\n\r\n"[..],
            b"get /announce HTTP/1.1\r\n\r\n",
            b"\r\nGET /announce HTTP/1.1\r\n\r\n",
            b"GET  /announce HTTP/1.1\r\n\r\n",
            b"GET announce HTTP/1.1\r\n\r\n",
            b"GET http://t/announce HTTP/1.1\r\n\r\n",
            b"GET /announce\r\n\r\n",
            b"GET /announce HTTP/1.1\n\n",
            b"GET /announce HTTP/1.2\r\n\r\n",
            b"GET /announce?a b HTTP/1.1\r\n\r\n",
            b"GET /announce?a\x7f HTTP/1.1\r\n\r\n",
            b"GET /announce?a\0 HTTP/1.1\r\n\r\n",
            b"GET /announce HTTP/1.1\r\nNo colon\r\n\r\n",
            b"GET /announce HTTP/1.1\r\ncontent-length: 0\r\n\r\n",
            b"GET /announce HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"GET /announce HTTP/1.1\r\nExpect: 100-continue\r\n\r\n",
            b"GET /announce HTTP/1.1\r\nUpgrade: h2c\r\n\r\n",
            b"GET /announce HTTP/1.1\r\nForwarded: for=10.0.0.1\r\n\r\n",
            b"GET /announce HTTP/1.1\r\nX-FORWARDED-FOR: 10.0.0.1\r\n\r\n",
            b"GET /announce HTTP/1.1\r\nX-Real-IP: 10.0.0.1\r\n\r\n",
            b"GET /announce HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n",
            b"POST",
            b"\x13BitTorrent",
            b"\x16\x03\x01",
        ] {
            assert_eq!(Head::parse(head), Head::Other, "{}", head.escape_ascii());
        }
        let many = format!("GET /announce HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(LEAST_MAX_HEADERS + 1));
        assert_eq!(Head::parse(many.as_bytes()), Head::Other);
    }

    /// Each of them is enough to know a browser by.
    const BROWSER_HEADERS: [&str; 7] = [
        "Sec-Fetch-Site: cross-site",
        "sec-fetch-dest: image",
        "Origin: null",
        "Referer: http://evil.example/",
        "REFERER:",
        "Upgrade-Insecure-Requests: 1",
        "User-Agent: Mozilla/5.0 (X11; Linux x86_64)",
    ];

    #[test]
    fn browsers_are_known_by_their_headers() {
        let is_of_browser = |header: &str| {
            let head = format!("GET /announce HTTP/1.1\r\nHost: t\r\n{header}\r\nConnection: close\r\n\r\n");
            whole(head.as_bytes()).is_of_browser
        };
        for header in BROWSER_HEADERS {
            assert!(is_of_browser(header), "{header}");
        }
        for header in [
            "User-Agent: node",
            "User-Agent: Mozilla/4.0 (compatible; MSIE 6.0)",
            "User-Agent: WebTorrent/2.8.5 (like Mozilla/5.0)",
            "Sec-Fetch-Mode: cors",
            "Accept-Language: *",
            "X-Origin: a",
        ] {
            assert!(!is_of_browser(header), "{header}");
        }
    }

    /// The parts of request heads, in an order that often makes a valid one.
    const PARTS: [&[&[u8]]; 4] = [
        &[
            b"GET /announce",
            b"GET /scrape",
            b"GET /announced",
            b"GET /announce/key",
            b"GET /",
            b"HEAD /announce",
            b"POST /scrape",
        ],
        &[b"", b"?", b"?info_hash=%00a&left=0", b"?a=\"<\xff", b"?a#b", b"?a b", b"/?b"],
        &[b" HTTP/1.1\r\n", b" HTTP/1.0\r\n", b" HTTP/1.1\n", b" HTTP/2.0\r\n", b"\r\n"],
        &[
            b"\r\n",
            b"Host: tracker\r\n\r\n",
            b"Connection: close\r\n\r\n",
            b"connection: Keep-Alive\r\n\r\n",
            b"Connection: keep-alive, close\r\nConnection: keep-alive\r\n\r\n",
            b"Connection: x\tclose\r\nA: \xff\r\n\r\n",
            b"Content-Length: 2\r\n\r\n\r\n",
            b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            b"Expect: 100-continue\r\n\r\n",
            b"A: b\r\nc\r\n\r\n",
            b"A: b\n\n",
            b"Host",
        ],
    ];

    /// One request after the other, mostly right.
    fn requests() -> impl Strategy<Value = Vec<u8>> {
        let one = PARTS.map(proptest::sample::select);
        proptest::collection::vec(one, 1..5).prop_map(|requests| requests.as_flattened().concat())
    }

    proptest! {
        #[test]
        fn of_random_bytes(line in 0_usize..3, bytes: Vec<u8>) {
            let begin = [&b""[..], b"GET /announce?", b"GET /scrape HTTP/1.0\r\n"][line];
            request_head(&[begin, &bytes].concat());
        }

        #[test]
        fn of_requests(bytes in requests()) {
            request_head(&bytes);
        }

        #[test]
        fn of_damaged_requests(
            mut bytes in requests(),
            damage in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..4),
        ) {
            for (at, byte) in damage {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            request_head(&bytes);
        }
    }
}
