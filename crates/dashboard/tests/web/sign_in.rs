//! Signing in and out, and who may look.

use std::time::Duration;

use axum::body::Body;
use axum::http::header::{ACCEPT, CONTENT_TYPE, COOKIE, SET_COOKIE};
use axum::http::{Method, Request, StatusCode};
use dashboard::{AccountRole, Accounts, Viewers};
use futures_util::StreamExt;
use tempfile::TempDir;

use crate::support::{Answer, Fixture, VIEWER, request};

/// Somebody else on the network.
const OTHER: &str = "192.168.1.78:50000";

/// A dashboard with accounts, and the password of `anna`, an operator, and of `ben`, a viewer.
fn with_accounts(viewers: Viewers) -> (TempDir, Fixture, [String; 2]) {
    let folder = tempfile::tempdir().unwrap();
    let accounts = Accounts::open(folder.path().join("operators.json")).unwrap();
    let passwords = [("anna", AccountRole::Operator), ("ben", AccountRole::Viewer)]
        .map(|(name, role)| accounts.add(name, role).unwrap());
    let fixture = Fixture::with(|config| {
        config.viewers = viewers;
        config.accounts = Some(accounts);
        config.sessions_file = Some(folder.path().join("sessions.json"));
    });
    (folder, fixture, passwords)
}

async fn send(fixture: &Fixture, request: Request<Body>) -> Answer {
    Answer::read(fixture.respond(request).await).await
}

/// What a browser of somebody gets that sends this form to this path.
async fn post_form(fixture: &Fixture, from: &str, path: &str, form: &str, cookie: &str) -> Answer {
    let mut post = request(from, Method::POST, path, Body::from(form.to_owned()));
    post.headers_mut().insert(CONTENT_TYPE, "application/x-www-form-urlencoded".parse().unwrap());
    post.headers_mut().insert(ACCEPT, "text/html".parse().unwrap());
    post.headers_mut().insert(COOKIE, cookie.parse().unwrap());
    send(fixture, post).await
}

/// What a browser gets with this cookie.
async fn look(fixture: &Fixture, from: &str, path: &str, cookie: &str) -> Answer {
    let mut get = request(from, Method::GET, path, Body::empty());
    get.headers_mut().insert(ACCEPT, "text/html".parse().unwrap());
    get.headers_mut().insert(COOKIE, cookie.parse().unwrap());
    send(fixture, get).await
}

fn cookie(answer: &Answer) -> String {
    answer.header(SET_COOKIE.as_str()).split(';').next().unwrap().to_owned()
}

