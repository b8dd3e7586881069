//! [`Magnet`]: the link to a torrent.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use thiserror::Error;

use crate::{InfoHashV2, InfoHashes, Metainfo, ParseInfoHashError};

/// The bytes to encode in a value: all but the unreserved characters of
/// [RFC 3986](https://www.rfc-editor.org/rfc/rfc3986#section-2.3).
const VALUE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The bytes to encode in an address. Clients expect the colons of an IPv6 address unencoded.
const ADDRESS: &AsciiSet = &VALUE.remove(b':');

/// Bytes before the digest in the multihash of SHA-256: its code, 0x12, and its length, 0x20.
const MULTIHASH_SHA256: &str = "1220";

/// A magnet link: a torrent's info-hash, and hints where to find the rest.
///
/// Written by [`Display`](fmt::Display), read by [`FromStr`] or [`Magnet::parse_reporting`], which accept any case and order and
/// ignore unknown parameters. Only an `xt` is vital: another parameter whose value cannot be read is left out, and
/// `parse_reporting` lists it.
///
/// See [BEP 9](https://www.bittorrent.org/beps/bep_0009.html) and [BEP 53](https://www.bittorrent.org/beps/bep_0053.html).
///
/// ```
/// use metainfo::Magnet;
///
/// let link = "magnet:?xt=urn:btih:3500292f2881c52a3c672db7c77db1f60426c65f&dn=course%20notes\
///     &tr=http%3A%2F%2F192.168.1.10%3A6969%2Fannounce";
/// let magnet: Magnet = link.parse()?;
///
/// assert_eq!(magnet.name.as_deref(), Some("course notes"));
/// assert_eq!(magnet.trackers, ["http://192.168.1.10:6969/announce"]);
/// assert_eq!(magnet.to_string(), link);
/// # Ok::<_, metainfo::ParseMagnetError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Magnet {
    /// `xt`: the name of the torrent. A link that was read has at least one of the hashes.
    pub info_hashes: InfoHashes,
    /// `dn`: the name to show until the torrent's own is known.
    pub name: Option<String>,
    /// `xl`: length of the content in bytes, padding left out.
    pub length: Option<u64>,
    /// `tr`: announce URLs.
    pub trackers: Vec<String>,
    /// `ws`: URLs of web seeds.
    pub web_seeds: Vec<String>,
    /// `x.pe`: host and port of peers. An IPv6 address stands without brackets.
    pub peers: Vec<(String, u16)>,
    /// `so`: the files to fetch, counted from 0. Empty means all.
    pub select_only: Vec<RangeInclusive<u32>>,
}

/// A parameter of a magnet link that was left out, since its value cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DroppedParameter {
    /// The key as it stands in the link, such as `tr.2`.
    pub key: String,
    /// The value as it stands in the link.
    pub value: String,
    /// The reason.
    pub error: ParseMagnetError,
}

impl Magnet {
    /// Bytes the longest link may have: 64 KiB.
    pub const MAX_LEN: usize = 64 * 1024;

