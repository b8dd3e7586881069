//! The rules about which clients are served, on the page *Tracker* and by the API.

use std::fs;

use axum::body::Body;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{Method, StatusCode};
use dashboard::ClientList;
use tempfile::TempDir;

use crate::support::{Answer, Fixture, OPERATOR, VIEWER, request};

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";

fn with_list() -> (TempDir, Fixture, ClientList) {
    let folder = tempfile::tempdir().unwrap();
    let list = ClientList::open_or_empty(folder.path().join("clients.txt")).unwrap();
    let fixture = Fixture::with(|config| config.client_list = Some(list.clone()));
    (folder, fixture, list)
}

async fn post(fixture: &Fixture, from: &str, path: &str, kind: &str, body: &str) -> Answer {
    let mut request = request(from, Method::POST, path, Body::from(body.to_owned()));
    request.headers_mut().insert(CONTENT_TYPE, kind.parse().unwrap());
    if kind == FORM {
        request.headers_mut().insert(ACCEPT, "text/html".parse().unwrap());
    }
    Answer::read(fixture.respond(request).await).await
}

fn rules(list: &ClientList) -> Vec<String> {
    list.rules().iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn an_operator_changes_rules_on_the_page() {
    let (_folder, fixture, list) = with_list();
    let page = async || {
        Answer::read(fixture.respond(request(OPERATOR, Method::GET, "/manage/tracker", Body::empty())).await).await
    };
    assert!(page().await.text().contains("every program on every computer"));
    let path = "/manage/tracker/clients";
    let form = async |form: &str| post(&fixture, OPERATOR, path, FORM, form).await;

    let added = form("action=add&verdict=deny&clients=+10.1.2.3%2F24+&note=%3Cb%3Eguests").await;
    assert_eq!((added.status, added.header("location")), (StatusCode::SEE_OTHER, "/manage/tracker#clients"));
    assert_eq!(rules(&list), ["deny 10.1.2.0/24  # <b>guests"]);
    form("action=add&verdict=allow&clients=-qB&note=").await;
    let shown = page().await;
    assert!(shown.text().contains("deny <code>10.1.2.0/24</code> (&#60;b&#62;guests)"), "{}", shown.text());
    assert!(shown.text().contains("allow <code>-qB</code>") && !shown.text().contains("forgotten"), "{}", shown.text());

    for (wrong, status, words) in [
        ("action=add&verdict=deny&clients=", StatusCode::UNPROCESSABLE_ENTITY, "1 to 20 bytes"),
        (
            "action=add&verdict=deny&clients=10.1.2.3.4",
            StatusCode::UNPROCESSABLE_ENTITY,
            "neither an address nor a network",
        ),
        ("action=add&verdict=maybe&clients=-qB", StatusCode::UNPROCESSABLE_ENTITY, "begins with allow or deny"),
        ("action=add&verdict=allow&clients=-qB", StatusCode::CONFLICT, "there is a rule allow -qB already"),
        ("action=remove&verdict=deny&clients=-qB", StatusCode::NOT_FOUND, "there is no rule deny -qB"),
        ("action=dance&verdict=deny&clients=-qB", StatusCode::UNPROCESSABLE_ENTITY, ""),
    ] {
        let refused = form(wrong).await;
        assert!(
            refused.status == status
                && refused.text().contains(words)
                && refused.text().contains("Back to the tracker"),
            "{wrong}: {} {}",
            refused.status,
            refused.text()
        );
    }
    let removed = form("action=remove&verdict=allow&clients=-qB").await;
    assert_eq!((removed.status, rules(&list).len()), (StatusCode::SEE_OTHER, 1));
}

#[tokio::test]
async fn a_program_changes_rules() {
    let (_folder, fixture, list) = with_list();
    let path = "/api/v1/clients";
    let added = post(&fixture, OPERATOR, path, JSON, r#"{"verdict":"deny","clients":"-XL","note":"leeches"}"#).await;
    assert_eq!(added.status, StatusCode::CREATED, "{}", added.text());
    let wrong = post(&fixture, OPERATOR, path, JSON, r#"{"verdict":"deny","clients":"10.0.0.0/99"}"#).await;
    assert!(wrong.problem(StatusCode::UNPROCESSABLE_ENTITY).contains("neither an address nor a network"));
    let shown = fixture.send(OPERATOR, Method::GET, path, Body::empty()).await.json();
    assert_eq!(
        shown,
        serde_json::json!({"rules": [{"verdict": "deny", "clients": "-XL", "note": "leeches"}], "kept": true, "error": null})
    );
    let delete = async |query| fixture.send(OPERATOR, Method::DELETE, &format!("{path}?{query}"), Body::empty()).await;
    assert_eq!(delete("verdict=allow&clients=-XL").await.status, StatusCode::NOT_FOUND);
    assert_eq!(delete("verdict=deny&clients=-XL").await.status, StatusCode::NO_CONTENT);
    assert_eq!(rules(&list), [""; 0]);
}

#[tokio::test]
async fn rules_are_for_operators() {
    let (_folder, fixture, list) = with_list();
    list.add(&"deny -XL".parse().unwrap(), None).unwrap();
    for (method, path) in [
        (Method::GET, "/api/v1/clients"),
        (Method::DELETE, "/api/v1/clients?verdict=deny&clients=-XL"),
        (Method::POST, "/manage/tracker/clients"),
    ] {
        let refused = fixture.send(VIEWER, method.clone(), path, Body::empty()).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{method} {path}");
    }
    let page = fixture.send(VIEWER, Method::GET, "/manage/tracker", Body::empty()).await;
    assert!(page.status == StatusCode::OK && !page.text().contains("-XL"), "{}", page.text());
    assert_eq!(rules(&list), ["deny -XL"]);
}

#[tokio::test]
async fn an_operator_does_not_shut_out_the_own_computer() {
    let (_folder, fixture, list) = with_list();
    let token = format!("Bearer {}", fixture.dashboard.token());
    let send = async |method, path: &str, body: &str| {
        let mut request = request(VIEWER, method, path, Body::from(body.to_owned()));
        request.headers_mut().insert(CONTENT_TYPE, JSON.parse().unwrap());
        request.headers_mut().insert("authorization", token.parse().unwrap());
        Answer::read(fixture.respond(request).await).await
    };
    let path = "/api/v1/clients";
    for clients in ["192.168.1.77", "192.168.0.0/16"] {
        let refused = send(Method::POST, path, &format!(r#"{{"verdict":"deny","clients":"{clients}"}}"#)).await;
        assert!(refused.problem(StatusCode::CONFLICT).contains("shut out the computer that you are at, 192.168.1.77"));
    }
    let refused = send(Method::POST, path, r#"{"verdict":"allow","clients":"10.0.0.0/8"}"#).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert_eq!(
        send(Method::POST, path, r#"{"verdict":"allow","clients":"192.168.1.0/24"}"#).await.status,
        StatusCode::CREATED
    );
    assert_eq!(
        send(Method::POST, path, r#"{"verdict":"allow","clients":"10.0.0.0/8"}"#).await.status,
        StatusCode::CREATED
    );
    let refused = send(Method::DELETE, "/api/v1/clients?verdict=allow&clients=192.168.1.0/24", "").await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert_eq!(rules(&list), ["allow 192.168.1.0/24", "allow 10.0.0.0/8"]);
}

#[tokio::test]
async fn a_file_with_a_mistake_is_not_changed() {
    let (folder, fixture, list) = with_list();
    let file = folder.path().join("clients.txt");
    fs::write(&file, "deny -XL\n").unwrap();
    (0..2).for_each(|_| list.refresh().unwrap());
    fs::write(&file, "deny -XL\nnobody else\n").unwrap();
    let refused = post(&fixture, OPERATOR, "/api/v1/clients", JSON, r#"{"verdict":"deny","clients":"-UT"}"#).await;
    assert!(
        refused.problem(StatusCode::INTERNAL_SERVER_ERROR).contains("clients.txt:2: a rule begins with allow or deny")
    );
    assert_eq!(fs::read_to_string(&file).unwrap(), "deny -XL\nnobody else\n");

    // The page and the API show it.
    list.refresh().unwrap();
    list.refresh().unwrap_err();
    let page = async || fixture.send(OPERATOR, Method::GET, "/manage/tracker", Body::empty()).await;
    let shown = page().await;
    assert!(shown.text().contains("clients.txt</code>, line 2: a rule begins with allow or deny"), "{}", shown.text());
    assert!(shown.text().contains("stays in force") && shown.text().contains("deny <code>-XL</code>"));
    let listed = async || fixture.send(OPERATOR, Method::GET, "/api/v1/clients", Body::empty()).await.json();
    let first_answer = listed().await;
    assert_eq!((&first_answer["rules"][0]["clients"], &first_answer["error"]["line"]), (&"-XL".into(), &2.into()));
    fs::write(&file, "deny -XL\n# nobody else\n").unwrap();
    (0..2).for_each(|_| list.refresh().unwrap());
    assert!(!page().await.text().contains("stays in force"));
    assert_eq!(listed().await["error"], serde_json::Value::Null);
}
