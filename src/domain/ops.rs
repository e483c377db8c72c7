//! What operators follow: how an incident stands at each of its events, and which of them somebody wants to see.

use super::area::Area;
use super::geo::Position;
use super::incident::{IncidentType, Report, Severity, Status, Visibility};
use super::room::{Event, EventBody, Genesis};
use super::time::Timestamp;

/// How an incident stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// Where it stands.
    pub status: Status,
    /// What has happened.
    pub kind: IncidentType,
    /// How bad it is.
    pub severity: Severity,
    /// The city's code, of the token or the address of whoever raised it.
    pub city_id: Option<String>,
    /// Where it was raised.
    pub position: Option<Position>,
    /// Raised without a sound.
    pub silent: bool,
    /// Who may find it.
    pub visibility: Visibility,
    /// When it was raised.
    pub created_at: Timestamp,
}

impl Summary {
    /// Of an incident that stands like this.
    pub fn new(report: &Report, status: Status, created_at: Timestamp) -> Self {
        Self {
            status,
            kind: report.kind,
            severity: report.severity,
            city_id: report.city_id.clone(),
            position: report.position,
            silent: report.silent,
            visibility: report.visibility,
            created_at,
        }
    }

    /// Of an incident that begins with this event.
    pub fn begun(event: &Event) -> Option<Self> {
        match &event.body {
            EventBody::Created(Genesis::Incident(report)) => {
                Some(Self::new(report, Status::Active, event.at))
            }
            _ => None,
        }
    }

    /// After this event.
    pub fn take(&mut self, event: &Event) {
        match &event.body {
            EventBody::StatusChanged { to, .. } => self.status = *to,
            EventBody::TypeChanged { to, .. } => self.kind = *to,
            _ => {}
        }
    }
}

/// Which events somebody wants to see. What is not said is not asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    /// Only of this city: [`Summary::city_id`], letter for letter, as lists of incidents compare it.
    pub city_id: Option<String>,
    /// Only of these types; empty: of all.
    pub types: Vec<IncidentType>,
    /// Only of incidents that stand like this; empty: of all.
    pub statuses: Vec<Status>,
    /// Only of incidents that were raised within this circle.
    pub area: Option<Area>,
}

impl Filter {
    /// Whether an event is wanted, of an incident that stands like this after it. What leaves the filter by this very
    /// event is wanted, too: whoever shows it must learn that it is gone.
    pub fn wants(&self, event: &Event, summary: &Summary) -> bool {
        let was = match &event.body {
            EventBody::StatusChanged { from, .. } => *from,
            _ => summary.status,
        };
        let was_kind = match &event.body {
            EventBody::TypeChanged { from, .. } => *from,
            _ => summary.kind,
        };
        let city = self
            .city_id
            .as_ref()
            .is_none_or(|city| summary.city_id.as_ref() == Some(city));
        let any = |all: &[Status]| all.is_empty() || all.contains(&was) || all.contains(&summary.status);
        let kinds = &self.types;
        let kind = kinds.is_empty() || kinds.contains(&was_kind) || kinds.contains(&summary.kind);
        let within = |area: &Area| summary.position.is_some_and(|position| area.contains(position));
        city && kind && any(&self.statuses) && self.area.as_ref().is_none_or(within)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::room::{Actor, Seq};
    use crate::domain::testing::{report, room};

    fn event(body: EventBody) -> Event {
        Event {
            room: room("sos"),
            seq: Seq::new(1),
            at: Timestamp::from_ms(5),
            actor: Actor::System,
            body,
        }
    }

    fn summary() -> Summary {
        let genesis = Genesis::Incident(Box::new(Report {
            city_id: Some("MNL".into()),
            ..report()
        }));
        Summary::begun(&event(EventBody::Created(genesis))).unwrap()
    }

    #[test]
    fn everything_passes_a_filter_that_asks_for_nothing() {
        assert!(Filter::default().wants(&event(EventBody::Emptied), &summary()));
    }

    #[test]
    fn each_condition_must_hold() {
        let place = summary().position.unwrap();
        let far = Position::new(place.latitude() + 1.0, place.longitude()).unwrap();
        let all = Filter {
            city_id: Some("MNL".into()),
            types: vec![IncidentType::Crime, IncidentType::Fire],
            statuses: vec![Status::Active],
            area: Some(Area::new(place, 5.0, 25).unwrap()),
        };
        let message = event(EventBody::Emptied);
        assert!(all.wants(&message, &summary()));
        let others = [
            Filter {
                city_id: Some("mnl".into()),
                ..all.clone()
            },
            Filter {
                types: vec![IncidentType::Crime],
                ..all.clone()
            },
            Filter {
                statuses: vec![Status::Resolved],
                ..all.clone()
            },
            Filter {
                area: Some(Area::new(far, 5.0, 25).unwrap()),
                ..all.clone()
            },
        ];
        for filter in others {
            assert!(!filter.wants(&message, &summary()), "{filter:?}");
        }
        let nowhere = Summary {
            position: None,
            ..summary()
        };
        assert!(!all.wants(&message, &nowhere));
    }

    #[test]
    fn what_leaves_the_filter_is_told_of_once_more() {
        let active = Filter {
            statuses: vec![Status::Active],
            ..Filter::default()
        };
        let mut now = summary();
        let resolved = event(EventBody::StatusChanged {
            from: Status::Active,
            to: Status::Resolved,
            note: None,
            lower_case: false,
        });
        now.take(&resolved);
        assert!(active.wants(&resolved, &now));
        assert!(!active.wants(&event(EventBody::Emptied), &now));
        let fires = Filter {
            types: vec![IncidentType::Fire],
            ..Filter::default()
        };
        let retyped = event(EventBody::TypeChanged {
            from: IncidentType::Fire,
            to: IncidentType::Medical,
        });
        now.take(&retyped);
        assert!(fires.wants(&retyped, &now));
        assert!(!fires.wants(&resolved, &now));
    }
}
