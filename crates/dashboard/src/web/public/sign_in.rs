//! Where people sign in, or enter the code.

use askama::Template;
use axum::Form;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::SET_COOKIE;
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::shell::PublicShell;
use crate::web::access::{SIGN_IN, SignInError, Visitor, enter_code, local_path, sign_in, sign_out};
use crate::web::api::extract::Query;
use crate::web::client::Client;
use crate::web::format::capitalized;
use crate::web::problem::Problem;
use crate::web::role::Role;
use crate::web::shell::render;
use crate::web::{Dashboard, Viewers};

#[derive(Template)]
#[template(path = "public/sign_in.html")]
struct SignInPage {
    shell: PublicShell,
    /// The page to go on to.
    next: String,
    error: Option<String>,
    /// The account with which this browser has signed in.
    account: Option<String>,
    /// `true` if a code opens the page.
    has_code: bool,
    has_accounts: bool,
    /// The name that was entered.
    name: String,
    /// Those who may look.
    viewers: Viewers,
}

/// The query of `GET /login`.
#[derive(Debug, Default, Deserialize)]
pub(super) struct SignInParams {
    #[serde(default)]
    next: String,
    /// What was wrong with the code in a URL.
    #[serde(default)]
    wrong: String,
}

/// The form: a name and a password, or a code.
#[derive(Debug, Deserialize)]
pub(super) struct SignInForm {
    #[serde(default)]
    next: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    code: Option<String>,
}

/// `GET /login`.
pub(super) async fn page(
    State(dashboard): State<Dashboard>,
    visitor: Visitor,
    Query(params): Query<SignInParams>,
) -> Response {
    let error = SignInError::of_name(&params.wrong);
    show(&dashboard, &visitor, params.next, String::new(), error)
}

/// `POST /login`.
pub(super) async fn enter(
    State(dashboard): State<Dashboard>,
    visitor: Visitor,
    client: Client,
    Form(form): Form<SignInForm>,
) -> Response {
    let SignInForm { next, name, password, code } = form;
    let cookie = match code {
        Some(code) => enter_code(&dashboard, client, visitor.port, &code),
        None => sign_in(&dashboard, client, &visitor, name.clone(), password).await,
    };
    match cookie {
        Ok(cookie) => {
            // Our own pages write it without the base path, others may write what is in the address bar.
            let base_path = dashboard.base_path();
            let next = if next == base_path.as_str() { "/" } else { base_path.strip(&next).unwrap_or(&next) };
            ([(SET_COOKIE, cookie)], Redirect::to(&local_path(next))).into_response()
        }
        Err(error) => show(&dashboard, &visitor, next, name, Some(error)),
    }
}

/// `POST /logout`.
pub(super) async fn leave(State(dashboard): State<Dashboard>, visitor: Visitor) -> Response {
    let work = move |dashboard: &Dashboard| sign_out(dashboard, &visitor);
    match dashboard.run(work).await {
        Ok([session, pass]) => {
            (AppendHeaders([(SET_COOKIE, session), (SET_COOKIE, pass)]), Redirect::to(SIGN_IN)).into_response()
        }
        Err(problem) => problem.into_response(),
    }
}

fn show(dashboard: &Dashboard, visitor: &Visitor, next: String, name: String, error: Option<SignInError>) -> Response {
    let config = dashboard.config();
    let page = SignInPage {
        shell: PublicShell::new(dashboard, Role::Viewer, SIGN_IN, "login"),
        error: error.as_ref().map(|error| format!("{}.", capitalized(&error.to_string()))),
        account: visitor.account.as_ref().map(ToString::to_string),
        has_code: dashboard.code().is_some(),
        has_accounts: dashboard.has_accounts(),
        viewers: config.viewers,
        next,
        name,
    };
    let status = error.map_or(StatusCode::OK, |error| Problem::from(error).status);
    (status, render(&page)).into_response()
}
