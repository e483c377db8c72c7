//! Hints for staff, as requests and connections leave them: who and from where, as hashes that mean nothing
//! outside this process and are kept nowhere else.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hash};

use actix_web::web::Data;
use parking_lot::Mutex;

use super::address::Address;
use super::auth::Caller;
use super::gate::Gate;
use super::limits::{Class, Payer};
use crate::actors::pass::Pass;
use crate::config::Abuse;
use crate::domain::bounds::is_null_island;
use crate::domain::geo::Position;
use crate::domain::hints::{Hint, Hints, Oddities, Raised, Token};
use crate::domain::ids::{ParticipantId, RoomId};
use crate::domain::people::Subject;
use crate::domain::time::Timestamp;

/// All hints of this process. A restart forgets them.
pub struct HintBook {
    hasher: RandomState,
    hints: Mutex<Hints>,
}

impl std::fmt::Debug for HintBook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HintBook(…)")
    }
}

/// Whose doing something was.
#[derive(Clone, Copy, Debug)]
pub struct From<'a> {
    /// Who.
    pub caller: &'a Caller,
    /// From where; `None` only in tests.
    pub address: Option<Address>,
}

impl HintBook {
    /// Empty, by the settings.
    pub fn new(settings: &Abuse) -> Self {
        Self {
            hasher: RandomState::new(),
            hints: Mutex::new(Hints::new(settings.hint_policy())),
        }
    }

    fn token(&self, kind: &str, of: &impl Hash) -> Token {
        self.hasher.hash_one((kind, of))
    }

    /// An incident was raised.
    pub fn raised(
        &self,
        from: From<'_>,
        sos: &RoomId,
        position: Option<Position>,
        odd: Oddities,
        now: Timestamp,
    ) {
        let raised = Raised {
            room: sos.clone(),
            position,
            from: [
                from.address.map(|address| self.token("address", &address)),
                Some(self.token("subject", &from.caller.identity.subject)),
            ],
            odd: Oddities {
                no_position: odd.no_position || position.is_some_and(is_null_island),
                ..odd
            },
        };
        self.hints.lock().raised(now, raised);
    }

    /// Somebody is in an incident. Only devices without an account are of interest: an id is free to make up.
    pub fn joined(&self, from: From<'_>, sos: &RoomId, who: ParticipantId, now: Timestamp) {
        if let (Subject::Device(_), Some(address)) = (&from.caller.identity.subject, from.address) {
            let address = self.token("address", &address);
            self.hints.lock().joined(now, sos, who, address);
        }
    }

    /// What is known of an incident.
    pub fn of(&self, sos: &RoomId) -> Option<Hint> {
        self.hints.lock().of(sos)
    }

    /// Forgets what is old.
    pub fn sweep(&self, now: Timestamp) {
        self.hints.lock().sweep(now);
    }

    /// How many incidents are remembered.
    pub fn len(&self) -> usize {
        self.hints.lock().len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.hints.lock().is_empty()
    }
}

/// What a WebSocket was let in with.
pub(super) struct SocketPass {
    gate: Data<Gate>,
    caller: Caller,
    address: Option<Address>,
    payer: Payer,
}

impl SocketPass {
    pub fn new(gate: Data<Gate>, caller: Caller, address: Option<Address>) -> Self {
        Self {
            payer: gate.payer_of(&caller, address),
            gate,
            caller,
            address,
        }
    }

    fn from(&self) -> From<'_> {
        From {
            caller: &self.caller,
            address: self.address,
        }
    }
}

impl Pass for SocketPass {
    fn raise(&self) -> Result<(), std::time::Duration> {
        self.gate
            .take_sos(&self.payer)
            .map(drop)
            .map_err(|spent| spent.budget.wait)
    }

    fn create_room(&self) -> Result<(), std::time::Duration> {
        self.gate
            .take(Class::Writes, &self.payer)
            .map(drop)
            .map_err(|spent| spent.budget.wait)
    }

    /// By REST the join itself is charged to this.
    fn look_up(&self) -> Result<(), std::time::Duration> {
        self.create_room()
    }

    fn raised(&self, sos: &RoomId, position: Option<Position>) {
        let gate = &self.gate;
        gate.hints()
            .raised(self.from(), sos, position, Oddities::default(), gate.now());
    }

    fn joined(&self, sos: &RoomId, who: ParticipantId) {
        self.gate.hints().joined(self.from(), sos, who, self.gate.now());
    }
}
