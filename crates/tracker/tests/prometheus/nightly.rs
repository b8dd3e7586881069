//! The board for Grafana, and the alerts, with a Prometheus that scrapes a tracker.

use std::fs;

use serde_json::Value;

use crate::server::Prometheus;
use crate::{Busy, document};

#[test]
#[ignore = "needs Prometheus: .ci/install-prometheus"]
fn each_expression_of_the_board_has_a_result_and_no_alert_fires() {
    let busy = Busy::start();
    let prometheus = Prometheus::start(&busy);
    let board: Value = serde_json::from_str(&fs::read_to_string(document("grafana-dashboard.json")).unwrap()).unwrap();

    // What Grafana puts in the place of its variables: all of their values.
    let in_place = |expression: &str| {
        let expression = expression.replace("$instance", ".*").replace("$__rate_interval", "1m");
        assert!(!expression.contains('$'), "{expression}");
        expression
    };
    let panels = board["panels"].as_array().unwrap();
    let expressions = panels.iter().flat_map(|panel| panel["targets"].as_array().unwrap());
    let expressions: Vec<_> = expressions.map(|target| in_place(target["expr"].as_str().unwrap())).collect();
    assert!(expressions.len() > 20);
    for expression in &expressions {
        let series = prometheus.query(expression).unwrap_or_else(|error| panic!("{expression}: {error}"));
        assert!(!series.is_empty(), "{expression} has no result");
    }
    let variable = board["templating"]["list"][1]["query"]["query"].as_str().unwrap();
    assert_eq!(variable, "label_values(tracker_build_info, instance)");
    let instances = prometheus.get("/api/v1/label/instance/values?match[]=tracker_build_info").unwrap();
    assert_eq!(instances, serde_json::json!([busy.dashboard.to_string()]));

    let groups = prometheus.get("/api/v1/rules").unwrap();
    let groups = groups["groups"].as_array().unwrap();
    let rules: Vec<_> = groups.iter().flat_map(|group| group["rules"].as_array().unwrap()).collect();
    assert!(!rules.is_empty());
    for rule in rules {
        assert_ne!(rule["health"], "err", "{rule:#}");
        assert_eq!(rule["state"], "inactive", "{rule:#}");
    }
}
