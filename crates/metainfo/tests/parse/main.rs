//! Reading, editing and linking torrents, through the public API.

mod damage;
mod edit;
mod invariants;
mod keys;
mod magnet;
mod paths;
mod torrents;
