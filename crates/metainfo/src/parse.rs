//! From the bytes of a .torrent file to [`Metainfo`].

mod error;

use std::collections::HashSet;

use bencode::{Decoder, DeviationKind, Dict, Limits, Value};

use self::error::{MAX_FILE_LENGTH, MAX_PIECE_LENGTH};
use crate::info::Layout;
use crate::metainfo::{Entry, Metainfo, Warning};
use crate::{Attributes, File, Hazard, Info, InfoHashV1, InfoHashV2, InfoHashes, Pieces, path};

pub use error::ParseError;

/// The text that marks a component of a path as one of BitComet's padding files.
const BITCOMET_PAD: &[u8] = b"_____padding_file_";

/// The limits of parsing, and the handling of conflicting paths.
///
/// ```
/// use metainfo::{ConflictingPaths, Metainfo, ParseOptions};
///
/// let options = ParseOptions {
///     max_files: 100,
///     conflicting_paths: ConflictingPaths::Accept,
///     ..ParseOptions::default()
/// };
/// assert!(Metainfo::parse_with(b"le", &options).is_err());
/// ```
#[derive(Debug, Clone, Copy)]
pub struct ParseOptions {
    /// The maximum size of the .torrent file, nesting depth and number of values; by default 100 MiB,
    /// 100 and 3,000,000.
    ///
    /// These also bound lists that have no limit of their own below, such as trackers.
    pub limits: Limits,
    /// The maximum number of pieces; by default 2,097,152, as in libtorrent.
    pub max_pieces: usize,
    /// The maximum number of files; by default 1,000,000.
    pub max_files: usize,
    /// The maximum number of components in one path; by default 100, as in libtorrent.
    pub max_path_depth: usize,
    /// The maximum bytes in one path, separators included; by default 4096, the limit of Linux.
    pub max_path_len: usize,
    /// The handling of two files with conflicting paths; an error by default.
    pub conflicting_paths: ConflictingPaths,
}

impl Default for ParseOptions {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            max_pieces: 2_097_152,
            max_files: 1_000_000,
            max_path_depth: 100,
            max_path_len: 4096,
            conflicting_paths: ConflictingPaths::Reject,
        }
    }
}

/// The handling of a torrent in which two files have the same path, or one file has the path of another's folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConflictingPaths {
    /// Refuse the torrent, as Transmission and rTorrent do.
    Reject,
    /// Read it; [`File::safe_path`] then fails for all but one of the files in conflict.
    Accept,
}

impl Metainfo {
    /// Reads a .torrent file with the default [`ParseOptions`].
    ///
    /// # Errors
    /// Returns a [`ParseError`] if the file is not a v1 or hybrid torrent within the limits.
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        Self::parse_with(bytes, &ParseOptions::default())
    }

    /// Reads a .torrent file.
    ///
    /// Keys that are not needed and have the wrong type, such as a number for a comment, count as
    /// absent. Unknown keys are ignored.
    ///
    /// # Errors
    /// Returns a [`ParseError`] if the file is not a v1 or hybrid torrent within the limits.
    pub fn parse_with(bytes: &[u8], options: &ParseOptions) -> Result<Self, ParseError> {
        parse(bytes, options)
    }
}

