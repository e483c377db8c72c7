//! A session as its client and its carrier see it, on a clock that the tests set.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::*;

/// A session and what it asked for so far.
struct Rig {
    session: Session,
    now: Instant,
}

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn settings() -> Settings {
    Settings {
        ping_interval: ms(300),
        ping_timeout: ms(200),
        max_payload_bytes: 100,
        upgrade_timeout: ms(1_000),
        close_timeout: ms(2_000),
        outgoing_max_bytes: 250,
        upgrades: true,
    }
}

impl Rig {
    fn new(transport: Transport) -> Self {
        let now = Instant::now();
        Self {
            session: Session::open(Arc::new(settings()), "abc".into(), transport, now),
            now,
        }
    }

    /// One that polls and has had its handshake.
    fn polling() -> Self {
        let mut rig = Self::new(Transport::Polling);
        rig.poll();
        let done = rig.done();
        assert!(done[0].starts_with("answer 0{"), "{done:?}");
        rig
    }

    /// One on a WebSocket that has had its handshake.
    fn websocket() -> (Self, SocketId) {
        let mut rig = Self::new(Transport::WebSocket);
        let socket = rig.session.socket().unwrap();
        assert!(rig.done()[0].starts_with("send 0{"));
        (rig, socket)
    }

    fn poll(&mut self) -> PollId {
        self.session.poll(self.now).unwrap()
    }

    fn post(&mut self, body: &'static str) -> Result<(), Refusal> {
        self.session.begin_post(None, self.now)?;
        self.session.post(Bytes::from_static(body.as_bytes()), self.now)
    }

    fn says(&mut self, socket: SocketId, text: &'static str) {
        self.session.frame(socket, Frame::Text(text.into()), self.now);
    }

    fn send(&mut self, text: &str) {
        self.session.send(Data::Text(text.into()).encode());
    }

    fn waits(&mut self, time: Duration) {
        self.now += time;
        self.session.tick(self.now);
    }

    /// What is asked for since the last time, in words.
    fn done(&mut self) -> Vec<String> {
        let effects = self.session.take_effects();
        effects.into_iter().map(words).collect()
    }
}

fn words(effect: Effect<Event>) -> String {
    match effect {
        Effect::Answer { body, .. } => format!("answer {body}"),
        Effect::Send { frame, .. } => match frame {
            Frame::Text(text) => format!("send {text}"),
            Frame::Binary(bytes) => format!("send {bytes:?}"),
        },
        Effect::HangUp { .. } => "hang up".into(),
        Effect::Event(Event::Message(Data::Text(text))) => format!("hear {text}"),
        Effect::Event(Event::Message(Data::Binary(bytes))) => format!("hear {bytes:?}"),
        Effect::Event(Event::Upgraded(_)) => "upgraded".into(),
        Effect::Event(Event::Closed(end)) => format!("closed {end:?}"),
    }
}

