//! The dashboard in a real browser: Chromium, headless, driven through chromedriver.
//!
//! The tracker, the browsers and the BitTorrent clients each run on a host of their own: a network namespace on a bridge that
//! leads nowhere else, made and removed by the test. This needs root and the Debian packages that `.ci/install-clients`
//! installs; and axe-core, an accessibility checker, which `.ci/install-axe` puts into `target`:
//!
//! ```text
//! cargo test -p tracker --test browser -- --ignored --skip pictures
//! ```
//!
//! With `pictures` in place of `--skip pictures` it writes those in docs/images, which takes some minutes.
#![cfg(target_os = "linux")]

mod accessibility;
mod arrival;
mod axe;
mod base_path;
mod browser;
mod classroom;
mod controls;
mod forgery;
mod pictures;
mod safety;
mod sign_in;
mod story;
#[expect(dead_code, reason = "the tests with real clients use more of it")]
#[path = "../support/mod.rs"]
mod support;
mod tracker;
mod without_scripts;

/// The programs that the tests need, besides the tracker.
const PROGRAMS: [&str; 7] =
    ["ip", "setpriv", "sha256sum", "chromium", "chromedriver", "qbittorrent-nox", "transmission-daemon"];
