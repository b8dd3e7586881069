//! The dashboard under a base path, as a reverse proxy offers it.

use std::collections::{BTreeMap, BTreeSet};

use axum::body::Body;
use axum::http::header::{ACCEPT, CONTENT_TYPE, COOKIE, HOST};
use axum::http::{Method, Request, StatusCode};
use axum::response::Response;
use dashboard::{AccountRole, Accounts, BasePath, Viewers, conflicts_with_page};
use tempfile::TempDir;

use crate::support::{Answer, Fixture, HOST_NAME, OPERATOR, VIEWER, request};

const BASE: &str = "/lab/tracker";

/// The attributes of pages whose values may begin with a slash and are no URLs.
const NO_URLS: [&str; 5] = ["value", "title", "data-make", "data-copy", "data-page"];

fn base_path() -> BasePath {
    BASE.parse().unwrap()
}

fn with_accounts(viewers: Viewers) -> (TempDir, Fixture, String) {
    let folder = tempfile::tempdir().unwrap();
    let accounts = Accounts::open(folder.path().join("operators.json")).unwrap();
    let password = accounts.add("anna", AccountRole::Viewer).unwrap();
    let fixture = Fixture::following_with(|config| {
        config.base_path = base_path();
        config.accounts = Some(accounts);
        config.viewers = viewers;
    });
    (folder, fixture, password)
}

fn browse(from: &str, host: &str, path: &str) -> Request<Body> {
    let mut request = request(from, Method::GET, path, Body::empty());
    request.headers_mut().insert(HOST, host.parse().unwrap());
    request.headers_mut().insert(ACCEPT, "text/html,application/xhtml+xml,*/*;q=0.8".parse().unwrap());
    request
}

fn kind(response: &Response) -> String {
    response.headers().get(CONTENT_TYPE).map_or("", |kind| kind.to_str().unwrap()).to_owned()
}

/// The attributes of a page whose values begin with a slash.
fn attributes(html: &str) -> impl Iterator<Item = (&str, String)> {
    html.match_indices("=\"/").map(|(at, _)| {
        let name = html[..at].rsplit(char::is_whitespace).next().unwrap_or_default();
        let value = html[at + 2..].split('"').next().unwrap_or_default();
        (name, value.replace("&#38;", "&").replace("&amp;", "&").replace("&#39;", "'"))
    })
}

/// Follows every link, form, asset and redirect from the first pages on, behind a proxy that passes on only what is under the base
/// path. Returns the paths without it.
async fn crawl(fixture: &Fixture, from: &str, host: &str) -> BTreeSet<String> {
    let mut due: Vec<_> =
        ["/", "/beamer", "/manage"].map(|path| (format!("{BASE}{path}"), "the start".to_owned())).into();
    let mut seen = BTreeMap::new();
    let unknown = fixture.unknown.to_string();
    while let Some((url, found_on)) = due.pop() {
        let path = url.split('#').next().unwrap_or_default().to_owned();
        assert!(path.starts_with(&format!("{BASE}/")), "{path} on {found_on} is not under the base path");
        assert!(seen.len() < 1000, "this does not end: {seen:?}");
        if seen.insert(path.clone(), found_on.clone()).is_some() {
            continue;
        }
        let response = fixture.respond(browse(from, host, &path)).await;
        let status = response.status();
        // What is there only for other methods says so; and of what clients have, but the tracker does not know, less is shown.
        let is_missing = status == StatusCode::NOT_FOUND && !path.contains(&unknown);
        assert!(!is_missing && !status.is_server_error(), "{status} for {path} on {found_on}");
        if let Some(location) = response.headers().get("location") {
            due.push((location.to_str().unwrap().to_owned(), path.clone()));
        }
        // A stream of events does not end.
        if !kind(&response).starts_with("text/html") {
            continue;
        }
        let html = Answer::read(response).await;
        for (name, value) in attributes(html.text()) {
            if value.starts_with(BASE) {
                due.push((value, path.clone()));
            } else {
                assert!(NO_URLS.contains(&name), "{name}={value:?} on {path} is not under the base path");
            }
        }
    }
    seen.into_keys().map(|path| path[BASE.len()..].to_owned()).collect()
}

