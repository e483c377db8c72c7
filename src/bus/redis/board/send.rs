//! From notes to pipelines.

use std::collections::HashMap;

use redis::cluster_routing::Slot;
use redis::{Pipeline, pipe};

use super::waiting::Batch;
use super::{BoardSettings, keys, texts};
use crate::bus::redis::Channels;
use crate::bus::{IncidentNote, SessionNote, Sighting};
use crate::domain::geo::Fix;
use crate::domain::ids::{ParticipantId, RoomId, UserId};
use crate::domain::people::Contact;
use crate::domain::room::RoomKind;
use crate::domain::time::Timestamp;

/// Writes an incident unless a newer state of it stands there.
const PUT_STATE: &str = "\
local old = redis.call('GET', KEYS[1])
if old then
    local read, state = pcall(cjson.decode, old)
    if read and type(state) == 'table' and tonumber(state['seq']) and tonumber(state['seq']) > tonumber(ARGV[2]) then
        return 0
    end
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[3])
return 1";

/// Remembers contacts unless they have changed since.
const FILL: &str = "\
if (redis.call('GET', KEYS[2]) or '0') ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1])
for i = 3, #ARGV do redis.call('RPUSH', KEYS[1], ARGV[i]) end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1";

/// Says that a user is here, and forgets what nodes said of them that are silent since.
const BE_HERE: &str = "\
for _, node in ipairs(redis.call('HKEYS', KEYS[1])) do
    local read, told = pcall(cjson.decode, redis.call('HGET', KEYS[1], node))
    if not read or type(told) ~= 'table' or (tonumber(told['lastSeen']) or 0) < tonumber(ARGV[3]) then
        redis.call('HDEL', KEYS[1], node)
    end
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return 1";

/// Pipelines, each of which may be sent as one: all there is, or in a cluster what lies in one slot.
pub(super) struct Pipelines<'a> {
    channels: &'a Channels,
    settings: &'a BoardSettings,
    cluster: bool,
    all: HashMap<Option<Slot>, Pipeline>,
    now: Timestamp,
}

