//! Trips, as sister services speak of them: by people's ids and their own names for trips.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt};

use super::Engine;
use crate::actors::clock::random;
use crate::actors::error::CommandError;
use crate::actors::room::{Act, By, Glimpse, Reply};
use crate::actors::trips::{NearTrip, Nearby};
use crate::bus::{Around, Note};
use crate::domain::ids::{ParticipantId, RoomId, UserId};
use crate::domain::incident::Report;
use crate::domain::people::{Identity, Person, Role, Subject};
use crate::domain::room::{Command, Genesis, Manifest, Rejection, RoomKind, UserType};
use crate::domain::time::Timestamp;
use crate::store::Membership;

/// How long an SOS looks for the trip that its booking belongs to.
const SEEK_WITHIN: Duration = Duration::from_secs(1);
/// How many trips are looked at together.
const LOOK_AT_ONCE: usize = 16;

/// A trip that is to begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTrip {
    /// Its id, and its room's.
    pub trip: RoomId,
    /// Who drives.
    pub driver: UserId,
    /// Everybody else.
    pub passengers: Vec<UserId>,
    /// The booking that it belongs to.
    pub booking: Option<String>,
}

/// A trip, by who people are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TripInfo {
    /// Its room.
    pub trip: RoomId,
    /// Who drives; `None` when they were erased.
    pub driver: Option<Subject>,
    /// Everybody else, save the erased.
    pub passengers: BTreeSet<Subject>,
    /// How many of all were erased.
    pub erased: usize,
    /// The booking that it belongs to.
    pub booking: Option<String>,
    /// When it began.
    pub created_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Its log's head.
    pub seq: u64,
}