#[tokio::test]
async fn every_link_form_asset_and_redirect_is_under_the_base_path() {
    let (_folder, fixture, _) = with_accounts(Viewers::Login);
    assert_eq!(fixture.post(&format!("{BASE}/api/v1/tracker/start"), "").await.status, StatusCode::OK);
    let is_shared = |answer: &Answer| answer.text().contains("film.mkv");
    fixture.get_until_as(OPERATOR, &format!("{BASE}/"), is_shared).await;
    let of_operator = crawl(&fixture, OPERATOR, HOST_NAME).await;
    let of_stranger = crawl(&fixture, VIEWER, HOST_NAME).await;
    assert!(of_stranger.contains("/login?next=%2Fbeamer") && !of_stranger.contains("/metrics"), "{of_stranger:?}");
    let (_folder, for_all, _) = with_accounts(Viewers::Lan);
    for_all.get_until(&format!("{BASE}/"), is_shared).await;
    let of_viewer = crawl(&for_all, VIEWER, "192.168.1.1").await;
    let film = fixture.film;
    for path in [
        "/manage/computers".to_owned(),
        "/manage/report".into(),
        "/manage/share".into(),
        "/manage/share/by-hand".into(),
        "/manage/tracker".into(),
        "/manage/log".into(),
        format!("/manage/files/{film}"),
        format!("/beamer/{film}"),
        "/api/v1/openapi.json".into(),
        "/api/v1/lessons".into(),
        "/api/v1/tracker/stop".into(),
        format!("/api/v1/torrents/{film}"),
        "/metrics".into(),
        "/manage/users".into(),
    ] {
        assert!(of_operator.contains(&path), "{path} was not found: {of_operator:?}");
    }
    for path in [
        "/login".to_owned(),
        "/api/v1/events?level=error".into(),
        format!("/download/{film}"),
        format!("/api/v1/torrents/{film}/torrent"),
    ] {
        assert!(of_viewer.contains(&path), "{path} was not found: {of_viewer:?}");
    }
    assert!(of_viewer.iter().any(|path| path.starts_with("/qr.svg?page=")), "{of_viewer:?}");
    for path in of_operator.iter().chain(&of_viewer) {
        let first = path.split(['/', '?']).nth(1).unwrap();
        let conflicting = format!("/{first}").parse();
        assert!(first.is_empty() || conflicts_with_page(&conflicting.unwrap()), "/{first} is a path of the dashboard");
    }
}

#[tokio::test]
async fn scripts_and_styles_have_no_paths_of_their_own() {
    let (_folder, fixture, _) = with_accounts(Viewers::Lan);
    let assets = crawl(&fixture, OPERATOR, HOST_NAME).await;
    let assets = assets.iter().filter(|path| path.ends_with(".js") || path.ends_with(".css"));
    let mut count = 0;
    for path in assets {
        let asset = fixture.get(&format!("{BASE}{path}")).await;
        count += 1;
        if path.ends_with("/base.js") {
            continue;
        }
        for (at, begin) in ["\"/", "'/", "`/", "url(/"].iter().flat_map(|begin| asset.text().match_indices(begin)) {
            let (before, after) = asset.text().split_at(at);
            // A slash between the names of crumbs.
            let is_text = after.starts_with("\"/\"");
            assert!(before.ends_with("under(") || is_text, "{path} has {begin} before {after:.40}");
        }
    }
    assert!(count > 10, "{count} assets were found");
}

