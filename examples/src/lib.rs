//! See the `[[example]]` entries.
