use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use fantoccini::elements::Element;
use fantoccini::key::Key;
use fantoccini::wd::{Capabilities, WebDriverCompatibleCommand};
use fantoccini::{Client, ClientBuilder, Locator};
use hyper::Method;
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tokio::runtime::{self, Runtime};
use tokio::time::timeout;
use url::{ParseError, Url};

use crate::support::client::START;
use crate::support::host::Host;
use crate::support::program::Program;
use crate::support::wait::wait_for;

/// The URL of chromedriver, on its own host.
const DRIVER: &str = "http://127.0.0.1:9515/";

/// Longest answer of the browser to one command.
const COMMAND: Duration = Duration::from_secs(60);

/// Longest time until the page shows what has happened. It is refreshed every few seconds.
const SHOWN: Duration = Duration::from_secs(60);

/// The kind of screen on which a page is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Screen {
    Desktop,
    Phone,
}

/// The colour scheme that the viewer's system prefers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Theme {
    Light,
    Dark,
}

/// A headless Chromium on a host, driven by WebDriver.
#[derive(Debug)]
pub(crate) struct Browser {
    host: Host,
    downloads: PathBuf,
    runtime: Runtime,
    client: Option<Client>,
    /// Goes last.
    _driver: Program,
}

impl Browser {
    /// Starts the only browser of a host.
    pub(crate) fn start(host: &Host) -> Self {
        // Chromium aborts what it loads when an address of the machine appears.
        wait_for("the host to have its addresses", START, || {
            let addresses = ["-n", &host.namespace, "-6", "address", "show", "tentative"];
            let tentative = Command::new("ip").args(addresses).output()?.stdout;
            ensure!(tentative.is_empty(), "{}", String::from_utf8_lossy(&tentative));
            Ok(())
        });
        let mut driver = host.run("chromedriver", &["--port=9515", "--log-level=WARNING"]);
        let runtime = runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be built");
        let downloads = host.make_folder("downloads");
        let capabilities = capabilities(&host.make_folder("profile"));
        let client = wait_for("the browser to start", START, || {
            driver.check_alive()?;
            let mut builder = ClientBuilder::new(HttpConnector::new());
            builder.capabilities(capabilities.clone());
            host.on(|| runtime.block_on(async { Ok(timeout(COMMAND, builder.connect(DRIVER)).await??) }))
        });
        let browser = Self { host: host.clone(), downloads, runtime, client: Some(client), _driver: driver };
        browser
            .devtools("Browser.setDownloadBehavior", json!({ "behavior": "allow", "downloadPath": browser.downloads }));
        browser.look_with(Screen::Desktop, Theme::Light);
        browser
    }

    /// The folder for downloads.
    pub(crate) fn downloads(&self) -> &Path {
        &self.downloads
    }

    /// Goes on as a viewer with this screen and this theme. Pages that are open follow.
    #[track_caller]
    pub(crate) fn look_with(&self, screen: Screen, theme: Theme) {
        let (width, height, scale) = match screen {
            Screen::Desktop => (1280, 800, 1),
            Screen::Phone => (390, 844, 2),
        };
        let mobile = screen == Screen::Phone;
        self.devtools(
            "Emulation.setDeviceMetricsOverride",
            json!({ "width": width, "height": height, "deviceScaleFactor": scale, "mobile": mobile }),
        );
        let theme = if theme == Theme::Dark { "dark" } else { "light" };
        let features = [
            json!({ "name": "prefers-color-scheme", "value": theme }),
            // What moves would be looked at in the middle of it.
            json!({ "name": "prefers-reduced-motion", "value": "reduce" }),
        ];
        self.devtools("Emulation.setEmulatedMedia", json!({ "features": features }));
    }

    /// Turns the scripts of pages off or on, for those that are opened from now on.
    #[track_caller]
    pub(crate) fn run_scripts(&self, run: bool) {
        self.devtools("Emulation.setScriptExecutionDisabled", json!({ "value": !run }));
    }

    /// Opens a page and waits until it is there.
    #[track_caller]
    pub(crate) fn open(&self, url: &str) {
        self.run(async |client| Ok(client.goto(url).await?)).unwrap_or_else(|error| panic!("{url}: {error:#}"));
    }

    /// The URL of the page.
    #[track_caller]
    pub(crate) fn url(&self) -> String {
        self.run(async |client| Ok(client.current_url().await?)).expect("a page has a URL").into()
    }

    /// The text of the first element that a CSS selector matches, as it is seen.
    pub(crate) fn text(&self, selector: &str) -> anyhow::Result<String> {
        self.run(async |client| Ok(find(client, selector).await?.text().await?))
    }

    /// An attribute of the first element that a CSS selector matches.
    pub(crate) fn attribute(&self, selector: &str, name: &str) -> anyhow::Result<String> {
        let value = self.run(async |client| Ok(find(client, selector).await?.attr(name).await?))?;
        value.with_context(|| format!("{selector} has no {name}"))
    }

    /// The number of elements that a CSS selector matches, visible or not.
    pub(crate) fn count(&self, selector: &str) -> anyhow::Result<usize> {
        self.run(async |client| Ok(client.find_all(Locator::Css(selector)).await?.len()))
    }

    /// The number of visible elements that a CSS selector matches.
    pub(crate) fn seen(&self, selector: &str) -> anyhow::Result<usize> {
        self.run(async |client| {
            let mut seen = 0;
            for element in client.find_all(Locator::Css(selector)).await? {
                seen += usize::from(element.is_displayed().await?);
            }
            Ok(seen)
        })
    }

