//! The handshake of the extension protocol.

use std::net::IpAddr;

use bencode::Dict;
use thiserror::Error;

use crate::ExtensionIds;
use crate::extension::DECODER;

/// The most characters of [`ExtendedHandshake::client`] that are kept. The longest seen has 35.
pub const MAX_CLIENT_CHARS: usize = 64;

/// The content of the first extended message of each side ([BEP 10](https://www.bittorrent.org/beps/bep_0010.html)), which may
/// send more of them later, with what has changed.
///
/// ```
/// use peer_wire::ExtendedHandshake;
///
/// let payload = b"d1:md11:ut_metadatai3e6:ut_pexi1ee4:reqqi512e1:v17:Transmission 3.00e";
/// let handshake = ExtendedHandshake::decode(payload)?;
/// assert_eq!(handshake.extensions.pex, Some(1));
/// assert_eq!(handshake.client.as_deref(), Some("Transmission 3.00"));
/// # Ok::<(), peer_wire::ExtendedHandshakeError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ExtendedHandshake {
    /// The ids by which the sender wants to get extended messages (`m`).
    pub extensions: ExtensionIds,
    /// The sender's program and version (`v`). Of what is received, only letters, digits, ASCII punctuation and spaces are kept,
    /// and at most [`MAX_CLIENT_CHARS`].
    pub client: Option<String>,
    /// The TCP port that the sender listens on (`p`), which is never 0.
    pub port: Option<u16>,
    /// The number of requests that the sender keeps in its queue (`reqq`).
    pub max_requests: Option<u32>,
    /// The receiver's address, as the sender sees it (`yourip`).
    pub your_ip: Option<IpAddr>,
    /// The size of the info dictionary that the sender has, in bytes.
    pub metadata_size: Option<u32>,
    /// `true` if the sender downloads nothing more ([BEP 21](https://www.bittorrent.org/beps/bep_0021.html)).
    pub upload_only: Option<bool>,
}

impl ExtendedHandshake {
    /// Reads the payload of an extended message with id 0. Entries that are of the wrong kind or out of range count as missing.
    ///
    /// # Errors
    ///
    /// The payload does not begin with a dict.
    pub fn decode(payload: &[u8]) -> Result<Self, ExtendedHandshakeError> {
        let document = DECODER.decode(payload).map_err(|_| ExtendedHandshakeError)?;
        let dict = document.root().as_dict().ok_or(ExtendedHandshakeError)?;
        let integer = |key: &str| dict.get(key)?.as_u64();
        let extensions = dict.get("m").and_then(|m| m.as_dict());
        Ok(Self {
            extensions: extensions.map(ids).unwrap_or_default(),
            client: dict.get("v").and_then(|v| displayable(v.as_bytes()?)),
            port: integer("p").and_then(|port| u16::try_from(port).ok()).filter(|port| *port != 0),
            max_requests: integer("reqq").and_then(|count| count.try_into().ok()),
            your_ip: dict.get("yourip").and_then(|ip| ip_address(ip.as_bytes()?)),
            metadata_size: integer("metadata_size").and_then(|size| size.try_into().ok()),
            upload_only: integer("upload_only").map(|upload_only| upload_only != 0),
        })
    }

    /// The payload of the extended message.
    pub fn encode(&self) -> Vec<u8> {
        let encoded = bencode::encode(|handshake| {
            handshake.dict(|dict| {
                dict.dict("m", |m| {
                    let ExtensionIds { pex, metadata, dont_have } = self.extensions;
                    for (name, id) in [("lt_donthave", dont_have), ("ut_metadata", metadata), ("ut_pex", pex)] {
                        if let Some(id) = id {
                            m.int(name, id);
                        }
                    }
                });
                if let Some(size) = self.metadata_size {
                    dict.int("metadata_size", size);
                }
                if let Some(port) = self.port {
                    dict.int("p", port);
                }
                if let Some(count) = self.max_requests {
                    dict.int("reqq", count);
                }
                if let Some(upload_only) = self.upload_only {
                    dict.int("upload_only", u8::from(upload_only));
                }
                if let Some(client) = &self.client {
                    dict.bytes("v", client);
                }
                match self.your_ip.map(|ip| ip.to_canonical()) {
                    Some(IpAddr::V4(ip)) => dict.bytes("yourip", ip.octets()),
                    Some(IpAddr::V6(ip)) => dict.bytes("yourip", ip.octets()),
                    None => {}
                }
            });
        });
        encoded.expect("the keys are different ones, and the numbers small")
    }
}

