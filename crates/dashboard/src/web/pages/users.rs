//! The users: who they are, and what each has done.

use std::num::NonZeroU32;

use askama::Template;
use axum::Form;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use crate::accounts::{Account, AccountChange, AccountRole, Accounts};
use crate::web::Dashboard;
use crate::web::access::Visitor;
use crate::web::api::extract::Query;
use crate::web::drawn_passwords::Drawn;
#[cfg(doc)]
use crate::web::drawn_passwords::DrawnPasswords;
use crate::web::format::{Moment, MomentStyle, bytes, count, counted};
use crate::web::problem::Problem;
use crate::web::role::{Operator, Role};
use crate::web::shell::{Section, Shell, link, render, render_blocking};
use crate::web::users::log_change;

pub(super) const PATH: &str = "/manage/users";

#[derive(Template)]
#[template(path = "users.html")]
struct UsersPage {
    shell: Shell,
    total: String,
    /// `false` if the accounts are for signing in only.
    is_for_users: bool,
    /// A password that was drawn just now, and whose it is.
    drawn: Option<Drawn>,
    /// Who has a new key since just now.
    new_key: Option<String>,
    editing: Option<Editing>,
    /// The user that is to be removed, if that is confirmed.
    removing: Option<Removing>,
    rows: Vec<Row>,
    /// Operators without an account, where they have a key.
    operator: Option<OperatorRow>,
}

/// A user about whom there is a question.
struct Removing {
    id: u32,
    name: String,
}

/// What operators without an account have done.
struct OperatorRow {
    uploaded: String,
    downloaded: String,
}

/// The user that is being changed.
struct Editing {
    id: u32,
    name: String,
    active: bool,
    max_addresses: String,
    max_torrents: String,
}

struct Row {
    id: u32,
    name: String,
    edit: String,
    role: &'static str,
    active: bool,
    limits: Option<String>,
    uploaded: String,
    downloaded: String,
    /// What its clients have and are in.
    torrents: String,
    addresses: String,
    last_seen: Option<Moment>,
}

/// The query of `GET /manage/users`.
#[derive(Debug, Default, Deserialize)]
pub(super) struct UsersParams {
    edit: Option<u64>,
    remove: Option<u64>,
    /// Whose password was drawn: see [`DrawnPasswords`].
    drawn: Option<String>,
    /// Who has got a new key.
    key: Option<u64>,
}

/// What is done to a user.
#[derive(Debug, Deserialize)]
pub(super) struct UserForm {
    action: UserAction,
    /// The user's number, but for `add`.
    #[serde(default)]
    id: u64,
    /// Of `add` and `save`.
    #[serde(default)]
    name: String,
    /// Of `save`: there if it is checked.
    active: Option<String>,
    #[serde(default)]
    max_addresses: String,
    #[serde(default)]
    max_torrents: String,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum UserAction {
    Add,
    Save,
    Key,
    Password,
    Remove,
}

/// `GET /manage/users`.
pub(super) async fn page(
    State(dashboard): State<Dashboard>,
    _: Operator,
    Query(params): Query<UsersParams>,
) -> Response {
    render_blocking(dashboard, move |dashboard| users(dashboard, &params)).await
}

/// `POST /manage/users`: changes users, also where scripts do not run.
pub(super) async fn change(
    State(dashboard): State<Dashboard>,
    visitor: Visitor,
    _: Operator,
    Form(form): Form<UserForm>,
) -> Response {
    // What is reloaded is the page after it, and not the change.
    render_blocking(dashboard, move |dashboard| match act(dashboard, &visitor, &form) {
        Ok(to) => Redirect::to(&to).into_response(),
        Err(problem) => problem.into_response(),
    })
    .await
}

/// Returns the page to go on with.
fn act(dashboard: &Dashboard, visitor: &Visitor, form: &UserForm) -> Result<String, Problem> {
    let accounts = dashboard.accounts()?;
    let new_name = form.name.trim().to_owned();
    let account = || dashboard.account(form.id);
    let drawn = |name, password| link(PATH, &[("drawn", &dashboard.0.drawn_passwords.add(name, password))]);
    let is_own = |account: &Account| visitor.account.as_deref() == Some(account.name());
    match form.action {
        UserAction::Add => {
            let password = accounts.add(&new_name, AccountRole::Viewer)?;
            log_change("added a user");
            return Ok(drawn(new_name, password));
        }
        UserAction::Save => {
            let (max_addresses, max_torrents) = (limit(&form.max_addresses)?, limit(&form.max_torrents)?);
            if form.active.is_none() && is_own(&account()?) {
                return Err(own_account());
            }
            let change = AccountChange::default().with(|change| {
                change.name = Some(new_name);
                change.is_active = Some(form.active.is_some());
                change.max_addresses = Some(max_addresses);
                change.max_torrents = Some(max_torrents);
            });
            accounts.change(account()?.name(), &change)?;
            log_change("changed a user");
        }
        UserAction::Key => {
            dashboard.new_key(form.id)?;
            log_change("given a user a new key");
            return Ok(link(PATH, &[("key", &form.id.to_string())]));
        }
        UserAction::Password => {
            let name = account()?.name().to_owned();
            let password = accounts.reset(&name)?;
            log_change("given a user a new password");
            return Ok(drawn(name, password));
        }
        UserAction::Remove => {
            let account = account()?;
            if is_own(&account) {
                return Err(own_account());
            }
            accounts.remove(account.name())?;
            log_change("removed a user");
        }
    }
    Ok(PATH.to_owned())
}

fn own_account() -> Problem {
    let why = "this is the account that you have signed in with: let another operator do it, or `tracker operators`";
    Problem::new(StatusCode::CONFLICT, why)
}

/// A limit as it was typed: nothing is none.
fn limit(text: &str) -> Result<Option<NonZeroU32>, Problem> {
    let why = || Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "a limit is a number from 1 on, or empty for no limit");
    match text.trim() {
        "" => Ok(None),
        text => text.parse().map(Some).map_err(|_| why()),
    }
}