    /// Waits until the text of an element contains a text, and returns it all.
    #[track_caller]
    pub(crate) fn wait_for_text(&self, selector: &str, wanted: &str) -> String {
        wait_for(&format!("{selector} to say {wanted:?}"), SHOWN, || {
            let text = self.text(selector)?;
            ensure!(text.contains(wanted), "{text:?}");
            Ok(text)
        })
    }

    /// Waits until the page is as wanted.
    #[track_caller]
    pub(crate) fn wait_until<T>(&self, what: &str, look: impl FnMut() -> anyhow::Result<T>) -> T {
        wait_for(what, SHOWN, look)
    }

    /// Clicks an element as soon as it can be clicked.
    #[track_caller]
    pub(crate) fn click(&self, selector: &str) {
        wait_for(&format!("{selector} to be there for a click"), SHOWN, || {
            self.run(async |client| Ok(find(client, selector).await?.click().await?))
        });
    }

    /// Types into an element. Into a field for files it puts a path.
    #[track_caller]
    pub(crate) fn type_into(&self, selector: &str, text: &str) {
        self.run(async |client| Ok(find(client, selector).await?.send_keys(text).await?))
            .unwrap_or_else(|error| panic!("{selector}: {error:#}"));
    }

    /// Presses a key wherever the focus is.
    #[track_caller]
    pub(crate) fn press(&self, key: Key) {
        self.run(async |client| Ok(client.active_element().await?.send_keys(&key).await?))
            .expect("a key can be pressed");
    }

    /// Runs a script in the page, which is not subject to the page's policy, and returns what it returns.
    pub(crate) fn execute(&self, script: &str, arguments: &[Value]) -> anyhow::Result<Value> {
        self.run(async |client| Ok(client.execute(script, arguments.to_vec()).await?))
    }

    /// Runs a script that calls its last argument with the result when it is done.
    pub(crate) fn execute_async(&self, script: &str, arguments: &[Value]) -> anyhow::Result<Value> {
        self.run(async |client| Ok(client.execute_async(script, arguments.to_vec()).await?))
    }

    /// Returns `true` if a page shows an `alert`.
    pub(crate) fn has_alert(&self) -> bool {
        self.run(async |client| Ok(client.get_alert_text().await?)).is_ok()
    }

    /// The browser's warnings and errors since the last call, such as violations of the page's policy.
    #[track_caller]
    pub(crate) fn complaints(&self) -> Vec<String> {
        let entries = self.extension("se/log", json!({ "type": "browser" })).expect("there is a log of the console");
        let entries = entries.as_array().map(Vec::as_slice).unwrap_or_default();
        entries.iter().map(ToString::to_string).collect()
    }

    /// Writes a picture of what is seen, as PNG.
    #[track_caller]
    pub(crate) fn picture(&self, path: &Path) {
        let picture = self.run(async |client| Ok(client.screenshot().await?)).expect("a picture can be taken");
        fs::write(path, picture).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }

    /// Sends a command of the [DevTools protocol](https://chromedevtools.github.io/devtools-protocol/).
    #[track_caller]
    pub(crate) fn devtools(&self, command: &str, parameters: Value) -> Value {
        let body = json!({ "cmd": command, "params": parameters });
        self.extension("goog/cdp/execute", body).unwrap_or_else(|error| panic!("{command}: {error:#}"))
    }

    fn extension(&self, path: &'static str, body: Value) -> anyhow::Result<Value> {
        self.run(async |client| Ok(client.issue_cmd(Extension { path, body: body.clone() }).await?))
    }

    /// Does something with the browser. Its sockets are those of the browser's host.
    fn run<T: Send>(&self, work: impl AsyncFnOnce(&Client) -> anyhow::Result<T> + Send) -> anyhow::Result<T> {
        let client = self.client.as_ref().context("the browser is closed")?;
        self.host.on(|| self.runtime.block_on(async { timeout(COMMAND, work(client)).await? }))
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // What is left of it goes with its host.
        if let Some(client) = self.client.take() {
            self.host.on(|| _ = self.runtime.block_on(async { timeout(START, client.close()).await }));
        }
    }
}

fn capabilities(profile: &Path) -> Capabilities {
    let profile = format!("--user-data-dir={}", profile.display());
    let arguments = [
        "--headless=new",
        // Root has no sandbox.
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--disable-gpu",
        // There is no way out for what it would look for.
        "--disable-background-networking",
        "--disable-component-update",
        "--no-first-run",
        "--hide-scrollbars",
        "--lang=en-GB",
        &profile,
    ];
    let mut capabilities = Capabilities::new();
    capabilities.insert("goog:chromeOptions".to_owned(), json!({ "args": arguments }));
    capabilities.insert("goog:loggingPrefs".to_owned(), json!({ "browser": "ALL" }));
    // An alert is to be noticed.
    capabilities.insert("unhandledPromptBehavior".to_owned(), json!("ignore"));
    capabilities
}

/// The first element that a CSS selector matches.
async fn find(client: &Client, selector: &str) -> anyhow::Result<Element> {
    match client.find(Locator::Css(selector)).await {
        Err(error) if error.is_no_such_element() => bail!("there is no {selector}"),
        found => Ok(found?),
    }
}

/// A command that chromedriver knows, and WebDriver does not.
#[derive(Debug)]
struct Extension {
    path: &'static str,
    body: Value,
}

impl WebDriverCompatibleCommand for Extension {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, ParseError> {
        base.join(&format!("session/{}/{}", session.unwrap_or_default(), self.path))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(self.body.to_string()))
    }
}
