//! The description of the API, held against what is served.

use std::path::Path;
use std::{env, fs};

use axum::body::Body;
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{Answer, Fixture, OPERATOR, VIEWER};

/// All there is. A route that is not here is not documented, either: only what is documented gets into the router.
const ROUTES: [(&str, &[Method]); 37] = [
    ("/api/v1/clients", &[Method::GET, Method::POST, Method::DELETE]),
    ("/api/v1/computers", &[Method::GET]),
    ("/api/v1/computers/{address}/name", &[Method::POST]),
    ("/api/v1/events", &[Method::GET]),
    ("/api/v1/files", &[Method::GET]),
    ("/api/v1/files/{key}/computers", &[Method::GET]),
    ("/api/v1/history", &[Method::GET]),
    ("/api/v1/lessons", &[Method::GET, Method::POST]),
    ("/api/v1/lessons/{id}", &[Method::GET]),
    ("/api/v1/log", &[Method::GET]),
    ("/api/v1/log.ndjson", &[Method::GET]),
    ("/api/v1/makings", &[Method::GET, Method::POST]),
    ("/api/v1/makings/{id}", &[Method::GET, Method::DELETE]),
    ("/api/v1/openapi.json", &[Method::GET]),
    ("/api/v1/sessions", &[Method::GET]),
    ("/api/v1/sessions/{id}", &[Method::DELETE]),
    ("/api/v1/share", &[Method::GET]),
    ("/api/v1/status", &[Method::GET]),
    ("/api/v1/torrents", &[Method::GET, Method::POST]),
    ("/api/v1/torrents/{info_hash}", &[Method::GET, Method::DELETE]),
    ("/api/v1/torrents/{info_hash}/digests", &[Method::GET]),
    ("/api/v1/torrents/{info_hash}/peers", &[Method::GET]),
    ("/api/v1/torrents/{info_hash}/peers.csv", &[Method::GET]),
    ("/api/v1/torrents/{info_hash}/seeding", &[Method::GET]),
    ("/api/v1/torrents/{info_hash}/seeding/check", &[Method::POST]),
    ("/api/v1/torrents/{info_hash}/seeding/start", &[Method::POST]),
    ("/api/v1/torrents/{info_hash}/seeding/stop", &[Method::POST]),
    ("/api/v1/torrents/{info_hash}/torrent", &[Method::GET]),
    ("/api/v1/tracker/start", &[Method::POST]),
    ("/api/v1/tracker/stop", &[Method::POST]),
    ("/api/v1/users", &[Method::GET, Method::POST]),
    ("/api/v1/users/{id}", &[Method::PATCH, Method::DELETE]),
    ("/api/v1/users/{id}/key", &[Method::POST]),
    ("/api/v1/users/{id}/password", &[Method::POST]),
    ("/health", &[Method::GET]),
    ("/metrics", &[Method::GET]),
    ("/", &[]),
];

/// A target of a route.
fn target(route: &str, fixture: &Fixture) -> String {
    let film = fixture.film.to_string();
    let target = route.replace("{info_hash}", &film).replace("{key}", &film);
    target.replace("{id}", "1").replace("{address}", "192.168.1.10")
}

/// The description, as it is served.
struct Description(Value);

impl Description {
    async fn of(fixture: &Fixture) -> Self {
        let answer = fixture.get("/api/v1/openapi.json").await;
        assert_eq!((answer.status, answer.header("content-type")), (StatusCode::OK, "application/json"));
        Self(answer.json())
    }

    /// Holds that an answer is what is documented.
    #[track_caller]
    fn check(&self, route: &str, method: &Method, answer: &Answer) {
        let responses = &self.0["paths"][route][method.as_str().to_lowercase()]["responses"];
        let response = &responses[answer.status.as_str()];
        assert!(response.is_object(), "{method} {route} is not documented to answer {answer:?}");
        let Some(content) = response["content"].as_object() else {
            assert!(answer.body.is_empty(), "{method} {route}: {answer:?}");
            return;
        };
        let kind = answer.header("content-type");
        let documented = content.keys().find(|documented| kind.starts_with(*documented));
        let documented = documented.unwrap_or_else(|| panic!("{method} {route} is not documented to answer {kind:?}"));
        if documented == "application/json" {
            let mut schema = content[documented]["schema"].clone();
            schema["components"] = self.0["components"].clone();
            let validator = jsonschema::validator_for(&schema).expect("a schema");
            let json = answer.json();
            let errors: Vec<_> = validator.iter_errors(&json).map(|error| error.to_string()).collect();
            assert!(errors.is_empty(), "{method} {route}: {errors:#?}\n{json:#}");
        }
    }
}

