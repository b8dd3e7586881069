//! axe-core, the accessibility checker.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, ensure};
use serde_json::Value;

use crate::browser::Browser;

/// The path at which `.ci/install-axe` installs it.
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/axe/node_modules/axe-core/axe.min.js");

/// Rules of axe for what the guidelines demand and what is good practice, on the whole page.
const RUN: &str = "const done = arguments[arguments.length - 1];
    axe.run(document, { resultTypes: ['violations'] }).then(done, (error) => done(String(error)));";

/// Fails with all findings that axe calls serious or critical on the page that is open.
#[track_caller]
pub(crate) fn check(page: &Browser, what: &str) {
    let findings = find(page).unwrap_or_else(|error| panic!("{what}: {error:#}"));
    assert!(findings.is_empty(), "{what} is not accessible to everybody:\n{findings}");
}

/// The findings, as text.
fn find(page: &Browser) -> anyhow::Result<String> {
    let path = Path::new(SCRIPT);
    let script =
        fs::read_to_string(path).with_context(|| format!("{}: .ci/install-axe installs it", path.display()))?;
    page.execute(&format!("if (!window.axe) {{ {script} }}"), &[])?;
    let report = page.execute_async(RUN, &[])?;
    // Else it has found nothing since it has looked at nothing.
    ensure!(report["testEngine"]["name"] == "axe-core", "axe cannot be run: {report}");

    let mut text = String::new();
    for finding in report["violations"].as_array().context("a report without findings")? {
        if !matches!(finding["impact"].as_str(), Some("serious" | "critical")) {
            continue;
        }
        writeln!(text, "{} ({}): {}", finding["id"], finding["impact"], finding["help"])?;
        for node in finding["nodes"].as_array().into_iter().flatten() {
            writeln!(text, "    {}: {}", node["target"], node["failureSummary"].as_str().unwrap_or_default())?;
            writeln!(text, "    {}", node["html"].as_str().unwrap_or_default())?;
        }
    }
    Ok(text)
}

/// Returns `true` if axe finds the faults of a page that is faulty on purpose.
#[track_caller]
pub(crate) fn finds_faults(page: &Browser) -> bool {
    const FAULT: &str = "document.getElementById('main').append(document.createElement('input'))";

    page.execute(FAULT, &[]).and_then(|_: Value| find(page)).expect("axe can be run").contains("\"label\"")
}
