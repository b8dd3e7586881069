//! The ports.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::time::Duration;

use tracker::reachable_here;
use tracker_host::{Addresses, BindError, Transport, bind};
use ureq::Agent;

use super::finding::Finding;
use crate::bind_advice::{BindAdvice, bind_advice, dashboard_advice, peer_advice};
use crate::settings::Settings;
use crate::text::list;

/// The name of these findings.
const CHECK: &str = "ports";

/// As a server has it. It is never listened long.
const TCP: Transport = Transport::Tcp { backlog: 1 };

/// The time within which a tracker that runs must answer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The maximum length of its answer, in bytes.
const MAX_ANSWER_BYTES: u64 = 4096;

/// The path at which a tracker answers its clients' port for people, and the beginning of that answer.
const OF_CLIENTS: (&str, &str) = ("/", "This is a BitTorrent tracker. Its announce path is ");

/// A path of another port, for which the dashboard has an answer of its own: whoever may view it, and over HTTP as over HTTPS.
const OF_DASHBOARD: (&str, &str) = ("/announce", "this is the port of the tracker's page");

/// The ports of all servers of a tracker.
#[derive(Debug)]
pub(super) struct Ports {
    clients: State,
    dashboard: Option<State>,
    peer: Option<State>,
}

/// The state of the ports of one server.
#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    /// They can be taken.
    Free(String),
    /// A tracker has them, and answers.
    Served(String),
    /// They cannot be taken.
    Refused {
        reason: BindAdvice,
        /// Another program has one of them.
        is_taken: bool,
    },
}

/// Takes each port for a moment.
pub(super) fn look(settings: &Settings, machine: &Addresses) -> Ports {
    let lan = &machine.lan;
    let clients: Vec<_> = settings.listen.iter().map(|listen| listen.0).collect();
    let dashboard: Vec<_> = settings.dashboard_listen.iter().map(|listen| listen.0).collect();
    let peer: Vec<_> = settings.peer_listen.iter().map(|listen| listen.0).collect();
    let transports: &[_] = if settings.udp { &[TCP, Transport::Udp] } else { &[TCP] };
    let is_taken = |error: &BindError| error.source.kind() == ErrorKind::AddrInUse;
    let clients = match take(&clients, transports) {
        Ok(()) => State::Free(list(&clients)),
        Err(error) if is_taken(&error) && answers(error.address, OF_CLIENTS) => State::Served(list(&clients)),
        Err(error) => State::Refused { reason: bind_advice(&error, &error.advice(), lan), is_taken: is_taken(&error) },
    };
    let dashboard = settings.dashboard.then(|| match take(&dashboard, &[TCP]) {
        Ok(()) => State::Free(list(&dashboard)),
        Err(error) if is_taken(&error) && answers(error.address, OF_DASHBOARD) => State::Served(list(&dashboard)),
        Err(error) => {
            State::Refused { reason: dashboard_advice(&error, &error.advice(), lan), is_taken: is_taken(&error) }
        }
    });
    let peer = settings.has_peer().then(|| match take(&peer, &[TCP, Transport::Udp]) {
        Ok(()) => State::Free(list(&peer)),
        Err(error) => State::Refused { reason: peer_advice(&error, &error.advice(), lan), is_taken: is_taken(&error) },
    });
    Ports { clients, dashboard, peer }
}

fn take(addresses: &[SocketAddr], transports: &[Transport]) -> Result<(), BindError> {
    transports.iter().try_for_each(|&transport| bind(addresses, transport, NonZeroUsize::MIN, |_, _| Ok(())).map(drop))
}

/// Returns `true` if a server of this machine answers a request for this path with these words, as only a tracker does.
fn answers(listening: SocketAddr, (path, words): (&str, &str)) -> bool {
    answer(listening, path).is_some_and(|answer| answer.contains(words))
}

/// What a server of this machine answers.
fn answer(listening: SocketAddr, path: &str) -> Option<String> {
    let address = reachable_here(listening)?;
    let config =
        Agent::config_builder().http_status_as_error(false).max_redirects(0).proxy(None).timeout_global(Some(TIMEOUT));
    let answer = Agent::from(config.build()).get(format!("http://{address}{path}")).call().ok()?;
    answer.into_body().into_with_config().limit(MAX_ANSWER_BYTES).read_to_string().ok()
}

impl Ports {
    /// Returns `true` if a tracker that runs has ports of these. Those for clients are free while the operator has stopped it on the
    /// dashboard.
    pub(super) fn is_served(&self) -> bool {
        [Some(&self.clients), self.dashboard.as_ref()]
            .into_iter()
            .flatten()
            .any(|state| matches!(state, State::Served(_)))
    }

