//! The parts of the load tester that decide what is a fault: if they err, every verdict does.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "measurements become numbers of another kind on every other line, and none of them decides"
)]

#[allow(dead_code)]
mod cli;
#[allow(dead_code)]
mod crew;
#[allow(dead_code)]
mod crowd;
#[allow(dead_code)]
mod dialect;
#[allow(dead_code)]
mod engine;
#[allow(dead_code)]
mod errors;
#[allow(dead_code)]
mod handed;
#[allow(dead_code)]
mod handler;
#[allow(dead_code)]
mod html;
#[allow(dead_code)]
mod http;
#[allow(dead_code)]
mod ledger;
#[allow(dead_code)]
mod notify;
#[allow(dead_code)]
mod pages;
#[allow(dead_code)]
mod pool;
#[allow(dead_code)]
mod progress;
#[allow(dead_code)]
mod reactor;
#[allow(dead_code)]
mod report;
#[allow(dead_code)]
mod sampling;
#[allow(dead_code)]
mod scan;
#[allow(dead_code)]
mod scene;
mod search;
#[allow(dead_code)]
mod servers;
#[allow(dead_code)]
mod signal;
#[cfg(test)]
mod smoke;
#[allow(dead_code)]
mod sos_storm;
#[allow(dead_code)]
mod stats;
mod traces;
#[allow(dead_code)]
mod vendor;
#[allow(dead_code)]
mod ws;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

use dialect::{Dialect, Heard, Opening, Trail};
use sampling::{Fix, compare, distance_m, is_kept, live};
use search::Verdict;
use stats::{Arrival, Latency, Pace, Sequence};

fn fix(unix_ms: u64, latitude: f64) -> Fix {
    Fix {
        unix_ms,
        latitude,
        longitude: 20.0,
    }
}

#[test]
fn a_taxi_that_rests_for_more_than_half_an_hour_begins_another_journey() {
    let csv = "vehicle,unix_time,latitude,longitude,occupied\n\
        a,1000,37.1,-122.1,0\na,1060,37.2,-122.1,1\na,2860,37.3,-122.1,1\n\
        a,4661,37.4,-122.1,0\nb,4662,37.5,-122.1,0\n";
    let journeys = traces::journeys(csv).unwrap();
    assert_eq!(journeys.iter().map(Vec::len).collect::<Vec<_>>(), [3, 1, 1]);
    assert_eq!(
        journeys[0][1],
        Fix {
            unix_ms: 1_060_000,
            latitude: 37.2,
            longitude: -122.1
        }
    );
}

#[test]
fn the_journeys_of_one_person_are_kept_apart_though_they_follow_closely() {
    let csv = "person,trajectory,unix_time,latitude,longitude\n19,1,100,39.9,116.3\n19,2,101,39.9,116.3\n";
    assert_eq!(traces::journeys(csv).unwrap().len(), 2);
}

#[test]
fn a_file_without_the_columns_is_refused_by_name() {
    assert_eq!(
        traces::journeys("vehicle,when\n").unwrap_err(),
        "no column unix_time"
    );
    assert!(traces::journeys("vehicle,unix_time,latitude,longitude\na,1,north,2\n").is_err());
}

#[test]
fn repeated_and_older_fixes_move_nobody() {
    let fixes = [
        fix(1, 10.0),
        fix(1, 10.1),
        fix(3, 10.2),
        fix(2, 10.3),
        fix(4, 10.4),
    ];
    assert_eq!(live(&fixes), [fixes[0], fixes[2], fixes[4]]);
}

#[test]
fn history_keeps_the_first_fix_and_what_is_50_m_or_15_s_further() {
    let last = fix(0, 10.0);
    assert!(is_kept(None, &last));
    assert!(
        !is_kept(Some(&last), &fix(14_999, 10.0004)),
        "44 m in less than 15 s"
    );
    assert!(is_kept(Some(&last), &fix(15_000, 10.0)));
    assert!(is_kept(Some(&last), &fix(1, 10.0005)), "55 m");
}

#[test]
fn one_degree_along_a_meridian_is_111_km() {
    assert!((distance_m(&fix(0, 10.0), &fix(0, 11.0)) - 111_195.0).abs() < 10.0);
}

