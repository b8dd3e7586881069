//! Creates or verifies a torrent with the given path of sha1-lanes, on two threads. With it
//! `benches/peers/make-torrent` measures what a CPU without AVX-512 would take.
//!
//! ```text
//! by_path avx2 create CONTENT TORRENT
//! by_path avx2 verify CONTENT TORRENT
//! ```

use std::env;
use std::error::Error;
use std::fs;
use std::num::NonZeroUsize;
use std::sync::atomic::AtomicBool;

use metainfo::{Create, Metainfo, PieceLength, Verify};
use sha1_lanes::{Engine, Path};

/// The bytes of a piece, as in the comparison.
const PIECE_LENGTH: u64 = 1 << 20;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [path, action, content, torrent] = &arguments[..] else {
        return Err("usage: by_path PATH create|verify CONTENT TORRENT".into());
    };
    let engine = Engine::with_path(path.parse::<Path>()?)?;
    let threads = NonZeroUsize::new(2).expect("not zero");
    let never = AtomicBool::new(false);
    match action.as_str() {
        "create" => {
            let create = Create::new(content).piece_length(PieceLength::try_from(PIECE_LENGTH)?);
            let created = create.threads(threads).engine(engine).plan()?.hash(&never, |_| ())?;
            fs::write(torrent, created.as_bytes())?;
        }
        "verify" => {
            let metainfo = Metainfo::parse(&fs::read(torrent)?)?;
            let report = Verify::new(&metainfo, content).threads(threads).engine(engine).run(&never, |_| ())?;
            if !report.is_complete() {
                return Err("the content is not that of the torrent".into());
            }
        }
        _ => return Err(format!("no such action {action:?}: use create or verify").into()),
    }
    Ok(())
}