    /// Reads a link, and lists what had to be left out of it.
    ///
    /// ```
    /// use metainfo::{Magnet, ParseMagnetError};
    ///
    /// let link = "magnet:?xt=urn:btih:3500292f2881c52a3c672db7c77db1f60426c65f&dn=notes&xl=big";
    /// let (magnet, dropped) = Magnet::parse_reporting(link)?;
    /// assert_eq!((magnet.name.as_deref(), magnet.length), (Some("notes"), None));
    /// assert_eq!(dropped[0].key, "xl");
    /// assert_eq!(dropped[0].error, ParseMagnetError::InvalidLength { found: "big".to_owned() });
    /// # Ok::<_, ParseMagnetError>(())
    /// ```
    ///
    /// # Errors
    /// Returns a [`ParseMagnetError`] if this is not a magnet link, is too long, or has no `xt` that names one torrent. Where
    /// no `xt` can be read, the error is that of the first. Two different info-hashes of one kind are always an error.
    pub fn parse_reporting(link: &str) -> Result<(Self, Vec<DroppedParameter>), ParseMagnetError> {
        let (len, limit) = (link.len(), Self::MAX_LEN);
        if len > limit {
            return Err(ParseMagnetError::TooLong { len, limit });
        }
        let (scheme, rest) = link.trim().split_once(':').ok_or(ParseMagnetError::NotAMagnet)?;
        if !scheme.eq_ignore_ascii_case("magnet") {
            return Err(ParseMagnetError::NotAMagnet);
        }
        // Some write the link like a URL with an empty host: magnet:///?xt=…
        let query = rest.trim_start_matches('/').strip_prefix('?').ok_or(ParseMagnetError::NotAMagnet)?;

        let (mut magnet, mut dropped) = (Self::default(), Vec::new());
        let (mut topics, mut bad_topic) = (0, None);
        for text in query.split('&') {
            let (key, value) = text.split_once('=').unwrap_or((text, ""));
            let Some(parameter) = Parameter::from_key(key).filter(|_| !value.is_empty()) else {
                continue;
            };
            topics += usize::from(parameter == Parameter::Topic);
            match parameter.decode(value).and_then(|value| magnet.take(parameter, value)) {
                Ok(()) => {}
                Err(ParseMagnetError::TwoTorrents) => return Err(ParseMagnetError::TwoTorrents),
                Err(error) => {
                    if parameter == Parameter::Topic {
                        bad_topic.get_or_insert_with(|| error.clone());
                    }
                    dropped.push(DroppedParameter { key: key.to_owned(), value: value.to_owned(), error });
                }
            }
        }
        match (magnet.info_hashes, bad_topic) {
            (InfoHashes { v1: None, v2: None }, Some(error)) => Err(error),
            (InfoHashes { v1: None, v2: None }, None) if topics == 0 => Err(ParseMagnetError::MissingTopic),
            (InfoHashes { v1: None, v2: None }, None) => Err(ParseMagnetError::OtherTopic),
            _ => Ok((magnet, dropped)),
        }
    }
}

impl From<&Metainfo> for Magnet {
    fn from(metainfo: &Metainfo) -> Self {
        let info = metainfo.info();
        Self {
            info_hashes: metainfo.info_hashes(),
            name: Some(info.name().into_owned()).filter(|name| !name.is_empty()),
            length: Some(info.content_length()),
            trackers: metainfo.trackers().concat(),
            web_seeds: metainfo.web_seeds().to_vec(),
            peers: Vec::new(),
            select_only: Vec::new(),
        }
    }
}

impl FromStr for Magnet {
    type Err = ParseMagnetError;

    fn from_str(link: &str) -> Result<Self, Self::Err> {
        Self::parse_reporting(link).map(|(magnet, _)| magnet)
    }
}

impl Magnet {
    fn take(&mut self, parameter: Parameter, value: String) -> Result<(), ParseMagnetError> {
        match parameter {
            Parameter::Topic => self.take_topic(&value)?,
            Parameter::Name => self.name = Some(value),
            Parameter::Length => {
                self.length = Some(number(&value).ok_or(ParseMagnetError::InvalidLength { found: value })?);
            }
            Parameter::Tracker => self.trackers.push(value),
            Parameter::WebSeed => self.web_seeds.push(value),
            Parameter::Peer => {
                self.peers.push(peer(&value).ok_or(ParseMagnetError::InvalidPeer { found: value })?);
            }
            Parameter::SelectOnly => {
                let ranges = value.split(',').map(|range| {
                    file_range(range).ok_or_else(|| ParseMagnetError::InvalidSelection { found: range.to_owned() })
                });
                // A part of a selection would be another selection.
                self.select_only.extend(ranges.collect::<Result<Vec<_>, _>>()?);
            }
        }
        Ok(())
    }

    fn take_topic(&mut self, topic: &str) -> Result<(), ParseMagnetError> {
        let InfoHashes { v1, v2 } = &mut self.info_hashes;
        if let Some(digits) = strip_prefix_ignoring_case(topic, "urn:btih:") {
            let hash = match decode_base32(digits) {
                Some(bytes) => bytes.into(),
                None => digits.parse().map_err(ParseMagnetError::InvalidInfoHash)?,
            };
            take_hash(v1, hash)
        } else if let Some(multihash) = strip_prefix_ignoring_case(topic, "urn:btmh:") {
            let digits = multihash.strip_prefix(MULTIHASH_SHA256).ok_or(ParseMagnetError::OtherMultihash)?;
            take_hash(v2, digits.parse::<InfoHashV2>().map_err(ParseMagnetError::InvalidInfoHash)?)
        } else {
            // A link may name the same content for other networks too.
            Ok(())
        }
    }
}

