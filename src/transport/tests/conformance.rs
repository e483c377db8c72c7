//! Bytes in, bytes out. Every case ends with the server's half of the connection closed.

use super::*;
use crate::delivery::{CloseReason, Fault};

struct Case {
    name: &'static str,
    client: Vec<u8>,
    server: Vec<u8>,
    end: EndReason,
}

/// The server answers so, and then with the echo of a normal close.
fn fine(name: &'static str, client: &[&[u8]], server: &[Frame]) -> Case {
    let mut answer: Vec<u8> = server
        .iter()
        .flat_map(|frame| frame.as_bytes().to_vec())
        .collect();
    answer.extend_from_slice(Frame::close(Some(1000), "").as_bytes());
    Case {
        name,
        client: [client.concat(), masked_close(1000, b"bye")].concat(),
        server: answer,
        end: EndReason::PeerClosed(Some(1000)),
    }
}

/// The server refuses so, and what comes after is not looked at.
fn wrong(name: &'static str, client: &[&[u8]], reason: CloseReason) -> Case {
    Case {
        name,
        client: [client.concat(), masked(0x81, b"unheard")].concat(),
        server: reason.frame().as_bytes().to_vec(),
        end: EndReason::Closed(reason),
    }
}

fn fault(name: &'static str, client: &[&[u8]], fault: Fault) -> Case {
    wrong(name, client, CloseReason::Protocol(fault))
}

fn closes(name: &'static str, payload: &[u8], code: Option<u16>) -> Case {
    Case {
        name,
        client: masked(0x88, payload),
        server: Frame::close(code, "").as_bytes().to_vec(),
        end: EndReason::PeerClosed(code),
    }
}

fn good() -> Vec<Case> {
    let long = vec![b'x'; 70_000];
    let emoji = "κόσμε \u{1F691}".as_bytes();
    let pings: Vec<u8> = (0..12_u8).flat_map(|n| masked(0x89, &[n])).collect();
    let pongs: Vec<Frame> = (0..12_u8).map(|n| Frame::pong(&[n])).collect();
    vec![
        fine("nothing", &[], &[]),
        fine("text", &[&masked(0x81, b"hello")], &[Frame::text(b"hello")]),
        fine("empty text", &[&masked(0x81, b"")], &[Frame::text(b"")]),
        fine(
            "binary",
            &[&masked(0x82, &[0, 255, 7])],
            &[Frame::binary(&[0, 255, 7])],
        ),
        fine(
            "125 bytes",
            &[&masked(0x82, &[1; 125])],
            &[Frame::binary(&[1; 125])],
        ),
        fine(
            "126 bytes",
            &[&masked(0x82, &[1; 126])],
            &[Frame::binary(&[1; 126])],
        ),
        fine("70,000 bytes", &[&masked(0x81, &long)], &[Frame::text(&long)]),
        fine(
            "characters of many bytes",
            &[&masked(0x81, emoji)],
            &[Frame::text(emoji)],
        ),
        fine(
            "fragments",
            &[
                &masked(0x01, b"a"),
                &masked(0x00, b""),
                &masked(0x00, b"b"),
                &masked(0x80, b"c"),
            ],
            &[Frame::text(b"abc")],
        ),
        fine(
            "a character in two fragments",
            &[&masked(0x01, &emoji[..1]), &masked(0x80, &emoji[1..])],
            &[Frame::text(emoji)],
        ),
        fine(
            "control frames between fragments",
            &[
                &masked(0x02, b"a"),
                &masked(0x89, b"p"),
                &masked(0x8A, b"?"),
                &masked(0x80, b"b"),
            ],
            &[Frame::pong(b"p"), Frame::binary(b"ab")],
        ),
        fine("pings in a row", &[&pings], &pongs),
        fine(
            "a ping of 125 bytes",
            &[&masked(0x89, &[9; 125])],
            &[Frame::pong(&[9; 125])],
        ),
        fine("a pong that nobody asked for", &[&masked(0x8A, b"hi")], &[]),
        closes("an empty close", b"", None),
        closes(
            "a close with a private code",
            &4_500_u16.to_be_bytes(),
            Some(4_500),
        ),
        closes(
            "a close with a registered code",
            &3_000_u16.to_be_bytes(),
            Some(3_000),
        ),
        closes(
            "a close with a long text",
            &[&[3, 0xE9], &[b'x'; 123][..]].concat(),
            Some(1_001),
        ),
    ]
}

