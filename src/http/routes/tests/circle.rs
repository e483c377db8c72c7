use super::*;
use crate::domain::room::{Command, Genesis, UserType};

const MARIA: &str = "+639171234567";
const PEDRO: &str = "+639181234567";

/// A circle of Maria's, with Pedro as her contact.
async fn circle(rig: &Rig) -> (Credential, Credential) {
    let owner = Arc::new(Identity {
        phone: Some(number(MARIA)),
        ..person("maria")
    });
    let command = Command::Create {
        genesis: Genesis::Circle,
        user_type: UserType::Citizen,
    };
    let room = "home".parse().unwrap();
    rig.engine.act(&room, &owner, command, None).await.unwrap();
    let maria = rig.user("maria", Role::Citizen, Some(MARIA));
    let body = json!({"emergency_contacts": [{"name": "Pedro", "phone_no": "0918 123 4567"}]});
    assert_eq!(rig.put(&maria, "/api/contacts", body).await.status, 200);
    (maria, rig.user("pedro", Role::Citizen, Some(PEDRO)))
}

fn to(room: &str) -> Value {
    let mut body = fix();
    body["roomId"] = json!(room);
    body
}

#[actix_web::test]
async fn a_position_goes_to_the_rooms_that_its_sender_is_in() {
    let rig = Rig::start();
    let (maria, pedro) = circle(&rig).await;
    let answer = rig.post(&maria, "/api/location", fix()).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(
        (&answer.body["success"], &answer.body["rooms"]),
        (&json!(true), &json!(["home"]))
    );
    assert!(answer.body["timestamp"].is_string());
    let answer = rig.post(&pedro, "/api/location", fix()).await;
    let text = "User is not in any active room. Provide roomId for disconnected location updates.";
    assert_eq!(answer.error(), (409, text));
    assert_eq!(answer.body, json!({"error": text}));
    let answer = rig.post(&pedro, "/api/location", to("home")).await;
    assert_eq!(
        answer.body["rooms"],
        json!(["home"]),
        "a contact need not be connected"
    );
}

#[actix_web::test]
async fn a_position_is_refused_by_room_and_by_field() {
    let rig = Rig::start();
    let (maria, _) = circle(&rig).await;
    let answer = rig.post(&rig.citizen("eve"), "/api/location", to("home")).await;
    assert_eq!(
        answer.error(),
        (403, "User is not authorized to broadcast to this room")
    );
    let answer = rig.post(&maria, "/api/location", to("nothing")).await;
    assert_eq!(answer.error(), (404, "Room not found"));
    for (field, value) in [
        ("latitude", json!(91)),
        ("longitude", json!("121")),
        ("timestamp", Value::Null),
        ("accuracy", json!(-1)),
        ("timestamp", json!(SystemClock.now().ms() + 3_600_000)),
    ] {
        let mut body = fix();
        body[field] = value;
        let answer = rig.post(&maria, "/api/location", body).await;
        let (status, error) = answer.error();
        assert!(status == 400 && error.contains(field), "{error}");
    }
}

#[actix_web::test]
async fn each_fix_of_a_batch_is_judged_alone() {
    let rig = Rig::start();
    let (maria, _) = circle(&rig).await;
    let now = SystemClock.now().ms();
    let at = |ms: i64| json!({"latitude": 14.6, "longitude": 121.0, "timestamp": ms});
    let body = json!({"fixes": [
        at(now - 120_000), at(now + 3_600_000), {"latitude": 1}, to("nothing"), at(now - 60_000), 7
    ]});
    let answer = rig.post(&maria, "/api/location/batch", body).await;
    assert_eq!((answer.status, &answer.body["accepted"]), (200, &json!(2)));
    let rejected = answer.body["rejected"].as_array().unwrap();
    let places: Vec<_> = rejected.iter().map(|r| r["index"].as_u64().unwrap()).collect();
    assert_eq!(places, [1, 2, 3, 5]);
    assert!(rejected[0]["error"].as_str().unwrap().contains("timestamp"));
    assert_eq!(rejected[2]["error"], "Room not found");
    let history = rig.get(&maria, "/api/locations?limit=1").await;
    assert_eq!(history.body["locations"].as_array().unwrap().len(), 1);
    let cursor = history.body["nextCursor"].as_str().unwrap();
    let history = rig.get(&maria, &format!("/api/locations?cursor={cursor}")).await;
    assert_eq!(history.body["locations"].as_array().unwrap().len(), 1);
    assert!(history.body["nextCursor"].is_null());
    let many = json!({"fixes": vec![Value::Null; 501]});
    let answer = rig.post(&maria, "/api/location/batch", many).await;
    assert!(answer.status == 400 && answer.error().1.contains("fixes"));
}

