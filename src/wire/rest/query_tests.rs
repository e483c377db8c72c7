//! Queries and cursors.

use proptest::prelude::*;

use super::*;
use crate::domain::geo::Position;
use crate::domain::ids::{ParticipantId, RoomId};
use crate::domain::incident::{IncidentType, Status};
use crate::domain::room::Seq;
use crate::domain::testing::person;
use crate::domain::time::Timestamp;

#[track_caller]
fn wrong<T: std::fmt::Debug>(answer: Result<T, BodyError>) -> Vec<String> {
    answer
        .unwrap_err()
        .fields()
        .iter()
        .map(|error| error.field.clone())
        .collect()
}

#[test]
fn a_list_of_incidents_needs_no_parameters() {
    let all = SosListQuery {
        status: vec![],
        kind: None,
        city_id: None,
        near: None,
        limit: 20,
        cursor: None,
    };
    assert_eq!(SosListQuery::parse("").unwrap(), all);
    assert_eq!(
        SosListQuery::parse("status=&type=&lat=&radius=&utm=1").unwrap(),
        all
    );
}

#[test]
fn a_list_of_incidents_takes_all_of_them() {
    let query = SosListQuery::parse(
        "status=active,%20En_Route&status=ACTIVE&type=fire&cityId=MNL&lat=14.5&lng=121&radius=300&limit=100",
    )
    .unwrap();
    assert_eq!(query.status, [Status::Active, Status::Responding]);
    assert_eq!(query.kind, Some(IncidentType::Fire));
    assert_eq!(query.city_id.as_deref(), Some("MNL"));
    assert_eq!(query.near, Some((Position::new(14.5, 121.0).unwrap(), 300.0)));
    assert_eq!(query.limit, 100);
    let query = SosListQuery::parse("lat=0&lng=-0.5").unwrap();
    assert_eq!(query.near, Some((Position::new(0.0, -0.5).unwrap(), 5_000.0)));
}

#[test]
fn everything_that_is_wrong_with_a_list_is_said_at_once() {
    let query = "status=open&type=x&lat=91&lng=0&radius=25001&limit=101&cursor=zz";
    assert_eq!(
        wrong(SosListQuery::parse(query)),
        ["status", "type", "lat", "radius", "limit", "cursor"]
    );
    assert_eq!(wrong(SosListQuery::parse("lat=1")), ["lng"]);
    assert_eq!(wrong(SosListQuery::parse("lng=1")), ["lat"]);
    assert_eq!(wrong(SosListQuery::parse("lat=NaN&lng=inf")), ["lat"]);
    for limit in ["0", "-1", "1.5", "ten", "1&limit=2", "99999999999999999999"] {
        assert_eq!(
            wrong(SosListQuery::parse(&format!("limit={limit}"))),
            ["limit"],
            "{limit}"
        );
    }
}

#[test]
fn locations_are_asked_for_by_time_and_person() {
    let query = LocationsQuery::parse(
        "from=2025-06-15T23:06:40+08:00&to=1750000000001&subject=p-0000000000000007&limit=5",
    )
    .unwrap();
    assert_eq!(query.from, Some(Timestamp::from_ms(1_750_000_000_000)));
    assert_eq!(query.to, Some(Timestamp::from_ms(1_750_000_000_001)));
    assert_eq!(
        (query.subject, query.limit, query.cursor),
        (Some(person(7)), 5, None)
    );
    assert_eq!(
        wrong(LocationsQuery::parse("from=2000000000&to=1000000000")),
        ["to"]
    );
    assert_eq!(
        wrong(LocationsQuery::parse("from=x&subject=ana&cursor=00")),
        ["from", "subject", "cursor"]
    );
}

#[test]
fn messages_and_events_go_on_by_seq() {
    let query = MessagesQuery::parse("before=9&q=smoke%20here").unwrap();
    let text = Some("smoke here".to_owned());
    assert_eq!(
        query,
        MessagesQuery {
            before: Some(Seq::new(9)),
            text,
            limit: 50
        }
    );
    assert_eq!(
        MessagesQuery::parse("before=9&cursor=5").unwrap().before,
        Some(Seq::new(5))
    );
    assert_eq!(
        EventsQuery::parse("").unwrap(),
        EventsQuery {
            since: Seq::ZERO,
            limit: 100
        }
    );
    assert_eq!(EventsQuery::parse("since=2&cursor=8").unwrap().since, Seq::new(8));
    assert_eq!(
        wrong(EventsQuery::parse("since=-1&limit=101")),
        ["since", "limit"]
    );
}

proptest! {
    #[test]
    fn a_cursor_of_ours_is_read_back(
        ms in any::<i64>(), distance_m in 0.0..1e8f64, slug in "[A-Za-z0-9_.:-]{1,64}", bits in any::<u64>()
    ) {
        let at = Timestamp::from_ms(ms);
        let cursor = IncidentCursor { created_at: at, distance_m, room: RoomId::new(&slug).unwrap() };
        let query = SosListQuery::parse(&format!("cursor={}", cursor.encode())).unwrap();
        prop_assert_eq!(query.cursor, Some(cursor));
        let cursor = PersonCursor { at, participant: ParticipantId::from_bits(bits) };
        let query = ParticipantsQuery::parse(&format!("cursor={}", cursor.encode())).unwrap();
        prop_assert_eq!(query.cursor, Some(cursor));
    }

    #[test]
    fn no_query_panics(query in ".*", cursor in "[0-9a-f]{0,40}") {
        for query in [query, format!("cursor={cursor}&since={cursor}&from={cursor}&lat={cursor}&lng=1")] {
            let _ = (SosListQuery::parse(&query), LocationsQuery::parse(&query), MessagesQuery::parse(&query));
            let _ = (EventsQuery::parse(&query), ParticipantsQuery::parse(&query));
        }
    }
}
