//! What a refusal looks like to the client: the one place where the engine's and the readers' errors become
//! answers.

use std::time::Duration;

use crate::actors::CommandError;
use crate::actors::engine::{ServiceError, TripError};
use crate::domain::room::Rejection;
use crate::http::error::{ApiError, Code, FieldError};
use crate::http::limits;
use crate::store::StoreError;
use crate::wire::rest::BodyError;

/// For what is over as soon as the queue is shorter.
const SOON: Duration = Duration::from_secs(1);
/// For what needs the store to come back.
const LATER: Duration = Duration::from_secs(5);
/// For what needs an operator.
const MUCH_LATER: Duration = Duration::from_secs(30);

/// In the words of the incident API.
impl From<CommandError> for ApiError {
    fn from(error: CommandError) -> Self {
        match error {
            CommandError::Rejected(rejection) => rejection.into(),
            CommandError::Busy => Self::unavailable("Too much to do, try again", SOON),
            CommandError::TimedOut => Self::timeout(),
            CommandError::Restarted => Self::unavailable("Interrupted, ask again", SOON),
            CommandError::Store(error) => error.into(),
            CommandError::Repeated(_) => Self::conflict("The request was answered before"),
            CommandError::NoActiveRoom => Self::conflict(
                "User is not in any active room. Provide roomId for disconnected location updates.",
            ),
            CommandError::MayNotBroadcast => {
                Self::forbidden("User is not authorized to broadcast to this room")
            }
            CommandError::SosServiceAway(wait) => {
                Self::unavailable("The SOS service does not answer, try again", wait)
            }
            CommandError::TooMany(wait) => Self::rate_limited(wait),
            CommandError::WrongPin { .. } => Self::new(Code::WrongPin, error.to_string()),
            CommandError::PinLocked(budget) => limits::over(&budget),
            CommandError::NoEmergency => Self::conflict("No active emergency"),
            CommandError::Geo(error) => field_error(error.field(), &error.to_string()),
            CommandError::FromTheFuture => Self::invalid("timestamp", "lies in the future"),
        }
    }
}

impl From<Rejection> for ApiError {
    fn from(rejection: Rejection) -> Self {
        match rejection {
            // A circle's id is no incident's: to this API there is no such thing.
            Rejection::NotFound | Rejection::WrongKind => Self::not_found("SOS not found"),
            Rejection::MayNotJoin => Self::forbidden("Not authorized to join this SOS"),
            Rejection::NotIn => Self::forbidden("Only participants of this SOS may do that"),
            Rejection::Forbidden => Self::forbidden("Not authorized"),
            Rejection::OutOfScope(_) => Self::forbidden(rejection.to_string()),
            Rejection::UserTypeForbidden(user_type) => {
                Self::forbidden(format!("userType: {} is not yours to claim", user_type.as_str()))
            }
            Rejection::AlreadyIn => Self::already_joined(),
            Rejection::PinRequired => Self::new(Code::PinRequired, rejection.to_string()),
            Rejection::Closed => Self::sos_closed(),
            Rejection::InvalidTransition { from, to } => Self::invalid_transition(
                format!("Cannot go from {} to {}", from.as_str(), to.as_str()),
                from.next()
                    .into_iter()
                    .map(crate::domain::incident::Status::as_str),
            ),
            Rejection::NoSuchParticipant => Self::not_found("Participant not found"),
            Rejection::NoSuchRequest => Self::not_found(rejection.to_string()),
            Rejection::AlreadyExists
            | Rejection::NotActive
            | Rejection::TooManyRequests
            | Rejection::TripEnded
            | Rejection::Full
            | Rejection::StatusMismatch { .. }
            | Rejection::SentBefore { .. } => Self::conflict(rejection.to_string()),
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Busy => Self::unavailable("Too much to write, try again", SOON),
            StoreError::Full => Self::unavailable("There is no room to keep this", MUCH_LATER),
            StoreError::Unavailable(_) => {
                tracing::warn!(%error, "the store failed a request");
                Self::unavailable("The store is not available", LATER)
            }
            StoreError::Corrupt(_) => {
                tracing::error!(%error, "the store failed a request");
                Self::unavailable("The store is not available", MUCH_LATER)
            }
        }
    }
}

impl From<BodyError> for ApiError {
    fn from(error: BodyError) -> Self {
        match &error {
            BodyError::Json(_) => Self::malformed(error.to_string()),
            BodyError::Fields(fields) => Self::validation(
                fields
                    .iter()
                    .map(|field| without_name(&field.field, &field.message))
                    .collect(),
            ),
        }
    }
}

/// In the words of the circle's REST: they speak of rooms.
pub(super) fn circle(error: CommandError) -> ApiError {
    match error {
        CommandError::Rejected(Rejection::NotFound) => ApiError::not_found("Room not found"),
        CommandError::Rejected(Rejection::MayNotJoin | Rejection::Forbidden) => {
            CommandError::MayNotBroadcast.into()
        }
        error => error.into(),
    }
}

/// In the words of sister services that speak of trips.
pub(super) fn trip(error: CommandError) -> ApiError {
    match error {
        CommandError::Rejected(Rejection::NotFound | Rejection::WrongKind) => {
            ApiError::not_found("Trip not found")
        }
        error => error.into(),
    }
}

