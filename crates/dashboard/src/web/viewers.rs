//! Who may look.

/// Those who may look at the dashboard and download what is shared, beside operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Viewers {
    /// Everybody whom the tracker's address policy admits, and who knows the code, if there is one.
    #[default]
    Lan,
    /// Those who have signed in with an account.
    Login,
    /// Nobody.
    None,
}
