//! Sending a file over a connection without hyper.
//!
//! On Linux by `sendfile`, which copies nothing: a gigabyte costs about a third of the processor time that reading it and writing
//! it does. It may wait for the disk, and so runs off the event loop, but never waits for the client: while a client takes
//! nothing, its transfer is only a task that waits.
//!
//! What `sendfile` was given is sent from the file's pages when its turn comes: a file that is overwritten until then is sent as
//! it is now. So the last part, as much as the system keeps of a connection's bytes, is copied, and sent only if the file has not
//! changed after all of it was read. Then nothing but copies is still to be sent,
//! unless the system has given the connection a larger buffer meanwhile, or the client is on this machine.

use std::io;
use std::time::{Duration, Instant};

use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::disk::Disk;
use super::file_body::FileTransfer;

/// Bytes that are sent in one go, at most, before the upload limit and the end of the server are looked at.
const MOST_AT_ONCE: usize = 16 << 20;

/// Bytes that are copied at once.
const COPY: usize = 256 << 10;

/// Sends what is left of a file. The client has to take some of it in each `limit`.
///
/// # Errors
///
/// Returns an error if the client takes nothing for too long, leaves, or is too slow to keep its place; if the file cannot be
/// read; and if it changes meanwhile, which is reported to those who look after it. The connection must be closed then, so that
/// the client knows that it does not have all.
pub(crate) async fn send_file(
    mut stream: TcpStream,
    mut transfer: FileTransfer,
    limit: Duration,
) -> io::Result<TcpStream> {
    let disk = transfer.outgoing.disk();
    while let left @ 1.. = transfer.rest.end - transfer.rest.start {
        let want = usize::try_from(left).unwrap_or(MOST_AT_ONCE).min(MOST_AT_ONCE);
        let mut granted = transfer.outgoing.may_send(want, left).await;
        while granted > 0 {
            let since = Instant::now();
            timeout(limit, stream.writable()).await??;
            transfer.outgoing.waited(since.elapsed())?;
            let turns = disk.clone();
            let sending = disk.run(move |_| {
                let sent = send_some(&stream, &mut transfer, granted, &turns);
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
/// connection has to be brought up to date by `try_io`, also before it is left to it. While other transfers wait for their
/// turn, the connection is left at once.
fn send_some(stream: &TcpStream, transfer: &mut FileTransfer, granted: usize, turns: &Disk) -> io::Result<usize> {
    let mut sent = 0;
    let mut is_known_writable = false;
    while sent < granted {
        let len = granted - sent;
        let now = if is_known_writable {
            send(stream, transfer, len)
        } else {
            stream.try_io(Interest::WRITABLE, || send(stream, transfer, len))
        };
        match now {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(now) => {
                transfer.rest.start += now as u64;
                transfer.outgoing.sent(now as u64);
                sent += now;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let was_known_writable = is_known_writable;
                is_known_writable = !turns.is_in_demand() && is_writable_soon(stream);
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

/// Sends up to so many bytes, as many as the system takes now. The last part is copied.
#[cfg(all(target_os = "linux", not(portable)))]
fn send(stream: &TcpStream, transfer: &FileTransfer, len: usize) -> io::Result<usize> {
    let kept = rustix::net::sockopt::socket_send_buffer_size(stream)?.max(COPY);
    let before = (transfer.rest.end - transfer.rest.start).saturating_sub(kept as u64);
    if before == 0 {
        return copy(transfer, len, |bytes| Ok(rustix::io::write(stream, bytes)?));
    }
    let (mut offset, len) = (transfer.rest.start, usize::try_from(before).unwrap_or(len).min(len));
    let sent = rustix::fs::sendfile(stream, &transfer.file.file, Some(&mut offset), len)?;
    transfer.check()?;
    Ok(sent)
}

#[cfg(any(not(target_os = "linux"), portable))]
fn send(stream: &TcpStream, transfer: &FileTransfer, len: usize) -> io::Result<usize> {
    copy(transfer, len, |bytes| stream.try_write(bytes))
}

/// Reads, and writes as much of it as the system takes; the rest is read again.
fn copy(transfer: &FileTransfer, len: usize, write: impl FnOnce(&[u8]) -> io::Result<usize>) -> io::Result<usize> {
    let mut buffer = vec![0; len.min(COPY)];
    transfer.read_next(&mut buffer)?;
    write(&buffer)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::sync::Arc;

    use tokio::net::TcpListener;
    use torrent_library::{Content, Contents, Share};
    use tracker_host::AddressGroup;

    use super::*;
    use crate::web::client::Client;
    use crate::web::transfer::Transfers;

    #[tokio::test]
    async fn a_client_that_takes_nothing_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let len = 1 << 30;
        File::create(folder.path().join("film")).unwrap().set_len(len).unwrap();
        let content = Arc::new(Content::list(&Share::open(folder.path().to_owned()).unwrap(), "film").unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, remote) = listener.accept().await.unwrap();
        let address = remote.ip();
        let client = Client { address, group: AddressGroup::of(address, address), is_this_machine: false };
        let outgoing = Transfers::new(None).begin(client).unwrap();
        let (file, contents) = (content.open(0).unwrap(), Contents::default());
        let transfer =
            FileTransfer { file, content, way: tracker_monitor::Way::Browser, contents, rest: 0..len, outgoing };
        let error = send_file(stream, transfer, Duration::from_millis(20)).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
