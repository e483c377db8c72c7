//! A room as the caller may see it, made ready to be rendered.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use actix_web::HttpRequest;

use super::Api;
use crate::actors::room::{Glimpse, RoomView};
use crate::domain::geo::Fix;
use crate::domain::ids::{ParticipantId, RoomId};
use crate::domain::people::Person;
use crate::domain::room::{Rejection, RoomKind, RoomState, Seq, UserType};
use crate::http::auth::Caller;
use crate::http::error::ApiError;
use crate::http::etag::Stamp;
use crate::wire::rest::{ParticipantView, Sender, SosShown, SosView};

/// Where people's records are found.
enum People<'a> {
    Listed(HashMap<ParticipantId, &'a Person>),
    /// In the room itself.
    There(&'a Glimpse<'a>),
}

/// An incident's room with its people by their ids.
pub(super) struct Scene<'a> {
    state: &'a RoomState,
    people: People<'a>,
    viewer: Option<ParticipantId>,
    pub inside: bool,
    last: Option<(ParticipantId, &'a Fix)>,
}

impl<'a> Scene<'a> {
    /// `NotFound` when the room is no incident.
    pub fn of(view: &'a RoomView) -> Result<Self, Rejection> {
        Self::any(view).incident()
    }

    /// A room where it lives; `NotFound` when it is no incident.
    pub fn at(glimpse: &'a Glimpse<'a>) -> Result<Self, Rejection> {
        let scene = Self {
            state: glimpse.state,
            people: People::There(glimpse),
            viewer: glimpse.viewer,
            inside: glimpse.inside,
            last: glimpse.newest().max_by_key(|(_, fix)| fix.at),
        };
        scene.incident()
    }

    /// Any kind of room.
    pub fn any(view: &'a RoomView) -> Self {
        let people = view.people.iter().map(|person| (person.participant, person));
        let newest = view.newest.iter().max_by_key(|(_, fix)| fix.at);
        Self {
            state: &view.state,
            people: People::Listed(people.collect()),
            viewer: view.viewer,
            inside: view.inside,
            last: newest.map(|(who, fix)| (*who, fix)),
        }
    }

    fn incident(self) -> Result<Self, Rejection> {
        if self.state.kind == Some(RoomKind::Sos) {
            Ok(self)
        } else {
            Err(Rejection::NotFound)
        }
    }

    pub fn state(&self) -> &'a RoomState {
        self.state
    }

    pub fn room(&self) -> &'a RoomId {
        &self.state.id
    }

    pub fn person(&self, who: ParticipantId) -> Option<&'a Person> {
        match &self.people {
            People::Listed(people) => people.get(&who).copied(),
            People::There(room) => room.person(who),
        }
    }

    pub fn name(&self, who: ParticipantId) -> Option<&'a str> {
        self.person(who).and_then(|person| person.name.as_deref())
    }

    /// Adds what answers about the room depend on: its log, what its people are called, and who reads.
    pub fn stamped(&self, stamp: Stamp) -> Stamp {
        // In any order: their records come in none.
        let add = |sum: u64, person: &Person| {
            let mut hasher = DefaultHasher::new();
            (person.participant, &person.name).hash(&mut hasher);
            sum.wrapping_add(hasher.finish())
        };
        let names = match &self.people {
            People::Listed(people) => people.values().copied().fold(0, add),
            People::There(room) => room.people().fold(0, add),
        };
        stamp
            .with((self.room(), self.state.seq, names))
            .with((self.inside, self.viewer))
    }

    /// Somebody's stay; 404 when they never were in.
    pub fn participant(&self, who: ParticipantId) -> Option<ParticipantView<'a>> {
        let known = self.state.participants.get(&who)?;
        Some(ParticipantView::of(self.room(), who, known, self.name(who)))
    }

    /// Who said something; they need not ever have been in, when a service passed their words on.
    pub fn sender(&self, who: ParticipantId) -> Sender<'a> {
        let known = self.state.participants.get(&who);
        Sender {
            id: who,
            user_type: known.map_or(UserType::Citizen, |known| known.user_type),
            name: self.name(who),
        }
    }

    /// Where somebody was last, for those inside.
    pub fn last(&self) -> Option<(ParticipantId, &'a Fix)> {
        self.last.filter(|_| self.inside)
    }

    /// The incident. Where people are, and which circles it was raised from, is for those inside.
    /// A silent one shows next to nothing to whoever raised it.
    pub fn sos(&self) -> Result<SosShown<'_>, ApiError> {
        let own = self.viewer.is_some() && self.viewer == self.state.owner;
        let silent = self
            .state
            .incident
            .as_ref()
            .is_some_and(|incident| incident.report.silent);
        let shown = if own && silent {
            SosShown::quiet(self.state)
        } else {
            let shows_links = self.inside;
            SosView::of(self.state, &|who| self.person(who), self.last(), shows_links)
                .map(|view| SosShown::Whole(Box::new(view)))
        };
        shown.ok_or_else(|| Rejection::NotFound.into())
    }
}

/// What answers from an incident's log depend on, for those who may read it, and how far they may; the log itself is in the
/// store.
pub(super) async fn inside(
    api: &Api,
    id: &RoomId,
    caller: &Caller,
    request: &HttpRequest,
) -> Result<(Stamp, Option<Seq>), ApiError> {
    let stamp = Stamp::new(request, Some(&caller.identity));
    let look = move |glimpse: &Glimpse<'_>| match Scene::at(glimpse) {
        Ok(scene) if scene.inside => Ok((scene.stamped(stamp), glimpse.until)),
        Ok(_) => Err(Rejection::Forbidden),
        Err(rejection) => Err(rejection),
    };
    let looked = api.engine.glance(id, Some(&caller.identity), look).await?;
    Ok(looked?)
}
