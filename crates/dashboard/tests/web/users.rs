//! The users, on their page and by the API.

use axum::body::Body;
use axum::http::header::{ACCEPT, CONTENT_TYPE, COOKIE};
use axum::http::{Method, StatusCode};
use dashboard::{Account, AccountRole, Accounts, Viewers};
use tempfile::TempDir;

use crate::support::{Answer, Fixture, OPERATOR, VIEWER, request};

const FORM: &str = "application/x-www-form-urlencoded";

fn with_accounts() -> (TempDir, Fixture, Accounts) {
    let folder = tempfile::tempdir().unwrap();
    let accounts = Accounts::open(folder.path().join("operators.json")).unwrap();
    let fixture = Fixture::with(|config| {
        config.viewers = Viewers::Login;
        config.accounts = Some(accounts.clone());
    });
    (folder, fixture, accounts)
}

async fn send(fixture: &Fixture, from: &str, method: Method, path: &str, kind: &str, body: &str) -> Answer {
    let mut request = request(from, method, path, Body::from(body.to_owned()));
    request.headers_mut().insert(CONTENT_TYPE, kind.parse().unwrap());
    if kind == FORM {
        request.headers_mut().insert(ACCEPT, "text/html".parse().unwrap());
    }
    Answer::read(fixture.respond(request).await).await
}

async fn get(fixture: &Fixture, path: &str) -> Answer {
    fixture.send(OPERATOR, Method::GET, path, Body::empty()).await
}

fn names(accounts: &Accounts) -> Vec<String> {
    accounts.list().iter().map(|account| account.name().to_owned()).collect()
}

fn only(accounts: &Accounts) -> Account {
    let mut list = accounts.list();
    assert_eq!(list.len(), 1);
    list.remove(0)
}

#[tokio::test]
async fn an_operator_looks_after_users_on_the_page() {
    let (_folder, fixture, accounts) = with_accounts();
    let page = get(&fixture, "/manage/users").await;
    assert!(page.text().contains("There is no user yet.") && page.text().contains("<h1>Users</h1>"), "{}", page.text());
    let post = async |form: &str| send(&fixture, OPERATOR, Method::POST, "/manage/users", FORM, form).await;
    let added = post("action=add&name=+Anna+%3Cb%3E+").await;
    assert_eq!((names(&accounts), added.status), (vec!["Anna <b>".to_owned()], StatusCode::SEE_OTHER));
    let shown = added.header("location").to_owned();
    let added = get(&fixture, &shown).await;
    let password = added.text().split("<code class=\"url\">").nth(1).unwrap().split('<').next().unwrap();
    assert!(accounts.sign_in("anna <b>", password).is_some(), "{}", added.text());
    assert!(added.text().contains("The password of Anna &#60;b&#62;"), "{}", added.text());
    assert!(!get(&fixture, &shown).await.text().contains(password), "it is shown once");

    let id = only(&accounts).user().0;
    let edit = get(&fixture, &format!("/manage/users?edit={id}")).await;
    assert!(edit.text().contains("value=\"Anna &#60;b&#62;\"") && edit.text().contains("checked"), "{}", edit.text());
    let saved = post(&format!("action=save&id={id}&name=anna&max_addresses=2&max_torrents=")).await;
    assert_eq!((saved.status, saved.header("location")), (StatusCode::SEE_OTHER, "/manage/users"));
    let anna = only(&accounts);
    let limits = (anna.max_addresses().map(u32::from), anna.max_torrents());
    assert_eq!((anna.name(), anna.is_active(), limits), ("anna", false, (Some(2), None)));
    assert!(accounts.sign_in("anna", password).is_none(), "she is switched off");
    let list = get(&fixture, "/manage/users").await;
    assert!(list.text().contains("switched off") && list.text().contains("at most 2 addresses"), "{}", list.text());

    post(&format!("action=save&id={id}&name=anna&active=on&max_addresses=&max_torrents=3")).await;
    assert!(only(&accounts).is_active() && accounts.sign_in("anna", password).is_some());
    let key = only(&accounts).key();
    let new_key = post(&format!("action=key&id={id}")).await;
    let told = get(&fixture, new_key.header("location")).await;
    assert!(told.text().contains("A new key for anna"), "{}", told.text());
    assert!(only(&accounts).key().is_some_and(|new| Some(new) != key));
    post(&format!("action=password&id={id}")).await;
    assert!(accounts.sign_in("anna", password).is_none(), "she has another password");
    for (form, status, words) in [
        (format!("action=save&id={id}&name=anna&max_addresses=0"), StatusCode::UNPROCESSABLE_ENTITY, "from 1 on"),
        (format!("action=save&id={id}&name="), StatusCode::UNPROCESSABLE_ENTITY, "cannot be the name"),
        ("action=add&name=ANNA".to_owned(), StatusCode::CONFLICT, "already"),
        ("action=remove&id=0".to_owned(), StatusCode::NOT_FOUND, "no such user"),
        ("action=dance".to_owned(), StatusCode::UNPROCESSABLE_ENTITY, ""),
    ] {
        let refused = post(&form).await;
        assert!(
            refused.status == status && refused.text().contains(words),
            "{form}: {} {}",
            refused.status,
            refused.text()
        );
    }
    let question = get(&fixture, &format!("/manage/users?remove={id}")).await;
    assert!(question.text().contains("Remove anna?") && !accounts.list().is_empty(), "{}", question.text());
    post(&format!("action=remove&id={id}")).await;
    assert!(accounts.list().is_empty());
    let refused = post("action=add&name=").await;
    assert!(
        refused.text().contains("<a class=\"button\" href=\"/manage/users\">Back to the users</a>"),
        "{}",
        refused.text()
    );
    // No key is on any page.
    assert!(!list.text().contains(&key.unwrap().to_string()) && !edit.text().contains(&key.unwrap().to_string()));
}

