//! Magnet links, read and written.

use metainfo::{InfoHashV1, InfoHashes, Magnet, Metainfo, ParseInfoHashError, ParseMagnetError};
use proptest::prelude::*;

use crate::torrents::single;

const HASH: &str = "3500292f2881c52a3c672db7c77db1f60426c65f";
const HASH_V2: &str = "a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f90";

fn hashes() -> InfoHashes {
    InfoHashes { v1: HASH.parse().ok(), v2: None }
}

#[test]
fn written_and_read() {
    let v2 = HASH_V2.parse().ok();
    let cases = [
        (format!("magnet:?xt=urn:btih:{HASH}"), Magnet { info_hashes: hashes(), ..Magnet::default() }),
        (
            format!("magnet:?xt=urn:btmh:1220{HASH_V2}"),
            Magnet { info_hashes: InfoHashes { v1: None, v2 }, ..Magnet::default() },
        ),
        (
            format!(
                "magnet:?xt=urn:btih:{HASH}&xt=urn:btmh:1220{HASH_V2}&dn=a%20%26%20b%2B%C3%A4&xl=20000\
                 &tr=http%3A%2F%2F%5Bfd00%3A%3A1%5D%3A6969%2Fannounce%3Fkey%3Da%2526b&tr=udp%3A%2F%2Ft\
                 &ws=http%3A%2F%2Fw%2F&x.pe=192.168.1.10:6881&x.pe=[fd00::10]:6881&x.pe=host:1&so=0,2,4-6"
            ),
            Magnet {
                info_hashes: InfoHashes { v2, ..hashes() },
                name: Some("a & b+ä".to_owned()),
                length: Some(20_000),
                trackers: vec!["http://[fd00::1]:6969/announce?key=a%26b".to_owned(), "udp://t".to_owned()],
                web_seeds: vec!["http://w/".to_owned()],
                peers: vec![("192.168.1.10".to_owned(), 6881), ("fd00::10".to_owned(), 6881), ("host".to_owned(), 1)],
                select_only: vec![0..=0, 2..=2, 4..=6],
            },
        ),
    ];
    for (link, magnet) in cases {
        assert_eq!(magnet.to_string(), link);
        assert_eq!(link.parse(), Ok(magnet));
    }
}

#[test]
fn links_of_other_programs_are_read() {
    let upper = HASH.to_uppercase();
    let links = [
        format!(" magnet:?xt=urn:btih:{upper}\n"),
        format!("MAGNET:?XT=URN:BTIH:{HASH}"),
        format!("magnet:///?xt=urn:btih:{HASH}"),
        format!("magnet:?xt.1=urn%3Abtih%3a{HASH}"),
        // The same twice: base32 of either case, and hexadecimal.
        "magnet:?xt=urn:btih:GUACSLZIQHCSUPDHFW34O7NR6YCCNRS7".to_owned(),
        format!("magnet:?xt=urn:btih:guacslziqhcsupdhfw34o7nr6yccnrs7&xt=urn:btih:{HASH}"),
        format!("magnet:?dn=&tr=&&&=&x&xt=urn:ed2k:31d6cfe0d16ae931b73c59d7e0c089c0&dht=h:1&xt=urn:btih:{HASH}&xt="),
    ];
    for link in links {
        assert_eq!(link.parse(), Ok(Magnet { info_hashes: hashes(), ..Magnet::default() }), "{link}");
    }

    let link = format!("magnet:?tr.2=http://a/+b%2Bc?d=%25&dN=a+b%2bc&xt=urn:btih:{HASH}&tr.1=http%3A%2f%2Fb");
    let magnet: Magnet = link.parse().expect("valid");
    assert_eq!(magnet.trackers, ["http://a/+b+c?d=%", "http://b"]);
    assert_eq!(magnet.name.as_deref(), Some("a b+c"));
}

