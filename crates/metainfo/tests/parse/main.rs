//! Reading, editing and linking torrents, through the public API.

mod edit;
mod keys;
mod magnet;
mod paths;
mod torrents;
