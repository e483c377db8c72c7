//! The authorisation matrix, held against the engine: every row × everybody × where they stand.

use actix_web::http::Method;
use actix_web::test::TestRequest;
use serde_json::{Value, json};

use super::{Credential, Rig, device, fix, sos};
use crate::actors::{Clock as _, SystemClock};
use crate::domain::dead_letter::DeadLetter;
use crate::domain::ids::RoomId;
use crate::domain::people::Role;
use crate::domain::room::Seq;
use crate::domain::time::Timestamp;
use crate::http::access::{Access, Needs, Who};
use crate::http::routes::table::{ROWS, Row};

/// Where somebody stands to an incident when they ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stands {
    /// It is public and they have nothing to do with it.
    Outside,
    /// It is not public and they have nothing to do with it.
    InTheDark,
    /// They are in it.
    In,
    /// They were in it and left.
    Gone,
    /// They raised it.
    Raised,
}

const STANDS: [Stands; 5] = [
    Stands::Outside,
    Stands::InTheDark,
    Stands::In,
    Stands::Gone,
    Stands::Raised,
];

/// What the table says comes of it: `None` when it is allowed, else the status.
fn refusal(row: &Row, who: Who, stands: Stands) -> Option<u16> {
    let needs = row.access.needs(who);
    let met = match needs {
        Needs::Nothing => true,
        Needs::Sight => stands != Stands::InTheDark,
        Needs::Part => matches!(stands, Stands::In | Stands::Gone | Stands::Raised),
        Needs::Place => matches!(stands, Stands::In | Stands::Raised),
        Needs::Aid => stands == Stands::In,
        Needs::NotOwn => stands != Stands::Raised,
        Needs::Own => stands == Stands::Raised,
        Needs::Never => false,
    };
    match (met, who, stands) {
        (true, ..) => None,
        // Without a key of one nobody is a sister service.
        _ if row.access == Access::SERVICE => Some(401),
        (false, Who::Visitor, _) if needs == Needs::Never => Some(401),
        (false, ..) if needs == Needs::Never => Some(403),
        // Operators see every incident.
        (false, Who::Dispatcher | Who::Admin | Who::Service, _) => Some(403),
        (false, _, Stands::InTheDark) => Some(404),
        (false, ..) => Some(403),
    }
}

/// Whether somebody can stand so.
fn possible(who: Who, stands: Stands) -> bool {
    match who {
        // A mission's bearer is sent to an incident: from outside they ask for another.
        Who::Mission => !matches!(stands, Stands::Raised),
        // Nor does a service take part in anything.
        Who::Visitor | Who::Service => matches!(stands, Stands::Outside | Stands::InTheDark),
        _ => true,
    }
}

/// The trip that the matrix begins and ends.
const TRIP: &str = "trip-1";

struct Scene {
    rig: Rig,
    n: u32,
}

impl Scene {
    fn credential(&self, who: Who, mission: &str) -> Option<Credential> {
        let rig = &self.rig;
        Some(match who {
            Who::Visitor => return None,
            Who::Service => rig.service(),
            Who::Device => device(9),
            Who::Mission => rig.token("sent", Role::Rescuer, None, Some(mission)),
            Who::Citizen => rig.user("cora", Role::Citizen, None),
            Who::Rescuer => rig.user("rex", Role::Rescuer, None),
            Who::Dispatcher => rig.user("dina", Role::Dispatcher, None),
            Who::Admin => rig.user("ada", Role::Admin, None),
        })
    }

    /// An incident to which `who` stands so, their credential, and somebody else who is in it.
    async fn set(&mut self, who: Who, stands: Stands) -> (String, Option<Credential>, String) {
        self.n += 1;
        let creator = self.rig.citizen(&format!("creator-{}", self.n));
        let mut report = sos();
        if stands == Stands::InTheDark {
            report["visibility"] = json!("RESTRICTED");
        }
        let own = self.credential(who, "0").filter(|_| stands == Stands::Raised);
        let answer = self
            .rig
            .post(own.as_ref().unwrap_or(&creator), "/api/v1/sos", report)
            .await;
        let incident = answer.data()["sosId"].as_str().unwrap().to_owned();
        let bound_to = if matches!(stands, Stands::Outside | Stands::InTheDark) {
            "another"
        } else {
            &incident
        };
        let credential = self.credential(who, bound_to);
        if let Some(credential) = &credential
            && matches!(stands, Stands::In | Stands::Gone)
        {
            let user_type = match who {
                Who::Rescuer => "RESCUER",
                Who::Device | Who::Mission => "ANON_RESCUER",
                Who::Dispatcher | Who::Admin => "ADMIN",
                _ => "CITIZEN",
            };
            self.rig.join(credential, &incident, user_type).await;
        }
        if let Some(credential) = &credential
            && stands == Stands::Gone
        {
            let path = format!("/api/v1/sos/{incident}/participants/leave");
            assert_eq!(self.rig.post(credential, &path, json!({})).await.status, 200);
        }
        let staff = self.rig.staff();
        let other = self.rig.join(&staff, &incident, "ADMIN").await;
        (incident, credential, other)
    }

    /// The incident's first event was refused for good.
    async fn bury(&self, incident: &str) {
        let letter = DeadLetter {
            room: RoomId::new(incident).unwrap(),
            seq: Seq::new(1),
            kind: "created".into(),
            status: 422,
            attempts: 5,
            at: Timestamp::from_ms(1),
        };
        let store = &self.rig.engine.node().store;
        store.put_dead_letter(letter).await.unwrap();
    }

