//! What tests of this and other layers build their cases from.

use super::geo::Position;
use super::ids::{ParticipantId, RoomId};
use super::incident::{Address, IncidentType, Report, Severity, Visibility};

/// Participant number `n`.
pub fn person(n: u64) -> ParticipantId {
    ParticipantId::from_bits(n)
}

/// A room by name.
pub fn room(name: &str) -> RoomId {
    RoomId::new(name).unwrap()
}

/// A fire that anybody may see.
pub fn report() -> Report {
    Report {
        kind: IncidentType::Fire,
        message: "the roof is burning".into(),
        silent: false,
        drill: false,
        raised_at: None,
        guarded: false,
        severity: Severity::High,
        position: Some(Position::new(14.5995, 120.9842).unwrap()),
        accuracy: Some(5.0),
        address: Address::default(),
        city_id: None,
        visibility: Visibility::Public,
        trip_id: None,
        booking_id: None,
        raised_from: vec![],
    }
}
