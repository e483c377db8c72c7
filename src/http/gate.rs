//! What a request must pass: who is speaking, and whether they have spoken too much. One [`Gate`] serves
//! routes (as extractors and middleware) and the WebSocket upgrade.

use std::future::{Ready, ready};
use std::sync::Arc;
use std::time::Duration;

use actix_http::RequestHead;
use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::{Error, FromRequest, HttpMessage, HttpRequest, web};

use super::access::{Access, Needs, Who};
use super::address::Address;
use super::auth::{Authenticator, Caller, Clock};
use super::connections::{ConnectionGuard, Connections};
use super::error::ApiError;
use super::limits::{self, Budget, Class, Limits, Payer, Scope, SosCharge, Spent};
use super::tickets::{TicketError, Tickets};
use crate::config::{Config, Secrets, TrustedProxies};
use crate::domain::ids::DeviceId;
use crate::domain::people::Identity;
use crate::telemetry::{Metrics, Scrape};

/// Told to whoever finds all of an address's connections, or all tickets, in use.
const BUSY_RETRY: Duration = Duration::from_secs(5);

/// Authentication and limits; the application's `web::Data<Gate>`.
#[derive(Debug)]
pub struct Gate {
    auth: Authenticator,
    tickets: Arc<Tickets>,
    limits: Limits,
    by_address: Connections<Address>,
    by_subject: Connections<u64>,
    proxies: TrustedProxies,
    metrics: Arc<Metrics>,
}

/// Somebody may open a connection; it counts until the guard is dropped.
#[derive(Debug)]
pub struct Admission {
    /// Who.
    pub caller: Caller,
    /// Counts the connection; without an address only in tests.
    pub guard: (Option<ConnectionGuard<Address>>, ConnectionGuard<u64>),
}

impl Gate {
    /// By the settings and secrets.
    pub fn new(config: &Config, secrets: &Secrets, metrics: Arc<Metrics>, clock: Clock) -> Self {
        let tickets = Arc::new(Tickets::new(config.auth.ticket_ttl(), config.auth.tickets_max));
        Self {
            auth: Authenticator::new(config, secrets, tickets.clone(), clock),
            tickets,
            limits: Limits::new(&config.limits, config.abuse.blocked_sos_per_hour),
            by_address: Connections::new(config.limits.connections_per_address),
            by_subject: Connections::new(config.limits.connections_per_subject),
            proxies: config.http.trusted_proxies.clone(),
            metrics,
        }
    }

    /// Decides on a WebSocket before the upgrade.
    ///
    /// # Errors
    /// 401 without a good credential, 429 when its sender or their address has too many connections, or opened too
    /// many lately.
    pub fn admit(&self, head: &RequestHead) -> Result<Admission, ApiError> {
        let address = Address::of(head, &self.proxies);
        // Counted first, so that a refusal does not use up a ticket.
        let by_address = address
            .map(|address| {
                let opened = self.by_address.open(address);
                opened.ok_or_else(|| self.crowded("connections", &self.by_address))
            })
            .transpose()?;
        let known = self.auth.websocket(head);
        let caller = known.map_err(|bad| self.impostor(address, bad))?;
        let caller = caller.ok_or_else(no_credential)?;
        // Whoever comes with a ticket has paid for it.
        if !has_ticket(head) {
            let charged = self
                .limits
                .charge(Class::Connects, &self.limits.payer(Some(&caller), address));
            charged.map_err(|spent| self.over(Class::Connects, &spent))?;
        }
        let subject = self.limits.subject(&caller.identity.subject);
        let by_subject = self
            .by_subject
            .open(subject)
            .ok_or_else(|| self.crowded("subject_connections", &self.by_subject))?;
        let guard = (by_address, by_subject);
        Ok(Admission { caller, guard })
    }

    fn crowded<K: Copy + Eq + std::hash::Hash>(&self, what: &str, connections: &Connections<K>) -> ApiError {
        self.metrics.rate_limited.with_label_values(&[what]).inc();
        connections.crowded()
    }

