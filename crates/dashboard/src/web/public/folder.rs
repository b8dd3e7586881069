//! The files of a folder, to choose from.

use percent_encoding::{AsciiSet, utf8_percent_encode};
use torrent_library::{Content, ContentFile, ContentKey, KnownTorrent, displayable, natural_key};

use super::offers::{Offer, TorrentOf};
use crate::web::Dashboard;
use crate::web::format::{bytes, counted};
use crate::web::handed_out::NAME;
use crate::web::table::{Pages, Part};

/// The maximum number of files on a page, and so of a selection. Its query stays well below what a request's head may have.
const PAGE: usize = 200;

/// The files of a folder.
pub(super) struct Folder {
    /// `48 files`.
    pub(super) total: String,
    /// In natural order.
    pub(super) files: Vec<FileView>,
    pub(super) pages: Pages,
    /// The URL of the zip of selected files, if there is one.
    pub(super) selection: Option<String>,
}

/// A file of a folder.
pub(super) struct FileView {
    /// Its number in the content.
    pub(super) index: usize,
    pub(super) path: String,
    pub(super) size: String,
    /// Its download, if this machine has it.
    pub(super) href: Option<String>,
}

/// As in a name, but the slashes between names stay.
const PATH: &AsciiSet = &NAME.remove(b'/');

impl Folder {
    /// `None` for a single file. `path` is that of the page, and `page` the part of the list.
    pub(super) fn of(
        dashboard: &Dashboard,
        offer: &Offer,
        content: Option<&Content>,
        path: &str,
        page: usize,
    ) -> Option<Self> {
        let total = counted(offer.files? as u64, "file");
        let (files, pages) = match (content, &offer.torrent) {
            (Some(content), _) => files_of(content, offer.key, path, page),
            (None, TorrentOf::Known(torrent)) => files_of_torrent(torrent, path, page),
            (None, _) => return None,
        };
        let can_select = content.is_some() && dashboard.config().zip;
        Some(Self { total, files, pages, selection: can_select.then(|| format!("/download/{}", offer.key)) })
    }
}

fn files_of(content: &Content, key: ContentKey, path: &str, page: usize) -> (Vec<FileView>, Pages) {
    let mut files: Vec<_> = content.files().iter().enumerate().collect();
    files.sort_by_cached_key(|(_, file)| (natural_key(file.path()), file.path()));
    let part = Part::new(&files, PAGE, page);
    let view = |&(index, file): &(usize, &ContentFile)| FileView {
        index,
        path: displayable(file.path()),
        size: bytes(file.size() as f64),
        href: Some(format!("/download/{key}/{}", utf8_percent_encode(file.path(), PATH))),
    };
    (part.items.iter().map(view).collect(), part.pages(path, &[]).opened_anew())
}

fn files_of_torrent(torrent: &KnownTorrent, path: &str, page: usize) -> (Vec<FileView>, Pages) {
    // For people, a path is what the torrent says.
    let listed = torrent.files().map(|file| (file.raw_path.unwrap_or(file.path), file.size));
    let mut files: Vec<_> = listed.enumerate().collect();
    files.sort_by_cached_key(|(_, (path, _))| (natural_key(path), path.clone()));
    let part = Part::new(&files, PAGE, page);
    let view = |(index, (path, size)): &(usize, (String, u64))| FileView {
        index: *index,
        path: path.clone(),
        size: bytes(*size as f64),
        href: None,
    };
    (part.items.iter().map(view).collect(), part.pages(path, &[]).opened_anew())
}