    /// What this means for a tracker. Ports of the peer that are taken are those of the tracker that runs, if there is one.
    pub(super) fn judge(&self) -> Vec<Finding> {
        let clients = match &self.clients {
            State::Free(list) => Finding::good(CHECK, format!("the ports for clients are free: {list}")),
            State::Served(list) => {
                Finding::good(CHECK, format!("a tracker runs, and answers at the ports for clients: {list}"))
            }
            State::Refused { reason, .. } => wrong(reason),
        };
        let dashboard = self.dashboard.as_ref().map(|state| match state {
            State::Free(list) => Finding::good(CHECK, format!("the ports of the dashboard are free: {list}")),
            State::Served(list) => {
                Finding::good(CHECK, format!("a tracker runs, and its dashboard answers at its ports: {list}"))
            }
            State::Refused { reason, .. } => wrong(reason),
        });
        let peer = self.peer.as_ref().map(|state| match state {
            State::Free(list) | State::Served(list) => {
                Finding::good(CHECK, format!("the ports of the tracker's own peer are free: {list}"))
            }
            State::Refused { is_taken: true, .. } if self.is_served() => {
                Finding::good(CHECK, "the port of the tracker's own peer is in use: by the tracker that runs, probably")
            }
            State::Refused { reason, .. } => {
                let advice = format!("without it, computers behind a firewall are not reached; {}", reason.advice);
                Finding::warning(CHECK, &reason.error, advice)
            }
        });
        [Some(clients), dashboard, peer].into_iter().flatten().collect()
    }
}

fn wrong(BindAdvice { error, advice }: &BindAdvice) -> Finding {
    Finding::wrong(CHECK, error, advice)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, UdpSocket};
    use std::thread;

    use super::*;
    use crate::check::finding::Kind;
    use crate::cli::Cli;

    fn refused(is_taken: bool) -> State {
        let reason =
            BindAdvice { error: "cannot listen on 0.0.0.0:1".to_owned(), advice: "choose another port".to_owned() };
        State::Refused { reason, is_taken }
    }

    #[test]
    fn a_taken_port_is_wrong_unless_a_tracker_that_runs_has_it() {
        let [free, served] = [State::Free("0.0.0.0:1".to_owned()), State::Served("0.0.0.0:1".to_owned())];
        for (clients, dashboard, peer, expected) in [
            (&free, &free, &free, [Kind::Good, Kind::Good, Kind::Good]),
            (&served, &served, &refused(true), [Kind::Good, Kind::Good, Kind::Good]),
            // The operator has stopped it on the dashboard.
            (&free, &served, &refused(true), [Kind::Good, Kind::Good, Kind::Good]),
            (&served, &refused(true), &refused(false), [Kind::Good, Kind::Wrong, Kind::Warning]),
            (&free, &refused(true), &refused(true), [Kind::Good, Kind::Wrong, Kind::Warning]),
            (&refused(true), &free, &free, [Kind::Wrong, Kind::Good, Kind::Good]),
        ] {
            let (clients, dashboard, peer) = (clients.clone(), Some(dashboard.clone()), Some(peer.clone()));
            let ports = Ports { clients, dashboard, peer };
            let kinds: Vec<_> = ports.judge().iter().map(Finding::kind).collect();
            assert_eq!(kinds, expected, "{ports:?}");
        }
        assert_eq!(Ports { clients: free, dashboard: None, peer: None }.judge().len(), 1);
    }

    #[test]
    fn a_web_server_that_is_no_tracker_is_another_program() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let taken = server.local_addr().unwrap().to_string();
        thread::spawn(move || {
            for stream in server.incoming() {
                let mut stream = stream.unwrap();
                // The request has one packet.
                _ = stream.read(&mut [0; 4096]).unwrap();
                stream
                    .write_all(
                        b"HTTP/1.1 200 OK\r\nContent-Length: 15\r\nConnection: close\r\n\r\n{\"error\":\"ok\"}\n",
                    )
                    .unwrap();
            }
        });
        for flag in ["--listen", "--dashboard-listen"] {
            let other = if flag == "--listen" { "--dashboard-listen" } else { "--listen" };
            let flags = ["tracker", flag, &taken, other, "127.0.0.1:0", "--peer=false"];
            let ports = look(&Cli::parse(flags).unwrap().settings().unwrap(), &Addresses::default());
            assert!(!ports.is_served() && ports.judge().iter().any(|found| found.kind() == Kind::Wrong), "{ports:?}");
        }
    }

    #[test]
    fn ports_of_other_programs_are_found() {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        for (taken, flag, is_wrong) in [
            (tcp.local_addr().unwrap(), "--udp", true),
            (udp.local_addr().unwrap(), "--udp", true),
            (udp.local_addr().unwrap(), "--udp=false", false),
        ] {
            let taken = taken.to_string();
            let flags = ["tracker", "--listen", &taken, flag, "--dashboard=false", "--peer=false"];
            let settings = Cli::parse(flags).unwrap().settings().unwrap();
            let found = look(&settings, &Addresses::default()).judge();
            assert_eq!(found[0].kind() == Kind::Wrong, is_wrong, "{found:?}");
            assert!(!is_wrong || found[0].words().contains("--listen"), "{found:?}");
        }
    }
}
