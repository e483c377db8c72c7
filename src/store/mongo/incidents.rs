//! Lists of incidents, newest or nearest first.
//!
//! The server finds what is near by its own sphere and in its own order; distances, and who comes first at the same
//! one, are the domain's. So the search reads on a little beyond what it needs, and sorts what it has at the end.

use std::sync::Arc;
use std::time::Instant;

use futures_util::TryStreamExt;
use mongodb::bson::{Document, doc};
use serde::Deserialize;

use super::db::{Db, Find, Pipeline};
use super::docs::{PARTICIPANTS, ParticipantDoc, Point, ROOMS, RoomDoc, date, subject as subject_text};
use super::error::Outcome;
use crate::domain::geo::Position;
use crate::domain::incident::Status;
use crate::domain::room::RoomKind;
use crate::store::codec::corrupt;
use crate::store::contract::StoreError;
use crate::store::types::{IncidentCursor, IncidentQuery, IncidentRow, Listed, Sight};

/// The server's sphere to the domain's: 6,378,100 m to 6,371,008.8 m.
const SCALE: f64 = 6_378_100.0 / 6_371_008.8;
/// By how much the two may differ in the last digits: so many metres, and this part of the distance.
const SLACK_M: f64 = 0.01;
const SLACK: f64 = 1e-9;

/// Incidents by query.
pub(super) async fn incidents(db: &Db, query: &IncidentQuery) -> Outcome<Vec<Listed>> {
    if query.limit == 0 {
        return Ok(vec![]);
    }
    let filter = filter(db, query).await?;
    match query.near {
        Some((centre, radius_m)) => nearest(db, query, filter, centre, radius_m).await,
        None => newest(db, query, filter).await,
    }
}

/// What all lists ask for.
async fn filter(db: &Db, query: &IncidentQuery) -> Outcome<Document> {
    let any =
        |open: bool| query.status.is_empty() || query.status.iter().any(|status| status.is_open() == open);
    let parts: Vec<bool> = [true, false].into_iter().filter(|open| any(*open)).collect();
    let mut filter = doc! { "kind": RoomKind::Sos.as_str(), "open": { "$in": parts } };
    if !query.status.is_empty() {
        let status: Vec<&str> = query.status.iter().copied().map(Status::as_str).collect();
        filter.insert("incident.status", doc! { "$in": status });
    }
    if let Some(kind) = query.kind {
        filter.insert("incident.kind", kind.as_str());
    }
    if let Some(city) = &query.city_id {
        filter.insert("incident.city", city);
    }
    match &query.sight {
        Sight::All => {}
        Sight::Public => {
            filter.insert("incident.public", true);
        }
        Sight::PublicAnd(subject) => {
            let theirs = doc! { "subject": subject_text(subject), "stay": { "$exists": true } };
            let theirs = Find::new(PARTICIPANTS, theirs)
                .list()
                .all::<ParticipantDoc>(db)
                .await?;
            let rooms: Vec<&str> = theirs.iter().map(|place| place.room.as_str()).collect();
            let either = vec![doc! { "incident.public": true }, doc! { "_id": { "$in": rooms } }];
            filter.insert("$or", either);
        }
    }
    Ok(filter)
}

fn row(room: &RoomDoc) -> Result<Arc<IncidentRow>, StoreError> {
    let row = room.incident()?.ok_or_else(|| corrupt("a listed incident"))?;
    Ok(Arc::new(row))
}

/// By creation time, the latest first; those of one time by room, the last first.
async fn newest(db: &Db, query: &IncidentQuery, mut filter: Document) -> Outcome<Vec<Listed>> {
    if let Some(IncidentCursor { created_at, room, .. }) = &query.after {
        let at = date(*created_at);
        let after = vec![
            doc! { "createdAt": { "$lt": at } },
            doc! { "createdAt": at, "_id": { "$lt": room.as_str() } },
        ];
        // The first is what the index can use, whatever else is asked for.
        filter.insert("createdAt", doc! { "$lte": at });
        filter.insert("$and", vec![doc! { "$or": after }]);
    }
    let index = if query.city_id.is_some() {
        "rooms_city"
    } else {
        "rooms_newest"
    };
    let find = Find::new(ROOMS, filter)
        .sort(doc! { "createdAt": -1, "_id": -1 })
        .limit(query.limit)
        .hint(index)
        .list();
    let rooms = find.all::<RoomDoc>(db).await?;
    let listed = |room: &RoomDoc| {
        Ok(Listed {
            incident: row(room)?,
            distance_m: None,
        })
    };
    rooms.iter().map(listed).collect()
}

