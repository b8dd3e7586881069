//! A store whose files may be anything, and a tracker that takes in what is read of them.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{self, Cursor, ErrorKind, Read, Write};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, UNIX_EPOCH};

use rand::SeedableRng;
use rand::rngs::StdRng;
use tracker_core::{Config, Instant, Memory, Shards, SwarmImage};
use tracker_store::{Files, Recovered, Store};

/// The first byte says what follows: a snapshot or a journal, as it stands or with checksums that are right, and for which tracker.
const JOURNAL: u8 = 1;
const WITH_CHECKSUMS: u8 = 2;
const LEAN: u8 = 4;

pub(crate) fn store_files(input: &[u8]) {
    let Some((&kind, content)) = input.split_first() else { return };
    let (name, magic) = if kind & JOURNAL != 0 { ("journal.0", b"LTJOURNL") } else { ("swarms.snapshot", b"LTSWARMS") };
    let content = if kind & WITH_CHECKSUMS != 0 { with_checksums(magic, content) } else { content.to_vec() };
    let files = MemoryFiles::default();
    files.0.borrow_mut().insert(name.to_owned(), Rc::new(RefCell::new(content)));

    let (mut store, mut recovered) = Store::open_in(files.clone()).expect("it can be listed");
    let images = images(&mut recovered);

    // What was read can be written and read again.
    let mut snapshot = store.begin_snapshot(UNIX_EPOCH).expect("there is room");
    images.iter().for_each(|(image, _)| snapshot.add(image).expect("there is room"));
    store.finish_snapshot(snapshot).expect("there is room");
    let (_, mut again) = Store::open_in(files.clone()).expect("it can be listed");
    assert!(again.problems().is_empty());
    let swarms = || images.iter().map(|(image, _)| image.clone());
    assert!(self::images(&mut again).into_iter().map(|(image, _)| image).eq(swarms()));
    store.append(UNIX_EPOCH, &swarms().collect::<Vec<_>>()).expect("there is room");
    let (_, again) = Store::open_in(files).expect("it can be listed");
    assert!(again.problems().is_empty());

    let memory = if kind & LEAN != 0 { Memory::Lean } else { Memory::Full };
    let config = Config::default().with(|config| {
        config.memory = memory;
        (config.max_peers, config.max_swarms, config.max_peers_per_swarm, config.max_peers_per_address) =
            (30, 3, 20, 4);
    });
    let shards = Shards::new(config, NonZeroUsize::MIN, &mut StdRng::seed_from_u64(1)).expect("a valid configuration");
    let now = Instant::from_secs(10_000_000);
    images.iter().for_each(|(image, age)| _ = shards.restore(now, image, *age));
    let (mut seeders, mut peers) = (0, 0);
    shards.for_each_swarm(|_, swarm| {
        seeders += u64::from(swarm.counts().seeders);
        peers += swarm.peers().count() as u64;
    });
    assert_eq!((shards.totals().seeders, shards.totals().peers()), (seeders, peers));
    assert!(peers <= 30);
    let end = now + Duration::from_secs(5000);
    while shards.next_expiry().is_some_and(|due| due <= end) {
        shards.expire(end);
    }
    assert_eq!(shards.totals().peers(), 0, "none stays longer than one that announces now");
}

fn images(recovered: &mut Recovered<MemoryFiles>) -> Vec<(SwarmImage, Duration)> {
    std::iter::from_fn(|| recovered.next_image(UNIX_EPOCH + Duration::from_secs(2_000_000_000))).collect()
}

/// A file with a head, and a record of each part of the content: a byte for its length, and so many bytes.
fn with_checksums(magic: &[u8; 8], mut content: &[u8]) -> Vec<u8> {
    let mut file = [&magic[..], &1u16.to_le_bytes(), &[0; 16]].concat();
    file.extend(crc32fast::hash(&file).to_le_bytes());
    while let Some((&length, rest)) = content.split_first() {
        let (record, rest) = rest.split_at(rest.len().min(length.into()));
        file.extend((record.len() as u32).to_le_bytes());
        file.extend(crc32fast::hash(record).to_le_bytes());
        file.extend_from_slice(record);
        content = rest;
    }
    file
}

/// Files in memory. All clones are one.
#[derive(Debug, Clone, Default)]
struct MemoryFiles(Rc<RefCell<BTreeMap<String, Rc<RefCell<Vec<u8>>>>>>);

#[derive(Debug)]
enum MemoryFile {
    Read(Cursor<Vec<u8>>),
    Written(Rc<RefCell<Vec<u8>>>),
}

impl Files for MemoryFiles {
    type File = MemoryFile;

    fn names(&self) -> io::Result<Vec<String>> {
        Ok(self.0.borrow().keys().cloned().collect())
    }

    fn open(&self, name: &str) -> io::Result<MemoryFile> {
        let files = self.0.borrow();
        let content = files.get(name).ok_or(ErrorKind::NotFound)?.borrow().clone();
        Ok(MemoryFile::Read(Cursor::new(content)))
    }

    fn create(&self, name: &str) -> io::Result<MemoryFile> {
        let content = Rc::default();
        self.0.borrow_mut().insert(name.to_owned(), Rc::clone(&content));
        Ok(MemoryFile::Written(content))
    }

    fn sync(&self, _: &mut MemoryFile) -> io::Result<()> {
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let content = self.0.borrow_mut().remove(from).ok_or(ErrorKind::NotFound)?;
        self.0.borrow_mut().insert(to.to_owned(), content);
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.0.borrow_mut().remove(name).map(|_| ()).ok_or(ErrorKind::NotFound.into())
    }

    fn sync_folder(&self) -> io::Result<()> {
        Ok(())
    }

    fn path(&self, name: &str) -> PathBuf {
        name.into()
    }
}

impl Read for MemoryFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Read(content) => content.read(buffer),
            Self::Written(_) => Err(ErrorKind::Unsupported.into()),
        }
    }
}

impl Write for MemoryFile {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match self {
            Self::Read(_) => Err(ErrorKind::Unsupported.into()),
            Self::Written(content) => content.borrow_mut().write(buffer),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
