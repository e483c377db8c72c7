//! Beginnings that many stories share.

use serde_json::{Value, json};

use super::{Client, Engine, Person};

/// Ana's number.
pub const ANA: &str = "+639171234501";
/// Ben's number.
pub const BEN: &str = "+639171234502";
/// Cara's number.
pub const CARA: &str = "+639171234503";

/// Where most things happen: Manila, Rizal Park.
pub const HERE: (f64, f64) = (14.5826, 120.9787);

/// Ana and Ben, her emergency contact, both connected and in her circle.
pub struct Circle {
    pub engine: Engine,
    pub ana: Person,
    pub ben: Person,
    pub room: String,
    pub at_ana: Client,
    pub at_ben: Client,
    /// Who they are in the circle.
    pub ana_id: Value,
    pub ben_id: Value,
}

/// Ana has a circle, and Ben is in it.
pub async fn circle() -> Circle {
    circle_on(Engine::start(&[])).await
}

/// The same on an engine of the story's own.
pub async fn circle_on(engine: Engine) -> Circle {
    let room = "ana-circle".to_owned();
    let (ana, ben) = (engine.user("Ana").phone(ANA), engine.user("Ben").phone(BEN));
    ana.trusts(&[("Ben", BEN)]).await;
    let mut at_ben = ben.connect().await;
    let mut at_ana = ana.connect().await;
    let created = at_ana.creates(&room).await;
    let joined = at_ben
        .expect(json!({"type": "auto-joined", "roomId": room, "roomOwner": "Ana"}))
        .await;
    let told = json!({"type": "emergency-contact-joined", "roomId": room, "contactName": "Ben"});
    let told = at_ana.expect(told).await;
    at_ana.hears_nothing_more().await;
    at_ben.hears_nothing_more().await;
    assert_eq!(told["contactId"], joined["participantId"]);
    Circle {
        engine,
        ana,
        ben,
        room,
        at_ana,
        at_ben,
        ana_id: created["owner"].clone(),
        ben_id: joined["participantId"].clone(),
    }
}

/// The body of a public incident here.
pub fn fire() -> Value {
    json!({
        "type": "FIRE", "message": "The kitchen is on fire",
        "location": {"latitude": HERE.0, "longitude": HERE.1},
    })
}

/// `fire` with some fields changed.
pub fn fire_with(changes: Value) -> Value {
    let mut body = fire();
    let Value::Object(changes) = changes else {
        panic!("changes are an object")
    };
    for (key, value) in changes {
        body[key] = value;
    }
    body
}
