//! Reading .torrent files.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use anyhow::{Context, Result};
use metainfo::Metainfo;

/// The maximum bytes to read: more than any client reads. The parser has a lower limit of its own.
const MAX_BYTES: u64 = 128 << 20;

/// Reads the .torrent file at `path`, or standard input where that is `-`.
pub(crate) fn read(path: &Path) -> Result<Metainfo> {
    if path == Path::new("-") {
        let bytes = read_all(io::stdin().lock()).context("cannot read standard input")?;
        return Metainfo::parse(&bytes).context("cannot accept standard input");
    }
    let bytes = File::open(path).and_then(read_all).with_context(|| format!("cannot read {path:?}"))?;
    Metainfo::parse(&bytes).with_context(|| format!("cannot accept {path:?}"))
}

fn read_all(file: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(MAX_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}
