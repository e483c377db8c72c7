use super::*;

#[actix_web::test]
async fn somebody_joins_once_under_the_name_they_give_and_nobody_learns_more() {
    let rig = Rig::start();
    let id = rig.raise(&device(1)).await;
    let path = format!("/api/v1/sos/{id}/participants/join");
    let (who, stated) = (device(2), DeviceId::from_random([9; 16]).reveal());
    let body = json!({
        "userType": "anon_rescuer", "displayName": "Ben", "userId": stated, "phone": "09171234567"
    });
    let answer = rig.post(&who, &path, body.clone()).await;
    assert_eq!(answer.status, 201);
    let data = answer.data();
    assert_eq!(
        (
            &data["userType"],
            &data["status"],
            &data["displayName"],
            &data["sosId"]
        ),
        (
            &json!("ANON_RESCUER"),
            &json!("ACTIVE"),
            &json!("Ben"),
            &json!(id)
        )
    );
    let again = rig.post(&who, &path, body).await;
    assert_eq!(again.refusal(), (409, "ALREADY_JOINED"));
    assert_eq!(again.body["message"], "User already joined this SOS");
    let list = rig
        .get(&device(1), &format!("/api/v1/sos/{id}/participants/active"))
        .await;
    for secret in [who.1.as_str(), stated.as_str(), "9171234567"] {
        assert!(!list.body.to_string().contains(secret) && !answer.body.to_string().contains(secret));
    }
    assert_eq!(list.data().as_array().unwrap().len(), 2);
}

#[actix_web::test]
async fn a_user_type_is_claimed_by_those_who_have_it() {
    let rig = Rig::start();
    let id = rig.raise(&device(1)).await;
    let path = format!("/api/v1/sos/{id}/participants/join");
    let answer = rig.post(&device(2), &path, json!({"userType": "RESCUER"})).await;
    assert_eq!(answer.refusal(), (403, "FORBIDDEN"));
    assert!(answer.body["message"].as_str().unwrap().contains("userType"));
    let answer = rig.post(&device(2), &path, json!({"userType": "WIZARD"})).await;
    assert_eq!(answer.body["fields"][0]["field"], "userType");
    rig.join(&rig.user("rosa", Role::Rescuer, None), &id, "RESCUER")
        .await;
    rig.join(&rig.staff(), &id, "ADMIN").await;
}

#[actix_web::test]
async fn nobody_joins_what_is_over_or_not_there() {
    let rig = Rig::start();
    let id = rig.raise(&device(1)).await;
    rig.post(&device(1), &format!("/api/v1/sos/{id}/cancel"), json!({}))
        .await;
    let body = json!({"userType": "CITIZEN"});
    let path = format!("/api/v1/sos/{id}/participants/join");
    assert_eq!(
        rig.post(&device(2), &path, body.clone()).await.refusal(),
        (409, "SOS_CLOSED")
    );
    let path = "/api/v1/sos/nothing/participants/join";
    assert_eq!(
        rig.post(&device(2), path, body).await.refusal(),
        (404, "NOT_FOUND")
    );
}

#[actix_web::test]
async fn people_leave_by_themselves_and_staff_put_others_out() {
    let rig = Rig::start();
    let id = rig.raise(&device(1)).await;
    let base = format!("/api/v1/sos/{id}/participants");
    let ben = rig.join(&device(2), &id, "CITIZEN").await;
    let eva = rig.join(&device(3), &id, "CITIZEN").await;
    let leave = |who: &str| format!("{base}/{who}/leave");
    let answer = rig.patch(&device(2), &leave(&eva), json!({})).await;
    assert_eq!(answer.refusal(), (403, "FORBIDDEN"));
    let answer = rig.patch(&device(2), &leave(&ben), json!({})).await;
    assert_eq!((answer.status, &answer.data()["status"]), (200, &json!("LEFT")));
    let answer = rig.patch(&rig.staff(), &leave(&eva), json!({})).await;
    assert_eq!(answer.data()["id"], json!(eva));
    let answer = rig.patch(&rig.staff(), &leave(&eva), json!({})).await;
    assert_eq!(answer.refusal(), (409, "CONFLICT"));
    let answer = rig
        .patch(&rig.staff(), &leave("p-0000000000000000"), json!({}))
        .await;
    assert_eq!(answer.refusal(), (404, "NOT_FOUND"));
    let request = |n| {
        TestRequest::post()
            .uri(&format!("{base}/leave"))
            .insert_header(device(n))
    };
    assert_eq!(rig.send(request(2)).await.refusal(), (403, "FORBIDDEN"));
    rig.join(&device(2), &id, "CITIZEN").await;
    let answer = rig.send(request(2)).await;
    assert_eq!((answer.status, &answer.data()["id"]), (200, &json!(ben)));
}