fn ids(m: Dict<'_, '_>) -> ExtensionIds {
    let id = |name: &str| m.get(name)?.as_u64()?.try_into().ok();
    ExtensionIds { pex: id("ut_pex"), metadata: id("ut_metadata"), dont_have: id("lt_donthave") }
}

/// The text without what could disturb a terminal, a log or a page: no control characters, nothing that changes the direction of
/// what follows. `None` if nothing is left.
fn displayable(text: &[u8]) -> Option<String> {
    let is_kept = |c: &char| c.is_alphanumeric() || c.is_ascii_graphic() || *c == ' ';
    // No character has more than four bytes, and what is dropped should not crowd out the rest.
    let text = String::from_utf8_lossy(&text[..text.len().min(8 * MAX_CLIENT_CHARS)]);
    let text: String = text.chars().filter(is_kept).skip_while(|c| *c == ' ').take(MAX_CLIENT_CHARS).collect();
    let text = text.trim_end();
    (!text.is_empty()).then(|| text.to_owned())
}

fn ip_address(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(octets) = <[u8; 4]>::try_from(bytes) {
        return Some(octets.into());
    }
    <[u8; 16]>::try_from(bytes).ok().map(|octets| IpAddr::from(octets).to_canonical())
}

/// The payload of an extended handshake is not a dict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("an extended handshake is not a dict")]
pub struct ExtendedHandshakeError;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decoded(payload: &[u8]) -> ExtendedHandshake {
        ExtendedHandshake::decode(payload).unwrap_or_else(|error| panic!("{}: {error}", payload.escape_ascii()))
    }

    fn ids(pex: Option<u8>, metadata: Option<u8>, dont_have: Option<u8>) -> ExtensionIds {
        ExtensionIds { pex, metadata, dont_have }
    }

    /// Handshakes with the entries and ids that clients send, in canonical form without those that are not read.
    #[test]
    fn handshakes_are_read_and_written() {
        let cases: [(&[u8], ExtendedHandshake); 6] = [
            (
                b"d1:md11:lt_donthavei7e11:ut_metadatai2e6:ut_pexi1ee13:metadata_sizei31235e1:pi6881e4:reqqi500e\
                  11:upload_onlyi1e1:v17:qBittorrent/4.5.26:yourip4:\x0a\x4d\x00\x01e",
                ExtendedHandshake {
                    extensions: ids(Some(1), Some(2), Some(7)),
                    client: Some("qBittorrent/4.5.2".to_owned()),
                    port: Some(6881),
                    max_requests: Some(500),
                    your_ip: Some([10, 77, 0, 1].into()),
                    metadata_size: Some(31235),
                    upload_only: Some(true),
                },
            ),
            (
                b"d1:md11:ut_metadatai3e6:ut_pexi1ee13:metadata_sizei6213e1:pi51413e4:reqqi512e11:upload_onlyi0e\
                  1:v17:Transmission 3.00e",
                ExtendedHandshake {
                    extensions: ids(Some(1), Some(3), None),
                    client: Some("Transmission 3.00".to_owned()),
                    port: Some(51413),
                    max_requests: Some(512),
                    metadata_size: Some(6213),
                    upload_only: Some(false),
                    ..Default::default()
                },
            ),
            (
                b"d1:md11:ut_metadatai9e6:ut_pexi8ee13:metadata_sizei6213e1:pi6881e1:v12:aria2/1.36.0e",
                ExtendedHandshake {
                    extensions: ids(Some(8), Some(9), None),
                    client: Some("aria2/1.36.0".to_owned()),
                    port: Some(6881),
                    metadata_size: Some(6213),
                    ..Default::default()
                },
            ),
            (
                b"d1:md11:ut_metadatai2e6:ut_pexi0ee13:metadata_sizei6213e1:pi6890e4:reqqi2048e1:v17:libTorrent 0.13.8e",
                ExtendedHandshake {
                    extensions: ids(Some(0), Some(2), None),
                    client: Some("libTorrent 0.13.8".to_owned()),
                    port: Some(6890),
                    max_requests: Some(2048),
                    metadata_size: Some(6213),
                    ..Default::default()
                },
            ),
            (
                b"d1:md11:lt_donthavei3e11:ut_metadatai1e6:ut_pexi2ee13:metadata_sizei6213ee",
                ExtendedHandshake {
                    extensions: ids(Some(2), Some(1), Some(3)),
                    metadata_size: Some(6213),
                    ..Default::default()
                },
            ),
            // A later one that switches an extension off.
            (
                b"d1:md6:ut_pexi0eee",
                ExtendedHandshake { extensions: ids(Some(0), None, None), ..Default::default() },
            ),
        ];
        for (payload, handshake) in cases {
            assert_eq!(decoded(payload), handshake);
            assert_eq!(handshake.encode().escape_ascii().to_string(), payload.escape_ascii().to_string());
        }
    }

    #[test]
    fn entries_that_are_wrong_are_missing() {
        for payload in [
            &b"de"[..],
            b"d1:mlee",
            b"d1:mi1ee",
            b"d1:md6:ut_pexi-1e11:ut_metadatai256e11:lt_donthave1:1ee",
            b"d1:pi65536e4:reqqi4294967296e6:yourip5:aaaaa1:vi7ee",
            b"d1:pi0e13:metadata_sizei-1e1:v0:11:upload_only1:1e",
            b"d13:metadata_sizei4294967296e1:v3:\x1b\r\ne",
        ] {
            assert_eq!(decoded(payload), ExtendedHandshake::default());
        }
        // Other entries, keys in no order, bytes at the end.
        let handshake = decoded(b"d1:ei1e1:v1:x1:md6:ut_pexi1e1:a1:be1:z0:eeeee");
        assert_eq!((handshake.extensions.pex, handshake.client.as_deref()), (Some(1), Some("x")));
        let handshake = decoded(b"d6:yourip16:\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\0\0\x01e");
        assert_eq!(handshake.your_ip, Some([10, 0, 0, 1].into()));
    }

    #[test]
    fn what_is_no_dict_is_an_error() {
        for payload in [&b""[..], b"d", b"le", b"i1e", b"4:spam", b"d1:m", b"GET / HTTP/1.1\r\n"] {
            assert_eq!(ExtendedHandshake::decode(payload), Err(ExtendedHandshakeError));
        }
        let deep = [b"l".repeat(11), b"e".repeat(11)].concat();
        assert_eq!(ExtendedHandshake::decode(&deep), Err(ExtendedHandshakeError));
        let many = [&b"d1:ml"[..], &b"0:".repeat(1000), b"ee"].concat();
        assert_eq!(ExtendedHandshake::decode(&many), Err(ExtendedHandshakeError));
    }

    #[test]
    fn the_client_is_safe_to_show() {
        for (received, shown) in [
            ("\u{b5}Torrent 3.5.5".as_bytes(), Some("\u{b5}Torrent 3.5.5")),
            (b" \x1b[31mred\x1b[0m\r\nx ", Some("[31mred[0mx")),
            ("a\u{202e}b\u{200b}c\u{2028}d\u{feff}".as_bytes(), Some("abcd")),
            (b"a\xff\xfeb\0c", Some("abc")),
            (b"<script>", Some("<script>")),
            (b"\0 \x01 a b \0 ", Some("a b")),
            (b"\0\x01 ", None),
            (b"", None),
        ] {
            assert_eq!(displayable(received).as_deref(), shown);
        }
        assert_eq!(displayable(&[b'x'; 1000]), Some("x".repeat(64)));
        assert_eq!(displayable("\u{1d400}".repeat(1000).as_bytes()), Some("\u{1d400}".repeat(64)));
    }

    #[test]
    fn later_handshakes_change_what_they_speak_of() {
        let mut known = ids(Some(1), None, Some(7));
        known.update(&ids(Some(0), Some(2), None));
        assert_eq!(known, ids(Some(0), Some(2), Some(7)));
        known.update(&ExtensionIds::default());
        assert_eq!(known, ids(Some(0), Some(2), Some(7)));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            (pex, metadata, dont_have) in any::<(Option<u8>, Option<u8>, Option<u8>)>(),
            client in prop::option::of("[a-z0-9/. ]{0,62}[a-z]"),
            port in prop::option::of(1..=u16::MAX),
            max_requests: Option<u32>,
            your_ip: Option<IpAddr>,
            metadata_size: Option<u32>,
            upload_only: Option<bool>,
        ) {
            let client = client.map(|client| client.trim().to_owned());
            let your_ip = your_ip.map(|ip| ip.to_canonical());
            let extensions = ids(pex, metadata, dont_have);
            let handshake =
                ExtendedHandshake { extensions, client, port, max_requests, your_ip, metadata_size, upload_only };
            prop_assert_eq!(decoded(&handshake.encode()), handshake);
        }

        #[test]
        fn no_payload_is_a_panic(payload in prop::collection::vec(any::<u8>(), 0..100)) {
            let read = ExtendedHandshake::decode(&payload);
            prop_assert!(read.is_err() || payload[0] == b'd');
        }
    }
}
