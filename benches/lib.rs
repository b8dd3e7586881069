//! See the `[[bench]]` entries.
