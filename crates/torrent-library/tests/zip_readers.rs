//! Archives of shared folders, read by the programs that people have: Info-ZIP's unzip, 7-Zip, bsdtar (libarchive) and Python.
//!
//! They are installed by `.ci/install-clients`, or on Debian by `apt-get install unzip p7zip-full libarchive-tools python3`. Run
//! the tests with
//!
//!     cargo test -p torrent-library --test zip_readers -- --ignored --skip nightly::

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use tempfile::TempDir;
use torrent_library::{Content, Share, Zip};

/// A program that reads archives. In its arguments, `ZIP` is the archive, and `DIR` a folder to unpack it into.
struct Reader {
    name: &'static str,
    program: &'static str,
    unpack: &'static [&'static str],
    /// Reads all of it and compares the checksums.
    test: &'static [&'static str],
    /// `true` if it gets the archive through a pipe, in which it cannot look ahead at the directory.
    is_piped: bool,
}

const READERS: [Reader; 5] = [
    Reader {
        name: "Info-ZIP",
        program: "unzip",
        unpack: &["-q", "ZIP", "-d", "DIR"],
        test: &["-tq", "ZIP"],
        is_piped: false,
    },
    Reader { name: "7-Zip", program: "7z", unpack: &["x", "-y", "-oDIR", "ZIP"], test: &["t", "ZIP"], is_piped: false },
    Reader {
        name: "bsdtar",
        program: "bsdtar",
        unpack: &["-xf", "ZIP", "-C", "DIR"],
        test: &["-xOf", "ZIP"],
        is_piped: false,
    },
    Reader {
        name: "bsdtar, through a pipe",
        program: "bsdtar",
        unpack: &["-xf", "-", "-C", "DIR"],
        test: &["-xOf", "-"],
        is_piped: true,
    },
    Reader {
        name: "Python",
        program: "python3",
        unpack: &["-c", "import sys, zipfile; zipfile.ZipFile(sys.argv[1]).extractall(sys.argv[2])", "ZIP", "DIR"],
        test: &["-c", "import sys, zipfile; sys.exit(zipfile.ZipFile(sys.argv[1]).testzip())", "ZIP"],
        is_piped: false,
    },
];

impl Reader {
    #[track_caller]
    fn run(&self, args: &[&str], archive: &Path, folder: &Path) {
        let args = args
            .iter()
            .map(|arg| arg.replace("ZIP", archive.to_str().unwrap()).replace("DIR", folder.to_str().unwrap()));
        let mut command = Command::new(self.program);
        // Names are shown, and on some systems stored, in the locale's character set.
        command.args(args).env("LC_ALL", "C.UTF-8").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut cat = None;
        if self.is_piped {
            let mut running = Command::new("cat").arg(archive).stdout(Stdio::piped()).spawn().unwrap();
            command.stdin(running.stdout.take().unwrap());
            cat = Some(running);
        }
        let output = command.output().unwrap_or_else(|error| panic!("cannot run {}: {error}", self.program));
        if let Some(mut cat) = cat {
            cat.wait().unwrap();
        }
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{} cannot read it: {errors}", self.name);
        assert!(errors.is_empty(), "{} warns: {errors}", self.name);
    }

    /// What the archive has when it is unpacked: paths and data.
    #[track_caller]
    fn unpack(&self, archive: &Path) -> BTreeMap<String, Vec<u8>> {
        let folder = tempfile::tempdir().unwrap();
        self.run(self.unpack, archive, folder.path());
        let mut files = BTreeMap::new();
        let mut folders = vec![folder.path().to_owned()];
        while let Some(next) = folders.pop() {
            for entry in fs::read_dir(next).unwrap() {
                let entry = entry.unwrap();
                if entry.file_type().unwrap().is_dir() {
                    folders.push(entry.path());
                } else {
                    let path = entry.path().strip_prefix(folder.path()).unwrap().to_str().unwrap().to_owned();
                    files.insert(path, fs::read(entry.path()).unwrap());
                }
            }
        }
        files
    }
}

/// A share folder, and a place for archives.
struct Sandbox {
    place: TempDir,
}

