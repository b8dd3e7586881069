//! Heads of answers, and where their bodies end.

/// The maximum number of headers.
const MOST_HEADERS: usize = 64;

/// The head of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) status: u16,
    /// The offset of the body.
    pub(crate) length: usize,
    pub(crate) content_length: Option<usize>,
    pub(crate) is_chunked: bool,
    /// The tracker closes the connection after this answer.
    pub(crate) closes: bool,
}

/// The error for an answer that is not HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotHttp;

impl Head {
    /// Reads the head. `None` while it is incomplete.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Option<Self>, NotHttp> {
        let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
        let mut response = httparse::Response::new(&mut headers);
        let httparse::Status::Complete(length) = response.parse(bytes).map_err(|_| NotHttp)? else { return Ok(None) };
        let mut head = Self {
            status: response.code.ok_or(NotHttp)?,
            length,
            content_length: None,
            is_chunked: false,
            closes: response.version == Some(0),
        };
        for header in response.headers {
            let value = header.value.trim_ascii();
            if header.name.eq_ignore_ascii_case("content-length") {
                let length = str::from_utf8(value).ok().and_then(|value| value.parse().ok());
                head.content_length = Some(length.ok_or(NotHttp)?);
            } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
                head.is_chunked = true;
            } else if header.name.eq_ignore_ascii_case("connection") {
                head.closes = value.eq_ignore_ascii_case(b"close");
            }
        }
        Ok(Some(head))
    }

    /// Returns `true` if `bytes`, including the head, are the whole answer. `is_closed`: nothing follows.
    pub(crate) fn is_whole(&self, bytes: &[u8], is_closed: bool) -> bool {
        match self.content_length {
            Some(length) if !self.is_chunked => bytes.len() - self.length >= length,
            _ if self.is_chunked => bytes.ends_with(b"0\r\n\r\n"),
            _ => is_closed,
        }
    }

    /// Returns `true` if the body has the length that Content-Length says, the one framing that all clients understand.
    pub(crate) fn is_framed_well(&self, bytes: &[u8]) -> bool {
        !self.is_chunked && self.content_length == Some(bytes.len() - self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(bytes: &[u8]) -> Head {
        Head::parse(bytes).unwrap().unwrap()
    }

    #[test]
    fn heads_are_understood() {
        let answer = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\ncontent-length:  2 \r\n\r\nde";
        let head = parse(answer);
        let expected =
            Head { status: 200, length: answer.len() - 2, content_length: Some(2), is_chunked: false, closes: false };
        assert_eq!(head, expected);
        assert!(head.is_whole(answer, false) && head.is_framed_well(answer));
        assert!(!head.is_whole(&answer[..answer.len() - 1], true));
        assert!(!head.is_framed_well(&[&answer[..], b"\n"].concat()));
        for end in 0..head.length {
            assert_eq!(Head::parse(&answer[..end]), Ok(None));
        }
    }

    #[test]
    fn other_framings_are_recognised() {
        let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nde\r\n0\r\n\r\n";
        let head = parse(chunked);
        assert!(head.is_whole(chunked, false) && !head.is_whole(&chunked[..chunked.len() - 1], false));
        assert!(!head.is_framed_well(chunked));

        let bare = b"HTTP/1.0 404 Not Found\r\n\r\nx";
        let head = parse(bare);
        assert_eq!((head.status, head.closes), (404, true));
        assert!(head.is_whole(bare, true) && !head.is_whole(bare, false) && !head.is_framed_well(bare));
        assert!(parse(b"HTTP/1.1 200 OK\r\nConnection: Close\r\n\r\n").closes);
        assert_eq!(Head::parse(b"d8:intervali1ee"), Err(NotHttp));
        assert_eq!(Head::parse(b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"), Err(NotHttp));
    }
}
