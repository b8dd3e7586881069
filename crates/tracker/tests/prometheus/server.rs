//! Prometheus while it runs.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;
use url::form_urlencoded;

use crate::running::wait_until;
use crate::{Busy, document, program};

/// The configuration of docs/operations.md, with a shorter interval.
const CONFIGURATION: &str = "\
global:
  scrape_interval: 1s
  evaluation_interval: 1s
rule_files: [RULES]
scrape_configs:
  - job_name: tracker
    static_configs:
      - targets: ['TARGET']
";

/// A Prometheus that scrapes a tracker each second. It is killed when it is dropped.
pub(crate) struct Prometheus {
    child: Child,
    address: SocketAddr,
    folder: TempDir,
}

impl Prometheus {
    /// Starts it, with the rules of docs/alerts.yml.
    pub(crate) fn start(busy: &Busy) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let configuration = CONFIGURATION
            .replace("RULES", document("alerts.yml").to_str().unwrap())
            .replace("TARGET", &busy.dashboard.to_string());
        fs::write(path("prometheus.yml"), configuration).unwrap();
        // It cannot draw a port itself.
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
        let child = Command::new(program("prometheus"))
            .arg(format!("--config.file={}", path("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", path("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(path("log")).unwrap())
            .spawn()
            .unwrap();
        let mut prometheus = Self { child, address, folder };
        prometheus.wait_for_samples();
        prometheus
    }

    /// Waits for as many scrapes as a rate and an increase need.
    fn wait_for_samples(&mut self) {
        let scrapes = "sum(count_over_time(tracker_announces_total[1m])) >= 3";
        wait_until("Prometheus has scraped", || {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("{status}: {}", self.log());
            }
            std::net::TcpStream::connect(self.address).is_ok()
                && self.query(scrapes).is_ok_and(|series| !series.is_empty())
        });
    }

    /// The series that an expression yields now, or the error.
    pub(crate) fn query(&self, expression: &str) -> Result<Vec<Value>, String> {
        let query: String = form_urlencoded::byte_serialize(expression.as_bytes()).collect();
        match self.get(&format!("/api/v1/query?query={query}"))? {
            Value::Object(mut data) => match data.remove("result") {
                Some(Value::Array(series)) => Ok(series),
                other => Err(format!("{other:?}")),
            },
            other => Err(other.to_string()),
        }
    }

    /// The data of an answer of its API, or the error.
    pub(crate) fn get(&self, target: &str) -> Result<Value, String> {
        let asked = ureq::get(format!("http://{}{target}", self.address)).call();
        let answer =
            asked.and_then(|mut answer| answer.body_mut().read_to_string()).map_err(|error| error.to_string())?;
        let mut answer: Value = serde_json::from_str(&answer).map_err(|error| format!("{error}: {answer}"))?;
        Ok(answer["data"].take())
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}