fn parse(bytes: &[u8], options: &ParseOptions) -> Result<Metainfo, ParseError> {
    let limit = options.limits.input_len;
    if bytes.len() > limit {
        let len = bytes.len();
        return Err(ParseError::TooLarge { len, limit });
    }
    let document = Decoder::lenient().with_limits(options.limits).decode(bytes)?;
    let root = document.root().as_dict().ok_or(ParseError::NotADict)?;
    let info_value = root.get(b"info").ok_or_else(|| without_info(root))?;
    let info_dict = info_value.as_dict().ok_or(ParseError::MissingInfo)?;

    let deviation = match document.deviations() {
        [] => None,
        _ => info_deviation(info_value, options.limits)?,
    };
    let hybrid = check_version(info_dict, deviation)?;
    let info = parse_info(info_dict, options)?;

    let mut warnings = Vec::new();
    if info.layout == Layout::MultiFile && info_dict.get(b"length").is_some() {
        warnings.push(Warning::LengthAndFiles);
    }
    warnings.extend(deviation.map(|offset| Warning::InfoNotCanonical { offset }));
    let second_info = root.iter().filter(|(key, _)| *key == b"info").nth(1);
    warnings.extend(second_info.map(|(_, value)| Warning::SecondInfo { offset: value.span().start }));
    if !document.trailing().is_empty() {
        let len = document.trailing().len();
        warnings.push(Warning::TrailingBytes { len });
    }

    Ok(Metainfo {
        entries: entries(root),
        info_hashes: InfoHashes {
            v1: Some(InfoHashV1::of_info(info_value.raw())),
            v2: hybrid.then(|| InfoHashV2::of_info(info_value.raw())),
        },
        info,
        trackers: trackers(root),
        web_seeds: urls(root.get(b"url-list")),
        http_seeds: urls(root.get(b"httpseeds")),
        nodes: nodes(root),
        comment: text(root, [b"comment.utf-8", b"comment"]),
        created_by: text(root, [b"created by.utf-8", b"created by"]),
        creation_date: root.get(b"creation date").and_then(Value::as_u64),
        encoding: text(root, [b"encoding"]),
        publisher: text(root, [b"publisher.utf-8", b"publisher"]),
        publisher_url: text(root, [b"publisher-url.utf-8", b"publisher-url"]),
        similar: similar([root, info_dict]),
        collections: collections([root, info_dict]),
        deviations: document.deviations().to_vec(),
        warnings,
        bytes: bytes.to_vec(),
    })
}

fn without_info(root: Dict<'_, '_>) -> ParseError {
    let stub = [&b"magnet-uri"[..], b"magnet-info"];
    if stub.iter().any(|key| root.get(key).is_some()) { ParseError::MagnetStub } else { ParseError::MissingInfo }
}

/// The offset of the first deviation of `info` from canonical bencode, if any; an error for a duplicate key.
fn info_deviation(info: Value<'_, '_>, limits: Limits) -> Result<Option<usize>, ParseError> {
    // The document lists a limited number of deviations, and those outside of `info` could push
    // the ones inside off the list. Alone, `info` has a list of its own with each kind in it.
    let alone = Decoder::lenient().with_limits(limits).decode(info.raw())?;
    let start = info.span().start;
    let duplicate = alone.deviations().iter().find(|deviation| deviation.kind == DeviationKind::DuplicateKey);
    if let Some(duplicate) = duplicate {
        return Err(ParseError::DuplicateKey {
            key: string_at(&info.raw()[duplicate.offset..]),
            offset: start + duplicate.offset,
        });
    }
    Ok(alone.deviations().first().map(|first| start + first.offset))
}

/// The bencoded string that `rest` begins with.
fn string_at(rest: &[u8]) -> String {
    let colon = rest.iter().position(|&byte| byte == b':');
    let (length, rest) = rest.split_at(colon.unwrap_or(0));
    let length = std::str::from_utf8(length).ok().and_then(|digits| digits.parse().ok());
    let string = rest.get(1..).and_then(|rest| rest.get(..length?));
    String::from_utf8_lossy(string.unwrap_or_default()).into_owned()
}

