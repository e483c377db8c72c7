//! What holds whatever a client and its carrier do, in any order and at any time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use bytestring::ByteString;
use proptest::prelude::*;

use super::*;

/// Text that polling can carry.
fn text() -> impl Strategy<Value = ByteString> {
    "[^\u{1e}]{0,20}".prop_map(ByteString::from)
}

fn data() -> impl Strategy<Value = Data> {
    prop_oneof![
        text().prop_map(Data::Text),
        proptest::collection::vec(any::<u8>(), 0..20).prop_map(|bytes| Data::Binary(bytes.into())),
    ]
}

fn packet() -> impl Strategy<Value = Packet> {
    prop_oneof![
        text().prop_map(Packet::Open),
        Just(Packet::Close),
        text().prop_map(Packet::Ping),
        text().prop_map(Packet::Pong),
        data().prop_map(Packet::Message),
        Just(Packet::Upgrade),
        Just(Packet::Noop),
    ]
}

proptest! {
    #[test]
    fn a_packet_reads_as_it_was_written(packet in packet()) {
        prop_assert_eq!(Packet::decode(packet.encode()), Ok(packet));
    }

    #[test]
    fn a_payload_reads_as_it_was_written(packets in proptest::collection::vec(packet(), 1..8)) {
        let frames: Vec<_> = packets.iter().map(Packet::encode).collect();
        let payload = encode_payload(&frames);
        let read: Result<Vec<_>, _> = decode_payload(payload.into()).unwrap().collect();
        prop_assert_eq!(read, Ok(packets));
    }

    #[test]
    fn no_bytes_upset_the_decoder(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        if let Ok(packets) = decode_payload(bytes.into()) {
            for packet in packets.flatten() {
                prop_assert_eq!(Packet::decode(packet.encode()), Ok(packet));
            }
        }
    }

    #[test]
    fn no_request_upsets_the_entry(method in "GET|POST|[A-Z]{1,4}", query in ".{0,40}", upgrade in any::<bool>()) {
        if let Ok(entry) = Entry::read(&method, &query, upgrade) {
            prop_assert!(entry.sid() != Some(""));
        }
    }
}

/// What a client, its carrier or the layer above does. Sockets and polls are taken from those that there were.
#[derive(Clone, Debug)]
enum Deed {
    Wait(u64),
    Poll,
    PollGone(usize),
    BeginPost,
    Post(Bytes),
    PostGone,
    Attach,
    Frame(usize, Frame),
    SocketGone(usize),
    Send(Data),
    Close,
    /// The effects are carried out.
    Work,
}

fn deed() -> impl Strategy<Value = Deed> {
    let heard = prop_oneof![
        6 => packet().prop_map(|packet| packet.encode()),
        2 => Just(Frame::Text("2probe".into())),
        2 => Just(Frame::Text("5".into())),
        3 => Just(Frame::Text("3".into())),
        1 => ".{0,8}".prop_map(|text| Frame::Text(text.into())),
    ];
    let body = prop_oneof![
        4 => proptest::collection::vec(packet(), 1..4)
            .prop_map(|packets| encode_payload(&packets.iter().map(Packet::encode).collect::<Vec<_>>()).into()),
        2 => Just(Bytes::from_static(b"3")),
        1 => proptest::collection::vec(any::<u8>(), 0..12).prop_map(Bytes::from),
    ];
    prop_oneof![
        2 => (0..400_u64).prop_map(Deed::Wait),
        6 => Just(Deed::Poll),
        1 => (0..4_usize).prop_map(Deed::PollGone),
        2 => Just(Deed::BeginPost),
        2 => body.prop_map(Deed::Post),
        1 => Just(Deed::PostGone),
        3 => Just(Deed::Attach),
        8 => (0..4_usize, heard).prop_map(|(which, frame)| Deed::Frame(which, frame)),
        1 => (0..4_usize).prop_map(Deed::SocketGone),
        8 => data().prop_map(Deed::Send),
        1 => Just(Deed::Close),
        6 => Just(Deed::Work),
    ]
}

/// A client that behaves: it moves to a WebSocket in the midst of traffic both ways.
fn upgrade() -> impl Strategy<Value = (Vec<Deed>, Vec<Deed>, Vec<Deed>)> {
    let talk = || {
        let one = prop_oneof![
            4 => data().prop_map(Deed::Send),
            2 => Just(Deed::Poll),
            2 => Just(Deed::Work),
            1 => (0..8_u64).prop_map(Deed::Wait),
        ];
        proptest::collection::vec(one, 0..12)
    };
    (talk(), talk(), talk())
}

/// A session, its carrier and the layer above.
struct World {
    session: Session,
    now: Instant,
    sockets: Vec<SocketId>,
    polls: Vec<PollId>,
    /// Polls that were not answered.
    open_polls: Vec<PollId>,
    /// Polls that the client gave up.
    gone: Vec<PollId>,
    hung_up: Vec<SocketId>,
    /// What was sent while the session was open.
    sent: Vec<Data>,
    /// What went out, in order.
    got: Vec<Data>,
    opened: usize,
    ended: Option<End>,
}

impl World {
    fn new(transport: Transport) -> Self {
        let settings = Settings {
            ping_interval: Duration::from_millis(300),
            ping_timeout: Duration::from_millis(200),
            max_payload_bytes: 40,
            upgrade_timeout: Duration::from_millis(250),
            close_timeout: Duration::from_millis(250),
            outgoing_max_bytes: 2_000,
            upgrades: true,
        };
        let now = Instant::now();
        let session = Session::open(Arc::new(settings), "sid".into(), transport, now);
        let mut world = Self {
            sockets: session.socket().into_iter().collect(),
            session,
            now,
            polls: Vec::new(),
            open_polls: Vec::new(),
            gone: Vec::new(),
            hung_up: Vec::new(),
            sent: Vec::new(),
            got: Vec::new(),
            opened: 0,
            ended: None,
        };
        world.work();
        world
    }