fn bad() -> Vec<Case> {
    let mut cases = vec![
        fault("an unmasked frame", &[&[0x81, 2, b'h', b'i']], Fault::Unmasked),
        fault("RSV1", &[&masked(0xC1, b"x")], Fault::ReservedBits),
        fault("RSV2 on a ping", &[&masked(0xA9, b"x")], Fault::ReservedBits),
        fault("RSV3", &[&masked(0x92, b"x")], Fault::ReservedBits),
        fault(
            "a fragmented ping",
            &[&masked(0x09, b"x")],
            Fault::FragmentedControl,
        ),
        fault(
            "a fragmented close",
            &[&masked(0x08, b"")],
            Fault::FragmentedControl,
        ),
        fault(
            "a ping of 126 bytes",
            &[&masked(0x89, &[1; 126])],
            Fault::LongControl,
        ),
        fault(
            "a close of 126 bytes",
            &[&masked(0x88, &[3; 126])],
            Fault::LongControl,
        ),
        fault(
            "a continuation of nothing",
            &[&masked(0x80, b"x")],
            Fault::NothingToContinue,
        ),
        fault(
            "a message inside another",
            &[&masked(0x01, b"x"), &masked(0x81, b"y")],
            Fault::Unfinished,
        ),
        fault(
            "a long way to say 5",
            &[&[0x81, 0xFE, 0, 5, 1, 2, 3, 4, 0, 0, 0, 0, 0]],
            Fault::BadLength,
        ),
        fault(
            "a length with its top bit set",
            &[&[0x82, 0xFF, 128, 0, 0, 0, 0, 0, 0, 1]],
            Fault::BadLength,
        ),
        fault("a close of one byte", &[&masked(0x88, &[3])], Fault::BadClose),
        wrong(
            "text that is not UTF-8",
            &[&masked(0x81, &[b'a', 0xFF])],
            CloseReason::InvalidText,
        ),
        wrong(
            "text that ends inside a character",
            &[&masked(0x81, &[0xCE])],
            CloseReason::InvalidText,
        ),
        wrong(
            "fragments that are not UTF-8, before their end",
            &[&masked(0x01, b"ok"), &masked(0x00, &[0xFF])],
            CloseReason::InvalidText,
        ),
        wrong(
            "a close text that is not UTF-8",
            &[&masked_close(1000, &[0xFF])],
            CloseReason::InvalidText,
        ),
        wrong(
            "a frame over the limit, before its payload",
            &[&masked(0x82, &[1; 100_001])[..14]],
            CloseReason::TooLarge,
        ),
        wrong(
            "fragments over the limit together",
            &[&masked(0x02, &[1; 60_000]), &masked(0x80, &[1; 60_000])[..8]],
            CloseReason::TooLarge,
        ),
    ];
    for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
        cases.push(fault(
            "an unknown opcode",
            &[&masked(0x80 | opcode, b"")],
            Fault::UnknownOpcode,
        ));
    }
    for code in [
        0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535,
    ] {
        cases.push(fault(
            "a close code that is not allowed",
            &[&masked_close(code, b"")],
            Fault::BadClose,
        ));
    }
    cases
}

async fn check(case: &Case, piece: usize) {
    let server = Server::start(limits()).await;
    let mut client = server.connect().await;
    for bytes in case.client.chunks(piece) {
        // A refused client may still be writing: what counts is what it reads.
        if client.send(bytes).await.is_err() {
            break;
        }
        tokio::task::yield_now().await;
    }
    let answer = client.read_to_end().await;
    assert!(
        answer == case.server,
        "{}: {:x?}, not {:x?}",
        case.name,
        answer,
        case.server
    );
    assert_eq!(server.end().await, case.end, "{}", case.name);
    drop(client);
    until(|| server.hub.is_empty()).await;
}

#[actix_web::test]
async fn what_is_right_is_answered() {
    for case in good() {
        check(&case, usize::MAX).await;
    }
}

#[actix_web::test]
async fn what_is_wrong_is_refused_with_its_own_code() {
    for case in bad() {
        check(&case, usize::MAX).await;
    }
}

#[actix_web::test]
async fn it_does_not_matter_in_which_pieces_the_bytes_come() {
    for case in good()
        .iter()
        .chain(&bad())
        .filter(|case| case.client.len() < 1_000)
    {
        check(case, 1).await;
        check(case, 3).await;
    }
}

#[actix_web::test]
async fn frames_that_come_with_the_request_are_not_lost() {
    let server = Server::start(limits()).await;
    let first = [masked(0x81, b"early"), masked(0x81, b"bird")[..5].to_vec()].concat();
    let mut client = server.request("/", &first).await;
    client.read_head().await.unwrap();
    assert_eq!(client.read_exactly(7).await, Frame::text(b"early").as_bytes());
    client.send(&masked(0x81, b"bird")[5..]).await.unwrap();
    assert_eq!(client.read_exactly(6).await, Frame::text(b"bird").as_bytes());
}

#[actix_web::test]
async fn a_refused_upgrade_gets_a_proper_answer() {
    let server = Server::start(limits()).await;
    let mut client = server.request("/elsewhere", b"").await;
    let answer = String::from_utf8(client.read_to_end().await).unwrap();
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    assert!(
        answer.contains("content-length: 2\r\n") && answer.ends_with("\r\n\r\nno"),
        "{answer}"
    );

    let mut socket = TcpStream::connect(server.address).await.unwrap();
    let old = HANDSHAKE.replace("Version: 13", "Version: 8");
    socket
        .write_all(format!("GET / HTTP/1.1\r\n{old}").as_bytes())
        .await
        .unwrap();
    let answer = Client {
        socket,
        read: Vec::new(),
    }
    .read_to_end()
    .await;
    assert!(answer.starts_with(b"HTTP/1.1 426 "));
    assert!(server.hub.is_empty());
}
