//! Sending a file over a connection without hyper.
//!
//! On Linux by `sendfile`, which copies nothing: a gigabyte costs about a third of the processor time that reading it and writing
//! it does. It may wait for the disk, and so runs off the event loop, but never waits for the client: while a client takes
//! nothing, its transfer is only a task that waits.

use std::io;
use std::time::Duration;

use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::file_body::FileTransfer;

/// Bytes that are sent in one go, at most, before the upload limit and the end of the server are looked at.
const MOST_AT_ONCE: usize = 16 << 20;

/// Sends what is left of a file. The client has to take some of it in each `limit`.
///
/// # Errors
///
/// Returns an error if the client takes nothing for too long, or leaves; if the file cannot be read; and if it changes meanwhile,
/// before the last bytes are sent. The connection must be closed then, so that the client knows that it does not have all.
pub(crate) async fn send_file(
    mut stream: TcpStream,
    mut transfer: FileTransfer,
    limit: Duration,
) -> io::Result<TcpStream> {
    while let left @ 1.. = transfer.rest.end - transfer.rest.start {
        let want = usize::try_from(left).unwrap_or(MOST_AT_ONCE).min(MOST_AT_ONCE);
        let mut granted = transfer.outgoing.may_send(want, left).await;
        while granted > 0 {
            timeout(limit, stream.writable()).await??;
            let sending = spawn_blocking(move || {
                let sent = send_some(&stream, &mut transfer, granted);
                (stream, transfer, sent)
            });
            let sent;
            (stream, transfer, sent) = sending.await.map_err(io::Error::other)?;
            granted -= sent?;
        }
    }
    Ok(stream)
}

/// Sends up to so many bytes, as many as the system takes now or in a moment. Returns their number, which may be 0.
///
/// To go back to the event loop and come here again costs about as much as a hundred kilobytes do. A fast client has made room
/// before that, so its connection is waited for here for a moment. Only the event loop can wait for long: what it knows of the
/// connection has to be brought up to date by `try_io`, also before it is left to it.
fn send_some(stream: &TcpStream, transfer: &mut FileTransfer, granted: usize) -> io::Result<usize> {
    let mut sent = 0;
    let mut is_known_writable = false;
    while sent < granted {
        let len = granted - sent;
        // With the last bytes it turns out whether all of them were of one file.
        if transfer.rest.start + len as u64 == transfer.rest.end && !transfer.file.is_unchanged()? {
            return Err(io::Error::other("the file has changed while it was sent"));
        }
        let copied = if is_known_writable {
            copy(stream, transfer, len)
        } else {
            stream.try_io(Interest::WRITABLE, || copy(stream, transfer, len))
        };
        match copied {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(copied) => {
                transfer.rest.start += copied as u64;
                transfer.outgoing.sent(copied as u64);
                sent += copied;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let was_known_writable = is_known_writable;
                is_known_writable = is_writable_soon(stream);
                if !is_known_writable && !was_known_writable {
                    break;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(sent)
}

/// Waits up to 2 ms until the connection takes more.
#[cfg(all(target_os = "linux", not(portable)))]
fn is_writable_soon(stream: &TcpStream) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    let moment = Timespec { tv_sec: 0, tv_nsec: 2_000_000 };
    poll(&mut [PollFd::new(stream, PollFlags::OUT)], Some(&moment)).is_ok_and(|ready| ready > 0)
}

#[cfg(any(not(target_os = "linux"), portable))]
fn is_writable_soon(_: &TcpStream) -> bool {
    false
}

#[cfg(all(target_os = "linux", not(portable)))]
fn copy(stream: &TcpStream, transfer: &FileTransfer, len: usize) -> io::Result<usize> {
    let mut offset = transfer.rest.start;
    Ok(rustix::fs::sendfile(stream, &transfer.file.file, Some(&mut offset), len)?)
}

/// Reads, and writes as much of it as the system takes; the rest is read again.
#[cfg(any(not(target_os = "linux"), portable))]
fn copy(stream: &TcpStream, transfer: &FileTransfer, len: usize) -> io::Result<usize> {
    use std::io::{Read as _, Seek as _, SeekFrom};

    let mut file = &transfer.file.file;
    file.seek(SeekFrom::Start(transfer.rest.start))?;
    let mut buffer = vec![0; len.min(256 << 10)];
    let read = file.read(&mut buffer)?;
    if read == 0 { Ok(0) } else { stream.try_write(&buffer[..read]) }
}
