//! bencode

mod decode;
mod deviation;
mod document;
mod encode;
mod error;
mod leaf;
mod repeats;
mod value;

pub use crate::{
    decode::{Decoder, Limits},
    deviation::{Deviation, DeviationKind},
    document::Document,
    encode::{DictEncoder, EncodeError, Encoder, ListEncoder, ValueEncoder, encode, encode_to},
    error::{DecodeError, DecodeErrorKind, Expected},
    value::{Dict, DictIter, Kind, List, ListIter, Value},
};
