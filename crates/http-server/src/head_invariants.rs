//! Invariants for all bytes that come over a connection, for the tests and for the fuzz target.

use std::cell::RefCell;
use std::convert::Infallible;
use std::future::{Future, ready};
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use hyper::body::Incoming;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Response, Uri};

use crate::head::{Head, Version};

/// As many as are read at once by the server. hyper takes as many here.
const MOST: usize = 8 << 10;

/// Whatever comes: a head is known for what it is by all bytes up to its end and by none before, whatever follows; and heads
/// that were sent ahead are those that hyper finds, where it does not refuse them.
pub(crate) fn request_head(bytes: &[u8]) {
    let bytes = &bytes[..bytes.len().min(MOST)];
    is_known_at_its_end(bytes);
    is_as_hyper_has_it(bytes);
}

fn is_known_at_its_end(bytes: &[u8]) {
    let last = Head::parse(bytes);
    // All prefixes are too many of a long one.
    let step = 1 + bytes.len() / 256;
    for cut in (0..bytes.len()).step_by(step) {
        match (Head::parse(&bytes[..cut]), &last) {
            (Head::Partial, Head::Whole(whole)) => assert!(cut < whole.len),
            (Head::Partial, _) => {}
            (early, _) => assert_eq!(early, last, "{cut}"),
        }
    }
    if let Head::Whole(whole) = &last {
        assert!(whole.len <= bytes.len());
        assert_eq!(Head::parse(&bytes[..whole.len - 1]), Head::Partial);
        assert_eq!(Head::parse(&bytes[..whole.len]), last);
    }
}

fn is_as_hyper_has_it(bytes: &[u8]) {
    let theirs = heads_by_hyper(bytes);
    let mut theirs = theirs.iter();
    let mut rest = bytes;
    while let Head::Whole(ours) = Head::parse(rest) {
        let (head, after) = rest.split_at(ours.len);
        rest = after;
        let Some((method, uri, version)) = theirs.next() else {
            assert!(!is_rfc_3986(head), "hyper refuses {}", head.escape_ascii());
            return;
        };
        assert_eq!(*method, Method::GET);
        assert_eq!(
            *version,
            if ours.version == Version::Http11 { hyper::Version::HTTP_11 } else { hyper::Version::HTTP_10 }
        );
        // hyper leaves out what it takes for a fragment, which no client sends.
        if !head.contains(&b'#') {
            assert_eq!(uri.path().as_bytes(), ours.path);
            assert_eq!(uri.query().unwrap_or_default().as_bytes(), ours.query);
        }
        // hyper does not look at a Connection that is not ASCII.
        if !head.is_ascii() {
            return;
        }
        if !ours.keep_alive {
            assert_eq!(theirs.next(), None, "hyper keeps {}", head.escape_ascii());
            return;
        }
    }
}

/// The request lines of what hyper accepts.
fn heads_by_hyper(bytes: &[u8]) -> Vec<(Method, Uri, hyper::Version)> {
    let heads = RefCell::new(Vec::new());
    let service = service_fn(|request: hyper::Request<Incoming>| {
        let (head, _) = request.into_parts();
        heads.borrow_mut().push((head.method, head.uri, head.version));
        ready(Ok::<_, Infallible>(Response::new(String::new())))
    });
    {
        let mut connection = pin!(http1::Builder::new().half_close(true).serve_connection(Wire(bytes), service));
        // It never waits for the wire, but at times would let others have a turn.
        while connection.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending() {}
    }
    heads.into_inner()
}

/// Returns `true` if the target of a head has none of the bytes that it should not have.
fn is_rfc_3986(head: &[u8]) -> bool {
    let target = head.split(|&byte| byte == b' ').nth(1).unwrap_or_default();
    target.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/?%".contains(byte))
}

/// Gives all bytes at once, and takes whatever is sent.
struct Wire<'a>(&'a [u8]);

impl Read for Wire<'_> {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, mut buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        let (now, later) = self.0.split_at(self.0.len().min(buf.remaining()));
        buf.put_slice(now);
        self.0 = later;
        Poll::Ready(Ok(()))
    }
}

impl Write for Wire<'_> {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
