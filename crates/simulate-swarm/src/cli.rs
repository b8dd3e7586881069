//! The command line.

use std::ffi::OsString;
use std::io;
use std::net::{IpAddr, UdpSocket};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, Command, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use clap_mangen::Man;
use jiff::SignedDuration;

use crate::address::{LOOPBACK_SOURCES, PORTS, Sources};
use crate::target::{Protocol, Target};
use crate::traffic::Churn;

/// Simulates many BitTorrent peers against a tracker, checks every answer, and measures.
///
/// First all peers arrive, each with one announce (fill). Then they announce repeatedly; some complete, stop or vanish, and new
/// peers take their places (steady). Every answer is compared with what the tracker must and may know at that time.
#[derive(Debug, Parser)]
#[command(
    version,
    disable_help_subcommand = true,
    subcommand_negates_reqs = true,
    after_long_help = "On loopback each peer has an address of its own, from 127.1.0.1 to 127.255.0.1. Elsewhere all peers have \
                  this machine's address, and differ by port.\n\n\
                  The same seed gives the same torrents, peers and roles. The order of announces depends on when \
                  answers come.\n\n\
                  Exit codes: 0 all answers were right; 1 there were violations or errors; 2 wrong usage."
)]
pub(crate) struct Cli {
    /// Announce URL of the tracker: http://HOST:PORT/announce or udp://HOST:PORT
    pub(crate) url: String,

    /// Number of peers at a time
    #[arg(long, help_heading = "Peers and torrents", value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) peers: u32,

    /// Number of torrents
    #[arg(long, help_heading = "Peers and torrents", value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) torrents: u32,

    /// How peers choose their torrent: at random by popularity, or evenly by turns
    ///
    /// With as many torrents as peers, "even" gives each torrent one peer.
    #[arg(long, help_heading = "Peers and torrents", value_enum, default_value_t = Spread::Zipf)]
    pub(crate) spread: Spread,

