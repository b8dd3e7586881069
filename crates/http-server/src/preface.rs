//! What may come on a connection before HTTP: a header of the PROXY protocol, and TLS.

use std::io;
use std::time::Duration;

use rustls::AlertDescription;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::time::timeout;
use tokio_rustls::server::TlsStream;
use tracker_host::AddressGroup;

use crate::foreign::ForeignProtocol;
use crate::handshakes::{HANDSHAKE_TIMEOUT, Handshakes};
use crate::prefixed::Prefixed;
use crate::proxy_header::{ProxyHeader, ProxyHeaderError};
use crate::tls::Tls;

/// Bytes that are read at once: those of a header without fields, and of most first messages of TLS.
const READ: usize = 1 << 10;

/// The beginning of a connection: what comes before HTTP is read of it.
#[derive(Debug)]
pub struct Preface<S> {
    stream: S,
    /// What was read and does not belong to what was returned.
    read: Vec<u8>,
}

/// A connection over which HTTP comes.
#[derive(Debug)]
pub enum Opened<S> {
    /// As it is, with the bytes that were read of it.
    Plain(S, Vec<u8>),
    /// Within TLS.
    Tls(Box<TlsStream<Prefixed<S>>>),
}

/// Why a connection ended before its first request.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PrefaceError {
    /// The client took too long.
    #[error("the beginning of the connection did not come within {limit:?}")]
    TimedOut {
        /// The time that it had.
        limit: Duration,
    },
    /// It failed.
    #[error("the connection failed: {source}")]
    Read {
        /// What is wrong.
        source: io::Error,
    },
    /// The header of the PROXY protocol cannot be used.
    #[error(transparent)]
    Header(#[from] ProxyHeaderError),
    /// The TLS handshake failed: the client speaks no version that is served, does not trust the certificate, or sends garbage.
    #[error("the TLS handshake failed: {source}")]
    Handshake {
        /// What is wrong.
        source: io::Error,
    },
}

