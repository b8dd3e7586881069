//! Whether another machine has reached the dashboard.

use axum::body::Body;
use axum::http::{Method, StatusCode};
use tracker_host::Addresses;

use crate::support::{Fixture, OPERATOR, VIEWER};

#[tokio::test]
async fn only_another_machine_shows_that_it_is_reached() {
    let fixture = Fixture::new();
    fixture.dashboard.set_addresses(Addresses {
        all: vec!["192.168.1.5".parse().unwrap(), "172.17.0.1".parse().unwrap()],
        containers: vec!["172.17.0.0/16".parse().unwrap()],
        ..Addresses::default()
    });
    let get = async |from| fixture.send(from, Method::GET, "/api/v1/status", Body::empty()).await.status;
    for inside in [OPERATOR, "[::1]:50000", "192.168.1.5:50000", "172.17.0.9:50000", "[fe80::1]:50000"] {
        get(inside).await;
        assert!(!fixture.dashboard.is_reached_from_outside(), "{inside}");
    }
    assert_eq!(get(VIEWER).await, StatusCode::OK);
    assert!(fixture.dashboard.is_reached_from_outside());
    get(OPERATOR).await;
    assert!(fixture.dashboard.is_reached_from_outside());
}

#[tokio::test]
async fn in_another_network_it_must_be_reached_anew() {
    let fixture = Fixture::new();
    let machine = |lan: &[&str], container: &str| Addresses {
        lan: lan.iter().map(|address| address.parse().unwrap()).collect(),
        containers: vec![container.parse().unwrap()],
        ..Addresses::default()
    };
    fixture.dashboard.set_addresses(machine(&["192.168.1.5"], "172.17.0.0/16"));
    fixture.send(VIEWER, Method::GET, "/api/v1/status", Body::empty()).await;
    fixture.dashboard.set_addresses(machine(&["192.168.1.5", "10.77.0.1"], "172.18.0.0/16"));
    assert!(fixture.dashboard.is_reached_from_outside());
    fixture.dashboard.set_addresses(machine(&["10.77.0.1"], "172.18.0.0/16"));
    assert!(!fixture.dashboard.is_reached_from_outside());
}

#[tokio::test]
async fn one_that_is_refused_has_reached_it_all_the_same() {
    let fixture = Fixture::new();
    let answer = fixture.send("203.0.113.7:50000", Method::GET, "/", Body::empty()).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert!(fixture.dashboard.is_reached_from_outside());
}
