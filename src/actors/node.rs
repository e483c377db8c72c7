//! What the actors of one node share.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use super::area::Areas;
use super::blocks::Blocks;
use super::clock::Clock;
use super::cluster::Cluster;
use super::contacts::RemoteContacts;
use super::directory::Directory;
use super::error::CommandError;
use super::feed::Feed;
use super::janitor::Done;
use super::lookup::Lookups;
use super::memberships::Memberships;
use super::notes::Notes;
use super::notify::Notifier;
use super::observer::Observer;
use super::ops::Ops;
use super::pins::Pins;
use super::registry::Registry;
use super::room::Door;
use super::settings::Settings;
use super::trips::Trips;
use super::turns::Turns;
use crate::bus::{Board, Bus};
use crate::domain::ids::RoomId;
use crate::domain::people::Identity;
use crate::domain::room::{Rejection, RoomKind};
use crate::domain::time::Timestamp;
use crate::store::Store;

/// Shared by all actors of a node.
pub struct Node {
    /// The durable truth.
    pub store: Arc<dyn Store>,
    /// The way to the other nodes.
    pub bus: Arc<dyn Bus>,
    /// Where the nodes put things for each other.
    pub board: Arc<dyn Board>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The numbers.
    pub settings: Settings,
    /// Who is connected.
    pub directory: Directory,
    /// What is to be written some time soon.
    pub notes: Notes,
    /// When the node was started.
    pub started: Timestamp,
    /// Who is in which rooms.
    pub memberships: Memberships,
    /// The rooms in use.
    pub registry: Registry,
    /// Who watches which part of the map.
    pub areas: Areas,
    /// Where the trips are that go on.
    pub trips: Trips,
    /// What operators follow.
    pub ops: Ops,
    /// What the SOS service knows of incidents that this engine does not; `None`: nobody is asked.
    pub lookups: Option<Arc<Lookups>>,
    /// Tells the SOS service what happens; not there when it is told nothing.
    pub feed: OnceLock<Feed>,
    /// The service that keeps contacts; not there when they are kept here.
    pub contacts: OnceLock<Arc<RemoteContacts>>,
    /// Who ends an SOS of their own will.
    pub pins: Pins,
    /// Does what is to be done later, and tells those who are not connected.
    pub notifier: OnceLock<Notifier>,
    /// What the janitor has done.
    pub janitor: Done,
    /// Who raises an SOS just now.
    pub raising: Turns,
    /// One of many.
    pub cluster: Cluster,
    /// Whom staff keep out.
    pub blocks: Arc<Blocks>,
    /// Who counts.
    pub observer: Arc<dyn Observer>,
    pub(super) draining: AtomicBool,
}

impl Node {
    /// The time.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Somebody has done something.
    pub fn saw(&self, who: &Identity) {
        if let Some(device) = who.own_device() {
            self.notes.saw(device, self.now());
        }
    }

    /// The way to a room.
    pub fn room<'a>(&'a self, room: &'a RoomId) -> Door<'a> {
        Door::new(&self.registry, room, self.settings.command_timeout)
    }

    /// Refuses a room that is no incident: the ways of incident clients do not reach into circles.
    ///
    /// # Errors
    /// `NotFound` when it is none; when that could not be found out.
    pub async fn incident(&self, room: &RoomId, who: &Identity) -> Result<(), CommandError> {
        let rooms = self.memberships.get(&who.subject).await?;
        let is_one = match rooms.iter().find(|known| known.room == *room) {
            Some(known) => known.kind == RoomKind::Sos,
            None => self.store.incident(room).await?.is_some(),
        };
        if is_one {
            Ok(())
        } else {
            Err(Rejection::NotFound.into())
        }
    }

    /// Whether the node is on its way out.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }
}