#[tokio::test]
async fn what_is_described_is_what_there_is() {
    let description = Description::of(&Fixture::new()).await;
    let paths = description.0["paths"].as_object().unwrap();
    let described: Vec<(&str, Vec<String>)> = paths
        .iter()
        .map(|(path, item)| {
            let mut methods: Vec<_> = item.as_object().unwrap().keys().map(|method| method.to_uppercase()).collect();
            methods.sort_by_key(|method| method.len());
            (path.as_str(), methods)
        })
        .collect();
    let expected: Vec<(&str, Vec<String>)> = ROUTES
        .iter()
        .filter(|(path, _)| *path != "/")
        .map(|(path, methods)| (*path, methods.iter().map(ToString::to_string).collect()))
        .collect();
    assert_eq!(described, expected);
}

/// A change of the API shows in this file. Where it is wanted, run the test with `UPDATE_GOLDEN=1`, and commit what it writes.
#[tokio::test]
async fn the_description_is_the_one_that_was_agreed_on() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/openapi.json");
    let Description(description) = Description::of(&Fixture::new()).await;
    let served = serde_json::to_string_pretty(&description).unwrap() + "\n";
    if env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, &served).unwrap();
    }
    let golden = fs::read_to_string(&path).unwrap();
    let difference = golden.lines().zip(served.lines()).enumerate().find(|(_, (golden, served))| golden != served);
    assert!(
        golden == served,
        "the API's description differs from {} first in line {:?}; if that is wanted, run this test with UPDATE_GOLDEN=1",
        path.display(),
        difference.map(|(index, lines)| (index + 1, lines)),
    );
}

#[tokio::test]
async fn methods_are_those_that_are_described() {
    let fixture = Fixture::new();
    for (route, methods) in ROUTES.iter().filter(|(route, _)| *route != "/") {
        let target = target(route, &fixture);
        for method in [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            // An endless answer.
            if *route == "/api/v1/events" && method == Method::GET {
                continue;
            }
            let answer = fixture.send(OPERATOR, method.clone(), &target, Body::empty()).await;
            if methods.contains(&method) {
                assert_ne!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{method} {route}");
                assert!(!answer.body.starts_with(b"{\"error\":\"there is nothing at "), "{method} {route}");
            } else {
                let sentence = answer.problem(StatusCode::METHOD_NOT_ALLOWED);
                assert!(sentence.starts_with(&format!("{target} does not take {method}: ")), "{sentence}");
            }
        }
    }
}

#[tokio::test]
async fn what_is_for_operators_takes_the_token() {
    let fixture = Fixture::new();
    let Description(description) = Description::of(&fixture).await;
    assert_eq!(description["components"]["securitySchemes"]["token"]["scheme"], "bearer");
    for (route, methods) in ROUTES {
        let target = target(route, &fixture);
        // Which has no end.
        for method in methods.iter().filter(|_| route != "/api/v1/events") {
            let answer = fixture.send(VIEWER, method.clone(), &target, Body::empty()).await;
            let operation = &description["paths"][route][method.as_str().to_lowercase()];
            let is_for_operators = answer.status == StatusCode::FORBIDDEN;
            let expected = if is_for_operators { json!([{}, { "token": [] }]) } else { Value::Null };
            assert_eq!(operation["security"], expected, "{method} {route}");
        }
    }
}

#[tokio::test]
async fn all_references_lead_somewhere() {
    fn check(root: &Value, value: &Value) {
        match value {
            Value::Object(members) => {
                if let Some(reference) = members.get("$ref") {
                    let pointer = reference.as_str().unwrap().strip_prefix('#').unwrap();
                    assert!(root.pointer(pointer).is_some(), "{pointer}");
                }
                members.values().for_each(|value| check(root, value));
            }
            Value::Array(items) => items.iter().for_each(|value| check(root, value)),
            _ => {}
        }
    }
    let Description(description) = Description::of(&Fixture::new()).await;
    check(&description, &description);
    assert_eq!(description["openapi"].as_str().map(|version| &version[..4]), Some("3.1."));
    for event in ["Status", "Tracker", "Makings", "TorrentsChanged", "LogEntry", "Missed", "Problem"] {
        assert!(description["components"]["schemas"][event].is_object(), "{event}");
    }
}

