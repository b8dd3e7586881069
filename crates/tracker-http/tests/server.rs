//! The server, over loopback.
//!
//! Nothing here waits for a time to pass: the server is given short limits, and the tests wait for what it does.

mod support;

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tracker_core::{Config, Instant, Shards, UserId, UserKey, UserRule};
use tracker_host::Clock;
use tracker_http::{Adapter, HttpConfig, Server, all_addresses};

use crate::support::{adapter, announce};

/// A limit that is not reached: a test that waits for it fails before, by [`DEADLINE`].
const NEVER: Duration = Duration::from_secs(3600);
/// A minute for what takes milliseconds, on a machine that does much else.
const DEADLINE: Duration = Duration::from_secs(60);
/// A limit that is waited for.
const SOON: Duration = Duration::from_millis(200);

struct Running {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<std::io::Result<()>>,
}

impl Running {
    fn start(config: HttpConfig) -> Self {
        Self::serve(adapter(Config::default(), config))
    }

    fn serve(adapter: Adapter) -> Self {
        let server = Server::bind(&[(Ipv4Addr::LOCALHOST, 0).into()], adapter).unwrap();
        let address = server.local_addrs()[0];
        let (stop, stopped) = oneshot::channel();
        let ended = tokio::spawn(server.run(async { _ = stopped.await }));
        Self { address, stop, ended }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// A connection whose request is begun. (One that nothing was sent over is accepted a second later.)
    async fn begin(&self) -> TcpStream {
        let mut stream = self.connect().await;
        stream.write_all(b"G").await.unwrap();
        stream
    }

    /// A whole exchange on a connection of its own.
    async fn assert_serves(&self) {
        let mut stream = self.connect().await;
        stream.write_all(request("Connection: close\r\n").as_bytes()).await.unwrap();
        let answer = read_to_end(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    }

    /// A connection that was answered and is kept: from here on no short limit on heads can meet it, since a request
    /// arrives in one piece. Before, one can, when this thread gets no turn between connecting and sending.
    async fn bystander(&self) -> TcpStream {
        let answered = async {
            loop {
                let mut stream = self.connect().await;
                let mut first = [0; 1];
                if stream.write_all(request("").as_bytes()).await.is_ok()
                    && stream.peek(&mut first).await.is_ok_and(|read| read > 0)
                {
                    read_answer(&mut stream).await;
                    return stream;
                }
            }
        };
        in_time(answered).await
    }

    async fn stop(self) {
        self.stop.send(()).unwrap();
        in_time(self.ended).await.unwrap().unwrap();
    }
}

/// Fails what would hang.
async fn in_time<T>(what: impl Future<Output = T>) -> T {
    timeout(DEADLINE, what).await.expect("it takes too long")
}

/// A whole exchange on a connection that stays open.
async fn assert_answered(stream: &mut TcpStream) {
    stream.write_all(request("").as_bytes()).await.unwrap();
    let (head, _) = read_answer(stream).await;
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
}

/// Limits that no test meets, on `threads`.
fn patient(threads: usize) -> HttpConfig {
    HttpConfig::default().with(|config| {
        config.threads = NonZeroUsize::new(threads).unwrap();
        config.head_timeout = NEVER;
        config.idle_timeout = NEVER;
        config.write_timeout = NEVER;
        config.shutdown_timeout = NEVER;
    })
}

fn request(headers: &str) -> String {
    format!("GET /announce?{} HTTP/1.1\r\nHost: tracker\r\n{headers}\r\n", announce('p', 6881, "&left=0"))
}

/// Everything until the server closes; a reset is an end as well.
async fn read_to_end(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    if let Err(error) = in_time(stream.read_to_end(&mut bytes)).await {
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// One answer of a connection that stays open.
async fn read_answer(stream: &mut TcpStream) -> (String, String) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(in_time(stream.read_u8()).await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).expect("Content-Length");
    let mut body = vec![0; length.parse().unwrap()];
    in_time(stream.read_exact(&mut body)).await.unwrap();
    (head, String::from_utf8_lossy(&body).into_owned())
}

#[tokio::test]
async fn an_answer_has_a_length_and_comes_whole() {
    let running = Running::start(patient(2));
    let mut stream = running.connect().await;
    stream.write_all(request("").as_bytes()).await.unwrap();
    let (head, body) = read_answer(&mut stream).await;
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.contains("Content-Type: text/plain\r\n"), "{head}");
    assert!(!head.contains("Transfer-Encoding"), "{head}");
    assert_eq!(body, "d8:completei1e10:downloadedi0e10:incompletei0e8:intervali60e12:min intervali30e5:peers0:e");
    drop(stream);
    running.stop().await;
}

#[tokio::test]
async fn http_1_0_without_host_is_answered_and_closed() {
    // As ctorrent asks.
    let running = Running::start(patient(1));
    let mut stream = running.connect().await;
    let query = announce('p', 2706, "&uploaded=0&downloaded=0&left=5&compact=1&event=started&numwant=100&key=E2T4DAX0");
    let request = format!("GET /announce?{query} HTTP/1.0\r\nUser-Agent: ctorrent/dnh3.3.2\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let answer = read_to_end(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.0 200 OK\r\n"), "{answer}");
    assert!(answer.contains("Content-Length: 89\r\n"), "{answer}");
    running.stop().await;
}

/// A header that neither changes an answer nor is known to [`Head`]: hyper and the router have the request then.
const UNUSUAL: &str = "Content-Length: 0\r\n";

#[tokio::test]
async fn the_router_gives_the_same_answers() {
    let running = Running::start(patient(1).with(|config| config.full_scrape = true));
    let hashes: Vec<String> = (0..60).map(|byte| format!("info_hash={}", format!("%{byte:02x}").repeat(20))).collect();
    let escaped = "info_hash=%00%26%3d%3F%25%2b+%0d%0A%20%ff%7eabcdefgh&peer_id=-XX0001-%00%01%02%03%04%05%06%07%08%09%0a%0b\
                   &port=1&key=%00%ff&left=18446744073709551615&numwant=-1&event=nonsense&x=%41";
    let query = announce('p', 6881, "&left=0");
    for target in [
        format!("/announce?{query}"),
        format!("/announce?{query}&compact=0&numwant=0"),
        format!("/announce?passkey=x?{query}"),
        format!("/announce/some/key?{query}"),
        format!("/announce?{escaped}"),
        format!("/announce/?{query}&event=stopped"),
        "/announce".to_owned(),
        "/announce?".to_owned(),
        "/announce?info_hash=%zz".to_owned(),
        "/announced".to_owned(),
        "/".to_owned(),
        "/health".to_owned(),
        format!("/scrape?{}", hashes.join("&")),
        "/scrape?info_hash=short".to_owned(),
        "/scrape?x=%4".to_owned(),
        "/scrape".to_owned(),
        "/scrape/key".to_owned(),
    ] {
        for version in ["1.0", "1.1"] {
            for headers in [
                "",
                "Connection: close\r\n",
                "Connection: Keep-Alive\r\n",
                "connection: x , CLOSE\r\n",
                "connection: close\r\nconnection: keep-alive\r\n",
                "host: tracker\r\nuser-agent: x\r\naccept-encoding: gzip\r\n",
            ] {
                let ask = async |unusual: &str| {
                    let mut stream = running.connect().await;
                    let request = format!("GET {target} HTTP/{version}\r\n{headers}{unusual}\r\n");
                    stream.write_all(request.as_bytes()).await.unwrap();
                    // So that a connection that is kept ends as well.
                    stream.shutdown().await.unwrap();
                    read_to_end(&mut stream).await
                };
                let (ours, hypers) = (ask("").await, ask(UNUSUAL).await);
                assert!(ours.starts_with(&format!("HTTP/{version} ")), "{ours}");
                assert_eq!(ours, hypers, "{target} {version} {headers}");
            }
        }
    }
    running.stop().await;
}

#[tokio::test]
async fn head_has_no_body() {
    let running = Running::start(patient(1));
    let mut stream = running.connect().await;
    stream.write_all(request("Connection: close\r\n").replacen("GET", "HEAD", 1).as_bytes()).await.unwrap();
    let answer = read_to_end(&mut stream).await;
    assert!(answer.contains("Content-Length: 89\r\n") && answer.ends_with("\r\n\r\n"), "{answer}");
    running.stop().await;
}

#[tokio::test]
async fn a_request_may_come_in_two_pieces() {
    let running = Running::start(patient(1));
    for unusual in ["", UNUSUAL] {
        let request = request(&format!("{unusual}Connection: close\r\n"));
        for cut in 1..request.len() {
            let (begin, end) = request.split_at(cut);
            let mut stream = running.connect().await;
            stream.set_nodelay(true).unwrap();
            stream.write_all(begin.as_bytes()).await.unwrap();
            // Its answer comes after the server has read what was sent before.
            running.assert_serves().await;
            stream.write_all(end.as_bytes()).await.unwrap();
            let answer = read_to_end(&mut stream).await;
            assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("5:peers0:e"), "{cut}: {answer}");
        }
    }
    running.stop().await;
}

