//! Settings as a file.

use std::any::TypeId;
#[cfg(unix)]
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::num::NonZeroUsize;
use std::path::Path;

use anyhow::{Context, bail, ensure};
use clap::Command;
use toml::Table;

use super::Settings;

/// The maximum size of a settings file, in bytes.
const MAX_FILE_BYTES: u64 = 1 << 20;

impl Settings {
    /// Reads a settings file; what it does not set has its default. Relative paths in it start from its own folder.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let cannot_read = || format!("cannot read the settings file {}", path.display());
        let bytes = fs::metadata(path).with_context(cannot_read)?.len();
        ensure!(bytes <= MAX_FILE_BYTES, "{}: a settings file has at most {MAX_FILE_BYTES} bytes", path.display());
        let text = fs::read_to_string(path).with_context(cannot_read)?;
        let mut settings: Self = match toml::from_str(&text) {
            Ok(settings) => settings,
            Err(error) => {
                let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
                let line = before.matches('\n').count() + 1;
                // The messages of the TOML parser may have several lines.
                bail!("{}:{line}: {}", path.display(), error.message().replace('\n', ", "));
            }
        };
        let folder = path.parent().unwrap_or_else(|| Path::new(""));
        for path in settings.paths().into_iter().flatten() {
            *path = folder.join(&path);
        }
        Ok(settings)
    }

    /// The settings of which these have another value than `before`, as they are written in a file. Sorted.
    #[cfg(unix)]
    pub(crate) fn changed(&self, before: &Self) -> anyhow::Result<BTreeSet<String>> {
        let [before, after] = [Table::try_from(before)?, Table::try_from(self)?];
        let is_changed = |key: &&String| before.get(*key) != after.get(*key);
        Ok(before.keys().chain(after.keys()).filter(is_changed).cloned().collect())
    }

    /// The settings as a file that [`Settings::read`] takes. The comments are the help texts of the flags. What is computed and
    /// was not set is a comment, so that it is computed anew wherever the file is used.
    pub(crate) fn to_toml(&self) -> anyhow::Result<String> {
        let set = Table::try_from(self).context("the settings cannot be written as TOML")?;
        let data = self.data().path().map(Path::to_owned).or_else(|| self.data.clone());
        let computed = Table::try_from(Self { threads: Some(self.threads()), data, ..self.clone() })?;
        let mut text = String::from("# Settings of tracker. Each is also a flag, and an environment variable.\n");
        for arg in Self::arguments(Command::new("tracker")).get_arguments() {
            let key = arg.get_long().expect("every setting has a long flag");
            let help =
                arg.get_long_help().or_else(|| arg.get_help()).expect("every setting has a help text").to_string();
            text.push('\n');
            help.split("\n\n").for_each(|paragraph| comment(&mut text, paragraph));
            if let Some(value) = set.get(key) {
                writeln!(text, "{key} = {value}")?;
            } else if let Some(value) = computed.get(key) {
                writeln!(text, "# {key} = {value}")?;
            } else {
                let name = arg.get_value_names().and_then(|names| names.first()).expect("only switches have no value");
                let is_number = arg.get_value_parser().type_id() == TypeId::of::<NonZeroUsize>();
                let quote = if is_number { "" } else { "\"" };
                writeln!(text, "# {key} = {quote}{name}{quote}")?;
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