/// Returns `true` if the torrent is a hybrid; an error unless it has a v1 side.
fn check_version(info: Dict<'_, '_>, deviation: Option<usize>) -> Result<bool, ParseError> {
    let version = info.get(b"meta version").and_then(Value::as_u64).unwrap_or(0);
    let has_file_tree = info.get(b"file tree").and_then(Value::as_dict).is_some();
    let has_pieces = info.get(b"pieces").is_some();
    match version {
        0 | 1 if has_file_tree => Err(ParseError::MissingMetaVersion),
        0 | 1 if !has_pieces && info.get(b"root hash").is_some() => Err(ParseError::Merkle),
        0 | 1 => Ok(false),
        2 if !has_file_tree => Err(ParseError::MissingFileTree),
        2 if !has_pieces => Err(ParseError::V2Only),
        2 => match deviation {
            Some(offset) => Err(ParseError::NotCanonical { offset }),
            None => Ok(true),
        },
        _ => Err(ParseError::NewerVersion { version }),
    }
}

fn parse_info(info: Dict<'_, '_>, options: &ParseOptions) -> Result<Info, ParseError> {
    let piece_length = piece_length(info)?;
    let name = first_string(info, [b"name.utf-8", b"name"]).ok_or(ParseError::MissingName)?;

    let (layout, mut files) = match (info.get(b"files"), info.get(b"length")) {
        (Some(list), _) => (Layout::MultiFile, parse_files(list, options)?),
        (None, Some(_)) if name.is_empty() => return Err(ParseError::MissingName),
        (None, Some(_)) => (Layout::SingleFile, vec![parse_file(info, 0, |_, _| Ok(vec![name.to_vec()]), options)?]),
        (None, None) => return Err(ParseError::MissingLength),
    };

    let mut total_length = 0_u64;
    for file in &mut files {
        file.offset = total_length;
        total_length = total_length.checked_add(file.length).ok_or(ParseError::TotalTooLarge)?;
    }
    if total_length == 0 {
        return Err(ParseError::NoContent);
    }
    let content_length = files.iter().filter(|file| !file.attributes.pad).map(|file| file.length).sum();
    let pieces = parse_pieces(info, total_length, piece_length, options)?;

    path::mark_hazards(&mut files);
    if options.conflicting_paths == ConflictingPaths::Reject {
        files.iter().enumerate().try_for_each(refuse_conflict)?;
    }

    Ok(Info {
        name: name.to_vec(),
        piece_length,
        pieces,
        private: info.get(b"private").is_some_and(is_true),
        source: text(info, [b"source"]),
        update_url: text(info, [b"update-url"]),
        total_length,
        content_length,
        files,
        layout,
    })
}

fn piece_length(info: Dict<'_, '_>) -> Result<u32, ParseError> {
    let value = info.get(b"piece length").and_then(|value| {
        let signed = value.as_i64().map(i128::from);
        signed.or_else(|| value.as_u64().map(i128::from))
    });
    let value = value.ok_or(ParseError::MissingPieceLength)?;
    match u32::try_from(value) {
        Ok(length @ 1..=MAX_PIECE_LENGTH) => Ok(length),
        _ => Err(ParseError::InvalidPieceLength { value }),
    }
}

fn parse_pieces(
    info: Dict<'_, '_>,
    total_length: u64,
    piece_length: u32,
    options: &ParseOptions,
) -> Result<Pieces, ParseError> {
    let bytes = info.get(b"pieces").and_then(Value::as_bytes).ok_or(ParseError::MissingPieces)?;
    let (digests, rest) = bytes.as_chunks::<20>();
    if !rest.is_empty() {
        return Err(ParseError::PartialDigest { len: bytes.len() });
    }
    let (count, limit) = (digests.len(), options.max_pieces);
    if count > limit {
        return Err(ParseError::TooManyPieces { count, limit });
    }
    let expected = total_length.div_ceil(u64::from(piece_length));
    if expected != count as u64 {
        return Err(ParseError::WrongPieceCount { expected, found: count });
    }
    Ok(Pieces::new(digests))
}