#[derive(Deserialize)]
struct Near {
    #[serde(flatten)]
    room: RoomDoc,
    #[serde(rename = "away")]
    theirs_m: f64,
}

/// A distance of the domain's as one of the server's that is certainly not smaller.
fn beyond(distance_m: f64) -> f64 {
    distance_m * SCALE * (1.0 + SLACK) + SLACK_M
}

/// And as one that is certainly not greater.
fn within(distance_m: f64) -> f64 {
    (distance_m * SCALE * (1.0 - SLACK) - SLACK_M).max(0.0)
}

async fn nearest(
    db: &Db,
    query: &IncidentQuery,
    filter: Document,
    centre: Position,
    radius_m: f64,
) -> Outcome<Vec<Listed>> {
    let mut near = doc! {
        "near": Point::document(centre),
        "key": "incident.place",
        "spherical": true,
        "distanceField": "away",
        "maxDistance": beyond(radius_m),
        "query": filter,
    };
    if let Some(after) = &query.after {
        near.insert("minDistance", within(after.distance_m));
    }
    let pipeline = Pipeline {
        coll: ROOMS,
        stages: vec![doc! { "$geoNear": near }],
        is_list: true,
    };
    let begun = Instant::now();
    let mut candidates = pipeline.open::<Near>(db).await?;
    let mut page = Page {
        query,
        radius_m,
        hits: Vec::new(),
    };
    while let Some(candidate) = candidates.try_next().await? {
        if page.is_complete(candidate.theirs_m) {
            break;
        }
        page.offer(centre, &candidate.room)?;
    }
    pipeline.told(db, begun);
    Ok(page.finish())
}

/// What was found so far.
struct Page<'q> {
    query: &'q IncidentQuery,
    radius_m: f64,
    hits: Vec<(f64, Arc<IncidentRow>)>,
}

impl Page<'_> {
    fn offer(&mut self, centre: Position, room: &RoomDoc) -> Result<(), StoreError> {
        let incident = row(room)?;
        let position = incident.report.position.ok_or_else(|| corrupt("a position"))?;
        let distance_m = centre.distance_m(position);
        let is_new =
            self.query.after.as_ref().is_none_or(|last| {
                (distance_m, incident.room.as_str()) > (last.distance_m, last.room.as_str())
            });
        if distance_m <= self.radius_m && is_new {
            self.hits.push((distance_m, incident));
        }
        Ok(())
    }

    /// Whether the page is full, and nothing that is so far away can belong to it.
    fn is_complete(&mut self, theirs_m: f64) -> bool {
        let limit = self.query.limit;
        if self.hits.len() < limit {
            return false;
        }
        if self.hits.len() > 2 * limit {
            self.sort();
        }
        let last = self.hits.iter().map(|(distance_m, _)| *distance_m);
        let last = if self.hits.len() == limit {
            last.fold(0.0, f64::max)
        } else {
            let mut all: Vec<f64> = last.collect();
            all.sort_by(f64::total_cmp);
            all[limit - 1]
        };
        theirs_m > beyond(last)
    }

    fn sort(&mut self) {
        self.hits
            .sort_by(|(a, one), (b, other)| a.total_cmp(b).then_with(|| one.room.cmp(&other.room)));
        self.hits.truncate(self.query.limit);
    }

    fn finish(mut self) -> Vec<Listed> {
        self.sort();
        let listed = |(distance_m, incident)| Listed {
            incident,
            distance_m: Some(distance_m),
        };
        self.hits.into_iter().map(listed).collect()
    }
}