impl fmt::Display for Magnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let InfoHashes { v1, v2 } = self.info_hashes;
        let v1 = v1.map(|hash| format!("xt=urn:btih:{hash}"));
        let v2 = v2.map(|hash| format!("xt=urn:btmh:{MULTIHASH_SHA256}{hash}"));
        let name = self.name.as_deref().filter(|name| !name.is_empty());
        let files: Vec<_> = self.select_only.iter().map(range_text).collect();

        let mut parameters: Vec<String> = v1.into_iter().chain(v2).collect();
        parameters.extend(name.map(|name| format!("dn={}", encode(name))));
        parameters.extend(self.length.map(|length| format!("xl={length}")));
        parameters.extend(self.trackers.iter().map(|url| format!("tr={}", encode(url))));
        parameters.extend(self.web_seeds.iter().map(|url| format!("ws={}", encode(url))));
        parameters.extend(self.peers.iter().map(peer_text));
        if !files.is_empty() {
            parameters.push(format!("so={}", files.join(",")));
        }
        write!(f, "magnet:?{}", parameters.join("&"))
    }
}

/// The reason why a text is not a usable magnet link, or why a [parameter](DroppedParameter) of one is left out.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ParseMagnetError {
    /// The text is longer than [`Magnet::MAX_LEN`].
    #[error("the link has {len} bytes, more than the {limit} a magnet link may have")]
    TooLong {
        /// Bytes in the text.
        len: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// The text does not begin with `magnet:?`.
    #[error("this is not a magnet link: it does not begin with \"magnet:?\"")]
    NotAMagnet,
    /// A `%` is not followed by two hexadecimal digits.
    #[error("a % in `{parameter}` is not followed by two hexadecimal digits; write %25 for the sign itself")]
    BadEscape {
        /// The parameter.
        parameter: &'static str,
    },
    /// A value is not UTF-8 once its escapes are decoded.
    #[error("the value of `{parameter}` is not UTF-8 text")]
    NotUtf8 {
        /// The parameter.
        parameter: &'static str,
    },
    /// There is no `xt`.
    #[error("the link has no `xt`, so it names no torrent: part of it may be missing")]
    MissingTopic,
    /// No `xt` names a torrent.
    #[error("the link is not for BitTorrent: no `xt` of it begins with \"urn:btih:\" or \"urn:btmh:\"")]
    OtherTopic,
    /// The hash is neither hexadecimal nor base32.
    #[error("the info-hash in `xt` cannot be read, part of it may be missing: {0}")]
    InvalidInfoHash(ParseInfoHashError),
    /// The hash of `urn:btmh:` is not SHA-256.
    #[error("the `xt` of a v2 torrent must begin with \"urn:btmh:{MULTIHASH_SHA256}\": no other kind of hash is known")]
    OtherMultihash,
    /// There are two different hashes of the same kind.
    #[error("the link names two different torrents")]
    TwoTorrents,
    /// `xl` is not a number.
    #[error("`xl` must be a length in bytes, but is {found:?}")]
    InvalidLength {
        /// The value.
        found: String,
    },
    /// `x.pe` is not a host and a port.
    #[error("`x.pe` must be a host and a port, as in 192.168.1.10:6881 or [fd00::10]:6881, but is {found:?}")]
    InvalidPeer {
        /// The value.
        found: String,
    },
    /// `so` is not a list of numbers and ranges.
    #[error("`so` must be numbers of files and ranges, as in 0,2,4-6, but has {found:?}")]
    InvalidSelection {
        /// The part that is neither.
        found: String,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Parameter {
    Topic,
    Name,
    Length,
    Tracker,
    WebSeed,
    Peer,
    SelectOnly,
}

impl Parameter {
    const ALL: [Self; 7] =
        [Self::Topic, Self::Name, Self::Length, Self::Tracker, Self::WebSeed, Self::Peer, Self::SelectOnly];

    const fn key(self) -> &'static str {
        match self {
            Self::Topic => "xt",
            Self::Name => "dn",
            Self::Length => "xl",
            Self::Tracker => "tr",
            Self::WebSeed => "ws",
            Self::Peer => "x.pe",
            Self::SelectOnly => "so",
        }
    }

    fn from_key(key: &str) -> Option<Self> {
        // Some programs number parameters that occur more than once: tr.1, tr.2.
        let key = match key.rsplit_once('.') {
            Some((name, number)) if number.bytes().all(|byte| byte.is_ascii_digit()) => name,
            _ => key,
        };
        Self::ALL.into_iter().find(|parameter| parameter.key().eq_ignore_ascii_case(key))
    }

    fn decode(self, value: &str) -> Result<String, ParseMagnetError> {
        let parameter = self.key();
        let mut escapes = value.split('%').skip(1);
        if !escapes.all(|escape| escape.len() >= 2 && escape.bytes().take(2).all(|byte| byte.is_ascii_hexdigit())) {
            return Err(ParseMagnetError::BadEscape { parameter });
        }
        // Web forms write a space as a plus, which happens in names. In a URL a plus is a plus.
        let spaced;
        let value = match self {
            Self::Name => {
                spaced = value.replace('+', " ");
                &spaced
            }
            _ => value,
        };
        let decoded = percent_decode_str(value).decode_utf8();
        decoded.map(|text| text.into_owned()).map_err(|_| ParseMagnetError::NotUtf8 { parameter })
    }
}

/// Sets a hash, which may be given twice if both are equal, for example in hexadecimal and in base32.
fn take_hash<H: PartialEq>(place: &mut Option<H>, hash: H) -> Result<(), ParseMagnetError> {
    match place {
        Some(other) if *other != hash => Err(ParseMagnetError::TwoTorrents),
        _ => {
            *place = Some(hash);
            Ok(())
        }
    }
}

fn strip_prefix_ignoring_case<'t>(text: &'t str, prefix: &str) -> Option<&'t str> {
    let (head, rest) = text.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then_some(rest)
}

