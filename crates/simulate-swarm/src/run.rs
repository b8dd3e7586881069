//! A run, from the command line to the report.

use std::env;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::sys::prctl;
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::check::Claims;
use crate::cli::{Action, Cli, Spread};
use crate::http::HttpClient;
use crate::own_peer::OwnPeer;
use crate::pace::{Pace, Schedule};
use crate::play::Play;
use crate::plot;
use crate::popularity::Popularity;
use crate::population::Population;
use crate::process::{Usage, own_cpu};
use crate::progress::Bar;
use crate::record::{Record, Sample};
use crate::report::{PhaseReport, Report, Settings, Spent};
use crate::summary::Summary;
use crate::target::{Protocol, Target};
use crate::traffic::{Churn, Mix, Phase, Traffic, info_hashes};
use crate::udp::UdpClient;

/// The duration without --duration and --announces.
const DEFAULT_DURATION: Duration = Duration::from_secs(10);
/// The shortest time that a point of the plot covers.
const SHORTEST_SAMPLE: Duration = Duration::from_millis(100);

/// The exit code for wrong usage; clap has the same.
const USAGE: u8 = 2;

/// A client of either protocol.
#[derive(Debug)]
enum Client {
    Udp(UdpClient),
    Http(HttpClient),
}

/// What both phases share.
#[derive(Debug)]
struct Stage<'a> {
    cli: &'a Cli,
    client: Client,
    traffic: Traffic,
    own_peer: OwnPeer,
    stop: Arc<AtomicBool>,
}

/// Runs the program.
pub(crate) fn main() -> ExitCode {
    match Action::parse(env::args_os()).unwrap_or_else(|error| error.exit()) {
        Action::Simulate(cli) => simulate(&cli),
        Action::Generate(generate) => {
            // A reader that has gone does not want the text.
            _ = generate.bytes().and_then(|bytes| io::stdout().write_all(&bytes));
            ExitCode::SUCCESS
        }
    }
}

fn simulate(cli: &Cli) -> ExitCode {
    let prepared = cli.check().and_then(|()| Target::parse(&cli.url)).and_then(|target| {
        cli.check_target(&target)?;
        let sources = cli.sources(&target)?;
        let popularity = popularity(cli)?;
        Ok((target, sources, popularity))
    });
    let (target, sources, popularity) = match prepared {
        Ok(prepared) => prepared,
        Err(error) => return fail(&error, USAGE),
    };
    let outcome = match &cli.info_hashes {
        Some(path) => write_info_hashes(path, cli.seed, cli.torrents).map(|()| true),
        None => play(cli, &target, sources, &popularity),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => fail(&error, 1),
    }
}

fn fail(error: &anyhow::Error, code: u8) -> ExitCode {
    eprintln!("simulate-swarm: {error:#}");
    ExitCode::from(code)
}

fn popularity(cli: &Cli) -> Result<Popularity> {
    match cli.spread {
        Spread::Even => Ok(Popularity::Even { torrents: cli.torrents }),
        Spread::Zipf => Popularity::zipf(cli.torrents, cli.zipf).context("--zipf is a number from 0 on"),
    }
}

/// Plays both phases. Returns `true` if all answers were right.
fn play(cli: &Cli, target: &Target, sources: crate::address::Sources, popularity: &Popularity) -> Result<bool> {
    if let Some(pid) = cli.pid {
        Usage::of(pid).with_context(|| format!("cannot read the CPU time of process {pid}; is it running?"))?;
    }
    // By default Linux may wake a thread up to 50 µs late.
    prctl::set_timerslack(1).context("cannot ask for precise timers")?;
    let concurrency = cli.concurrency(target);
    let settings = settings(cli, target, sources.count());
    let client = match &target.protocol {
        Protocol::Udp => Client::Udp(UdpClient::open(target, &sources, concurrency)?),
        Protocol::Http { .. } => {
            Client::Http(HttpClient::open(target, &sources, concurrency, cli.keeps_connections(target))?)
        }
    };
    let groups = if cli.keeps_connections(target) { sources.count() } else { 1 };
    let mut rng = StdRng::seed_from_u64(cli.seed.wrapping_add(1));
    let population = Population::draw(cli.peers, cli.torrents, popularity, cli.seeders.share(), sources, &mut rng);
    let mix = Mix {
        seeders: cli.seeders.share(),
        churn: cli.churn(),
        scrapes: cli.scrapes.share(),
        scrape_hashes: cli.scrape_hashes,
        numwant: cli.numwant,
    };
    let traffic = Traffic::new(population, info_hashes(cli.seed, cli.torrents), mix, groups, rng);
    let stop = Arc::new(AtomicBool::new(false));
    let handler = Arc::clone(&stop);
    ctrlc::set_handler(move || handler.store(true, Ordering::Relaxed)).context("cannot listen for Ctrl-C")?;
    let mut stage = Stage { cli, client, traffic, own_peer: OwnPeer::of(target.address), stop };

    let mut samples = Vec::new();
    let fill = if cli.skip_fill {
        stage.traffic.assume_filled();
        None
    } else {
        let (report, record) = stage.play(Phase::Fill, Pace::default())?;
        samples = record;
        Some(report)
    };
    let is_hopeless = fill.as_ref().is_some_and(|fill| fill.requests == 0);
    let steady = if cli.fill_only || is_hopeless || stage.stop.load(Ordering::Relaxed) {
        None
    } else {
        let (report, record) = stage.play(Phase::Steady, steady_pace(cli))?;
        samples = record;
        Some(report)
    };

    let ok =
        phases_of(&fill, &steady).all(|phase| phase.requests > 0 && phase.errors_total + phase.violations_total == 0);
    if let Some(silent) = phases_of(&fill, &steady).find(|phase| phase.requests == 0) {
        let error = silent.first_error.as_deref().unwrap_or("no request was sent");
        eprintln!("simulate-swarm: {target} gave no useful answer: {}", error.escape_debug());
    }
    let interrupted = stage.stop.load(Ordering::Relaxed);
    let version = env!("CARGO_PKG_VERSION");
    let report = Report { target: target.to_string(), version, settings, fill, steady, interrupted, ok };
    write_report(cli, &report)?;
    if let Some(path) = &cli.plot {
        plot::write(path, &format!("{} peers in {} torrents at {target}", cli.peers, cli.torrents), &samples)?;
    }
    Ok(ok)
}

