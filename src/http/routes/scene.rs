//! A room as the caller may see it, made ready to be rendered.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use actix_web::HttpRequest;

use crate::actors::room::RoomView;
use crate::domain::geo::Fix;
use crate::domain::ids::{ParticipantId, RoomId};
use crate::domain::people::{Identity, Person};
use crate::domain::room::{Rejection, RoomKind};
use crate::http::error::ApiError;
use crate::http::etag::Stamp;
use crate::wire::rest::{ParticipantView, Sender, SosView};

/// An incident's room with its people by their ids.
pub(super) struct Scene<'a> {
    view: &'a RoomView,
    people: HashMap<ParticipantId, &'a Person>,
}

impl<'a> Scene<'a> {
    /// `NotFound` when the room is no incident.
    pub fn of(view: &'a RoomView) -> Result<Self, Rejection> {
        if view.state.kind != Some(RoomKind::Sos) {
            return Err(Rejection::NotFound);
        }
        Ok(Self::any(view))
    }

    /// Any kind of room.
    pub fn any(view: &'a RoomView) -> Self {
        let people = view.people.iter().map(|person| (person.participant, person));
        Self {
            view,
            people: people.collect(),
        }
    }

    pub fn room(&self) -> &'a RoomId {
        &self.view.state.id
    }

    pub fn person(&self, who: ParticipantId) -> Option<&'a Person> {
        self.people.get(&who).copied()
    }

    pub fn name(&self, who: ParticipantId) -> Option<&'a str> {
        self.person(who).and_then(|person| person.name.as_deref())
    }

    /// What answers about the room depend on: its log, what its people are called, and who reads.
    pub fn stamp(&self, request: &HttpRequest, reader: Option<&Arc<Identity>>) -> Stamp {
        // In any order: their records come in none.
        let names = self.view.people.iter().fold(0, |sum: u64, person| {
            let mut hasher = DefaultHasher::new();
            (person.participant, &person.name).hash(&mut hasher);
            sum.wrapping_add(hasher.finish())
        });
        Stamp::new(request, reader.map(Arc::as_ref))
            .with((self.room(), self.view.state.seq, names))
            .with((self.view.inside, self.view.viewer))
    }

    /// Somebody's stay; 404 when they never were in.
    pub fn participant(&self, who: ParticipantId) -> Option<ParticipantView<'a>> {
        let known = self.view.state.participants.get(&who)?;
        Some(ParticipantView::of(self.room(), who, known, self.name(who)))
    }

    /// Who said something.
    pub fn sender(&self, who: ParticipantId) -> Option<Sender<'a>> {
        let known = self.view.state.participants.get(&who)?;
        Some(Sender {
            id: who,
            user_type: known.user_type,
            name: self.name(who),
        })
    }

    /// Where somebody was last, for those inside.
    pub fn last(&self) -> Option<(ParticipantId, &Fix)> {
        let newest = self.view.newest.iter().max_by_key(|(_, fix)| fix.at);
        newest.filter(|_| self.view.inside).map(|(who, fix)| (*who, fix))
    }

    /// The incident. Where people are, and which circles it was raised from, is for those inside.
    pub fn sos(&self) -> Result<SosView<'_>, ApiError> {
        let last = self.last();
        let shows_links = self.view.inside;
        SosView::of(&self.view.state, &|who| self.person(who), last, shows_links)
            .ok_or_else(|| Rejection::NotFound.into())
    }
}