fn parse_files(files: Value<'_, '_>, options: &ParseOptions) -> Result<Vec<File>, ParseError> {
    let list = files.as_list().ok_or(ParseError::FilesNotAList)?;
    let (count, limit) = (list.len(), options.max_files);
    if count == 0 {
        return Err(ParseError::NoFiles);
    }
    if count > limit {
        return Err(ParseError::TooManyFiles { count, limit });
    }
    list.iter()
        .enumerate()
        .map(|(index, entry)| {
            let entry = entry.as_dict().ok_or(ParseError::FileNotADict { file: index })?;
            let path = |attributes: Attributes, length: u64| {
                let path = components(entry, [b"path.utf-8", b"path"], index, options)?;
                match path {
                    Some(path) if !path.is_empty() => Ok(path),
                    // As an empty component, it marks an empty folder.
                    Some(_) if length == 0 && !attributes.pad => Ok(vec![Vec::new()]),
                    _ if attributes.pad => Ok(vec![b".pad".to_vec(), length.to_string().into()]),
                    _ => Err(ParseError::MissingPath { file: index }),
                }
            };
            parse_file(entry, index, path, options)
        })
        .collect()
}

/// Reads the keys of a file, which are the same in `files` and in `info` itself.
fn parse_file(
    entry: Dict<'_, '_>,
    index: usize,
    path: impl FnOnce(Attributes, u64) -> Result<Vec<Vec<u8>>, ParseError>,
    options: &ParseOptions,
) -> Result<File, ParseError> {
    let letters = entry.get(b"attr").and_then(Value::as_bytes);
    let mut attributes = Attributes::from_letters(letters.unwrap_or_default());
    let length = match attributes.symlink {
        true => 0,
        false => entry
            .get(b"length")
            .and_then(Value::as_u64)
            .filter(|&length| length <= MAX_FILE_LENGTH)
            .ok_or(ParseError::InvalidLength { file: index })?,
    };
    let path = path(attributes, length)?;
    attributes.pad |=
        path.iter().any(|component| component.windows(BITCOMET_PAD.len()).any(|window| window == BITCOMET_PAD));
    let symlink_target = match attributes.symlink {
        true => components(entry, [b"symlink path"], index, options)?,
        false => None,
    };
    Ok(File {
        length,
        offset: 0,
        path,
        attributes,
        symlink_target,
        mtime: entry.get(b"mtime").and_then(Value::as_u64),
        sha1: entry.get(b"sha1").and_then(Value::as_bytes).and_then(|digest| digest.try_into().ok()),
        md5sum: text(entry, [b"md5sum"]),
        hazard: None,
    })
}

/// The components of the first of the keys that holds a list, within the limits.
fn components<const N: usize>(
    entry: Dict<'_, '_>,
    keys: [&[u8]; N],
    file: usize,
    options: &ParseOptions,
) -> Result<Option<Vec<Vec<u8>>>, ParseError> {
    let list = keys.iter().find_map(|key| entry.get(key).and_then(Value::as_list));
    let Some(list) = list else {
        return Ok(None);
    };
    let (depth, limit) = (list.len(), options.max_path_depth);
    if depth > limit {
        return Err(ParseError::PathTooDeep { file, depth, limit });
    }
    let mut path = Vec::with_capacity(depth);
    let mut len = depth.saturating_sub(1);
    for component in list.iter() {
        let component = component.as_bytes().ok_or(ParseError::InvalidPath { file })?;
        len += component.len();
        path.push(component.to_vec());
    }
    let limit = options.max_path_len;
    if len > limit {
        return Err(ParseError::PathTooLong { file, len, limit });
    }
    Ok(Some(path))
}

fn refuse_conflict((index, file): (usize, &File)) -> Result<(), ParseError> {
    // Padding files and marks of empty folders are not written to disk, so they conflict with nothing.
    let marks_folder = file.is_placeholder() && file.path.iter().any(Vec::is_empty);
    if file.attributes.pad || marks_folder {
        return Ok(());
    }
    match file.hazard {
        Some(Hazard::Duplicate) => Err(ParseError::DuplicatePath { file: index, path: file.display_path() }),
        Some(Hazard::FileAndFolder) => Err(ParseError::FileAndFolder { file: index, path: file.display_path() }),
        _ => Ok(()),
    }
}

