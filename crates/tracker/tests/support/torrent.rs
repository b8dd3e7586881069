use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;
use metainfo::Metainfo;
use serde_json::Value;

/// A file of pseudo-random bytes, the same in every run.
#[derive(Debug, Clone)]
pub(crate) struct Content {
    path: PathBuf,
    length: u64,
    sha256: String,
}

impl Content {
    const NAME: &str = "content.bin";

    pub(crate) fn write(folder: &Path, length: u64) -> Self {
        let path = folder.join(Self::NAME);
        let mut file = BufWriter::new(File::create_new(&path).expect("a file can be made"));
        // SplitMix64.
        let mut state = 0x7261_636b_6572_u64;
        for _ in 0..length / 8 {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut word = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
            file.write_all(&(word ^ word >> 31).to_le_bytes()).expect("there is room for the content");
        }
        file.flush().expect("there is room for the content");
        Self { sha256: sha256(&path), length: length / 8 * 8, path }
    }

    /// Puts a copy where a client will look for it.
    pub(crate) fn copy_to(&self, folder: &Path) {
        fs::copy(&self.path, folder.join(Self::NAME)).expect("there is room for a copy");
    }
}

/// A .torrent file, and what it describes.
#[derive(Debug)]
pub(crate) struct Torrent {
    content: Content,
    path: PathBuf,
    info_hash: String,
}

impl Torrent {
    /// Has make-torrent describe the content for clients that reach the tracker by this URL.
    pub(crate) fn make(content: &Content, name: &str, announce: &str) -> Self {
        let path = content.path.with_file_name(name).with_extension("torrent");
        make_torrent([Path::new("--announce"), announce.as_ref(), "--output".as_ref(), &path, &content.path]);
        Self::read(content, path).expect("make-torrent makes .torrent files")
    }

    /// A .torrent file that describes the content, wherever it is from.
    pub(crate) fn read(content: &Content, path: PathBuf) -> anyhow::Result<Self> {
        let metainfo = Metainfo::parse(&fs::read(&path)?)?;
        let info_hash = metainfo.info_hashes().v1.context("a torrent without an info-hash of version 1")?;
        Ok(Self { content: content.clone(), path, info_hash: info_hash.to_string() })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// 40 hexadecimal digits.
    pub(crate) fn info_hash(&self) -> &str {
        &self.info_hash
    }

    /// The name of the file that it describes.
    pub(crate) fn name(&self) -> &str {
        Content::NAME
    }

    /// Bytes of content.
    pub(crate) fn length(&self) -> u64 {
        self.content.length
    }

    /// The SHA-256 of the content.
    pub(crate) fn sha256(&self) -> &str {
        &self.content.sha256
    }
}

/// The SHA-256 of a file, by coreutils.
pub(crate) fn sha256(path: &Path) -> String {
    let output = Command::new("sha256sum").arg(path).output().expect("sha256sum can be run");
    assert!(output.status.success(), "sha256sum: {}", String::from_utf8_lossy(&output.stderr));
    let line = String::from_utf8_lossy(&output.stdout);
    line.split(' ').next().unwrap_or_default().to_owned()
}

/// Runs the workspace's make-torrent.
fn make_torrent<'a>(arguments: impl IntoIterator<Item = &'a Path>) {
    let program = build_make_torrent().expect("make-torrent can be built");
    let output = Command::new(program).args(arguments).output().expect("make-torrent can be run");
    assert!(output.status.success(), "make-torrent: {}", String::from_utf8_lossy(&output.stderr));
}

/// Builds make-torrent, since Cargo gives a test only the binaries of its own package, and returns where it is.
fn build_make_torrent() -> anyhow::Result<PathBuf> {
    let output = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--package", "make-torrent", "--message-format", "json"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()?;
    anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let messages = serde_json::Deserializer::from_slice(&output.stdout).into_iter::<Value>();
    let program = messages.flatten().find_map(|message| message["executable"].as_str().map(PathBuf::from));
    program.context("Cargo names no executable")
}
