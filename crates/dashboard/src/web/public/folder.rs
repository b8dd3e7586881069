//! The files of a folder, to choose from.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use percent_encoding::{AsciiSet, utf8_percent_encode};
use torrent_library::{Content, ContentId, ContentKey, KnownTorrent, displayable, natural_key};

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

/// The natural orders of the files of folders, as they were sorted last: a page asks for its part every few seconds.
#[derive(Debug, Default)]
pub(in crate::web) struct FolderOrders(Mutex<HashMap<ContentId, Arc<[usize]>>>);

impl FolderOrders {
    /// Files in all orders, at most: they take 16 MB.
    const MAX_FILES: usize = 2_000_000;

    /// The indices of the files of a folder in natural order, which the first who asks sorts while others wait.
    fn of(&self, content: &Content) -> Arc<[usize]> {
        let mut orders = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(order) = orders.get(&content.id()) {
            return Arc::clone(order);
        }
        let files = content.files();
        if orders.values().map(|order| order.len()).sum::<usize>() + files.len() > Self::MAX_FILES {
            orders.clear();
        }
        let mut order: Vec<_> = (0..files.len()).collect();
        order.sort_by_cached_key(|&index| (natural_key(files[index].path()), files[index].path()));
        let order: Arc<[usize]> = order.into();
        orders.insert(content.id(), Arc::clone(&order));
        order
    }
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
            (Some(content), _) => files_of(dashboard, content, offer.key, path, page),
            (None, TorrentOf::Known(torrent)) => files_of_torrent(torrent, path, page),
            (None, _) => return None,
        };
        let can_select = content.is_some() && dashboard.config().zip;
        Some(Self { total, files, pages, selection: can_select.then(|| format!("/download/{}", offer.key)) })
    }
}

fn files_of(
    dashboard: &Dashboard,
    content: &Content,
    key: ContentKey,
    path: &str,
    page: usize,
) -> (Vec<FileView>, Pages) {
    let order = dashboard.0.folder_orders.of(content);
    let part = Part::new(&order, PAGE, page);
    let view = |&index: &usize| {
        let file = &content.files()[index];
        FileView {
            index,
            path: displayable(file.path()),
            size: bytes(file.size() as f64),
            href: Some(format!("/download/{key}/{}", utf8_percent_encode(file.path(), PATH))),
        }
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
