//! The tracker under test.

use std::fmt;
use std::net::{SocketAddr, ToSocketAddrs};

use anyhow::{Context, Result, bail};
use url::Url;

/// The address and protocol of a tracker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    pub(crate) protocol: Protocol,
    url: String,
}

/// The protocol of a tracker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// BEP 15.
    Udp,
    /// BEP 3.
    Http {
        /// The value of the Host header.
        host: String,
        /// Path and query for announces, ready for a parameter to be appended.
        announce: String,
        /// Path and query for scrapes (BEP 48), if they can be derived.
        scrape: Option<String>,
    },
}

impl Target {
    /// Reads an announce URL and looks up its host.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let url = Url::parse(text)
            .with_context(|| format!("{text} is not a URL; write http://HOST:PORT/announce or udp://HOST:PORT"))?;
        let protocol = match url.scheme() {
            "udp" => Protocol::Udp,
            "http" => http(&url)?,
            other => bail!("{other}:// is not supported; write http://HOST:PORT/announce or udp://HOST:PORT"),
        };
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        let Some(port) = url.port_or_known_default() else {
            bail!("{text} has no port; write udp://HOST:PORT");
        };
        #[expect(clippy::disallowed_methods, reason = "this program is not built statically")]
        let mut addresses = (host, port).to_socket_addrs().with_context(|| format!("cannot find the host {host}"))?;
        let address = addresses.next().with_context(|| format!("the host {host} has no address"))?;
        Ok(Self { address, protocol, url: text.to_owned() })
    }
}

fn http(url: &Url) -> Result<Protocol> {
    let ready = |path: &str| match url.query() {
        Some(query) => format!("{path}?{query}&"),
        None => format!("{path}?"),
    };
    let path = url.path();
    if path == "/" {
        bail!(
            "{url} has no path; most trackers answer under {}",
            url.join("announce").map_or_else(|_| "/announce".to_owned(), String::from)
        );
    }
    let (folder, last) = path.rsplit_once('/').unwrap_or_default();
    let scrape = last.strip_prefix("announce").map(|rest| ready(&format!("{folder}/scrape{rest}")));
    let host = match (url.host_str().unwrap_or_default(), url.port()) {
        (host, Some(port)) => format!("{host}:{port}"),
        (host, None) => host.to_owned(),
    };
    Ok(Protocol::Http { host, announce: ready(path), scrape })
}

impl fmt::Display for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_understood() {
        let http = |host: &str, announce: &str, scrape: Option<&str>| Protocol::Http {
            host: host.to_owned(),
            announce: announce.to_owned(),
            scrape: scrape.map(str::to_owned),
        };
        for (url, address, protocol) in [
            ("udp://127.0.0.1:6969", "127.0.0.1:6969", Protocol::Udp),
            ("udp://[::1]:6969/announce", "[::1]:6969", Protocol::Udp),
            (
                "http://127.0.0.1:6969/announce",
                "127.0.0.1:6969",
                http("127.0.0.1:6969", "/announce?", Some("/scrape?")),
            ),
            ("http://[::1]/a/announce.php?k=1", "[::1]:80", {
                http("[::1]", "/a/announce.php?k=1&", Some("/a/scrape.php?k=1&"))
            }),
            ("http://10.0.0.1:1/x", "10.0.0.1:1", http("10.0.0.1:1", "/x?", None)),
        ] {
            let target = Target::parse(url).unwrap();
            assert_eq!((target.address, target.protocol), (address.parse().unwrap(), protocol), "{url}");
        }
    }

    #[test]
    fn other_urls_are_refused_with_advice() {
        for (url, advice) in [
            ("127.0.0.1", "is not a URL; write http://"),
            ("https://127.0.0.1/announce", "https:// is not supported"),
            ("udp://127.0.0.1", "has no port"),
            ("http://127.0.0.1:6969", "most trackers answer under http://127.0.0.1:6969/announce"),
        ] {
            let error = format!("{:#}", Target::parse(url).unwrap_err());
            assert!(error.contains(advice), "{url}: {error}");
        }
    }
}
