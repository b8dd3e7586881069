//! `tracker report`, which asks a running tracker.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::Output;
use std::thread;

use crate::running::tracker;

fn report(dashboard: SocketAddr) -> Output {
    tracker().args(["report", "--url", &format!("http://{dashboard}")]).output().unwrap()
}

fn refused(output: Output) -> String {
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(2) && output.stdout.is_empty(), "{error}");
    error
}

#[test]
fn without_a_tracker_it_says_so() {
    let unused = TcpListener::bind("127.0.6.7:0").unwrap().local_addr().unwrap();
    let error = refused(report(unused));
    assert!(error.contains(&format!("no tracker runs at http://{unused}")) && error.contains("--url"), "{error}");

    for url in ["https://lab-pc:6970", "lab-pc"] {
        let error = refused(tracker().args(["report", "--url", url]).output().unwrap());
        assert!(error.contains("http://HOST:PORT"), "{error}");
    }
    let error = refused(tracker().args(["report", "--lesson", "0"]).output().unwrap());
    assert!(error.contains("--lesson"), "{error}");
}

#[test]
fn another_server_is_not_taken_for_a_tracker() {
    for answer in ["HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\nnot found", "220 mail.example ESMTP\r\n"] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            _ = stream.read(&mut [0; 4096]).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
        });
        let error = refused(report(address));
        server.join().unwrap();
        assert!(error.contains("is not the dashboard of a tracker"), "{answer}: {error}");
    }
}
