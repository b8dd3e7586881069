use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;
use metainfo::Metainfo;
use serde_json::Value;

/// A file of pseudo-random bytes, the same in every run, or a folder of them.
#[derive(Debug, Clone)]
pub(crate) struct Content {
    path: PathBuf,
    length: u64,
    /// The SHA-256 of each file, by its path below the folder, which is empty for a single file.
    sha256: Vec<(PathBuf, String)>,
}

impl Content {
    /// Makes a file of this many bytes, rounded down to a multiple of eight.
    pub(crate) fn write(folder: &Path, length: u64) -> Self {
        Self::write_files(&folder.join("content.bin"), &[("", length)])
    }

    /// Makes a folder with files of these names and lengths, or a file if the only name is empty.
    pub(crate) fn write_files(path: &Path, files: &[(&str, u64)]) -> Self {
        // SplitMix64.
        let mut state = 0x7261_636b_6572_u64;
        let mut content = Self { path: path.to_owned(), length: 0, sha256: Vec::new() };
        for &(name, length) in files {
            let path = content.path_of(Path::new(name));
            fs::create_dir_all(path.parent().expect("a file is in a folder")).expect("a folder can be made");
            let mut file = BufWriter::new(File::create_new(&path).expect("a file can be made"));
            for _ in 0..length / 8 {
                state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
                let mut word = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
                file.write_all(&(word ^ word >> 31).to_le_bytes()).expect("there is room for the content");
            }
            file.flush().expect("there is room for the content");
            content.length += length / 8 * 8;
            content.sha256.push((name.into(), sha256(&path)));
        }
        content
    }

    /// Puts a copy of a single file where a client will look for it.
    pub(crate) fn copy_to(&self, folder: &Path) {
        fs::copy(&self.path, folder.join(self.name())).expect("there is room for a copy");
    }

    /// Compares a copy in this folder.
    ///
    /// # Panics
    ///
    /// If it differs. An empty file may be missing.
    #[track_caller]
    pub(crate) fn assert_is_copied_to(&self, folder: &Path) {
        let copy = Self { path: folder.join(self.name()), ..self.clone() };
        for (name, expected) in &self.sha256 {
            let (original, copy) = (self.path_of(name), copy.path_of(name));
            let is_empty = fs::metadata(original).expect("the content is there").len() == 0;
            // Transmission does not make empty files.
            assert!(is_empty && !copy.exists() || sha256(&copy) == *expected, "the copy {} differs", copy.display());
        }
    }

    /// Bytes of all files.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// The name of the file or folder.
    pub(crate) fn name(&self) -> &str {
        self.path.file_name().and_then(OsStr::to_str).expect("a name in UTF-8")
    }

    fn path_of(&self, file: &Path) -> PathBuf {
        // Not `join` with an empty path, which adds a slash.
        if file.as_os_str().is_empty() { self.path.clone() } else { self.path.join(file) }
    }
}

/// A .torrent file, and what it describes.
#[derive(Debug)]
pub(crate) struct Torrent {
    content: Content,
    path: PathBuf,
    info_hash: String,
    piece_length: u32,
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
        Ok(Self {
            content: content.clone(),
            path,
            info_hash: info_hash.to_string(),
            piece_length: metainfo.info().piece_length(),
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// 40 hexadecimal digits.
    pub(crate) fn info_hash(&self) -> &str {
        &self.info_hash
    }

    /// Bytes in a piece.
    pub(crate) fn piece_length(&self) -> u32 {
        self.piece_length
    }

    /// What it describes.
    pub(crate) fn content(&self) -> &Content {
        &self.content
    }

    /// Bytes of content.
    pub(crate) fn length(&self) -> u64 {
        self.content.length
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
