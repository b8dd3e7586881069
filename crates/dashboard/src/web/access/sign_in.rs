//! Signing in and out: passwords, the code, and the cookies that browsers get for them.

use std::time::{Duration, Instant};

use axum::http::header::{COOKIE, Entry, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum_extra::extract::cookie::{Cookie, SameSite};
use subtle::ConstantTimeEq;
use tracker_host::LogThrottle;

use super::{Attempts, Token, Visitor};
use crate::accounts::AccountRole;
use crate::web::client::Client;
use crate::web::problem::Problem;
use crate::web::role::Role;
use crate::web::{Dashboard, Viewers};

/// How long a browser keeps the cookie of an account, in seconds: the longest time that browsers allow, 400 days. The session ends much
/// earlier if it is not used.
const MAX_COOKIE_AGE: u64 = 400 * 24 * 3600;

/// The beginning of the names of cookies that browsers take over TLS only, and cannot be given otherwise
/// ([RFC 6265bis](https://datatracker.ietf.org/doc/html/draft-ietf-httpbis-rfc6265bis#section-4.1.3.1)).
const SECURE_PREFIX: &str = "__Secure-";

/// Limits the log lines about wrong passwords and codes.
static WRONG: LogThrottle = LogThrottle::new(Duration::from_secs(60));

/// Why somebody is not signed in.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SignInError {
    /// There is no account with this name and password.
    #[error("the name or the password is wrong")]
    WrongPassword,
    /// It is not the code.
    #[error("the code is wrong")]
    WrongCode,
    /// It is a viewer's, and only operators may look.
    #[error("only operators may look at the moment")]
    OperatorsOnly,
    /// Too many were wrong.
    #[error("too many failed attempts from this address; try again in {} seconds", wait.as_secs_f64().ceil())]
    TooMany {
        /// The time until the next one is tried.
        wait: Duration,
    },
    /// Too many sign in at the same time.
    #[error("too many requests; try again in a few seconds")]
    Busy,
}

impl SignInError {
    /// What was wrong with a code in a URL, for the query of the page to sign in.
    pub(super) fn name(&self) -> &'static str {
        if matches!(self, Self::TooMany { .. }) { "wait" } else { "code" }
    }

    /// The error with this [name](Self::name).
    pub(crate) fn of_name(name: &str) -> Option<Self> {
        match name {
            "" => None,
            "wait" => Some(Self::TooMany { wait: Attempts::PAUSE }),
            _ => Some(Self::WrongCode),
        }
    }
}