    /// A check-in of theirs; nothing is known by what this is called of whoever may have none.
    async fn check_in(&self, who: &Credential) -> String {
        let body = json!({"dueAt": self.rig.engine.node().now().ms() + 60_000});
        let begun = self.rig.post(who, "/api/v1/checkins", body).await;
        let id = begun.body["data"]["id"].as_str();
        id.unwrap_or("none").to_owned()
    }

    async fn ask(&self, row: &Row, incident: &str, other: &str, who: Option<&Credential>) -> super::Answer {
        let path = row.path.replace("{id}", incident).replace("{participant}", other);
        let path = path.replace("{seq}", "1");
        let link = || {
            let room = RoomId::new(incident).unwrap();
            self.rig.api.links.token(&room, other.parse().unwrap())
        };
        let path = match who.filter(|_| path.contains("{checkin}")) {
            Some(who) => path.replace("{checkin}", &self.check_in(who).await),
            None => path,
        };
        let path = if path.contains("{token}") {
            path.replace("{token}", &link())
        } else {
            path
        };
        let path = path.replace("{trip}", TRIP).replace("{user}", "ana");
        let path = path.replace("/nearby", "/nearby?latitude=14.6&longitude=121");
        let mut request = TestRequest::default().method(row.method.clone()).uri(&path);
        if let Some(credential) = who {
            request = request.insert_header(credential.clone());
        }
        if row.method != Method::GET && row.method != Method::HEAD {
            request = request.set_json(body(row, incident, other));
        }
        self.rig.send(request).await
    }
}

/// A body that the route takes.
fn body(row: &Row, incident: &str, other: &str) -> Value {
    if row.access == Access::SERVICE {
        return for_services(row, incident, other);
    }
    let last = row.path.rsplit('/').next().unwrap_or_default();
    match (row.path, last) {
        ("/api/v1/sos", _) => sos(),
        (_, "status") => json!({"status": "RESPONDING"}),
        (_, "location") => fix(),
        (_, "batch") => json!({"fixes": [fix()]}),
        (_, "messages") => json!({"content": "we are coming"}),
        (_, "reports") => json!({"participantId": "p-0000000000000001", "reason": "a liar"}),
        (_, "join") => json!({"userType": "CITIZEN"}),
        (_, "contacts") => json!({"emergency_contacts": [], "dependent_contacts": []}),
        ("/api/v1/pin", _) => json!({"pin": "4711", "currentPin": "4711"}),
        ("/api/v1/checkins", _) => json!({"dueAt": SystemClock.now().ms() + 60_000}),
        (_, "push") => json!({"service": "FCM", "token": "token"}),
        (
            _,
            "leave" | "confirm" | "{checkin}" | "cancel" | "close" | "acknowledge" | "{token}" | "tickets"
            | "devices" | "me" | "block",
        ) => json!({}),
        (path, _) => panic!("give {path} a body here"),
    }
}

fn for_services(row: &Row, incident: &str, other: &str) -> Value {
    match row.path.rsplit('/').next().unwrap_or_default() {
        "trips" => json!({"tripId": TRIP, "driverId": "dan", "passengerIds": ["pia"]}),
        "end" | "retry" | "changed" => json!({}),
        "init" => json!({"sosId": "sos-1", "citizenId": "ana"}),
        "close" => json!({"closedBy": "dora"}),
        "status" => json!({"status": "RESPONDING", "updatedBy": "dora"}),
        "type" => json!({"type": "MEDICAL"}),
        "rescuer-location" => json!({"rescuerId": "rob", "latitude": 14.6, "longitude": 121}),
        "broadcast" => json!({"sosId": incident, "message": {
            "id": "m-1", "senderType": "CITIZEN", "senderId": "ana", "content": "help is near",
        }}),
        "otp" => json!({"to": "+639171234567", "channel": "SMS"}),
        // No code was sent: that it lacks one is said first.
        "verify" => json!({"id": "none"}),
        "joined" => json!({"sosId": incident, "userId": "rob"}),
        "left" => json!({"sosId": incident, "userId": other}),
        _ => panic!("give {} a body here", row.path),
    }
}

#[actix_web::test]
async fn everybody_may_do_what_the_table_says_and_nothing_else() {
    let mut scene = Scene {
        rig: Rig::start(),
        n: 0,
    };
    let mut wrong = Vec::new();
    for row in ROWS {
        for who in Who::ALL {
            for stands in STANDS {
                // What is about no incident is asked once, by somebody who is in one if they can be.
                let once = [Stands::In, Stands::Outside]
                    .into_iter()
                    .find(|stands| possible(who, *stands));
                let about_an_incident = row.path.contains("{id}");
                if !possible(who, stands) || !about_an_incident && Some(stands) != once {
                    continue;
                }
                let (incident, credential, other) = scene.set(who, stands).await;
                if row.path.contains("{seq}") {
                    scene.bury(&incident).await;
                }
                let answer = scene.ask(row, &incident, &other, credential.as_ref()).await;
                let expected = refusal(row, who, stands);
                let refused = matches!(answer.status, 401 | 403 | 404).then_some(answer.status);
                if refused != expected || answer.status >= 500 {
                    wrong.push(format!(
                        "{} {} by {who:?} who stands {stands:?}: {} instead of {expected:?}, {}",
                        row.method, row.path, answer.status, answer.body
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} answers:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_route_stands_once_and_its_path_together() {
    for (n, row) in ROWS.iter().enumerate() {
        let twin = |other: &&Row| other.path == row.path && other.method == row.method;
        assert_eq!(ROWS.iter().filter(twin).count(), 1, "{} {}", row.method, row.path);
        let first = ROWS.iter().position(|other| other.path == row.path).unwrap();
        let together = ROWS[first..=n].iter().all(|other| other.path == row.path);
        assert!(together, "{} stands in two places", row.path);
    }
}
