//! Old and new nodes understand each other, and nothing that arrives breaks anything.

use serde::Serialize;

use super::*;
use crate::bus::contract_tests::samples;

const ME: NodeId = NodeId::from_bits(0x0123_4567_89ab_cdef);

fn with_body(kind: u8, body: &impl Serialize) -> Vec<u8> {
    let mut bytes = vec![VERSION];
    bytes.extend(ME.bits().to_le_bytes());
    bytes.push(kind);
    Body(&mut bytes).write(body);
    bytes
}

#[test]
fn every_kind_of_news_is_read_as_it_was_written() {
    for news in samples::all() {
        let bytes = encode(ME, &news);
        assert_eq!(speaker(&bytes), Some(ME));
        assert_eq!(decode(&bytes), Ok((ME, news)));
    }
}

#[test]
fn every_kind_has_a_number_of_its_own_that_is_never_given_again() {
    let kinds: std::collections::BTreeSet<u8> = samples::all().iter().map(kind).collect();
    assert_eq!(kinds, (1..=12).collect());
}

#[test]
fn what_the_first_version_wrote_is_read_for_ever() {
    let bytes = hex::decode(concat!(
        "01efcdab8967452301",
        "02",
        "82a172a4686f6d65a166918aa177cf00000000000000",
    ));
    // Cut short on purpose: it must be refused, not guessed at.
    assert_eq!(decode(&bytes.unwrap()), Err(Unread::Damaged));
    let whole = "01efcdab896745230106\
                 82a173a5753a752d31a172a4686f6d65";
    let news = News::Concerns {
        subject: parts::subject("u:u-1").unwrap(),
        room: samples::room("home"),
    };
    assert_eq!(hex::encode(encode(ME, &news)), whole);
    assert_eq!(decode(&hex::decode(whole).unwrap()), Ok((ME, news)));
}

#[test]
fn fields_that_a_newer_version_adds_are_skipped() {
    #[derive(Serialize)]
    struct Later {
        s: &'static str,
        zz: Vec<Option<f64>>,
        r: &'static str,
        why: (u8, &'static str),
    }
    let bytes = with_body(
        6,
        &Later {
            s: "u:u-1",
            zz: vec![Some(1.5), None],
            r: "home",
            why: (7, "something new"),
        },
    );
    let (_, news) = decode(&bytes).unwrap();
    assert!(matches!(news, News::Concerns { room, .. } if room == samples::room("home")));
}

#[test]
fn fields_that_an_older_version_did_not_have_take_their_defaults() {
    #[derive(Serialize)]
    struct Earlier {
        r: &'static str,
    }
    let (_, news) = decode(&with_body(3, &Earlier { r: "home" })).unwrap();
    let bare = News::Presence {
        room: samples::room("home"),
        changes: vec![],
        whole: false,
        asks: false,
    };
    assert_eq!(news, bare);
}

#[test]
fn kinds_and_layouts_of_newer_versions_are_known_for_what_they_are() {
    assert_eq!(decode(&with_body(200, &["anything"])), Err(Unread::Kind(200)));
    let mut newer = encode(ME, &News::Blocks);
    newer[0] = 2;
    assert_eq!(decode(&newer), Err(Unread::Version(2)));
    assert_eq!(speaker(&newer), Some(ME));
    assert_eq!(decode(&[]), Err(Unread::Damaged));
    assert_eq!(decode(&[0; 20]), Err(Unread::Damaged));
    assert_eq!(decode(&encode(ME, &News::Blocks)[..9]), Err(Unread::Damaged));
}

#[test]
fn what_is_out_of_range_is_damaged() {
    #[derive(Serialize)]
    struct Fix {
        w: u64,
        t: i64,
        y: f64,
        x: f64,
    }
    #[derive(Serialize)]
    struct Positions {
        r: &'static str,
        f: Vec<Fix>,
    }
    let at = |y| Positions {
        r: "home",
        f: vec![Fix {
            w: 1,
            t: 2,
            y,
            x: 0.0,
        }],
    };
    assert!(decode(&with_body(2, &at(89.0))).is_ok());
    for y in [91.0, f64::NAN, f64::INFINITY] {
        assert_eq!(decode(&with_body(2, &at(y))), Err(Unread::Damaged));
    }
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..300)) {
        crate::fuzzing::bus_message(&bytes);
    }

    #[test]
    fn any_damage_to_real_news_is_read_or_refused(
        which in proptest::num::usize::ANY,
        at in proptest::num::usize::ANY,
        byte in proptest::num::u8::ANY,
    ) {
        let all = samples::all();
        let mut bytes = encode(ME, &all[which % all.len()]);
        let at = at % bytes.len();
        bytes[at] = byte;
        crate::fuzzing::bus_message(&bytes);
    }
}
