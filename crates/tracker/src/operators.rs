//! `tracker operators`.

use std::error::Error;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use clap::{Args, Subcommand, ValueEnum};
use dashboard::{Account, AccountRole, Accounts};
use tracker::DataFolder;

use crate::archive::Place;

/// Make and change the accounts of those who sign in on the dashboard
///
/// Whether a tracker runs or not: it notices within a second. Passwords are drawn and printed once; only hashes of them are kept, in the
/// data folder.
#[derive(Debug, Clone, Args)]
pub(crate) struct Operators {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Clone, Subcommand)]
enum Action {
    /// Add an account, and print its password
    Add {
        /// The name to sign in with
        name: String,

        /// The role of the account: an operator controls the tracker, a viewer looks and downloads
        #[arg(long, value_enum, default_value_t)]
        role: Role,

        #[command(flatten)]
        place: Place,
    },
    /// Give an account a new password, and print it
    ///
    /// Browsers that are signed in with the account are signed out.
    Reset {
        /// The name of the account
        name: String,

        #[command(flatten)]
        place: Place,
    },
    /// Remove an account
    ///
    /// Browsers that are signed in with it are signed out.
    Remove {
        /// The name of the account
        name: String,

        #[command(flatten)]
        place: Place,
    },
    /// List the accounts
    List {
        #[command(flatten)]
        place: Place,
    },
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum Role {
    #[default]
    Operator,
    Viewer,
}

impl From<Role> for AccountRole {
    fn from(role: Role) -> Self {
        match role {
            Role::Operator => Self::Operator,
            Role::Viewer => Self::Viewer,
        }
    }
}

impl Operators {
    /// Does it, and returns what to print.
    pub(crate) fn run(&self) -> anyhow::Result<String> {
        match &self.action {
            Action::Add { name, role, place } => {
                let (password, file) = add(name, (*role).into(), place)?;
                Ok(format!(
                    "{name} can sign in now ({}). The password, which nobody can look up later:\n    {password}\n",
                    file.display()
                ))
            }
            Action::Reset { name, place } => reset(name, place),
            Action::Remove { name, place } => {
                change(place, |accounts| accounts.remove(name))?;
                Ok(format!("{name} cannot sign in any more.\n"))
            }
            Action::List { place } => match accounts(place)?.0.list() {
                none if none.is_empty() => {
                    Ok("There is no account: `tracker operators add NAME` makes one.\n".to_owned())
                }
                all => Ok(all.iter().map(line).collect()),
            },
        }
    }
}

/// The accounts of a tracker, and their file.
pub(crate) fn accounts(place: &Place) -> anyhow::Result<(Accounts, PathBuf)> {
    let folder = place.folder()?;
    ensure!(folder.is_dir(), "there is no data folder {}: name that of the tracker with --data DIR", folder.display());
    let file = DataFolder::accounts_in(&folder);
    Ok((Accounts::open(&file)?, file))
}

/// Adds an account, and returns its password and the file. The data folder is made if there is none yet.
pub(crate) fn add(name: &str, role: AccountRole, place: &Place) -> anyhow::Result<(String, PathBuf)> {
    let folder = place.folder()?;
    DataFolder::make(&folder).with_context(|| format!("cannot make the data folder {}", folder.display()))?;
    let password = change(place, |accounts| accounts.add(name, role))?;
    Ok((password, DataFolder::accounts_in(&folder)))
}

/// Gives an account a new password, and says it.
pub(crate) fn reset(name: &str, place: &Place) -> anyhow::Result<String> {
    let password = change(place, |accounts| accounts.reset(name))?;
    Ok(format!("The new password of {name}, which nobody can look up later:\n    {password}\n"))
}

/// Changes the accounts of a tracker.
pub(crate) fn change<T, E: Error + Send + Sync + 'static>(
    place: &Place,
    change: impl FnOnce(&Accounts) -> Result<T, E>,
) -> anyhow::Result<T> {
    let (accounts, file) = accounts(place)?;
    let changed = change(&accounts)?;
    keep_owner(&file)?;
    Ok(changed)
}

/// Gives the accounts to the owner of the data folder, where the operator changes those of a service as root.
fn keep_owner(file: &Path) -> anyhow::Result<()> {
    let Some(folder) = file.parent() else { return Ok(()) };
    let given = DataFolder::give_to_owner(folder, [file.to_owned(), file.with_extension("lock")]);
    given.with_context(|| format!("cannot give {} to the owner of its folder", file.display()))
}

fn line(account: &Account) -> String {
    let role = match account.role() {
        AccountRole::Operator => "operator",
        AccountRole::Viewer => "viewer",
    };
    let state = if account.is_active() { "" } else { "  (switched off)" };
    format!("{role:<8}  {}{state}\n", account.name())
}
