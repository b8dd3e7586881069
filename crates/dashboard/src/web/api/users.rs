//! The users, and what each of them does.

use std::num::NonZeroU32;

use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use super::extract::{IdPath, Json};
use crate::accounts::{Account, AccountChange, AccountRole};
use crate::web::Dashboard;
use crate::web::problem::Problem;
use crate::web::role::Operator;
use crate::web::users::log_change;

/// The accounts of those who sign in. Where the tracker is for users, they are its users.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct UserList {
    /// By name.
    users: Vec<UserDto>,
}

/// A user, and what clients with its key have reported.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = User)]
pub(super) struct UserDto {
    /// It stays the same when the user is renamed.
    id: u32,
    name: String,
    role: UserRole,
    /// `false` if it is switched off: nobody signs in with the account, and announces with its key are refused.
    active: bool,
    /// The most addresses from which its clients may announce at the same time.
    #[schema(value_type = Option<u32>, minimum = 1)]
    max_addresses: Option<NonZeroU32>,
    /// The most torrents in which its clients may be at the same time.
    #[schema(value_type = Option<u32>, minimum = 1)]
    max_torrents: Option<NonZeroU32>,
    /// In bytes.
    uploaded: u64,
    /// In bytes.
    downloaded: u64,
    /// The time of the last announce.
    last_seen: Option<u64>,
    /// Torrents that its clients have all of, and are in.
    seeds: u32,
    /// Torrents that its clients are in.
    torrents: u32,
    /// Addresses from which they are.
    addresses: u32,
}

/// What an account may do.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum UserRole {
    /// Controls the tracker.
    Operator,
    /// Looks and downloads.
    #[default]
    Viewer,
}

impl From<AccountRole> for UserRole {
    fn from(role: AccountRole) -> Self {
        match role {
            AccountRole::Operator => Self::Operator,
            AccountRole::Viewer => Self::Viewer,
        }
    }
}

impl From<UserRole> for AccountRole {
    fn from(role: UserRole) -> Self {
        match role {
            UserRole::Operator => Self::Operator,
            UserRole::Viewer => Self::Viewer,
        }
    }
}

impl UserDto {
    fn new(dashboard: &Dashboard, account: &Account) -> Self {
        let totals = dashboard.user_totals(account.user());
        Self {
            id: account.user().0,
            name: account.name().to_owned(),
            role: account.role().into(),
            active: account.is_active(),
            max_addresses: account.max_addresses(),
            max_torrents: account.max_torrents(),
            uploaded: totals.uploaded,
            downloaded: totals.downloaded,
            last_seen: totals.last_seen.map(|at| dashboard.unix(at)),
            seeds: totals.seeds,
            torrents: totals.torrents,
            addresses: totals.addresses,
        }
    }
}

/// The users, and what each of them does. Operators only.
#[utoipa::path(
    get,
    path = "/users",
    tag = "users",
    security((), ("token" = [])),
    responses(
        (status = 200, body = UserList),
        (status = 403, body = Problem),
        (status = 404, body = Problem, description = "This tracker keeps no accounts"),
    )
)]
pub(super) async fn users(State(dashboard): State<Dashboard>, _: Operator) -> Result<Json<UserList>, Problem> {
    let list = |dashboard: &Dashboard| {
        let accounts = dashboard.accounts()?.list();
        Ok(UserList { users: accounts.iter().map(|account| UserDto::new(dashboard, account)).collect() })
    };
    dashboard.run(list).await?.map(Json)
}

/// A user that is to be added.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct NewUser {
    name: String,
    #[serde(default)]
    role: UserRole,
}

/// A user that was added.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AddedUser {
    id: u32,
    /// Nobody can look it up later.
    password: String,
}

/// A new password.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct NewPassword {
    /// Nobody can look it up later.
    password: String,
}

/// Adds a user. Operators only.
#[utoipa::path(
    post,
    path = "/users",
    tag = "users",
    security((), ("token" = [])),
    request_body = NewUser,
    responses(
        (status = 201, body = AddedUser),
        (status = 403, body = Problem),
        (status = 404, body = Problem, description = "This tracker keeps no accounts"),
        (status = 409, body = Problem, description = "There is one with this name, or there are too many"),
        (status = 422, body = Problem, description = "The name cannot be one"),
    )
)]
pub(super) async fn add(
    State(dashboard): State<Dashboard>,
    _: Operator,
    Json(new): Json<NewUser>,
) -> Result<(StatusCode, Json<AddedUser>), Problem> {
    let add = move |dashboard: &Dashboard| {
        let (name, accounts) = (new.name.trim(), dashboard.accounts()?);
        let password = accounts.add(name, new.role.into())?;
        let id = accounts.find(name).map_or(0, |account| account.user().0);
        log_change("added a user");
        Ok::<_, Problem>(AddedUser { id, password })
    };
    let added = dashboard.run(add).await??;
    Ok((StatusCode::CREATED, Json(added)))
}

