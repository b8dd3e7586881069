//! Tests of the dashboard's pages and API, without a socket where none is needed.

mod bad_requests;
mod base_path;
mod changed_files;
mod clients;
mod description;
mod events;
mod lessons;
mod manage;
mod metrics;
mod pages;
mod paths;
mod public;
mod reach;
mod seeding;
mod seen;
mod sign_in;
mod site;
mod support;
mod torrents;
mod transfer;
mod transfer_limits;
mod users;
mod web_seeds;
mod withdrawn;
mod zips;