#[test]
fn refused() {
    let wrong_length =
        |expected, found| ParseMagnetError::InvalidInfoHash(ParseInfoHashError::WrongLength { expected, found });
    let cases = [
        ("".to_owned(), ParseMagnetError::NotAMagnet),
        ("magnet:".to_owned(), ParseMagnetError::NotAMagnet),
        (format!("http:?xt=urn:btih:{HASH}"), ParseMagnetError::NotAMagnet),
        (format!("magnet:xt=urn:btih:{HASH}"), ParseMagnetError::NotAMagnet),
        ("magnet:?".to_owned(), ParseMagnetError::MissingTopic),
        ("magnet:?dn=a&xt=".to_owned(), ParseMagnetError::MissingTopic),
        ("magnet:?xt=urn:sha1:GUACSLZIQHCSUPDHFW34O7NR6YCCNRS7".to_owned(), ParseMagnetError::OtherTopic),
        (format!("magnet:?xt={HASH}"), ParseMagnetError::OtherTopic),
        ("magnet:?xt=urn:btih:".to_owned(), wrong_length(40, 0)),
        (format!("magnet:?xt=urn:btih:{}", &HASH[1..]), wrong_length(40, 39)),
        (format!("magnet:?xt=urn:btih:{HASH}0"), wrong_length(40, 41)),
        (
            "magnet:?xt=urn:btih:GUACSLZIQHCSUPDHFW34O7NR6YCCNRS1".to_owned(),
            ParseMagnetError::InvalidInfoHash(ParseInfoHashError::NotHex { position: 0 }),
        ),
        (format!("magnet:?xt=urn:btmh:1114{HASH}"), ParseMagnetError::OtherMultihash),
        (format!("magnet:?xt=urn:btmh:1220{HASH}"), wrong_length(64, 40)),
        (format!("magnet:?xt=urn:btih:{HASH}&xt=urn:btih:0{}", &HASH[1..]), ParseMagnetError::TwoTorrents),
        ("magnet:?xt=%zz".to_owned(), ParseMagnetError::BadEscape { parameter: "xt" }),
        // The first reason.
        (format!("magnet:?xt=urn:btih:{}&xt=urn:btmh:1114{HASH}", &HASH[1..]), wrong_length(40, 39)),
    ];
    for (link, expected) in cases {
        assert_eq!(link.parse::<Magnet>(), Err(expected), "{link}");
    }

    let long = format!("magnet:?xt=urn:btih:{HASH}&dn={}", "a".repeat(Magnet::MAX_LEN));
    let (len, limit) = (long.len(), Magnet::MAX_LEN);
    assert_eq!(long.parse::<Magnet>(), Err(ParseMagnetError::TooLong { len, limit }));
}