/// Why a trip was not begun.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TripError {
    /// The id is some other room's.
    #[error("the id is taken by another room")]
    Taken,
    /// There is such a trip, and it differs in this.
    #[error("there is such a trip with another {0}")]
    Differs(&'static str),
    /// There was such a trip.
    #[error("Trip has ended")]
    Ended,
    /// Something failed.
    #[error(transparent)]
    Failed(#[from] CommandError),
}

/// A trip near somewhere.
#[derive(Clone, Debug, PartialEq)]
pub struct FoundTrip {
    /// Where.
    pub near: NearTrip,
    /// What it is.
    pub info: TripInfo,
}

impl TripInfo {
    /// `None` when the room is no trip.
    fn of(glimpse: &Glimpse<'_>) -> Option<Self> {
        let (state, trip) = (glimpse.state, glimpse.state.trip.as_ref()?);
        let subject = |who| glimpse.person(who).map(|person| person.subject.clone());
        let manifest = &trip.manifest;
        let passengers: BTreeSet<_> = manifest
            .passengers()
            .iter()
            .filter_map(|who| subject(*who))
            .collect();
        let driver = subject(manifest.driver());
        Some(Self {
            trip: state.id.clone(),
            erased: manifest.people().count() - passengers.len() - usize::from(driver.is_some()),
            driver,
            passengers,
            booking: manifest.booking().map(str::to_owned),
            created_at: state.created_at,
            ended_at: trip.ended_at,
            seq: state.seq.get(),
        })
    }

    /// Whether `new` is this trip, told again. Who was erased since is not held against it.
    fn is(&self, new: &NewTrip) -> Result<(), TripError> {
        let driver = Subject::User(new.driver.clone());
        if self.driver.as_ref().is_some_and(|known| *known != driver) {
            return Err(TripError::Differs("driverId"));
        }
        let named: BTreeSet<_> = new.passengers.iter().cloned().map(Subject::User).collect();
        let all = 1 + named.len();
        let known = self.passengers.len() + usize::from(self.driver.is_some()) + self.erased;
        if !self.passengers.is_subset(&named) || all != known {
            return Err(TripError::Differs("passengerIds"));
        }
        if self.booking != new.booking {
            return Err(TripError::Differs("bookingId"));
        }
        match self.ended_at {
            None => Ok(()),
            Some(_) => Err(TripError::Ended),
        }
    }
}

impl Engine {
    /// Begins a trip; told again, it is the same one. Returns once it is durable.
    ///
    /// # Errors
    /// When the id is another room's or another trip's, or it could not be made durable.
    pub async fn create_trip(&self, who: &Arc<Identity>, new: &NewTrip) -> Result<TripInfo, TripError> {
        let mut people: BTreeMap<ParticipantId, Person> = BTreeMap::new();
        let mut enter = |user: &UserId| {
            let participant = ParticipantId::from_bits(u64::from_be_bytes(random()));
            let person = Person {
                participant,
                subject: Subject::User(user.clone()),
                name: None,
                phone: None,
                role: Role::Citizen,
            };
            people.insert(participant, person);
            participant
        };
        let driver = enter(&new.driver);
        let passengers = new.passengers.iter().map(enter).collect();
        let manifest = Manifest::new(driver, passengers, new.booking.clone());
        let command = Command::Create {
            genesis: Genesis::Trip(Box::new(manifest)),
            user_type: UserType::Citizen,
        };
        let mut act = Act::new(By::System, command, Reply::nobody());
        act.people = people.into_values().collect();
        match self.node().room(&new.trip).act(act).await {
            Ok(_) => {
                let info = self.trip(who, &new.trip).await?;
                Ok(info)
            }
            Err(CommandError::Rejected(Rejection::AlreadyExists)) => {
                let known = match self.trip(who, &new.trip).await {
                    Err(CommandError::Rejected(Rejection::NotFound)) => Err(TripError::Taken),
                    known => known.map_err(TripError::Failed),
                }?;
                known.is(new).map(|()| known)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Ends a trip: its members are told and put out. One that has ended stays as it is.
    ///
    /// # Errors
    /// `NotFound` when there is none, or its end could not be made durable.
    pub async fn end_trip(&self, who: &Arc<Identity>, trip: &RoomId) -> Result<TripInfo, CommandError> {
        let act = Act::new(By::System, Command::EndTrip, Reply::nobody());
        match self.node().room(trip).act(act).await {
            Ok(_) => self.trip(who, trip).await,
            Err(CommandError::Rejected(Rejection::WrongKind)) => Err(Rejection::NotFound.into()),
            Err(error) => Err(error),
        }
    }

    /// A trip.
    ///
    /// # Errors
    /// `NotFound` when there is none.
    pub async fn trip(&self, who: &Arc<Identity>, trip: &RoomId) -> Result<TripInfo, CommandError> {
        let info = self.glance(trip, Some(who), TripInfo::of).await?;
        info.ok_or_else(|| Rejection::NotFound.into())
    }

    /// Trips in a circle that go on, the nearest first.
    ///
    /// # Errors
    /// When a trip does not answer.
    pub async fn trips_near(
        &self,
        who: &Arc<Identity>,
        nearby: &Nearby,
    ) -> Result<Vec<FoundTrip>, CommandError> {
        let near = self.places_near(nearby).await;
        // Where a trip is is a hint: its log says what it is, and whether it goes on.
        let look = |near: NearTrip| async move {
            match self.trip(who, &near.trip).await {
                Ok(info) if info.ended_at.is_none() => Ok(Some(FoundTrip { near, info })),
                Ok(_) | Err(CommandError::Rejected(_)) => {
                    self.node().trips.ended(&near.trip);
                    self.node().board.put(Note::TripEnded(near.trip));
                    Ok(None)
                }
                Err(error) => Err(error),
            }
        };
        let mut looked = stream::iter(near).map(look).buffered(LOOK_AT_ONCE);
        let mut found = Vec::new();
        while let Some(one) = looked.next().await {
            found.extend(one?);
        }
        Ok(found)
    }

    /// What this node knows and what the board says, the newest of each trip.
    async fn places_near(&self, nearby: &Nearby) -> Vec<NearTrip> {
        let here = self.node().trips.near(nearby);
        let around = Around {
            centre: nearby.centre,
            radius_m: nearby.radius_m,
            limit: nearby.limit,
        };
        let Some(there) = self.node().board.trips_near(around).await else {
            return here;
        };
        let mut newest: BTreeMap<RoomId, NearTrip> = BTreeMap::new();
        let there = there.into_iter().map(|place| NearTrip {
            distance_m: place.position.distance_m(nearby.centre),
            trip: place.trip,
            position: place.position,
            at: place.at,
        });
        for near in there.chain(here) {
            match newest.get(&near.trip) {
                Some(known) if known.at >= near.at => {}
                _ => drop(newest.insert(near.trip.clone(), near)),
            }
        }
        let mut found: Vec<_> = newest.into_values().collect();
        found.retain(|near| near.at >= nearby.since && near.distance_m <= nearby.radius_m);
        found.sort_by(|a, b| a.distance_m.total_cmp(&b.distance_m));
        found.truncate(nearby.limit);
        found
    }

    /// The trip that an SOS is raised on, if whoever raises it is on it. Never keeps an SOS from being taken. A
    /// silent one is not told to those on the trip: they may be why it is silent.
    pub(super) async fn trip_of(&self, who: &Arc<Identity>, report: &Report) -> Option<RoomId> {
        if report.silent || (report.trip_id.is_none() && report.booking_id.is_none()) {
            return None;
        }
        let seek = async {
            let rooms = self.node().memberships.get(&who.subject).await;
            let rooms = rooms.inspect_err(|error| tracing::warn!(%error, "an SOS was not tied to its trip"));
            let rooms = rooms.ok()?;
            let mut trips = rooms.iter().filter(|room| room.kind == RoomKind::Trip);
            match &report.trip_id {
                Some(trip) => trips
                    .find(|known| known.room.as_str() == trip)
                    .map(|known| known.room.clone()),
                None => self.trip_with(who, trips, report.booking_id.as_deref()).await,
            }
        };
        let sought = tokio::time::timeout(SEEK_WITHIN, seek).await;
        sought.unwrap_or_else(|_| {
            tracing::warn!("an SOS was not tied to its trip: the store is too slow");
            None
        })
    }

    async fn trip_with(
        &self,
        who: &Arc<Identity>,
        trips: impl Iterator<Item = &Membership>,
        booking: Option<&str>,
    ) -> Option<RoomId> {
        for trip in trips {
            let known = self.trip(who, &trip.room).await.ok()?;
            if known.booking.as_deref() == booking && known.ended_at.is_none() {
                return Some(trip.room.clone());
            }
        }
        None
    }
}
