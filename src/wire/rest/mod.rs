//! Bodies and queries of HTTP requests, read into domain types, and what the answers look like (protocol
//! page, sections 2 and 3).
//!
//! A body that is wrong is refused with everything that is wrong in it, so that a client is mended in one
//! go. Views are plain structs that serialize to the documented names; they decide nothing.

mod body;
mod check_ins;
mod circle;
mod conduct;
mod contacts;
mod cursor;
mod envelope;
mod event_view;
mod fields;
mod hints_view;
mod location;
mod location_view;
mod notifications;
mod ops_view;
mod otp;
mod outbox;
mod people_view;
mod pin;
mod push;
mod query;
pub mod schemas;
mod services;
mod services_schemas;
mod services_view;
mod sos;
mod sos_answer;
mod sos_view;
mod trips;

#[cfg(test)]
mod body_tests;
#[cfg(test)]
mod query_tests;
#[cfg(test)]
mod view_tests;

pub use body::{BodyError, FieldError, NoFields};
pub use check_ins::{CheckInBounds, CheckInEndedView, CheckInView, check_in};
pub use circle::{
    BatchAnswer, LocationAnswer, LocationsByUser, NodeInfo, RoomCounts, RoomInfo, RoomsInfo, UserLocations,
};
pub use conduct::{BlockBody, BlockView, BlocksQuery, ReportBody, ReportView, ReportsQuery, UnblockedView};
pub use contacts::{ContactView, ContactsView, JoinBody, MessageBody, contacts, contacts_answer};
pub use cursor::{IncidentCursor, PersonCursor, RoomCursor};
pub use envelope::{Failure, Page, Success};
pub use event_view::{DeedView, EventView, ToldEvent};
pub use hints_view::HintsView;
pub use location::{Batch, LocationBody, RejectedFix};
pub use location_view::{Feature, FeatureCollection, LocationView};
pub use notifications::{AcknowledgedView, NotificationView};
pub use ops_view::{OpsEventView, OpsPositionView, OpsPositionsView};
pub use otp::{OtpBody, VerifyOtpBody};
pub use outbox::{DeadLetterView, OutboxQuery, OutboxView, ResentView};
pub use people_view::{AnonymousCount, MessageView, ParticipantView, Sender, StatsView};
pub use pin::{PinBody, PinView, SetPinBody};
pub use push::push_target;
pub use query::{EventsQuery, LocationsQuery, MessagesQuery, ParticipantsQuery, RoomsQuery, SosListQuery};
pub use services::{
    CloserBody, InitBody, JoinedBody, LeftBody, MoveBody, OutsideMessage, RelayBody, RescuerBody,
    RescuerQuery, TypeBody,
};
pub use services_view::{CountView, MemberView, NearStateView, RescuerView, StateView};
pub use sos::{CancelBody, CloseBody, CreateSos, DeviceInfo, StatusBody};
pub use sos_answer::SosAnswer;
pub use sos_view::{
    IncidentFacts, PlaceView, QuietSosView, SosCore, SosListItem, SosListShown, SosShown, SosView,
};
pub use trips::{NearTripView, NearbyQuery, TripBody, TripFacts, TripStatus, TripView};