    /// Makes a WebSocket ticket for `caller`: its text and how long it is good.
    ///
    /// # Errors
    /// 503 when too many are waiting to be used.
    pub fn ticket(&self, caller: Caller) -> Result<(String, Duration), ApiError> {
        let issued = self
            .tickets
            .issue(caller, self.auth.now())
            .map_err(|error| match error {
                TicketError::Full => {
                    ApiError::unavailable("Too many tickets are waiting to be used", BUSY_RETRY)
                }
                TicketError::Random | TicketError::Invalid => ApiError::internal(),
            })?;
        Ok((issued, self.tickets.ttl()))
    }

    /// The token that a device shows beside its id (`X-Device-Token`, `?deviceToken=`) from now on. It is the
    /// same each time while the secret is.
    pub fn device_token(&self, device: DeviceId) -> String {
        self.auth.device_token(device)
    }

    /// Forgets what no longer matters. For the janitor, every minute or so.
    pub fn sweep(&self) {
        self.limits.sweep();
    }

    /// Its numbers, for [`Metrics::register_source`].
    pub fn observe(&self, scrape: &mut Scrape) {
        scrape.gauge(
            "mayday_tickets",
            "WebSocket tickets not yet used.",
            &[],
            count(self.tickets.len()),
        );
        scrape.gauge(
            "mayday_rate_limit_keys",
            "Users, devices and addresses with a budget.",
            &[],
            count(self.limits.keys()),
        );
        scrape.gauge(
            "mayday_rate_limit_bytes",
            "About how much memory those budgets take.",
            &[],
            count(self.limits.bytes()),
        );
        let addresses = count(self.by_address.len());
        scrape.gauge(
            "mayday_connection_addresses",
            "Addresses with an open WebSocket.",
            &[],
            addresses,
        );
    }

    /// Who sent a request; found out once for each.
    fn caller(&self, request: &HttpRequest) -> Result<Option<Caller>, ApiError> {
        if let Some(known) = request.extensions().get::<Known>() {
            return Ok(known.0.clone());
        }
        let caller = self.auth.rest(request.head())?;
        request.extensions_mut().insert(Known(caller.clone()));
        Ok(caller)
    }

    /// Charges a request to a budget; `None` when there is no limit.
    ///
    /// # Errors
    /// 429 when the budget is spent, 401 when a credential is bad.
    pub fn charge(&self, class: Class, request: &HttpRequest) -> Result<Option<Budget>, ApiError> {
        let payer = self.payer(request)?;
        let charged = self.limits.charge(class, &payer);
        charged.map_err(|spent| self.over(class, &spent))
    }

    /// Charges a request that raises an incident.
    ///
    /// # Errors
    /// As [`charge`](Self::charge).
    pub fn charge_sos(&self, request: &HttpRequest) -> Result<SosCharge, ApiError> {
        let payer = self.payer(request)?;
        let charged = self.limits.charge_sos(&payer);
        let charged = charged.map_err(|spent| self.over(Class::Sos, &spent))?;
        if charged.over_address {
            self.metrics.sos_over_address.inc();
        }
        Ok(charged)
    }

    /// Who sent a request; a bad credential is charged.
    fn known(&self, request: &HttpRequest) -> Result<Option<Caller>, ApiError> {
        let address = Address::of(request.head(), &self.proxies);
        self.caller(request).map_err(|bad| self.impostor(address, bad))
    }

    fn payer(&self, request: &HttpRequest) -> Result<Payer, ApiError> {
        let address = Address::of(request.head(), &self.proxies);
        let caller = self.known(request)?;
        Ok(self.limits.payer(caller.as_ref(), address))
    }

    /// Trying credentials out costs the address they are tried from.
    fn impostor(&self, address: Option<Address>, bad: ApiError) -> ApiError {
        let charged = self.limits.charge(Class::General, &self.limits.impostor(address));
        charged.map_or_else(|spent| self.over(Class::General, &spent), |_| bad)
    }

