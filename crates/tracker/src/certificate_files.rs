//! The files of the certificate, which are read again when they change.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use torrent_library::{Due, Stamp, WatchedFile};
use tracker_host::HealthReport;
use tracker_http::{Tls, TlsError};

use crate::keeper_thread::{KeeperThread, chain_without_folders};

/// The maximum size of each file, in bytes. A certificate with those that signed it has some thousand.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// The interval at which the files are checked for changes. A change counts when it was seen twice.
const PERIOD: Duration = Duration::from_millis(500);

/// The files of a certificate and its key, and what is served of them.
#[derive(Debug)]
pub(crate) struct CertificateFiles {
    certificate: PathBuf,
    key: PathBuf,
    watched: [WatchedFile; 2],
    tls: Tls,
}

/// Files of a certificate and its key that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateFileError {
    /// One of them cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// One of them is too long.
    #[error("{} has more than {limit} bytes, so that it is no certificate or key", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
        /// The maximum size in bytes.
        limit: u64,
    },
    /// They are no certificate and its key.
    #[error("cannot use the certificate {} with the key {}", certificate.display(), key.display())]
    Unusable {
        /// The file of the certificate.
        certificate: PathBuf,
        /// The file of the key.
        key: PathBuf,
        /// What is wrong.
        source: Box<TlsError>,
    },
}

/// Checks that these files are a certificate and its key, as the start does.
///
/// # Errors
///
/// Returns [`CertificateFileError`] if they are not, or cannot be read.
pub fn check_certificate(certificate: &Path, key: &Path) -> Result<(), CertificateFileError> {
    CertificateFiles::open(certificate.to_owned(), key.to_owned()).map(drop)
}

impl CertificateFiles {
    /// Reads the files.
    pub(crate) fn open(certificate: PathBuf, key: PathBuf) -> Result<Self, CertificateFileError> {
        let stamps = [&certificate, &key].map(|path| Stamp::of(path));
        let unusable = |source: TlsError| CertificateFileError::Unusable {
            certificate: certificate.clone(),
            key: key.clone(),
            source: source.into(),
        };
        let tls = Tls::new(&read(&certificate)?, &read(&key)?).map_err(unusable)?;
        Ok(Self { certificate, key, watched: stamps.map(WatchedFile::read), tls })
    }

    /// What is served.
    pub(crate) fn tls(&self) -> &Tls {
        &self.tls
    }

    /// Reads the files again when they change, until the thread ends.
    pub(crate) fn watch(mut self, health: HealthReport) -> io::Result<KeeperThread> {
        KeeperThread::spawn("certificate", move |ended| {
            while matches!(ended.recv_timeout(PERIOD), Err(RecvTimeoutError::Timeout)) {
                self.look(&health);
            }
        })
    }

    fn look(&mut self, health: &HealthReport) {
        let [certificate, key] = &mut self.watched;
        // Both, since both may have changed.
        let due = [certificate.look(Stamp::of(&self.certificate)), key.look(Stamp::of(&self.key))];
        if due.iter().all(Option::is_none) {
            return;
        }
        let read = self.read_again();
        let retry = matches!(read, Err(CertificateFileError::Read { .. }));
        self.watched.iter_mut().for_each(|file| file.set_retry(retry));
        match read {
            Ok(()) => {
                health.clear();
                tracing::info!("the certificate was read again: browsers that come now are shown the new one");
            }
            Err(error) => {
                let text = chain_without_folders(&error, &[&self.certificate, &self.key]);
                let problem = format!("{text}; the previous certificate stays in use");
                // Otherwise that was said before.
                if due.contains(&Some(Due::Changed)) {
                    tracing::warn!(event = "certificate_unusable", "{problem}");
                }
                health.failed(problem);
            }
        }
    }

    fn read_again(&self) -> Result<(), CertificateFileError> {
        let (certificate, key) = (read(&self.certificate)?, read(&self.key)?);
        self.tls.replace(&certificate, &key).map_err(|source| CertificateFileError::Unusable {
            certificate: self.certificate.clone(),
            key: self.key.clone(),
            source: source.into(),
        })
    }
}

fn read(path: &Path) -> Result<Vec<u8>, CertificateFileError> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes));
    read.map_err(|source| CertificateFileError::Read { path: path.to_owned(), source })?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(CertificateFileError::TooLong { path: path.to_owned(), limit: MAX_FILE_BYTES });
    }
    Ok(bytes)
}