fn ms(span: std::time::Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

impl<'a> Pipelines<'a> {
    /// None yet.
    pub fn new(channels: &'a Channels, settings: &'a BoardSettings, cluster: bool, now: Timestamp) -> Self {
        Self {
            channels,
            settings,
            cluster,
            all: HashMap::new(),
            now,
        }
    }

    /// The pipeline that `key` belongs into.
    fn of(&mut self, key: &str) -> &mut Pipeline {
        let slot = self.cluster.then(|| Slot::for_key(key));
        self.all.entry(slot).or_insert_with(pipe)
    }

    /// All of them.
    pub fn finish(self) -> impl Iterator<Item = Pipeline> {
        self.all.into_values()
    }

    /// Everything in a batch.
    pub fn add(&mut self, batch: &Batch) {
        self.positions(&batch.positions);
        self.ended(&batch.ended);
        for note in &batch.incidents {
            self.incident(note);
        }
        for note in &batch.sessions {
            self.session(note);
        }
        for user in &batch.changed {
            self.changed(user);
        }
        for (owner, version, contacts) in &batch.fills {
            self.fill(owner, *version, contacts);
        }
        for user in &batch.users {
            self.forget(user);
        }
        for (room, who) in &batch.places {
            let key = keys::newest(self.channels, room);
            self.of(&key).hdel(&key, who.to_string()).ignore();
        }
    }

    fn positions(&mut self, sightings: &[Sighting]) {
        if sightings.is_empty() {
            return;
        }
        let oldest = self.now.before(self.settings.stream_keep).ms();
        let stream = self.of(keys::STREAM);
        for (n, sighting) in sightings.iter().enumerate() {
            let command = stream.cmd("XADD").arg(keys::STREAM);
            if n == 0 {
                // Whole blocks only, which costs next to nothing.
                command.arg("MINID").arg("~").arg(oldest);
            }
            command.arg("*");
            command.arg(texts::ENTRY[0]).arg(sighting.room.as_str());
            command.arg(texts::ENTRY[1]).arg(sighting.participant.to_string());
            let mut names = texts::ENTRY[2..].iter();
            texts::entry(&sighting.fix, !sighting.newest, |value| {
                if let Some(name) = names.next() {
                    command.arg(*name).arg(value);
                }
            });
            if let Some(kind) = texts::shown_kind(sighting.kind) {
                command.arg(texts::KIND).arg(kind);
            }
            if sighting.keep {
                command.arg(texts::KEEP).arg("1");
            }
            command.ignore();
        }
        self.newest(sightings);
    }

    /// The newest position of each, and of each trip.
    fn newest(&mut self, sightings: &[Sighting]) {
        let mut rooms: HashMap<&RoomId, HashMap<ParticipantId, &Fix>> = HashMap::new();
        let mut trips: HashMap<&RoomId, &Fix> = HashMap::new();
        for sighting in sightings.iter().filter(|sighting| sighting.newest) {
            let (room, fix) = (&sighting.room, &sighting.fix);
            rooms.entry(room).or_default().insert(sighting.participant, fix);
            if sighting.kind == RoomKind::Trip {
                trips.insert(room, fix);
            }
        }
        for (room, people) in rooms {
            let key = keys::newest(self.channels, room);
            let pipeline = self.of(&key);
            let fixes: Vec<_> = people
                .into_iter()
                .map(|(who, fix)| (who.to_string(), texts::newest(fix)))
                .collect();
            pipeline.hset_multiple(&key, &fixes).ignore();
            pipeline.cmd("PEXPIRE").arg(&key).arg(ms(keys::NEWEST)).ignore();
        }
        if trips.is_empty() {
            return;
        }
        let pipeline = self.of(keys::TRIPS);
        let places = pipeline.cmd("GEOADD").arg(keys::TRIPS);
        for (trip, fix) in &trips {
            // Redis knows no poles.
            let latitude = fix.position.latitude().clamp(-85.05, 85.05);
            places
                .arg(fix.position.longitude())
                .arg(latitude)
                .arg(keys::trip(trip));
        }
        places.ignore();
        let seen = pipeline.cmd("ZADD").arg(keys::TRIPS_SEEN).arg("GT");
        for (trip, fix) in trips {
            seen.arg(fix.at.ms()).arg(keys::trip(trip));
        }
        seen.ignore();
    }

    /// Trips that are over, or not heard of any more.
    pub fn ended(&mut self, trips: &[RoomId]) {
        if trips.is_empty() {
            return;
        }
        let members: Vec<_> = trips.iter().map(keys::trip).collect();
        let pipeline = self.of(keys::TRIPS);
        pipeline.zrem(keys::TRIPS, &members).ignore();
        pipeline.zrem(keys::TRIPS_SEEN, &members).ignore();
        for trip in trips {
            let key = keys::newest(self.channels, trip);
            self.of(&key).del(&key).ignore();
        }
    }

    fn incident(&mut self, note: &IncidentNote) {
        let (key, open) = (keys::state(&note.sos), note.status.is_open());
        let lives = if open { keys::OPEN } else { keys::CLOSED };
        let put = self.of(&key).cmd("EVAL").arg(PUT_STATE).arg(1).arg(&key);
        put.arg(texts::state(note)).arg(note.seq).arg(ms(lives)).ignore();
        let rooms = self.of(keys::ROOMS);
        if open {
            rooms.sadd(keys::ROOMS, note.sos.as_str()).ignore();
        } else {
            rooms.srem(keys::ROOMS, note.sos.as_str()).ignore();
            let key = keys::newest(self.channels, &note.sos);
            self.of(&key).del(&key).ignore();
        }
    }

    fn session(&mut self, note: &SessionNote) {
        let key = keys::session(&note.user);
        let pipeline = self.of(&key);
        pipeline.hset_multiple(&key, &texts::session(note)).ignore();
        pipeline.cmd("PEXPIRE").arg(&key).arg(ms(keys::SESSION)).ignore();
        let key = keys::presence(&note.user);
        let pipeline = self.of(&key);
        if note.online {
            let oldest = self.now.before(keys::PRESENCE_STALE).ms();
            let pipeline = self.of(&key);
            let here = pipeline.cmd("EVAL").arg(BE_HERE).arg(1).arg(&key).arg(&note.node);
            here.arg(texts::presence(note))
                .arg(oldest)
                .arg(ms(keys::PRESENCE))
                .ignore();
        } else {
            pipeline.hdel(&key, &note.node).ignore();
        }
    }

    fn changed(&mut self, user: &UserId) {
        let Some([list, version]) = keys::contacts(user) else {
            return;
        };
        let pipeline = self.of(&list);
        pipeline.incr(&version, 1).ignore();
        // As long as anybody could still remember what was there before.
        pipeline
            .cmd("PEXPIRE")
            .arg(&version)
            .arg(ms(keys::CONTACTS))
            .ignore();
        pipeline.del(&list).ignore();
    }

    fn fill(&mut self, owner: &UserId, version: u64, contacts: &[Contact]) {
        let Some([list, count]) = keys::contacts(owner) else {
            return;
        };
        if contacts.is_empty() {
            return;
        }
        let pipeline = self.of(&list);
        let fill = pipeline.cmd("EVAL").arg(FILL).arg(2).arg(&list).arg(&count);
        fill.arg(version).arg(ms(keys::CONTACTS));
        for contact in contacts {
            fill.arg(texts::contact(contact));
        }
        fill.ignore();
    }

    fn forget(&mut self, user: &UserId) {
        for key in [keys::session(user), keys::presence(user)] {
            self.of(&key).del(&key).ignore();
        }
        self.changed(user);
    }
}
