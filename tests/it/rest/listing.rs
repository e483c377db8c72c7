//! Finding incidents: near, filtered, in pages, and only what one may see.

use serde_json::{Value, json};

use crate::support::{Engine, HERE, Person, UNLIMITED, fire, fire_with};

/// About a metre of latitude, in degrees.
const M: f64 = 1.0 / 111_195.0;

fn at(metres: f64) -> Value {
    fire_with(json!({"location": {"latitude": HERE.0 + metres * M, "longitude": HERE.1}}))
}

/// A whole list, page by page.
async fn all(person: &Person, query: &str, limit: usize) -> Vec<Value> {
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let (page, next) = person
            .get(&format!("/api/v1/sos?limit={limit}{query}{cursor}"))
            .await
            .page();
        assert!(page.len() <= limit);
        found.extend(page);
        match next {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return found,
        }
    }
}

fn ids(list: &[Value]) -> Vec<&str> {
    list.iter().map(|sos| sos["sosId"].as_str().unwrap()).collect()
}

fn near(radius: &str) -> String {
    format!("&lat={}&lng={}{radius}", HERE.0, HERE.1)
}

#[tokio::test]
async fn near_a_position_the_nearest_come_first_page_by_page() {
    let engine = Engine::start(&UNLIMITED);
    let ana = engine.user("Ana");
    let mut expected = Vec::new();
    for metres in [
        900.0, 100.0, 4_900.0, 2_500.0, 0.0, 300.0, 5_100.0, 24_000.0, 26_000.0,
    ] {
        let sos = ana.raises(at(metres)).await;
        expected.push((metres, sos));
    }
    expected.sort_by(|a, b| a.0.total_cmp(&b.0));
    for limit in [2, 3, 100] {
        let found = all(&ana, &near(""), limit).await;
        let wanted: Vec<&str> = expected
            .iter()
            .filter(|(metres, _)| *metres <= 5_000.0)
            .map(|(_, sos)| sos.as_str())
            .collect();
        assert_eq!(ids(&found), wanted, "limit {limit}");
        for (sos, (metres, _)) in found.iter().zip(&expected) {
            let distance = sos["distanceM"].as_f64().unwrap();
            assert!(
                (distance - metres).abs() < metres / 100.0 + 1.0,
                "{distance} for {metres}"
            );
        }
    }
    assert_eq!(all(&ana, &near("&radius=25000"), 100).await.len(), 8);
    assert_eq!(all(&ana, &near("&radius=250"), 100).await.len(), 2);
}

#[tokio::test]
async fn without_a_position_the_newest_come_first() {
    let engine = Engine::start(&UNLIMITED);
    let ana = engine.user("Ana");
    let mut raised = Vec::new();
    for _ in 0..7 {
        raised.push(ana.raises(fire()).await);
    }
    raised.reverse();
    for limit in [1, 3, 7, 100] {
        let found = all(&ana, "", limit).await;
        let mut sorted = ids(&found);
        assert!(found.is_sorted_by(|a, b| a["createdAt"].as_str() >= b["createdAt"].as_str()));
        sorted.sort_unstable();
        let mut wanted: Vec<&str> = raised.iter().map(String::as_str).collect();
        wanted.sort_unstable();
        assert_eq!(sorted, wanted, "limit {limit}");
        assert!(found[0].get("distanceM").is_none());
    }
}