/// What is to be changed of a user. What is left out stays as it is.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct UserChange {
    /// Another name. Browsers that are signed in with the old one are signed out.
    name: Option<String>,
    role: Option<UserRole>,
    active: Option<bool>,
    /// `null` for no limit.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<u32>, minimum = 1)]
    max_addresses: Option<Option<NonZeroU32>>,
    /// `null` for no limit.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<u32>, minimum = 1)]
    max_torrents: Option<Option<NonZeroU32>>,
}

/// A field that is there, which may be `null`.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<NonZeroU32>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// Changes a user. Operators only.
#[utoipa::path(
    patch,
    path = "/users/{id}",
    tag = "users",
    security((), ("token" = [])),
    params(("id" = u64, Path, description = "The id of the user")),
    request_body = UserChange,
    responses(
        (status = 200, body = UserDto),
        (status = 403, body = Problem),
        (status = 404, body = Problem, description = "There is no such user"),
        (status = 409, body = Problem, description = "There is another one with this name"),
        (status = 422, body = Problem, description = "The name cannot be one"),
    )
)]
pub(super) async fn change(
    State(dashboard): State<Dashboard>,
    _: Operator,
    IdPath(id): IdPath,
    Json(change): Json<UserChange>,
) -> Result<Json<UserDto>, Problem> {
    let change = AccountChange::default().with(|changed| {
        changed.name = change.name.map(|name| name.trim().to_owned());
        changed.role = change.role.map(AccountRole::from);
        changed.is_active = change.active;
        changed.max_addresses = change.max_addresses;
        changed.max_torrents = change.max_torrents;
    });
    let apply = move |dashboard: &Dashboard| {
        dashboard.accounts()?.change(dashboard.account(id)?.name(), &change)?;
        log_change("changed a user");
        Ok(UserDto::new(dashboard, &dashboard.account(id)?))
    };
    dashboard.run(apply).await?.map(Json)
}

/// Gives a user a new key: announces with the old one are refused, and the .torrent files have to be downloaded again. The user 0 is that of
/// operators without an account. Operators only.
#[utoipa::path(
    post,
    path = "/users/{id}/key",
    tag = "users",
    security((), ("token" = [])),
    params(("id" = u64, Path, description = "The id of the user")),
    responses(
        (status = 204, description = "The .torrent files that the user downloads from now on have the new key"),
        (status = 403, body = Problem),
        (status = 404, body = Problem, description = "There is no such user"),
    )
)]
pub(super) async fn new_key(
    State(dashboard): State<Dashboard>,
    _: Operator,
    IdPath(id): IdPath,
) -> Result<StatusCode, Problem> {
    let change = move |dashboard: &Dashboard| {
        dashboard.new_key(id)?;
        log_change("given a user a new key");
        Ok(StatusCode::NO_CONTENT)
    };
    dashboard.run(change).await?
}

/// Gives a user a new password. Browsers that are signed in with the old one are signed out. Operators only.
#[utoipa::path(
    post,
    path = "/users/{id}/password",
    tag = "users",
    security((), ("token" = [])),
    params(("id" = u64, Path, description = "The id of the user")),
    responses(
        (status = 200, body = NewPassword),
        (status = 403, body = Problem),
        (status = 404, body = Problem, description = "There is no such user"),
    )
)]
pub(super) async fn new_password(
    State(dashboard): State<Dashboard>,
    _: Operator,
    IdPath(id): IdPath,
) -> Result<Json<NewPassword>, Problem> {
    let change = move |dashboard: &Dashboard| {
        let password = dashboard.accounts()?.reset(dashboard.account(id)?.name())?;
        log_change("given a user a new password");
        Ok(Json(NewPassword { password }))
    };
    dashboard.run(change).await?
}

/// Removes a user, and what is known of it. Operators only.
#[utoipa::path(
    delete,
    path = "/users/{id}",
    tag = "users",
    security((), ("token" = [])),
    params(("id" = u64, Path, description = "The id of the user")),
    responses(
        (status = 204, description = "It is removed"),
        (status = 403, body = Problem),
        (status = 404, body = Problem, description = "There is no such user"),
    )
)]
pub(super) async fn remove(
    State(dashboard): State<Dashboard>,
    _: Operator,
    IdPath(id): IdPath,
) -> Result<StatusCode, Problem> {
    let remove = move |dashboard: &Dashboard| {
        dashboard.accounts()?.remove(dashboard.account(id)?.name())?;
        log_change("removed a user");
        Ok(StatusCode::NO_CONTENT)
    };
    dashboard.run(remove).await?
}