#[tokio::test]
async fn a_program_looks_after_users() {
    let (_folder, fixture, accounts) = with_accounts();
    let json =
        async |method, path: &str, body: &str| send(&fixture, OPERATOR, method, path, "application/json", body).await;
    let added = json(Method::POST, "/api/v1/users", r#"{"name":"anna"}"#).await;
    assert_eq!(added.status, StatusCode::CREATED);
    assert!(accounts.sign_in("anna", added.json()["password"].as_str().unwrap()).is_some());
    assert_eq!(added.json()["id"], only(&accounts).user().0);
    let users = get(&fixture, "/api/v1/users").await.json();
    let anna = &users["users"][0];
    assert_eq!((&anna["name"], &anna["role"], &anna["active"]), (&"anna".into(), &"viewer".into(), &true.into()));
    assert!(!users.to_string().contains(&only(&accounts).key().unwrap().to_string()), "{users}");
    let path = format!("/api/v1/users/{}", anna["id"]);
    let changed = json(Method::PATCH, &path, r#"{"max_torrents":5,"role":"operator"}"#).await.json();
    assert_eq!((&changed["max_torrents"], &changed["role"]), (&5.into(), &"operator".into()), "{changed}");
    let changed = json(Method::PATCH, &path, r#"{"active":false}"#).await.json();
    assert_eq!((&changed["max_torrents"], &changed["active"]), (&5.into(), &false.into()), "{changed}");
    let changed = json(Method::PATCH, &path, r#"{"max_torrents":null}"#).await.json();
    assert!(changed["max_torrents"].is_null() && changed["name"] == "anna", "{changed}");
    for of in [&*path, "/api/v1/users/0"] {
        let rules = accounts.rules();
        assert_eq!(json(Method::POST, &format!("{of}/key"), "").await.status, StatusCode::NO_CONTENT);
        let kept = accounts.rules().iter().filter(|rule| rules.contains(rule)).count();
        assert_eq!((rules.len(), kept), (2, 1), "{of}");
    }
    assert!(json(Method::POST, &format!("{path}/password"), "").await.json()["password"].is_string());
    for (path, body, status) in [
        (&*path, r#"{"name":""}"#, StatusCode::UNPROCESSABLE_ENTITY),
        (&*path, r#"{"max_torrents":0}"#, StatusCode::UNPROCESSABLE_ENTITY),
        ("/api/v1/users/0", "{}", StatusCode::NOT_FOUND),
        ("/api/v1/users/x", "{}", StatusCode::BAD_REQUEST),
    ] {
        json(Method::PATCH, path, body).await.problem(status);
    }
    json(Method::POST, "/api/v1/users", r#"{"name":"Anna"}"#).await.problem(StatusCode::CONFLICT);
    assert_eq!(json(Method::DELETE, &path, "").await.status, StatusCode::NO_CONTENT);
    json(Method::DELETE, &path, "").await.problem(StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn nobody_else_sees_or_changes_users() {
    let (_folder, fixture, accounts) = with_accounts();
    let password = accounts.add("anna", AccountRole::Viewer).unwrap();
    let mut sign_in = request(VIEWER, Method::POST, "/login", Body::from(format!("name=anna&password={password}")));
    sign_in.headers_mut().insert(CONTENT_TYPE, FORM.parse().unwrap());
    let signed_in = Answer::read(fixture.respond(sign_in).await).await;
    let cookie = signed_in.header("set-cookie").split(';').next().unwrap().to_owned();
    for (method, path) in [
        (Method::GET, "/api/v1/users"),
        (Method::POST, "/api/v1/users"),
        (Method::DELETE, "/api/v1/users/1"),
        (Method::GET, "/manage/users"),
        (Method::POST, "/manage/users"),
    ] {
        for (cookie, status) in [("", StatusCode::UNAUTHORIZED), (&*cookie, StatusCode::FORBIDDEN)] {
            let mut request = request(VIEWER, method.clone(), path, Body::from(r#"{"name":"ben"}"#));
            request.headers_mut().insert(CONTENT_TYPE, "application/json".parse().unwrap());
            request.headers_mut().insert(COOKIE, cookie.parse().unwrap());
            let refused = Answer::read(fixture.respond(request).await).await;
            assert_eq!(refused.status, status, "{method} {path} {cookie}");
        }
    }
    assert_eq!(names(&accounts), ["anna"]);
    // Where there are no accounts, there is nothing to look after.
    let open = Fixture::new();
    get(&open, "/api/v1/users").await.problem(StatusCode::NOT_FOUND);
    assert!(!get(&open, "/manage").await.text().contains("/manage/users"));
    assert!(get(&fixture, "/manage").await.text().contains("/manage/users"));
}