/// What a link says beside its info-hash may be garbled: it is left out and listed.
#[test]
fn only_the_info_hash_is_vital() {
    let peer = |found: &str| ParseMagnetError::InvalidPeer { found: found.to_owned() };
    let selection = |found: &str| ParseMagnetError::InvalidSelection { found: found.to_owned() };
    let mut cases = vec![
        ("dn=%".to_owned(), ParseMagnetError::BadEscape { parameter: "dn" }),
        ("dn=100%+sure".to_owned(), ParseMagnetError::BadEscape { parameter: "dn" }),
        ("dn=%ff".to_owned(), ParseMagnetError::NotUtf8 { parameter: "dn" }),
        ("tr=a%2".to_owned(), ParseMagnetError::BadEscape { parameter: "tr" }),
        ("TR.1=%zz%20".to_owned(), ParseMagnetError::BadEscape { parameter: "tr" }),
        ("ws=%é".to_owned(), ParseMagnetError::BadEscape { parameter: "ws" }),
        ("xl=-1".to_owned(), ParseMagnetError::InvalidLength { found: "-1".to_owned() }),
        (
            "xl=18446744073709551616".to_owned(),
            ParseMagnetError::InvalidLength { found: "18446744073709551616".to_owned() },
        ),
        (format!("xt=urn:btmh:1114{HASH}"), ParseMagnetError::OtherMultihash),
    ];
    for text in ["a", "a:", ":1", "a:0", "a:65536", "a:+1", "::1:1", "[::1]", "[::1]1", "[a]:1", "[]:1", "[::1:1"] {
        cases.push((format!("x.pe={text}"), peer(text)));
    }
    for (text, part) in [("a", "a"), ("1,", ""), ("1,3-2", "3-2"), ("-1", "-1"), ("1-2-3", "1-2-3"), ("+1", "+1")] {
        cases.push((format!("so={text}"), selection(part)));
    }
    let whole = Magnet {
        info_hashes: hashes(),
        name: Some("kept".to_owned()),
        trackers: vec!["http://a".to_owned()],
        ..Magnet::default()
    };
    for (bad, error) in cases {
        let (key, value) = bad.split_once('=').expect("a parameter");
        for link in [
            format!("magnet:?{bad}&xt=urn:btih:{HASH}&tr=http://a&dn=kept"),
            format!("magnet:?xt=urn:btih:{HASH}&tr=http://a&dn=kept&{bad}"),
        ] {
            let (magnet, dropped) = Magnet::parse_reporting(&link).expect(&link);
            assert_eq!(magnet, whole, "{link}");
            let [dropped] = &*dropped else { panic!("{link}: {dropped:?}") };
            assert_eq!((&*dropped.key, &*dropped.value, &dropped.error), (key, value, &error));
            assert_eq!(link.parse(), Ok(magnet));
        }
    }
    let (_, dropped) = Magnet::parse_reporting(&format!("magnet:?xt=urn:btih:{HASH}&unknown=%zz")).expect("valid");
    assert!(dropped.is_empty(), "what is unknown is ignored: {dropped:?}");

    // A hybrid's v2 half that was cut off.
    let link = format!("magnet:?xt=urn:btih:{HASH}&xt=urn:btmh:1220{}", &HASH_V2[..60]);
    let (magnet, dropped) = Magnet::parse_reporting(&link).expect("v1");
    assert_eq!((magnet.info_hashes, dropped.len()), (hashes(), 1));
}

#[test]
fn of_a_torrent() {
    let metainfo = Metainfo::parse(&single(&[])).expect("valid");
    let tiers = [vec!["http://a/announce".to_owned(), "http://b/announce".to_owned()], vec!["udp://c".to_owned()]];
    let metainfo = metainfo.edit().trackers(&tiers).web_seeds(&["http://w/".to_owned()]).finish();
    let metainfo = Metainfo::parse(&metainfo).expect("valid");
    let hash = metainfo.info_hashes().v1.expect("a v1 torrent");
    assert_eq!(
        Magnet::from(&metainfo).to_string(),
        format!(
            "magnet:?xt=urn:btih:{hash}&dn=notes.txt&xl=20000&tr=http%3A%2F%2Fa%2Fannounce\
             &tr=http%3A%2F%2Fb%2Fannounce&tr=udp%3A%2F%2Fc&ws=http%3A%2F%2Fw%2F"
        )
    );
}

proptest! {
    #[test]
    fn written_links_are_read_back(
        v1 in any::<[u8; 20]>(),
        v2 in prop::option::of(any::<[u8; 32]>()),
        name in prop::option::of(".{1,20}"),
        length in any::<Option<u64>>(),
        trackers in prop::collection::vec(".{1,20}", 0..4),
        web_seeds in prop::collection::vec(".{1,20}", 0..4),
        peers in prop::collection::vec(("[a-z.]{1,8}|[0-9a-f]{1,4}:[0-9a-f:%]{0,8}", 1..=u16::MAX), 0..4),
        select_only in prop::collection::vec((any::<u16>(), any::<u16>()), 0..4),
    ) {
        let magnet = Magnet {
            info_hashes: InfoHashes { v1: Some(InfoHashV1::from(v1)), v2: v2.map(Into::into) },
            name,
            length,
            trackers,
            web_seeds,
            peers,
            select_only: select_only
                .iter()
                .map(|&(first, count)| u32::from(first)..=u32::from(first) + u32::from(count))
                .collect(),
        };
        let link = magnet.to_string();
        prop_assert!(link.is_ascii());
        prop_assert_eq!(link.parse(), Ok(magnet));
    }

    #[test]
    fn no_text_panics(text in "(magnet:\\?)?(xt|dn|so|x\\.pe|tr|.)*[=&%:].*") {
        let _ = text.parse::<Magnet>();
    }
}
