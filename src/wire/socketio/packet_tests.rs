//! Packets as they are written and read.

use bytes::Bytes;
use bytestring::ByteString;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::engine::{self, Data};
use super::packet::{ACK_ID_MAX, RESERVED_NAMES};
use super::*;

const LIMITS: AttachmentLimits = AttachmentLimits {
    max: 3,
    max_bytes: 60,
};

/// The messages of a packet, texts as they are.
fn written(packet: &Packet) -> Vec<String> {
    let frames = packet.encode().into_frames();
    frames
        .map(|frame| match frame {
            engine::Frame::Text(text) => text.strip_prefix('4').unwrap().to_owned(),
            engine::Frame::Binary(bytes) => format!("{bytes:?}"),
        })
        .collect()
}

fn read(text: &str) -> Result<Option<Packet>, Malformed> {
    Decoder::new(LIMITS).read(Data::Text(text.to_owned().into()))
}

fn read_again(packet: &Packet) -> Result<Option<Packet>, Malformed> {
    let mut decoder = Decoder::new(LIMITS);
    let mut last = Ok(None);
    for frame in packet.encode().into_frames() {
        assert_eq!(last, Ok(None), "complete too early");
        let engine::Packet::Message(data) = engine::Packet::decode(frame).unwrap() else {
            panic!("not a message");
        };
        last = decoder.read(data);
    }
    last
}

fn at(namespace: &str, content: Content) -> Packet {
    let namespace = Namespace::new(namespace.to_owned()).unwrap();
    Packet { namespace, content }
}

fn event(id: Option<u64>, name: &str, args: Args) -> Content {
    let name = name.to_owned().into();
    Content::Event { id, name, args }
}

fn json(value: Value) -> Json {
    value.into()
}

