//! People who have somebody: registered users, each with emergency contacts whose numbers nobody else has. By a number
//! one knows whose SOS a message tells of.

use std::ops::Range;
use std::time::Instant;

use serde_json::json;

use crate::Result;
use crate::cli::Common;
use crate::http;
use crate::ledger::{Ledger, number};
use crate::pool::{Pool, run_all};
use crate::reactor::Reactor;
use crate::scene::citizen;

const WRITERS: usize = 64;

/// All of them.
pub struct Crowd {
    /// By person: the header of their token.
    headers: Vec<String>,
    contacts: usize,
    messages: usize,
}

impl Crowd {
    /// As many people as it takes for `messages` messages, with at most `contacts` contacts each.
    pub fn new(common: &Common, messages: usize, contacts: usize) -> Result<Self> {
        let contacts = contacts.max(1);
        let people = messages.div_ceil(contacts);
        let headers = (0..people).map(|person| citizen(common, person));
        Ok(Self {
            headers: headers.collect::<Result<_>>()?,
            contacts,
            messages,
        })
    }

    pub fn people(&self) -> usize {
        self.headers.len()
    }

    /// How many messages they are worth when each of them raises an SOS.
    pub fn messages(&self) -> usize {
        self.messages
    }

    /// By which a person is known.
    pub fn header(&self, person: usize) -> &str {
        &self.headers[person]
    }

    /// The numbers of a person's contacts.
    fn numbers(&self, person: usize) -> Range<usize> {
        let first = person * self.contacts;
        first..(first + self.contacts).min(self.messages)
    }

    /// When the first news of a person's SOS was with a vendor, and how many of their contacts there is none for.
    pub fn told(&self, ledger: &Ledger, person: usize) -> (Option<Instant>, u64) {
        let all = self.numbers(person);
        let (first, heard) = all.clone().filter_map(|index| ledger.first(index)).fold(
            (None, 0),
            |(first, heard): (Option<Instant>, u64), at| {
                (Some(first.map_or(at, |first| first.min(at))), heard + 1)
            },
        );
        (first, all.len() as u64 - heard)
    }

    /// Gives each of them their contacts.
    pub fn settle(&self, net: &mut Reactor) -> Result<()> {
        let host = net.host().to_owned();
        let requests = (0..self.people()).map(|person| {
            let contacts: Vec<_> = self
                .numbers(person)
                .map(|index| json!({"name": format!("Contact {index}"), "phone_no": number(index)}))
                .collect();
            let body = json!({"emergency_contacts": contacts, "dependent_contacts": []}).to_string();
            http::request("PUT", &host, "/api/contacts", self.header(person), &body)
        });
        let mut pool = Pool::open(net, WRITERS.min(self.people()))?;
        run_all(net, &mut pool, "giving contacts", requests, |_, status, body| {
            if status == 200 {
                return Ok(());
            }
            Err(format!("PUT /api/contacts: {status} {}", String::from_utf8_lossy(body)).into())
        })?;
        pool.close(net);
        Ok(())
    }
}
