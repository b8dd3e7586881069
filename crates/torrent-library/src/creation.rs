//! How torrents are made of what is in the share folder.

use std::num::NonZeroUsize;
use std::thread;
use std::time::SystemTime;

use metainfo::Create;

use crate::shared_folder::left_out;
use crate::{Share, ShareError};

/// The value of `created by` in the torrents.
const PROGRAM: &str = concat!("tracker/", env!("CARGO_PKG_VERSION"));

/// The making of a torrent of a file or folder of the share folder, on half of the cores, since the tracker comes first. Below a
/// folder, what [is passed over](crate::SharedFolder) is left out.
///
/// # Errors
///
/// Returns [`ShareError`] if the path leads outside, or if nothing is there.
pub(crate) fn create(share: &Share, path: &str) -> Result<Create, ShareError> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).ok();
    let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let create = Create::new(share.resolve(path)?)
        .exclude(left_out())
        .created_by(PROGRAM)
        .creation_date(now.map(|since| since.as_secs()))
        .threads(NonZeroUsize::new(cores / 2).unwrap_or(NonZeroUsize::MIN));
    // As it was named, should it be a link to something of another name.
    Ok(match path.rsplit('/').next().filter(|name| !name.is_empty()) {
        Some(name) => create.name(name),
        None => create,
    })
}