#[tokio::test]
async fn ten_thousand_connections_one_after_the_other() {
    let running = Running::start(patient(1).with(|config| config.max_connections = 2));
    for _ in 0..10_000 {
        running.assert_serves().await;
    }
    running.stop().await;
}

#[tokio::test]
async fn a_client_that_leaves_early_affects_no_other() {
    let running = Running::start(patient(1).with(|config| config.max_connections = 8));
    for _ in 0..50 {
        drop(running.connect().await);
        drop(running.begin().await);
        for request in [request(""), request("Connection: close\r\n"), request(UNUSUAL)] {
            let mut stream = running.connect().await;
            stream.write_all(request.as_bytes()).await.unwrap();
            // Closing resets the connection, for there may be an answer that was not read.
            stream.set_zero_linger().unwrap();
        }
        running.assert_serves().await;
    }
    running.stop().await;
}

#[tokio::test]
async fn a_full_scrape_that_is_not_read_is_cut_off() {
    let adapter = adapter(
        Config::default(),
        patient(1).with(|config| {
            config.full_scrape = true;
            config.write_timeout = SOON;
        }),
    );
    for torrent in 0..60_000 {
        let query = format!("info_hash={torrent:020}&peer_id=bbbbbbbbbbbbbbbbbbbb&port=1&left=0");
        adapter.announce([10, 0, 0, 1].into(), [10, 0, 0, 2].into(), None, query.as_bytes());
    }
    let running = Running::serve(adapter);
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(running.address).await.unwrap();
    stream.write_all(b"GET /scrape HTTP/1.1\r\nHost: t\r\n\r\n").await.unwrap();
    running.assert_serves().await;
    running.stop().await;
    let mut taken = Vec::new();
    let end = in_time(stream.read_to_end(&mut taken)).await;
    assert!(taken.starts_with(b"HTTP/1.1 200 OK\r\n"));
    assert!(taken.len() < 60_000 * 85, "{} {end:?}", taken.len());
}

