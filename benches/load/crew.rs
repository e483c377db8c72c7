//! Devices, their incidents, and the sockets that gather in them: what must stand before a load begins.

use crate::Result;
use crate::dialect::{Dialect, Heard};
use crate::http;
use crate::pool::{Pool, run_all};
use crate::progress::Progress;
use crate::reactor::{ConnId, Ending, Handler, Ignore, Reactor};
use crate::scan::{self, Key};
use crate::stats::SECOND;

const STALL_LIMIT: u64 = 20 * SECOND;
const RAISERS: usize = 64;

/// Device ids of one run of the tool: version 4, never the same twice.
#[derive(Clone, Copy)]
pub struct Devices(u32);

impl Devices {
    pub fn of_this_run() -> Self {
        let nanos = std::time::UNIX_EPOCH.elapsed().unwrap_or_default().as_nanos();
        Self(((nanos >> 8) & 0xffff_ffff) as u32 ^ std::process::id().rotate_left(16))
    }

    pub fn id(self, number: u64) -> String {
        format!("{:08x}-10ad-4e57-8e57-{number:012x}", self.0)
    }
}

/// The header of a device.
pub fn device(id: &str) -> String {
    format!("X-Device-ID: {id}\r\n")
}

/// The request that raises an SOS; `who` is the header of whoever does.
pub fn sos_request(host: &str, who: &str, key: &str, message: &str, at: (f64, f64)) -> Vec<u8> {
    let headers = format!("{who}Idempotency-Key: {key}\r\n");
    let (latitude, longitude) = at;
    let body = format!(
        "{{\"type\":\"OTHER\",\"message\":\"{message}\",\"visibility\":\"PUBLIC\",\
         \"location\":{{\"latitude\":{latitude},\"longitude\":{longitude}}}}}"
    );
    http::request("POST", host, "/api/v1/sos", &headers, &body)
}

/// The id of an incident in an answer or a message.
pub fn sos_id<'a>(body: &'a [u8], keys: &mut IdKeys) -> Option<&'a str> {
    let at = if keys.sos_id.after(body).is_some() {
        &mut keys.sos_id
    } else {
        &mut keys.id
    };
    scan::string(body, at)
}

/// Where ids are found.
pub struct IdKeys {
    sos_id: Key,
    id: Key,
}

impl IdKeys {
    pub fn new() -> Self {
        Self {
            sos_id: Key::new("\"sosId\":\""),
            id: Key::new("\"id\":\""),
        }
    }
}

/// Raises an SOS for each of these devices and returns their ids.
pub fn raise(net: &mut Reactor, devices: &[String], at: &[(f64, f64)]) -> Result<Vec<String>> {
    let mut ids = vec![String::new(); devices.len()];
    let mut keys = IdKeys::new();
    let mut pool = Pool::open(net, RAISERS.min(devices.len()))?;
    let host = net.host().to_owned();
    let requests = devices.iter().enumerate().map(|(index, id)| {
        let at = at.get(index).copied().unwrap_or((10.5, 20.5));
        sos_request(&host, &device(id), id, "An incident of the load tester", at)
    });
    run_all(net, &mut pool, "raising SOS", requests, |index, status, body| {
        match sos_id(body, &mut keys) {
            Some(id) if status == 201 => ids[index] = id.to_owned(),
            _ => return Err(format!("POST /sos: {status} {}", String::from_utf8_lossy(body)).into()),
        }
        Ok(())
    })?;
    pool.close(net);
    Ok(ids)
}

/// A socket to open and, where a room is named, the room to join.
pub struct Member {
    pub device: String,
    pub room: Option<String>,
}

/// Opens a socket for each member, joins the rooms, and returns the connections in the same order.
pub fn board(
    net: &mut Reactor,
    dialect: Dialect,
    members: &[Member],
    concurrency: usize,
) -> Result<Vec<ConnId>> {
    let progress = Progress::new("boarding", members.len() as u64);
    let mut boarding = Boarding {
        dialect,
        members,
        is_in: vec![false; members.len()],
        conns: Vec::new(),
        index_of: Vec::new(),
        done: 0,
        failure: None,
    };
    let mut quiet_since = net.now();
    let mut done = 0;
    while boarding.done < members.len() {
        while boarding.conns.len() < members.len() && boarding.conns.len() < boarding.done + concurrency {
            let index = boarding.conns.len();
            let id = net.open_socket(dialect.opening(&members[index].device, None))?;
            boarding.conns.push(id);
            if boarding.index_of.len() <= id.index() {
                boarding.index_of.resize(id.index() + 1, usize::MAX);
            }
            boarding.index_of[id.index()] = index;
        }
        let until = net.now() + SECOND / 10;
        net.turn(&mut boarding, until)?;
        if let Some(failure) = boarding.failure {
            return Err(format!("after {} of {} sockets: {failure}", boarding.done, members.len()).into());
        }
        if boarding.done > done {
            done = boarding.done;
            quiet_since = net.now();
        } else if net.now() > quiet_since + STALL_LIMIT {
            return Err(format!(
                "the engine stopped answering after {done} of {} sockets",
                members.len()
            )
            .into());
        }
        progress.set(done as u64);
    }
    Ok(boarding.conns)
}

struct Boarding<'a> {
    dialect: Dialect,
    members: &'a [Member],
    is_in: Vec<bool>,
    conns: Vec<ConnId>,
    index_of: Vec<usize>,
    done: usize,
    failure: Option<String>,
}

impl Handler for Boarding<'_> {
    fn frame(&mut self, net: &mut Reactor, id: ConnId, payload: &[u8], _: u64) {
        let index = self.index_of.get(id.index()).copied().unwrap_or(usize::MAX);
        let Some(member) = self.members.get(index) else {
            return;
        };
        match self.dialect.hear(payload) {
            Heard::Connected => match &member.room {
                Some(room) => net.send(id, &self.dialect.join(room, None)),
                None => self.done += 1,
            },
            // Once: who raised the SOS may be seated there before it asks.
            Heard::Joined => self.done += usize::from(!std::mem::replace(&mut self.is_in[index], true)),
            Heard::Refused | Heard::Trouble => {
                let text = String::from_utf8_lossy(payload).into_owned();
                self.failure.get_or_insert(text);
            }
            _ => {}
        }
    }

    fn closed(&mut self, _: &mut Reactor, _: ConnId, ending: Ending) {
        self.failure.get_or_insert(format!("a socket was {ending}"));
    }
}

/// Waits until nothing has arrived for a third of a second, at most ten.
pub fn settle(net: &mut Reactor) -> Result<()> {
    let limit = net.now() + 10 * SECOND;
    let mut quiet_since = net.now();
    let mut bytes = net.bytes_received();
    while net.now() < limit && net.now() < quiet_since + SECOND / 3 {
        let until = net.now() + SECOND / 20;
        net.turn(&mut Ignore, until)?;
        if net.bytes_received() > bytes {
            bytes = net.bytes_received();
            quiet_since = net.now();
        }
    }
    Ok(())
}
