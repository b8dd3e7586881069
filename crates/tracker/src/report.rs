//! `tracker report`: asks a running tracker for the report of a lesson.

use std::env;
use std::io::{self, ErrorKind, Write, stdout};
use std::num::NonZeroU32;
use std::time::Duration;

use anyhow::{Context, anyhow};
use clap::{Args, ValueEnum};
use serde::Deserialize;
use tracker::DASHBOARD_PORT;
use tracker_host::HAS_SYSTEM_RESOLVER;
use ureq::config::Config;
use ureq::http::{Response, StatusCode};
use ureq::unversioned::transport::DefaultConnector;
use ureq::{Agent, Body, Error};

use crate::static_resolver::StaticResolver;

/// The environment variable with the token.
const TOKEN: &str = "TRACKER_TOKEN";

/// The number that stands for the current lesson.
const CURRENT: u32 = 0;

/// The time within which the answer must be there.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The maximum length of an error message that is shown, in bytes.
const MAX_MESSAGE_BYTES: u64 = 4096;

/// Print who got which file, when, how fast and by which way
///
/// Asks the tracker that runs on this machine, or at --url. Where that wants a token, it is taken from the environment variable
/// TRACKER_TOKEN.
#[derive(Debug, Clone, Args)]
pub(crate) struct Report {
    /// The number of the lesson [default: the current one]
    #[arg(long, value_name = "N")]
    lesson: Option<NonZeroU32>,

    /// Print text for people, or JSON or CSV for programs
    #[arg(long, value_name = "text|json|csv", value_enum, default_value_t, hide_possible_values = true)]
    format: Format,

    /// The URL of the dashboard
    #[arg(long, default_value_t = format!("http://127.0.0.1:{DASHBOARD_PORT}"))]
    url: String,
}

/// An error of the dashboard's API.
#[derive(Debug, Deserialize)]
struct Problem {
    error: String,
}

/// The format of a report.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    #[default]
    Text,
    Json,
    Csv,
}

impl Report {
    /// Prints the report.
    pub(crate) fn print(&self) -> anyhow::Result<()> {
        let response = self.ask()?;
        let status = response.status();
        let mut body = response.into_body();
        if status == StatusCode::OK {
            let mut reader = body.as_reader();
            let mut stdout = stdout().lock();
            return match io::copy(&mut reader, &mut stdout).and_then(|_| stdout.flush()) {
                // A reader that has gone does not want the rest.
                Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error).context("cannot print the report"),
                _ => Ok(()),
            };
        }
        let message = body.with_config().limit(MAX_MESSAGE_BYTES).read_to_string().unwrap_or_default();
        Err(self.refusal(status, &message))
    }

    fn ask(&self) -> anyhow::Result<Response<Body>> {
        let url = self.base().with_context(|| format!(
                "write --url as http://HOST:PORT, with the base path if there is one, not {:?}; a tracker with a certificate answers so \
                 on its own machine only",
                self.url
            ))?;
        let lesson = self.lesson.map_or(CURRENT, NonZeroU32::get);
        let format = match self.format {
            Format::Text => "text",
            Format::Json => "json",
            Format::Csv => "csv",
        };
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            // The tracker is on this machine, or in its network.
            .proxy(None)
            .timeout_global(Some(TIMEOUT))
            .user_agent(concat!("tracker/", env!("CARGO_PKG_VERSION")));
        let mut request = agent(config.build()).get(format!("{url}/api/v1/lessons/{lesson}?format={format}"));
        if let Some(token) = env::var(TOKEN).ok().filter(|token| !token.is_empty()) {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        request.call().map_err(|error| match error {
            Error::Io(error) if error.kind() == ErrorKind::ConnectionRefused => {
                anyhow!("no tracker runs at {url}: start one, or name the URL of its dashboard with --url")
            }
            Error::Protocol(_) => {
                anyhow!("what answers at {url} is not the dashboard of a tracker; name its URL with --url")
            }
            error => anyhow!(error).context(format!("cannot reach the tracker at {url}")),
        })
    }

    /// The URL up to the base path of the tracker, if it has one. The one that the tracker prints has a slash at its end and may have a
    /// token; with that, a browser is led to `/manage`.
    fn base(&self) -> Option<&str> {
        let rest = self.url.strip_prefix("http://")?;
        let rest = rest.split(['?', '#']).next().filter(|rest| !rest.is_empty() && !rest.starts_with('/'))?;
        let rest = rest.trim_end_matches('/');
        let rest = rest.strip_suffix("/manage").unwrap_or(rest).trim_end_matches('/');
        self.url.get(.."http://".len() + rest.len())
    }

    fn refusal(&self, status: StatusCode, message: &str) -> anyhow::Error {
        let problem: Option<Problem> = serde_json::from_str(message).ok();
        match (status, problem) {
            (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, Some(problem)) => {
                anyhow!(
                    "{}; the token is in the URL that the tracker printed at its start: set {TOKEN} to it",
                    problem.error
                )
            }
            (StatusCode::NOT_FOUND, Some(_)) if self.lesson.is_some() => anyhow!(
                "there is no such lesson, or none any more: without --lesson it is the current one, and the first line has its \
                 number"
            ),
            (_, Some(problem)) => anyhow!(problem.error),
            (status, None) => {
                anyhow!(
                    "what answers at {} is not the dashboard of a tracker: it says {status}; name its URL with --url",
                    self.url
                )
            }
        }
    }
}

fn agent(config: Config) -> Agent {
    match HAS_SYSTEM_RESOLVER {
        true => config.new_agent(),
        false => Agent::with_parts(config, DefaultConnector::new(), StaticResolver),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_that_the_tracker_prints_is_understood() {
        let base = |url: &str| {
            Report { lesson: None, format: Format::Text, url: url.to_owned() }.base().map(ToOwned::to_owned)
        };
        for (url, expected) in [
            ("http://127.0.0.1:6970", Some("http://127.0.0.1:6970")),
            ("http://[fd77::1]:6970/", Some("http://[fd77::1]:6970")),
            ("http://lab-pc:6970/?token=secret", Some("http://lab-pc:6970")),
            ("http://lab-pc?token=secret", Some("http://lab-pc")),
            ("http://lab-pc:6970/manage", Some("http://lab-pc:6970")),
            ("http://example.org/tracker", Some("http://example.org/tracker")),
            ("http://example.org/lab/tracker/", Some("http://example.org/lab/tracker")),
            ("http://example.org/tracker//?token=a/b", Some("http://example.org/tracker")),
            ("http://example.org/tracker/manage/#x", Some("http://example.org/tracker")),
            ("http://?token=a", None),
            ("http:///tracker", None),
            ("https://lab-pc:6970", None),
            ("lab-pc:6970", None),
            ("http://", None),
        ] {
            assert_eq!(base(url).as_deref(), expected, "{url}");
        }
    }
}
