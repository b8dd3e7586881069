//! What people look at: the live web page of a tracker, its JSON API, and its stream of events.
//!
//! The dashboard observes. It has a [`tracker_core::ShardsView`], which cannot change a swarm: what
//! happens to the tracker on somebody's wish (start, stop, which torrents are known) goes through a [`Service`] and a
//! [`Library`], which the embedder wires to the tracker. All it keeps is bounded, and nobody who looks, slowly or not at all,
//! holds up an announce.

mod web;

pub use web::{Dashboard, DashboardConfig, Server};