impl From<SignInError> for Problem {
    fn from(error: SignInError) -> Self {
        let status = match error {
            SignInError::WrongPassword | SignInError::WrongCode | SignInError::OperatorsOnly => StatusCode::FORBIDDEN,
            SignInError::TooMany { .. } => StatusCode::TOO_MANY_REQUESTS,
            SignInError::Busy => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self::new(status, error.to_string())
    }
}

/// Signs a visitor in with a name and a password. Returns the cookie of the new session, which takes the place of the visitor's old
/// one.
pub(crate) async fn sign_in(
    dashboard: &Dashboard,
    client: Client,
    visitor: &Visitor,
    name: String,
    password: String,
) -> Result<String, SignInError> {
    let attempts = &dashboard.0.password_attempts;
    if let Some(wait) = attempts.wait(client, Instant::now()) {
        return Err(SignInError::TooMany { wait });
    }
    // Before it is tried: those that come at the same time count, too.
    attempts.failed(client, Instant::now());
    let before = visitor.session.clone();
    let work = move |dashboard: &Dashboard| {
        let account = dashboard.config().accounts.as_ref()?.sign_in(name.trim(), &password)?;
        if account.role() == AccountRole::Viewer && dashboard.config().viewers == Viewers::None {
            return Some((account, None));
        }
        before.map(|before| dashboard.0.sessions.end(&before));
        let secret = dashboard.0.sessions.begin(Some(&account), client.address, dashboard.unix_now());
        dashboard.0.sessions.save();
        Some((account, Some(secret)))
    };
    let signed_in = dashboard.clone().run(work).await.map_err(|_| {
        attempts.succeeded(client);
        SignInError::Busy
    })?;
    let Some((account, secret)) = signed_in else {
        if let Some(suppressed) = WRONG.allows() {
            tracing::warn!(remote = %client.address, suppressed, "a wrong password was refused");
        }
        return Err(SignInError::WrongPassword);
    };
    attempts.succeeded(client);
    let secret = secret.ok_or(SignInError::OperatorsOnly)?;
    // Without the name: everybody who may look sees the log.
    let role = account.role().into();
    let who = if role == Role::Operator { "an operator" } else { "a viewer" };
    tracing::info!(event = "signed_in", remote = %client.address, "{who} has signed in from {}", client.address);
    Ok(session_cookie(dashboard, visitor.port, &secret, role, Some(MAX_COOKIE_AGE)))
}

/// Ends the visitor's session, and takes back what the browser has for the code. Returns the cookies that say so.
pub(crate) fn sign_out(dashboard: &Dashboard, visitor: &Visitor) -> [String; 2] {
    let port = visitor.port;
    if let Some(session) = &visitor.session {
        dashboard.0.sessions.end(session);
        dashboard.0.sessions.save();
    }
    let gone = Token::none();
    [
        session_cookie(dashboard, port, &gone, Role::Operator, Some(0)),
        cookie(dashboard, pass_name(port), &gone, SameSite::Lax, Some(0)),
    ]
}

/// Checks the code of somebody at this address.
pub(super) fn is_code(dashboard: &Dashboard, code: &str, given: &str, client: Client) -> Result<(), SignInError> {
    let attempts = &dashboard.0.code_attempts;
    if let Some(wait) = attempts.wait(client, Instant::now()) {
        return Err(SignInError::TooMany { wait });
    }
    if bool::from(code.as_bytes().ct_eq(given.trim().as_bytes())) {
        return Ok(());
    }
    attempts.failed(client, Instant::now());
    if let Some(suppressed) = WRONG.allows() {
        tracing::warn!(remote = %client.address, suppressed, "a wrong code was refused");
    }
    Err(SignInError::WrongCode)
}

/// Checks a code that somebody has entered. Returns the cookie of those who know it.
pub(crate) fn enter_code(dashboard: &Dashboard, client: Client, port: u16, given: &str) -> Result<String, SignInError> {
    let code = dashboard.code().ok_or(SignInError::WrongCode)?;
    is_code(dashboard, code, given, client)?;
    Ok(pass_cookie(dashboard, port))
}

/// Returns `true` if the browser has the cookie of those who know the code.
pub(super) fn has_pass(dashboard: &Dashboard, headers: &HeaderMap, port: u16) -> bool {
    cookies(headers, pass_name(port)).any(|value| dashboard.0.pass.is(&value))
}

/// What may be the secret of the browser's session.
pub(super) fn session_secrets(headers: &HeaderMap, port: u16) -> impl Iterator<Item = String> {
    cookies(headers, session_name(port))
}

/// The values of all cookies with this name. There may be old ones that the browser still has for another path, or for TLS.
fn cookies(headers: &HeaderMap, name: String) -> impl Iterator<Item = String> {
    let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
    let cookies = lines.flat_map(Cookie::split_parse).filter_map(Result::ok);
    cookies
        .filter(move |cookie| cookie.name().strip_prefix(SECURE_PREFIX).unwrap_or_else(|| cookie.name()) == name)
        .map(|cookie| cookie.value().to_owned())
}

/// Has browsers keep the cookies that they are given over TLS apart from those of plain HTTP, and send them over TLS only.
pub(super) fn secure_cookies(headers: &mut HeaderMap) {
    if let Entry::Occupied(mut cookies) = headers.entry(SET_COOKIE) {
        for cookie in cookies.iter_mut() {
            let secure = [SECURE_PREFIX.as_bytes(), cookie.as_bytes(), b"; Secure"].concat();
            *cookie = HeaderValue::from_bytes(&secure).expect("a header that has more visible characters is one");
        }
    }
}

/// The cookie of a session, for so many seconds, or until the browser is closed. Who may only look is let in by a link on another site,
/// too.
pub(super) fn session_cookie(
    dashboard: &Dashboard,
    port: u16,
    secret: &Token,
    role: Role,
    seconds: Option<u64>,
) -> String {
    let same_site = if role == Role::Operator { SameSite::Strict } else { SameSite::Lax };
    cookie(dashboard, session_name(port), secret, same_site, seconds)
}

/// The cookie of those who know the code, until the browser is closed. Not strict: a link in a chat leads to the page, too.
pub(super) fn pass_cookie(dashboard: &Dashboard, port: u16) -> String {
    cookie(dashboard, pass_name(port), &dashboard.0.pass, SameSite::Lax, None)
}

fn cookie(dashboard: &Dashboard, name: String, value: &Token, same_site: SameSite, seconds: Option<u64>) -> String {
    let base_path = dashboard.base_path();
    // Without a slash at its end it is also for the base path itself.
    let path = if base_path.is_empty() { "/" } else { base_path.as_str() };
    let cookie = Cookie::build((name, value.as_str())).http_only(true).same_site(same_site).path(path);
    seconds.map_or_else(|| cookie.to_string(), |seconds| format!("{cookie}; Max-Age={seconds}"))
}

/// Browsers have the same cookies for all ports of a host.
fn session_name(port: u16) -> String {
    format!("tracker-{port}")
}

fn pass_name(port: u16) -> String {
    format!("tracker-code-{port}")
}
