//! Trips: a sister service begins and ends them, and those on them are told where their driver is.

mod emergency;
mod services;
mod travelling;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::engine::INTERNAL_TOKEN;
use crate::support::http::Answer;
use crate::support::{Client, Engine, HERE, Person};

/// What the service that runs trips asks for.
pub struct Dispatch<'e>(pub &'e Engine);

impl Dispatch<'_> {
    pub async fn posts(&self, path: &str, body: Value) -> Answer {
        let request = self.0.nobody().request(Method::POST, path);
        let request = request.header("X-Internal-Token", INTERNAL_TOKEN);
        request.json(&body).send().await
    }

    pub async fn gets(&self, path: &str) -> Answer {
        let request = self.0.nobody().request(Method::GET, path);
        request.header("X-Internal-Token", INTERNAL_TOKEN).send().await
    }

    /// Begins a trip of Dan's with Pia and Pol.
    pub async fn begins(&self, trip: &str) -> Value {
        self.posts("/internal/trips", body(trip)).await.data(201)
    }

    pub async fn ends(&self, trip: &str) -> Value {
        self.posts(&format!("/internal/trips/{trip}/end"), json!({}))
            .await
            .data(200)
    }

    /// The trips within so many km of the place where most things happen.
    pub async fn near(&self, km: f64) -> Vec<Value> {
        let path = format!(
            "/internal/trips/nearby?latitude={}&longitude={}&radius={km}",
            HERE.0, HERE.1
        );
        let data = self.gets(&path).await.data(200);
        data.as_array().unwrap().clone()
    }
}

pub fn body(trip: &str) -> Value {
    json!({
        "tripId": trip, "driverId": "user-dan", "passengerIds": ["user-pia", "user-pol"], "bookingId": "b-1",
    })
}

/// A trip that goes on, and those on it, each with a connection that was told of it.
pub struct Trip {
    pub engine: Engine,
    pub dan: Person,
    pub pia: Person,
    pub at_dan: Client,
    pub at_pia: Client,
    /// Who they are on it.
    pub dan_id: Value,
    pub pia_id: Value,
}

pub const TRIP: &str = "trip-1";

/// Dan drives, Pia and he are connected; Pol is not.
pub async fn trip_on(engine: Engine) -> Trip {
    Dispatch(&engine).begins(TRIP).await;
    let (dan, pia) = (engine.user("Dan"), engine.user("Pia"));
    let (mut at_dan, mut at_pia) = (dan.connect().await, pia.connect().await);
    assert_eq!(at_dan.greeting["roomIds"], json!([TRIP]));
    let drives = joins(&mut at_dan).await;
    let rides = joins(&mut at_pia).await;
    at_dan
        .expect(json!({"type": "user-joined", "roomId": TRIP, "user": {"name": "Pia"}}))
        .await;
    assert_eq!(drives["participantId"], drives["driverId"]);
    assert_eq!(rides["driverId"], drives["driverId"]);
    Trip {
        engine,
        dan,
        pia,
        at_dan,
        at_pia,
        dan_id: drives["participantId"].clone(),
        pia_id: rides["participantId"].clone(),
    }
}

pub async fn trip() -> Trip {
    trip_on(Engine::start(&[])).await
}

/// Takes a seat in the trip.
pub async fn joins(client: &mut Client) -> Value {
    client.says(json!({"type": "trip:join", "tripId": TRIP})).await;
    let joined = json!({
        "type": "trip:joined", "tripId": TRIP, "recovered": false, "participantId": "p-*", "driverId": "p-*",
        "bookingId": "b-1",
    });
    let joined = client.expect(joined).await;
    assert_eq!(joined["passengerIds"].as_array().unwrap().len(), 2);
    joined
}

/// A fix so many degrees north of where most things happen.
pub fn fix(north: f64) -> Value {
    json!({"type": "location-update", "latitude": HERE.0 + north, "longitude": HERE.1})
}