#[tokio::test]
async fn a_list_is_narrowed_by_state_kind_and_city() {
    let engine = Engine::start(&UNLIMITED);
    let ana = engine.user("Ana");
    let plain = ana.raises(fire()).await;
    let crime = ana.raises(fire_with(json!({"type": "CRIME"}))).await;
    let cebu = ana.raises(fire_with(json!({"address": {"city": "CEB"}}))).await;
    let over = ana.raises(fire()).await;
    ana.patch(
        &format!("/api/v1/sos/{over}/status"),
        json!({"status": "resolved"}),
    )
    .await
    .data(200);
    for (query, wanted) in [
        ("&status=RESOLVED", vec![&over]),
        ("&status=active,resolved&type=fire", vec![&plain, &cebu, &over]),
        ("&status=COMPLETED", vec![&over]),
        ("&type=crime", vec![&crime]),
        ("&cityId=CEB", vec![&cebu]),
        ("&cityId=CEB&type=CRIME", vec![]),
    ] {
        let found = all(&ana, query, 100).await;
        let mut found = ids(&found);
        found.sort_unstable();
        let mut wanted: Vec<&str> = wanted.into_iter().map(String::as_str).collect();
        wanted.sort_unstable();
        assert_eq!(found, wanted, "{query}");
    }
}

#[tokio::test]
async fn silent_and_restricted_ones_are_seen_by_staff_and_participants_only() {
    let engine = Engine::start(&UNLIMITED);
    let (ana, sam) = (engine.user("Ana"), engine.user("Sam"));
    let mut hidden = Vec::new();
    for change in [json!({"silent": true}), json!({"visibility": "RESTRICTED"})] {
        hidden.push(ana.raises(fire_with(change)).await);
    }
    hidden.sort_unstable();
    for query in ["", &near("")] {
        for stranger in [&sam, &engine.device(), &engine.user("Rosa").role("RESCUER")] {
            assert!(all(stranger, query, 100).await.is_empty());
        }
        for insider in [
            &ana,
            &engine.user("Dora").role("DISPATCHER"),
            &engine.user("Adam").role("admin"),
        ] {
            let found = all(insider, query, 100).await;
            let mut found = ids(&found);
            found.sort_unstable();
            assert_eq!(found, hidden);
        }
    }
    for sos in &hidden {
        for path in ["", "/events", "/messages", "/locations", "/participants/active"] {
            sam.get(&format!("/api/v1/sos/{sos}{path}"))
                .await
                .refused(404, "NOT_FOUND");
        }
        let join = json!({"userType": "CITIZEN"});
        let answer = sam
            .post(&format!("/api/v1/sos/{sos}/participants/join"), join)
            .await;
        assert!([403, 404].contains(&answer.status), "{answer:?}");
        ana.get(&format!("/api/v1/sos/{sos}")).await.data(200);
    }
}

#[tokio::test]
async fn a_query_that_is_wrong_names_the_field() {
    let engine = Engine::start(&[]);
    let ana = engine.user("Ana");
    for (query, fields) in [
        ("limit=0", &["limit"][..]),
        ("limit=101", &["limit"]),
        ("limit=many", &["limit"]),
        ("lat=14.5", &["lng"]),
        ("lat=91&lng=0", &["lat"]),
        ("lat=14.5&lng=200", &["lng"]),
        ("lat=14.5&lng=120&radius=25001", &["radius"]),
        ("lat=14.5&lng=120&radius=0", &["radius"]),
        ("status=SLEEPING", &["status"]),
        ("type=EARTHQUAKE", &["type"]),
        ("cursor=xyz", &["cursor"]),
    ] {
        ana.get(&format!("/api/v1/sos?{query}"))
            .await
            .names_fields(fields);
    }
}

#[tokio::test]
async fn what_does_not_exist_is_not_found() {
    let engine = Engine::start(&[]);
    let ana = engine.user("Ana");
    for path in ["", "/events", "/messages", "/locations", "/participants/active"] {
        ana.get(&format!("/api/v1/sos/{}{path}", "0".repeat(32)))
            .await
            .refused(404, "NOT_FOUND");
    }
    // A circle is no incident.
    let mut at_ana = ana.connect().await;
    at_ana.creates("ana-circle").await;
    ana.get("/api/v1/sos/ana-circle").await.refused(404, "NOT_FOUND");
    let status = json!({"status": "RESOLVED"});
    ana.patch("/api/v1/sos/ana-circle/status", status)
        .await
        .refused(404, "NOT_FOUND");
}
