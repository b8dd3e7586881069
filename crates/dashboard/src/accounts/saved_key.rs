//! The key of a user in the file of accounts.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use tracker_core::UserKey;

/// A new key.
pub(super) fn draw() -> UserKey {
    UserKey::new(rand::random())
}

pub(super) fn serialize<S: Serializer>(key: &Option<UserKey>, serializer: S) -> Result<S::Ok, S::Error> {
    key.map(|key| key.to_string()).serialize(serializer)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<UserKey>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(|text| text.parse().map_err(de::Error::custom)).transpose()
}
