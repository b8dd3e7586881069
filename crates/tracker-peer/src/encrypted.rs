//! Message Stream Encryption over a socket.

use std::io;
use std::time::Duration;

use peer_wire::mse::{Established, HandshakeError, Initiator, Methods, Responder};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long the encrypted handshake may take, before that of BitTorrent begins.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The bytes that are read at once.
const READ_BYTES: usize = 2048;

/// The encrypted handshake did not come about.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EncryptionError {
    #[error("the encrypted handshake took too long")]
    TimedOut,
    #[error("the connection was lost in the encrypted handshake")]
    Io(#[from] io::Error),
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
}

/// Shakes hands as the side that has dialled.
pub(crate) async fn initiate(stream: &TcpStream, info_hash: [u8; 20]) -> Result<Established, EncryptionError> {
    let mut initiator = Initiator::new(info_hash, Methods::Both, &mut rand::rng());
    let exchange = async {
        let mut buffer = Vec::new();
        loop {
            if let Some(bytes) = initiator.poll_output() {
                send(stream, &bytes).await?;
            }
            if let Some(established) = initiator.poll_established() {
                return Ok(established);
            }
            receive(stream, &mut buffer).await?;
            initiator.handle_input(&buffer)?;
        }
    };
    timeout(TIMEOUT, exchange).await.unwrap_or(Err(EncryptionError::TimedOut))
}

/// Shakes hands as the side that was dialled. `received` has come so far. `find` returns the info-hash that has this
/// [`obfuscated_hash`](peer_wire::mse::obfuscated_hash).
pub(crate) async fn respond(
    stream: &TcpStream,
    received: &[u8],
    find: impl Fn(&[u8; 20]) -> Option<[u8; 20]>,
) -> Result<Established, EncryptionError> {
    let mut responder = Responder::new(Methods::Both, &mut rand::rng());
    responder.handle_input(received, &find)?;
    let exchange = async {
        let mut buffer = Vec::new();
        loop {
            if let Some(bytes) = responder.poll_output() {
                send(stream, &bytes).await?;
            }
            if let Some(established) = responder.poll_established() {
                return Ok(established);
            }
            receive(stream, &mut buffer).await?;
            responder.handle_input(&buffer, &find)?;
        }
    };
    timeout(TIMEOUT, exchange).await.unwrap_or(Err(EncryptionError::TimedOut))
}

/// Replaces the content of `buffer` by what has come, at least one byte.
pub(crate) async fn receive(stream: &TcpStream, buffer: &mut Vec<u8>) -> io::Result<()> {
    loop {
        stream.readable().await?;
        buffer.resize(READ_BYTES, 0);
        match stream.try_read(buffer) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(length) => {
                buffer.truncate(length);
                return Ok(());
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

async fn send(stream: &TcpStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        stream.writable().await?;
        match stream.try_write(bytes) {
            Ok(sent) => bytes = &bytes[sent..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
