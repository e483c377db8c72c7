//! What must stand before reads are measured: incidents round cities, some of them busy, and circles whose people
//! look after each other. All of it comes in by the wire, as it would.

use serde_json::{Value, json};

use crate::Result;
use crate::cli::Common;
pub use crate::crew::device;
use crate::crew::{Devices, IdKeys, settle, sos_id};
use crate::dialect::Opening;
use crate::http;
use crate::pool::{Pool, run_all};
use crate::reactor::{ConnId, Ending, Handler, Reactor};
use crate::scan;
use crate::stats::SECOND;

const WRITERS: usize = 64;
/// Every so many-th incident is for staff and those in it only.
const RESTRICTED_EVERY: usize = 10;
/// Incidents that people gather in.
const BUSY: usize = 10;
const PEOPLE: usize = 20;
const MESSAGES: usize = 100;
const FIXES: usize = 200;
/// People with a circle each, every one of them the contact of the one before.
pub const CIRCLES: usize = 20;
const PATIENCE: u64 = 30 * SECOND;

/// Ten cities of the Philippines.
const CITIES: [(f64, f64); 10] = [
    (14.5995, 120.9842),
    (14.6760, 121.0437),
    (10.3157, 123.8854),
    (7.1907, 125.4553),
    (16.4023, 120.5960),
    (8.4542, 124.6319),
    (10.7202, 122.5621),
    (6.9214, 122.0790),
    (13.1391, 123.7438),
    (11.2430, 125.0081),
];

/// An open incident.
pub struct Incident {
    pub id: String,
    pub at: (f64, f64),
    pub is_public: bool,
}

/// All of them, and where.
pub struct Incidents {
    pub cities: Vec<(f64, f64)>,
    pub all: Vec<Incident>,
}

/// An incident with people, messages and positions. Its device raised it and is in it.
pub struct Busy {
    pub id: String,
    pub device: String,
    pub participant: String,
}

/// Device ids by what they are for, so that none is used twice.
pub struct Names(Devices);

impl Names {
    pub fn new() -> Self {
        Self(Devices::of_this_run())
    }
    pub fn raiser(&self, number: usize) -> String {
        self.0.id(number as u64)
    }
    pub fn helper(&self, number: usize) -> String {
        self.0.id((1 << 32) + number as u64)
    }
    pub fn looker(&self, number: usize) -> String {
        self.0.id((2 << 32) + number as u64)
    }
}

/// The header of a token with these claims.
pub fn bearer(common: &Common, mut claims: Value) -> Result<String> {
    claims["exp"] = json!(std::time::UNIX_EPOCH.elapsed()?.as_secs() + 24 * 3600);
    let key = jsonwebtoken::EncodingKey::from_secret(common.jwt_secret.as_bytes());
    let token = jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key)?;
    Ok(format!("Authorization: Bearer {token}\r\n"))
}

/// Person `number`, who has a number of their own.
pub fn citizen(common: &Common, number: usize) -> Result<String> {
    let name = format!("Citizen {number}");
    let claims = json!({"userId": format!("citizen-{number}"), "role": "CITIZEN", "name": name, "phone_no": phone(number)});
    bearer(common, claims)
}

fn phone(number: usize) -> String {
    format!("+63917{:07}", 1_000_000 + number)
}

fn place(index: usize) -> (f64, f64) {
    let city = CITIES[index % CITIES.len()];
    // Two irrational steps spread the points evenly; their cubes gather them towards the centre.
    let off = |step: f64| {
        let even = ((index / CITIES.len()) as f64 * step).fract() * 2.0 - 1.0;
        (even + even.powi(3)) * 0.03
    };
    let round = |degrees: f64| (degrees * 1e6).round() / 1e6;
    (
        round(city.0 + off(0.754_877_666)),
        round(city.1 + off(0.569_840_291)),
    )
}