#[tokio::test]
async fn connections_are_kept_and_closed_as_the_client_says() {
    let running = Running::start(patient(1));
    let mut stream = running.connect().await;
    for _ in 0..3 {
        stream.write_all(request("").as_bytes()).await.unwrap();
        read_answer(&mut stream).await;
    }
    stream.write_all(request("Connection: close\r\n").as_bytes()).await.unwrap();
    let answer = read_to_end(&mut stream).await;
    assert!(answer.contains("Connection: close\r\n"), "{answer}");

    let mut stream = running.connect().await;
    let kept = request("Connection: keep-alive\r\n").replace("HTTP/1.1", "HTTP/1.0");
    for _ in 0..2 {
        stream.write_all(kept.as_bytes()).await.unwrap();
        read_answer(&mut stream).await;
    }
    drop(stream);
    running.stop().await;
}

/// On new connections, and on those that are kept.
#[tokio::test]
async fn the_time_of_each_answer_is_counted() {
    let adapter = adapter(Config::default(), patient(2));
    let running = Running::serve(adapter.clone());
    running.assert_serves().await;
    let mut stream = running.connect().await;
    for _ in 0..3 {
        assert_answered(&mut stream).await;
    }
    // Two at once, the second in two pieces.
    let (first, second) = (request(""), request("Connection: close\r\n"));
    let (begin, end) = second.split_at(20);
    stream.write_all([&first, begin].concat().as_bytes()).await.unwrap();
    read_answer(&mut stream).await;
    stream.write_all(end.as_bytes()).await.unwrap();
    read_to_end(&mut stream).await;
    // No announce.
    let mut stream = running.connect().await;
    stream.write_all(b"GET /health HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n").await.unwrap();
    read_to_end(&mut stream).await;
    running.stop().await;
    let counts = adapter.answer_times().counts();
    assert_eq!(counts.total(), 6, "{counts:?}");
    assert!(counts.within(1.0).is_some_and(|time| time < DEADLINE), "{counts:?}");
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let running = Running::start(patient(1));
    let mut stream = running.connect().await;
    let requests = [
        "GET /health HTTP/1.1\r\nHost: t\r\n\r\n".to_owned(),
        request(""),
        "GET /nothing HTTP/1.1\r\nHost: t\r\n\r\n".to_owned(),
        "GET /health HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n".to_owned(),
    ];
    stream.write_all(requests.concat().as_bytes()).await.unwrap();
    assert_eq!(read_answer(&mut stream).await.1, "ok\n");
    assert!(read_answer(&mut stream).await.1.starts_with("d8:complete"));
    assert!(read_answer(&mut stream).await.0.starts_with("HTTP/1.1 404"));
    assert!(read_to_end(&mut stream).await.ends_with("\r\n\r\nok\n"));
    running.stop().await;
}

