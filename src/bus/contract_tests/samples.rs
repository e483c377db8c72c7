//! One of every kind of news, with everything in it that they may have.

use std::sync::Arc;

use crate::bus::news::{Attendance, News};
use crate::domain::geo::{Fix, Position};
use crate::domain::ids::{DeviceId, MessageId, ParticipantId, RoomId, ServiceName, UserId};
use crate::domain::incident::{Address, IncidentType, Report, Severity, Status, Visibility};
use crate::domain::people::{Person, Role, Subject};
use crate::domain::phone::{PhoneNumber, Region};
use crate::domain::room::{Actor, Event, EventBody, Genesis, LeaveReason, Relay, Seq, UserType};
use crate::domain::time::Timestamp;
use crate::store::IncidentRow;

const OK: &str = "invariant: the sample is well-formed";

/// A room by name.
pub fn room(name: &str) -> RoomId {
    RoomId::new(name).expect(OK)
}

fn who(n: u64) -> ParticipantId {
    ParticipantId::from_bits(n)
}

fn user() -> Subject {
    Subject::User(UserId::new("u-1").expect(OK))
}

fn phone() -> PhoneNumber {
    let region = Region::new("PH").expect(OK);
    PhoneNumber::parse("+639171234567", region).expect(OK)
}

fn report() -> Report {
    Report {
        kind: IncidentType::Fire,
        message: "the roof is burning: ¡ayúdenme! 火事".into(),
        silent: true,
        drill: false,
        raised_at: None,
        guarded: false,
        severity: Severity::High,
        position: Some(Position::new(-14.5995, 120.984_200_000_1).expect(OK)),
        accuracy: Some(5.25),
        address: Address {
            city: Some("Manila".into()),
            barangay: Some("Ermita".into()),
        },
        city_id: Some("MNL".into()),
        visibility: Visibility::Restricted,
        trip_id: Some("t-1".into()),
        booking_id: Some("b-1".into()),
        raised_from: vec![room("home"), room("work")],
    }
}

fn bodies() -> Vec<EventBody> {
    let id = MessageId::new("m-1").expect(OK);
    vec![
        EventBody::Created(Genesis::Circle),
        EventBody::Created(Genesis::Incident(Box::new(report()))),
        EventBody::Joined {
            who: who(1),
            user_type: UserType::AnonRescuer,
            as_contact: true,
        },
        EventBody::Left {
            who: who(u64::MAX),
            reason: LeaveReason::Idle,
        },
        EventBody::JoinRequested { who: who(2) },
        EventBody::JoinDenied { who: who(2) },
        EventBody::MessageSent {
            id,
            content: "a \"quoted\" word\n".into(),
            relay: None,
        },
        EventBody::MessageSent {
            id: MessageId::new("m-2").expect(OK),
            content: "from elsewhere".into(),
            relay: Some(Relay {
                sender: Some(UserType::Rescuer),
                notice: false,
                written_at: Timestamp::from_ms(1_800_000_000_001),
            }),
        },
        EventBody::TypeChanged {
            from: IncidentType::Fire,
            to: IncidentType::Medical,
        },
        EventBody::Activated,
        EventBody::Deactivated,
        EventBody::Emptied,
        EventBody::EmergencyRaised { sos: room("sos") },
        EventBody::EmergencyEnded { sos: room("sos") },
        EventBody::ContactAlerted { who: who(3) },
        EventBody::StatusChanged {
            from: Status::Active,
            to: Status::Arrived,
            note: Some("here".into()),
            lower_case: true,
        },
        EventBody::LinkRaised { room: room("home") },
        EventBody::LinkEnded { room: room("home") },
    ]
}

fn events() -> Vec<Event> {
    let event = |(n, body)| Event {
        room: room("home"),
        seq: Seq::new(n),
        at: Timestamp::from_ms(1_800_000_000_123),
        actor: if n % 2 == 0 {
            Actor::System
        } else {
            Actor::Participant(who(n))
        },
        body,
    };
    (41..).zip(bodies()).map(event).collect()
}

fn people() -> Vec<Person> {
    let subjects = [
        user(),
        Subject::Device(DeviceId::from_random([7; 16])),
        Subject::Service(ServiceName::new("dispatch").expect(OK)),
    ];
    let person = |(subject, role)| Person {
        participant: who(9),
        subject,
        name: Some("Ana".into()),
        phone: Some(phone()),
        role,
    };
    let roles = [Role::Citizen, Role::Anon, Role::Admin];
    subjects.into_iter().zip(roles).map(person).collect()
}

fn fixes() -> Vec<(ParticipantId, Fix)> {
    let position = Position::new(14.5995, 120.9842).expect(OK);
    let bare = Fix::new(position, Timestamp::from_ms(1));
    let full = bare.with_motion(Some(4.5), Some(1.25), Some(359.5)).expect(OK);
    vec![(who(1), bare), (who(2), full)]
}

fn row() -> IncidentRow {
    let at = Timestamp::from_ms;
    IncidentRow {
        room: room("sos"),
        creator: who(1),
        report: report(),
        status: Status::Cancelled,
        created_at: at(1),
        updated_at: at(2),
        ended_at: Some(at(3)),
        seq: Seq::new(12),
        active_participants: 3,
    }
}

/// One of every kind.
pub fn all() -> Vec<News> {
    let attendance = |here| Attendance {
        who: who(4),
        here,
        greet: !here,
    };
    vec![
        News::Events {
            room: room("home"),
            events: events(),
            people: people(),
        },
        News::Positions {
            room: room("home"),
            fixes: fixes(),
        },
        News::Presence {
            room: room("home"),
            changes: vec![attendance(true), attendance(false)],
            whole: true,
            asks: false,
        },
        News::Presence {
            room: room("home"),
            changes: vec![],
            whole: false,
            asks: true,
        },
        News::Typing {
            room: room("home"),
            who: who(4),
            on: true,
            name: Some("Ana".into()),
        },
        News::Incident {
            row: Arc::new(row()),
            created: true,
        },
        News::Called {
            room: room("home"),
            owner: user(),
            alarm: true,
        },
        News::Concerns {
            subject: user(),
            room: room("home"),
        },
        News::Memberships {
            subjects: people().into_iter().map(|person| person.subject).collect(),
        },
        News::Contacts {
            owner: user(),
            name: Some("Ana".into()),
            circles: vec![room("home")],
            added: vec![phone()],
            removed: vec![],
        },
        News::Blocks,
        News::Erased {
            subject: user(),
            places: vec![(room("home"), who(1)), (room("sos"), who(2))],
        },
        News::Missed,
    ]
}
