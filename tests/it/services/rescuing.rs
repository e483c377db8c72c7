//! Where rescuers are, as a service tells and asks.

use serde_json::{Value, json};

use super::{at, burning, sister};
use crate::support::HERE;

fn fix(rescuer: &str, north: f64) -> Value {
    json!({"rescuerId": rescuer, "latitude": HERE.0 + north, "longitude": HERE.1, "accuracy": 4})
}

#[tokio::test]
async fn a_rescuer_who_is_somewhere_is_in_it_and_is_seen_there() {
    let mut fire = burning().await;
    let sister = sister(&fire.engine);
    let path = at(&fire.sos, "rescuer-location");
    assert_eq!(sister.gets(&path).await.data(200), Value::Null);
    let taken = sister.posts(&path, fix("user-rob", 0.01)).await.data(200);
    assert_eq!(
        taken,
        json!({
            "sosId": fire.sos, "rescuerId": "user-rob", "participantId": taken["participantId"],
            "latitude": HERE.0 + 0.01, "longitude": HERE.1, "accuracy": 4.0, "timestamp": taken["timestamp"],
        })
    );
    let rob = json!({"id": taken["participantId"], "role": "RESCUER"});
    fire.at_ana
        .expect(json!({"type": "user-joined", "roomId": fire.sos, "user": rob}))
        .await;
    let seen = json!({"userId": taken["participantId"], "latitude": HERE.0 + 0.01, "accuracy": 4});
    fire.at_ana
        .expect(json!({"type": "location-update", "roomId": fire.sos, "data": seen}))
        .await;
    let found = crate::support::eventually("where he is", async || {
        let found = sister.gets(&path).await.data(200);
        (!found.is_null()).then_some(found)
    })
    .await;
    assert_eq!(found, taken);
    // By the name that others know him by, too; and nobody else is taken for him.
    let of = |who: &str| format!("{path}?rescuerId={who}");
    let him = taken["participantId"].as_str().unwrap();
    assert_eq!(sister.gets(&of(him)).await.data(200), taken);
    for other in ["user-ana", "user-eve", "p-0123456789abcdef"] {
        assert_eq!(sister.gets(&of(other)).await.data(200), Value::Null, "{other}");
    }
    let history = format!("/api/v1/sos/{}/locations?subject={him}", fire.sos);
    let (history, _) = fire.ana.get(&history).await.page();
    assert_eq!(history.len(), 1, "history keeps it");
}

#[tokio::test]
async fn whoever_is_in_it_as_something_else_was_put_out_or_comes_too_late_is_no_rescuer() {
    let mut fire = burning().await;
    let sister = sister(&fire.engine);
    let path = at(&fire.sos, "rescuer-location");
    let refused = sister
        .posts(&path, fix("user-ana", 0.0))
        .await
        .refused(409, "CONFLICT");
    assert_eq!(refused["message"], "rescuerId takes part as CITIZEN");
    sister
        .posts(&path, fix("p-0123456789abcdef", 0.0))
        .await
        .names_fields(&["rescuerId"]);

    let taken = sister.posts(&path, fix("user-rob", 0.0)).await.data(200);
    let him = taken["participantId"].as_str().unwrap();
    for kind in ["user-joined", "location-update"] {
        fire.at_ana
            .expect(json!({"type": kind, "roomId": fire.sos}))
            .await;
    }
    let out = format!("/api/v1/sos/{}/participants/{him}/leave", fire.sos);
    fire.ana.patch(&out, json!({})).await.data(200);
    fire.at_ana
        .expect(json!({"type": "user-left", "roomId": fire.sos, "clientId": him}))
        .await;
    sister
        .posts(&path, fix("user-rob", 0.0))
        .await
        .refused(403, "FORBIDDEN");
    assert_eq!(sister.gets(&path).await.data(200), Value::Null);
    // Whoever put him out may have been wrong: a service brings him back by saying so.
    let back = json!({"sosId": fire.sos, "userId": "user-rob", "userType": "RESCUER"});
    sister.posts("/api/participants/joined", back).await.data(200);
    sister.posts(&path, fix("user-rob", 0.0)).await.data(200);

    let closing = json!({"closedBy": "user-dora"});
    sister.posts(&at(&fire.sos, "close"), closing).await.data(200);
    sister
        .posts(&path, fix("user-rob", 0.0))
        .await
        .refused(409, "SOS_CLOSED");
}
