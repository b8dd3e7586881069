//! TLS: the certificate that a server shows, which may be replaced while it runs.

use std::fmt::{self, Debug};
use std::io;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{InconsistentKeys, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::prefixed::Prefixed;

/// The protocol inside, as [ALPN](https://www.rfc-editor.org/rfc/rfc7301) names it.
const HTTP_1_1: &[u8] = b"http/1.1";

/// What a server needs to speak TLS 1.2 and 1.3: a certificate and its key. Cheap to clone; all clones are one, and so are equal.
///
/// The same port serves plain HTTP, too: the first byte of a connection tells which it is. How many handshakes a server has in
/// progress says [`Handshakes`](crate::Handshakes).
#[derive(Clone)]
pub struct Tls(Arc<RwLock<Arc<ServerConfig>>>);

/// Why a certificate and a key cannot be used. None of the texts has a part of the key in it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// There is no certificate.
    #[error("the file of the certificate has none: it must be PEM, with a line BEGIN CERTIFICATE")]
    NoCertificate,
    /// The certificates are not PEM.
    #[error("the file of the certificate is not PEM")]
    Certificate,
    /// There is no key that can be read without a password.
    #[error(
        "the file of the key has none: it must be PEM, with a line BEGIN PRIVATE KEY, and no password: remove one with `openssl pkey`"
    )]
    NoKey,
    /// The key is not PEM.
    #[error("the file of the key is not PEM")]
    Key,
    /// The key is that of another certificate.
    #[error("the key does not belong to the certificate: the certificate of the server must be the first in its file")]
    Mismatch,
    /// The certificate or the key is of a kind that is not supported.
    #[error(
        "the certificate and its key cannot be used: {source}; ECDSA P-256 and RSA with 2048 to 8192 bits are supported"
    )]
    Unsupported {
        /// What is wrong.
        source: rustls::Error,
    },
}

impl Tls {
    /// Serves with these certificates, the server's own first and then those that signed it, and with the key of the first. Both
    /// are texts in the PEM format.
    ///
    /// # Errors
    ///
    /// Returns [`TlsError`] if they cannot be used. Does not check whether the certificate is valid for a name or at this time.
    pub fn new(certificates: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        Ok(Self(Arc::new(RwLock::new(Arc::new(server_config(certificates, key)?)))))
    }

    /// Serves with these from now on. Connections that are open keep what they have.
    ///
    /// # Errors
    ///
    /// Returns [`TlsError`] if they cannot be used. Those from before stay then.
    pub fn replace(&self, certificates: &[u8], key: &[u8]) -> Result<(), TlsError> {
        let config = Arc::new(server_config(certificates, key)?);
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = config;
        Ok(())
    }

    /// Begins TLS on a connection. How long the client takes, the caller limits.
    pub(crate) async fn accept<S>(&self, stream: Prefixed<S>) -> io::Result<TlsStream<Prefixed<S>>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let config = Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner));
        TlsAcceptor::from(config).accept(stream).await
    }
}