impl From<TripError> for ApiError {
    fn from(error: TripError) -> Self {
        match error {
            TripError::Taken => Self::conflict("tripId is taken by another room"),
            TripError::Differs(field) => Self::conflict(format!("There is such a trip with another {field}")),
            TripError::Ended => Self::conflict("Trip has ended"),
            TripError::Failed(error) => trip(error),
        }
    }
}

/// In the words of sister services; `field` is where they named somebody.
pub(super) fn service(field: &'static str) -> impl Fn(ServiceError) -> ApiError {
    move |error| match error {
        ServiceError::Taken => ApiError::conflict("sosId is taken by another room"),
        ServiceError::Differs => ApiError::conflict(format!("There is such an SOS with another {field}")),
        ServiceError::Nobody => ApiError::invalid(field, "is nobody in this SOS"),
        ServiceError::NoRescuer(_) => ApiError::conflict(format!("{field} {error}")),
        ServiceError::Failed(error) => error.into(),
    }
}

/// Whether the error is about this one fix, and others may fare better.
pub(super) fn concerns_the_fix(error: &CommandError) -> bool {
    matches!(
        error,
        CommandError::Rejected(_)
            | CommandError::NoActiveRoom
            | CommandError::MayNotBroadcast
            | CommandError::Geo(_)
            | CommandError::FromTheFuture
    )
}

fn field_error(field: &str, message: &str) -> ApiError {
    ApiError::validation(vec![without_name(field, message)])
}

/// The readers' sentences begin with the field, which an [`ApiError`] names by itself.
fn without_name(field: &str, message: &str) -> FieldError {
    let name = field.rsplit('.').next().unwrap_or(field);
    let rest = message.strip_prefix(name).map_or(message, str::trim_start);
    FieldError::new(field, rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::incident::Status;
    use crate::domain::room::UserType;
    use crate::http::error::{Code, Dialect};
    use actix_web::ResponseError;
    use serde_json::{Value, json};

    fn code(error: impl Into<ApiError>) -> Code {
        error.into().code()
    }

    fn body(error: &ApiError) -> Value {
        serde_json::from_str(&error.body(Dialect::Envelope, None)).unwrap()
    }

    #[test]
    fn every_refusal_of_a_room_has_its_code() {
        for (rejection, expected) in [
            (Rejection::NotFound, Code::NotFound),
            (Rejection::WrongKind, Code::NotFound),
            (Rejection::MayNotJoin, Code::Forbidden),
            (Rejection::Forbidden, Code::Forbidden),
            (Rejection::NotIn, Code::Forbidden),
            (Rejection::UserTypeForbidden(UserType::Admin), Code::Forbidden),
            (Rejection::AlreadyIn, Code::AlreadyJoined),
            (Rejection::Closed, Code::SosClosed),
            (Rejection::Full, Code::Conflict),
        ] {
            assert_eq!(code(rejection.clone()), expected, "{rejection:?}");
        }
    }

    #[test]
    fn a_move_that_is_not_allowed_names_those_that_are() {
        let (from, to) = (Status::Resolved, Status::Active);
        let error = ApiError::from(Rejection::InvalidTransition { from, to });
        assert_eq!(body(&error)["allowed"], json!(["CLOSED"]));
        assert_eq!(error.status_code(), 409);
        let (expected, actual) = (Status::Active, Status::Closed);
        assert_eq!(
            code(Rejection::StatusMismatch { expected, actual }),
            Code::Conflict
        );
    }

    #[test]
    fn a_user_type_that_is_not_theirs_is_refused_by_its_field() {
        let error = ApiError::from(Rejection::UserTypeForbidden(UserType::Rescuer));
        assert_eq!(error.message(), "userType: RESCUER is not yours to claim");
    }

    #[test]
    fn what_may_pass_says_when_to_come_back() {
        for error in [
            CommandError::Busy,
            CommandError::TimedOut,
            CommandError::Restarted,
            CommandError::Store(StoreError::Busy),
            CommandError::Store(StoreError::Full),
            CommandError::Store(StoreError::Unavailable("gone".into())),
            CommandError::SosServiceAway(SOON),
        ] {
            let response = ApiError::from(error.clone()).error_response();
            assert_eq!(response.status(), 503, "{error:?}");
            assert!(response.headers().contains_key("retry-after"), "{error:?}");
        }
    }

    #[test]
    fn what_the_store_says_of_itself_stays_here() {
        let error = ApiError::from(StoreError::Unavailable("disk sda1 is gone".into()));
        assert!(!error.message().contains("sda1"));
    }

    #[test]
    fn circles_speak_of_rooms() {
        let text = |error| circle(error).message().to_owned();
        assert_eq!(text(Rejection::NotFound.into()), "Room not found");
        assert_eq!(
            text(CommandError::MayNotBroadcast),
            "User is not authorized to broadcast to this room"
        );
        assert_eq!(
            text(CommandError::NoActiveRoom),
            "User is not in any active room. Provide roomId for disconnected location updates."
        );
    }

    #[test]
    fn a_field_is_named_once() {
        let field = crate::wire::rest::FieldError {
            field: "location.latitude".into(),
            message: "latitude is missing".into(),
        };
        let error = ApiError::from(BodyError::Fields(vec![field]));
        assert_eq!(error.message(), "location.latitude: is missing");
        assert_eq!(
            body(&error)["fields"],
            json!([{"field": "location.latitude", "message": "is missing"}])
        );
    }
}
