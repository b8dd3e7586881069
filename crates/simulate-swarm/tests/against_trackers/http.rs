//! A tracker over HTTP.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::swarms::{Fault, Request, Swarms, compact};

pub(crate) struct HttpTracker {
    address: SocketAddr,
}

impl HttpTracker {
    /// Serves until the tests end.
    pub(crate) fn start(address: &str, fault: Fault) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let swarms = Arc::new(Mutex::new(Swarms::new(fault)));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, swarms) = (stream.unwrap(), Arc::clone(&swarms));
                thread::spawn(move || serve(stream, &swarms));
            }
        });
        Self { address }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/announce", self.address)
    }
}

/// Serves one connection.
fn serve(mut stream: TcpStream, swarms: &Mutex<Swarms>) {
    let from = stream.peer_addr().unwrap();
    let mut served = 0;
    while let Some(head) = read_head(&mut stream) {
        served += 1;
        let (line, headers) = head.split_once("\r\n").unwrap();
        let closes = headers.contains("Connection: close\r\n");
        assert!(headers.contains(&format!("Host: {}\r\n", stream.local_addr().unwrap())), "{headers}");
        let target = line.strip_prefix("GET ").and_then(|line| line.strip_suffix(" HTTP/1.1")).unwrap();
        let (path, query) = target.split_once('?').unwrap();
        let (fault, body) = {
            let mut swarms = swarms.lock().unwrap();
            let body = match path {
                "/announce" => announce(&mut swarms, query, from),
                "/scrape" => scrape(&swarms, query),
                _ => panic!("{path}"),
            };
            (swarms.fault, body)
        };
        let answer = frame(fault, &body);
        if stream.write_all(&answer).is_err() || closes || fault == Fault::ClosesIdle && served == 10 {
            return;
        }
    }
}

/// None when the client has closed.
fn read_head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if !matches!(stream.read(&mut byte), Ok(1)) {
            return None;
        }
        head.push(byte[0]);
    }
    Some(String::from_utf8(head).unwrap())
}

/// The faults of framing, in all answers.
fn frame(fault: Fault, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = match fault {
        Fault::Chunked => format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{length:x}\r\n"),
        Fault::NoContentLength => "HTTP/1.1 200 OK\r\n\r\n".to_owned(),
        Fault::Status => "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n".to_owned(),
        Fault::NotHttp => "hello".to_owned(),
        Fault::ClosedEarly => return Vec::new(),
        _ => format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n"),
    };
    let end: &[u8] = match fault {
        Fault::Chunked => b"\r\n0\r\n\r\n",
        Fault::BytesBehindBody => b"\n",
        _ => b"",
    };
    let body = if fault == Fault::Status { &[] } else { body };
    [head.as_bytes(), body, end].concat()
}

fn decode(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first == b'%' {
            bytes.push(u8::from_str_radix(str::from_utf8(&tail[..2]).unwrap(), 16).unwrap());
            rest = &tail[2..];
        } else {
            bytes.push(*first);
        }
    }
    bytes
}

fn info_hash(text: &str) -> [u8; 20] {
    decode(text).try_into().unwrap()
}

fn announce(swarms: &mut Swarms, query: &str, from: SocketAddr) -> Vec<u8> {
    let parameters: HashMap<_, _> = query.split('&').map(|pair| pair.split_once('=').unwrap()).collect();
    assert_eq!(decode(parameters["peer_id"]).len(), 20);
    assert_eq!((parameters["compact"], parameters["key"].len()), ("1", 8));
    let answer = swarms.announce(&Request {
        info_hash: info_hash(parameters["info_hash"]),
        peer: SocketAddr::new(from.ip(), parameters["port"].parse().unwrap()),
        is_seed: parameters["left"] == "0",
        is_stopped: parameters.get("event") == Some(&"stopped"),
        numwant: parameters["numwant"].parse().unwrap(),
    });
    let (key, stride) = if from.is_ipv4() { ("5:peers", 6) } else { ("5:peers0:6:peers6", 18) };
    let peers = compact(&answer.peers);
    assert_eq!(peers.len() % stride, 0);
    let counts = format!("8:completei{}e10:incompletei{}e", answer.seeders, answer.leechers);
    let interval = format!("8:intervali{}e", answer.interval);
    let peers = [format!("{key}{}:", peers.len()).as_bytes(), &peers].concat();
    let (counts, interval) = (counts.as_bytes(), interval.as_bytes());
    match swarms.fault {
        Fault::Refusal => b"d14:failure reason9:not todaye".to_vec(),
        Fault::Html => b"<html></html>".to_vec(),
        Fault::NoPeersKey => [b"d", counts, interval, b"e"].concat(),
        Fault::UnsortedKeys => [b"d", interval, counts, &peers, b"e"].concat(),
        _ => [b"d", counts, interval, &peers, b"e"].concat(),
    }
}

fn scrape(swarms: &Swarms, query: &str) -> Vec<u8> {
    let mut info_hashes: Vec<_> =
        query.split('&').map(|pair| info_hash(pair.strip_prefix("info_hash=").unwrap())).collect();
    info_hashes.sort_unstable();
    let files = info_hashes.iter().map(|info_hash| {
        let (seeders, leechers) = swarms.scrape(info_hash);
        let counts = format!("d8:completei{seeders}e10:downloadedi0e10:incompletei{leechers}ee");
        [b"20:", &info_hash[..], counts.as_bytes()].concat()
    });
    [b"d5:filesd", &files.collect::<Vec<_>>().concat()[..], b"ee"].concat()
}
