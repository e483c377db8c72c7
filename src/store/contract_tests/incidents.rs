//! Promises about lists of incidents.

use super::Harness;
use super::scribe::{Scribe, everything, ms, place, put, raise_all, raised, user};
use crate::domain::geo::Position;
use crate::domain::ids::RoomId;
use crate::domain::incident::{IncidentType, Report, Status, Visibility};
use crate::domain::room::{Command, Standing};
use crate::domain::testing::{person, report, room};
use crate::domain::time::Timestamp;
use crate::store::contract::Store;
use crate::store::types::{IncidentCursor, IncidentQuery, Listed, Sight};

/// The same, where the contract leaves the order open.
fn sorted(listed: &[Listed]) -> Vec<&str> {
    let mut names = names(listed);
    names.sort_unstable();
    names
}

fn names(listed: &[Listed]) -> Vec<&str> {
    listed
        .iter()
        .map(|listed| listed.incident.room.as_str())
        .collect()
}

pub async fn an_incident_is_projected_from_its_log<H: Harness>() {
    let harness = H::start().await;
    let store = harness.store();
    let mut scribe = raised(store, "sos", report()).await;
    put(store, scribe.join(1)).await;
    scribe.now = ms(2_000_000);
    put(store, scribe.status(Status::Responding)).await;
    let row = store.incident(&room("sos")).await.unwrap().unwrap();
    assert_eq!(
        (row.creator, &row.report, row.status),
        (person(0), &report(), Status::Responding)
    );
    assert_eq!(
        (row.created_at, row.updated_at, row.ended_at),
        (ms(1_000_000), ms(2_000_000), None)
    );
    assert_eq!((row.seq, row.active_participants), (scribe.state.seq, 2));
    scribe.now = ms(3_000_000);
    put(store, scribe.status(Status::Resolved)).await;
    scribe.now = ms(4_000_000);
    put(store, scribe.status(Status::Closed)).await;
    let row = store.incident(&room("sos")).await.unwrap().unwrap();
    assert_eq!(
        (row.updated_at, row.ended_at),
        (ms(4_000_000), Some(ms(3_000_000)))
    );
    assert_eq!(row.active_participants, 0);
}

pub async fn a_room_is_live_as_its_state_says<H: Harness>() {
    let harness = H::start().await;
    let store = harness.store();
    let mut linked = raised(
        store,
        "b-linked",
        Report {
            raised_from: vec![room("a-circle")],
            ..report()
        },
    )
    .await;
    let mut plain = raised(store, "c-plain", report()).await;
    let mut circle = Scribe::new("a-circle");
    put(store, circle.circle(1)).await;
    let live =
        |after: Option<RoomId>, limit| async move { store.live_rooms(after.as_ref(), limit).await.unwrap() };
    assert_eq!(live(None, 2).await, [room("b-linked"), room("c-plain")]);
    assert_eq!(live(Some(room("c-plain")), 2).await, [room("a-circle")]);
    put(store, linked.status(Status::Cancelled)).await;
    put(store, plain.status(Status::Cancelled)).await;
    put(
        store,
        circle
            .decide(None, Standing::System, Command::FallAsleep)
            .unwrap(),
    )
    .await;
    assert_eq!(
        live(None, 10).await,
        [room("b-linked")],
        "its end is still to be told"
    );
    let ended = Command::NoteLinkEnded {
        room: room("a-circle"),
    };
    put(store, linked.decide(None, Standing::System, ended).unwrap()).await;
    assert_eq!(live(None, 10).await, []);
    put(store, circle.join(1)).await;
    assert_eq!(live(None, 10).await, [room("a-circle")]);
}

