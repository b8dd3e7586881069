//! Checks the ports for clients.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tracker_host::{Addresses, ServiceState};

/// What a tracker that works answers.
const GOOD_STATUS: &str = "HTTP/1.1 200";

/// The result of a check that has found nothing wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PortCheck {
    /// A port answers.
    Answered,
    /// The servers are stopped or have failed.
    NotRunning,
    /// This machine has none of the addresses that are listened on.
    NoAddress,
}

/// A port for clients that does not answer as it should.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PortCheckError {
    /// It did not answer in time.
    #[error("no answer from {address} within {patience:?}")]
    Timeout {
        /// Its address.
        address: SocketAddr,
        /// How long it was waited for.
        patience: Duration,
    },
    /// Nobody accepts connections, or they break.
    #[error("{address} does not answer")]
    Connection {
        /// Its address.
        address: SocketAddr,
        /// The error of the system.
        source: io::Error,
    },
    /// It answers with another status.
    #[error("{address} answers /health with {status}")]
    Status {
        /// Its address.
        address: SocketAddr,
        /// The beginning of the answer.
        status: String,
    },
}

/// Asks the first port for clients that this machine can reach for `/health` over HTTP.
pub(crate) async fn check_ports(state: ServiceState, patience: Duration) -> Result<PortCheck, PortCheckError> {
    let ServiceState::Running { addresses, .. } = state else { return Ok(PortCheck::NotRunning) };
    let Some(address) = addresses.into_iter().find_map(reachable_here) else { return Ok(PortCheck::NoAddress) };
    timeout(patience, ask(address)).await.unwrap_or(Err(PortCheckError::Timeout { address, patience }))?;
    Ok(PortCheck::Answered)
}

/// The address by which this machine reaches what listens there, if it has it.
pub fn reachable_here(listening: SocketAddr) -> Option<SocketAddr> {
    let ip = match listening.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        ip if ip.is_loopback() => ip,
        ip => Addresses::find().ok()?.all.contains(&ip).then_some(ip)?,
    };
    Some(SocketAddr::new(ip, listening.port()))
}

async fn ask(address: SocketAddr) -> Result<(), PortCheckError> {
    let status = status(address).await.map_err(|source| PortCheckError::Connection { address, source })?;
    if status == GOOD_STATUS { Ok(()) } else { Err(PortCheckError::Status { address, status }) }
}

async fn status(address: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET /health HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut status = [0; GOOD_STATUS.len()];
    stream.read_exact(&mut status).await?;
    Ok(String::from_utf8_lossy(&status).into_owned())
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use tokio::net::TcpListener;

    use super::*;

    /// Much longer than a check takes.
    const PATIENCE: Duration = Duration::from_secs(30);

    #[tokio::test]
    async fn a_port_that_accepts_and_does_not_answer_fails() {
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let since = SystemTime::UNIX_EPOCH;
        let addresses = vec![silent.local_addr().unwrap()];
        let running = ServiceState::Running { since, addresses, announce_urls: Vec::new() };
        let error = check_ports(running, Duration::from_millis(200)).await.unwrap_err();
        assert!(error.to_string().starts_with("no answer from 127.0.0.1:"), "{error}");
        // It is known why.
        for error in [None, Some("the port is taken".to_owned())] {
            let stopped = check_ports(ServiceState::Stopped { since, error }, PATIENCE).await.unwrap();
            assert_eq!(stopped, PortCheck::NotRunning);
        }
        let addresses = vec!["203.0.113.9:7".parse().unwrap()];
        let elsewhere = ServiceState::Running { since, addresses, announce_urls: Vec::new() };
        assert_eq!(check_ports(elsewhere, PATIENCE).await.unwrap(), PortCheck::NoAddress);
    }

    #[test]
    fn an_address_that_the_machine_does_not_have_is_not_asked() {
        for (listening, expected) in [
            ("0.0.0.0:7", Some("127.0.0.1:7")),
            ("[::]:7", Some("[::1]:7")),
            ("127.0.0.9:7", Some("127.0.0.9:7")),
            ("203.0.113.9:7", None),
        ] {
            let found = reachable_here(listening.parse().unwrap());
            assert_eq!(found.map(|address| address.to_string()).as_deref(), expected, "{listening}");
        }
    }

    #[tokio::test]
    async fn only_the_answer_of_a_tracker_that_works_counts() {
        for (answer, error) in [
            ("HTTP/1.1 200 OK\r\n\r\nok\n", None),
            ("HTTP/1.1 500 \r\n\r\n", Some("with HTTP/1.1 500")),
            ("", Some("does not answer")),
        ] {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let answering = tokio::spawn(async move {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = [0; 32];
                stream.read_exact(&mut request).await.unwrap();
                stream.write_all(answer.as_bytes()).await.unwrap();
            });
            let asked = ask(address).await;
            answering.await.unwrap();
            match error {
                None => asked.unwrap(),
                Some(words) => {
                    let error = asked.unwrap_err().to_string();
                    assert!(error.contains(words), "{error}");
                }
            }
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        ask(address).await.unwrap_err();
    }
}