#[test]
fn a_history_that_differs_from_the_rule_is_noticed_either_way() {
    let fixes = [
        fix(0, 10.0),
        fix(1_000, 10.0001),
        fix(16_000, 10.0002),
        fix(17_000, 10.01),
    ];
    assert_eq!(compare(&fixes, &[fixes[0], fixes[2], fixes[3]]), Ok(()));
    assert!(
        compare(&fixes, &[fixes[0], fixes[3]])
            .unwrap_err()
            .contains("at 16000 is missing")
    );
    assert!(compare(&fixes, &fixes).unwrap_err().contains("at 1000 is kept"));
    assert!(compare(&fixes, &[fixes[0], fixes[2], fixes[3], fix(99_000, 1.0)]).is_err());
}

#[test]
fn frames_are_walked_at_every_length_and_never_read_before_they_are_whole() {
    for size in [0, 1, 125, 126, 65_535, 65_536] {
        let mut bytes = Vec::new();
        let payload = vec![7; size];
        let start = ws::push_frame(&mut bytes, ws::TEXT, &payload);
        // What a client sends is masked with zeros; a server leaves the mask away.
        bytes.drain(start - 4..start);
        bytes[1] &= 0x7f;
        let whole = ws::Step::Frame {
            opcode: ws::TEXT,
            payload: &payload,
            len: bytes.len(),
        };
        assert_eq!(ws::next_frame(&bytes), whole);
        for cut in [0, 1, 3, bytes.len() - 1]
            .into_iter()
            .filter(|cut| *cut < bytes.len())
        {
            assert_eq!(
                ws::next_frame(&bytes[..cut]),
                ws::Step::Incomplete,
                "{cut} of {size}"
            );
        }
    }
    assert!(
        matches!(ws::next_frame(&[0x01, 0x00]), ws::Step::Malformed(_)),
        "a fragment"
    );
    assert!(
        matches!(ws::next_frame(&[0x81, 0x80]), ws::Step::Malformed(_)),
        "a mask"
    );
}

#[test]
fn an_upgrade_counts_only_with_the_right_accept_key() {
    let good =
        b"HTTP/1.1 101 Switching Protocols\r\nsec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
    assert_eq!(ws::upgrade_answer(good), Some(Ok(good.len())));
    assert_eq!(ws::upgrade_answer(&good[..good.len() - 1]), None);
    let refused = b"HTTP/1.1 401 Unauthorized\r\n\r\n";
    assert_eq!(
        ws::upgrade_answer(refused),
        Some(Err("HTTP/1.1 401 Unauthorized".into()))
    );
}

#[test]
fn responses_are_read_by_length_and_in_chunks() {
    let plain = b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}HTTP/1.1";
    let http::Step::Response { status, body, len } = http::next_response(plain) else {
        panic!("not whole")
    };
    assert_eq!((status, &body[..], len), (201, &b"{}"[..], plain.len() - 8));
    let chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n";
    let http::Step::Response { body, len, .. } = http::next_response(chunked) else {
        panic!("not whole")
    };
    assert_eq!((&body[..], len), (&b"abcd"[..], chunked.len()));
    assert_eq!(
        http::next_response(&chunked[..chunked.len() - 1]),
        http::Step::Incomplete
    );
}

#[test]
fn what_is_written_into_a_position_is_read_back_through_floats() {
    let mut reader = signal::Reader::of_positions(Dialect::Json);
    for (number, place) in NUMBERS {
        let mut template = signal::Template::position(Dialect::Json, "room", false);
        template.write(number, place, 1_700_000_000_123);
        let sent: serde_json::Value = serde_json::from_str(text(&template.bytes)).unwrap();
        assert_eq!(sent["timestamp"], 1_700_000_000_123_u64);
        let received = serde_json::json!({"type": "location-update", "data": sent}).to_string();
        assert_eq!(
            reader.read(received.as_bytes()),
            signal(0, number, place),
            "{received}"
        );
    }
    assert_eq!(reader.read(b"{\"type\":\"pong\"}"), None);
}

const NUMBERS: [(u64, u64); 5] = [(0, 0), (1, 999_999), (100_000, 10), (123_456, 0), (999_999, 1)];

fn signal(name: usize, low: u64, place: u64) -> Option<signal::Signal> {
    Some(signal::Signal { name, low, place })
}

/// What a client's frame says.
fn text(frame: &[u8]) -> &str {
    let header = if frame[1] & 0x7f == 126 { 8 } else { 6 };
    std::str::from_utf8(&frame[header..]).expect("a text")
}

