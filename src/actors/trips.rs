//! Where the trips are that go on: what this node's rooms know, for whoever looks for one near. It is made again
//! from the rooms when the process starts; with a bus, all nodes' are in Redis.

use std::collections::{BTreeMap, HashMap};

use parking_lot::Mutex;

use crate::domain::geo::{Fix, Position};
use crate::domain::ids::RoomId;
use crate::domain::time::Timestamp;

/// Bands of latitude to a degree: one is some 11 km wide.
const BANDS: f64 = 10.0;
/// Metres to a degree of latitude, erring low: it looks into a band too many, never into one too few.
const DEGREE_M: f64 = 110_000.0;

/// A trip that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct NearTrip {
    /// Its room.
    pub trip: RoomId,
    /// Where its driver was last.
    pub position: Position,
    /// When that was measured.
    pub at: Timestamp,
    /// How far that is from where was asked, in metres.
    pub distance_m: f64,
}

/// A circle in which trips are looked for.
#[derive(Clone, Copy, Debug)]
pub struct Nearby {
    /// Its centre.
    pub centre: Position,
    /// Its radius in metres.
    pub radius_m: f64,
    /// Trips of which nothing was heard since this are left out.
    pub since: Timestamp,
    /// At most so many, the nearest first.
    pub limit: usize,
}

#[derive(Clone, Copy)]
struct Place {
    position: Position,
    at: Timestamp,
}

#[derive(Default)]
struct Inner {
    places: HashMap<RoomId, Place>,
    bands: BTreeMap<i32, Vec<RoomId>>,
    left_out: u64,
}

/// The trips of a node, by latitude.
pub struct Trips {
    inner: Mutex<Inner>,
    max: usize,
}

fn band(latitude: f64) -> i32 {
    #[expect(clippy::cast_possible_truncation, reason = "between -900 and 900")]
    let band = (latitude * BANDS).floor() as i32;
    band
}

impl Trips {
    /// Of which at most `max` are held.
    pub fn new(max: usize) -> Self {
        Self {
            inner: Mutex::default(),
            max,
        }
    }

    /// A trip's driver is here now. Further trips than fit are left out until others end.
    pub fn moved(&self, trip: &RoomId, fix: &Fix) {
        let mut inner = self.inner.lock();
        let place = Place {
            position: fix.position,
            at: fix.at,
        };
        let new = band(place.position.latitude());
        let full = inner.places.len() >= self.max;
        let old = match inner.places.get_mut(trip) {
            Some(known) if known.at >= place.at => return,
            Some(known) => {
                let old = band(known.position.latitude());
                *known = place;
                old
            }
            None if full => {
                inner.left_out += 1;
                return;
            }
            None => {
                inner.places.insert(trip.clone(), place);
                inner.bands.entry(new).or_default().push(trip.clone());
                return;
            }
        };
        if old != new {
            inner.leave(old, trip);
            inner.bands.entry(new).or_default().push(trip.clone());
        }
    }

    /// A trip is over.
    pub fn ended(&self, trip: &RoomId) {
        let mut inner = self.inner.lock();
        if let Some(place) = inner.places.remove(trip) {
            inner.leave(band(place.position.latitude()), trip);
        }
    }

    /// Trips in a circle, the nearest first.
    pub fn near(&self, nearby: &Nearby) -> Vec<NearTrip> {
        let reach = nearby.radius_m / DEGREE_M;
        let latitude = nearby.centre.latitude();
        let (south, north) = (band(latitude - reach), band(latitude + reach));
        let inner = self.inner.lock();
        let near = |trip: &RoomId| {
            let place = inner.places.get(trip)?;
            let distance_m = place.position.distance_m(nearby.centre);
            (distance_m <= nearby.radius_m && place.at >= nearby.since).then(|| NearTrip {
                trip: trip.clone(),
                position: place.position,
                at: place.at,
                distance_m,
            })
        };
        let bands = inner.bands.range(south..=north);
        let mut found: Vec<_> = bands.flat_map(|(_, trips)| trips).filter_map(near).collect();
        drop(inner);
        found.sort_by(|a, b| {
            let nearer = a.distance_m.total_cmp(&b.distance_m);
            nearer.then_with(|| a.trip.cmp(&b.trip))
        });
        found.truncate(nearby.limit);
        found
    }

