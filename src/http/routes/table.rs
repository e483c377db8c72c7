//! Every route: method, path, budget, body, who may, and its handler. The routes are made of this table, and
//! tests hold the engine's answers and the documents to it.

use actix_web::http::Method;
use actix_web::middleware::from_fn;
use actix_web::{Route, web};

use super::{
    check_ins, conduct, contacts, devices, events, messages, notifications, operations, otp, outbox,
    participants, pin, positions, rooms,
};
use super::{services, sos, status, tickets, trips, uploads};
use crate::http::access::Access;
use crate::http::limits::Class;

/// Which limit a route's body has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// `http.body_max_bytes`.
    Usual,
    /// `http.batch_body_max_bytes`.
    Batch,
}

/// One route.
pub struct Row {
    /// Its method. `GET` answers `HEAD` too where nothing is charged.
    pub method: Method,
    /// Its path, with `{names}`.
    pub path: &'static str,
    /// What it is charged to before it is served; `None`: nothing, or the handler charges.
    pub class: Option<Class>,
    /// The limit of its body.
    pub body: Body,
    /// Who may.
    pub access: Access,
    pub(super) to: fn(Route) -> Route,
}

macro_rules! rows {
    ($( $method:ident $path:literal $class:ident $(/ $body:ident)? $access:ident => $to:expr; )*) => {
        &[$(Row {
            method: Method::$method,
            path: $path,
            class: rows!(@class $class),
            body: rows!(@body $($body)?),
            access: Access::$access,
            to: $to,
        }),*]
    };
    (@class Free) => { None };
    (@class $class:ident) => { Some(Class::$class) };
    (@body) => { Body::Usual };
    (@body $body:ident) => { Body::$body };
}

