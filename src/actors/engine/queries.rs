//! Questions that the store answers, with who may ask them.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Engine;
use crate::actors::error::CommandError;
use crate::actors::room::{Glimpse, RoomView, stored_view};
use crate::bus::{Peer, SessionNote, Vitals};
use crate::domain::geo::Fix;
use crate::domain::ids::{ParticipantId, RoomId, UserId};
use crate::domain::people::{ContactBook, Identity, Subject};
use crate::domain::phone::PhoneNumber;
use crate::domain::room::{Rejection, RoomKind, Seq};
use crate::store::{FoundMessages, HistoryFix, HistoryQuery, IncidentQuery, Listed, StoreError};

/// Rooms in use that are listed at most.
const IN_USE_MAX: usize = 100_000;
/// Of them read at once.
const LIVE_PAGE: usize = 1_000;

/// A room in numbers, for `rooms-info`.
#[derive(Clone, Debug)]
pub struct RoomInfo {
    /// The room as the asker sees it.
    pub view: Box<RoomView>,
    /// Connections that sit in it on this node.
    pub connections: usize,
}

/// A part of a list of rooms, in the order of their ids.
#[derive(Clone, Debug)]
pub struct Part {
    /// Continue after this one.
    pub after: Option<RoomId>,
    /// At most so many.
    pub limit: usize,
}

/// A page of rooms.
#[derive(Clone, Debug)]
pub struct RoomInfos {
    /// Those that the asker may see.
    pub rooms: Vec<RoomInfo>,
    /// There are more after this one.
    pub next: Option<RoomId>,
    /// How many there are, those on other pages included.
    pub total: usize,
}

/// Before which event messages are shown, by what was asked for and by what may be seen.
pub fn earlier(before: Option<Seq>, until: Option<Seq>) -> Option<Seq> {
    before.into_iter().chain(until.map(Seq::next)).min()
}