    /// Exponent of the popularity; 0 makes all torrents equal
    ///
    /// The torrent of rank n has n^-S times the peers of the first.
    #[arg(
        long,
        help_heading = "Peers and torrents",
        value_name = "S",
        default_value_t = 1.0,
        allow_negative_numbers = true
    )]
    pub(crate) zipf: f64,

    /// Seed of everything random, including the info-hashes
    #[arg(long, help_heading = "Peers and torrents", value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,

    /// Share of the peers that are seeders from the start
    #[arg(long, help_heading = "Peers and torrents", value_name = "PERCENT", default_value_t = Percent(25.0))]
    pub(crate) seeders: Percent,

    /// Share of the steady announces by which a peer completes, stops or vanishes
    ///
    /// By a quarter of them the peer completes, by half it stops, and after the others it vanishes. The new peers that take their
    /// places announce, too.
    #[arg(long, help_heading = "Peers and torrents", value_name = "PERCENT", default_value_t = Percent(5.0))]
    pub(crate) leaving: Percent,

    /// Share of steady announces that report completion (with --stopped; replaces --leaving)
    #[arg(long, help_heading = "Peers and torrents", value_name = "PERCENT", conflicts_with = "leaving")]
    pub(crate) completed: Option<Percent>,

    /// Share of steady announces by which a peer stops, to come back soon (with --completed; replaces --leaving)
    ///
    /// It comes back under the same address and port, so that the tracker knows the same peers all the time, and as a leecher. While
    /// there are more seeders than --seeders says, it is seeders that stop.
    #[arg(long, help_heading = "Peers and torrents", value_name = "PERCENT", conflicts_with = "leaving")]
    pub(crate) stopped: Option<Percent>,

    /// Number of peers that an announce asks for
    #[arg(long, help_heading = "Peers and torrents", value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(..=1000))]
    pub(crate) numwant: u32,

    /// Maximum number of peers that the tracker hands out
    ///
    /// 200 for opentracker, 74 for torrust, whatever is requested.
    #[arg(long, help_heading = "Peers and torrents", value_name = "N", default_value_t = 200)]
    pub(crate) max_peers: u32,

    /// Number of addresses that the peers have
    ///
    /// As many as there are peers (distinct), one, or a number that they share, each with a port of its own. More than one needs
    /// a tracker on 127.x.y.z. Trackers may limit the peers of one address. Over UDP each address needs a connect every minute,
    /// so that with more addresses than announces per minute there are as many connects as announces. With --connection
    /// keep-alive each connection is one address, and the default is --concurrency; with --skip-fill there may be more addresses, of
    /// which only the first have a connection and announce.
    #[arg(long, help_heading = "Peers and torrents", value_name = "distinct|one|N")]
    pub(crate) sources: Option<SourceCount>,

    /// Duration of the steady phase, such as 10s or 2m; 10s if --announces is not given either
    #[arg(long, help_heading = "Load", value_name = "TIME", value_parser = duration)]
    pub(crate) duration: Option<Duration>,

    /// Number of announces in the steady phase
    #[arg(long, help_heading = "Load", value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) announces: Option<u64>,

    /// Requests per second in the steady phase, on a fixed schedule
    ///
    /// Latency counts from the scheduled time. By default the next request is sent as soon as an answer has come.
    #[arg(long, help_heading = "Load", value_name = "R", value_parser = rate)]
    pub(crate) rate: Option<f64>,

    /// Maximum number of requests in flight; by default 64 over UDP, 32 over HTTP
    ///
    /// Over UDP about 200 fill the default buffer of a socket on Linux, and more are lost.
    #[arg(long, help_heading = "Load", value_name = "N", value_parser = clap::value_parser!(u16).range(1..=20_000))]
    pub(crate) concurrency: Option<u16>,

    /// HTTP: a new connection for each request, as most clients make, or persistent connections
    #[arg(long, help_heading = "Load", value_enum, default_value_t = Connection::New)]
    pub(crate) connection: Connection,

    /// Share of the requests in the steady phase that are scrapes
    #[arg(long, help_heading = "Load", value_name = "PERCENT", default_value_t = Percent(0.0))]
    pub(crate) scrapes: Percent,

    /// Number of torrents that a scrape asks for
    #[arg(long, help_heading = "Load", value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=74))]
    pub(crate) scrape_hashes: u32,

    /// Run only the fill phase
    #[arg(long, help_heading = "Load", conflicts_with_all = ["skip_fill", "duration", "announces", "rate"])]
    pub(crate) fill_only: bool,

    /// Skip the fill phase
    ///
    /// The tracker has the peers from a run with --fill-only and the same options.
    #[arg(long, help_heading = "Load")]
    pub(crate) skip_fill: bool,

    /// Process id of the tracker, to measure its CPU time and memory
    #[arg(long, help_heading = "Checks and results")]
    pub(crate) pid: Option<u32>,

    /// Write the info-hashes that these options use, and exit; - for standard output
    ///
    /// One per line, in hexadecimal.
    #[arg(long, help_heading = "Checks and results", value_name = "FILE")]
    pub(crate) info_hashes: Option<PathBuf>,

    /// Do not count it as a violation when a seeder gets seeders
    #[arg(long, help_heading = "Checks and results")]
    pub(crate) seeds_to_seeds: bool,

    /// Write all figures as JSON; - for standard output, instead of the summary
    #[arg(long, help_heading = "Checks and results", value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,

    /// Write latency and rate over time as an SVG picture
    #[arg(long, help_heading = "Checks and results", value_name = "FILE")]
    pub(crate) plot: Option<PathBuf>,

    /// Print neither progress bar nor summary
    #[arg(long, help_heading = "Checks and results")]
    pub(crate) quiet: bool,
}

/// What the command line asks for.
#[derive(Debug)]
pub(crate) enum Action {
    Simulate(Box<Cli>),
    Generate(Generate),
}

impl Action {
    /// Takes the command line apart. The first argument is the program's name.
    pub(crate) fn parse(arguments: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> Result<Self, clap::Error> {
        let generate = Generate::augment_args(Command::new("generate").hide(true));
        let matches = Cli::command().subcommand(generate).try_get_matches_from(arguments)?;
        Ok(match matches.subcommand() {
            Some((_, matches)) => Self::Generate(Generate::from_arg_matches(matches)?),
            None => Self::Simulate(Box::new(Cli::from_arg_matches(&matches)?)),
        })
    }
}

/// What packages install beside the program.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Generate {
    #[command(subcommand)]
    what: Generated,
}

#[derive(Debug, Clone, Copy, Subcommand)]
enum Generated {
    /// Print the completions for a shell
    Completions { shell: Shell },
    /// Print the man page
    Man,
}

impl Generate {
    /// The text to print.
    pub(crate) fn bytes(self) -> io::Result<Vec<u8>> {
        let mut command = Cli::command();
        let mut bytes = Vec::new();
        match self.what {
            Generated::Completions { shell } => {
                clap_complete::generate(shell, &mut command, "simulate-swarm", &mut bytes)
            }
            Generated::Man => Man::new(command).render(&mut bytes)?,
        }
        Ok(bytes)
    }
}