/// The number of the acknowledgement asked for, the name and the object of an event that a client emits.
fn event(frame: &[u8]) -> (String, String, serde_json::Value) {
    let rest = text(frame).strip_prefix("42").expect("an event");
    let at = rest.find('[').expect("arguments");
    let (name, object) = serde_json::from_str(&rest[at..]).expect("a name and an object");
    (rest[..at].to_owned(), name, object)
}

#[test]
fn a_position_of_socket_io_is_read_back_under_each_of_its_names() {
    let mut reader = signal::Reader::of_positions(Dialect::Socketio);
    for (number, place) in NUMBERS {
        let mut template = signal::Template::position(Dialect::Socketio, "sos", false);
        template.write(number, place, 1_700_000_000_123);
        let (ask, name, sent) = event(&template.bytes);
        assert_eq!((ask.as_str(), name.as_str()), ("", "location:update"));
        assert_eq!(sent["timestamp"], 1_700_000_000_123_u64);
        assert_eq!(sent["sosId"], "sos");
        for (index, name) in ["location:broadcast", "location:updated"].into_iter().enumerate() {
            let received = format!("42[\"{name}\",{sent}]");
            assert_eq!(
                reader.read(received.as_bytes()),
                signal(index, number, place),
                "{received}"
            );
        }
        assert_eq!(reader.read(format!("42[\"other\",{sent}]").as_bytes()), None);
    }
}

#[test]
fn a_message_is_read_back_in_either_dialect() {
    for dialect in [Dialect::Json, Dialect::Socketio] {
        let mut reader = signal::Reader::of_messages(dialect);
        let mut template = signal::Template::message(dialect, "room");
        template.write(123, 456_789, 0);
        let received = match dialect {
            Dialect::Json => format!("{{\"type\":\"room-message\",{}", &text(&template.bytes)[1..]),
            Dialect::Socketio => text(&template.bytes).replace("send", "broadcast"),
        };
        assert_eq!(
            reader.read(received.as_bytes()),
            signal(0, 123, 456_789),
            "{received}"
        );
        assert_eq!(dialect.hear(received.as_bytes()), Heard::Message);
    }
}

#[test]
fn an_acknowledgement_is_asked_for_where_there_is_a_choice() {
    let asked = |frame: Vec<u8>| event(&frame).0;
    let dialect = Dialect::Socketio;
    assert_eq!(asked(dialect.position("sos", "\"latitude\":1", true)), "0");
    assert_eq!(asked(dialect.message("sos", "words", None)), "");
    let frame = dialect.message("sos", "words", Some("m-1"));
    let (ask, name, message) = event(&frame);
    assert_eq!((ask.as_str(), name.as_str()), ("0", "message:send"));
    assert_eq!(
        message,
        serde_json::json!({"sosId": "sos", "content": "words", "id": "m-1"})
    );
}