#[actix_web::test]
async fn the_lists_know_who_is_in_and_who_was() {
    let rig = Rig::start();
    let id = rig.raise(&device(1)).await;
    let base = format!("/api/v1/sos/{id}/participants");
    let ben = rig.join(&device(2), &id, "ANON_RESCUER").await;
    rig.join(&rig.user("rosa", Role::Rescuer, None), &id, "RESCUER")
        .await;
    rig.patch(&device(2), &format!("{base}/{ben}/leave"), json!({}))
        .await;
    let count = |answer: &Answer| answer.data().as_array().unwrap().len();
    assert_eq!(count(&rig.get(&device(1), &format!("{base}/active")).await), 2);
    let first = rig.get(&device(1), &format!("{base}/history?limit=2")).await;
    let cursor = first.body["nextCursor"].as_str().unwrap();
    let rest = rig
        .get(&device(1), &format!("{base}/history?cursor={cursor}"))
        .await;
    assert_eq!((count(&first), count(&rest)), (2, 1));
    let stranger = rig.get(&device(9), &format!("{base}/history")).await;
    assert_eq!(stranger.refusal(), (403, "FORBIDDEN"));
    let check = rig.get(&device(1), &format!("{base}/{ben}/check")).await;
    assert_eq!(
        (&check.data()["isParticipant"], &check.data()["isActive"]),
        (&json!(true), &json!(false))
    );
    for path in [
        format!("{base}/stats"),
        format!("/api/v1/participants/{id}/stats"),
    ] {
        let stats = rig.get(&device(1), &path).await;
        assert_eq!(stats.data()["totalParticipants"], 3, "{path}");
        assert_eq!(stats.data()["activeParticipants"], 2);
        assert_eq!(stats.data()["registeredRescuers"], 1);
        assert!(stats.data()["averageParticipationTime"].as_f64().unwrap() >= 0.0);
    }
    for path in [
        format!("{base}/anonymous/count"),
        format!("/api/v1/participants/{id}/anonymous/count"),
    ] {
        assert_eq!(
            rig.get(&device(1), &path).await.data(),
            &json!({"anonymousCount": 1})
        );
    }
}

#[actix_web::test]
async fn a_mission_reaches_into_one_incident_only() {
    let rig = Rig::start();
    let (ours, other) = (rig.raise(&device(1)).await, rig.raise(&device(1)).await);
    let rescuer = rig.token("temp", Role::Anon, None, Some(&ours));
    rig.join(&rescuer, &ours, "ANON_RESCUER").await;
    let path = format!("/api/v1/sos/{other}/participants/join");
    let answer = rig
        .post(&rescuer, &path, json!({"userType": "ANON_RESCUER"}))
        .await;
    assert_eq!(answer.refusal(), (403, "FORBIDDEN"));
    let answer = rig.post(&rescuer, "/api/v1/sos", sos()).await;
    assert_eq!(answer.refusal(), (403, "FORBIDDEN"));
    let answer = rig.post(&rescuer, "/api/location", fix()).await;
    assert_eq!(answer.body["rooms"], json!([ours]));
    let mut body = fix();
    body["roomId"] = json!(other);
    assert_eq!(rig.post(&rescuer, "/api/location", body).await.error().0, 403);
}
