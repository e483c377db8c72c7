//! What staff are told of an incident beside what it says itself.

use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::hints::{Hint, Oddities};
use crate::wire::schema;

/// `hints` of an incident, for staff only; each part is left out when there is nothing to tell.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HintsView {
    /// Incidents that may be the same one, or the same hoax: near in place and time, by one person or from one
    /// address. The newest first, at most 20.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<schema::Room>")]
    possible_duplicates: Vec<String>,
    /// Participants without an account who came from one address, for each such address.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<Vec<schema::Participant>>")]
    same_address: Vec<Vec<String>>,
    /// What is odd: ADDRESS_OVER_BUDGET, RAISED_BY_BLOCKED, NO_POSITION, OUTSIDE_AREA.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    flags: Vec<&'static str>,
}

impl From<Hint> for HintsView {
    fn from(hint: Hint) -> Self {
        Self {
            possible_duplicates: hint.duplicates.iter().map(ToString::to_string).collect(),
            same_address: hint
                .same_address
                .iter()
                .map(|group| group.iter().map(ToString::to_string).collect())
                .collect(),
            flags: flags(hint.odd),
        }
    }
}

fn flags(odd: Oddities) -> Vec<&'static str> {
    let all = [
        (odd.over_address, "ADDRESS_OVER_BUDGET"),
        (odd.by_blocked, "RAISED_BY_BLOCKED"),
        (odd.no_position, "NO_POSITION"),
        (odd.outside_area, "OUTSIDE_AREA"),
    ];
    all.into_iter()
        .filter(|(odd, _)| *odd)
        .map(|(_, flag)| flag)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::{ParticipantId, RoomId};
    use serde_json::json;

    #[test]
    fn hints_tell_only_what_there_is_to_tell() {
        let view = |hint: Hint| serde_json::to_value(HintsView::from(hint)).unwrap();
        assert_eq!(view(Hint::default()), json!({}));
        let odd = Oddities {
            over_address: true,
            no_position: true,
            ..Oddities::default()
        };
        let who = |bits| ParticipantId::from_bits(bits);
        let hint = Hint {
            duplicates: vec![RoomId::new("other").unwrap()],
            same_address: vec![vec![who(1), who(2)]],
            odd,
        };
        assert_eq!(
            view(hint),
            json!({
                "possibleDuplicates": ["other"],
                "sameAddress": [["p-0000000000000001", "p-0000000000000002"]],
                "flags": ["ADDRESS_OVER_BUDGET", "NO_POSITION"],
            })
        );
    }
}
