//! What the store needs of a file system.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// The files of one folder, by their names: what the store needs of a file system. [`SystemFiles`] are those of the operating system;
/// others are for tests.
pub trait Files: Clone + fmt::Debug {
    /// An open file.
    type File: Read + Write + fmt::Debug;

    /// The names of all files.
    ///
    /// # Errors
    ///
    /// Returns the error of the system, as all of these do.
    fn names(&self) -> io::Result<Vec<String>>;

    /// Opens a file to read it.
    ///
    /// # Errors
    ///
    /// There is no such file, or it cannot be read.
    fn open(&self, name: &str) -> io::Result<Self::File>;

    /// Makes a file to write it.
    ///
    /// # Errors
    ///
    /// There is such a file, or it cannot be made.
    fn create(&self, name: &str) -> io::Result<Self::File>;

    /// Makes what was written survive a power failure. After an error nobody knows what does, also if the next call succeeds.
    ///
    /// # Errors
    ///
    /// The system cannot write it.
    fn sync(&self, file: &mut Self::File) -> io::Result<()>;

    /// Renames a file, and replaces the one that has the name.
    ///
    /// # Errors
    ///
    /// It is as it was then.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    ///
    /// It is as it was then.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes the names of files survive a power failure.
    ///
    /// # Errors
    ///
    /// The system cannot write them. A system that has no such thing returns none.
    fn sync_folder(&self) -> io::Result<()>;

    /// The path of a file, for people.
    fn path(&self, name: &str) -> PathBuf;
}

/// The files of a folder of the operating system. On Unix only their owner may read those that are made.
#[derive(Debug, Clone)]
pub struct SystemFiles(PathBuf);

impl SystemFiles {
    /// Those of this folder, which exists.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self(folder.into())
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Files for SystemFiles {
    type File = File;

    fn names(&self) -> io::Result<Vec<String>> {
        // Those that the store gives are text.
        let name = |entry: io::Result<fs::DirEntry>| entry.map(|entry| entry.file_name().into_string().ok());
        fs::read_dir(&self.0)?.map(name).filter_map(Result::transpose).collect()
    }

    fn open(&self, name: &str) -> io::Result<File> {
        File::open(self.at(name))
    }

    fn create(&self, name: &str) -> io::Result<File> {
        let mut options = File::options();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(self.at(name))
    }

    fn sync(&self, file: &mut File) -> io::Result<()> {
        file.sync_all()
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.at(from), self.at(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.at(name))
    }

    fn sync_folder(&self) -> io::Result<()> {
        sync_folder(&self.0)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.at(name)
    }
}

#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    match File::open(folder)?.sync_all() {
        // Not every file system can.
        Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => Ok(()),
        result => result,
    }
}

/// Folders cannot be opened as files.
#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}
