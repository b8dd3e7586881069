//! Bencode, the notation of BitTorrent ([BEP 3](https://www.bittorrent.org/beps/bep_0003.html)): `.torrent` files, the
//! answers of trackers and the messages of peers are made of it.
//!
//! There are four kinds of value: integers `i42e`, byte strings `5:hello`, lists `l…e`, and dicts `d…e`, whose keys are
//! strings. In its canonical form each value has exactly one spelling, which is why a hash over the bytes can name a torrent.
//!
//! # Reading
//!
//! A [`Decoder`] turns bytes into a [`Document`]. It copies nothing: strings are slices of the input, and every [`Value`]
//! knows the [`span`](Value::span) of the input that it came from. The name of a torrent, its info-hash, is a digest of such a
//! span, taken as it stood in the file and never of a new encoding, which could differ:
//!
//! ```
//! use bencode::Decoder;
//!
//! let file = b"d8:announce32:http://192.168.1.2:6969/announce\
//!     4:infod6:lengthi5e4:name5:hello12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaaee\n";
//!
//! let document = Decoder::lenient().decode(file)?;
//! let metainfo = document.root().as_dict().expect("a dict");
//!
//! let announce = metainfo.get("announce").and_then(|url| url.as_str());
//! assert_eq!(announce, Some("http://192.168.1.2:6969/announce"));
//!
//! let info = metainfo.get("info").expect("an info dict");
//! let hashed = info.raw(); // SHA-1 over these bytes is the info-hash
//! assert_eq!(hashed, &file[info.span()]);
//! assert!(hashed.starts_with(b"d6:length") && hashed.ends_with(b"aaae"));
//!
//! // An editor has added a newline at the end. The lenient decoder accepts and reports it.
//! assert_eq!(document.trailing(), b"\n");
//! assert_eq!(document.deviations()[0].to_string(), "bytes after the value at byte 132");
//! # Ok::<(), bencode::DecodeError>(())
//! ```
//!
//! # Strict or lenient
//!
//! Real files are not always canonical. The [strict](Decoder::strict) decoder accepts canonical bencode only. The
//! [lenient](Decoder::lenient) one accepts five deviations as well, and flags each: leading zeros (`i03e`, `03:abc`), the
//! negative zero `i-0e`, unsorted keys, duplicate keys, and bytes after the value. [`DeviationKind`]
//! defines them exactly; everything else is an error for both, with a position and a reason ([`DecodeError`]).
//!
//! Of a duplicate key, [`Dict::get`] sees the first occurrence. Other implementations take the last, so that a file with
//! duplicates may be two torrents in one; use [`Dict::duplicate_key`] to refuse such a file.
//!
//! # Hostile input
//!
//! No input makes the decoder panic, overflow the stack, or take memory out of proportion. Decoding, walking, skipping and
//! dropping are loops over one flat table, so depth costs nothing but what [`Limits::depth`] allows; lengths are checked
//! against the input that is left before anything relies on them; and finding the duplicates in
//! a dict takes linear time, in whatever order its keys are. [`Limits`] holds the numbers.
//!
//! # Writing
//!
//! [`encode()`] and [`encode_to`] write values as they are described, without a tree in between. The result is canonical by
//! construction: keys may be given in any order and come out sorted, numbers have one spelling, and a key given twice is an
//! error. For example, a tracker's answer:
//!
//! ```
//! let peers = [192, 168, 1, 7, 0x1a, 0xe1];
//! let mut answer = Vec::new(); // or any other bytes::BufMut
//! bencode::encode_to(&mut answer, |answer| {
//!     answer.dict(|answer| {
//!         answer.int("interval", 60);
//!         answer.int("complete", 1);
//!         answer.bytes("peers", peers);
//!     });
//! })?;
//! assert_eq!(answer, b"d8:completei1e8:intervali60e5:peers6:\xc0\xa8\x01\x07\x1a\xe1e");
//! # Ok::<(), bencode::EncodeError>(())
//! ```
//!
//! [`ValueEncoder::raw`] and its siblings copy an encoded value byte for byte: a file with a new announce URL and the old
//! info dict keeps its info-hash.
//!
//! # Not in this crate
//!
//! The meaning of values: metainfo files and announces have their own crates. Integers beyond 64 bits, which no key of any BEP
//! needs. Decoding from a stream: a document is one slice in memory. Serde: it has no place for spans, and its derived
//! deserialisers recurse.

mod decode;
mod deviation;
mod document;
mod encode;
mod error;
mod leaf;
mod repeats;
mod value;

pub use decode::{Decoder, Limits};
pub use deviation::{Deviation, DeviationKind};
pub use document::Document;
pub use encode::{DictEncoder, EncodeError, Encoder, ListEncoder, ValueEncoder, encode, encode_to};
pub use error::{DecodeError, DecodeErrorKind, Expected};
pub use value::{Dict, DictIter, Kind, List, ListIter, Value};
