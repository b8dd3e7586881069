use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};

use anyhow::Context;

/// An HTTP/1.1 request. Shorthands make the common kinds.
#[derive(Debug, Default)]
pub(crate) struct Request<'a> {
    pub(crate) method: &'a str,
    pub(crate) target: &'a str,
    pub(crate) headers: &'a [(&'a str, &'a str)],
    pub(crate) body: &'a [u8],
}

impl<'a> Request<'a> {
    pub(crate) fn get(target: &'a str) -> Self {
        Self { method: "GET", target, ..Self::default() }
    }
}

#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Response {
    /// The value of the first header of this name, whatever its case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// Sends one request over a fresh connection and reads the whole answer. It is for `localhost`, unless a header names another
/// host.
pub(crate) fn exchange(stream: impl Read + Write, request: &Request<'_>) -> anyhow::Result<Response> {
    let Request { method, target, headers, body } = request;
    let mut head = format!("{method} {target} HTTP/1.1\r\nConnection: close\r\n");
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        head.push_str("Host: localhost\r\n");
    }
    if !body.is_empty() {
        write!(head, "Content-Length: {}\r\n", body.len())?;
    }
    for (name, value) in *headers {
        write!(head, "{name}: {value}\r\n")?;
    }
    head.push_str("\r\n");

    let mut stream = BufReader::new(stream);
    stream.get_mut().write_all(&[head.as_bytes(), body].concat())?;
    read_response(&mut stream).with_context(|| format!("{method} {target}"))
}

fn read_response(stream: &mut impl BufRead) -> anyhow::Result<Response> {
    let mut line = String::new();
    stream.read_line(&mut line)?;
    let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.with_context(|| format!("no status in {line:?}"))?;

    let mut response = Response { status, headers: Vec::new(), body: Vec::new() };
    loop {
        line.clear();
        stream.read_line(&mut line)?;
        let Some((name, value)) = line.split_once(':') else { break };
        response.headers.push((name.to_owned(), value.trim().to_owned()));
    }
    match response.header("content-length") {
        Some(length) => {
            response.body.resize(length.parse()?, 0);
            stream.read_exact(&mut response.body)?;
        }
        None => _ = stream.read_to_end(&mut response.body)?,
    }
    Ok(response)
}