#[tokio::test]
async fn who_has_an_account_signs_in_and_goes_on_to_the_page() {
    let (folder, fixture, [anna, ben]) = with_accounts(Viewers::Login);
    let led = look(&fixture, VIEWER, "/manage/tracker", "").await;
    assert_eq!((led.status, led.header("location")), (StatusCode::SEE_OTHER, "/login?next=%2Fmanage%2Ftracker"));
    let page = look(&fixture, VIEWER, led.header("location"), "").await;
    assert_eq!(page.status, StatusCode::OK);
    for part in ["name=\"password\"", "value=\"/manage/tracker\""] {
        assert!(page.text().contains(part), "{}", page.text());
    }
    assert!(!page.text().contains("name=\"code\""));

    let form = format!("name=anna&password={anna}&next=%2Fmanage%2Ftracker");
    let signed_in = post_form(&fixture, VIEWER, "/login", &form, "").await;
    assert_eq!((signed_in.status, signed_in.header("location")), (StatusCode::SEE_OTHER, "/manage/tracker"));
    let attributes = signed_in.header("set-cookie").to_owned();
    assert!(attributes.ends_with("; HttpOnly; SameSite=Strict; Path=/; Max-Age=34560000"), "{attributes}");
    let of_anna = cookie(&signed_in);
    let page = look(&fixture, VIEWER, "/manage/tracker", &of_anna).await;
    assert!(page.text().contains("Signed in") && page.text().contains("anna"), "{}", page.text());
    assert!(page.text().contains("id=\"start\""), "an operator may start the tracker");

    let of_ben = cookie(&post_form(&fixture, OTHER, "/login", &format!("name=ben&password={ben}"), "").await);
    let page = look(&fixture, OTHER, "/manage/tracker", &of_ben).await;
    assert!(page.text().contains("View only") && !page.text().contains("Signed in"), "{}", page.text());
    let stop = post_form(&fixture, OTHER, "/api/v1/tracker/stop", "", &of_ben).await;
    assert_eq!(stop.status, StatusCode::FORBIDDEN);

    // The other one is signed out by the operator.
    let mut list = request(VIEWER, Method::GET, "/api/v1/sessions", Body::empty());
    list.headers_mut().insert(COOKIE, of_anna.parse().unwrap());
    let list = send(&fixture, list).await.json();
    let session =
        list["sessions"].as_array().unwrap().iter().find(|session| session["account"] == "ben").unwrap().clone();
    assert_eq!((session["is_this"].as_bool(), session["address"].as_str()), (Some(false), Some("192.168.1.78")));
    for status in [StatusCode::NO_CONTENT, StatusCode::NOT_FOUND] {
        let path = format!("/api/v1/sessions/{}", session["id"].as_str().unwrap());
        let mut end = request(VIEWER, Method::DELETE, &path, Body::empty());
        end.headers_mut().insert(COOKIE, of_anna.parse().unwrap());
        assert_eq!(send(&fixture, end).await.status, status);
    }
    assert_eq!(look(&fixture, OTHER, "/", &of_ben).await.status, StatusCode::SEE_OTHER);
    let sessions = std::fs::read_to_string(folder.path().join("sessions.json")).unwrap();
    assert!(sessions.contains("anna") && !sessions.contains("ben"), "{sessions}");

    let left = post_form(&fixture, VIEWER, "/logout", "", &of_anna).await;
    assert_eq!((left.status, left.header("location")), (StatusCode::SEE_OTHER, "/login"));
    assert_eq!(look(&fixture, VIEWER, "/", &of_anna).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn wrong_passwords_are_refused_and_slowed() {
    let (_folder, fixture, [anna, ben]) = with_accounts(Viewers::Login);
    for (name, password) in [("anna", &*ben), ("anna", ""), ("nobody", &*anna), ("%3Cb%3E", "x"), ("", "")] {
        let refused = post_form(&fixture, VIEWER, "/login", &format!("name={name}&password={password}"), "").await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN);
        assert!(refused.text().contains("The name or the password is wrong."), "{}", refused.text());
        assert!(!refused.text().contains("<b>") && refused.headers.get(SET_COOKIE).is_none());
    }
    let form = format!("name=anna&password={anna}");
    let slowed = post_form(&fixture, VIEWER, "/login", &form, "").await;
    assert_eq!(slowed.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(slowed.text().contains("Too many failed attempts from this address; try again in "), "{}", slowed.text());
    assert_eq!(post_form(&fixture, OTHER, "/login", &form, "").await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn nobody_is_led_to_another_site() {
    let (_folder, fixture, [anna, _]) = with_accounts(Viewers::Lan);
    for (next, location) in [
        ("", "/"),
        ("%2Ffiles%2Fa%3Fb%3Dc", "/files/a?b=c"),
        ("%2F%2Fevil.example", "/evil.example"),
        ("%2F%5Cevil.example", "/evil.example"),
        ("%2F%09%2Fevil.example", "/"),
        ("%2F%0A%2Fevil.example", "/"),
        ("https%3A%2F%2Fevil.example", "/https://evil.example"),
    ] {
        let form = format!("name=anna&password={anna}&next={next}");
        let signed_in = post_form(&fixture, VIEWER, "/login", &form, "").await;
        assert_eq!((signed_in.status, signed_in.header("location")), (StatusCode::SEE_OTHER, location), "{next}");
    }
    let mut foreign = request(VIEWER, Method::POST, "/login", Body::from("name=anna&password=x"));
    foreign.headers_mut().insert("origin", "http://evil.example".parse().unwrap());
    assert_eq!(send(&fixture, foreign).await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn everybody_who_knows_the_code_looks_and_downloads() {
    let fixture = Fixture::with(|config| config.code = Some("4711".into()));
    let film = fixture.film.to_string();
    assert_eq!(look(&fixture, VIEWER, &format!("/files/{film}"), "").await.status, StatusCode::SEE_OTHER);
    let torrent = format!("/api/v1/torrents/{film}/torrent");
    assert_eq!(
        send(&fixture, request(VIEWER, Method::GET, &torrent, Body::empty())).await.status,
        StatusCode::UNAUTHORIZED
    );
    let page = look(&fixture, VIEWER, "/login", "").await;
    assert!(page.text().contains("name=\"code\"") && !page.text().contains("name=\"password\""), "{}", page.text());
    assert!(!page.text().contains("4711"));
    let wrong = post_form(&fixture, VIEWER, "/login", "code=4712", "").await;
    assert!(wrong.text().contains("The code is wrong."), "{}", wrong.text());
    let right = post_form(&fixture, VIEWER, "/login", &format!("code=+4711+&next=%2Ffiles%2F{film}"), "").await;
    assert_eq!((right.status, right.header("location")), (StatusCode::SEE_OTHER, &*format!("/files/{film}")));
    let pass = cookie(&right);
    assert_eq!(look(&fixture, VIEWER, &format!("/files/{film}"), &pass).await.status, StatusCode::OK);
    let mut download = request(VIEWER, Method::GET, &torrent, Body::empty());
    download.headers_mut().insert(COOKIE, pass.parse().unwrap());
    // It has no announce URL while the tracker is stopped.
    assert_eq!(send(&fixture, download).await.status, StatusCode::CONFLICT);
    assert_eq!(post_form(&fixture, VIEWER, "/api/v1/tracker/stop", "", &pass).await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_viewer_with_an_account_needs_no_code_and_can_always_sign_out() {
    let folder = tempfile::tempdir().unwrap();
    let accounts = Accounts::open(folder.path().join("operators.json")).unwrap();
    let ben = accounts.add("ben", AccountRole::Viewer).unwrap();
    let fixture = Fixture::with(|config| {
        config.accounts = Some(accounts.clone());
        config.code = Some("4711".into());
    });
    let form = format!("name=ben&password={ben}");
    let signed_in = post_form(&fixture, VIEWER, "/login", &form, "").await;
    assert!(signed_in.header("set-cookie").contains("SameSite=Lax"), "{}", signed_in.header("set-cookie"));
    let of_ben = cookie(&signed_in);
    assert_eq!(look(&fixture, VIEWER, "/", &of_ben).await.status, StatusCode::OK);
    // Another session takes the place of this one.
    let again = cookie(&post_form(&fixture, VIEWER, "/login", &form, &of_ben).await);
    assert_eq!(look(&fixture, VIEWER, "/", &of_ben).await.status, StatusCode::SEE_OTHER);
    assert_eq!(post_form(&fixture, VIEWER, "/logout", "", &again).await.header("location"), "/login");
    assert_eq!(look(&fixture, VIEWER, "/", &again).await.status, StatusCode::SEE_OTHER);

    let fixture = Fixture::with(|config| {
        config.accounts = Some(accounts);
        config.viewers = Viewers::None;
    });
    let refused = post_form(&fixture, VIEWER, "/login", &form, "").await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert!(refused.text().contains("Only operators may look at the moment."), "{}", refused.text());
    assert_eq!(post_form(&fixture, VIEWER, "/logout", "", "").await.header("location"), "/login");
}

#[tokio::test]
async fn a_stream_ends_when_its_viewer_is_signed_out() {
    let (_folder, fixture, [anna, _]) = with_accounts(Viewers::Login);
    let of_anna = cookie(&post_form(&fixture, VIEWER, "/login", &format!("name=anna&password={anna}"), "").await);
    let mut events = request(VIEWER, Method::GET, "/api/v1/events", Body::empty());
    events.headers_mut().insert(COOKIE, of_anna.parse().unwrap());
    let mut events = fixture.respond(events).await.into_body().into_data_stream();
    let first = events.next().await.unwrap().unwrap();
    assert!(first.starts_with(b"retry: "));
    assert_eq!(post_form(&fixture, VIEWER, "/logout", "", &of_anna).await.status, StatusCode::SEE_OTHER);
    let rest = tokio::time::timeout(Duration::from_secs(30), events.count()).await;
    rest.expect("it ends");
}
