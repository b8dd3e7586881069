//! The role of the sender of a request.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use super::problem::Problem;
use crate::accounts::AccountRole;

/// The role of the sender of a request. A handler takes it as an argument to show what the sender may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// May look.
    Viewer,
    /// May look, and change things.
    Operator,
}

impl From<AccountRole> for Role {
    fn from(role: AccountRole) -> Self {
        match role {
            AccountRole::Operator => Self::Operator,
            AccountRole::Viewer => Self::Viewer,
        }
    }
}

/// A handler that takes this as an argument is for operators only; others are refused with 403 and a sentence.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Operator;

impl<S: Sync> FromRequestParts<S> for Role {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get().copied().unwrap_or(Self::Viewer))
    }
}

impl<S: Sync> FromRequestParts<S> for Operator {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Role::from_request_parts(parts, state).await {
            Ok(Role::Operator) => Ok(Self),
            Ok(Role::Viewer) => Err(Problem::forbidden(
                "only the operator may do this: open the URL that the tracker printed when it started, or sign in as an operator",
            )),
        }
    }
}
