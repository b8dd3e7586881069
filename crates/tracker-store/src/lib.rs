//! What outlives a tracker: a snapshot of its swarms, and a journal of completed downloads.
//!
//! A [`Store`] keeps both in one folder. It blocks, and its caller has a thread for it; it knows no clock and no tracker. The caller
//! takes swarms out ([`tracker_core::SwarmSlice::image`]), writes a snapshot of them once a minute or so, and
//! [appends](Store::append) in between what must not be lost: swarms in which a download has completed, each with the peer that has
//! completed it, so that it counts once. After a restart it takes in what [`Store::open`] has recovered.
//!
//! ```
//! use std::time::SystemTime;
//! use tracker_core::{InfoHash, SwarmImage};
//! use tracker_store::Store;
//!
//! let folder = tempfile::tempdir()?;
//! let (mut store, _) = Store::open(folder.path())?;
//! let swarm = |completed| SwarmImage { info_hash: InfoHash::new([7; 20]), completed, peers: vec![] };
//! let mut snapshot = store.begin_snapshot(SystemTime::now())?;
//! snapshot.add(&swarm(3))?;
//! store.finish_snapshot(snapshot)?;
//! store.append(SystemTime::now(), &[swarm(4)])?;
//! drop(store);
//!
//! let (_, mut recovered) = Store::open(folder.path())?;
//! let mut next = || recovered.next_image(SystemTime::now()).map(|(swarm, _)| swarm.completed);
//! assert_eq!([next(), next(), next()], [Some(4), Some(3), None]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Files
//!
//! `swarms.snapshot` is replaced as a whole: a temporary file, fsync, rename, fsync of the folder. A million peers are 55 MB.
//!
//! `journal.N` is only appended to, and synced with each append. A new one begins with each snapshot, which has in it what the
//! ones before have. Its records say how something is, and not how it has changed, so that it does no harm to read one twice. A file that
//! an error left in doubt is not appended to any more. Users and what else is to be looked up or changed by a key belong into a
//! database, not here.
//!
//! Both begin with a magic number, a version and the number of a journal, and have records, each with its length and CRC-32. All numbers
//! are little-endian.
//!
//! | bytes | of a file's head |
//! | --- | --- |
//! | 8 | `LTSWARMS` or `LTJOURNL` |
//! | 2 | version: 1 |
//! | 8 | snapshot: the first journal that is not in it; journal: its own number |
//! | 8 | when a snapshot was begun, in seconds since 1970; 0 in a journal |
//! | 4 | CRC-32 of those before |
//!
//! | bytes | of a record |
//! | --- | --- |
//! | 4 | length of what follows the CRC, at most 1 MiB |
//! | 4 | CRC-32 of that |
//! | 1 | kind: 0 the end of a snapshot, 1 a swarm or a part of one, 2 the same at a time; others are skipped |
//! | … | 0: the number of records before (8); 1: see below; 2: seconds since 1970 (8), and as 1 |
//!
//! A swarm is its info-hash (20), and as LEB128 numbers its completed downloads and the number of peers, and those:
//!
//! | bytes | of a peer |
//! | --- | --- |
//! | 2 | bits: 0 IPv6, 1–2 state (leecher, partial seed, seeder), 3–4 download (unseen, begun, counted), 5 details, 6 claimed, 7 left known, 8–9 reachability (unknown, yes, no, introduced) |
//! | 4 or 16, and 2 | address and port |
//! | LEB128 | seconds until it is due |
//! | 20, 4 | details only: peer id and key |
//! | LEB128 | details only: uploaded, downloaded, left (if known), seconds known, silent and interval |

mod error;
mod files;
mod head;
mod journal;
mod peer_codec;
mod record;
mod recovered;
mod snapshot;
mod store;
mod swarm_codec;
mod wire;

#[cfg(test)]
mod tests;

pub use error::{AppendError, OpenError, SnapshotError};
pub use files::{Files, SystemFiles};
pub use recovered::{Problem, Recovered};
pub use snapshot::SnapshotWriter;
pub use store::Store;