/// Decodes 32 characters of [RFC 4648](https://www.rfc-editor.org/rfc/rfc4648#section-6), either case.
fn decode_base32(text: &str) -> Option<[u8; 20]> {
    let digits: [u8; 32] = text.as_bytes().try_into().ok()?;
    let mut bytes = [0; 20];
    for (digits, bytes) in digits.chunks_exact(8).zip(bytes.chunks_exact_mut(5)) {
        let mut bits = 0_u64;
        for digit in digits {
            let value = match digit.to_ascii_uppercase() {
                letter @ b'A'..=b'Z' => letter - b'A',
                digit @ b'2'..=b'7' => digit - b'2' + 26,
                _ => return None,
            };
            bits = bits << 5 | u64::from(value);
        }
        bytes.copy_from_slice(&bits.to_be_bytes()[3..]);
    }
    Some(bytes)
}

fn peer(text: &str) -> Option<(String, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let host = match host.strip_prefix('[') {
        Some(bracketed) => bracketed.strip_suffix(']').filter(|address| address.contains(':'))?,
        None => Some(host).filter(|host| !host.contains([':', ']']))?,
    };
    let port = number(port).filter(|&port| port > 0)?;
    (!host.is_empty()).then(|| (host.to_owned(), port))
}

fn peer_text((host, port): &(String, u16)) -> String {
    match host.contains(':') {
        true => format!("x.pe=[{}]:{port}", utf8_percent_encode(host, ADDRESS)),
        false => format!("x.pe={}:{port}", encode(host)),
    }
}

fn file_range(text: &str) -> Option<RangeInclusive<u32>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (number(first)?, number(last)?);
    (first <= last).then_some(first..=last)
}

fn range_text(range: &RangeInclusive<u32>) -> String {
    match (range.start(), range.end()) {
        (first, last) if first == last => first.to_string(),
        (first, last) => format!("{first}-{last}"),
    }
}

/// Parses digits only; the standard library also accepts a plus sign.
fn number<N: FromStr>(text: &str) -> Option<N> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

fn encode(value: &str) -> impl fmt::Display + '_ {
    utf8_percent_encode(value, VALUE)
}
