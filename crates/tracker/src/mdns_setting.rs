//! The name that the page has on the LAN, as it is written in settings.

use std::fmt::{self, Display};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use tracker_host::{MdnsName, ParseMdnsNameError};

/// The value of `--mdns`: a name, or nothing, so that none is taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct MdnsSetting(pub(crate) Option<MdnsName>);

impl FromStr for MdnsSetting {
    type Err = ParseMdnsNameError;

    fn from_str(text: &str) -> Result<Self, ParseMdnsNameError> {
        if text.is_empty() { Ok(Self(None)) } else { Ok(Self(Some(text.parse()?))) }
    }
}

impl TryFrom<String> for MdnsSetting {
    type Error = ParseMdnsNameError;

    fn try_from(text: String) -> Result<Self, ParseMdnsNameError> {
        text.parse()
    }
}

impl From<MdnsSetting> for String {
    fn from(setting: MdnsSetting) -> Self {
        setting.to_string()
    }
}

impl Display for MdnsSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |name| name.fmt(f))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_or_nothing() {
        for (text, name) in [("", None), ("tracker", Some("tracker.local")), ("Lab-2", Some("lab-2.local"))] {
            let setting: MdnsSetting = text.parse().unwrap();
            assert_eq!(setting.0.as_ref().map(MdnsName::in_local).as_deref(), name);
            assert_eq!(String::from(setting), text.to_ascii_lowercase());
        }
        for text in ["tracker.local", " ", "-"] {
            let error = text.parse::<MdnsSetting>().unwrap_err().to_string();
            assert!(error.contains("without .local"), "{error}");
        }
    }
}
