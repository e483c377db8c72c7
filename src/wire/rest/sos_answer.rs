//! What the service that keeps incidents says of one when it is asked.

use serde_json::Value;

use super::body::{self, BodyError, FieldError};
use super::fields::Fields;
use super::services::{InitBody, status};
use crate::domain::ids::RoomId;
use crate::domain::incident::{Report, Status};
use crate::domain::people::{Named, Subject};

/// What is left out when it cannot be read: somebody needs help, wherever and from whatever.
const NICE_TO_KNOW: [&str; 3] = ["location", "address", "type"];

/// The answer to `GET /internal/sos/{id}`.
#[derive(Clone, Debug, PartialEq)]
pub struct SosAnswer {
    /// Whose it is.
    pub citizen: Subject,
    /// What is known of it.
    pub report: Report,
    /// Where it stands.
    pub status: Status,
}

impl SosAnswer {
    /// Reads the answer to a question for `asked`: the fields of `POST /internal/realtime/sos/init`, by themselves or as
    /// the `data` of an envelope, and `status`. An id in it (`sosId` or `id`) must be the one that was asked for.
    ///
    /// # Errors
    /// When it is no object, or says of another incident, not whose it is, or that it stands where none can.
    pub fn parse(answer: &[u8], asked: &RoomId) -> Result<Self, BodyError> {
        let mut object = body::object(answer)?;
        if !object.contains_key("citizenId")
            && let Some(Value::Object(data)) = object.remove("data")
        {
            object = data;
        }
        let named = object.remove("sosId").or_else(|| object.remove("id"));
        if named.is_some_and(|id| id != asked.as_str()) {
            return Err(wrong("sosId", "must be the one that was asked for"));
        }
        object.insert("sosId".to_owned(), asked.as_str().into());
        let mut fields = Fields::of_body(&object);
        let status = fields.optional("status", status).unwrap_or(Status::Active);
        let status = fields.finish(Some(status))?;
        let known = match InitBody::read(&object) {
            Err(BodyError::Fields(errors)) => {
                for error in errors {
                    let name = error.field.split('.').next().unwrap_or_default();
                    if NICE_TO_KNOW.contains(&name) {
                        object.remove(name);
                    }
                }
                InitBody::read(&object)?
            }
            known => known?,
        };
        // A participant of ours cannot be in an incident that we do not know.
        let Named::Subject(citizen) = known.citizen else {
            return Err(wrong("citizenId", "must be a user's id"));
        };
        Ok(Self {
            citizen,
            report: known.report,
            status,
        })
    }
}

fn wrong(field: &str, what: &str) -> BodyError {
    BodyError::Fields(vec![FieldError {
        field: field.to_owned(),
        message: format!("{field} {what}"),
    }])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::ids::UserId;
    use crate::domain::incident::IncidentType;

    fn parse(answer: &Value) -> Result<SosAnswer, BodyError> {
        SosAnswer::parse(answer.to_string().as_bytes(), &RoomId::new("sos-1").unwrap())
    }

    #[test]
    fn an_answer_is_read_by_itself_and_in_an_envelope() {
        let bare = json!({
            "id": "sos-1", "citizenId": "ana", "type": "fire", "status": "en_route",
            "location": {"latitude": 14.5, "longitude": 121}, "address": {"city": "Manila"}, "more": 1,
        });
        let found = parse(&bare).unwrap();
        assert_eq!(found.citizen, Subject::User(UserId::new("ana").unwrap()));
        assert_eq!(
            (found.status, found.report.kind),
            (Status::Responding, IncidentType::Fire)
        );
        assert_eq!(found.report.position.unwrap().latitude(), 14.5);
        assert_eq!(parse(&json!({"success": true, "data": bare})), Ok(found));
        let least = parse(&json!({"citizenId": "ana"})).unwrap();
        assert_eq!(
            (least.status, least.report.kind),
            (Status::Active, IncidentType::Other)
        );
    }

    #[test]
    fn what_is_nice_to_know_is_left_out_when_it_cannot_be_read() {
        let found = parse(&json!({
            "citizenId": "ana", "location": {"latitude": 91, "longitude": 0}, "type": "FLOOD", "address": 7,
        }));
        let found = found.unwrap();
        assert_eq!(
            (found.report.position, found.report.kind),
            (None, IncidentType::Other)
        );
    }

    #[test]
    fn what_must_be_right_is_named() {
        for (answer, field) in [
            (json!({"citizenId": "ana", "sosId": "sos-2"}), "sosId"),
            (json!({"citizenId": "ana", "id": 1}), "sosId"),
            (json!({"sosId": "sos-1"}), "citizenId"),
            (json!({"citizenId": "p-0123456789abcdef"}), "citizenId"),
            (json!({"citizenId": "ana", "status": "GONE"}), "status"),
        ] {
            let error = parse(&answer).unwrap_err();
            assert_eq!(error.fields().len(), 1, "{answer}");
            assert_eq!(error.fields()[0].field, field);
        }
        let sos = RoomId::new("sos-1").unwrap();
        for text in ["[]", "<html>", "{"] {
            assert!(matches!(
                SosAnswer::parse(text.as_bytes(), &sos),
                Err(BodyError::Json(_))
            ));
        }
    }
}
