//! Incident clients: the field's own Socket.IO client against the engine, by polling, by WebSocket, and moving from the
//! one to the other.

mod admin;
mod door;
mod recovery;
mod rows;
mod sides;
mod transports;

use serde_json::{Value, json};

use crate::support::{Engine, Person, Puppet, Puppets, fire};

/// The ways that clients travel.
const POLLING: &[&str] = &["polling"];
const WEBSOCKET: &[&str] = &["websocket"];
const UPGRADE: &[&str] = &["polling", "websocket"];

/// Ana raised an incident; she, Ben and Rita, a rescuer, are in it.
struct Scene {
    engine: Engine,
    puppets: Puppets,
    sos: String,
    ana: Person,
    at_ana: Puppet,
    at_ben: Puppet,
    at_rita: Puppet,
    /// Who they are in it.
    ana_id: Value,
    ben_id: Value,
    rita_id: Value,
}

/// Everybody over these transports; Rita in the namespace `/sos`.
async fn scene(transports: &[&str]) -> Scene {
    scene_on(Engine::start(&[]), transports).await
}

async fn scene_on(engine: Engine, transports: &[&str]) -> Scene {
    let puppets = Puppets::start();
    let (ana, ben) = (engine.user("Ana"), engine.user("Ben"));
    let rita = engine.user("Rita").role("RESCUER");
    let sos = ana.raises(fire()).await;
    let mut at_ana = puppets.connect("Ana", &ana, "/", transports).await;
    let ana_id = at_ana.joins(&sos).await;
    let mut at_ben = puppets.connect("Ben", &ben, "/", transports).await;
    let ben_id = at_ben.joins(&sos).await;
    come(&mut [&mut at_ana], &sos, &ben_id, "Ben").await;
    let mut at_rita = puppets.connect("Rita", &rita, "/sos", transports).await;
    let rita_id = at_rita.joins(&sos).await;
    come(&mut [&mut at_ana, &mut at_ben], &sos, &rita_id, "Rita").await;
    Scene {
        engine,
        puppets,
        sos,
        ana,
        at_ana,
        at_ben,
        at_rita,
        ana_id,
        ben_id,
        rita_id,
    }
}

/// These hear that somebody came who was not in before.
async fn come(clients: &mut [&mut Puppet], sos: &str, who: &Value, name: &str) {
    for client in clients {
        let who = json!({"sosId": sos, "userId": who});
        client.expect("sos:init", who.clone()).await;
        for event in ["sos:room:joined", "participant:joined"] {
            let told = client.expect(event, who.clone()).await;
            assert_eq!(told["displayName"], name, "{told}");
        }
    }
}

impl Scene {
    /// Nobody has heard anything that no story expected.
    async fn is_quiet(&mut self) {
        for client in [&mut self.at_ana, &mut self.at_ben, &mut self.at_rita] {
            client.hears_nothing_more().await;
        }
    }
}
