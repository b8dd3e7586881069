//! Settings as a file.

use std::fmt::{Display, Write as _};
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, bail, ensure};
use clap::{Args, Command};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serializer};

use super::{Layer, Settings};

/// Bytes of a settings file, at most.
const MAX_FILE_BYTES: u64 = 1 << 20;

impl Layer {
    /// Reads a settings file. Its relative paths start from its own folder.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let cannot_read = || format!("cannot read the settings file {}", path.display());
        let bytes = fs::metadata(path).with_context(cannot_read)?.len();
        ensure!(bytes <= MAX_FILE_BYTES, "{}: a settings file has at most {MAX_FILE_BYTES} bytes", path.display());
        let text = fs::read_to_string(path).with_context(cannot_read)?;
        let layer: Self = match toml::from_str(&text) {
            Ok(layer) => layer,
            Err(error) => {
                let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
                let line = before.matches('\n').count() + 1;
                // The messages of the TOML parser may have several lines.
                bail!("{}:{line}: {}", path.display(), error.message().replace('\n', ", "));
            }
        };
        let folder = path.parent().unwrap_or_else(|| Path::new(""));
        let from_folder = |path: PathBuf| folder.join(path);
        Ok(Self {
            torrents: layer.torrents.map(from_folder),
            share: layer.share.map(from_folder),
            allow_list: layer.allow_list.map(from_folder),
            deny_list: layer.deny_list.map(from_folder),
            ..layer
        })
    }
}

impl Settings {
    /// The settings as a file that [`Layer::read`] takes. The comments are the help texts of the flags.
    pub(crate) fn to_toml(&self) -> anyhow::Result<String> {
        let table = toml::Table::try_from(self).context("the settings cannot be written as TOML")?;
        let mut text = String::from("# Settings of tracker. Each is also a flag, and an environment variable.\n");
        for arg in Layer::augment_args(Command::new("tracker")).get_arguments() {
            let key = arg.get_long().expect("every setting has a long flag");
            let help = arg.get_help().expect("every setting has a help text").to_string();
            text.push('\n');
            comment(&mut text, &help);
            match table.get(key) {
                Some(value) => writeln!(text, "{key} = {value}")?,
                None => {
                    let name =
                        arg.get_value_names().and_then(|names| names.first()).expect("only paths have no default");
                    writeln!(text, "# {key} = \"{name}\"")?;
                }
            }
        }
        Ok(text)
    }
}

/// Adds `words` as comment lines of up to 100 characters.
fn comment(text: &mut String, words: &str) {
    let mut width = usize::MAX;
    for word in words.split_whitespace() {
        let word_width = word.chars().count() + 1;
        if width.saturating_add(word_width) > 100 {
            text.push_str(if width == usize::MAX { "#" } else { "\n#" });
            width = 1;
        }
        text.push(' ');
        text.push_str(word);
        width += word_width;
    }
    text.push('\n');
}

pub(super) fn from_texts<'de, D, T>(deserializer: D) -> Result<Option<Vec<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: Display>,
{
    let parse =
        |text: &String| text.parse().map_err(|error| D::Error::custom(format_args!("invalid value {text:?}: {error}")));
    Vec::<String>::deserialize(deserializer)?.iter().map(parse).collect::<Result<_, _>>().map(Some)
}

pub(super) fn to_texts<S: Serializer>(values: &[impl Display], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(values.iter().map(ToString::to_string))
}