fn users(dashboard: &Dashboard, params: &UsersParams) -> Response {
    let shell = Shell::new(dashboard, Role::Operator, Section::Users);
    let accounts = match dashboard.accounts() {
        Ok(accounts) => accounts.list(),
        Err(problem) => return problem.into_response(),
    };
    let find = |id: Option<u64>| accounts.iter().find(|account| Some(u64::from(account.user().0)) == id);
    let operator = dashboard.is_for_users().then(|| {
        let totals = dashboard.user_totals(Accounts::OPERATOR);
        OperatorRow { uploaded: bytes(totals.uploaded as f64), downloaded: bytes(totals.downloaded as f64) }
    });
    let of_operator = || (params.key == Some(0)).then(|| "operators without an account".to_owned());
    render(&UsersPage {
        total: counted(accounts.len() as u64, "user"),
        is_for_users: dashboard.is_for_users(),
        drawn: params.drawn.as_deref().and_then(|id| dashboard.0.drawn_passwords.take(id)),
        new_key: find(params.key).map(|account| account.name().to_owned()).or_else(of_operator),
        editing: find(params.edit).map(Editing::new),
        removing: find(params.remove).map(|account| Removing { id: account.user().0, name: account.name().to_owned() }),
        rows: accounts.iter().map(|account| Row::new(dashboard, &shell, account)).collect(),
        operator,
        shell,
    })
}

impl Editing {
    fn new(account: &Account) -> Self {
        let limit = |limit: Option<NonZeroU32>| limit.map(|limit| limit.to_string()).unwrap_or_default();
        Self {
            id: account.user().0,
            name: account.name().to_owned(),
            active: account.is_active(),
            max_addresses: limit(account.max_addresses()),
            max_torrents: limit(account.max_torrents()),
        }
    }
}

impl Row {
    fn new(dashboard: &Dashboard, shell: &Shell, account: &Account) -> Self {
        let totals = dashboard.user_totals(account.user());
        let addresses = |limit: NonZeroU32| match limit.get() {
            1 => "1 address".to_owned(),
            more => format!("{} addresses", count(more.into())),
        };
        let torrents = |limit: NonZeroU32| counted(limit.get().into(), "file");
        let limits = [account.max_addresses().map(addresses), account.max_torrents().map(torrents)];
        let limits: Vec<_> = limits.into_iter().flatten().collect();
        Self {
            id: account.user().0,
            name: account.name().to_owned(),
            edit: link(PATH, &[("edit", &account.user().0.to_string())]),
            role: match account.role() {
                AccountRole::Operator => "operator",
                AccountRole::Viewer => "",
            },
            active: account.is_active(),
            limits: (!limits.is_empty()).then(|| limits.join(", ")),
            uploaded: bytes(totals.uploaded as f64),
            downloaded: bytes(totals.downloaded as f64),
            torrents: format!("{} of {}", count(totals.seeds.into()), count(totals.torrents.into())),
            addresses: count(totals.addresses.into()),
            last_seen: totals.last_seen.map(|at| shell.moment(at, MomentStyle::Ago)),
        }
    }
}
