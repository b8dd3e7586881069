//! What holds for a header of the PROXY protocol, whatever its bytes are. The fuzz target uses the same code.

use crate::proxy_header::{MAX_PROXY_HEADER_BYTES, ProxyHeader, ProxyHeaderError};

/// A header is recognised exactly at its end, whatever follows, and what is refused stays refused.
pub(crate) fn proxy_header(input: &[u8]) {
    let whole = ProxyHeader::parse(input);
    let least = match whole {
        Ok(Some(ProxyHeader { len, .. })) => {
            assert!(len <= input.len().min(MAX_PROXY_HEADER_BYTES));
            len
        }
        Ok(None) => input.len() + 1,
        Err(_) => 0,
    };
    for len in 0..input.len().min(MAX_PROXY_HEADER_BYTES) {
        match ProxyHeader::parse(&input[..len]) {
            Ok(None) => assert!(len < least || whole.is_err()),
            part => {
                assert_eq!(part, whole);
                assert!(len >= least);
            }
        }
    }
    if input.len() > 12 && !input.starts_with(b"\r\n\r\n\0\r\nQUIT\n") {
        assert_eq!(whole, Err(ProxyHeaderError::Missing));
    }
}