/// How peers choose their torrent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Spread {
    Zipf,
    Even,
}

/// How requests share connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Connection {
    New,
    KeepAlive,
}

/// A percentage from 0 to 100.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Percent(pub(crate) f64);

impl Percent {
    /// The share, from 0 to 1.
    pub(crate) fn share(self) -> f64 {
        self.0 / 100.0
    }
}

impl FromStr for Percent {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let percent = text.strip_suffix('%').unwrap_or(text).trim().parse().ok();
        percent.filter(|percent| (0.0..=100.0).contains(percent)).map(Self).ok_or("give a percentage from 0 to 100")
    }
}

impl std::fmt::Display for Percent {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(formatter)
    }
}

/// The number of addresses that peers have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SourceCount {
    Distinct,
    Shared(u32),
}

impl FromStr for SourceCount {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "distinct" => Ok(Self::Distinct),
            "one" => Ok(Self::Shared(1)),
            _ => {
                let count = text.parse().ok().filter(|count| (1..=LOOPBACK_SOURCES).contains(count));
                count
                    .map(Self::Shared)
                    .ok_or_else(|| format!("give distinct, one, or a number up to {LOOPBACK_SOURCES}"))
            }
        }
    }
}

fn duration(text: &str) -> Result<Duration, &'static str> {
    let duration = text.parse::<SignedDuration>().ok().and_then(|duration| Duration::try_from(duration).ok());
    duration.filter(|duration| !duration.is_zero()).ok_or("give a time such as 10s or 2m")
}

fn rate(text: &str) -> Result<f64, &'static str> {
    let rate = text.parse().ok();
    rate.filter(|rate| (0.01..=1e7).contains(rate)).ok_or("give a rate from 0.01 to 10000000 per second")
}

impl Cli {
    /// Checks that the options fit together.
    pub(crate) fn check(&self) -> Result<()> {
        ensure!(
            self.scrapes.0 == 0.0 || self.scrape_hashes <= self.torrents,
            "a scrape of {} torrents needs as many: give --torrents {} or more",
            self.scrape_hashes,
            self.scrape_hashes
        );
        let [completed, stopped] = [self.completed, self.stopped].map(|share| share.map_or(0.0, |share| share.0));
        ensure!(
            completed + stopped <= 100.0,
            "{completed} % of the announces cannot be completed and {stopped} % stopped: give at most 100 % together"
        );
        Ok(())
    }

    /// How peers come and go.
    pub(crate) fn churn(&self) -> Churn {
        let share = |percent: Option<Percent>| percent.map_or(0.0, Percent::share);
        match (self.completed, self.stopped) {
            (None, None) => Churn::Replaced { leaving: self.leaving.share() },
            (completed, stopped) => Churn::Returning { completed: share(completed), stopped: share(stopped) },
        }
    }

    /// Checks that the options fit the tracker.
    pub(crate) fn check_target(&self, target: &Target) -> Result<()> {
        ensure!(
            self.scrapes.0 == 0.0 || !matches!(target.protocol, Protocol::Http { scrape: None, .. }),
            "the announce URL does not end in /announce, so there is no scrape URL: leave out --scrapes"
        );
        Ok(())
    }

    /// The maximum number of requests in flight.
    pub(crate) fn concurrency(&self, target: &Target) -> u16 {
        self.concurrency.unwrap_or(if target.protocol == Protocol::Udp { 64 } else { 32 })
    }

    /// The addresses of the peers.
    pub(crate) fn sources(&self, target: &Target) -> Result<Sources> {
        let keeps = self.keeps_connections(target);
        let concurrency = u32::from(self.concurrency(target));
        let sources = match (target.address.ip(), self.sources) {
            (IpAddr::V4(tracker), count) if tracker.is_loopback() => {
                let count = match count {
                    None if keeps => concurrency,
                    None | Some(SourceCount::Distinct) if !keeps => LOOPBACK_SOURCES,
                    Some(SourceCount::Shared(count)) if !keeps || count == 1 || count == concurrency => count,
                    // The peers without a connection have been filled in otherwise.
                    Some(SourceCount::Shared(count)) if self.skip_fill && count > concurrency => count,
                    _ => bail!(
                        "with --connection keep-alive each connection is one address: leave out --sources, or give \
                         --sources one or --sources {concurrency}, or, with --skip-fill, more"
                    ),
                };
                Sources::loopback(count, tracker)
            }
            (_, None | Some(SourceCount::Shared(1))) => Sources::own(own_address(target)?),
            (other, Some(_)) => bail!(
                "peers with several addresses need a tracker on 127.x.y.z, and {other} is not one: leave out --sources"
            ),
        };
        if self.peers > sources.capacity() {
            let needed = self.peers.div_ceil(PORTS);
            bail!(
                "{} peers do not fit: give at most {}, or, with a tracker on 127.x.y.z, --sources {needed} or more",
                self.peers,
                sources.capacity()
            );
        }
        Ok(sources)
    }