fn entries(root: Dict<'_, '_>) -> Vec<Entry> {
    let mut seen = HashSet::new();
    root.iter()
        .filter(|(key, _)| seen.insert(*key))
        .map(|(key, value)| Entry { key: key.to_vec(), value: value.span() })
        .collect()
}

fn trackers(root: Dict<'_, '_>) -> Vec<Vec<String>> {
    let mut seen = HashSet::new();
    let tiers = root.get(b"announce-list").and_then(Value::as_list);
    let tiers: Vec<Vec<String>> = tiers
        .into_iter()
        .flat_map(|tiers| tiers.iter())
        .filter_map(Value::as_list)
        .map(|tier| tier.iter().filter_map(url).filter(|&url| seen.insert(url)).map(str::to_owned).collect())
        .filter(|tier: &Vec<_>| !tier.is_empty())
        .collect();
    if !tiers.is_empty() {
        return tiers;
    }
    let announce = root.get(b"announce").and_then(url);
    announce.map(|url| vec![url.to_owned()]).into_iter().collect()
}

/// URLs from a string or a list of strings, each once.
fn urls(value: Option<Value<'_, '_>>) -> Vec<String> {
    let mut seen = HashSet::new();
    let single = value.and_then(url);
    let list = value.and_then(Value::as_list);
    let listed = list.into_iter().flat_map(|list| list.iter()).filter_map(url);
    single.into_iter().chain(listed).filter(|&url| seen.insert(url)).map(str::to_owned).collect()
}

fn url<'a>(value: Value<'a, '_>) -> Option<&'a str> {
    value.as_str().map(str::trim).filter(|url| !url.is_empty())
}

fn nodes(root: Dict<'_, '_>) -> Vec<(String, u16)> {
    let list = root.get(b"nodes").and_then(Value::as_list);
    list.into_iter()
        .flat_map(|list| list.iter())
        .filter_map(|node| {
            let mut pair = node.as_list()?.iter();
            let host = pair.next()?.as_str().filter(|host| !host.is_empty())?;
            let port = u16::try_from(pair.next()?.as_u64()?).ok()?;
            (port > 0).then(|| (host.to_owned(), port))
        })
        .collect()
}

fn similar(dicts: [Dict<'_, '_>; 2]) -> Vec<[u8; 20]> {
    let mut seen = HashSet::new();
    dicts
        .iter()
        .filter_map(|dict| dict.get(b"similar").and_then(Value::as_list))
        .flat_map(|list| list.iter())
        .filter_map(|hash| hash.as_bytes()?.try_into().ok())
        .filter(|&hash| seen.insert(hash))
        .collect()
}

fn collections(dicts: [Dict<'_, '_>; 2]) -> Vec<String> {
    let mut seen = HashSet::new();
    dicts
        .iter()
        .filter_map(|dict| dict.get(b"collections").and_then(Value::as_list))
        .flat_map(|list| list.iter())
        .filter_map(Value::as_str)
        .filter(|&name| seen.insert(name))
        .map(str::to_owned)
        .collect()
}

/// The first of the keys that holds a string, as text.
fn text<const N: usize>(dict: Dict<'_, '_>, keys: [&[u8]; N]) -> Option<String> {
    first_string(dict, keys).map(|bytes| String::from_utf8_lossy(bytes).into_owned())
}

fn first_string<'a, const N: usize>(dict: Dict<'a, '_>, keys: [&[u8]; N]) -> Option<&'a [u8]> {
    keys.iter().find_map(|key| dict.get(key).and_then(Value::as_bytes))
}

fn is_true(value: Value<'_, '_>) -> bool {
    value.as_i64().is_some_and(|number| number != 0) || value.as_u64().is_some_and(|number| number != 0)
}
