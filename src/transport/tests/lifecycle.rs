//! How connections live and end.

use super::*;
use crate::delivery::{Audience, CloseReason, Except, Phase, Push, Signal, SignalKey};

fn quick(limits: Limits) -> Limits {
    Limits {
        ping_interval: Duration::from_millis(80),
        ping_timeout: Duration::from_millis(200),
        close_timeout: Duration::from_millis(100),
        ..limits
    }
}

#[actix_web::test]
async fn a_silent_client_is_pinged_and_then_ended() {
    let server = Server::start(quick(limits())).await;
    let mut client = server.connect().await;
    assert_eq!(client.read_exactly(2).await, Frame::ping(b"").as_bytes());
    assert_eq!(server.end().await, EndReason::Silent);
    assert_eq!(
        client.read_to_end().await,
        b"",
        "nothing is said to somebody who is not there"
    );
    assert!(server.hub.is_empty());
}

#[actix_web::test]
async fn a_client_that_answers_pings_stays() {
    let server = Server::start(quick(limits())).await;
    let mut client = server.connect().await;
    for _ in 0..5 {
        assert_eq!(client.read_exactly(2).await, Frame::ping(b"").as_bytes());
        client.send(&masked(0x8A, b"")).await.unwrap();
    }
    assert!(server.ends.borrow().is_empty());
}

#[actix_web::test]
async fn a_client_that_hangs_up_is_gone() {
    let server = Server::start(limits()).await;
    drop(server.connect().await);
    assert_eq!(server.end().await, EndReason::PeerGone);
    until(|| server.hub.is_empty()).await;
    assert_eq!(server.outbox().phase(), Phase::Gone);
    assert_eq!(server.outbox().push_event(&Frame::text(b"late")), Push::Closed);
}

#[actix_web::test]
async fn what_was_queued_leaves_before_the_close() {
    let server = Server::start(limits()).await;
    let mut client = server.connect().await;
    let outbox = server.outbox();
    outbox.push_event(&Frame::text(b"last words"));
    outbox.close(CloseReason::CredentialExpired);
    let expected = [Frame::text(b"last words"), CloseReason::CredentialExpired.frame()];
    assert_eq!(
        client.read_to_end().await,
        expected.map(|frame| frame.as_bytes().to_vec()).concat()
    );
    assert_eq!(
        server.end().await,
        EndReason::Closed(CloseReason::CredentialExpired)
    );
    client.send(&masked_close(4001, b"")).await.unwrap();
    drop(client);
    until(|| server.hub.is_empty()).await;
}

#[actix_web::test]
async fn a_peer_that_ignores_the_close_is_dropped_in_time() {
    let server = Server::start(quick(limits())).await;
    let client = server.connect().await;
    server.outbox().close(CloseReason::Normal);
    until(|| server.hub.is_empty()).await;
    assert_eq!(server.end().await, EndReason::Closed(CloseReason::Normal));
    drop(client);
}

#[actix_web::test]
async fn a_session_that_never_looks_does_not_hold_its_connection() {
    let server = Server::start(quick(limits())).await;
    let mut client = server.request("/deaf", b"").await;
    client.read_head().await.unwrap();
    server.outbox().close(CloseReason::Forbidden);
    assert_eq!(
        client.read_to_end().await,
        CloseReason::Forbidden.frame().as_bytes()
    );
    until(|| server.hub.is_empty()).await;
}

#[actix_web::test]
async fn a_session_that_vanishes_sends_its_client_back() {
    let server = Server::start(limits()).await;
    let mut client = server.request("/drop", b"").await;
    client.read_head().await.unwrap();
    assert_eq!(
        client.read_to_end().await,
        CloseReason::ServerError.frame().as_bytes()
    );
}

#[actix_web::test]
async fn a_client_that_does_not_read_is_closed_as_too_slow_and_keeps_a_prefix() {
    let server = Server::start(limits()).await;
    let mut client = server.connect().await;
    let outbox = server.outbox();
    let mut accepted = 0_u32;
    loop {
        let mut payload = vec![0; 10_000];
        payload[..4].copy_from_slice(&accepted.to_be_bytes());
        if outbox.push_event(&Frame::binary(&payload)) != Push::Queued {
            break;
        }
        accepted += 1;
        // Lets the hub fill the socket, so that frames are under way when it overflows.
        tokio::task::yield_now().await;
    }
    assert_eq!(server.end().await, EndReason::Closed(CloseReason::TooSlow));
    let wire = client.read_to_end().await;
    let close = CloseReason::TooSlow.frame();
    let events = wire
        .strip_suffix(close.as_bytes())
        .expect("the close frame comes last");
    assert_eq!(events.len() % 10_004, 0, "no frame is torn");
    for (number, frame) in (0_u32..).zip(events.chunks(10_004)) {
        assert_eq!(&frame[4..8], &number.to_be_bytes());
    }
    assert!(events.len() / 10_004 < accepted as usize);
}