    /// Returns `true` if HTTP connections are persistent.
    pub(crate) fn keeps_connections(&self, target: &Target) -> bool {
        self.connection == Connection::KeepAlive && target.protocol != Protocol::Udp
    }
}

/// The address by which this machine reaches the tracker.
fn own_address(target: &Target) -> Result<IpAddr> {
    let any: IpAddr = if target.address.is_ipv4() { [0; 4].into() } else { [0_u16; 8].into() };
    let find = || {
        let socket = UdpSocket::bind((any, 0))?;
        socket.connect(target.address)?;
        Ok::<_, io::Error>(socket.local_addr()?.ip())
    };
    find().with_context(|| format!("no route to {}", target.address))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(arguments: &[&str]) -> Result<u32> {
        let cli = Cli::try_parse_from([&["simulate-swarm"], arguments].concat()).unwrap();
        let target = Target::parse(&cli.url).unwrap();
        cli.sources(&target).map(|sources| sources.count())
    }

    #[test]
    fn the_command_line_is_valid() {
        Cli::command().debug_assert();
    }

    #[test]
    fn sources_follow_from_tracker_and_connections() {
        const UDP: &str = "udp://127.0.0.1:6969";
        const HTTP: &str = "http://127.0.0.1:6969/announce";
        assert_eq!(sources(&[UDP]).unwrap(), LOOPBACK_SOURCES);
        assert_eq!(sources(&[UDP, "--sources", "one"]).unwrap(), 1);
        assert_eq!(sources(&[UDP, "--sources", "256"]).unwrap(), 256);
        assert_eq!(sources(&[HTTP]).unwrap(), LOOPBACK_SOURCES);
        assert_eq!(sources(&[HTTP, "--connection", "keep-alive"]).unwrap(), 32);
        let more = [HTTP, "--connection", "keep-alive", "--sources", "256", "--skip-fill"];
        assert_eq!(sources(&more).unwrap(), 256);
        assert!(sources(&more[..5]).is_err());
        assert_eq!(sources(&["udp://[::1]:6969"]).unwrap(), 1);
        for (arguments, advice) in [
            (&["udp://[::1]:6969", "--sources", "distinct"][..], "leave out --sources"),
            (&[HTTP, "--connection", "keep-alive", "--sources", "distinct"], "--sources one or --sources 32"),
            (&[UDP, "--sources", "one", "--peers", "64001"], "at most 64000"),
        ] {
            let error = sources(arguments).unwrap_err().to_string();
            assert!(error.contains(advice), "{error}");
        }
    }

    #[test]
    fn shares_of_those_that_leave_fit_together() {
        let parse =
            |arguments: &[&str]| Cli::try_parse_from([&["simulate-swarm", "udp://127.0.0.1:6969"], arguments].concat());
        let churn = |arguments| parse(arguments).unwrap().churn();
        assert!(matches!(churn(&[]), Churn::Replaced { leaving: 0.05 }));
        let Churn::Returning { completed: 0.1, stopped: 0.0 } = churn(&["--completed", "10"]) else { panic!() };
        assert!(parse(&["--completed", "10", "--leaving", "5"]).is_err());
        let error = parse(&["--completed", "60", "--stopped", "41"]).unwrap().check().unwrap_err().to_string();
        assert!(error.contains("60 %") && error.contains("41 %"), "{error}");
    }

    #[test]
    fn values_are_understood() {
        assert_eq!(duration("10s"), Ok(Duration::from_secs(10)));
        assert_eq!(duration("1m 500ms"), Ok(Duration::from_millis(60_500)));
        assert!(["0s", "-1s", "10", "x"].into_iter().all(|text| duration(text).is_err()));
        assert_eq!(["5", "5%"].map(str::parse), [Ok(Percent(5.0)); 2]);
        assert!(["101", "-1", "NaN", ""].into_iter().all(|text| text.parse::<Percent>().is_err()));
        assert!(["0", "-5", "inf"].into_iter().all(|text| rate(text).is_err()));
    }
}
