//! Names and paths of a torrent in the JSON output.
//!
//! They come from strangers, and a script uses what it reads: so `path` and `name` never lead out of the folder that the script
//! joins them to, on any system. What the torrent has stands beside them as `raw_path` and `raw_name`, where it differs.

use std::path::Path;

use metainfo::{Info, UnsafePath};
use serde::Serialize;

/// The path of a file: as it stands if [`metainfo::File::safe_path`] accepts it, else sanitised.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct PathJson {
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    raw_path: Option<String>,
    #[serde(rename = "unsafe", skip_serializing_if = "is_false")]
    pub(crate) is_unsafe: bool,
}

/// The name of a torrent: as it stands if [`Info::safe_name`] accepts it, else sanitised.
#[derive(Debug, Serialize)]
pub(crate) struct NameJson {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    raw_name: Option<String>,
}

impl PathJson {
    /// The paths of all files, in the order of the torrent.
    pub(crate) fn of_files(info: &Info) -> Vec<Self> {
        let sanitized = info.sanitized_paths();
        let paths = info.files().iter().zip(sanitized).map(|(file, sanitized)| match file.safe_path() {
            Ok(path) => Self { path: with_slashes(&path), raw_path: None, is_unsafe: false },
            Err(UnsafePath { path: raw, .. }) => {
                Self { path: with_slashes(&sanitized), raw_path: Some(raw), is_unsafe: true }
            }
        });
        paths.collect()
    }
}

impl NameJson {
    pub(crate) fn new(info: &Info) -> Self {
        match info.safe_name() {
            Ok(_) => Self { name: info.name().into_owned(), raw_name: None },
            Err(_) => Self { name: with_slashes(&info.sanitized_name()), raw_name: Some(info.name().into_owned()) },
        }
    }

    pub(crate) fn is_unsafe(&self) -> bool {
        self.raw_name.is_some()
    }
}

/// A relative path with `/` between its components on every system.
pub(crate) fn with_slashes(path: &Path) -> String {
    let components: Vec<_> = path.components().map(|component| component.as_os_str().to_string_lossy()).collect();
    components.join("/")
}

pub(crate) fn is_false(value: &bool) -> bool {
    !value
}