pub async fn strangers_see_public_incidents_and_those_they_were_in<H: Harness>() {
    let harness = H::start().await;
    let store = harness.store();
    raised(store, "public", report()).await;
    let mut silent = raised(
        store,
        "silent",
        Report {
            silent: true,
            ..report()
        },
    )
    .await;
    let restricted = Report {
        visibility: Visibility::Restricted,
        ..report()
    };
    let mut restricted = raised(store, "restricted", restricted).await;
    put(store, silent.join(1)).await;
    put(store, restricted.join(2)).await;
    put(store, restricted.leave(2)).await;
    let cases: [(Sight, &[&str]); 5] = [
        (Sight::All, &["public", "restricted", "silent"]),
        (Sight::Public, &["public"]),
        (Sight::PublicAnd(user(1)), &["public", "silent"]),
        (Sight::PublicAnd(user(2)), &["public", "restricted"]),
        (Sight::PublicAnd(user(3)), &["public"]),
    ];
    for (sight, expected) in cases {
        for near in [None, Some((place(0.0, 0.0), 25_000.0))] {
            let found = store
                .incidents(&IncidentQuery {
                    sight: sight.clone(),
                    near,
                    ..everything()
                })
                .await
                .unwrap();
            assert_eq!(sorted(&found), expected, "{sight:?}");
        }
    }
}

/// Reads all pages of a query.
async fn pages(store: &impl Store, query: IncidentQuery) -> Vec<Listed> {
    let mut all: Vec<Listed> = vec![];
    let mut query = query;
    loop {
        let page = store.incidents(&query).await.unwrap();
        assert!(page.len() <= query.limit);
        let Some(last) = page.last() else { return all };
        query.after = Some(IncidentCursor {
            created_at: last.incident.created_at,
            distance_m: last.distance_m.unwrap_or_default(),
            room: last.incident.room.clone(),
        });
        all.extend(page);
        assert!(all.len() < 10_000, "the pages never end");
    }
}

/// Incidents strewn round Manila, some at the same place and time, a third of them over.
async fn strewn(store: &impl Store, count: u64) -> Vec<(String, Timestamp, Report)> {
    let mut random = 1u64;
    let mut next = move || {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        f64::from(u32::try_from(random >> 40).unwrap()) / f64::from(1 << 24)
    };
    let reports: Vec<_> = (0..count)
        .map(|n| {
            let position = if n % 10 == 0 {
                place(0.001, 0.0)
            } else {
                place(next() * 0.6 - 0.3, next() * 0.6 - 0.3)
            };
            let at = ms(1_000_000 + i64::try_from(n / 4).unwrap());
            (
                format!("sos-{:03}", (n * 37) % count),
                at,
                Report {
                    position: Some(position),
                    ..report()
                },
            )
        })
        .collect();
    raise_all(store, reports.clone()).await;
    for (name, at, report) in reports.iter().step_by(3) {
        let mut scribe = Scribe::new(name);
        scribe.now = *at;
        scribe.raise(report.clone());
        put(store, scribe.status(Status::Resolved)).await;
    }
    reports
}

pub async fn newest_first_pages_have_no_gap_and_no_repeat<H: Harness>() {
    let harness = H::start().await;
    let reports = strewn(harness.store(), 101).await;
    let mut expected: Vec<&str> = reports.iter().map(|(name, ..)| name.as_str()).collect();
    expected.sort_unstable();
    for limit in [1, 7, 100, 200] {
        let found = pages(
            harness.store(),
            IncidentQuery {
                limit,
                ..everything()
            },
        )
        .await;
        assert_eq!(sorted(&found), expected);
        assert!(found.is_sorted_by_key(|listed| std::cmp::Reverse(listed.incident.created_at)));
        assert!(found.iter().all(|listed| listed.distance_m.is_none()));
    }
}

pub async fn nearest_first_pages_have_no_gap_and_no_repeat<H: Harness>() {
    let harness = H::start().await;
    let reports = strewn(harness.store(), 201).await;
    raised(
        harness.store(),
        "nowhere",
        Report {
            position: None,
            ..report()
        },
    )
    .await;
    for (centre, radius) in [
        (place(0.0, 0.0), 5_000.0),
        (place(0.1, -0.1), 25_000.0),
        (place(0.0, 0.0), 20_100_000.0),
    ] {
        let mut expected: Vec<(f64, &str)> = reports
            .iter()
            .map(|(name, _, report)| (centre.distance_m(report.position.unwrap()), name.as_str()))
            .filter(|(distance, _)| *distance <= radius)
            .collect();
        expected.sort_by(|a, b| a.0.total_cmp(&b.0).then_with(|| a.1.cmp(b.1)));
        assert!(expected.len() > 5);
        for limit in [1, 7, 500] {
            let query = IncidentQuery {
                near: Some((centre, radius)),
                limit,
                ..everything()
            };
            let found = pages(harness.store(), query).await;
            let mut found: Vec<(f64, &str)> = found
                .iter()
                .map(|listed| (listed.distance_m.unwrap(), listed.incident.room.as_str()))
                .collect();
            assert!(found.is_sorted_by_key(|(distance, _)| *distance));
            found.sort_by(|a, b| a.0.total_cmp(&b.0).then_with(|| a.1.cmp(b.1)));
            assert_eq!(found, expected, "radius {radius}, pages of {limit}");
        }
    }
}

