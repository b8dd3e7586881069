//! Names and paths of a torrent in the JSON output.
//!
//! They come from strangers, and a script uses what it reads: so `path` and `name` never lead out of the folder that the script
//! joins them to, on any system. What the torrent has stands beside them as `raw_path` and `raw_name`, where it differs, and
//! the bytes of a path that is not UTF-8 as `raw_path_hex`.

use std::path::Path;

use metainfo::{File, Info, Metainfo, UnsafePath};
use serde::Serialize;

/// What each JSON output begins with.
#[derive(Debug, Serialize)]
pub(crate) struct Head {
    #[serde(flatten)]
    name: NameJson,
    /// Present if the name or a path is unsafe.
    #[serde(rename = "unsafe", skip_serializing_if = "is_false")]
    is_unsafe: bool,
    info_hash: Option<String>,
    info_hash_v2: Option<String>,
}

/// The path of a file: as it stands if [`metainfo::File::safe_path`] accepts it, else sanitised.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct PathJson {
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    raw_path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    raw_path_hex: Option<String>,
    #[serde(rename = "unsafe", skip_serializing_if = "is_false")]
    pub(crate) is_unsafe: bool,
    #[serde(skip_serializing_if = "is_false")]
    placeholder: bool,
}

/// The name of a torrent: as it stands if [`Info::safe_name`] accepts it, else sanitised.
#[derive(Debug, Serialize)]
struct NameJson {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    raw_name: Option<String>,
}

impl PathJson {
    /// The paths of all files, in the order of the torrent.
    pub(crate) fn of_files(info: &Info) -> Vec<Self> {
        let sanitized = info.sanitized_paths();
        let paths = info.files().iter().zip(sanitized).map(|(file, sanitized)| match file.safe_path() {
            Ok(path) => Self {
                path: with_slashes(&path),
                raw_path: None,
                raw_path_hex: None,
                is_unsafe: false,
                placeholder: false,
            },
            Err(UnsafePath { path: raw, .. }) => Self {
                path: with_slashes(&sanitized),
                raw_path: Some(raw),
                raw_path_hex: raw_hex(file),
                is_unsafe: true,
                placeholder: file.is_placeholder(),
            },
        });
        paths.collect()
    }
}

impl Head {
    /// `paths` are those of the torrent's files.
    pub(crate) fn new(metainfo: &Metainfo, paths: &[PathJson]) -> Self {
        let name = NameJson::new(metainfo.info());
        let hashes = metainfo.info_hashes();
        Self {
            is_unsafe: name.raw_name.is_some() || paths.iter().any(|path| path.is_unsafe && !path.placeholder),
            name,
            info_hash: hashes.v1.map(|hash| hash.to_string()),
            info_hash_v2: hashes.v2.map(|hash| hash.to_string()),
        }
    }
}

impl NameJson {
    fn new(info: &Info) -> Self {
        match info.safe_name() {
            Ok(_) => Self { name: info.name().into_owned(), raw_name: None },
            Err(_) => Self { name: with_slashes(&info.sanitized_name()), raw_name: Some(info.name().into_owned()) },
        }
    }
}

/// The bytes of a path in hexadecimal, if they are not UTF-8.
fn raw_hex(file: &File) -> Option<String> {
    let bytes = file.path.join(&b'/');
    str::from_utf8(&bytes).is_err().then(|| hex(&bytes))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A relative path with `/` between its components on every system.
pub(crate) fn with_slashes(path: &Path) -> String {
    let components: Vec<_> = path.components().map(|component| component.as_os_str().to_string_lossy()).collect();
    components.join("/")
}

pub(crate) fn is_false(value: &bool) -> bool {
    !value
}
