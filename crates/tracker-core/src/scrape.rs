//! A scrape: the counts of swarms ([BEP 48](https://www.bittorrent.org/beps/bep_0048.html)).

use std::net::IpAddr;

use crate::access::AllowAdvice;

/// The counts of one swarm, as a scrape returns them. An unknown swarm has zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct SwarmCounts {
    /// Peers that have everything.
    pub seeders: u32,
    /// Peers that have not, partial seeds included.
    pub leechers: u32,
    /// Those of the leechers that have all they want: partial seeds
    /// ([BEP 21](https://www.bittorrent.org/beps/bep_0021.html)).
    pub partial_seeds: u32,
    /// Downloads completed since the swarm is known.
    pub completed: u32,
}

/// Why a scrape was refused. The texts are fit for the user of a client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScrapeError {
    /// The address is outside of what [`Config::access`](crate::Config::access) admits.
    #[error("this tracker does not serve {address}: its operator can allow that with {}", AllowAdvice(*address))]
    AddressNotAllowed {
        /// The asker's address.
        address: IpAddr,
    },
    /// [`Config::clients`](crate::Config::clients) does not admit the address.
    #[error("this tracker does not serve {address}: its operator has a list of addresses that does not admit it")]
    AddressDenied {
        /// The asker's address.
        address: IpAddr,
    },
    /// The tracker is for its users, and the scrape has no key, or one that is not valid any more.
    #[error("this scrape URL is not valid: get the .torrent again")]
    UnknownUser,
    /// More info-hashes than one scrape may have.
    #[error("a scrape may ask for {limit} torrents at once, this one asks for {asked}")]
    TooManyHashes {
        /// [`Config::max_scrape_hashes`](crate::Config::max_scrape_hashes).
        limit: usize,
        /// The number of info-hashes in the scrape.
        asked: usize,
    },
}
