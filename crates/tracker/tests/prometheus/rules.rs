//! The alerts.

use std::fs;

use crate::client::get;
use crate::{Busy, body, document, names, promtool};

#[test]
#[ignore = "needs promtool: .ci/install-prometheus"]
fn the_alerts_are_right_and_fire_when_they_should() {
    let (rules, tests) = (document("alerts.yml"), document("alerts.test.yml"));
    promtool(&["check", "rules", rules.to_str().unwrap()], "");
    promtool(&["test", "rules", tests.to_str().unwrap()], "");

    // Each alert has a test in which it fires, and says what to do.
    let [rules, tests] = [rules, tests].map(|path| fs::read_to_string(path).unwrap());
    let alerts: Vec<_> = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(alerts.len() > 5, "{alerts:?}");
    for alert in &alerts {
        let of_alert = format!("ALERTS{{alertname=\"{alert}\", alertstate=\"firing\"}}");
        let samples =
            |test: &str| test.split("exp_samples:").nth(1).is_some_and(|samples| samples.contains("value: 1"));
        assert!(tests.split("- expr: ").any(|test| test.contains(&of_alert) && samples(test)), "{alert}");
    }
    assert_eq!(rules.matches("summary: ").count(), alerts.len());
    assert_eq!(rules.matches("description: ").count(), alerts.len());
    // They ask for metrics that there are.
    let busy = Busy::start();
    let metrics = busy.metrics();
    let is_of_name = |character: char| character.is_ascii_alphanumeric() || character == '_';
    for word in rules.split(|character| !is_of_name(character)) {
        if word.starts_with("tracker_") || word.starts_with("process_") {
            assert!(names(&metrics).any(|name| name == word), "{word}");
        }
    }
    let parts = body(&get(busy.dashboard, "/health?verbose"));
    assert!(parts.ends_with("\nhealthy\n"), "{parts}");
}
