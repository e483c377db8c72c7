//! What a room puts on the board: how its incident stands, for the other nodes and for other programs.

use std::time::{Duration, Instant};

use super::actor::RoomActor;
use crate::bus::{IncidentNote, NAMED_MAX, Note};
use crate::domain::ids::ParticipantId;
use crate::domain::people::Subject;

/// That only a position has changed is told this often at most.
const MOVED_EVERY: Duration = Duration::from_secs(5);
/// After so long what was put is put again, so that it does not end while the incident stands.
const AGAIN_AFTER: Duration = Duration::from_secs(3_600);

/// When the room was put on the board last, and what the board was then.
#[derive(Debug, Default)]
pub(super) struct Noted {
    at: Option<Instant>,
    epoch: u64,
}

impl Noted {
    fn is_older_than(&self, span: Duration) -> bool {
        self.at.is_none_or(|at| at.elapsed() >= span)
    }
}

impl RoomActor {
    /// Puts the incident on the board as it stands now.
    pub(super) fn note_incident(&mut self) {
        if !self.node.board.is_there() {
            return;
        }
        let Some(note) = self.incident_note() else { return };
        self.noted = Noted {
            at: Some(Instant::now()),
            epoch: self.node.board.epoch(),
        };
        self.node.board.put(Note::Incident(Box::new(note)));
    }

    /// Somebody in it has moved.
    pub(super) fn note_movement(&mut self, who: ParticipantId) {
        if self.core.state.owner == Some(who) && self.noted.is_older_than(MOVED_EVERY) {
            self.note_incident();
        }
    }

    /// Puts it there again, if it may be gone or will soon be.
    pub(super) fn note_again(&mut self) {
        let lost = self.noted.epoch != self.node.board.epoch();
        if self.core.state.is_open() && (lost || self.noted.is_older_than(AGAIN_AFTER)) {
            self.note_incident();
        }
    }

    /// Where somebody was is nobody's business any more.
    pub(super) fn note_absence(&self, who: ParticipantId) {
        if self.node.board.is_there() {
            self.node.board.put(Note::Gone {
                users: vec![],
                places: vec![(self.id.clone(), who)],
            });
        }
    }

    fn incident_note(&self) -> Option<IncidentNote> {
        let state = &self.core.state;
        let incident = state.incident.as_ref()?;
        let newest = state.owner.and_then(|owner| self.core.newest.get(&owner));
        let said = || Some((incident.report.position?, incident.report.accuracy));
        let citizen = match self.core.owner().map(|owner| &owner.subject) {
            Some(Subject::User(user)) => Some(user.to_string()),
            Some(Subject::Service(service)) => Some(service.to_string()),
            // A device's id is its credential, and a number is nobody's business.
            Some(Subject::Device(_) | Subject::Phone(_)) | None => state.owner.map(|owner| owner.to_string()),
        };
        let named = state.active_participants().take(NAMED_MAX);
        Some(IncidentNote {
            sos: self.id.clone(),
            citizen,
            status: incident.status,
            created_at: state.created_at,
            closed: incident.ended_at.map(|at| (at, incident.ended_by)),
            location: newest.map(|fix| (fix.position, fix.accuracy)).or_else(said),
            located_at: newest.map(|fix| fix.at),
            participants: named.map(|(who, person)| (who, person.user_type)).collect(),
            count: state.active_participants().count(),
            seq: state.seq.get(),
        })
    }
}