impl PartialEq for Tls {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Tls {}

/// Without the key.
impl Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

fn server_config(certificates: &[u8], key: &[u8]) -> Result<ServerConfig, TlsError> {
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(certificates)
        .collect::<Result<_, _>>()
        // Its text may have a line of the file in it, which may have the key in it, too.
        .map_err(|_| TlsError::Certificate)?;
    if certificates.is_empty() {
        return Err(TlsError::NoCertificate);
    }
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| match error {
        pem::Error::NoItemsFound => TlsError::NoKey,
        _ => TlsError::Key,
    })?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider has cipher suites for both versions")
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .map_err(|source| match source {
            rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => TlsError::Mismatch,
            source => TlsError::Unsupported { source },
        })?;
    config.alpn_protocols = vec![HTTP_1_1.to_vec()];
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_tls::{Certificate, client};
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    #[test]
    fn what_is_wrong_with_the_files_is_named() {
        let (one, other) = (Certificate::draw(), Certificate::draw());
        let garbage = "-----BEGIN CERTIFICATE-----\n%%%%\n-----END CERTIFICATE-----\n";
        let no_certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for (certificates, key, error) in [
            ("", &*one.key, "the file of the certificate has none"),
            (&*one.key, &*one.key, "the file of the certificate has none"),
            (garbage, &*one.key, "the file of the certificate is not PEM"),
            (no_certificate, &*one.key, "cannot be used"),
            (&*one.chain, "", "the file of the key has none"),
            (&*one.chain, &*one.chain, "the file of the key has none"),
            (
                &*one.chain,
                "-----BEGIN PRIVATE KEY-----\nsecret%\n-----END PRIVATE KEY-----\n",
                "the file of the key is not PEM",
            ),
            (&*one.chain, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "cannot be used"),
            (&*one.chain, &*other.key, "the key does not belong to the certificate"),
        ] {
            let text = Tls::new(certificates.as_bytes(), key.as_bytes()).unwrap_err().to_string();
            assert!(text.contains(error), "{text}");
            assert!(!text.contains("secret"), "{text}");
        }
        let chain = format!("{}{}", one.chain, other.chain);
        assert!(Tls::new(chain.as_bytes(), one.key.as_bytes()).is_ok());
        // All in one file.
        let both = format!("{}{}", one.key, one.chain);
        assert!(Tls::new(both.as_bytes(), both.as_bytes()).is_ok());
    }

    #[test]
    fn no_error_has_a_part_of_the_files_in_it() {
        let key = "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49\n-----END PRIVATE KEY-----\n";
        let spoilt =
            [key.replace('\n', ""), key.replace('\n', " "), key.replace("-----END", "----END"), key.to_owned()];
        for text in &spoilt {
            for (certificate, key) in [(text.as_str(), ""), (text, text)] {
                let error = Tls::new(certificate.as_bytes(), key.as_bytes()).unwrap_err();
                let (shown, debug) = (error.to_string(), format!("{error:?}"));
                // As text, and as numbers.
                for part in ["MIGH", "77, 73, 71, 72"] {
                    assert!(!shown.contains(part) && !debug.contains(part), "{shown} {debug}");
                }
            }
        }
    }

    #[tokio::test]
    async fn a_replaced_certificate_is_shown_to_those_who_come_then() {
        let (one, other) = (Certificate::draw(), Certificate::draw());
        let tls = Tls::new(one.chain.as_bytes(), one.key.as_bytes()).unwrap();
        let same = tls.clone();
        let meet = async |trusted: &Certificate| {
            let (ours, theirs) = duplex(1 << 14);
            let serve = async {
                let mut stream = tls.accept(Prefixed::new(ours, Vec::new())).await?;
                stream.write_all(b"hello").await?;
                stream.shutdown().await
            };
            let read = async {
                let mut stream = client(trusted, theirs).await?;
                assert_eq!(stream.get_ref().1.alpn_protocol(), Some(HTTP_1_1));
                let mut text = String::new();
                stream.read_to_string(&mut text).await?;
                Ok::<_, io::Error>(text)
            };
            let (_, text) = tokio::join!(serve, read);
            text.ok()
        };
        assert_eq!((meet(&one).await.as_deref(), meet(&other).await), (Some("hello"), None));
        same.replace(other.chain.as_bytes(), one.key.as_bytes()).unwrap_err();
        assert_eq!(meet(&one).await.as_deref(), Some("hello"));
        same.replace(other.chain.as_bytes(), other.key.as_bytes()).unwrap();
        assert_eq!((meet(&one).await, meet(&other).await.as_deref()), (None, Some("hello")));
        assert_eq!(tls, same);
        assert_ne!(tls, Tls::new(one.chain.as_bytes(), one.key.as_bytes()).unwrap());
    }
}
