//! `tracker users`.

use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::SystemTime;

use clap::{Args, Subcommand};
use dashboard::{Account, AccountChange, AccountRole};
use tracker::{SavedUser, SavedUsers};
use tracker_core::UserKey;
use tracker_host::unix_seconds;

use crate::archive::Place;
use crate::operators::{accounts, add, change, reset};
use crate::text::size;

/// Make and change the users of a tracker that runs with --users
///
/// Each has an account to sign in with on the dashboard, and a key in the announce URLs of the .torrent files that are downloaded
/// there. Whether a tracker runs or not: it notices within a second.
#[derive(Debug, Clone, Args)]
pub(crate) struct Users {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Clone, Subcommand)]
enum Action {
    /// Add a user, and print the password and the key
    Add(UserArgs),
    /// Give a user another name
    ///
    /// The key stays valid; browsers are signed out.
    Rename {
        #[command(flatten)]
        user: UserArgs,

        /// The new name
        new_name: String,
    },
    /// Switch a user off: announces with the key are refused, and nobody signs in with the account
    ///
    /// Browsers that are signed in with it are signed out.
    Off(UserArgs),
    /// Switch a user on again
    On(UserArgs),
    /// Give a user a new key, and print it
    ///
    /// The old one is not valid any more: the user downloads the .torrent files again.
    Key(UserArgs),
    /// Give a user a new password, and print it
    Password(UserArgs),
    /// Limit what a user does at the same time
    Limit {
        #[command(flatten)]
        user: UserArgs,

        /// At most so many addresses; a computer may have two, of IPv4 and of IPv6
        #[arg(long, value_name = "COUNT|none", required_unless_present = "torrents")]
        addresses: Option<Limit>,

        /// At most so many torrents
        #[arg(long, value_name = "COUNT|none")]
        torrents: Option<Limit>,
    },
    /// Remove a user, and what is known of it
    Remove(UserArgs),
    /// List the users, and what each has done
    List {
        #[command(flatten)]
        place: Place,
    },
}

#[derive(Debug, Clone, Args)]
struct UserArgs {
    /// The name of the user
    name: String,

    #[command(flatten)]
    place: Place,
}

/// A limit, or none.
#[derive(Debug, Clone, Copy)]
struct Limit(Option<NonZeroU32>);

impl FromStr for Limit {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "none" => Ok(Self(None)),
            _ => text.parse().map(|limit| Self(Some(limit))).map_err(|_| "a limit is a number from 1 on, or `none`"),
        }
    }
}

impl Users {
    /// Does it, and returns what to print.
    pub(crate) fn run(&self) -> anyhow::Result<String> {
        match &self.action {
            Action::Add(UserArgs { name, place }) => {
                let (password, file) = add(name, AccountRole::Viewer, place)?;
                let mut said = format!(
                    "{name} is a user now ({}). The password, which nobody can look up later:\n    {password}\n",
                    file.display()
                );
                let account = accounts(place)?.0.list().into_iter().find(|account| account.name() == name);
                if let Some(key) = account.and_then(|account| account.key()) {
                    said += &format!(".torrent files need the key of {name}. {}", announce_path(name, key));
                }
                Ok(said)
            }
            Action::Rename { user, new_name } => {
                user.change(&AccountChange::default().with(|change| change.name = Some(new_name.clone())))?;
                Ok(format!("{} is {new_name} now.\n", user.name))
            }
            Action::Off(user) => {
                user.change(&AccountChange::default().with(|change| change.is_active = Some(false)))?;
                Ok(format!("{} is switched off.\n", user.name))
            }
            Action::On(user) => {
                user.change(&AccountChange::default().with(|change| change.is_active = Some(true)))?;
                Ok(format!("{} is switched on.\n", user.name))
            }
            Action::Key(UserArgs { name, place }) => {
                let key = change(place, |accounts| accounts.new_key(name))?;
                Ok(format!("The .torrent files from before do not work any more. {}", announce_path(name, key)))
            }
            Action::Password(UserArgs { name, place }) => reset(name, place),
            Action::Limit { user, addresses, torrents } => {
                user.change(&AccountChange::default().with(|change| {
                    change.max_addresses = addresses.map(|limit| limit.0);
                    change.max_torrents = torrents.map(|limit| limit.0);
                }))?;
                Ok(format!("The limits of {} are changed.\n", user.name))
            }
            Action::Remove(UserArgs { name, place }) => {
                change(place, |accounts| accounts.remove(name))?;
                Ok(format!("Removed {name}.\n"))
            }
            Action::List { place } => {
                let all = accounts(place)?.0.list();
                if all.is_empty() {
                    return Ok("There is no user: `tracker users add NAME` makes one.\n".to_owned());
                }
                let saved = SavedUsers::read(&place.folder()?);
                let now = unix_seconds(SystemTime::now());
                Ok(all.iter().map(|account| line(account, saved.of(account.user()), now)).collect())
            }
        }
    }
}

impl UserArgs {
    fn change(&self, changed: &AccountChange) -> anyhow::Result<()> {
        change(&self.place, |accounts| accounts.change(&self.name, changed))
    }
}

fn announce_path(name: &str, key: UserKey) -> String {
    format!(
        "Those that {name} downloads on the dashboard have the key. In others, the announce URLs must end in\n    \
         /announce/{key}\n"
    )
}

fn line(account: &Account, done: SavedUser, now: u64) -> String {
    let state = if account.is_active() { "on " } else { "off" };
    let role = if account.role() == AccountRole::Operator { " (operator)" } else { "" };
    let (uploaded, downloaded) = (size(done.uploaded), size(done.downloaded));
    let mut line = format!("{state}  {}{role}  uploaded {uploaded}  downloaded {downloaded}", account.name());
    line += &match done.last_seen {
        Some(at) => format!("  last seen {} min ago", now.saturating_sub(at) / 60),
        None => "  not seen".to_owned(),
    };
    for (limit, what) in [(account.max_addresses(), "addresses"), (account.max_torrents(), "torrents")] {
        line += &limit.map(|limit| format!("  {what} at most {limit}")).unwrap_or_default();
    }
    line + "\n"
}