#[actix_web::test]
async fn a_client_that_stalls_gets_the_newest_signals_when_it_comes_back() {
    let server = Server::start(limits()).await;
    let mut client = server.connect().await;
    let outbox = server.outbox();
    let mut newest = [0_u32; 50];
    for number in 0..20_000_u32 {
        let subject = number as usize % newest.len();
        let mut payload = vec![0; 1_000];
        payload[..4].copy_from_slice(&u32::try_from(subject).unwrap().to_be_bytes());
        payload[4..8].copy_from_slice(&number.to_be_bytes());
        let key = SignalKey {
            room: 1,
            subject: subject as u64,
        };
        assert_ne!(outbox.push_signal(key, &Frame::binary(&payload)), Push::Closed);
        newest[subject] = number;
        if number % 50 == 0 {
            tokio::task::yield_now().await;
        }
    }
    assert!(
        outbox.queued_bytes() <= 51 * 1_004,
        "one of each, and the one that has left in part"
    );
    let mut got = [0_u32; 50];
    while got != newest {
        let frame = client.read_exactly(1_004).await;
        let number = |at: usize| u32::from_be_bytes(frame[at..at + 4].try_into().unwrap());
        let subject = number(4) as usize;
        assert!(number(8) >= got[subject], "never back in time");
        got[subject] = number(8);
    }
    assert!(server.ends.borrow().is_empty());
}

#[actix_web::test]
async fn one_who_can_wait_is_told_when_there_is_room() {
    let server = Server::start(Limits {
        outbox_max_bytes: 20_000_000,
        ..limits()
    })
    .await;
    let mut client = server.connect().await;
    let outbox = server.outbox();
    let frame = Frame::binary(&[7; 90_000]);
    for _ in 0..200 {
        assert_eq!(outbox.push_event(&frame), Push::Queued);
    }
    let drained = actix_rt::spawn(outbox.drained(100_000));
    client.read_exactly(200 * frame.len()).await;
    soon(drained).await.unwrap();
    assert!(outbox.queued_bytes() <= 100_000);
}

#[actix_web::test]
async fn a_draining_node_tells_its_clients_when_to_come_back() {
    let server = Server::start(quick(limits())).await;
    let mut client = server.connect().await;
    server.hub.handle().drain(Duration::from_secs(30));
    let wire = client.read_to_end().await;
    let text = String::from_utf8_lossy(&wire[4..]).into_owned();
    assert_eq!(&wire[2..4], &1001_u16.to_be_bytes());
    let delay: u32 = text.strip_prefix("retry-after-ms=").unwrap().parse().unwrap();
    assert!(delay < 30_000);
}

#[actix_web::test]
async fn a_client_that_floods_does_not_hold_the_thread() {
    let server = Server::start(limits()).await;
    let mut flooder = server.connect().await;
    let mut other = server.connect().await;
    let flood: Vec<u8> = (0..20_000).flat_map(|_| masked(0x81, b"")).collect();
    flooder.send(&flood).await.unwrap();
    other.send(&masked(0x81, b"me too")).await.unwrap();
    other.read_exactly(8).await;
    assert!(
        flooder
            .read_exactly(40_000)
            .await
            .chunks(2)
            .all(|frame| frame == [0x81, 0])
    );
}

#[actix_web::test]
async fn signals_gather_in_their_gap_and_events_do_not_wait_for_it() {
    let server = Server::start(Limits {
        signal_gap: Duration::from_secs(3_600),
        ..limits()
    })
    .await;
    let mut client = server.connect().await;
    let outbox = server.outbox();
    let signal = |subject, text: &str| {
        outbox.push_signal(SignalKey { room: 1, subject }, &Frame::text(text.as_bytes()))
    };
    signal(1, "a");
    signal(2, "b");
    outbox.push_event(&Frame::text(b"event"));
    assert_eq!(
        client.read_exactly(7 + 3 + 3).await,
        b"\x81\x05event\x81\x01a\x81\x01b"
    );
    signal(3, "c");
    client.send(&masked(0x89, b"?")).await.unwrap();
    assert_eq!(
        client.read_exactly(3 + 3).await,
        b"\x8a\x01?\x81\x01c",
        "nor does a pong"
    );
}

#[actix_web::test]
async fn a_room_reaches_members_on_other_threads() {
    let mut audience = Audience::new();
    let mut clients = Vec::new();
    let mut workers = Vec::new();
    for origin in 0..2 {
        let (told, address) = tokio::sync::oneshot::channel();
        let (found, outbox) = tokio::sync::oneshot::channel();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let worker = std::thread::spawn(move || {
            actix_rt::System::new().block_on(async move {
                let server = Server::start(limits()).await;
                told.send(server.address).unwrap();
                until(|| !server.outboxes.borrow().is_empty()).await;
                found.send(server.outbox()).unwrap();
                stopped.await.unwrap_or_default();
            });
        });
        clients.push(Client::connect(soon(address).await.unwrap()).await);
        audience.insert(soon(outbox).await.unwrap(), origin);
        workers.push((worker, stop));
    }
    for round in 0..50 {
        let text = format!("{round:03}");
        assert_eq!(
            audience
                .send_event(&Frame::text(text.as_bytes()).into(), None, Except::Nobody)
                .delivered,
            2
        );
        let key = SignalKey { room: 1, subject: 0 };
        audience.send_signals(&[Signal {
            key,
            origin: 0,
            versions: Frame::text(b"s").into(),
        }]);
        assert_eq!(
            clients[0].read_exactly(5).await,
            [b"\x81\x03", text.as_bytes()].concat()
        );
        assert_eq!(
            clients[1].read_exactly(8).await,
            [b"\x81\x03", text.as_bytes(), b"\x81\x01s"].concat()
        );
    }
    for (worker, stop) in workers {
        stop.send(()).unwrap();
        worker.join().unwrap();
    }
}