#[tokio::test]
async fn any_number_of_pipelined_requests_is_answered() {
    let running = Running::start(patient(1));
    let mut stream = running.connect().await;
    let (announces, health) = (request("").repeat(1000), "GET /health HTTP/1.0\r\n\r\n");
    let (mut reads, mut writes) = stream.split();
    let ask = async {
        writes.write_all(announces.as_bytes()).await.unwrap();
        writes.write_all(health.as_bytes()).await.unwrap();
    };
    let mut answers = String::new();
    let ((), read) = in_time(async { tokio::join!(ask, reads.read_to_string(&mut answers)) }).await;
    read.unwrap();
    assert_eq!(answers.matches("HTTP/1.1 200 OK\r\n").count(), 1000);
    assert_eq!(answers.matches("d8:completei1e").count(), 1000);
    assert!(answers.ends_with("\r\n\r\nok\n"), "{answers}");
    running.stop().await;
}

#[tokio::test]
async fn a_half_closed_client_gets_its_answer() {
    let running = Running::start(patient(1));
    let mut stream = running.connect().await;
    stream.write_all(request("").as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    assert!(read_to_end(&mut stream).await.starts_with("HTTP/1.1 200 OK\r\n"));
    running.stop().await;
}

#[tokio::test]
async fn a_head_that_drips_in_is_cut_off_and_delays_no_other() {
    let running = Running::start(patient(1).with(|config| config.head_timeout = SOON));
    let mut silent = running.connect().await;
    let mut dripping = running.connect().await;
    dripping.write_all(b"GET /announce?").await.unwrap();
    let mut bystander = running.bystander().await;

    let (mut dripping_reads, mut dripping_writes) = dripping.split();
    let drip = async {
        while dripping_writes.write_all(b"x").await.is_ok() {
            tokio::time::sleep(SOON / 10).await;
        }
    };
    let mut end = Vec::new();
    let cut_off = async {
        tokio::select! {
            () = drip => {}
            _ = dripping_reads.read_to_end(&mut end) => {}
        }
    };
    in_time(cut_off).await;
    assert_eq!(end, b"");
    assert_eq!(read_to_end(&mut silent).await, "");
    assert_answered(&mut bystander).await;
    drop(bystander);
    running.stop().await;
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let running = Running::start(patient(1).with(|config| config.idle_timeout = SOON));
    let mut stream = running.connect().await;
    stream.write_all(request("").as_bytes()).await.unwrap();
    read_answer(&mut stream).await;
    assert_eq!(read_to_end(&mut stream).await, "");
    running.stop().await;
}

#[tokio::test]
async fn a_client_that_never_reads_is_cut_off() {
    let running = Running::start(patient(1).with(|config| config.write_timeout = SOON));
    let mut stream = running.connect().await;
    let requests = request("").repeat(100);
    in_time(async { while stream.write_all(requests.as_bytes()).await.is_ok() {} }).await;
    running.assert_serves().await;
    running.stop().await;
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let running = Running::start(patient(1));
    let query = format!("GET /announce?{} HTTP/1.1\r\n\r\n", "x".repeat(20 * 1024));
    let header = request(&format!("X-Padding: {}\r\n", "x".repeat(20 * 1024)));
    let headers = request(&"X-Header: x\r\n".repeat(64));
    for head in [query, header, headers] {
        let mut stream = running.connect().await;
        stream.write_all(head.as_bytes()).await.unwrap();
        let answer = read_to_end(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    }
    let mut stream = running.connect().await;
    let large = format!("X-Padding: {}\r\nConnection: close\r\n", "x".repeat(15 * 1024));
    stream.write_all(request(&large).as_bytes()).await.unwrap();
    assert!(read_to_end(&mut stream).await.starts_with("HTTP/1.1 200 OK\r\n"));
    running.stop().await;
}

#[tokio::test]
async fn the_smallest_limits_on_heads_are_kept() {
    let running = Running::start(patient(1).with(|config| {
        config.max_headers = 24;
        config.max_head_bytes = 8 << 10;
    }));
    // Host and Connection are two of them.
    let close = |more| request(&["X-Header: x\r\n".repeat(more).as_str(), "Connection: close\r\n"].concat());
    for (head, status) in [(close(22), 200), (close(23), 431)] {
        let mut stream = running.connect().await;
        stream.write_all(head.as_bytes()).await.unwrap();
        let answer = read_to_end(&mut stream).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    }
    running.stop().await;
}

#[tokio::test]
async fn garbage_is_refused() {
    let running = Running::start(patient(1).with(|config| config.head_timeout = SOON));
    let mut bystander = running.bystander().await;
    for garbage in [
        &b"\r\n\r\n\r\n"[..],
        b"GET\r\n\r\n",
        b"\x00\xff\x00\xff\r\n\r\n",
        b"\x13BitTorrent protocol\0\0\0\0\0\0\0\0aaaaaaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbbbbb",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /announce?a=\0 HTTP/1.1\r\n\r\n",
        b"GET /announce HTTP/9.9\r\n\r\n",
        b"GET /announce HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"GET /announce HTTP/1.1\r\nNo colon\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let mut stream = running.connect().await;
        stream.write_all(garbage).await.unwrap();
        let answer = read_to_end(&mut stream).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{}: {answer}", garbage.escape_ascii());
        assert_answered(&mut bystander).await;
    }
    drop(bystander);
    running.stop().await;
}

#[tokio::test]
async fn which_bytes_a_query_may_hold_raw() {
    let adapter = adapter(Config::default(), patient(1));
    let running = Running::serve(adapter.clone());
    let ask = async |byte: &[u8]| {
        let mut stream = running.connect().await;
        let query = announce('p', 6881, "&left=0").into_bytes();
        let headers = b" HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n";
        stream.write_all(&[b"GET /announce?key=", byte, b"&", &query, headers].concat()).await.unwrap();
        read_to_end(&mut stream).await
    };
    for byte in u8::MIN..=u8::MAX {
        let refused = matches!(byte, 0..=b' ' | 0x7f);
        let answer = ask(&[byte]).await;
        assert!(answer.starts_with(if refused { "HTTP/1.1 400 " } else { "HTTP/1.1 200 " }), "{byte:#04x}: {answer}");
        // It begins an escape.
        assert_eq!(answer.contains("failure reason"), byte == b'%', "{byte:#04x}: {answer}");
    }
    // All that were refused are counted: 32 control characters, the space, DEL, and the escape.
    assert_eq!(adapter.failures(), 35);
    running.stop().await;
}

#[tokio::test]
async fn a_body_is_not_waited_for() {
    let running = Running::start(patient(1));
    let mut stream = running.connect().await;
    let post = "POST /announce HTTP/1.1\r\nHost: t\r\nContent-Length: 1000000000\r\n\r\nx";
    stream.write_all(post.as_bytes()).await.unwrap();
    assert!(read_to_end(&mut stream).await.starts_with("HTTP/1.1 405 "));
    running.stop().await;
}

#[tokio::test]
async fn one_address_has_its_share_of_the_connections() {
    let running = Running::start(patient(2).with(|config| config.max_connections_per_address = 2));
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut stream = running.connect().await;
        stream.write_all(request("").as_bytes()).await.unwrap();
        read_answer(&mut stream).await;
        held.push(stream);
    }
    assert_eq!(read_to_end(&mut running.begin().await).await, "");
    // What need not be waited for takes no place.
    #[cfg(all(target_os = "linux", not(portable)))]
    running.assert_serves().await;

    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let mut other = socket.connect(running.address).await.unwrap();
    other.write_all(request("").as_bytes()).await.unwrap();
    read_answer(&mut other).await;

    drop(held);
    let served_again = async {
        loop {
            let mut stream = running.connect().await;
            if stream.write_all(request("Connection: close\r\n").as_bytes()).await.is_ok()
                && read_to_end(&mut stream).await.starts_with("HTTP/1.1 200 OK\r\n")
            {
                break;
            }
        }
    };
    in_time(served_again).await;
    drop(other);
    running.stop().await;
}

#[tokio::test]
async fn when_connections_are_scarce_none_is_kept_and_one_too_many_is_closed() {
    let running = Running::start(patient(1).with(|config| config.max_connections = 3));
    let mut first = running.connect().await;
    first.write_all(request("").as_bytes()).await.unwrap();
    assert!(!read_answer(&mut first).await.0.contains("Connection: close"));
    let mut second = running.connect().await;
    second.write_all(request("").as_bytes()).await.unwrap();
    assert!(read_to_end(&mut second).await.contains("Connection: close\r\n"));

    // The one that has waited longest, as the server sees it: whose first byte comes late is seen late.
    let [mut one, mut two, mut three] = [running.begin().await, running.begin().await, running.begin().await];
    let closed = tokio::select! {
        closed = read_to_end(&mut one) => closed,
        closed = read_to_end(&mut two) => closed,
        closed = read_to_end(&mut three) => closed,
    };
    assert_eq!(closed, "");
    first.write_all(request("").as_bytes()).await.unwrap();
    read_answer(&mut first).await;
    drop((first, one, two, three));
    running.stop().await;
}

/// One that waits for the rest of a head, and one whose head is for hyper to read.
const BEGINNINGS: [&[u8]; 2] = [b"GET /announce?info_hash=", b"POST /announce HTTP/1.1\r\nHost: "];

#[tokio::test]
async fn with_all_places_taken_a_request_in_two_segments_is_served() {
    let adapter = adapter(Config::default(), patient(2).with(|config| config.max_connections = 16));
    let running = Running::serve(adapter.clone());
    let mut held = VecDeque::new();
    let hold = async |beginning: &[u8]| {
        let mut stream = running.connect().await;
        stream.write_all(beginning).await.unwrap();
        stream
    };
    for turn in 0..16 {
        held.push_back(hold(BEGINNINGS[turn % 2]).await);
        running.assert_serves().await;
    }
    let request = request("Connection: close\r\n");
    for turn in 0..150 {
        let (begin, end) = request.split_at(1 + turn % (request.len() - 1));
        let mut stream = hold(begin.as_bytes()).await;
        stream.set_nodelay(true).unwrap();
        running.assert_serves().await;
        stream.write_all(end.as_bytes()).await.unwrap();
        let answer = read_to_end(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{turn}: {answer}");
        // All places are taken again.
        held.push_back(hold(BEGINNINGS[turn % 2]).await);
        running.assert_serves().await;
    }
    assert!(adapter.closed_connections() >= 140, "{}", adapter.closed_connections());
    // Those that were closed are the ones that had waited longest.
    for mut stream in held.drain(..100) {
        assert_eq!(read_to_end(&mut stream).await, "");
    }
    drop(held);
    running.stop().await;
}

#[tokio::test]
async fn a_flood_of_silent_connections_keeps_nobody_out() {
    let adapter = adapter(Config::default(), patient(1).with(|config| config.max_connections = 64));
    let running = Running::serve(adapter.clone());
    let (mut flood, request) = (Vec::new(), request("Connection: close\r\n"));
    for turn in 0..40 {
        let (begin, end) = request.split_at(1 + turn * 3);
        let mut stream = running.connect().await;
        stream.set_nodelay(true).unwrap();
        stream.write_all(begin.as_bytes()).await.unwrap();
        for _ in 0..20 {
            flood.push(running.begin().await);
        }
        stream.write_all(end.as_bytes()).await.unwrap();
        let answer = read_to_end(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{turn}: {answer}");
    }
    assert!(adapter.closed_connections() >= 700, "{}", adapter.closed_connections());
    drop(flood);
    running.stop().await;
}

#[tokio::test]
async fn a_connection_whose_request_is_answered_is_not_closed_for_another() {
    let adapter = adapter(
        Config::default(),
        patient(1).with(|config| {
            config.full_scrape = true;
            config.max_connections = 2;
        }),
    );
    for torrent in 0..60_000 {
        let query = format!("info_hash={torrent:020}&peer_id=bbbbbbbbbbbbbbbbbbbb&port=1&left=0");
        adapter.announce([10, 0, 0, 1].into(), [10, 0, 0, 2].into(), None, query.as_bytes());
    }
    let running = Running::serve(adapter.clone());
    let mut taking = Vec::new();
    for _ in 0..2 {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        let mut stream = socket.connect(running.address).await.unwrap();
        stream.write_all(b"GET /scrape HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n").await.unwrap();
        assert_eq!(in_time(stream.read_u8()).await.unwrap(), b'H');
        taking.push(stream);
    }
    assert_eq!(read_to_end(&mut running.begin().await).await, "");
    assert_eq!(adapter.closed_connections(), 1);
    for mut stream in taking {
        let answer = read_to_end(&mut stream).await;
        assert!(answer.starts_with("TTP/1.1 200 OK\r\n") && answer.ends_with("ee"), "{}", answer.len());
    }
    running.stop().await;
}

#[tokio::test]
async fn a_request_that_has_begun_is_finished_at_shutdown() {
    let running = Running::start(patient(1));
    let request = request("");
    let (begin, end) = request.split_at(30);
    let mut begun = running.connect().await;
    begun.write_all(begin.as_bytes()).await.unwrap();
    let mut idle = running.connect().await;
    idle.write_all(request.as_bytes()).await.unwrap();
    read_answer(&mut idle).await;

    running.stop.send(()).unwrap();
    assert_eq!(read_to_end(&mut idle).await, "");
    in_time(async { while TcpStream::connect(running.address).await.is_ok() {} }).await;
    begun.write_all(end.as_bytes()).await.unwrap();
    let answer = read_to_end(&mut begun).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    in_time(running.ended).await.unwrap().unwrap();
}

#[tokio::test]
async fn requests_that_never_end_are_cut_off_at_shutdown() {
    let running = Running::start(patient(2).with(|config| config.shutdown_timeout = SOON));
    let mut silent = running.begin().await;
    running.assert_serves().await;
    running.stop().await;
    assert_eq!(read_to_end(&mut silent).await, "");
}

#[tokio::test]
async fn a_port_is_free_again_at_once() {
    let running = Running::start(patient(2));
    let address = running.address;
    running.assert_serves().await;
    running.stop().await;
    let again = Server::bind(&[address], adapter(Config::default(), patient(2))).unwrap();
    assert_eq!(again.local_addrs(), [address]);
}

#[tokio::test]
async fn a_port_in_use_is_an_error_that_names_it() {
    let bind = |address| Server::bind(&[address], adapter(Config::default(), patient(2)));
    let ours = bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let theirs = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    for port in [ours.local_addrs()[0].port(), theirs.local_addr().unwrap().port()] {
        for ip in [Ipv4Addr::LOCALHOST, Ipv4Addr::UNSPECIFIED] {
            let address = SocketAddr::from((ip, port));
            let error = bind(address).unwrap_err();
            assert_eq!((error.address, error.source.kind()), (address, ErrorKind::AddrInUse));
            assert_eq!(error.to_string(), format!("cannot listen on {address}"));
        }
        let both = Server::bind(&all_addresses(port), adapter(Config::default(), patient(2)));
        assert_eq!(both.unwrap_err().source.kind(), ErrorKind::AddrInUse);
    }
    let error = bind("192.0.2.1:0".parse().unwrap()).unwrap_err();
    assert_eq!(error.source.kind(), ErrorKind::AddrNotAvailable);
}

#[tokio::test]
async fn all_addresses_takes_the_families_that_exist() {
    let server = Server::bind(&all_addresses(0), adapter(Config::default(), patient(2))).unwrap();
    let addresses = server.local_addrs().to_vec();
    let (stop, stopped) = oneshot::channel::<()>();
    let ended = tokio::spawn(server.run(async { _ = stopped.await }));
    assert!(addresses.iter().any(SocketAddr::is_ipv4));
    for address in addresses {
        let loopback = if address.is_ipv4() { "127.0.0.1" } else { "::1" };
        let mut stream = TcpStream::connect((loopback, address.port())).await.unwrap();
        stream.write_all(request("Connection: close\r\n").as_bytes()).await.unwrap();
        assert!(read_to_end(&mut stream).await.starts_with("HTTP/1.1 200 OK\r\n"), "{address}");
    }
    drop(stop);
    in_time(ended).await.unwrap().unwrap();
}

#[tokio::test]
async fn browsers_and_unknown_hosts_are_refused_on_new_and_on_kept_connections() {
    let running = Running::start(patient(1));
    for (headers, status, words) in [
        ("Host: tracker\r\nUser-Agent: Mozilla/5.0 (X11)", "403 Forbidden", "browsers are not answered"),
        ("Host: tracker\r\nOrigin: http://evil.example", "403 Forbidden", "browsers are not answered"),
        ("Host: tracker\r\nReferer: http://evil.example/", "403 Forbidden", "browsers are not answered"),
        ("Host: tracker\r\nSec-Fetch-Site: none", "403 Forbidden", "browsers are not answered"),
        ("Host: tracker\r\nSec-Fetch-Dest: image", "403 Forbidden", "browsers are not answered"),
        ("Host: tracker\r\nUpgrade-Insecure-Requests: 1", "403 Forbidden", "browsers are not answered"),
        ("Host: evil.example:6969", "200 OK", "--host-name evil.example"),
        ("Host: tracker\r\nHost: evil.example", "200 OK", "--host-name evil.example"),
        ("Host: tracker\r\nUser-Agent: node\r\nSec-Fetch-Mode: cors\r\nAccept-Language: *", "200 OK", "8:complete"),
        ("Host: 203.0.113.9\r\nUser-Agent: qBittorrent/4.5.2", "200 OK", "8:complete"),
    ] {
        let query = announce('p', 6881, "&left=0");
        let request = format!("GET /announce?{query} HTTP/1.1\r\n{headers}\r\n\r\n");
        let mut stream = running.connect().await;
        for turn in ["new", "kept"] {
            stream.write_all(request.as_bytes()).await.unwrap();
            let (head, body) = read_answer(&mut stream).await;
            assert!(head.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{turn} {headers}: {head}");
            assert!(body.contains(words), "{turn} {headers}: {body}");
        }
        let mut stream = running.connect().await;
        assert_answered(&mut stream).await;
        stream.write_all(request.as_bytes()).await.unwrap();
        let (head, body) = read_answer(&mut stream).await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status}\r\n")), "after an answer {headers}: {head}");
        assert!(body.contains(words), "after an answer {headers}: {body}");
    }
    running.stop().await;
}

#[tokio::test]
async fn announces_under_the_base_path_are_those_without_it() {
    let config = Config::default().with(|config| config.users = true);
    let shards = Shards::new(config, NonZeroUsize::MIN, &mut StdRng::seed_from_u64(7)).unwrap();
    let key = UserKey::new([0xab; 16]);
    shards.set_users(Instant::ZERO, [(key, UserRule::new(UserId(1)))]);
    let http = patient(1).with(|config| config.base_path = "/tracker".parse().unwrap());
    let running = Running::serve(Adapter::new(Arc::new(shards), Clock::fixed(Instant::ZERO), http).unwrap());
    let query = announce('p', 6881, "&left=0");
    for (target, status, words) in [
        (format!("/tracker/announce/{key}?{query}"), "200 OK", "8:complete"),
        (format!("/announce/{key}?{query}"), "200 OK", "8:complete"),
        (format!("/tracker/scrape/{key}?info_hash=aaaaaaaaaaaaaaaaaaaa"), "200 OK", "5:filesd20:"),
        (format!("/tracker/announce/{}?{query}", "0".repeat(32)), "200 OK", "14:failure reason"),
        (format!("/tracker/announce?{query}"), "200 OK", "14:failure reason"),
        (format!("/tracker/tracker/announce/{key}?{query}"), "200 OK", "no tracker answers at /tracker/announce"),
        (format!("/trackers/announce/{key}?{query}"), "200 OK", "no tracker answers at /trackers"),
        ("/tracker/health".into(), "200 OK", "ok"),
        ("/tracker".into(), "200 OK", "Its announce path is /tracker/announce."),
        ("/tracker/page".into(), "404 Not Found", "not found"),
    ] {
        // Those of proxies are answered by the router.
        for more in ["", "X-Forwarded-For: 10.0.0.9\r\n"] {
            let mut stream = running.connect().await;
            let request = format!("GET {target} HTTP/1.1\r\nHost: tracker\r\n{more}\r\n");
            stream.write_all(request.as_bytes()).await.unwrap();
            let (head, body) = read_answer(&mut stream).await;
            assert!(head.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{target} {more}: {head}");
            assert!(body.contains(words), "{target} {more}: {body}");
        }
    }
    running.stop().await;
}
