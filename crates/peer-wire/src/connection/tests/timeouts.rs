use super::*;

/// The request by which Transmission and rTorrent are made to send what they hold back.
fn poke() -> String {
    extended_text(2, b"d8:msg_typei0e5:piecei9999ee")
}

#[test]
fn a_handshake_has_ten_seconds() {
    for mut connection in [
        Connection::dial(secs(5), local(), remote(), INFO_HASH, Torrent::default()),
        Connection::accept(secs(5), local(), remote()),
    ] {
        assert_eq!(connection.poll_timeout(), Some(secs(15)));
        connection.handle_input(secs(14), &handshake(modern()).encode()[..67]).expect("a part");
        assert_eq!(connection.poll_timeout(), Some(secs(15)));
        assert_eq!(connection.handle_timeout(ms(14_999)), Ok(()));
        assert_eq!(connection.handle_timeout(secs(15)), Err(ConnectionError::NoHandshake));
        assert_eq!(connection.poll_timeout(), None);
    }
    // So does the answer to it.
    let mut connection = Connection::accept(secs(5), local(), remote());
    connection.handle_input(secs(6), &handshake(modern()).encode()).expect("a handshake");
    assert_eq!(connection.poll_timeout(), Some(secs(15)));
    assert_eq!(connection.handle_timeout(secs(15)), Err(ConnectionError::NoHandshake));
}

#[test]
fn the_connection_is_kept_alive() {
    let mut connection = open(modern(), torrent(8));
    assert_eq!(connection.poll_timeout(), Some(secs(90)));
    connection.handle_timeout(ms(89_999)).expect("nothing is due");
    assert_eq!(sent(&mut connection), [""; 0]);
    connection.handle_timeout(secs(90)).expect("a keep-alive is due");
    assert_eq!(sent(&mut connection), ["KeepAlive"]);
    assert_eq!(connection.poll_timeout(), Some(secs(180)));
    // Whatever is sent counts.
    let request = stream(&[Message::Request(Block { piece: 1, begin: 2, length: 3 })]);
    connection.handle_input(secs(100), &request).expect("a request");
    assert_eq!(connection.poll_timeout(), Some(secs(190)));
}

#[test]
fn a_silent_peer_is_given_up() {
    let mut connection = open(modern(), torrent(8));
    connection.handle_input(secs(20), b"\0").expect("a part of a message");
    for due in [90, 180, 270] {
        assert_eq!(connection.poll_timeout(), Some(secs(due)));
        connection.handle_timeout(secs(due)).expect("a keep-alive is due");
        assert_eq!(sent(&mut connection), ["KeepAlive"]);
    }
    assert_eq!(connection.poll_timeout(), Some(secs(320)));
    assert_eq!(connection.handle_timeout(secs(320)), Err(ConnectionError::Silent));
}

#[test]
fn clients_that_hold_their_progress_back_are_asked_each_second() {
    let mut connection = open(modern(), torrent(8));
    connection.handle_input(ms(500), &introduction(Some("Transmission 3.00"), Some(1), Some(2))).expect("a message");
    for due in [1500, 2500, 3500] {
        assert_eq!(connection.poll_timeout(), Some(ms(due)));
        connection.handle_timeout(ms(due - 1)).expect("nothing is due");
        assert_eq!(sent(&mut connection), [""; 0]);
        connection.handle_timeout(ms(due)).expect("it is due");
        assert_eq!(sent(&mut connection), [poke()]);
        // The answer, with what it brings.
        let reject = MetadataMessage::Reject { piece: 9999 }.encode();
        let input = [extended(2, &reject), stream(&[Message::Have { piece: 1 }])].concat();
        connection.handle_input(ms(due + 300), &input).expect("messages");
    }
    // Late by seconds: once, and then a second later again.
    connection.handle_timeout(secs(9)).expect("it is due");
    assert_eq!(sent(&mut connection), [poke()]);
    assert_eq!(connection.poll_timeout(), Some(secs(10)));
    connection.handle_input(ms(9_500), &stream(&[Message::HaveAll])).expect("a message");
    assert_eq!(connection.poll_timeout(), Some(secs(99)));

    // A piece is gone, and fetched again.
    connection.handle_input(secs(20), &extended(3, b"\0\0\0\x02")).expect("a message");
    assert_eq!(connection.poll_timeout(), Some(secs(21)));
    connection.handle_input(secs(20), &introduction(None, None, Some(0))).expect("a message");
    assert_eq!(connection.poll_timeout(), Some(secs(99)));
}

#[test]
fn nobody_else_is_asked() {
    for (client, metadata, is_asked) in [
        (Some("Transmission 2.94"), Some(3), true),
        (Some("libTorrent 0.13.8"), Some(2), true),
        (Some("libTorrent 0.13.8"), Some(0), false),
        (Some("Transmission 3.00"), None, false),
        (Some("Transmission 4.1.0-beta.2"), Some(3), false),
        (Some("qBittorrent/4.5.2"), Some(2), false),
        (Some("libtorrent/2.0.8"), Some(2), false),
        (Some("aria2/1.36.0"), Some(9), false),
        (None, Some(1), false),
    ] {
        let mut connection = open(modern(), torrent(8));
        connection.handle_input(secs(0), &introduction(client, Some(1), metadata)).expect("a message");
        assert_eq!(connection.poll_timeout(), Some(secs(if is_asked { 1 } else { 90 })), "{client:?}");
    }
}

#[test]
fn time_that_goes_back_stands_still() {
    let mut connection = open(modern(), torrent(8));
    connection.handle_timeout(secs(90)).expect("a keep-alive is due");
    assert_eq!(sent(&mut connection), ["KeepAlive"]);
    connection.handle_timeout(secs(10)).expect("nothing is due");
    connection.handle_input(secs(20), b"\0\0\0\0").expect("a keep-alive");
    assert_eq!(connection.poll_timeout(), Some(secs(180)));
    connection.handle_timeout(secs(180)).expect("a keep-alive is due");
    connection.handle_timeout(secs(270)).expect("a keep-alive is due");
    connection.handle_timeout(secs(360)).expect("a keep-alive is due");
    assert_eq!(connection.poll_timeout(), Some(secs(390)), "300 s after second 90");
}
