//! Tests of the dashboard's pages and API, without a socket where none is needed.

mod bad_requests;
mod description;
mod events;
mod lessons;
mod manage;
mod metrics;
mod pages;
mod public;
mod reach;
mod support;
mod torrents;
mod transfer;
mod web_seeds;
mod zips;