pub async fn what_an_incident_turns_out_to_be_is_what_it_is_listed_as<H: Harness>() {
    let harness = H::start().await;
    let mut scribe = raised(harness.store(), "a", report()).await;
    raised(harness.store(), "b", report()).await;
    put(harness.store(), scribe.retype(IncidentType::Medical)).await;
    let check = async |store: &H::S| {
        let row = store.incident(&room("a")).await.unwrap().unwrap();
        let report = Report {
            kind: IncidentType::Medical,
            ..report()
        };
        assert_eq!((row.report, row.seq), (report, scribe.state.seq));
        assert_eq!(row.updated_at, row.created_at, "its status is what it was");
        for near in [None, Some((place(0.0, 0.0), 25_000.0))] {
            for (kind, expected) in [(IncidentType::Medical, "a"), (report_kind(), "b")] {
                let query = IncidentQuery {
                    kind: Some(kind),
                    near,
                    ..everything()
                };
                assert_eq!(names(&store.incidents(&query).await.unwrap()), [expected]);
            }
        }
    };
    check(harness.store()).await;
    let harness = harness.reopen().await;
    check(harness.store()).await;
    assert_eq!(harness.store().rebuild().await, Ok(2));
    check(harness.store()).await;
}

fn report_kind() -> IncidentType {
    report().kind
}

pub async fn incidents_are_filtered_by_status_kind_and_city<H: Harness>() {
    let harness = H::start().await;
    let store = harness.store();
    let fire = |city: &str| Report {
        city_id: Some(city.into()),
        ..report()
    };
    raised(store, "a", fire("MNL")).await;
    raised(store, "b", fire("CEB")).await;
    raised(
        store,
        "c",
        Report {
            kind: IncidentType::Medical,
            ..fire("MNL")
        },
    )
    .await;
    let mut over = raised(store, "d", fire("MNL")).await;
    raised(store, "e", report()).await;
    put(store, over.status(Status::Resolved)).await;
    let city = |city: &str| IncidentQuery {
        city_id: Some(city.into()),
        ..everything()
    };
    let cases: [(IncidentQuery, &[&str]); 6] = [
        (city("MNL"), &["a", "c", "d"]),
        (
            IncidentQuery {
                status: vec![Status::Active],
                ..city("MNL")
            },
            &["a", "c"],
        ),
        (
            IncidentQuery {
                status: vec![Status::Resolved, Status::Closed],
                ..everything()
            },
            &["d"],
        ),
        (
            IncidentQuery {
                status: vec![Status::Active, Status::Resolved],
                ..city("MNL")
            },
            &["a", "c", "d"],
        ),
        (
            IncidentQuery {
                kind: Some(IncidentType::Medical),
                ..everything()
            },
            &["c"],
        ),
        (
            IncidentQuery {
                kind: Some(IncidentType::Crime),
                ..everything()
            },
            &[],
        ),
    ];
    for (query, expected) in cases {
        for near in [None, Some((place(0.0, 0.0), 25_000.0))] {
            let found = store
                .incidents(&IncidentQuery {
                    near,
                    ..query.clone()
                })
                .await
                .unwrap();
            assert_eq!(sorted(&found), expected, "{query:?}");
        }
    }
}

