//! `tracker backup` and `tracker restore`.

use std::fmt::Write;
use std::path::PathBuf;

use anyhow::{anyhow, bail};
use clap::Args;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use tracker::{DataFolder, DataFolderError, Existing, back_up, restore};

use crate::settings::{Data, Settings};

/// Write all that outlives the tracker to one file
///
/// Whether a tracker runs or not: registered torrents, names of computers, and what else is in the data folder. Not what is shared,
/// nor the settings file, nor a folder of .torrent files that --torrents names. The file is a tar archive that only you may read.
#[derive(Debug, Clone, Args)]
pub(crate) struct Backup {
    /// The file to write
    file: PathBuf,

    /// Replace the file if it exists
    #[arg(long)]
    force: bool,

    #[command(flatten)]
    place: Place,
}

/// Put back what is in a backup
///
/// While no tracker uses the data folder. The whole backup is checked first. What is in the folder now is moved into a folder in it,
/// before-restore-DATE, which you may remove.
#[derive(Debug, Clone, Args)]
pub(crate) struct Restore {
    /// The backup
    file: PathBuf,

    #[command(flatten)]
    place: Place,
}

/// Which data folder is meant: that of the tracker with the same settings.
#[derive(Debug, Clone, Args)]
pub(crate) struct Place {
    /// The tracker's data folder [default: the platform's folder for local data]
    #[arg(long, value_name = "DIR", env = "TRACKER_DATA", hide_env = true)]
    data: Option<PathBuf>,

    /// The tracker's settings file
    #[arg(long, value_name = "FILE", env = "TRACKER_CONFIG", hide_env = true)]
    config: Option<PathBuf>,
}

impl Backup {
    /// Writes the backup, and returns what to print.
    pub(crate) fn run(&self) -> anyhow::Result<String> {
        let folder = self.place.folder()?;
        let existing = if self.force { Existing::Replace } else { Existing::Keep };
        let summary = back_up(&folder, &self.file, existing)?;
        let (folder, file) = (folder.display(), self.file.display());
        let mut text = format!("{} ({} bytes) of {folder} are in {file}\n", files(summary.files), summary.bytes);
        for path in summary.passed_over {
            _ = writeln!(text, "not in it, since it is no regular file: {}", path.display());
        }
        Ok(text)
    }
}

impl Restore {
    /// Restores the backup, and returns what to print.
    pub(crate) fn run(&self) -> anyhow::Result<String> {
        let folder = self.place.folder()?;
        let data = DataFolder::open(&folder).map_err(|error| match error {
            DataFolderError::InUse { .. } => anyhow!("{error}: stop it first, or name another folder with --data DIR"),
            error => error.into(),
        })?;
        let summary = restore(&data, &self.file)?;
        let (folder, file) = (folder.display(), self.file.display());
        let mut text = format!("{} of {file}{} are in {folder}\n", files(summary.files), of_time(summary.written));
        if let Some(before) = summary.before {
            _ = writeln!(text, "what was there before is in {}", before.display());
        }
        Ok(text)
    }
}

impl Place {
    /// The folder.
    pub(crate) fn folder(&self) -> anyhow::Result<PathBuf> {
        let mut settings = self.config.as_deref().map(Settings::read).transpose()?.unwrap_or_default();
        if let Some(data) = &self.data {
            settings.set_data(data.clone());
        }
        match settings.data() {
            Data::Folder(folder) | Data::Default(folder) => Ok(folder),
            Data::None => bail!("with --data none nothing outlives the tracker: name its data folder with --data DIR"),
        }
    }
}

fn files(number: usize) -> String {
    if number == 1 { "1 file".to_owned() } else { format!("{number} files") }
}

/// The time of a backup for people, if it is one.
fn of_time(seconds: u64) -> String {
    let time = i64::try_from(seconds).ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    time.map(|time| format!(", written {}", time.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S")))
        .unwrap_or_default()
}