/// Raises `count` incidents.
pub fn raise(net: &mut Reactor, names: &Names, count: usize) -> Result<Incidents> {
    const KINDS: [&str; 6] = ["FIRE", "MEDICAL", "ACCIDENT", "CRIME", "DISASTER", "OTHER"];
    let host = net.host().to_owned();
    let mut ids = vec![String::new(); count];
    let mut keys = IdKeys::new();
    let is_public = |index: usize| !index.is_multiple_of(RESTRICTED_EVERY);
    let requests = (0..count).map(|index| {
        let (latitude, longitude) = place(index);
        let body = json!({
            "type": KINDS[index % KINDS.len()],
            "message": format!("Incident {index}: somebody fell on the stairs, cannot get up and is short of breath; \
                                second floor, the door is open"),
            "severity": "HIGH",
            "visibility": if is_public(index) { "PUBLIC" } else { "RESTRICTED" },
            "location": {"latitude": latitude, "longitude": longitude, "accuracy": 12.5},
            "address": {"city": "MNL", "barangay": format!("Barangay {}", index % 100)},
        });
        let headers = device(&names.raiser(index));
        http::request("POST", &host, "/api/v1/sos", &headers, &body.to_string())
    });
    write(net, "raising SOS", requests, |index, body| {
        ids[index] = sos_id(body, &mut keys).ok_or("an SOS without an id")?.to_owned();
        Ok(())
    })?;
    let all = ids.into_iter().enumerate().map(|(index, id)| Incident {
        id,
        at: place(index),
        is_public: is_public(index),
    });
    Ok(Incidents {
        cities: CITIES.to_vec(),
        all: all.collect(),
    })
}

/// Fills the first incidents with people, words and positions; the first of them with `messages` words.
pub fn gather(net: &mut Reactor, names: &Names, incidents: &Incidents, messages: usize) -> Result<Vec<Busy>> {
    let host = net.host().to_owned();
    let busy: Vec<(usize, &str)> = incidents
        .all
        .iter()
        .enumerate()
        .filter(|(_, incident)| incident.is_public)
        .map(|(index, incident)| (index, incident.id.as_str()))
        .take(BUSY)
        .collect();
    if busy.is_empty() {
        return Err("there must be some public incidents".into());
    }
    let mut participants = vec![String::new(); busy.len() * PEOPLE];
    let joins = (0..busy.len() * PEOPLE).map(|number| {
        let body = json!({"userType": "ANON_RESCUER", "displayName": format!("Helper {number}")});
        let path = format!("/api/v1/sos/{}/participants/join", busy[number / PEOPLE].1);
        http::request(
            "POST",
            &host,
            &path,
            &device(&names.helper(number)),
            &body.to_string(),
        )
    });
    write(net, "joining", joins, |number, body| {
        let body: Value = serde_json::from_slice(body)?;
        participants[number] = body["data"]["id"]
            .as_str()
            .ok_or("a join without an id")?
            .to_owned();
        Ok(())
    })?;
    let said = messages.max(MESSAGES) + MESSAGES * (busy.len() - 1);
    let words = (0..said).map(|number| {
        // The first has what is left over.
        let room = (number / MESSAGES + 1).min(busy.len()) % busy.len();
        let (index, id) = busy[room];
        let place = if number % 97 == 0 {
            "at the harbour"
        } else {
            "on the way"
        };
        let body =
            json!({"content": format!("Message {number}: we are {place} with two people and a stretcher")});
        let path = format!("/api/v1/sos/{id}/messages");
        http::request(
            "POST",
            &host,
            &path,
            &device(&names.raiser(index)),
            &body.to_string(),
        )
    });
    write(net, "saying", words, |_, _| Ok(()))?;
    let now = unix_ms()?;
    let uploads = busy.iter().map(|(index, _)| {
        let body = trail(now, place(*index));
        http::request(
            "POST",
            &host,
            "/api/location/batch",
            &device(&names.raiser(*index)),
            &body,
        )
    });
    let uploads: Vec<Vec<u8>> = uploads.collect();
    write(net, "moving", uploads.into_iter(), |_, _| Ok(()))?;
    let made = busy.iter().enumerate().map(|(room, (index, id))| Busy {
        id: (*id).to_owned(),
        device: names.raiser(*index),
        participant: participants[room * PEOPLE].clone(),
    });
    Ok(made.collect())
}

