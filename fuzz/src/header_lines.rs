//! Headers of a request, as the input of a target has them.

use axum::http::{HeaderName, HeaderValue};

/// Each line of the input is a header, by its first byte, which says which of `names` it has, and its rest. Values that no
/// request can have are left out.
pub(crate) fn headers(input: &[u8], names: &[HeaderName]) -> Vec<(HeaderName, HeaderValue)> {
    let header = |line: &[u8]| {
        let (&name, value) = line.split_first()?;
        Some((names[usize::from(name) % names.len()].clone(), HeaderValue::from_bytes(value).ok()?))
    };
    input.split(|&byte| byte == b'\n').filter_map(header).collect()
}