pub async fn a_search_finds_across_the_date_line_and_at_the_pole<H: Harness>() {
    let harness = H::start().await;
    let store = harness.store();
    let at = |lat: f64, lon: f64| Report {
        position: Some(Position::new(lat, lon).unwrap()),
        ..report()
    };
    raised(store, "east", at(-17.0, 179.99)).await;
    raised(store, "west", at(-17.0, -179.98)).await;
    raised(store, "edge", at(-17.0, 180.0)).await;
    raised(store, "pole", at(90.0, 0.0)).await;
    raised(store, "near-pole", at(89.9, 170.0)).await;
    let found = |lat: f64, lon: f64| {
        let near = Some((Position::new(lat, lon).unwrap(), 25_000.0));
        let query = IncidentQuery { near, ..everything() };
        async move { store.incidents(&query).await.unwrap() }
    };
    assert_eq!(names(&found(-17.0, 179.999).await), ["edge", "east", "west"]);
    assert_eq!(names(&found(-17.0, -179.999).await), ["edge", "east", "west"]);
    assert_eq!(names(&found(89.95, -10.0).await), ["pole", "near-pole"]);
}

/// Incidents that stand all the time, in an order known before.
fn steady(n: u64) -> (String, Timestamp, Report) {
    let north = f64::from(u32::try_from(n).unwrap()) * 0.0004;
    let at = ms(1_000_000 + i64::try_from(n / 3).unwrap());
    let position = Some(place(if n.is_multiple_of(8) { 0.0 } else { north }, 0.0));
    (format!("steady-{n:03}"), at, Report { position, ..report() })
}

/// What else happens between two pages: one is raised, one ends, one moves and takes somebody in.
async fn happens(store: &impl Store, round: usize, others: &mut Vec<Scribe>) {
    let mut scribe = Scribe::new(&format!("other-{round:03}"));
    scribe.now = ms(1_000_000 + i64::try_from(round * 5 % 20).unwrap());
    let north = f64::from(u32::try_from(round * 7 % 40).unwrap()) * 0.0004;
    let position = Some(place(north, 0.0));
    put(store, scribe.raise(Report { position, ..report() })).await;
    others.push(scribe);
    let count = others.len();
    let other = &mut others[count / 2];
    if other.state.is_open() {
        put(store, other.join(3)).await;
        put(store, other.status(Status::Resolved)).await;
    }
}

pub async fn pages_have_what_stood_all_the_time_once_whatever_happens_between_them<H: Harness>() {
    const STEADY: u64 = 40;
    let harness = H::start().await;
    let store = harness.store();
    raise_all(store, (0..STEADY).map(steady).collect()).await;
    let mut moving: Vec<Scribe> = (0..STEADY)
        .map(|n| {
            let (name, now, report) = steady(n);
            let mut scribe = Scribe::new(&name);
            scribe.now = now;
            scribe.raise(report);
            scribe
        })
        .collect();
    let mut others = Vec::new();
    let mut round = 0;
    for status in [vec![], vec![Status::Active, Status::Responding]] {
        for near in [None, Some((place(0.0, 0.0), 25_000.0))] {
            for limit in [1, 3, 7] {
                let mut query = IncidentQuery {
                    status: status.clone(),
                    near,
                    limit,
                    ..everything()
                };
                let mut told: Vec<RoomId> = vec![];
                loop {
                    let page = store.incidents(&query).await.unwrap();
                    let Some(last) = page.last() else { break };
                    query.after = Some(IncidentCursor {
                        created_at: last.incident.created_at,
                        distance_m: last.distance_m.unwrap_or_default(),
                        room: last.incident.room.clone(),
                    });
                    told.extend(page.iter().map(|listed| listed.incident.room.clone()));
                    // The one that the cursor names may end, too, if it is not one of the steady.
                    if let Some(at) = others
                        .iter()
                        .position(|other: &Scribe| Some(&other.state.id) == told.last())
                        && others[at].state.is_open()
                    {
                        put(store, others[at].status(Status::Cancelled)).await;
                    }
                    round += 1;
                    happens(store, round, &mut others).await;
                    let count = moving.len();
                    let moved = &mut moving[round * 11 % count];
                    if moved
                        .state
                        .incident
                        .as_ref()
                        .is_some_and(|incident| incident.status == Status::Active)
                    {
                        put(store, moved.status(Status::Responding)).await;
                    }
                }
                let mut once = told.clone();
                once.sort();
                once.dedup();
                assert_eq!(once.len(), told.len(), "something was told twice: {told:?}");
                for n in 0..STEADY {
                    let (name, ..) = steady(n);
                    assert!(told.contains(&room(&name)), "{name} is missing: {query:?}");
                }
            }
        }
    }
}