/// Circles over sockets that stay open; each owner has a history there.
pub fn circles(net: &mut Reactor, common: &Common) -> Result<Vec<ConnId>> {
    let host = net.host().to_owned();
    let people: Vec<String> = (0..CIRCLES)
        .map(|number| citizen(common, number))
        .collect::<Result<_>>()?;
    let books = people.iter().enumerate().map(|(number, headers)| {
        let contact = |number: usize| json!({"name": format!("Citizen {number}"), "phone_no": phone(number)});
        let body = json!({
            "emergency_contacts": [contact((number + 1) % CIRCLES)],
            "dependent_contacts": [contact((number + CIRCLES - 1) % CIRCLES)],
        });
        http::request("PUT", &host, "/api/contacts", headers, &body.to_string())
    });
    let books: Vec<Vec<u8>> = books.collect();
    write(net, "contacts", books.into_iter(), |_, _| Ok(()))?;
    let mut tickets = vec![String::new(); CIRCLES];
    let asked = people
        .iter()
        .map(|headers| http::request("POST", &host, "/api/v1/tickets", headers, "{}"));
    let asked: Vec<Vec<u8>> = asked.collect();
    write(net, "tickets", asked.into_iter(), |number, body| {
        let body: Value = serde_json::from_slice(body)?;
        tickets[number] = body["data"]["ticket"].as_str().ok_or("no ticket")?.to_owned();
        Ok(())
    })?;
    let mut making = Making::default();
    for ticket in &tickets {
        making.sockets.push(net.open_socket(Opening {
            path: format!("/api/ws?ticket={ticket}"),
            greeting: Vec::new(),
        })?);
    }
    let limit = net.now() + PATIENCE;
    while making.made < CIRCLES {
        if let Some(failure) = making.failure {
            return Err(failure.into());
        }
        if net.now() > limit {
            return Err(format!("{} of {CIRCLES} circles were made", making.made).into());
        }
        let until = net.now() + SECOND / 10;
        net.turn(&mut making, until)?;
    }
    settle(net)?;
    let now = unix_ms()?;
    let trails = people.iter().enumerate().map(|(number, headers)| {
        let body = trail(now, place(number));
        http::request("POST", &host, "/api/location/batch", headers, &body)
    });
    let trails: Vec<Vec<u8>> = trails.collect();
    write(net, "moving", trails.into_iter(), |_, _| Ok(()))?;
    Ok(making.sockets)
}

#[derive(Default)]
struct Making {
    sockets: Vec<ConnId>,
    made: usize,
    failure: Option<String>,
}

impl Handler for Making {
    fn frame(&mut self, net: &mut Reactor, id: ConnId, payload: &[u8], _: u64) {
        match scan::kind(payload) {
            b"connected" => net.send_text(id, "{\"type\":\"create-room\"}"),
            b"room-created" => self.made += 1,
            b"error" => {
                self.failure
                    .get_or_insert_with(|| String::from_utf8_lossy(payload).into_owned());
            }
            _ => {}
        }
    }

    fn closed(&mut self, _: &mut Reactor, _: ConnId, ending: Ending) {
        self.failure.get_or_insert(format!("a socket was {ending}"));
    }
}

fn unix_ms() -> Result<u64> {
    Ok(u64::try_from(std::time::UNIX_EPOCH.elapsed()?.as_millis())?)
}

/// A batch of fixes, each 15 s after the one before, up to the present.
fn trail(now: u64, from: (f64, f64)) -> String {
    let fixes = (0..FIXES).map(|step| {
        json!({
            "latitude": from.0 + step as f64 * 0.0006,
            "longitude": from.1,
            "accuracy": 8.0,
            "timestamp": now - (FIXES - step) as u64 * 15_000,
        })
    });
    json!({"fixes": fixes.collect::<Vec<_>>()}).to_string()
}

/// Sends all of these and expects that each is taken.
fn write(
    net: &mut Reactor,
    what: &'static str,
    requests: impl ExactSizeIterator<Item = Vec<u8>>,
    mut on_answer: impl FnMut(usize, &[u8]) -> Result<()>,
) -> Result<()> {
    let lanes = WRITERS.min(requests.len().max(1));
    let mut pool = Pool::open(net, lanes)?;
    run_all(net, &mut pool, what, requests, |tag, status, body| {
        if !(200..300).contains(&status) {
            return Err(format!("{what}: {status} {}", String::from_utf8_lossy(body)).into());
        }
        on_answer(tag, body)
    })?;
    pool.close(net);
    Ok(())
}
