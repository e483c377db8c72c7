//! One who never reads, among a thousand who do.

use std::net::SocketAddr;

use serde_json::json;
use socket2::{Domain, Socket, Type};
use tokio::net::TcpStream;
use tokio_tungstenite::{MaybeTlsStream, client_async};

use crate::support::{Client, DEADLINE, Engine, Heard, Person, UNLIMITED, fire};

const GOOD: usize = 1_000;
/// People, each with many connections: whole families look at more than one screen.
const PEOPLE: usize = 20;
/// Enough to fill what the kernel takes and the outbox.
const MESSAGES: usize = 120;

#[tokio::test]
async fn a_stalled_reader_is_closed_and_resumes_and_the_others_miss_nothing() {
    let mut settings = UNLIMITED.to_vec();
    settings.push(("sessions.outbox_max_bytes", "65536"));
    settings.push(("sessions.close_timeout_ms", "60000"));
    let engine = Engine::start(&settings);
    let ana = engine.user("Ana");
    let sos = ana.raises(fire()).await;

    let mut good = Vec::new();
    for n in 0..PEOPLE {
        let person = engine.user(&format!("Reader {n}"));
        let mut first = person.connect().await;
        first.joins(&sos).await;
        let rest = (1..GOOD / PEOPLE).map(|_| async {
            let mut client = person.connect().await;
            client.joins(&sos).await;
            client
        });
        good.push(first);
        good.extend(futures_util::future::join_all(rest).await);
    }
    assert_eq!(good.len(), GOOD);
    let sam = engine.user("Sam");
    let mut stalled = small_socket(&sam).await;
    stalled.expect(json!({"type": "connected"})).await;
    let since = stalled.joins(&sos).await["seq"].clone();

    let readers: Vec<_> = good
        .into_iter()
        .map(|client| tokio::spawn(reads_all(client)))
        .collect();
    let mut at_ana = ana.connect().await;
    at_ana.joins(&sos).await;
    let (mut seqs, mut departures) = (Vec::new(), 0);
    for n in 0..MESSAGES {
        at_ana
            .says(json!({"type": "room-message", "roomId": sos, "content": content(n)}))
            .await;
        let mut accepted = json!(null);
        loop {
            let Heard::Message(message) = at_ana.hears().await else {
                panic!("Ana was closed")
            };
            match message["type"].as_str().unwrap() {
                "message-accepted" => accepted = message["seq"].clone(),
                "user-left" => departures += i32::from(message["userName"] == "Sam"),
                "room-message" => {
                    assert_eq!(message["seq"], accepted);
                    seqs.push(accepted);
                    break;
                }
                other => panic!("unexpected {other}"),
            }
        }
    }
    for reader in readers {
        reader.await.unwrap();
    }

    assert_eq!(departures, 1, "Sam was not closed while more was said");

    // Now the stalled one reads: what was on its way, and that it was too slow.
    let (heard, code, text) = stalled.reads_to_the_close().await;
    assert_eq!(code, 4008, "{text}");
    assert!(heard.len() < MESSAGES);
    let mut expected = (0..MESSAGES).map(content);
    for message in heard.iter().filter(|message| message["type"] == "room-message") {
        assert_eq!(
            message["content"].as_str(),
            expected.next().as_deref(),
            "a gap before the close"
        );
    }

    // It comes back and has everything.
    let mut again = sam.connect().await;
    again
        .says(json!({"type": "join-room", "roomId": sos, "since": since}))
        .await;
    again
        .expect(json!({"type": "join-approved", "recovered": true}))
        .await;
    for (n, seq) in seqs.iter().enumerate() {
        let message = loop {
            // Ana's second connection and Sam's own coming and going are in between.
            let Heard::Message(message) = again.hears().await else {
                panic!("closed again")
            };
            if message["type"] == "room-message" {
                break message;
            }
        };
        assert_eq!(
            (&message["seq"], message["content"].as_str().unwrap()),
            (seq, content(n).as_str())
        );
    }
    again.hears_nothing_more().await;
}

/// 2,000 characters that tell which message it is.
fn content(n: usize) -> String {
    format!("{n:06}{}", "x".repeat(1_994))
}

/// Reads every message, in order; does not look further into them than it must.
async fn reads_all(mut client: Client) {
    let mut next = 0;
    while next < MESSAGES {
        let text = client.next_text().await.expect("a good reader was closed");
        if text.contains("\"type\":\"room-message\"") {
            assert!(
                text.contains(&format!("\"content\":\"{next:06}")),
                "out of order at {next}: {}",
                &text[..200]
            );
            next += 1;
        }
    }
}

/// A connection whose kernel buffers hold little.
async fn small_socket(person: &Person) -> Client {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    socket.set_tcp_mss(536).unwrap();
    let address: SocketAddr = person.url("", "").trim_start_matches("://").parse().unwrap();
    socket.connect(&address.into()).unwrap();
    socket.set_nonblocking(true).unwrap();
    let stream = TcpStream::from_std(socket.into()).unwrap();
    let upgrade = client_async(person.upgrade("/api/ws"), MaybeTlsStream::Plain(stream));
    let (socket, _) = tokio::time::timeout(DEADLINE, upgrade).await.unwrap().unwrap();
    Client::on("the stalled reader", socket)
}