#[test]
fn the_handshake_has_these_members_and_no_others() {
    let mut rig = Rig::new(Transport::Polling);
    rig.poll();
    let tail = r#""pingInterval":300,"pingTimeout":200,"maxPayload":100}"#;
    assert_eq!(
        rig.done(),
        [format!(
            r#"answer 0{{"sid":"abc","upgrades":["websocket"],{tail}"#
        )]
    );
    let mut rig = Rig::new(Transport::WebSocket);
    assert_eq!(
        rig.done(),
        [format!(r#"send 0{{"sid":"abc","upgrades":[],{tail}"#)]
    );
}

#[test]
fn a_payload_holds_several_packets_both_ways() {
    let mut rig = Rig::polling();
    assert_eq!(
        rig.post("4hello\u{1e}bAQIDBA==\u{1e}bAQIDBA\u{1e}6\u{1e}4"),
        Ok(())
    );
    let bytes = r#"hear b"\x01\x02\x03\x04""#;
    assert_eq!(rig.done(), ["hear hello", bytes, bytes, "hear "]);
    rig.send("a");
    rig.session.send(Frame::Binary(Bytes::from_static(&[1, 2, 3, 4])));
    rig.send("€");
    assert!(rig.done().is_empty());
    rig.poll();
    assert_eq!(rig.done(), ["answer 4a\u{1e}bAQIDBA==\u{1e}4€"]);
}

#[test]
fn what_is_sent_together_answers_a_poll_together() {
    let mut rig = Rig::polling();
    rig.poll();
    assert!(rig.done().is_empty() && rig.session.is_writable());
    rig.send("a");
    rig.send("b");
    assert_eq!(rig.done(), ["answer 4a\u{1e}4b"]);
    assert!(!rig.session.is_writable());
}

#[test]
fn an_answer_keeps_to_the_limit_unless_one_packet_alone_is_longer() {
    let mut rig = Rig::polling();
    for text in ["a".repeat(60), "b".repeat(60), "c".repeat(100)] {
        rig.send(&text);
    }
    for text in ["a".repeat(60), "b".repeat(60), "c".repeat(100)] {
        rig.poll();
        assert_eq!(rig.done(), [format!("answer 4{text}")]);
    }
}

#[test]
fn who_does_not_take_what_waits_is_given_up() {
    let mut rig = Rig::polling();
    rig.send(&"a".repeat(200));
    assert!(rig.done().is_empty());
    rig.send(&"a".repeat(50));
    assert_eq!(rig.done(), ["closed TooSlow"]);
    assert_eq!(rig.session.poll(rig.now), Err(Refusal::UNKNOWN));
}

#[test]
fn a_second_poll_ends_the_session_and_the_first_hears_of_it() {
    let mut rig = Rig::polling();
    rig.poll();
    assert_eq!(rig.session.poll(rig.now), Err(Refusal::BAD));
    assert_eq!(rig.done(), ["answer 1", "closed TwoPolls"]);
}

#[test]
fn a_poll_that_is_given_up_ends_the_session_unless_it_was_answered() {
    let mut rig = Rig::polling();
    let answered = rig.poll();
    rig.send("a");
    assert_eq!(rig.done(), ["answer 4a"]);
    rig.session.poll_gone(answered, rig.now);
    let waits = rig.poll();
    rig.session.poll_gone(answered, rig.now);
    assert!(rig.done().is_empty());
    rig.send("lost with the poll, and with the session");
    rig.session.poll_gone(waits, rig.now);
    assert_eq!(rig.done(), ["closed PollGone"]);
}

#[test]
fn a_second_post_ends_the_session() {
    let mut rig = Rig::polling();
    assert_eq!(rig.session.begin_post(Some("text/plain"), rig.now), Ok(()));
    assert_eq!(rig.session.begin_post(None, rig.now), Err(Refusal::BAD));
    assert_eq!(rig.done(), ["closed TwoPosts"]);
    assert_eq!(rig.session.post(Bytes::new(), rig.now), Err(Refusal::UNKNOWN));
}

#[test]
fn bodies_that_are_not_the_protocol_end_the_session() {
    for body in ["abc", "", "4a\u{1e}", "4a\u{1e}x\u{1e}4b", "b!", "2", "0{}"] {
        let mut rig = Rig::polling();
        rig.poll();
        assert_eq!(rig.post(body), Err(Refusal::BAD), "{body}");
        let done = rig.done();
        let last = done.last().unwrap();
        assert!(last.starts_with("closed Malformed"), "{done:?}");
        assert!(done.contains(&"answer 1".to_owned()));
        assert_eq!(done.contains(&"hear a".to_owned()), body.starts_with("4a"));
    }
    let mut rig = Rig::polling();
    rig.session.begin_post(None, rig.now).unwrap();
    assert_eq!(
        rig.session.post(Bytes::from_static(b"4\xff"), rig.now),
        Err(Refusal::BAD)
    );
    assert_eq!(rig.done(), ["closed Malformed(Utf8)"]);

    let mut rig = Rig::polling();
    let binary = Some("application/octet-stream");
    assert_eq!(rig.session.begin_post(binary, rig.now), Err(Refusal::BAD));
    assert_eq!(rig.done(), ["closed Malformed(ContentType)"]);
}

#[test]
fn what_is_larger_than_promised_is_not_taken() {
    let mut rig = Rig::polling();
    rig.session.begin_post(None, rig.now).unwrap();
    let body = Bytes::from(format!("4{}", "a".repeat(100)));
    assert_eq!(rig.session.post(body.clone(), rig.now), Err(Refusal::TooLarge));
    assert_eq!(rig.done(), ["closed TooLarge"]);

    let (mut rig, socket) = Rig::websocket();
    rig.session.frame(socket, Frame::Binary(body), rig.now);
    assert_eq!(rig.done(), ["hang up", "closed TooLarge"]);
}

#[test]
fn pings_come_in_time_and_a_pong_sets_the_next() {
    let (mut rig, socket) = Rig::websocket();
    for _ in 0..3 {
        rig.waits(ms(299));
        assert!(rig.done().is_empty());
        rig.waits(ms(1));
        assert_eq!(rig.done(), ["send 2"]);
        rig.waits(ms(150));
        rig.says(socket, "3");
        assert_eq!(rig.session.next_timeout(), Some(rig.now + ms(300)));
    }
    rig.waits(ms(300));
    rig.says(socket, "4still talking");
    rig.waits(ms(199));
    assert_eq!(rig.done(), ["send 2", "hear still talking"]);
    rig.waits(ms(1));
    assert_eq!(rig.done(), ["hang up", "closed PingTimeout"]);
    assert_eq!(rig.session.next_timeout(), None);
}

#[test]
fn a_pong_that_nobody_asked_for_changes_nothing() {
    let (mut rig, socket) = Rig::websocket();
    rig.waits(ms(200));
    rig.says(socket, "3");
    rig.waits(ms(100));
    assert_eq!(rig.done(), ["send 2"]);
}

#[test]
fn who_polls_without_a_pong_is_gone_when_the_time_is_over() {
    let mut rig = Rig::polling();
    rig.waits(ms(301));
    rig.now += ms(199);
    assert_eq!(rig.session.poll(rig.now), Err(Refusal::UNKNOWN));
    assert_eq!(rig.done(), ["closed PingTimeout"]);
}

#[test]
fn a_late_clock_leaves_the_client_time_for_its_pong() {
    let (mut rig, socket) = Rig::websocket();
    rig.waits(ms(5_000));
    assert_eq!(rig.done(), ["send 2"]);
    rig.waits(ms(149));
    rig.says(socket, "3");
    assert!(rig.done().is_empty());
}

#[test]
fn a_client_that_ends_the_session_has_its_poll_ended_by_nothing() {
    let mut rig = Rig::polling();
    rig.poll();
    assert_eq!(rig.post("4last\u{1e}1\u{1e}4not heard"), Ok(()));
    assert_eq!(rig.done(), ["hear last", "answer 6", "closed Client"]);

    let (mut rig, socket) = Rig::websocket();
    rig.says(socket, "1");
    assert_eq!(rig.done(), ["hang up", "closed Client"]);
}

#[test]
fn a_broken_socket_ends_the_session() {
    let (mut rig, socket) = Rig::websocket();
    rig.session.socket_gone(socket, rig.now);
    assert_eq!(rig.done(), ["closed SocketGone"]);
    rig.says(socket, "4a");
    rig.send("b");
    assert!(rig.done().is_empty());
}

#[test]
fn our_end_waits_for_what_was_sent_and_for_a_poll_to_tell() {
    let (mut rig, _) = Rig::websocket();
    rig.send("bye");
    rig.session.close();
    assert_eq!(rig.done(), ["send 4bye", "hang up", "closed Server"]);

    let mut rig = Rig::polling();
    rig.send("bye");
    rig.session.close();
    rig.send("not sent");
    assert_eq!(rig.post("4not heard"), Ok(()));
    assert!(rig.done().is_empty());
    rig.poll();
    assert_eq!(rig.done(), ["answer 4bye\u{1e}1", "closed Server"]);

    let mut rig = Rig::polling();
    rig.session.close();
    rig.waits(ms(2_000));
    assert_eq!(rig.done(), ["closed Server"]);
}

#[test]
fn an_upgrade_takes_what_waits_along() {
    let mut rig = Rig::polling();
    rig.poll();
    let socket = rig.session.attach(rig.now).unwrap();
    assert!(rig.done().is_empty());
    rig.says(socket, "2probe");
    assert_eq!(rig.done(), ["send 3probe", "answer 6"]);
    rig.poll();
    assert_eq!(rig.done(), ["answer 6"]);
    rig.send("one");
    rig.send("two");
    rig.says(socket, "5");
    rig.says(socket, "4hello");
    assert_eq!(rig.done(), ["upgraded", "send 4one", "send 4two", "hear hello"]);
    assert_eq!(rig.session.poll(rig.now), Err(Refusal::BAD));
    assert_eq!(rig.post("4no"), Err(Refusal::BAD));
    assert_eq!(rig.session.attach(rig.now), Err(Refusal::Occupied));
    rig.says(socket, "4still");
    assert_eq!(rig.done(), ["hear still"]);
}

#[test]
fn a_post_that_began_before_the_upgrade_is_heard() {
    let mut rig = Rig::polling();
    let socket = rig.session.attach(rig.now).unwrap();
    rig.session.begin_post(None, rig.now).unwrap();
    rig.says(socket, "2probe");
    rig.says(socket, "5");
    assert_eq!(rig.session.post(Bytes::from_static(b"4late"), rig.now), Ok(()));
    assert_eq!(rig.done(), ["send 3probe", "upgraded", "hear late"]);
}

#[test]
fn a_socket_that_does_not_take_over_is_let_go_and_polling_goes_on() {
    for wrong in ["4hello", "2", "2other", "x", "1"] {
        let mut rig = Rig::polling();
        let socket = rig.session.attach(rig.now).unwrap();
        assert_eq!(rig.session.attach(rig.now), Err(Refusal::Occupied));
        rig.says(socket, wrong);
        rig.says(socket, "5");
        assert_eq!(rig.done(), ["hang up"], "{wrong}");
        rig.send("a");
        rig.poll();
        assert_eq!(rig.done(), ["answer 4a"]);
        assert!(rig.session.attach(rig.now).is_ok());
    }
    let mut rig = Rig::polling();
    let socket = rig.session.attach(rig.now).unwrap();
    rig.says(socket, "2probe");
    rig.session.socket_gone(socket, rig.now);
    rig.poll();
    assert_eq!(rig.done(), ["send 3probe"]);
}

#[test]
fn an_upgrade_that_takes_too_long_is_given_up() {
    let patient = Settings {
        ping_interval: ms(60_000),
        ..settings()
    };
    let now = Instant::now();
    let session = Session::open(Arc::new(patient), "abc".into(), Transport::Polling, now);
    let mut rig = Rig { session, now };
    let _ = rig.session.attach(rig.now).unwrap();
    assert_eq!(rig.session.next_timeout(), Some(rig.now + ms(1_000)));
    rig.waits(ms(1_000));
    assert_eq!(rig.done(), ["hang up"]);
    assert!(rig.session.is_open());
}

#[test]
fn our_end_in_the_middle_of_an_upgrade_loses_nothing() {
    let mut rig = Rig::polling();
    let socket = rig.session.attach(rig.now).unwrap();
    rig.says(socket, "2probe");
    rig.send("bye");
    rig.session.close();
    rig.says(socket, "5");
    let all = ["send 3probe", "upgraded", "send 4bye", "hang up", "closed Server"];
    assert_eq!(rig.done(), all);
}

#[test]
fn no_socket_comes_where_upgrades_are_off() {
    let off = Settings {
        upgrades: false,
        ..settings()
    };
    let now = Instant::now();
    let session = Session::open(Arc::new(off), "abc".into(), Transport::Polling, now);
    let mut rig = Rig { session, now };
    rig.poll();
    assert!(rig.done()[0].contains(r#""upgrades":[]"#));
    assert_eq!(rig.session.attach(rig.now), Err(Refusal::Occupied));
}