#[tokio::test]
async fn a_proxy_may_remove_the_base_path() {
    let (_folder, fixture, _) = with_accounts(Viewers::Lan);
    for path in ["/", "/manage", "/manage/tracker", "/login", "/no-such-page"] {
        let with = Answer::read(fixture.respond(browse(VIEWER, HOST_NAME, &format!("{BASE}{path}"))).await).await;
        let without = Answer::read(fixture.respond(browse(VIEWER, HOST_NAME, path)).await).await;
        assert_eq!(with.status, without.status, "{path}");
        assert!(without.text().contains(&format!("href=\"{BASE}/assets/")), "{path}");
    }
    let first = Answer::read(fixture.respond(browse(VIEWER, HOST_NAME, BASE)).await).await;
    assert!(first.status == StatusCode::OK && first.text().contains("<h1>Files"), "{first:?}");
    for path in ["/lab", "/lab/trackers", "/lab/tracker%2f", "/lab/tracker/lab/tracker/"] {
        let answer = Answer::read(fixture.respond(browse(VIEWER, HOST_NAME, path)).await).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn a_page_is_as_long_as_its_head_says() {
    let (_folder, fixture, _) = with_accounts(Viewers::Lan);
    let login = format!("{BASE}/login");
    let get = Answer::read(fixture.respond(browse(VIEWER, HOST_NAME, &login)).await).await;
    let mut head = browse(VIEWER, HOST_NAME, &login);
    *head.method_mut() = Method::HEAD;
    let head = Answer::read(fixture.respond(head).await).await;
    assert_eq!(get.header("content-length"), get.body.len().to_string());
    assert_eq!((head.header("content-length"), head.body.len()), (get.header("content-length"), 0));
}

#[tokio::test]
async fn signing_in_stays_under_the_base_path() {
    let (_folder, fixture, password) = with_accounts(Viewers::Login);
    let led = fixture.respond(browse(VIEWER, HOST_NAME, &format!("{BASE}/manage/log?level=warn"))).await;
    let login = led.headers()["location"].to_str().unwrap().to_owned();
    assert_eq!(login, format!("{BASE}/login?next=%2Fmanage%2Flog%3Flevel%3Dwarn"));
    let page = Answer::read(fixture.respond(browse(VIEWER, HOST_NAME, &login)).await).await;
    assert!(page.text().contains(&format!("action=\"{BASE}/login\"")), "{}", page.text());
    let refused = fixture.get(&format!("{BASE}/api/v1/status")).await;
    assert!(refused.problem(StatusCode::UNAUTHORIZED).ends_with(&format!("open {BASE}/login")), "{refused:?}");

    for (next, expected) in [
        ("", "/"),
        ("/manage/log?level=warn", "/manage/log?level=warn"),
        ("/lab/tracker/manage", "/manage"),
        ("//evil.example/", "/evil.example/"),
        ("/lab/tracker//evil.example/", "/evil.example/"),
        ("/\\evil.example/", "/evil.example/"),
        ("https://evil.example/", "/https://evil.example/"),
    ] {
        let form = format!("name=anna&password={password}&next={}", next.replace('/', "%2F").replace('\\', "%5C"));
        let mut post = request(VIEWER, Method::POST, &format!("{BASE}/login"), Body::from(form));
        post.headers_mut().insert(CONTENT_TYPE, "application/x-www-form-urlencoded".parse().unwrap());
        let answer = Answer::read(fixture.respond(post).await).await;
        assert_eq!((answer.status, answer.header("location")), (StatusCode::SEE_OTHER, &*format!("{BASE}{expected}")));
        let cookie = answer.header("set-cookie");
        assert!(cookie.contains("; Path=/lab/tracker; "), "{cookie}");
        let mut look = browse(VIEWER, HOST_NAME, &format!("{BASE}/"));
        look.headers_mut().insert(COOKIE, cookie.split(';').next().unwrap().parse().unwrap());
        assert_eq!(fixture.respond(look).await.status(), StatusCode::OK);
    }
    let out = request(VIEWER, Method::POST, &format!("{BASE}/logout"), Body::empty());
    let out = Answer::read(fixture.respond(out).await).await;
    assert_eq!(out.header("location"), format!("{BASE}/login"));
    let cookies: Vec<_> = out.headers.get_all("set-cookie").iter().map(|cookie| cookie.to_str().unwrap()).collect();
    assert!(cookies.len() == 2 && cookies.iter().all(|cookie| cookie.contains("; Path=/lab/tracker")), "{cookies:?}");
}

#[tokio::test]
async fn the_token_and_the_code_lead_to_pages_under_the_base_path() {
    let fixture = Fixture::with(|config| {
        config.base_path = base_path();
        config.code = Some("4711".to_owned());
    });
    let url = fixture.dashboard.url(([192, 168, 1, 1], 6970).into());
    let target = url.strip_prefix("http://192.168.1.1:6970").unwrap();
    for (target, location) in [(target, "/manage"), (&*format!("{BASE}/?code=4711"), "/")] {
        assert!(target.starts_with(&format!("{BASE}/?")), "{target}");
        let answer = Answer::read(fixture.respond(browse(VIEWER, HOST_NAME, target)).await).await;
        assert_eq!(answer.header("location"), format!("{BASE}{location}"));
        assert!(answer.header("set-cookie").contains("; Path=/lab/tracker"), "{answer:?}");
    }
}

#[tokio::test]
async fn the_api_says_where_it_is() {
    let (_folder, fixture, _) = with_accounts(Viewers::Lan);
    let description = fixture.get(&format!("{BASE}/api/v1/openapi.json")).await.json();
    assert_eq!(description["servers"], serde_json::json!([{ "url": BASE }]));
    let wrong = fixture.get(&format!("{BASE}/api/v1/nothing")).await.problem(StatusCode::NOT_FOUND);
    assert_eq!(
        wrong,
        "there is nothing at /lab/tracker/api/v1/nothing: see /lab/tracker/api/v1/openapi.json for what there is"
    );
    let wrong = fixture.delete(&format!("{BASE}/api/v1/status")).await.problem(StatusCode::METHOD_NOT_ALLOWED);
    assert!(wrong.ends_with("see /lab/tracker/api/v1/openapi.json for what it takes"), "{wrong}");
    let torrent = std::fs::read(fixture.folder.path().join("torrents/film.torrent")).unwrap();
    let registered = fixture.post(&format!("{BASE}/api/v1/torrents"), torrent).await;
    let location = format!("{BASE}/api/v1/torrents/{}", fixture.film);
    assert!(["", &location].contains(&registered.header("location")), "{registered:?}");
    assert!(Fixture::new().get("/api/v1/openapi.json").await.json().get("servers").is_none());
}
