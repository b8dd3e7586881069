//! Who may look at the dashboard, as it is written in settings.

use clap::ValueEnum;
use dashboard::Viewers;
use serde::{Deserialize, Serialize};

/// Who may look at the dashboard and download, beside operators.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ViewersSetting {
    #[default]
    Lan,
    Login,
    None,
}

impl From<ViewersSetting> for Viewers {
    fn from(setting: ViewersSetting) -> Self {
        match setting {
            ViewersSetting::Lan => Self::Lan,
            ViewersSetting::Login => Self::Login,
            ViewersSetting::None => Self::None,
        }
    }
}