impl PrefaceError {
    /// Returns `true` if the client said that it does not accept the certificate. Not all clients say it.
    pub fn is_refused_certificate(&self) -> bool {
        use AlertDescription::{
            BadCertificate, CertificateExpired, CertificateUnknown, DecryptError, UnknownCA, UnsupportedCertificate,
        };
        let Self::Handshake { source } = self else { return false };
        let error = source.get_ref().and_then(|error| error.downcast_ref());
        let Some(rustls::Error::AlertReceived(alert)) = error else { return false };
        match alert {
            BadCertificate | CertificateExpired | CertificateUnknown | UnknownCA | UnsupportedCertificate => true,
            // The signature is not of the authority that has its name.
            DecryptError => true,
            _ => false,
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Preface<S> {
    /// A new connection.
    pub const fn new(stream: S) -> Self {
        Self::with_read(stream, Vec::new())
    }

    /// A connection of which these bytes were read already.
    pub(crate) const fn with_read(stream: S, read: Vec<u8>) -> Self {
        Self { stream, read }
    }

    pub(crate) fn into_prefixed(self) -> Prefixed<S> {
        Prefixed::new(self.stream, self.read)
    }

    /// Reads a header of the PROXY protocol, if the connection begins with one. Only what a trusted proxy sends may be read so.
    ///
    /// # Errors
    ///
    /// Returns [`PrefaceError`] if what comes begins as a header and cannot be used, or is not there within `limit`.
    pub async fn proxy_header(&mut self, limit: Duration) -> Result<Option<ProxyHeader>, PrefaceError> {
        timeout(limit, self.try_proxy_header()).await.map_err(|_| PrefaceError::TimedOut { limit })?
    }

    async fn try_proxy_header(&mut self) -> Result<Option<ProxyHeader>, PrefaceError> {
        loop {
            match ProxyHeader::parse(&self.read) {
                Ok(Some(header)) => {
                    self.read.drain(..header.len);
                    return Ok(Some(header));
                }
                Ok(None) => {}
                Err(ProxyHeaderError::Missing) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
            if self.read_more().await? == 0 {
                return Ok(None);
            }
        }
    }

    /// Begins TLS, if it is served and the client speaks it, and when it is the client's turn among these handshakes. `counted` is
    /// what the client's address counts as there; `None` for an exempt address.
    ///
    /// # Errors
    ///
    /// Returns [`PrefaceError`] if nothing comes within `limit`, or TLS does not come about in that time. Without the wait for its
    /// turn, a handshake has 5 s of it.
    pub async fn open(
        self,
        tls: Option<&Tls>,
        handshakes: &Handshakes,
        counted: Option<AddressGroup>,
        limit: Duration,
    ) -> Result<Opened<S>, PrefaceError> {
        let Some(tls) = tls else { return Ok(Opened::Plain(self.stream, self.read)) };
        timeout(limit, self.try_open(tls, handshakes, counted)).await.map_err(|_| PrefaceError::TimedOut { limit })?
    }

    async fn try_open(
        mut self,
        tls: &Tls,
        handshakes: &Handshakes,
        counted: Option<AddressGroup>,
    ) -> Result<Opened<S>, PrefaceError> {
        if self.read.is_empty() {
            self.read_more().await?;
        }
        if ForeignProtocol::of(&self.read) != Some(ForeignProtocol::Tls) {
            return Ok(Opened::Plain(self.stream, self.read));
        }
        let _permit = match counted {
            Some(group) => Some(handshakes.permit(group).await),
            None => None,
        };
        let handshake = timeout(HANDSHAKE_TIMEOUT, tls.accept(self.into_prefixed())).await;
        let stream = handshake.map_err(|_| PrefaceError::TimedOut { limit: HANDSHAKE_TIMEOUT })?;
        Ok(Opened::Tls(Box::new(stream.map_err(|source| PrefaceError::Handshake { source })?)))
    }

    async fn read_more(&mut self) -> Result<usize, PrefaceError> {
        self.read.reserve(READ);
        self.stream.read_buf(&mut self.read).await.map_err(|source| PrefaceError::Read { source })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::io::{AsyncWriteExt, DuplexStream, duplex};
    use tokio::time::{Instant, sleep};

    use super::*;
    use crate::handshakes::MAX_HANDSHAKES_PER_ADDRESS;
    use crate::test_tls::{Certificate, client};

    const LIMIT: Duration = Duration::from_secs(10);
    const HEADER: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x0a\0\0\x09\x0a\0\0\x01\x1f\x90\x1b\x39";

    fn group(host: u8) -> AddressGroup {
        AddressGroup::of([10, 0, 0, host].into(), [10, 0, 0, 254].into())
    }

    fn pair() -> (Preface<DuplexStream>, DuplexStream) {
        let (ours, theirs) = duplex(1 << 14);
        (Preface::new(ours), theirs)
    }

    /// Opens it at a server of its own.
    async fn open(
        preface: Preface<DuplexStream>,
        tls: Option<&Tls>,
        group: AddressGroup,
    ) -> Result<Opened<DuplexStream>, PrefaceError> {
        preface.open(tls, &Handshakes::default(), Some(group), LIMIT).await
    }

    #[tokio::test]
    async fn a_header_is_read_however_it_comes() {
        let (mut preface, mut theirs) = pair();
        let send = async {
            for byte in HEADER {
                theirs.write_u8(*byte).await.unwrap();
                tokio::task::yield_now().await;
            }
            theirs.write_all(b"GET /").await.unwrap();
        };
        let (header, ()) = tokio::join!(preface.proxy_header(LIMIT), send);
        assert_eq!(header.unwrap().unwrap().addresses.unwrap().0.to_string(), "10.0.0.9:8080");
        let Opened::Plain(mut stream, mut read) = open(preface, None, group(1)).await.unwrap() else {
            panic!("no TLS")
        };
        drop(theirs);
        stream.read_to_end(&mut read).await.unwrap();
        assert_eq!(read, b"GET /");
    }

    #[tokio::test]
    async fn other_bytes_are_left_as_they_are() {
        for bytes in [&b"\r\n\r\nGET / HTTP/1.1"[..], b"GET", b"\r\n", b""] {
            let (mut preface, mut theirs) = pair();
            theirs.write_all(bytes).await.unwrap();
            drop(theirs);
            assert_eq!(preface.proxy_header(LIMIT).await.unwrap(), None);
            let tls = Certificate::draw().tls();
            let Opened::Plain(mut stream, mut read) = open(preface, Some(&tls), group(1)).await.unwrap() else {
                panic!("no TLS")
            };
            stream.read_to_end(&mut read).await.unwrap();
            assert_eq!(read, bytes);
        }
    }

    #[tokio::test]
    async fn tls_follows_a_header() {
        let certificate = Certificate::draw();
        let tls = certificate.tls();
        let (mut preface, mut theirs) = pair();
        let ask = async {
            theirs.write_all(HEADER).await.unwrap();
            let mut stream = client(&certificate, theirs).await.unwrap();
            stream.write_all(b"hello").await.unwrap();
            stream.shutdown().await.unwrap();
            // What the server has to say after the handshake.
            _ = stream.read_to_end(&mut Vec::new()).await;
        };
        let serve = async {
            assert!(preface.proxy_header(LIMIT).await.unwrap().is_some());
            let Opened::Tls(mut stream) = open(preface, Some(&tls), group(1)).await.unwrap() else { panic!("plain") };
            let mut text = String::new();
            stream.read_to_string(&mut text).await.unwrap();
            text
        };
        assert_eq!(tokio::join!(serve, ask).0, "hello");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_whole_in_time_is_ended() {
        let tls = Certificate::draw().tls();
        for bytes in [&HEADER[..20], b"\r\n"] {
            let (mut preface, mut theirs) = pair();
            theirs.write_all(bytes).await.unwrap();
            let since = Instant::now();
            let error = preface.proxy_header(LIMIT).await.unwrap_err();
            assert!(matches!(error, PrefaceError::TimedOut { .. }) && since.elapsed() >= LIMIT, "{error}");
        }
        // Nothing, a part of a handshake, and one that drips in.
        for (bytes, drips) in [(&b""[..], false), (b"\x16\x03\x01\x02\0", false), (b"\x16\x03\x01\x02\0", true)] {
            let (preface, mut theirs) = pair();
            theirs.write_all(bytes).await.unwrap();
            let since = Instant::now();
            let drip = async {
                while drips && theirs.write_u8(0).await.is_ok() && since.elapsed() < 2 * LIMIT {
                    sleep(Duration::from_secs(1)).await;
                }
            };
            let (error, ()) = tokio::join!(open(preface, Some(&tls), group(1)), drip);
            let error = error.unwrap_err();
            assert!(!matches!(error, PrefaceError::Read { .. }), "{error}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn handshakes_that_never_end_keep_nobody_else_out() {
        let certificate = Certificate::draw();
        let tls = certificate.tls();
        let ends: Vec<_> = (0..=MAX_HANDSHAKES_PER_ADDRESS).map(|_| pair()).collect();
        let (prefaces, mut theirs): (Vec<_>, Vec<_>) = ends.into_iter().unzip();
        for stream in &mut theirs {
            stream.write_all(b"\x16\x03\x01\x02\0").await.unwrap();
        }
        let (since, handshakes) = (Instant::now(), Arc::new(Handshakes::default()));
        let open = |(number, preface): (usize, Preface<_>)| {
            let (tls, handshakes) = (tls.clone(), Arc::clone(&handshakes));
            async move {
                let error = preface.open(Some(&tls), &handshakes, Some(group(1)), LIMIT).await.unwrap_err();
                assert!(matches!(error, PrefaceError::TimedOut { .. }), "{error}");
                // The last one had to wait for its turn.
                let turns = if number < MAX_HANDSHAKES_PER_ADDRESS { 1 } else { 2 };
                assert!(since.elapsed() >= turns * HANDSHAKE_TIMEOUT, "{number}: {:?}", since.elapsed());
            }
        };
        let stuck: Vec<_> = prefaces.into_iter().enumerate().map(|one| tokio::spawn(open(one))).collect();
        tokio::task::yield_now().await;
        let other_server = Handshakes::default();
        for (handshakes, counted) in
            [(&*handshakes, Some(group(2))), (&*handshakes, None), (&other_server, Some(group(1)))]
        {
            let (preface, theirs) = pair();
            let served = preface.open(Some(&tls), handshakes, counted, LIMIT);
            let (opened, met) = tokio::join!(served, client(&certificate, theirs));
            assert!(opened.is_ok() && met.is_ok() && since.elapsed() < HANDSHAKE_TIMEOUT, "{counted:?}");
        }
        for task in stuck {
            task.await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_client_says_that_it_does_not_accept_the_certificate() {
        let (tls, other) = (Certificate::draw().tls(), Certificate::draw());
        let (preface, theirs) = pair();
        let (opened, refused) = tokio::join!(open(preface, Some(&tls), group(1)), client(&other, theirs));
        let error = opened.unwrap_err();
        assert!(refused.is_err() && error.is_refused_certificate(), "{error}");
    }

    #[tokio::test]
    async fn garbage_is_no_handshake() {
        let tls = Certificate::draw().tls();
        let (preface, mut theirs) = pair();
        theirs.write_all(b"\x16\x03\x01\0\x05garbage and more").await.unwrap();
        let error = open(preface, Some(&tls), group(1)).await.unwrap_err();
        assert!(matches!(error, PrefaceError::Handshake { .. }) && !error.is_refused_certificate(), "{error}");
    }
}
