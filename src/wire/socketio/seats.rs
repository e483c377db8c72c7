//! Which namespaces a client is connected to, and the acknowledgements that it owes there.

use std::time::Instant;

use smallvec::SmallVec;

use super::namespace::Namespace;

/// How a client stands to a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seat {
    /// It asked and was not answered yet.
    Asking,
    /// It is connected.
    Connected,
    /// We disconnected it; what it sent before it heard so is still on its way.
    PutOut,
}

/// An acknowledgement that is awaited.
#[derive(Debug)]
struct Awaited {
    namespace: Namespace,
    id: u64,
    until: Instant,
}

/// The namespaces of a client.
#[derive(Debug, Default)]
pub(super) struct Seats {
    /// Mostly one. A vector would make room for four, in every connection that there is.
    seats: SmallVec<[(Namespace, Seat); 1]>,
    awaited: Vec<Awaited>,
    last_id: u64,
}

impl Seats {
    pub(super) fn get(&self, namespace: &Namespace) -> Option<Seat> {
        let seat = self.seats.iter().find(|(name, _)| name == namespace);
        seat.map(|(_, seat)| *seat)
    }

    pub(super) fn is_connected(&self, namespace: &Namespace) -> bool {
        self.get(namespace) == Some(Seat::Connected)
    }

    pub(super) fn set(&mut self, namespace: &Namespace, seat: Seat) {
        match self.seats.iter_mut().find(|(name, _)| name == namespace) {
            Some((_, old)) => *old = seat,
            None => self.seats.push((namespace.clone(), seat)),
        }
        if seat != Seat::Connected {
            self.awaited.retain(|awaited| awaited.namespace != *namespace);
        }
    }

    pub(super) fn remove(&mut self, namespace: &Namespace) {
        self.seats.retain(|(name, _)| name != namespace);
        self.awaited.retain(|awaited| awaited.namespace != *namespace);
    }

    pub(super) fn awaited(&self) -> usize {
        self.awaited.len()
    }

    /// A fresh number for an event whose acknowledgement is awaited.
    pub(super) fn await_ack(&mut self, namespace: &Namespace, until: Instant) -> u64 {
        let id = self.last_id;
        self.last_id += 1;
        let namespace = namespace.clone();
        self.awaited.push(Awaited { namespace, id, until });
        id
    }

    /// Whether this acknowledgement was awaited; it is no longer.
    pub(super) fn acked(&mut self, namespace: &Namespace, id: u64) -> bool {
        let place = self
            .awaited
            .iter()
            .position(|awaited| awaited.id == id && awaited.namespace == *namespace);
        place.map(|place| self.awaited.swap_remove(place)).is_some()
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        self.awaited.iter().map(|awaited| awaited.until).min()
    }

    /// One acknowledgement that did not come in time.
    pub(super) fn expired(&mut self, now: Instant) -> Option<(Namespace, u64)> {
        let place = self.awaited.iter().position(|awaited| awaited.until <= now)?;
        let awaited = self.awaited.swap_remove(place);
        Some((awaited.namespace, awaited.id))
    }
}