#[actix_web::test]
async fn a_contact_sees_where_the_people_are_who_rely_on_them() {
    let rig = Rig::start();
    let (maria, pedro) = circle(&rig).await;
    rig.post(&maria, "/api/location", fix()).await;
    let answer = rig.get(&pedro, "/api/locations/contacts").await;
    let people = answer.body["locations_by_user"].as_object().unwrap();
    let (id, seen) = people.iter().next().unwrap();
    assert!(id.starts_with("p-"), "{id}");
    assert_eq!(
        (&seen["user_name"], &seen["user_phone"]),
        (&json!("maria"), &json!(MARIA))
    );
    assert_eq!(seen["locations"].as_array().unwrap().len(), 1);
    let answer = rig.get(&rig.citizen("eve"), "/api/locations/contacts").await;
    assert_eq!(answer.body, json!({"locations_by_user": {}}));
}

#[actix_web::test]
async fn contacts_are_kept_for_registered_users() {
    let rig = Rig::start();
    let (maria, pedro) = circle(&rig).await;
    let answer = rig.get(&maria, "/api/contacts").await;
    assert_eq!(
        answer.body,
        json!({"emergency_contacts": [{"name": "Pedro", "phone_no": PEDRO}], "dependent_contacts": []})
    );
    assert_eq!(rig.get(&device(1), "/api/contacts").await.error().0, 403);
    let body = json!({"emergency_contacts": [{"name": "Pedro", "phone_no": "12"}]});
    let answer = rig.put(&maria, "/api/contacts", body).await;
    assert!(
        answer.status == 400 && answer.error().1.contains("phone_no"),
        "{}",
        answer.body
    );
    let body = json!({"emergency_contacts": []});
    assert_eq!(rig.put(&maria, "/api/contacts", body).await.status, 200);
    let answer = rig.post(&pedro, "/api/location", to("home")).await;
    assert_eq!(
        answer.error().0,
        403,
        "whoever is taken off the list is out at once"
    );
}

#[actix_web::test]
async fn rooms_are_shown_to_their_people_and_all_of_them_to_an_admin() {
    let rig = Rig::start();
    let (maria, pedro) = circle(&rig).await;
    rig.raise(&device(1)).await;
    let answer = rig.get(&maria, "/api/rooms-info").await;
    assert_eq!(answer.body["rooms"][0]["roomId"], "home");
    assert_eq!(answer.body["rooms"][0]["isOwner"], true);
    assert!(answer.body.get("counts").is_none());
    assert_eq!(rig.get(&pedro, "/api/rooms-info").await.body["rooms"], json!([]));
    let answer = rig
        .get(&rig.user("root", Role::Admin, None), "/api/rooms-info")
        .await;
    assert_eq!(answer.body["counts"]["rooms"], 2);
    assert_eq!(answer.body["counts"]["members"], 2);
    assert!(!answer.body.to_string().contains(&device(1).1));
}

#[actix_web::test]
async fn a_circle_is_no_incident() {
    let rig = Rig::start();
    let (maria, pedro) = circle(&rig).await;
    for path in [
        "",
        "/events",
        "/messages",
        "/locations",
        "/participants/active",
        "/participants/stats",
    ] {
        let answer = rig.get(&maria, &format!("/api/v1/sos/home{path}")).await;
        assert_eq!(answer.refusal(), (404, "NOT_FOUND"), "{path}");
    }
    for (path, body) in [
        ("messages", json!({"content": "x"})),
        ("location", fix()),
        ("cancel", json!({})),
        ("participants/join", json!({"userType": "CITIZEN"})),
        ("participants/leave", json!({})),
    ] {
        for who in [&maria, &pedro] {
            let answer = rig
                .post(who, &format!("/api/v1/sos/home/{path}"), body.clone())
                .await;
            assert_eq!(answer.refusal(), (404, "NOT_FOUND"), "{path}");
        }
    }
}
