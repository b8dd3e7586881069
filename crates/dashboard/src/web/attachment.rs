//! Answers that browsers save as files.

use axum::body::Body;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};

/// A file to save under this name.
pub(crate) fn download(content_type: &'static str, file_name: &str, body: impl Into<Body>) -> Response {
    let headers = [(CONTENT_TYPE, content_type.to_owned()), (CONTENT_DISPOSITION, attachment(file_name))];
    (headers, body.into()).into_response()
}

/// `attachment` with the name in plain ASCII for old clients, and as it is for all others
/// ([RFC 6266](https://www.rfc-editor.org/rfc/rfc6266), [RFC 8187](https://www.rfc-editor.org/rfc/rfc8187)).
pub(crate) fn attachment(file_name: &str) -> String {
    let is_plain = |character: char| character.is_ascii_alphanumeric() || " !#$&+-.^_`{}~()[],;=@".contains(character);
    let plain: String = file_name.chars().map(|character| if is_plain(character) { character } else { '_' }).collect();
    let mut value = format!("attachment; filename=\"{plain}\"");
    if plain != file_name {
        value.push_str("; filename*=UTF-8''");
        for byte in file_name.bytes() {
            match byte {
                b'!' | b'#' | b'$' | b'&' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~' => {
                    value.push(byte.into());
                }
                byte if byte.is_ascii_alphanumeric() => value.push(byte.into()),
                byte => value.push_str(&format!("%{byte:02X}")),
            }
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files() {
        for (name, expected) in [
            ("film.torrent", r#"attachment; filename="film.torrent""#),
            ("a film (1).torrent", r#"attachment; filename="a film (1).torrent""#),
            (
                r#"a"b\c%41.torrent"#,
                r#"attachment; filename="a_b_c_41.torrent"; filename*=UTF-8''a%22b%5Cc%2541.torrent"#,
            ),
            ("Übung.torrent", r#"attachment; filename="_bung.torrent"; filename*=UTF-8''%C3%9Cbung.torrent"#),
            (
                "a\r\nX: y.torrent",
                r#"attachment; filename="a__X_ y.torrent"; filename*=UTF-8''a%0D%0AX%3A%20y.torrent"#,
            ),
            ("<script>.torrent", r#"attachment; filename="_script_.torrent"; filename*=UTF-8''%3Cscript%3E.torrent"#),
        ] {
            assert_eq!(attachment(name), expected);
            axum::http::HeaderValue::try_from(attachment(name)).unwrap();
        }
    }
}