#[tokio::test]
async fn answers_are_what_is_described() {
    let fixture = Fixture::new();
    let description = Description::of(&fixture).await;
    let (film, unknown) = (fixture.film, fixture.unknown);
    fixture.get_until("/api/v1/torrents", |answer| answer.json()["total"] == 3).await;
    let peers = format!("/api/v1/torrents/{film}/peers");
    fixture.get_until(&peers, |answer| answer.json()["total"] == 4).await;

    let get = async |route: &str, target: &str| {
        let answer = fixture.get(target).await;
        description.check(route, &Method::GET, &answer);
        answer
    };
    let post = async |route: &str, body: Vec<u8>| {
        let answer = fixture.post(route, body).await;
        description.check(route, &Method::POST, &answer);
        answer
    };
    let torrent = "/api/v1/torrents/{info_hash}";
    for _ in 0..2 {
        for target in ["/api/v1/status", "/api/v1/log", "/api/v1/log.ndjson", "/api/v1/makings", "/metrics"] {
            assert_eq!(get(target, target).await.status, StatusCode::OK);
        }
        for format in ["", "?format=json", "?format=csv", "?format=text"] {
            let target = format!("/api/v1/lessons/0{format}");
            assert_eq!(get("/api/v1/lessons/{id}", &target).await.status, StatusCode::OK);
        }
        assert_eq!(get("/api/v1/lessons", "/api/v1/lessons").await.status, StatusCode::OK);
        assert_eq!(post("/api/v1/lessons", Vec::new()).await.status, StatusCode::CREATED);
        for span in ["", "?span=10m", "?span=2h", "?span=2d"] {
            assert_eq!(get("/api/v1/history", &format!("/api/v1/history{span}")).await.status, StatusCode::OK);
        }
        for sort in ["name", "size", "seeders", "leechers", "completed", "completion", "download_rate"] {
            let target = format!("/api/v1/torrents?sort={sort}&order=descending");
            // Later there are more, of what was made.
            assert!(get("/api/v1/torrents", &target).await.json()["items"].as_array().unwrap().len() >= 3);
        }
        for sort in ["address", "client", "state", "completion", "download_rate", "upload_rate", "last_seen"] {
            let answer = get(&format!("{torrent}/peers"), &format!("{peers}?sort={sort}&order=ascending")).await;
            assert_eq!(answer.json()["items"].as_array().unwrap().len(), 4);
        }
        for sort in ["name", "size", "has", "average_of_others", "time_left", "rate"] {
            let answer = get("/api/v1/files", &format!("/api/v1/files?sort={sort}&order=descending")).await;
            assert!(answer.json()["items"].as_array().unwrap().len() >= 2);
        }
        for key in [film.to_string(), "0123456789abcdef".to_owned(), "x".to_owned()] {
            get("/api/v1/files/{key}/computers", &format!("/api/v1/files/{key}/computers")).await;
        }
        assert_eq!(get("/api/v1/computers", "/api/v1/computers").await.status, StatusCode::OK);
        for (address, name) in
            [("192.168.1.10", "desk"), ("x", "desk"), ("192.168.1.10", "a name that is too long".repeat(9).as_str())]
        {
            let body = json!({ "name": name }).to_string();
            let answer = fixture.post(&format!("/api/v1/computers/{address}/name"), body).await;
            description.check("/api/v1/computers/{address}/name", &Method::POST, &answer);
        }
        for info_hash in [film, unknown] {
            for what in ["", "/peers", "/peers.csv", "/torrent", "/digests", "/seeding"] {
                let answer = get(&format!("{torrent}{what}"), &format!("/api/v1/torrents/{info_hash}{what}")).await;
                let is_found = info_hash == film || ["", "/peers", "/peers.csv"].contains(&what);
                let is_stopped = what == "/torrent" && answer.status == StatusCode::CONFLICT;
                assert_eq!(answer.status.is_success(), is_found && !is_stopped, "{what}: {answer:?}");
            }
        }
        for action in ["start", "stop", "check"] {
            let answer = fixture.post(&format!("/api/v1/torrents/{film}/seeding/{action}"), Body::empty()).await;
            description.check(&format!("{torrent}/seeding/{action}"), &Method::POST, &answer);
        }
        for path in ["", "course", "nowhere", "../torrents"] {
            get("/api/v1/share", &format!("/api/v1/share?path={path}")).await;
        }
        // Again, with all that comes of these.
        assert_eq!(post("/api/v1/tracker/stop", Vec::new()).await.json()["state"], "stopped");
        fixture.opener.refuse(Some("port 6969 is taken by another-program (pid 17): stop it first"));
        assert_eq!(post("/api/v1/tracker/start", Vec::new()).await.status, StatusCode::CONFLICT);
        get("/api/v1/status", "/api/v1/status").await;
        fixture.opener.refuse(None);
        assert_eq!(post("/api/v1/tracker/start", Vec::new()).await.json()["state"], "running");
        let making = post("/api/v1/makings", json!({ "path": "course" }).to_string().into()).await;
        assert_eq!(making.status, StatusCode::CREATED);
        get("/api/v1/makings/{id}", making.header("location")).await;
    }
}