    fn poll(&mut self) {
        let was_over = self.ended.is_some();
        if let Ok(poll) = self.session.poll(self.now) {
            assert!(!was_over, "a poll after the end");
            self.polls.push(poll);
            self.open_polls.push(poll);
        }
    }

    fn does(&mut self, deed: Deed) {
        match deed {
            Deed::Wait(ms) => {
                self.now += Duration::from_millis(ms);
                self.session.tick(self.now);
            }
            Deed::Poll => self.poll(),
            Deed::PollGone(which) => {
                if let Some(poll) = self.polls.iter().rev().nth(which).copied() {
                    self.session.poll_gone(poll, self.now);
                    self.open_polls.retain(|open| *open != poll);
                    self.gone.push(poll);
                }
            }
            Deed::BeginPost => drop(self.session.begin_post(None, self.now)),
            Deed::Post(body) => drop(self.session.post(body, self.now)),
            Deed::PostGone => self.session.post_gone(self.now),
            Deed::Attach => {
                if let Ok(socket) = self.session.attach(self.now) {
                    self.sockets.push(socket);
                }
            }
            Deed::Frame(which, frame) => {
                if let Some(socket) = self.sockets.iter().rev().nth(which).copied() {
                    self.session.frame(socket, frame, self.now);
                }
            }
            Deed::SocketGone(which) => {
                if let Some(socket) = self.sockets.iter().rev().nth(which).copied() {
                    self.session.socket_gone(socket, self.now);
                }
            }
            Deed::Send(data) => {
                if self.session.is_open() {
                    self.sent.push(data.clone());
                }
                self.session.send(data.encode());
            }
            Deed::Close => self.session.close(),
            Deed::Work => {}
        }
    }

    /// Carries out what is asked for, and looks at each of it.
    fn work(&mut self) {
        for effect in self.session.take_effects() {
            assert!(self.ended.is_none(), "after the end: {effect:?}");
            match effect {
                Effect::Answer { poll, body } => {
                    let at = self.open_polls.iter().position(|open| *open == poll);
                    match at {
                        Some(at) => drop(self.open_polls.remove(at)),
                        None => assert!(self.gone.contains(&poll), "no poll waits"),
                    }
                    for packet in decode_payload(body.into()).unwrap() {
                        self.gets(packet.unwrap());
                    }
                }
                Effect::Send { socket, frame } => {
                    assert!(self.sockets.contains(&socket));
                    assert!(!self.hung_up.contains(&socket), "over a socket that is gone");
                    self.gets(Packet::decode(frame).unwrap());
                }
                Effect::HangUp { socket } => {
                    assert!(!self.hung_up.contains(&socket), "hung up twice");
                    self.hung_up.push(socket);
                }
                Effect::Event(Event::Closed(end)) => self.ended = Some(end),
                Effect::Event(_) => {}
            }
        }
        assert!(self.open_polls.len() <= 1, "two polls wait");
        assert_eq!(self.session.next_timeout().is_none(), self.ended.is_some());
        if self.ended.is_some() {
            assert!(self.open_polls.is_empty(), "a poll is left waiting");
            assert!(!self.session.is_open() && self.session.socket().is_none());
        }
        assert!(self.sent.starts_with(&self.got), "lost, or out of order");
        if self.session.is_writable() {
            assert_eq!(self.sent, self.got, "kept back");
        }
    }

    fn gets(&mut self, packet: Packet) {
        match packet {
            Packet::Message(data) => self.got.push(data),
            Packet::Open(_) => self.opened += 1,
            Packet::Close | Packet::Ping(_) | Packet::Pong(_) | Packet::Noop => {}
            Packet::Upgrade => panic!("a server does not upgrade"),
        }
        assert_eq!(self.opened, 1, "the handshake comes first, and once");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]

    #[test]
    fn a_session_keeps_its_word_in_any_order_of_things(
        polls in any::<bool>(),
        deeds in proptest::collection::vec(deed(), 0..60),
    ) {
        let mut world = World::new(if polls { Transport::Polling } else { Transport::WebSocket });
        if polls {
            world.poll();
        }
        for deed in deeds {
            let works = matches!(deed, Deed::Work);
            world.does(deed);
            if works {
                world.work();
            }
        }
        world.work();
        // Left alone, every session ends.
        for _ in 0..6 {
            world.does(Deed::Wait(10_000));
            world.work();
        }
        prop_assert!(world.ended.is_some());
    }

    #[test]
    fn nothing_is_lost_when_a_client_moves_to_a_websocket((before, probing, after) in upgrade()) {
        let mut world = World::new(Transport::Polling);
        world.poll();
        world.work();
        // A client that behaves polls when its last poll was answered.
        let talk = |world: &mut World, deeds: Vec<Deed>, polls: bool| {
            for deed in deeds {
                match deed {
                    Deed::Poll if !polls || !world.open_polls.is_empty() => {}
                    deed => world.does(deed),
                }
                world.work();
            }
        };
        talk(&mut world, before, true);
        world.does(Deed::Attach);
        world.does(Deed::Frame(0, Frame::Text("2probe".into())));
        world.work();
        prop_assert!(world.open_polls.is_empty(), "the poll is released");
        talk(&mut world, probing, true);
        world.does(Deed::Frame(0, Frame::Text("5".into())));
        world.work();
        talk(&mut world, after, false);
        prop_assert_eq!(&world.sent, &world.got);
        prop_assert_eq!(world.ended, None);
    }
}