#[test]
fn packets_look_as_the_protocol_says() {
    let bytes = |bytes: &'static [u8]| Bytes::from_static(bytes);
    let one = Args::build().binary(bytes(&[1])).done();
    let two = Args::build()
        .text("a\"")
        .binary(bytes(&[1]))
        .value(&json!({"b": 1}))
        .binary(bytes(&[2]))
        .done();
    let sid = json(json!({"sid": "x"}));
    let error = json(json!({"message": "no"}));
    for (packet, text) in [
        (at("/", Content::Connect(None)), "0"),
        (at("/", Content::Connect(Some(sid.clone()))), r#"0{"sid":"x"}"#),
        (at("/admin", Content::Connect(None)), "0/admin,"),
        (
            at("/admin", Content::Connect(Some(sid))),
            r#"0/admin,{"sid":"x"}"#,
        ),
        (at("/", Content::Disconnect), "1"),
        (at("/admin", Content::Disconnect), "1/admin,"),
        (at("/", Content::ConnectError(error)), r#"4{"message":"no"}"#),
        (at("/", event(None, "foo", Args::NONE)), r#"2["foo"]"#),
        (
            at("/admin", event(Some(13), "foo", Args::NONE)),
            r#"2/admin,13["foo"]"#,
        ),
        (
            at("/", event(Some(0), "f\n", Args::build().value(&json!(1)).done())),
            r#"20["f\n",1]"#,
        ),
        (
            at(
                "/",
                Content::Ack {
                    id: 12,
                    args: Args::NONE,
                },
            ),
            "312[]",
        ),
    ] {
        assert_eq!(written(&packet), [text]);
        assert_eq!(read(text), Ok(Some(packet)));
    }
    let packet = at("/admin", event(Some(7), "baz", two));
    let text =
        r#"52-/admin,7["baz","a\"",{"_placeholder":true,"num":0},{"b":1},{"_placeholder":true,"num":1}]"#;
    assert_eq!(written(&packet), [text, r#"b"\x01""#, r#"b"\x02""#]);
    assert_eq!(read_again(&packet), Ok(Some(packet)));
    let packet = at("/", Content::Ack { id: 15, args: one });
    let text = r#"61-15[{"_placeholder":true,"num":0}]"#;
    assert_eq!(written(&packet), [text, r#"b"\x01""#]);
    assert_eq!(read_again(&packet), Ok(Some(packet)));
}

#[test]
fn what_is_no_packet_is_refused() {
    use Malformed::*;
    for (text, why) in [
        ("", UnknownType),
        ("abc", UnknownType),
        ("7", UnknownType),
        ("0[]", Payload),
        ("0\"a\"", Payload),
        ("0{", Payload),
        ("05{}", AckId),
        ("1{}", Payload),
        ("1/admin,x", Payload),
        ("2", Payload),
        ("2{}", Payload),
        ("2[]", EventName),
        ("2[null]", EventName),
        ("2[{}]", EventName),
        (r#"2["a""#, Payload),
        (r#"2["a"] 1"#, Payload),
        (r#"2abc["a"]"#, Payload),
        (r#"29007199254740992["a"]"#, AckId),
        (r#"299999999999999999999999["a"]"#, AckId),
        (r#"2-1["a"]"#, Payload),
        ("3[]", AckId),
        ("31", Payload),
        ("31{}", Payload),
        ("4", Payload),
        ("4[]", Payload),
        (r#"5["a"]"#, AttachmentCount),
        (r#"5-["a"]"#, AttachmentCount),
        (r#"50-["a"]"#, AttachmentCount),
        (r#"5x-["a"]"#, AttachmentCount),
        (r#"5+1-["a"]"#, AttachmentCount),
        (r#"54-["a"]"#, TooManyAttachments),
        (r#"51-["a",{"_placeholder":true,"num":1}]"#, Placeholder),
        (r#"51-["a",[{"_placeholder":true,"num":-1}]]"#, Placeholder),
        (r#"51-["a",{"b":{"_placeholder":true}}]"#, Placeholder),
        (r#"61-[{"_placeholder":true,"num":0}]"#, AckId),
    ] {
        assert_eq!(read(text), Err(why), "{text}");
    }
    for name in RESERVED_NAMES {
        assert_eq!(read(&format!("2[\"{name}\"]")), Err(EventName));
    }
}

#[test]
fn what_clients_may_write_otherwise_is_read() {
    let number = at("/", event(None, "1", Args::NONE));
    assert_eq!(read("2[1]"), Ok(Some(number)));
    let admin = at("/admin", Content::Disconnect);
    assert_eq!(read("1/admin"), Ok(Some(admin)));
    let Content::Event { args, .. } = read("2[ \"a\" , 1 ,\t[2] ]").unwrap().unwrap().content else {
        panic!("no event");
    };
    assert_eq!(args.list(), "1 ,\t[2]");
    let items = args.items();
    let items: Vec<_> = items.iter().map(Json::as_str).collect();
    assert_eq!(items, ["1", "[2]"]);
    // Only in a packet with attachments does this mean anything.
    assert!(read(r#"2["a",{"_placeholder":true,"num":9}]"#).is_ok());
}

#[test]
fn attachments_come_at_once_and_within_their_limits() {
    let head = || Data::Text(r#"52-["a",{"_placeholder":true,"num":1}]"#.into());
    let bytes = |count| Data::Binary(vec![1; count].into());
    let mut decoder = Decoder::new(LIMITS);
    assert_eq!(decoder.read(bytes(1)), Err(Malformed::AttachmentUnexpected));
    assert_eq!(decoder.read(head()), Ok(None));
    assert_eq!(decoder.read(head()), Err(Malformed::AttachmentExpected));
    let mut decoder = Decoder::new(LIMITS);
    decoder.read(head()).unwrap();
    assert_eq!(decoder.read(bytes(30)), Ok(None));
    assert_eq!(decoder.read(bytes(31)), Err(Malformed::TooLargeAttachments));
    let mut decoder = Decoder::new(LIMITS);
    decoder.read(head()).unwrap();
    decoder.read(bytes(1)).unwrap();
    let packet = decoder.read(bytes(2)).unwrap().unwrap();
    let Content::Event { args, .. } = packet.content else {
        panic!("no event");
    };
    let value: Value = serde_json::from_str(args.items()[0].as_str()).unwrap();
    assert_eq!(args.attachment(&value).unwrap().len(), 2);
    assert_eq!(args.attachment(&json!({"num": 1})), None);
}

#[test]
fn a_deep_nest_upsets_nothing() {
    let deep = "[".repeat(100_000);
    assert_eq!(read(&format!("2[\"a\",{deep}")), Err(Malformed::Payload));
    assert!(read(&format!("2[\"a\",{deep}{}]", "]".repeat(100_000))).is_ok());
    assert_eq!(
        read(&format!("51-[\"a\",{deep}{}]", "]".repeat(100_000))),
        Err(Malformed::Payload)
    );
}

#[test]
fn a_client_that_comes_back_says_where_it_was() {
    let auth = |value: Value| Resume::of(&value.into());
    let resume = auth(json!({"pid": "p", "offset": "12-1", "token": "t"}));
    let there = Resume {
        pid: "p".into(),
        offset: "12-1".into(),
    };
    assert_eq!(resume, Some(there));
    assert_eq!(auth(json!({"pid": "p"})), None);
    assert_eq!(auth(json!({"pid": "p", "offset": 12})), None);
    assert_eq!(Args::NONE.with_offset("7").list(), r#""7""#);
    let args = Args::build().value(&json!({"a": 1})).done();
    assert_eq!(args.with_offset("7").list(), r#"{"a":1},"7""#);
}

#[test]
fn nothing_that_people_say_is_in_the_log() {
    let args = Args::build()
        .text("secret")
        .binary(Bytes::from_static(b"secret"))
        .done();
    let packet = at("/", event(None, "a", args));
    let auth = at("/", Content::Connect(Some(json(json!({"token": "secret"})))));
    let said = format!(
        "{packet:?} {auth:?} {:?} {:?}",
        packet.encode(),
        Data::Text("secret".into())
    );
    assert!(!said.contains("secret"), "{said}");
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map(".{0,4}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn args() -> impl Strategy<Value = Args> {
    let item = prop_oneof![
        3 => value().prop_map(Ok),
        1 => proptest::collection::vec(any::<u8>(), 0..20).prop_map(|bytes| Err(Bytes::from(bytes))),
    ];
    proptest::collection::vec(item, 0..6).prop_map(|items| {
        let mut attachments = 0;
        let mut build = Args::build();
        for item in items {
            build = match item {
                Ok(value) => build.value(&value),
                Err(bytes) if attachments < LIMITS.max => {
                    attachments += 1;
                    build.binary(bytes)
                }
                Err(_) => build,
            };
        }
        build.done()
    })
}

fn object() -> impl Strategy<Value = Json> {
    proptest::collection::btree_map(".{0,4}", value(), 0..4)
        .prop_map(|map| Value::Object(map.into_iter().collect()).into())
}

fn packet() -> impl Strategy<Value = Packet> {
    let id = || 0..=ACK_ID_MAX;
    let name = ".{0,10}".prop_filter("reserved", |name| !RESERVED_NAMES.contains(&&**name));
    let content = prop_oneof![
        proptest::option::of(object()).prop_map(Content::Connect),
        Just(Content::Disconnect),
        (proptest::option::of(id()), name, args()).prop_map(|(id, name, args)| event(id, &name, args)),
        (id(), args()).prop_map(|(id, args)| Content::Ack { id, args }),
        object().prop_map(Content::ConnectError),
    ];
    (prop_oneof![Just("/".to_owned()), "/[^,]{0,8}"], content)
        .prop_map(|(namespace, content)| at(&namespace, content))
}

proptest! {
    #[test]
    fn a_packet_reads_as_it_was_written(packet in packet()) {
        prop_assert_eq!(read_again(&packet), Ok(Some(packet)));
    }

    #[test]
    fn no_text_upsets_the_decoder(text in prop_oneof![
        ".{0,40}",
        r#"[0-6]([0-9]{0,3}-)?(/[a-z]{0,4},?)?[0-9]{0,18}[\[{"]?["a\]},:0-9\[{]{0,12}"#,
    ]) {
        if let Ok(Some(packet)) = read(&text) {
            prop_assert_eq!(read_again(&packet), Ok(Some(packet)));
        }
    }

    #[test]
    fn no_messages_upset_the_decoder(messages in proptest::collection::vec(prop_oneof![
        "5[0-4]-\\[\"a\"(,\\{\"_placeholder\":true,\"num\":[0-3]\\})?\\]".prop_map(|text| Data::Text(text.into())),
        proptest::collection::vec(any::<u8>(), 0..30).prop_map(|bytes| Data::Binary(bytes.into())),
        packet().prop_map(|packet| match packet.encode().into_frames().next() {
            Some(engine::Frame::Text(text)) => Data::Text(ByteString::from(&text[1..])),
            _ => panic!("a packet begins with text"),
        }),
    ], 0..12)) {
        let mut decoder = Decoder::new(LIMITS);
        for message in messages {
            match decoder.read(message) {
                Ok(Some(packet)) => prop_assert_eq!(read_again(&packet), Ok(Some(packet))),
                Ok(None) => {}
                Err(_) => break,
            }
        }
    }
}