/// All of them. Fixed words stand before the names that would match them.
pub const ROWS: &[Row] = rows! {
    GET "/health" Free EVERYBODY => |r| r.to(operations::health);
    HEAD "/health" Free EVERYBODY => |r| r.to(operations::health);
    GET "/ready" Free EVERYBODY => |r| r.to(operations::ready);
    HEAD "/ready" Free EVERYBODY => |r| r.to(operations::ready);
    GET "/metrics" Free EVERYBODY => |r| r.to(operations::metrics);
    GET "/openapi.json" Free EVERYBODY => |r| r.to(super::docs::read_openapi);
    GET "/asyncapi.json" Free EVERYBODY => |r| r.to(super::docs::read_asyncapi);
    GET "/docs" Free EVERYBODY => |r| r.to(super::docs::page);
    GET "/docs/page.css" Free EVERYBODY => |r| r.to(super::docs::style);
    GET "/docs/page.js" Free EVERYBODY => |r| r.to(super::docs::script);

    // The links in messages.
    GET "/a/{token}" General EVERYBODY => |r| r.to(notifications::ask);
    POST "/a/{token}" Writes EVERYBODY => |r| r.to(notifications::answer);

    // For sister services.
    POST "/internal/trips" Writes SERVICE => |r| r.to(trips::create);
    GET "/internal/trips/nearby" General SERVICE => |r| r.to(trips::nearby);
    GET "/internal/trips/{trip}" General SERVICE => |r| r.to(trips::read);
    POST "/internal/trips/{trip}/end" Writes SERVICE => |r| r.to(trips::end);

    POST "/internal/realtime/sos/init" Writes SERVICE => |r| r.to(services::init);
    GET "/internal/realtime/sos/nearby" General SERVICE => |r| r.to(services::nearby);
    GET "/internal/realtime/sos/{id}/state" General SERVICE => |r| r.to(services::state);
    POST "/internal/realtime/sos/{id}/close" Writes SERVICE => |r| r.to(services::close);
    POST "/internal/realtime/sos/{id}/status" Writes SERVICE => |r| r.to(services::status);
    PATCH "/internal/realtime/sos/{id}/type" Writes SERVICE => |r| r.to(services::retype);
    GET "/internal/realtime/sos/{id}/rescuer-location" General SERVICE => |r| r.to(services::rescuer);
    POST "/internal/realtime/sos/{id}/rescuer-location" Locations SERVICE => |r| r.to(services::locate);
    POST "/internal/messaging/broadcast" Writes SERVICE => |r| r.to(services::broadcast);
    POST "/api/participants/joined" Writes SERVICE => |r| r.to(services::joined);
    POST "/api/participants/left" Writes SERVICE => |r| r.to(services::left);
    GET "/api/participants/{id}/active" General SERVICE => |r| r.to(services::active);
    GET "/api/participants/{id}/count" General SERVICE => |r| r.to(services::count);

    POST "/internal/otp" Writes SERVICE => |r| r.to(otp::send);
    POST "/internal/otp/verify" Writes SERVICE => |r| r.to(otp::verify);
    POST "/internal/contacts/{user}/changed" Writes SERVICE => |r| r.to(contacts::changed);

    GET "/internal/outbox" General SERVICE => |r| r.to(outbox::read);
    POST "/internal/outbox/{id}/{seq}/retry" Writes SERVICE => |r| r.to(outbox::retry);

    // For circle clients: bare JSON.
    POST "/api/location" Locations ONESELF => |r| r.to(uploads::location);
    POST "/api/location/batch" Locations/Batch ONESELF => |r| r.to(uploads::batch);
    GET "/api/locations" General ONESELF => |r| r.to(positions::own);
    GET "/api/locations/contacts" General ONESELF => |r| r.to(positions::of_contacts);
    GET "/api/rooms-info" General ONESELF => |r| r.to(rooms::info);
    GET "/api/contacts" General ACCOUNT => |r| r.to(contacts::read);
    PUT "/api/contacts" Writes ACCOUNT => |r| r.to(contacts::replace);

    // For incident clients: the envelope.
    POST "/api/v1/tickets" Connects ONESELF => |r| r.to(tickets::issue);
    POST "/api/v1/devices" Devices EVERYBODY => |r| r.to(devices::register);
    GET "/api/v1/devices/me" General OWN_DATA => |r| r.to(devices::read);
    DELETE "/api/v1/devices/me" Writes OWN_DATA => |r| r.to(devices::erase);
    PUT "/api/v1/devices/me/push" Writes OWN_DATA => |r| r.to(devices::keep_push);
    DELETE "/api/v1/devices/me/push" Writes OWN_DATA => |r| r.to(devices::drop_push);
    GET "/api/v1/devices/me/export" General OWN_DATA => |r| r.to(devices::export);
    GET "/api/v1/pin" General OWN_DATA => |r| r.to(pin::read);
    PUT "/api/v1/pin" Writes OWN_DATA => |r| r.to(pin::set);
    DELETE "/api/v1/pin" Writes OWN_DATA => |r| r.to(pin::clear);
    GET "/api/v1/checkins" General OWN_DATA => |r| r.to(check_ins::list);
    POST "/api/v1/checkins" Writes OWN_DATA => |r| r.to(check_ins::begin);
    DELETE "/api/v1/checkins/{checkin}" Writes OWN_DATA => |r| r.to(check_ins::end);
    POST "/api/v1/checkins/{checkin}/confirm" Writes OWN_DATA => |r| r.to(check_ins::end);
    GET "/api/v1/sos" General EVERYBODY => |r| r.to(sos::list);
    POST "/api/v1/sos" Free RAISE => |r| r.to(sos::create).wrap(from_fn(sos::answer_retries));
    GET "/api/v1/sos/{id}" General LOOK => |r| r.to(sos::read);
    PATCH "/api/v1/sos/{id}/status" Writes STEER => |r| r.to(status::change);
    POST "/api/v1/sos/{id}/cancel" Writes CANCEL => |r| r.to(status::cancel);
    POST "/api/v1/sos/{id}/close" Writes STAFF => |r| r.to(status::close);
    POST "/api/v1/sos/{id}/location" Locations ACT => |r| r.to(uploads::incident);
    GET "/api/v1/sos/{id}/locations" General TRACK => |r| r.to(positions::incident);
    GET "/api/v1/sos/{id}/messages" General READ => |r| r.to(messages::list);
    POST "/api/v1/sos/{id}/messages" Writes ACT => |r| r.to(messages::send);
    POST "/api/v1/sos/{id}/reports" Reports REPORT => |r| r.to(conduct::report);
    GET "/api/v1/sos/{id}/reports" General STAFF => |r| r.to(conduct::of_incident);
    GET "/api/v1/reports" General STAFF => |r| r.to(conduct::all);
    POST "/api/v1/devices/{participant}/block" Writes STAFF => |r| r.to(conduct::block);
    DELETE "/api/v1/devices/{participant}/block" Writes STAFF => |r| r.to(conduct::unblock);
    GET "/api/v1/blocks" General STAFF => |r| r.to(conduct::blocks);
    GET "/api/v1/sos/{id}/events" General READ => |r| r.to(events::list);
    GET "/api/v1/sos/{id}/notifications" General STAFF => |r| r.to(notifications::list);
    POST "/api/v1/sos/{id}/acknowledge" Writes ANSWER => |r| r.to(notifications::acknowledge);
    POST "/api/v1/sos/{id}/participants/join" Writes JOIN => |r| r.to(participants::join);
    POST "/api/v1/sos/{id}/participants/leave" Writes ACT => |r| r.to(participants::leave);
    GET "/api/v1/sos/{id}/participants/active" General LOOK => |r| r.to(participants::active);
    GET "/api/v1/sos/{id}/participants/history" General READ => |r| r.to(participants::history);
    GET "/api/v1/sos/{id}/participants/stats" General LOOK => |r| r.to(participants::stats);
    GET "/api/v1/sos/{id}/participants/anonymous/count" General LOOK => |r| r.to(participants::anonymous);
    PATCH "/api/v1/sos/{id}/participants/{participant}/leave" Writes REMOVE => |r| r.to(participants::remove);
    GET "/api/v1/sos/{id}/participants/{participant}/check" General LOOK => |r| r.to(participants::check);
    // Older clients know these two by another path.
    GET "/api/v1/participants/{id}/stats" General LOOK => |r| r.to(participants::stats);
    GET "/api/v1/participants/{id}/anonymous/count" General LOOK => |r| r.to(participants::anonymous);
};

impl Row {
    /// Whether it is there for those whom staff have blocked, too: to call for help, to be forgotten and told what
    /// is kept of them, and what says nothing of people. Raising an incident has its own word on it.
    pub(super) fn for_blocked(&self) -> bool {
        let own = matches!(
            (self.method.as_str(), self.path),
            ("DELETE", "/api/v1/devices/me") | ("GET", "/api/v1/devices/me/export")
        );
        self.class.is_none() || own
    }

    pub(super) fn route(&self) -> Route {
        (self.to)(web::method(self.method.clone()))
    }
}
