//! The path under which a reverse proxy offers the tracker, as it is written in settings.

use std::fmt::{self, Display};
use std::str::FromStr;

use dashboard::{BasePath, ParseBasePathError, conflicts_with_page};
use serde::{Deserialize, Serialize};

/// The value of `--base-path`: a [`BasePath`] that is not the path of a page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct BasePathSetting(pub(crate) BasePath);

/// A text that is no such path.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ParseBasePathSettingError {
    #[error(transparent)]
    Malformed(#[from] ParseBasePathError),
    #[error("the tracker has pages of its own under {base_path}: choose another path, such as /tracker")]
    Conflict { base_path: BasePath },
}

impl FromStr for BasePathSetting {
    type Err = ParseBasePathSettingError;

    fn from_str(text: &str) -> Result<Self, ParseBasePathSettingError> {
        let base_path: BasePath = text.parse()?;
        if conflicts_with_page(&base_path) {
            return Err(ParseBasePathSettingError::Conflict { base_path });
        }
        Ok(Self(base_path))
    }
}

impl TryFrom<String> for BasePathSetting {
    type Error = ParseBasePathSettingError;

    fn try_from(text: String) -> Result<Self, ParseBasePathSettingError> {
        text.parse()
    }
}

impl From<BasePathSetting> for String {
    fn from(base_path: BasePathSetting) -> Self {
        base_path.to_string()
    }
}

impl Display for BasePathSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_no_path_of_a_page() {
        assert_eq!("/lab/tracker".parse::<BasePathSetting>().unwrap().to_string(), "/lab/tracker");
        for (text, words) in [
            ("/manage", "has pages of its own under /manage"),
            ("/announce", "has pages of its own"),
            ("tracker", "begins with a slash"),
            ("/tracker/", "does not end with a slash"),
        ] {
            let error = text.parse::<BasePathSetting>().unwrap_err().to_string();
            assert!(error.contains(words), "{text}: {error}");
        }
    }
}
