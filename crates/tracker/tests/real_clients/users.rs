//! A tracker for users: clients announce with the keys in their .torrent files.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};
use serde_json::Value;

use super::{Client, Content, Generation, LEECHERS, Lan, MB, PROGRAMS, QBittorrent, Torrent, Tracker};
use crate::support::client::{START, download, seed};
use crate::support::http::Request;
use crate::support::wait::wait_for;

/// Makes a user beside the tracker, and returns the key.
fn add(name: &str, data: &Path) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tracker"));
    let output = command.args(["users", "add", name, "--data"]).arg(data).output().expect("the program runs");
    let said = String::from_utf8(output.stdout).expect("it says text");
    let key = said.lines().find_map(|line| line.trim().strip_prefix("/announce/"));
    key.unwrap_or_else(|| panic!("no key in {said:?}")).to_owned()
}

/// What the tracker knows of a user.
fn user(tracker: &Tracker, name: &str) -> anyhow::Result<Value> {
    let answer = tracker.ask(&Request::get("/api/v1/users"))?;
    let users = answer["users"].as_array().context("a list")?;
    users.iter().find(|user| user["name"] == name).cloned().with_context(|| format!("no user {name}: {answer}"))
}

/// HTTP and UDP, whose clients send the key as an option. What users have done adds up.
pub(super) fn clients_announce_with_the_keys_of_their_users(generation: Generation) {
    let lan = Lan::new("users", &PROGRAMS);
    let machine = lan.host("tracker");
    let data = machine.make_folder("data");
    let (anna, ben) = (add("anna", &data), add("ben", &data));
    let arguments = ["--users", "--peer=false"];
    let tracker = Tracker::start_with_data(&machine, &arguments, data.to_str().expect("a path in UTF-8"));
    let content = Content::write(&lan.make_folder("content"), 8 * MB);
    let torrent = |name: &str, url: String, key: &str| Torrent::make(&content, name, &format!("{url}/{key}"));
    let of_anna = torrent("anna", tracker.announce_url(), &anna);

    let mut seeder = QBittorrent::start(&lan.host("seeder").with(generation));
    content.copy_to(seeder.folder());
    seed(&mut seeder, &of_anna);
    wait_for("the seeder to be known", START, || {
        let anna = user(&tracker, "anna")?;
        ensure!(anna["seeds"] == 1, "{anna}");
        Ok(())
    });
    let over_http = torrent("http", tracker.announce_url(), &ben);
    let over_udp = torrent("udp", tracker.udp_url(), &ben);
    for (name, start) in LEECHERS {
        let mut leecher = start(&lan.host(name).with(generation));
        let transfer = download(&mut *leecher, &over_http);
        println!("{generation}: {name} downloads 8 MB with a key in {transfer:?}");
    }
    // Transmission sends no path over UDP.
    let mut leecher = QBittorrent::start(&lan.host("udp").with(generation));
    let transfer = download(&mut leecher, &over_udp);
    println!("{generation}: qBittorrent downloads 8 MB with a key over UDP in {transfer:?}");
    wait_for("the downloads to be counted", START, || {
        let ben = user(&tracker, "ben")?;
        // Those that end with the test do not all say so.
        ensure!(ben["downloaded"].as_u64().is_some_and(|downloaded| downloaded >= 8 * MB), "{ben}");
        Ok(())
    });
}