#[test]
fn what_the_engine_says_means_the_same_in_either_dialect() {
    let json = [
        (r#"{"type":"connected","sessionId":"s"}"#, Heard::Connected),
        (r#"{"type":"join-approved","roomId":"r"}"#, Heard::Joined),
        (r#"{"type":"error","message":"Already in room"}"#, Heard::Joined),
        (r#"{"type":"error","message":"no"}"#, Heard::Refused),
        (r#"{"type":"join-denied"}"#, Heard::Refused),
        (r#"{"type":"location-update","data":{}}"#, Heard::Position),
        (r#"{"type":"location-update-confirmed"}"#, Heard::Done),
        (r#"{"type":"message-accepted"}"#, Heard::Done),
        (r#"{"type":"user-joined"}"#, Heard::Other),
    ];
    let socketio = [
        (r#"40{"sid":"s","pid":"p"}"#, Heard::Connected),
        (r#"44{"message":"no"}"#, Heard::Refused),
        (
            r#"42["sos:init",{"recovered":false,"seq":1},"a:1"]"#,
            Heard::Joined,
        ),
        (
            r#"42["sos:init",{"action":"user_joined","seq":2},"a:2"]"#,
            Heard::Other,
        ),
        (r#"42["location:broadcast",{}]"#, Heard::Position),
        (r#"42["location:updated",{}]"#, Heard::PositionAgain),
        (r#"42["error",{"code":"ALREADY_JOINED"}]"#, Heard::Joined),
        (r#"42["error",{"code":"BUSY"}]"#, Heard::Trouble),
        (r#"4312[{"success":true,"sosId":"s"}]"#, Heard::Done),
        (r#"430[{"success":false,"code":"BUSY"}]"#, Heard::Refused),
        (r#"42["sos:room:joined",{}]"#, Heard::Other),
    ];
    for (said, heard) in json {
        assert_eq!(Dialect::Json.hear(said.as_bytes()), heard, "{said}");
    }
    for (said, heard) in socketio {
        assert_eq!(Dialect::Socketio.hear(said.as_bytes()), heard, "{said}");
    }
    let position = serde_json::json!({"latitude": 1.5});
    for (dialect, said) in [
        (
            Dialect::Json,
            r#"{"type":"location-update","data":{"latitude":1.5}}"#,
        ),
        (
            Dialect::Socketio,
            r#"42["location:broadcast",{"latitude":1.5},"a:1"]"#,
        ),
    ] {
        assert_eq!(dialect.object(said.as_bytes()), Some(position.clone()));
    }
}

#[test]
fn a_json_client_resumes_by_its_join() {
    let mut trail = Trail::default();
    trail.note(b"{\"seq\":7}", Some(7));
    trail.note(b"{\"seq\":5}", Some(5));
    assert!(!trail.greeted(b"{\"type\":\"connected\"}"));
    let opening = Dialect::Json.opening("d-1", Some(&trail));
    let expected = Opening {
        path: "/api/ws?deviceId=d-1".into(),
        greeting: Vec::new(),
    };
    assert_eq!(opening, expected);
    assert_eq!(
        text(&Dialect::Json.join("r", Some(&trail))),
        "{\"type\":\"join-room\",\"roomId\":\"r\",\"since\":7}"
    );
    assert_eq!(
        text(&Dialect::Json.join("r", None)),
        "{\"type\":\"join-room\",\"roomId\":\"r\"}"
    );
}

#[test]
fn a_socket_io_client_resumes_by_its_opening_and_sees_whether_it_did() {
    let dialect = Dialect::Socketio;
    let opening = dialect.opening("d-1", None);
    assert_eq!(opening.path, "/socket.io/?EIO=4&transport=websocket");
    assert_eq!(text(&opening.greeting), "40{\"deviceId\":\"d-1\"}");
    assert_eq!(
        text(&dialect.join("r", None)),
        r#"42["join:sos",{"sosId":"r","userType":"CITIZEN"}]"#
    );

    let mut trail = Trail::default();
    assert!(!trail.greeted(br#"40{"sid":"a","pid":"secret"}"#));
    trail.note(br#"42["sos:init",{"recovered":false},"r:3"]"#, Some(3));
    trail.note(br#"42["message:broadcast",{"content":"x"},"r:4"]"#, Some(4));
    // Positions have no place in the log.
    trail.note(br#"42["location:broadcast",{"displayName":"x"}]"#, None);
    trail.note(br#"42["odd","r:9"#, None);
    assert_eq!(trail.seq, 4);
    assert_eq!(
        text(&dialect.opening("d-1", Some(&trail)).greeting),
        "40{\"deviceId\":\"d-1\",\"pid\":\"secret\",\"offset\":\"r:4\"}"
    );
    assert!(trail.greeted(br#"40{"sid":"a","pid":"secret"}"#));
    assert!(!trail.greeted(br#"40{"sid":"b","pid":"another"}"#));
}

#[test]
fn the_last_digits_of_a_number_tell_which_it_was() {
    assert_eq!(signal::whole(7, 7), Some(7));
    assert_eq!(signal::whole(999_999, 1_000_003), Some(999_999));
    assert_eq!(signal::whole(3, 1_000_003), Some(1_000_003));
    assert_eq!(signal::whole(8, 7), None, "nobody sent that yet");
}

#[test]
fn a_key_is_found_again_where_it_moved() {
    let mut key = scan::Key::new("\"id\":\"");
    assert_eq!(scan::string(b"{\"id\":\"a\"}", &mut key), Some("a"));
    assert_eq!(
        scan::string(b"{\"type\":\"x\",\"id\":\"b\"}", &mut key),
        Some("b")
    );
    assert_eq!(scan::string(b"{}", &mut key), None);
    assert_eq!(
        scan::kind(b"{\"seq\":1,\"type\":\"user-joined\"}"),
        b"user-joined"
    );
}

#[test]
fn gaps_late_ones_and_repetitions_are_told_apart() {
    let mut sequence = Sequence::default();
    let arrivals: Vec<Arrival> = [1, 2, 4, 3, 3, 4, 40, 1].map(|n| sequence.arrive(n)).to_vec();
    use Arrival::{AfterGap, InOrder, Late, Twice};
    assert_eq!(
        arrivals,
        [InOrder, InOrder, AfterGap, Late, Twice, Twice, AfterGap, Twice]
    );
}

#[test]
fn an_open_loop_keeps_its_instants_whatever_happens() {
    let mut pace = Pace::new(1_000, 1_000_000.0, 3);
    assert_eq!(pace.pop(999), None);
    let all: Vec<_> = std::iter::from_fn(|| pace.pop(10_000)).collect();
    assert_eq!(all, [(0, 1_000), (1, 2_000), (2, 3_000)]);
    assert!(pace.is_over());
    assert_eq!(pace.due(), u64::MAX);
}

#[test]
fn a_latency_counts_from_the_instant_intended() {
    let mut latency = Latency::new().unwrap();
    latency.record(1_000_000, 5_000_000);
    assert!((latency.millis(99.0) - 4.0).abs() < 0.01);
    assert!(latency.curve().len() > 1 || latency.count() == 1);
}

#[test]
fn the_search_ends_just_below_what_is_too_much_and_proves_it() {
    let search = search::Search {
        start: 100.0,
        trial_seconds: 1.0,
        seconds: 9.0,
    };
    let mut proofs = 0;
    let mut calls = 0;
    let attempt = |rate: f64, seconds: f64| {
        proofs += u32::from(seconds > 1.0);
        calls += 1;
        // Every third attempt is disturbed, and must not count.
        let late = if calls % 3 == 0 { 500.0 } else { 0.0 };
        Ok(((), Verdict::of(rate <= 5_000.0 && late == 0.0, late)))
    };
    let (rate, ()) = search.highest(attempt).unwrap();
    assert!((4_700.0..=5_000.0).contains(&rate), "{rate}");
    assert!((1..=2).contains(&proofs));
}

fn a_page(entries: &[(u64, f64)], next: &str) -> String {
    let entry = |(id, distance): &(u64, f64)| {
        format!(
            "{{\"sosId\":\"{id:016x}{:016x}\",\"message\":\"a, b\",\"distanceM\":{distance}}}",
            7
        )
    };
    let entries: Vec<String> = entries.iter().map(entry).collect();
    format!(
        "{{\"success\":true,\"data\":[{}],\"nextCursor\":{next}}}",
        entries.join(",")
    )
}

#[test]
fn a_page_is_read_with_its_entries_and_its_cursor() {
    let (reader, mut page) = (pages::Reader::new(), pages::Page::default());
    let text = a_page(&[(1, 0.5), (u64::MAX, 12.0)], "\"00ff\"");
    assert_eq!(reader.read(text.as_bytes(), &mut page), Some(()));
    assert_eq!(page.entries, [(1, 0.5), (u64::MAX, 12.0)]);
    assert_eq!(page.next.as_deref(), Some("00ff"));
    assert_eq!(reader.read(a_page(&[], "null").as_bytes(), &mut page), Some(()));
    assert_eq!(page, pages::Page::default());
    for bad in [
        "{\"success\":false}",
        "{\"data\":[{\"sosId\":\"xyz\"}],\"nextCursor\":null}",
        "{\"nextCursor\":1}",
    ] {
        assert_eq!(reader.read(bad.as_bytes(), &mut page), None, "{bad}");
    }
}

#[test]
fn a_walk_notices_what_comes_twice_out_of_order_or_not_at_all() {
    let page = |entries: &[(u64, f64)]| pages::Page {
        entries: entries.to_vec(),
        next: None,
    };
    let mut walk = pages::Walk::default();
    assert_eq!(walk.take(&page(&[(1, 1.0), (2, 1.0)])), pages::Faults::default());
    let faults = walk.take(&page(&[(2, 3.0), (3, 2.0)]));
    assert_eq!((faults.twice, faults.disordered), (1, 1));
    assert_eq!(walk.end(&(4..=5)).missing, 1);
    walk.take(&page(&[(1, 0.5)]));
    assert_eq!(
        walk.end(&(1..=1)),
        pages::Faults::default(),
        "a walk forgets the one before it"
    );
    walk.take(&page(&[(1, 0.5), (9, 0.6)]));
    assert_eq!(walk.end(&(0..=1)).surplus, 1);
}

#[test]
fn who_stands_at_the_edge_of_a_circle_may_count_or_not() {
    let degree = 111_195.08;
    let places = [(0.5, 0.0), (0.0, 1.0), (1.1, 0.0)];
    assert_eq!(pages::within((0.0, 0.0), degree, places.into_iter()), 1..=2);
}