impl Engine {
    /// Incidents by query. The query says what the asker may see.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn incidents(&self, query: &IncidentQuery) -> Result<Vec<Listed>, StoreError> {
        self.node().store.incidents(query).await
    }

    /// A room's messages, newest first.
    ///
    /// # Errors
    /// As [`Engine::inside`].
    pub async fn messages(
        &self,
        room: &RoomId,
        who: &Arc<Identity>,
        before: Option<Seq>,
        limit: usize,
        text: Option<&str>,
    ) -> Result<(Box<RoomView>, FoundMessages), CommandError> {
        let view = self.inside(room, who).await?;
        let before = earlier(before, view.until);
        let found = self.node().store.messages(room, before, limit, text).await?;
        Ok((view, found))
    }

    /// A room's positions, oldest first. In an incident others see those of people who are in it now, and their
    /// own; operators see all.
    ///
    /// # Errors
    /// `NotFound` when there is no room for them, `Forbidden` when they are not shown where people are.
    pub async fn room_history(
        &self,
        room: &RoomId,
        who: &Arc<Identity>,
        participant: Option<ParticipantId>,
        query: HistoryQuery,
    ) -> Result<(Box<RoomView>, Vec<HistoryFix>), CommandError> {
        let view = self.view(room, who).await?;
        if !view.shows_positions {
            return Err(Rejection::Forbidden.into());
        }
        let sees_all = who.role.is_staff() || view.state.kind != Some(RoomKind::Sos);
        let among = (!sees_all).then(|| {
            let now_in = view.state.active_participants().map(|(who, _)| who);
            now_in.chain(view.viewer).collect()
        });
        let query = HistoryQuery {
            room: Some(room.clone()),
            participant,
            among,
            subject: None,
            ..query
        };
        let fixes = self.node().store.history(&query).await?;
        Ok((view, fixes))
    }

    /// A person's own positions, oldest first.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn own_history(
        &self,
        who: &Identity,
        query: HistoryQuery,
    ) -> Result<Vec<HistoryFix>, StoreError> {
        let subject = Some(who.subject.clone());
        // Bound to one incident: what the same device sent elsewhere is not theirs to read.
        let room = who.mission.clone();
        self.node()
            .store
            .history(&HistoryQuery {
                room,
                participant: None,
                subject,
                ..query
            })
            .await
    }

    /// The circles that list the asker among their owner's contacts, each as they see it.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn circles_listing(
        &self,
        who: &Arc<Identity>,
        limit: usize,
    ) -> Result<Vec<Box<RoomView>>, CommandError> {
        let Some(phone) = &who.phone else {
            return Ok(vec![]);
        };
        let mut views = Vec::new();
        for circle in self.node().store.circles_listing(phone, limit).await? {
            match self.view(&circle.room, who).await {
                Ok(view) => views.push(view),
                Err(CommandError::Rejected(Rejection::NotFound)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(views)
    }

    /// The rooms that the asker owns or is in.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn rooms_of(&self, who: &Arc<Identity>, part: &Part) -> Result<RoomInfos, CommandError> {
        let mut rooms: Vec<RoomId> = self
            .node()
            .memberships
            .get(&who.subject)
            .await?
            .iter()
            .map(|m| m.room.clone())
            .collect();
        for circle in self.node().store.circles_of(&who.subject).await? {
            if !rooms.contains(&circle) {
                rooms.push(circle);
            }
        }
        // Which other rooms the same device is in is no business of a credential that is bound to one.
        rooms.retain(|room| who.may_enter(room));
        self.infos(rooms, who, part, false).await
    }

    /// The rooms in use on this node; of many nodes also those in which something may happen on any of them. For
    /// operators.
    ///
    /// # Errors
    /// When a room does not answer, or the store fails.
    pub async fn rooms_in_use(&self, who: &Arc<Identity>, part: &Part) -> Result<RoomInfos, CommandError> {
        let node = self.node();
        let handles = node.registry.handles();
        let mut rooms: BTreeSet<RoomId> = handles.into_iter().map(|room| room.id().clone()).collect();
        let mut after = None;
        while node.cluster.clustered && rooms.len() < IN_USE_MAX {
            let page = node.store.live_rooms(after.as_ref(), LIVE_PAGE).await?;
            after = page.last().cloned();
            rooms.extend(page);
            if after.is_none() {
                break;
            }
        }
        self.infos(rooms.into_iter().collect(), who, part, true).await
    }

    /// The nodes that are alive, as each says of itself; this one as it is now.
    pub fn nodes(&self) -> Vec<Peer> {
        let node = self.node();
        let now = Vitals {
            connections: node.directory.connections() as u64,
            rooms: node.registry.len() as u64,
            draining: node.is_draining(),
        };
        let mut nodes = node.cluster.peers.alive().to_vec();
        for peer in nodes.iter_mut().filter(|peer| peer.node == node.bus.node()) {
            peer.vitals = now;
        }
        nodes
    }

    async fn infos(
        &self,
        mut rooms: Vec<RoomId>,
        who: &Arc<Identity>,
        part: &Part,
        all: bool,
    ) -> Result<RoomInfos, CommandError> {
        let total = rooms.len();
        rooms.retain(|room| part.after.as_ref().is_none_or(|after| room > after));
        rooms.sort_unstable();
        let more = rooms.len() > part.limit;
        rooms.truncate(part.limit);
        let next = rooms.last().filter(|_| more).cloned();
        let mut infos = Vec::with_capacity(rooms.len());
        for room in rooms {
            let view = match self.info(&room, who, all).await {
                Ok(view) => view,
                Err(CommandError::Rejected(_)) => continue,
                Err(error) => return Err(error),
            };
            let connections = self
                .node()
                .registry
                .peek(&room)
                .map_or(0, |room| room.shared().seated());
            infos.push(RoomInfo { view, connections });
        }
        Ok(RoomInfos {
            rooms: infos,
            next,
            total,
        })
    }

    /// `all`: it is one of very many, which must not all be brought to life here, nor looked for in the store.
    async fn info(
        &self,
        room: &RoomId,
        who: &Arc<Identity>,
        all: bool,
    ) -> Result<Box<RoomView>, CommandError> {
        let node = self.node();
        if !all {
            return self.view(room, who).await;
        }
        if node.cluster.clustered && node.registry.peek(room).is_none() {
            let stored = node.store.load(room).await?.unwrap_or_default();
            return stored_view(room, stored, who, node.settings.stale_after, node.now());
        }
        self.known_view(room, who).await
    }

    /// A user's newest connection, on whatever node; the same from every node.
    pub async fn session(&self, user: &UserId) -> Option<SessionNote> {
        self.node().board.session(user).await
    }

    /// Where somebody in a room was last, whichever node took it; `None` when nobody knows, or they are not in.
    ///
    /// # Errors
    /// When the room does not answer, or is none for `who`.
    pub async fn latest_location(
        &self,
        room: &RoomId,
        who: &Arc<Identity>,
        whose: ParticipantId,
    ) -> Result<Option<Fix>, CommandError> {
        let look = move |glimpse: &Glimpse<'_>| {
            let seen = glimpse.shows_positions && glimpse.state.shows_position_of(whose);
            let found = glimpse.newest().find(|(known, _)| *known == whose);
            (seen, found.map(|(_, fix)| *fix))
        };
        let (seen, here) = self.glance(room, Some(who), look).await?;
        if !seen {
            return Ok(None);
        }
        // A node that does not hear of the room asks those who do.
        let there = self.node().board.newest(room).await;
        let there = there.into_iter().find(|(known, _)| *known == whose);
        let both = here.into_iter().chain(there.map(|(_, fix)| fix));
        Ok(both.max_by_key(|fix| fix.at))
    }

    /// A person's contact lists.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn contacts(&self, who: &Identity) -> Result<ContactBook, StoreError> {
        self.node().contact_book(&who.subject).await
    }

    /// Replaces a person's contact lists. Their open circles follow at once.
    ///
    /// # Errors
    /// When the store fails or a circle is too busy to be told.
    pub async fn put_contacts(&self, who: &Identity, book: ContactBook) -> Result<(), CommandError> {
        self.node()
            .replace_contacts(&who.subject, who.name.clone(), book)
            .await
    }

    /// Whether `who` has a number that their credential vouches for.
    pub fn vouched_phone<'a>(&self, who: &'a Identity) -> Option<&'a PhoneNumber> {
        who.phone.as_ref()
    }

    /// The subject behind a participant, as far as the viewer's records go.
    pub fn subject_of(view: &RoomView, who: ParticipantId) -> Option<&Subject> {
        view.people
            .iter()
            .find(|person| person.participant == who)
            .map(|person| &person.subject)
    }

    /// A room as somebody may see it who may see what its participants do.
    ///
    /// # Errors
    /// `NotFound` when there is none for them, `Forbidden` when they may not look inside.
    pub async fn inside(&self, room: &RoomId, who: &Arc<Identity>) -> Result<Box<RoomView>, CommandError> {
        let view = self.view(room, who).await?;
        if view.inside {
            Ok(view)
        } else {
            Err(Rejection::Forbidden.into())
        }
    }
}
