//! What is told of incidents, and what waits to be told to one watcher.

use std::collections::HashMap;
use std::sync::Arc;

use crate::delivery::Frame;
use crate::domain::geo::Position;
use crate::domain::ids::RoomId;
use crate::domain::time::Timestamp;
use crate::store::IncidentRow;
use crate::wire::json::{ServerMessage, SosSummary};

/// What became of an incident. A newer one takes the place of an older that waits.
#[derive(Clone, Debug)]
pub struct News {
    /// Where it lies.
    pub position: Position,
    /// How it stands.
    pub summary: SosSummary,
    /// Strangers may know.
    pub public: bool,
    /// It is open.
    pub open: bool,
    /// It was just raised.
    pub created: bool,
}

impl News {
    /// What another node says of an incident; `None` when it lies nowhere.
    pub fn of(row: &IncidentRow, created: bool) -> Option<Self> {
        let summary = summary(row);
        Some(Self {
            position: row.report.position?,
            public: row.report.is_public(),
            open: row.status.is_open(),
            summary,
            created,
        })
    }
}

/// An incident as watchers see it.
pub(super) fn summary(row: &IncidentRow) -> SosSummary {
    SosSummary {
        sos: row.room.clone(),
        kind: row.report.kind,
        message: row.report.message.clone(),
        severity: row.report.severity,
        status: row.status,
        position: row.report.position,
        city_id: row.report.city_id.clone(),
        created_at: row.created_at,
        updated_at: row.updated_at,
        seq: row.seq,
        active_participants: row.active_participants.into(),
    }
}

/// News that wait for one watcher: the newest of each incident, in the order of the first.
#[derive(Default)]
pub(super) struct Held {
    pub order: Vec<RoomId>,
    pub news: HashMap<RoomId, Arc<News>>,
    /// Too much waits: the whole list is sent again instead.
    pub overflowed: bool,
}

impl Held {
    pub fn add(&mut self, news: &Arc<News>, max: usize) {
        if self.overflowed {
            return;
        }
        let room = &news.summary.sos;
        let created = news.created || self.news.get(room).is_some_and(|known| known.created);
        let news = if created == news.created {
            Arc::clone(news)
        } else {
            Arc::new(News {
                created,
                ..News::clone(news)
            })
        };
        if self.news.insert(room.clone(), news).is_none() {
            self.order.push(room.clone());
        }
        if self.order.len() > max {
            *self = Self {
                overflowed: true,
                ..Self::default()
            };
        }
    }
}

/// The frame that tells of it.
pub(super) fn frame_of(news: &News, created: bool, now: Timestamp) -> Frame {
    let message = match (news.open, created) {
        (true, true) => ServerMessage::SosCreated(&news.summary),
        (true, false) => ServerMessage::SosUpdated(&news.summary),
        (false, _) => ServerMessage::SosClosed(&news.summary),
    };
    Frame::text(&message.encode(now))
}
