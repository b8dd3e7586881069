//! What is offered to those who come to get it.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use torrent_library::{
    Content, ContentKey, HashProgress, ItemState, KnownTorrent, SharedItem, displayable, natural_key,
};
use tracker_core::InfoHash;

use crate::web::Dashboard;
use crate::web::format::size_text;

/// Something that viewers can get: what is in the share folder, or has a .torrent file that is known.
#[derive(Debug, Clone)]
pub(in crate::web) struct Offer {
    /// What its pages have in their URLs.
    pub(in crate::web) key: ContentKey,
    pub(in crate::web) name: Arc<str>,
    /// Its size in bytes.
    pub(in crate::web) size: u64,
    /// The number of its files, if it is a folder.
    pub(in crate::web) files: Option<usize>,
    pub(in crate::web) torrent: TorrentOf,
}

/// The torrent of an [`Offer`].
#[derive(Debug, Clone)]
pub(in crate::web) enum TorrentOf {
    /// It is known.
    Known(Arc<KnownTorrent>),
    /// It waits for others to be hashed first.
    Waiting,
    /// It is being hashed.
    Hashing(HashProgress),
    /// It is that of another file with the same content and this name.
    Other(Arc<str>),
    /// It could not be made.
    Failed,
}

/// All that is offered.
#[derive(Debug, Default)]
pub(in crate::web) struct Offers {
    /// In natural order of names.
    all: Vec<Offer>,
}

/// The offers as they were listed last: all viewers see the same ones.
#[derive(Debug, Default)]
pub(in crate::web) struct OffersCache(Mutex<Option<(Version, Arc<Offers>)>>);

/// Counts of the changes of the library, and of the share folder.
type Version = (u64, u64);

impl Offers {
    /// The current ones.
    pub(in crate::web) fn of(dashboard: &Dashboard) -> Arc<Self> {
        let config = dashboard.config();
        let folder = config.shared_folder.as_ref().map_or(0, |folder| *folder.changes().borrow());
        let version = (*config.library.changes().borrow(), folder);
        dashboard.0.offers.get(version, || Self::list(dashboard))
    }

    fn list(dashboard: &Dashboard) -> Self {
        let config = dashboard.config();
        let items = config.shared_folder.as_ref().map(|folder| folder.items());
        let (mut all, mut replaced, mut listed) = (Vec::new(), HashSet::new(), HashSet::new());
        for item in items.iter().flat_map(|items| &items.items) {
            let Some(offer) = Offer::of_item(dashboard, item) else { continue };
            replaced.extend(item.replaces);
            // While one of two equal files changes, both have the same torrent.
            if offer.info_hash().is_none_or(|info_hash| listed.insert(info_hash)) {
                all.push(offer);
            }
        }
        let known = config.library.all();
        let is_other = |info_hash: &InfoHash| !listed.contains(info_hash) && !replaced.contains(info_hash);
        let mut others = known.values().filter(|torrent| is_other(&torrent.info_hash)).peekable();
        // Those of the share folder are in order, and often there are no others.
        if others.peek().is_some() {
            all.extend(others.map(Offer::of_torrent));
            all.sort_by_cached_key(|offer| (natural_key(&offer.name), Arc::clone(&offer.name)));
        }
        Self { all }
    }

    pub(in crate::web) fn all(&self) -> &[Offer] {
        &self.all
    }
}

impl OffersCache {
    /// The offers of this version, which the first who asks lists while others wait.
    fn get(&self, version: Version, list: impl FnOnce() -> Offers) -> Arc<Offers> {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*last {
            Some((of, offers)) if *of == version => Arc::clone(offers),
            _ => Arc::clone(&last.insert((version, Arc::new(list()))).1),
        }
    }
}

impl TorrentOf {
    fn not_made(state: &ItemState) -> Self {
        match state {
            ItemState::Settling | ItemState::Waiting => Self::Waiting,
            ItemState::Hashing(progress) => Self::Hashing(progress.clone()),
            ItemState::SameAs { name } => Self::Other(displayable(name).into()),
            _ => Self::Failed,
        }
    }
}

impl Offer {
    /// The offer with this key: one of the [`Offers`], or a torrent by the key of its second swarm.
    pub(in crate::web) fn find(dashboard: &Dashboard, key: ContentKey) -> Option<Self> {
        let key = match key {
            ContentKey::Swarm(swarm) => {
                let of_first = dashboard.config().library.get(&swarm).map(|torrent| torrent.info_hash);
                ContentKey::Swarm(of_first.unwrap_or(swarm))
            }
            ContentKey::Id(_) => key,
        };
        Offers::of(dashboard).all().iter().find(|offer| offer.key == key).cloned()
    }

    /// Without a content, the item is not complete yet, or not shared any more. What has changed is offered as it was before,
    /// until it is listed again.
    fn of_item(dashboard: &Dashboard, item: &SharedItem) -> Option<Self> {
        let config = dashboard.config();
        let content = item.content.as_ref()?;
        let torrent = match config.contents.info_hash_of(content.id()) {
            // Unless the operator has removed it.
            Some(info_hash) => Some(config.library.get(&info_hash)?),
            None => None,
        };
        let torrent = match (&item.state, torrent) {
            (ItemState::Shared { .. } | ItemState::Settling, Some(torrent)) => TorrentOf::Known(torrent),
            (state, _) => TorrentOf::not_made(state),
        };
        let key = match &torrent {
            TorrentOf::Known(torrent) => ContentKey::Swarm(torrent.info_hash),
            _ => ContentKey::Id(content.id()),
        };
        let files = content.is_folder().then(|| content.files().len());
        Some(Self { key, name: displayable(content.name()).into(), size: content.size(), files, torrent })
    }

    /// The operator has registered it, or made it of something deeper in the share folder.
    fn of_torrent(torrent: &Arc<KnownTorrent>) -> Self {
        let is_folder = !torrent.metainfo.info().is_single_file();
        Self {
            key: ContentKey::Swarm(torrent.info_hash),
            name: Arc::clone(&torrent.name),
            size: torrent.size,
            files: is_folder.then(|| torrent.file_count()),
            torrent: TorrentOf::Known(Arc::clone(torrent)),
        }
    }

    /// Its files on this machine, if it has them.
    pub(in crate::web) fn content(&self, dashboard: &Dashboard) -> Option<Arc<Content>> {
        dashboard.config().contents.get(self.key)
    }

    pub(in crate::web) fn info_hash(&self) -> Option<InfoHash> {
        match &self.torrent {
            TorrentOf::Known(torrent) => Some(torrent.info_hash),
            _ => None,
        }
    }

    /// Its size as people read it: `212 MB, 48 files`.
    pub(in crate::web) fn size_text(&self) -> String {
        size_text(self.size, self.files)
    }
}
