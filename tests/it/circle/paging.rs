//! Lists of the circle's REST in pages: nothing twice, nothing missing.

use serde_json::{Value, json};

use crate::support::{HERE, circle, now_ms};

#[tokio::test]
async fn a_contact_reads_on_where_somebody_has_been_to_many_places() {
    let circle = circle().await;
    let start = now_ms() - 1_000_000;
    let fixes: Vec<Value> = (0..12_u64)
        .map(|n| {
            #[expect(clippy::cast_precision_loss, reason = "a small number")]
            let north = n as f64 * 0.001;
            json!({"latitude": HERE.0 + north, "longitude": HERE.1, "timestamp": start + n * 60_000})
        })
        .collect();
    circle
        .ana
        .post("/api/location/batch", json!({"fixes": fixes}))
        .await
        .ok(200);
    let ana = circle.ana_id.as_str().unwrap();
    let (mut told, mut cursor) = (Vec::new(), String::new());
    loop {
        let path = format!("/api/locations/contacts?limit=5{cursor}");
        let page = circle.ben.get(&path).await.ok(200);
        let entry = &page["locations_by_user"][ana];
        let times = entry["locations"].as_array().unwrap().iter();
        let times: Vec<String> = times
            .map(|fix| fix["timestamp"].as_str().unwrap().to_owned())
            .collect();
        if cursor.is_empty() {
            // Where she is now, once the room knows it, stands at the end of the first page, whatever else there is.
            assert!((5..=6).contains(&times.len()), "{page}");
            told.extend(times[..5].to_vec());
        } else {
            told.extend(times);
        }
        match entry["nextCursor"].as_str() {
            Some(next) => cursor = format!("&subject={ana}&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(told.len(), 12);
    assert!(
        told.is_sorted() && told.windows(2).all(|pair| pair[0] != pair[1]),
        "{told:?}"
    );
    let other = circle
        .ben
        .get("/api/locations/contacts?subject=p-0000000000000001")
        .await
        .ok(200);
    assert_eq!(other, json!({"locations_by_user": {}}));
}

#[tokio::test]
async fn rooms_come_in_pages_to_those_who_ask_for_pages() {
    let circle = circle().await;
    let mut expected = vec![circle.room.clone()];
    for _ in 0..4 {
        let path = "/api/v1/sos";
        let body = json!({"type": "FIRE", "message": "the roof is burning", "location": {"latitude": 1, "longitude": 2}});
        let sos = circle.ana.post(path, body).await.data(201);
        expected.push(sos["sosId"].as_str().unwrap().to_owned());
    }
    expected.sort_unstable();
    let operator = circle.engine.user("Adam").role("ADMIN");
    for person in [&circle.ana, &operator] {
        let (mut told, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = person
                .get(&format!("/api/rooms-info?limit=2{cursor}"))
                .await
                .ok(200);
            let rooms = page["rooms"].as_array().unwrap();
            assert!(rooms.len() <= 2);
            told.extend(
                rooms
                    .iter()
                    .map(|room| room["roomId"].as_str().unwrap().to_owned()),
            );
            match page["nextCursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        assert_eq!(told, expected);
    }
    for (query, field) in [
        ("limit=101", "limit"),
        ("limit=0", "limit"),
        ("cursor=zz", "cursor"),
    ] {
        let error = circle
            .ana
            .get(&format!("/api/rooms-info?{query}"))
            .await
            .bare_error(400);
        assert!(error.contains(field), "{error}");
    }
}
