//! What messages say: the values that templates are filled with.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Shared;
use super::incident::{Snapshot, digest};
use crate::domain::ids::{ParticipantId, RoomId};
use crate::domain::notify::{Channel, Content, Locale, Occasion};
use crate::domain::people::Contact;
use crate::domain::time::Timestamp;

/// An SOS is late when it took longer than this from the device to the engine.
const LATE: Duration = Duration::from_secs(60);

/// Of a message about an incident.
pub(super) fn of_incident(
    shared: &Shared,
    snapshot: &Snapshot,
    occasion: Occasion,
    who: Option<ParticipantId>,
    contact: Option<&Contact>,
    now: Timestamp,
) -> Content {
    let report = &snapshot.report;
    let mut values = BTreeMap::new();
    let mut put = |name: &str, value: Option<String>| {
        if let Some(value) = value.filter(|value| !value.trim().is_empty()) {
            values.insert(name.to_owned(), value);
        }
    };
    put(
        "person",
        snapshot.owner.as_ref().and_then(|owner| owner.name.clone()),
    );
    put("kind", Some(report.kind.as_str().to_owned()));
    put("message", Some(report.message.clone()));
    let place = [&report.address.barangay, &report.address.city];
    let place: Vec<&str> = place.into_iter().flatten().map(String::as_str).collect();
    put("place", Some(place.join(", ")));
    put(
        "map",
        report
            .position
            .map(|position| map(&shared.settings.map_url, position)),
    );
    put(
        "acknowledge",
        who.and_then(|who| shared.links.acknowledge(&snapshot.room, who)),
    );
    put("incident", Some(snapshot.room.to_string()));
    let age = report.raised_at.map(|at| snapshot.created_at.since(at));
    put("age", age.filter(|age| *age >= LATE).map(spoken));
    if occasion == Occasion::SosReminder {
        put(
            "minutes",
            Some((now.since(snapshot.created_at).as_secs() / 60).to_string()),
        );
    }
    Content {
        occasion,
        locale: contact
            .and_then(|contact| contact.reach.locale.clone())
            .unwrap_or_default(),
        drill: report.drill,
        values,
    }
}

/// Of a message to the operators about an incident of which they know more than a message should say.
pub(super) fn of_room(occasion: Occasion, room: &RoomId, more: &[(&str, &str)]) -> Content {
    let values = [("incident", room.as_str())];
    Content {
        occasion,
        locale: Locale::default(),
        drill: false,
        values: values
            .iter()
            .chain(more)
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
    }
}

fn map(template: &str, position: crate::domain::geo::Position) -> String {
    template
        .replace("{lat}", &format!("{:.6}", position.latitude()))
        .replace("{lon}", &format!("{:.6}", position.longitude()))
}

/// A span for people: `3 min`, `2 h 5 min`.
fn spoken(span: Duration) -> String {
    let minutes = span.as_secs() / 60;
    match (minutes / 60, minutes % 60) {
        (0, minutes) => format!("{minutes} min"),
        (hours, 0) => format!("{hours} h"),
        (hours, minutes) => format!("{hours} h {minutes} min"),
    }
}

/// The name of the job that tells the operators of something: once for each incident, thing and channel.
pub(super) fn operators_key(room: &RoomId, what: &str, channel: Channel) -> String {
    let channel = channel.as_str().to_ascii_lowercase();
    format!("{what}-{}-{channel}", digest(room.as_str()))
}
