//! A connection as its client and the layer above see it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::json;

use super::engine::{Data, Effect, End, Frame, SocketId, Transport};
use super::*;

struct Rig {
    connection: Connection,
    socket: SocketId,
    now: Instant,
}

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn namespace(name: &'static str) -> Namespace {
    Namespace::new(name).unwrap()
}

fn settings() -> Settings {
    Settings {
        namespaces: vec![Namespace::MAIN, namespace("/custom")],
        connect_timeout: ms(1_000),
        acks_max: 2,
        ..Settings::default()
    }
}

impl Rig {
    fn with(settings: Settings) -> Self {
        let now = Instant::now();
        let mut connection = Connection::open(Arc::new(settings), "sid".into(), Transport::WebSocket, now);
        let socket = connection.session().socket().unwrap();
        let _ = connection.take_effects();
        Self {
            connection,
            socket,
            now,
        }
    }

    fn new() -> Self {
        Self::with(settings())
    }

    /// One that is connected to `/`.
    fn connected() -> Self {
        let mut rig = Self::new();
        rig.says("40");
        assert!(rig.connection.accept(&Namespace::MAIN, "one", None));
        assert_eq!(rig.done(), ["connecting / {}", r#"40{"sid":"one"}"#]);
        rig
    }

    fn tells(&mut self, frame: Frame) {
        let (socket, now) = (self.socket, self.now);
        self.connection
            .transport(|session| session.frame(socket, frame, now));
    }

    fn says(&mut self, text: &'static str) {
        self.tells(Frame::Text(text.into()));
    }

    fn waits(&mut self, time: Duration) {
        self.now += time;
        self.connection.tick(self.now);
    }

    /// What happened since the last time, in words.
    fn done(&mut self) -> Vec<String> {
        let effects = self.connection.take_effects();
        effects.into_iter().map(words).collect()
    }
}

fn words(effect: Effect<Event>) -> String {
    match effect {
        Effect::Answer { body, .. } => format!("answer {body}"),
        Effect::Send {
            frame: Frame::Text(text),
            ..
        } => text.to_string(),
        Effect::Send {
            frame: Frame::Binary(bytes),
            ..
        } => format!("{bytes:?}"),
        Effect::HangUp { .. } => "hang up".into(),
        Effect::Event(event) => match event {
            Event::Connecting {
                namespace,
                auth,
                resume,
            } => {
                let resume = resume.map(|resume| format!(" from {} {}", resume.pid, resume.offset));
                let resume = resume.unwrap_or_default();
                format!("connecting {} {}{resume}", namespace.as_str(), auth.as_str())
            }
            Event::Event {
                namespace,
                id,
                name,
                args,
            } => format!("{name} {id:?} {} {}", namespace.as_str(), args.list()),
            Event::Acked { id, args, .. } => format!("acked {id} {}", args.list()),
            Event::Unanswered { id, .. } => format!("unanswered {id}"),
            Event::Disconnected { namespace } => format!("left {}", namespace.as_str()),
            Event::Upgraded(_) => "upgraded".into(),
            Event::Closed(ending) => format!("closed {ending:?}"),
        },
    }
}

#[test]
fn a_client_is_let_into_namespaces_with_what_it_shows() {
    let mut rig = Rig::new();
    rig.says("40/custom,{\"token\": \"123\"}");
    assert_eq!(rig.done(), [r#"connecting /custom {"token": "123"}"#]);
    assert!(rig.connection.accept(&namespace("/custom"), "x", None));
    assert!(!rig.connection.accept(&namespace("/custom"), "x", None));
    assert_eq!(rig.done(), [r#"40/custom,{"sid":"x"}"#]);
    rig.says("40");
    let no = ConnectError {
        message: "no".into(),
        data: Some(json!({"code": 1})),
    };
    assert!(rig.connection.refuse(&Namespace::MAIN, &no));
    assert_eq!(
        rig.done(),
        ["connecting / {}", r#"44{"data":{"code":1},"message":"no"}"#]
    );
    rig.says("40");
    assert_eq!(rig.done(), ["connecting / {}"]);
}

#[test]
fn who_asks_for_a_namespace_that_is_not_there_is_told() {
    let mut rig = Rig::new();
    rig.says("40/random");
    assert_eq!(rig.done(), [r#"44/random,{"message":"Invalid namespace"}"#]);
    rig.says("40");
    assert_eq!(rig.done(), ["connecting / {}"]);
}

#[test]
fn nobody_stays_without_being_connected() {
    let mut rig = Rig::new();
    rig.says("40/random");
    rig.says("40");
    assert_eq!(rig.connection.next_timeout(), Some(rig.now + ms(1_000)));
    let _ = rig.done();
    rig.waits(ms(1_000));
    assert_eq!(rig.done(), ["hang up", "closed NothingConnected"]);
    assert_eq!(rig.connection.next_timeout(), None);

    let mut rig = Rig::connected();
    rig.says("41");
    rig.waits(ms(2_000));
    assert_eq!(rig.done(), ["left /"]);
}

#[test]
fn events_and_acknowledgements_go_both_ways() {
    let mut rig = Rig::connected();
    rig.says(r#"42["a",1,"2",{"3":[true]}]"#);
    rig.says(r#"42456["b",[]]"#);
    assert_eq!(rig.done(), [r#"a None / 1,"2",{"3":[true]}"#, "b Some(456) / []"]);
    let main = Namespace::MAIN;
    let args = Args::build().value(&json!([false])).done();
    assert_eq!(rig.connection.ack(&main, 456, args.clone()), Ok(()));
    assert_eq!(rig.connection.emit(&main, "c", &args), Ok(()));
    let emitted = rig.connection.emit_with_ack(&main, "d", &Args::NONE, ms(500));
    assert_eq!(emitted, Ok(0));
    assert_eq!(
        rig.done(),
        ["43456[[false]]", r#"42["c",[false]]"#, r#"420["d"]"#]
    );
    rig.says("431[1]");
    rig.says("430[1,2]");
    rig.says("430[3]");
    assert_eq!(rig.done(), ["acked 0 1,2"]);
    assert_eq!(
        rig.connection.emit(&namespace("/custom"), "c", &args),
        Err(NotSent::NotConnected)
    );
}

#[test]
fn an_answer_that_does_not_come_is_missed_once() {
    let mut rig = Rig::connected();
    let main = Namespace::MAIN;
    let mut emit = |within| rig.connection.emit_with_ack(&main, "a", &Args::NONE, ms(within));
    assert_eq!(
        [emit(500), emit(700), emit(1)],
        [Ok(0), Ok(1), Err(NotSent::TooManyAcks)]
    );
    let _ = rig.done();
    assert_eq!(rig.connection.next_timeout(), Some(rig.now + ms(500)));
    rig.waits(ms(500));
    rig.says("430[]");
    assert_eq!(rig.done(), ["unanswered 0"]);
    rig.says("431[]");
    assert_eq!(rig.done(), ["acked 1 "]);
}

#[test]
fn attachments_go_both_ways() {
    let mut rig = Rig::connected();
    rig.says(r#"451-9["a",{"_placeholder":true,"num":0}]"#);
    assert!(rig.done().is_empty());
    rig.tells(Frame::Binary(Bytes::from_static(&[1])));
    let effects = rig.connection.take_effects();
    let [Effect::Event(Event::Event { args, .. })] = &effects[..] else {
        panic!("{effects:?}");
    };
    rig.connection.ack(&Namespace::MAIN, 9, args.clone()).unwrap();
    rig.connection.emit(&Namespace::MAIN, "b", args).unwrap();
    let placeholder = r#"{"_placeholder":true,"num":0}"#;
    let expected = [
        format!("461-9[{placeholder}]"),
        r#"b"\x01""#.into(),
        format!(r#"451-["b",{placeholder}]"#),
        r#"b"\x01""#.into(),
    ];
    assert_eq!(rig.done(), expected);
}

#[test]
fn who_leaves_one_namespace_stays_in_the_others() {
    let mut rig = Rig::connected();
    rig.says("40/custom");
    rig.connection.accept(&namespace("/custom"), "two", None);
    rig.says("41/custom");
    rig.says(r#"42["a"]"#);
    let _ = rig.connection.emit(&namespace("/custom"), "b", &Args::NONE);
    let all = [
        "connecting /custom {}",
        r#"40/custom,{"sid":"two"}"#,
        "left /custom",
        "a None / ",
    ];
    assert_eq!(rig.done(), all);
    rig.says("40/custom");
    assert_eq!(rig.done(), ["connecting /custom {}"]);
    rig.says("41/custom");
    assert!(!rig.connection.accept(&namespace("/custom"), "two", None));
    assert_eq!(rig.done(), ["left /custom"]);
}

#[test]
fn who_is_put_out_is_not_heard_and_may_ask_again() {
    let mut rig = Rig::connected();
    assert!(rig.connection.disconnect(&Namespace::MAIN));
    assert!(!rig.connection.disconnect(&Namespace::MAIN));
    rig.says(r#"42["still on its way"]"#);
    rig.says("430[]");
    assert_eq!(rig.done(), ["41"]);
    rig.says("40");
    assert_eq!(rig.done(), ["connecting / {}"]);
}

#[test]
fn what_is_not_the_protocol_ends_the_connection() {
    for wrong in [
        "4abc",
        "42{}",
        r#"42abc["a"]"#,
        r#"42/custom,["a"]"#,
        "41/custom",
        "40",
        "40/custom,[]",
        r#"44{"message":"no"}"#,
        "430/custom,[]",
        r#"42["connect"]"#,
    ] {
        let mut rig = Rig::connected();
        rig.says(wrong);
        rig.says(r#"42["a"]"#);
        let done = rig.done();
        assert_eq!(done[0], "hang up", "{wrong}");
        assert!(done[1].starts_with("closed Malformed"), "{wrong}: {done:?}");
        assert_eq!(done.len(), 2);
    }
    let mut rig = Rig::connected();
    rig.tells(Frame::Binary(Bytes::new()));
    assert_eq!(rig.done(), ["hang up", "closed Malformed(AttachmentUnexpected)"]);
    let mut rig = Rig::new();
    rig.says(r#"42["a"]"#);
    assert_eq!(rig.done(), ["hang up", "closed Malformed(OutOfPlace)"]);
    let mut rig = Rig::connected();
    rig.says("x");
    let wrong = engine::Malformed::UnknownType;
    let closed = format!("closed {:?}", Ending::Session(End::Malformed(wrong)));
    assert_eq!(rig.done(), ["hang up".into(), closed]);
}

#[test]
fn who_polls_hears_of_the_end_by_its_next_poll() {
    let now = Instant::now();
    let mut connection = Connection::open(Arc::new(settings()), "sid".into(), Transport::Polling, now);
    let post = |connection: &mut Connection, body: &'static str| {
        connection.transport(|session| {
            session.begin_post(None, now).unwrap();
            session.post(Bytes::from_static(body.as_bytes()), now)
        })
    };
    connection.transport(|session| session.poll(now)).unwrap();
    post(&mut connection, "40").unwrap();
    connection.accept(&Namespace::MAIN, "one", None);
    let done: Vec<_> = connection.take_effects().into_iter().map(words).collect();
    assert!(done[0].starts_with("answer 0{"));
    assert_eq!(done[1], "connecting / {}");
    post(&mut connection, "42[]\u{1e}42[\"a\"]").unwrap();
    assert!(connection.take_effects().is_empty());
    connection.transport(|session| session.poll(now)).unwrap();
    let done: Vec<_> = connection.take_effects().into_iter().map(words).collect();
    assert_eq!(
        done,
        ["answer 40{\"sid\":\"one\"}\u{1e}1", "closed Malformed(EventName)"]
    );
}

#[test]
fn where_recovery_is_offered_the_layer_above_hears_what_the_client_has() {
    let mut rig = Rig::with(Settings {
        recovery: true,
        ..settings()
    });
    rig.says(r#"40{"pid":"p","offset":"7"}"#);
    assert!(rig.connection.accept(&Namespace::MAIN, "x", Some("p2")));
    let auth = r#"connecting / {"pid":"p","offset":"7"} from p 7"#;
    assert_eq!(rig.done(), [auth, r#"40{"pid":"p2","sid":"x"}"#]);
    let mut rig = Rig::new();
    rig.says(r#"40{"pid":"p","offset":"7"}"#);
    assert_eq!(rig.done(), [r#"connecting / {"pid":"p","offset":"7"}"#]);
}

/// What a client says, and what the layer above does.
#[derive(Clone, Debug)]
enum Deed {
    Says(Frame),
    Accept(bool),
    Refuse(bool),
    Emit(bool),
    Ack,
    Disconnect(bool),
    Wait(u64),
}

fn deed() -> impl Strategy<Value = Deed> {
    let said = prop_oneof![
        Just("40"),
        Just("40/custom,"),
        Just("41"),
        Just("41/custom,"),
        Just("42[\"a\"]"),
        Just("42/custom,1[\"a\",2]"),
        Just("430[]"),
        Just("43/custom,1[]"),
        Just("451-[\"a\",{\"_placeholder\":true,\"num\":0}]"),
        Just("3"),
    ];
    prop_oneof![
        6 => said.prop_map(|text| Deed::Says(Frame::Text(text.into()))),
        1 => Just(Deed::Says(Frame::Binary(Bytes::from_static(b"x")))),
        1 => ".{0,6}".prop_map(|text| Deed::Says(Data::Text(text.into()).encode())),
        4 => any::<bool>().prop_map(Deed::Accept),
        1 => any::<bool>().prop_map(Deed::Refuse),
        2 => any::<bool>().prop_map(Deed::Emit),
        1 => Just(Deed::Ack),
        1 => any::<bool>().prop_map(Deed::Disconnect),
        1 => (0..30_000_u64).prop_map(Deed::Wait),
    ]
}

proptest! {
    #[test]
    fn who_is_not_let_in_is_neither_heard_nor_told(deeds in proptest::collection::vec(deed(), 0..40)) {
        let mut rig = Rig::new();
        let names = [Namespace::MAIN, namespace("/custom")];
        let mut inside = [false; 2];
        let mut over = false;
        for deed in deeds {
            let which = |custom: bool| &names[usize::from(custom)];
            match deed {
                Deed::Says(frame) => rig.tells(frame),
                Deed::Accept(custom) => {
                    let accepted = rig.connection.accept(which(custom), "x", None);
                    inside[usize::from(custom)] |= accepted;
                }
                Deed::Refuse(custom) => {
                    rig.connection.refuse(which(custom), &ConnectError::invalid_namespace());
                }
                Deed::Emit(custom) => {
                    let sent = rig.connection.emit_with_ack(which(custom), "e", &Args::NONE, ms(100));
                    prop_assert_eq!(sent != Err(NotSent::NotConnected), inside[usize::from(custom)]);
                }
                Deed::Ack => {
                    let sent = rig.connection.ack(&names[0], 1, Args::NONE);
                    prop_assert_eq!(sent.is_ok(), inside[0]);
                }
                Deed::Disconnect(custom) => {
                    let was = std::mem::take(&mut inside[usize::from(custom)]);
                    prop_assert_eq!(rig.connection.disconnect(which(custom)), was);
                }
                Deed::Wait(time) => rig.waits(ms(time)),
            }
            for effect in rig.connection.take_effects() {
                prop_assert!(!over, "after the end: {:?}", effect);
                let Effect::Event(event) = effect else { continue };
                match event {
                    Event::Event { namespace, .. } | Event::Acked { namespace, .. } | Event::Unanswered { namespace, .. } => {
                        prop_assert!(inside[usize::from(!namespace.is_main())]);
                    }
                    Event::Disconnected { namespace } => inside[usize::from(!namespace.is_main())] = false,
                    Event::Closed(_) => (over, inside) = (true, [false; 2]),
                    Event::Connecting { namespace, .. } => {
                        prop_assert!(!inside[usize::from(!namespace.is_main())]);
                    }
                    Event::Upgraded(_) => {}
                }
            }
        }
    }
}