    fn over(&self, class: Class, spent: &Spent) -> ApiError {
        let counter = match spent.scope {
            Scope::Own => &self.metrics.rate_limited,
            Scope::Address => &self.metrics.address_limited,
        };
        counter.with_label_values(&[class.as_str()]).inc();
        limits::over(&spent.budget)
    }
}

fn has_ticket(head: &RequestHead) -> bool {
    let query = head.uri.query().unwrap_or_default();
    url::form_urlencoded::parse(query.as_bytes()).any(|(name, _)| name == "ticket")
}

fn count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

/// Who sent this request, as far as it was asked for.
struct Known(Option<Caller>);

fn no_credential() -> ApiError {
    ApiError::unauthenticated("A credential is needed: a token, a device id or a ticket")
}

fn gate(request: &HttpRequest) -> Result<&web::Data<Gate>, ApiError> {
    request.app_data::<web::Data<Gate>>().ok_or_else(|| {
        tracing::error!("the application has no Gate");
        ApiError::internal()
    })
}

impl FromRequest for Caller {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let caller = gate(request).and_then(|gate| gate.caller(request)?.ok_or_else(no_credential));
        ready(caller.map_err(Error::from))
    }
}

/// Somebody, or nobody in particular.
#[derive(Clone, Debug)]
pub struct MaybeCaller(pub Option<Caller>);

impl MaybeCaller {
    /// Who, if it is anybody.
    pub fn identity(&self) -> Option<&Arc<Identity>> {
        self.0.as_ref().map(|caller| &caller.identity)
    }
}

impl FromRequest for MaybeCaller {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let caller = gate(request).and_then(|gate| gate.caller(request));
        ready(caller.map(Self).map_err(Error::from))
    }
}

/// A sister service.
#[derive(Clone, Copy, Debug)]
pub struct SisterService;

impl FromRequest for SisterService {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let known = gate(request).and_then(|gate| gate.auth.internal(request.head()));
        ready(known.map(|()| Self).map_err(Error::from))
    }
}

type Answer<B> = Result<ServiceResponse<EitherBody<B>>, Error>;

/// Refuses whom a route is never for, whatever the incident: 401 to visitors, 403 to others. Round a route by
/// `from_fn`.
///
/// # Errors
/// Only those of the routes inside; a refusal is an answer.
pub async fn admit<B: MessageBody + 'static>(
    access: &Access,
    request: ServiceRequest,
    next: Next<B>,
) -> Answer<B> {
    let who = gate(request.request()).and_then(|gate| gate.known(request.request()));
    let refused = match who {
        Err(error) => error,
        Ok(caller) => {
            let who = Who::of(caller.as_ref().map(|caller| &*caller.identity));
            match (access.needs(who), who) {
                (Needs::Never, Who::Visitor) => no_credential(),
                (Needs::Never, _) => ApiError::forbidden(format!("Not for the role {}", who.as_str())),
                _ => return Ok(next.call(request).await?.map_into_left_body()),
            }
        }
    };
    Ok(request.error_response(refused).map_into_right_body())
}

/// Charges a request to a budget before it is served.
///
/// # Errors
/// Only those of the routes inside; a refusal is an answer.
pub async fn charge<B: MessageBody + 'static>(
    class: Class,
    request: ServiceRequest,
    next: Next<B>,
) -> Answer<B> {
    let charged = gate(request.request()).and_then(|gate| gate.charge(class, request.request()));
    match charged {
        Err(error) => Ok(request.error_response(error).map_into_right_body()),
        Ok(budget) => {
            let mut response = next.call(request).await?.map_into_left_body();
            if let Some(budget) = budget {
                limits::tell(&budget, response.headers_mut());
            }
            Ok(response)
        }
    }
}

#[cfg(test)]
#[path = "gate_tests.rs"]
mod tests;