impl Sandbox {
    fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        fs::create_dir(place.path().join("share")).unwrap();
        Self { place }
    }

    fn path(&self, path: &str) -> PathBuf {
        let path = self.place.path().join("share").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        path
    }

    /// Writes the archive of a folder. It has holes where it has nothing but zeros.
    fn archive(&self, folder: &str) -> PathBuf {
        let share = Share::open(self.place.path().join("share")).unwrap();
        let zip = Zip::whole(Arc::new(Content::list(&share, folder).unwrap())).unwrap();
        let path = self.place.path().join("archive.zip");
        let (len, mut file, mut reader) = (zip.len(), File::create(&path).unwrap(), zip.reader());
        let mut buffer = vec![0; 1 << 20];
        loop {
            let read = reader.read(&mut buffer).unwrap();
            match &buffer[..read] {
                [] => break,
                zeros if zeros.iter().all(|&byte| byte == 0) => _ = file.seek(SeekFrom::Current(read as i64)).unwrap(),
                bytes => file.write_all(bytes).unwrap(),
            }
        }
        assert_eq!(file.metadata().unwrap().len(), len, "the length that was known before");
        path
    }
}

#[test]
#[ignore = "needs unzip, 7z, bsdtar and python3"]
fn every_program_reads_what_is_in_a_folder() {
    let sandbox = Sandbox::new();
    // An archive in the archive, stored as it is: it looks as if it were a part.
    fs::write(sandbox.path("inner/a.txt"), "PK\x07\x08 in a file").unwrap();
    fs::copy(sandbox.archive("inner"), sandbox.path("Kurs #2 – Übung & mehr/nested.zip")).unwrap();
    let large: Vec<u8> = (0..3_000_000u32).flat_map(u32::to_le_bytes).collect();
    for (path, data) in [
        ("empty", &b""[..]),
        ("Übung 1 – a+b & c#d %41 (x).txt", b"1"),
        ("日本/語.bin", &large),
        ("deep/er/and/deeper/x", b"x"),
        ("What is DNS?.txt", b"dns"),
        ("aux/nul.txt", b"device"),
        ("dots.../space /y", b"y"),
        ("Twin", b"first"),
        ("twin", b"second"),
        ("-rf", b"an option"),
    ] {
        fs::write(sandbox.path(&format!("Kurs #2 – Übung & mehr/{path}")), data).unwrap();
    }
    let archive = sandbox.archive("Kurs #2 – Übung & mehr");
    let nested = fs::read(sandbox.path("Kurs #2 – Übung & mehr/nested.zip")).unwrap();
    let expected: BTreeMap<String, Vec<u8>> = [
        ("empty", &b""[..]),
        ("nested.zip", &nested),
        ("Übung 1 – a+b & c#d %41 (x).txt", b"1"),
        ("日本/語.bin", &large),
        ("deep/er/and/deeper/x", b"x"),
        ("What is DNS_.txt", b"dns"),
        ("_aux/_nul.txt", b"device"),
        ("dots___/space_/y", b"y"),
        ("Twin", b"first"),
        ("twin (2)", b"second"),
        ("-rf", b"an option"),
    ]
    .into_iter()
    .map(|(path, data)| (format!("Kurs #2 – Übung & mehr/{path}"), data.to_vec()))
    .collect();
    for reader in &READERS {
        reader.run(reader.test, &archive, sandbox.place.path());
        let unpacked = reader.unpack(&archive);
        assert_eq!(unpacked.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>(), "{}", reader.name);
        assert!(unpacked == expected, "{} unpacks other data", reader.name);
    }
}

mod nightly {
    use super::*;

    /// A file of more than 4 GiB, one that begins beyond 4 GiB, and a directory there.
    #[test]
    #[ignore = "needs unzip, 7z, bsdtar and python3"]
    fn every_program_reads_a_folder_of_five_gigabytes() {
        let sandbox = Sandbox::new();
        fs::write(sandbox.path("course/a first.txt"), "first").unwrap();
        File::create(sandbox.path("course/large.img")).unwrap().set_len(5_000_000_000).unwrap();
        fs::write(sandbox.path("course/z last.txt"), "last").unwrap();
        let archive = sandbox.archive("course");
        for reader in &READERS {
            reader.run(reader.test, &archive, sandbox.place.path());
        }
    }

    /// More files than a directory of the original format can have.
    #[test]
    #[ignore = "needs unzip, 7z, bsdtar and python3"]
    fn every_program_reads_a_folder_of_seventy_thousand_files() {
        let sandbox = Sandbox::new();
        for number in 0..70_000 {
            fs::write(sandbox.path(&format!("course/{}/{number}", number / 1000)), number.to_string()).unwrap();
        }
        let archive = sandbox.archive("course");
        for reader in &READERS {
            reader.run(reader.test, &archive, sandbox.place.path());
        }
    }
}