    /// How many are held.
    pub fn len(&self) -> usize {
        self.inner.lock().places.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How often one was left out because so many were held.
    pub fn left_out(&self) -> u64 {
        self.inner.lock().left_out
    }
}

impl Inner {
    fn leave(&mut self, band: i32, trip: &RoomId) {
        if let Some(trips) = self.bands.get_mut(&band) {
            trips.retain(|other| other != trip);
            if trips.is_empty() {
                self.bands.remove(&band);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn trip(n: usize) -> RoomId {
        RoomId::new(format!("trip-{n}")).unwrap()
    }

    fn at(latitude: f64, longitude: f64, ms: i64) -> Fix {
        Fix::new(
            Position::new(latitude, longitude).unwrap(),
            Timestamp::from_ms(ms),
        )
    }

    fn around(latitude: f64, longitude: f64, radius_m: f64) -> Nearby {
        Nearby {
            centre: Position::new(latitude, longitude).unwrap(),
            radius_m,
            since: Timestamp::from_ms(0),
            limit: 1_000,
        }
    }

    fn found(trips: &Trips, nearby: &Nearby) -> Vec<RoomId> {
        trips.near(nearby).into_iter().map(|near| near.trip).collect()
    }

    #[test]
    fn a_trip_is_where_its_newest_fix_is_until_it_ends() {
        let trips = Trips::new(10);
        trips.moved(&trip(1), &at(14.6, 121.0, 10));
        trips.moved(&trip(1), &at(15.6, 121.0, 30));
        trips.moved(&trip(1), &at(14.6, 121.0, 20));
        assert_eq!(found(&trips, &around(14.6, 121.0, 5_000.0)), []);
        assert_eq!(found(&trips, &around(15.61, 121.0, 5_000.0)), [trip(1)]);
        let late = Nearby {
            since: Timestamp::from_ms(31),
            ..around(15.6, 121.0, 5_000.0)
        };
        assert_eq!(found(&trips, &late), []);
        trips.ended(&trip(1));
        assert_eq!(found(&trips, &around(15.61, 121.0, 5_000.0)), []);
        let inner = trips.inner.lock();
        assert!(inner.places.is_empty() && inner.bands.is_empty());
    }

    #[test]
    fn what_does_not_fit_is_left_out_and_counted_until_something_ends() {
        let trips = Trips::new(2);
        (0..4).for_each(|n| trips.moved(&trip(n), &at(14.6, 121.0, 10)));
        assert_eq!((trips.len(), trips.left_out()), (2, 2));
        trips.moved(&trip(0), &at(14.7, 121.0, 20));
        trips.ended(&trip(1));
        trips.moved(&trip(3), &at(14.6, 121.0, 20));
        assert_eq!((trips.len(), trips.left_out()), (2, 2));
    }

    proptest! {
        #[test]
        fn a_search_finds_what_looking_at_each_would_find(
            places in proptest::collection::vec((-90.0..=90.0f64, -180.0..=180.0f64), 1..40),
            close in proptest::collection::vec((-0.3..=0.3f64, -0.3..=0.3f64), 0..40),
            latitude in -89.0..=89.0f64, longitude in -179.0..=179.0f64, radius in 1.0..=25_000.0f64,
        ) {
            let trips = Trips::new(1_000);
            let near = close.into_iter().map(|(north, east)| (latitude + north, longitude + east));
            let all: Vec<_> = places.into_iter().chain(near).collect();
            for (n, (latitude, longitude)) in all.iter().enumerate() {
                trips.moved(&trip(n), &at(*latitude, *longitude, 1));
            }
            let nearby = around(latitude, longitude, radius);
            let mut expected: Vec<_> = all
                .iter()
                .enumerate()
                .map(|(n, (lat, lon))| (n, Position::new(*lat, *lon).unwrap().distance_m(nearby.centre)))
                .filter(|(_, distance)| *distance <= radius)
                .collect();
            expected.sort_by(|a, b| a.1.total_cmp(&b.1).then_with(|| trip(a.0).cmp(&trip(b.0))));
            let expected: Vec<_> = expected.into_iter().map(|(n, _)| trip(n)).collect();
            prop_assert_eq!(found(&trips, &nearby), expected);
        }
    }
}