fn phases_of<'a>(
    fill: &'a Option<PhaseReport>,
    steady: &'a Option<PhaseReport>,
) -> impl Iterator<Item = &'a PhaseReport> {
    fill.iter().chain(steady)
}

fn steady_pace(cli: &Cli) -> Pace {
    let duration = if cli.announces.is_none() { cli.duration.or(Some(DEFAULT_DURATION)) } else { cli.duration };
    Pace { rate: cli.rate, duration, announces: cli.announces }
}

impl Stage<'_> {
    fn play(&mut self, phase: Phase, pace: Pace) -> Result<(PhaseReport, Vec<Sample>)> {
        let cli = self.cli;
        self.traffic.begin(phase);
        let pace = match phase {
            // The progress bar needs a limit; no other peers come in this phase.
            Phase::Fill => Pace { announces: Some(cli.peers.into()), ..pace },
            Phase::Steady => pace,
        };
        let bar = Bar::new(if phase == Phase::Fill { "fill" } else { "steady" }, cli.quiet);
        let before = cli.pid.map(Usage::of).transpose()?;
        let (start, start_cpu) = (Instant::now(), own_cpu());
        let sample = pace.duration.map_or(SHORTEST_SAMPLE, |duration| (duration / 600).max(SHORTEST_SAMPLE));
        let mut play = Play {
            traffic: &mut self.traffic,
            own_peer: &mut self.own_peer,
            record: Record::start(start, sample),
            schedule: Schedule::start(pace, start),
            claims: Claims { max_peers: cli.max_peers, seeds_to_seeds: cli.seeds_to_seeds },
            stop: &self.stop,
            bar: &bar,
            is_open_loop: pace.rate.is_some(),
        };
        match &mut self.client {
            Client::Udp(client) => client.run(&mut play)?,
            Client::Http(client) => client.run(&mut play)?,
        }
        let record = play.record;
        let spent = Spent {
            wall: start.elapsed(),
            own_cpu: own_cpu().saturating_sub(start_cpu),
            tracker: {
                let after = cli.pid.map(Usage::of).transpose().context("the tracker's process ended")?;
                before.zip(after)
            },
        };
        let report = PhaseReport::new(&record, &spent, phase == Phase::Fill, pace.rate);
        Ok((report, record.samples))
    }
}

fn settings(cli: &Cli, target: &Target, sources: u32) -> Settings {
    Settings {
        protocol: match (&target.protocol, cli.keeps_connections(target)) {
            (Protocol::Udp, _) => "udp",
            (Protocol::Http { .. }, false) => "http-new",
            (Protocol::Http { .. }, true) => "http-keep-alive",
        },
        seed: cli.seed,
        peers: cli.peers,
        torrents: cli.torrents,
        spread: if cli.spread == Spread::Even { "even" } else { "zipf" },
        zipf: cli.zipf,
        seeders_percent: cli.seeders.0,
        leaving_percent: matches!(cli.churn(), Churn::Replaced { .. }).then_some(cli.leaving.0),
        completed_percent: cli.completed.map(|share| share.0),
        stopped_percent: cli.stopped.map(|share| share.0),
        scrapes_percent: cli.scrapes.0,
        scrape_hashes: cli.scrape_hashes,
        numwant: cli.numwant,
        max_peers: cli.max_peers,
        sources,
        concurrency: cli.concurrency(target),
        rate: cli.rate,
    }
}

fn write_report(cli: &Cli, report: &Report) -> Result<()> {
    let to_stdout = cli.json.as_deref().is_some_and(is_stdout);
    if !(cli.quiet || to_stdout) {
        write_to(Path::new("-"), |out| write!(out, "{}", Summary(report)))?;
    }
    let Some(path) = &cli.json else { return Ok(()) };
    let json = serde_json::to_string_pretty(report).context("cannot write JSON")?;
    write_to(path, |out| writeln!(out, "{json}"))
}

fn write_info_hashes(path: &Path, seed: u64, torrents: u32) -> Result<()> {
    write_to(path, |out| {
        for info_hash in info_hashes(seed, torrents) {
            for byte in info_hash {
                write!(out, "{byte:02x}")?;
            }
            writeln!(out)?;
        }
        Ok(())
    })
}

fn is_stdout(path: &Path) -> bool {
    path == Path::new("-")
}

/// Calls `write` with a file, or with standard output for `-`.
fn write_to(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<()> {
    let written = if is_stdout(path) {
        let mut out = io::BufWriter::new(io::stdout().lock());
        write(&mut out).and_then(|()| out.flush())
    } else {
        File::create(path).map(io::BufWriter::new).and_then(|mut out| write(&mut out).and_then(|()| out.flush()))
    };
    match written {
        // The reader of a pipe, such as `head`, may stop at any time.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.with_context(|| format!("cannot write {}", path.display())),
    }
}
