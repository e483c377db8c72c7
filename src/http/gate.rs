//! What a request must pass: who is speaking, and whether they have spoken too much. One [`Gate`] serves
//! routes (as extractors and middleware) and the WebSocket upgrade.

use std::future::{Ready, ready};
use std::sync::Arc;
use std::time::Duration;

use actix_http::RequestHead;
use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::middleware::Next;
use actix_web::{Error, FromRequest, HttpMessage, HttpRequest, web};
use futures_util::future::LocalBoxFuture;

use super::access::{Access, Needs, Who};
use super::address::Address;
use super::auth::{Authenticator, Caller, Clock};
use super::cluster::Cluster;
use super::connections::{ConnectionGuard, Connections};
use super::credential::CredentialError;
use super::error::ApiError;
use super::forwarded::Forwarding;
use super::hints::HintBook;
use super::keys::KeyRing;
use super::limits::{self, Budget, Class, Limits, Payer, SosCharge, Spent};
pub use super::services::SisterService;
use super::tickets::{TicketError, Tickets};
use crate::actors::Credentials;
use crate::actors::blocks::Blocks;
use crate::config::{Config, Secrets};
use crate::domain::ids::DeviceId;
use crate::domain::people::Identity;
use crate::domain::room::Rejection;
use crate::domain::scopes::Scope;
use crate::domain::time::Timestamp;
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
    forwarding: Forwarding,
    blocks: Arc<Blocks>,
    blocked_may_raise: bool,
    hints: HintBook,
    metrics: Arc<Metrics>,
    /// What all nodes keep in common; `None`: this node is alone.
    cluster: Option<Cluster>,
}

/// Somebody may open a connection; it counts until the guard is dropped.
#[derive(Debug)]
pub struct Admission {
    /// Who.
    pub caller: Caller,
    /// From where; `None` only in tests.
    pub address: Option<Address>,
    /// Counts the connection; without an address only in tests.
    pub guard: (Option<ConnectionGuard<Address>>, ConnectionGuard<u64>),
}

impl Gate {
    /// By the settings, secrets and keys.
    pub fn new(
        config: &Config,
        secrets: &Secrets,
        keys: Arc<KeyRing>,
        metrics: Arc<Metrics>,
        clock: Clock,
    ) -> Self {
        let tickets = Arc::new(Tickets::new(config.auth.ticket_ttl(), config.auth.tickets_max));
        Self {
            auth: Authenticator::new(config, secrets, keys, tickets.clone(), clock),
            tickets,
            limits: Limits::new(&config.limits, config.abuse.blocked_sos_per_hour),
            by_address: Connections::new(config.limits.connections_per_address),
            by_subject: Connections::new(config.limits.connections_per_subject),
            forwarding: Forwarding::new(&config.http),
            blocks: Arc::new(Blocks::new(secrets.block.reveal(), config.abuse.blocks_max)),
            hints: HintBook::new(&config.abuse),
            blocked_may_raise: config.abuse.blocked_sos_per_hour > 0,
            metrics,
            cluster: None,
        }
    }

    /// The same as one of many nodes, which share `secret`.
    #[must_use]
    pub fn sharing(self, cluster: Cluster, secret: &[u8]) -> Self {
        Self {
            limits: self.limits.shared(secret),
            cluster: Some(cluster),
            ..self
        }
    }

    /// Decides on a WebSocket before the upgrade.
    ///
    /// # Errors
    /// 401 without a good credential, 429 when its sender or their address has too many connections, or opened too
    /// many lately.
    pub fn admit(&self, head: &RequestHead) -> Result<Admission, ApiError> {
        // Counted first, so that a refusal does not use up a ticket.
        let (address, by_address) = self.count_connection(head)?;
        let (caller, by_subject) = self.admit_from(head, address)?;
        Ok(Admission {
            caller,
            address,
            guard: (by_address, by_subject),
        })
    }

    /// Counts a connection for where it comes from.
    ///
    /// # Errors
    /// 429 when the address has too many.
    pub fn count_connection(
        &self,
        head: &RequestHead,
    ) -> Result<(Option<Address>, Option<ConnectionGuard<Address>>), ApiError> {
        let address = Address::of(head, &self.forwarding);
        let counted = address.map(|address| {
            let opened = self.by_address.open(address);
            opened.ok_or_else(|| self.crowded("connections", &self.by_address))
        });
        Ok((address, counted.transpose()?))
    }

    /// Decides on somebody whose connection, from `address`, is counted already.
    ///
    /// # Errors
    /// As [`admit`](Self::admit).
    pub fn admit_from(
        &self,
        head: &RequestHead,
        address: Option<Address>,
    ) -> Result<(Caller, ConnectionGuard<u64>), ApiError> {
        let known = self.auth.websocket(head).map_err(|bad| self.refused(&bad));
        let caller = known.map_err(|bad| self.impostor(address, bad))?;
        let caller = needed(caller).map_err(|error| self.refused(&error))?;
        if self.is_blocked(&caller) {
            return Err(self.keep_out());
        }
        // Whoever comes with a ticket has paid for it.
        if ticket_of(head).is_none() {
            let payer = self.limits.payer(Some(&caller), address);
            self.take(Class::Connects, &payer)
                .map_err(|spent| limits::over(&spent.budget))?;
        }
        let subject = self.limits.subject(&caller.identity.subject);
        let by_subject = self
            .by_subject
            .open(subject)
            .ok_or_else(|| self.crowded("subject_connections", &self.by_subject))?;
        Ok((caller, by_subject))
    }

    /// Whom staff keep out.
    pub fn blocks(&self) -> &Arc<Blocks> {
        &self.blocks
    }

    /// What staff are told of incidents.
    pub fn hints(&self) -> &HintBook {
        &self.hints
    }

    /// Now.
    pub fn now(&self) -> Timestamp {
        self.auth.now()
    }

    /// Where a request comes from; `None` only in tests.
    pub fn address(&self, request: &HttpRequest) -> Option<Address> {
        Address::of(request.head(), &self.forwarding)
    }

    /// Counts something that was refused to protect the engine and its users.
    pub fn note_refusal(&self, reason: &str) {
        self.metrics.refused.with_label_values(&[reason]).inc();
    }

    /// Who pays for what `caller` does from `address`.
    pub(super) fn payer_of(&self, caller: &Caller, address: Option<Address>) -> Payer {
        self.limits.payer(Some(caller), address)
    }

    /// Charges something that is no request.
    pub(super) fn take(&self, class: Class, payer: &Payer) -> Result<Option<Budget>, Spent> {
        let charged = self.limits.charge(class, payer).and_then(|own| {
            let Some(cluster) = &self.cluster else {
                return Ok(own);
            };
            let shared = cluster.budgets.charge_now(&self.limits.wants(class, payer))?;
            Ok(least(own, shared))
        });
        charged.inspect_err(|spent| self.count(class, spent))
    }

    /// Charges an incident that is raised.
    pub(super) fn take_sos(&self, payer: &Payer) -> Result<SosCharge, Spent> {
        let charged = self.limits.charge_sos(payer).and_then(|charge| {
            if let Some(cluster) = &self.cluster {
                cluster.budgets.charge_now(&self.limits.wants_sos(payer))?;
            }
            Ok(charge)
        });
        self.note_sos(charged)
    }

    fn note_sos(&self, charged: Result<SosCharge, Spent>) -> Result<SosCharge, Spent> {
        let charged = charged.inspect_err(|spent| self.count(Class::Sos, spent))?;
        if charged.over_address {
            self.metrics.sos_over_address.inc();
        }
        Ok(charged)
    }

    /// Whether staff keep somebody out.
    pub fn is_blocked(&self, caller: &Caller) -> bool {
        self.blocks.holds(&caller.identity.subject, self.auth.now())
    }

    fn keep_out(&self) -> ApiError {
        self.note_refusal("blocked");
        ApiError::blocked()
    }

    /// Waits, a bounded while, for the issuer's new keys when a request's token may be signed by one of them.
    /// With a key that is known nothing waits.
    pub async fn fetch_keys_for(&self, head: &RequestHead) {
        if let Some(jwks) = self.auth.brings_new_key(head) {
            jwks.refreshed().await;
        }
    }

    fn refused(&self, error: &CredentialError) -> ApiError {
        self.metrics
            .auth_refused
            .with_label_values(&[error.label()])
            .inc();
        error.clone().into()
    }

    fn crowded<K: Copy + Eq + std::hash::Hash>(&self, what: &str, connections: &Connections<K>) -> ApiError {
        self.metrics.rate_limited.with_label_values(&[what]).inc();
        connections.crowded()
    }

    /// Makes a WebSocket ticket for `caller`: its text and how long it is good.
    ///
    /// # Errors
    /// 503 when too many are waiting to be used.
    pub async fn ticket(&self, caller: Caller) -> Result<(String, Duration), ApiError> {
        let ttl = self.tickets.ttl();
        if let Some(cluster) = &self.cluster {
            let ticket = Tickets::draw().map_err(|_| ApiError::internal())?;
            // While Redis is away a ticket is good on this node.
            if cluster.tickets.put(&ticket, &caller, ttl).await.is_ok() {
                return Ok((ticket, ttl));
            }
        }
        let issued = self
            .tickets
            .issue(caller, self.auth.now())
            .map_err(|error| match error {
                TicketError::Full => {
                    ApiError::unavailable("Too many tickets are waiting to be used", BUSY_RETRY)
                }
                TicketError::Random | TicketError::Invalid => ApiError::internal(),
            })?;
        Ok((issued, ttl))
    }

    /// Looks up a ticket that another node made, so that it can be redeemed here.
    pub async fn fetch_ticket_for(&self, head: &RequestHead) {
        let Some(cluster) = &self.cluster else { return };
        let Some(ticket) = ticket_of(head) else { return };
        if !self.tickets.knows(&ticket)
            && let Some(caller) = cluster.tickets.take(&ticket).await
        {
            self.tickets.take_over(&ticket, caller, self.auth.now());
        }
    }

    /// The token that a device shows beside its id (`X-Device-Token`, `?deviceToken=`) from now on. It is the
    /// same each time while the secret is.
    pub fn device_token(&self, device: DeviceId) -> String {
        self.auth.device_token(device)
    }

    /// Forgets what no longer matters. For the janitor, every minute or so.
    pub fn sweep(&self) {
        self.limits.sweep();
        if let Some(cluster) = &self.cluster {
            cluster.budgets.sweep();
        }
        self.blocks.sweep(self.auth.now());
        self.hints.sweep(self.auth.now());
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
        if let Some(jwks) = self.auth.keys().jwks() {
            jwks.observe(scrape);
        }
        if let Some(cluster) = &self.cluster {
            let (keys, asked, unanswered) = cluster.budgets.counts();
            let help = "Payers of whose budget this node has a share, or knows that it is spent.";
            scrape.gauge("mayday_shared_limit_keys", help, &[], count(keys));
            for (what, times) in [("asked", asked), ("unanswered", unanswered)] {
                let help = "Times that Redis was asked for a share of a budget; unanswered: this node decided alone.";
                scrape.counter("mayday_shared_limit_asked_total", help, &[("what", what)], times);
            }
        }
        scrape.gauge(
            "mayday_hinted_incidents",
            "Incidents that hints for staff are kept of.",
            &[],
            count(self.hints.len()),
        );
        scrape.gauge(
            "mayday_blocked",
            "People whom staff keep out.",
            &[],
            count(self.blocks.len()),
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
            return known.0.clone();
        }
        let caller = self.auth.rest(request.head());
        let caller = caller.map_err(|error| self.refused(&error));
        request.extensions_mut().insert(Known(caller.clone()));
        caller
    }

    /// Whether a route may be for whoever asks. Reading is looked at here, once for all routes; what a command
    /// needs, the room knows.
    fn check(&self, access: &Access, for_blocked: bool, request: &HttpRequest) -> Result<(), ApiError> {
        let caller = self.known(request)?;
        if !for_blocked && caller.as_ref().is_some_and(|caller| self.is_blocked(caller)) {
            return Err(self.keep_out());
        }
        let identity = caller.as_ref().map(|caller| &*caller.identity);
        let who = Who::of(identity);
        match (access.needs(who), who) {
            (Needs::Never, Who::Visitor) => Err(self.refused(&CredentialError::None)),
            // Theirs is a door of its own: whoever shows another key has shown none.
            (Needs::Never, _) if *access == Access::SERVICE => Err(self.refused(&CredentialError::Service)),
            (Needs::Never, _) => Err(ApiError::forbidden(format!("Not for the role {}", who.as_str()))),
            _ => {
                let scope = scope_of(request.method(), &request.match_pattern().unwrap_or_default());
                match identity.zip(scope).map(|(who, scope)| who.allows(scope)) {
                    Some(Err(lacking)) => Err(Rejection::OutOfScope(lacking).into()),
                    _ => Ok(()),
                }
            }
        }
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

    /// The same, also to what all nodes share of the budget. A request that both allow is charged to both.
    ///
    /// # Errors
    /// As [`charge`](Self::charge).
    pub async fn charge_everywhere(
        &self,
        class: Class,
        request: &HttpRequest,
    ) -> Result<Option<Budget>, ApiError> {
        let own = self.charge(class, request)?;
        let Some(cluster) = &self.cluster else {
            return Ok(own);
        };
        let wants = self.limits.wants(class, &self.payer(request)?);
        let shared = cluster.budgets.charge(&wants).await;
        let shared = shared.map_err(|spent| self.over(class, &spent))?;
        Ok(least(own, shared))
    }

    /// Charges a request that raises an incident.
    ///
    /// # Errors
    /// As [`charge`](Self::charge).
    pub async fn charge_sos(&self, request: &HttpRequest) -> Result<SosCharge, ApiError> {
        let mut payer = self.payer(request)?;
        let blocked = self
            .caller(request)?
            .is_some_and(|caller| self.is_blocked(&caller));
        if blocked {
            if !self.blocked_may_raise {
                return Err(self.keep_out());
            }
            payer = payer.blocked();
        }
        let mut charged = self.limits.charge_sos(&payer);
        if let (Ok(charge), Some(cluster)) = (&mut charged, &self.cluster) {
            match cluster.budgets.charge(&self.limits.wants_sos(&payer)).await {
                Ok(shared) => charge.budget = least(charge.budget, shared),
                Err(spent) => charged = Err(spent),
            }
        }
        self.note_sos(charged).map_err(ApiError::from)
    }

    /// Who sent a request; a bad credential is charged.
    fn known(&self, request: &HttpRequest) -> Result<Option<Caller>, ApiError> {
        let address = Address::of(request.head(), &self.forwarding);
        self.caller(request).map_err(|bad| self.impostor(address, bad))
    }

    fn payer(&self, request: &HttpRequest) -> Result<Payer, ApiError> {
        let address = Address::of(request.head(), &self.forwarding);
        let caller = self.known(request)?;
        Ok(self.limits.payer(caller.as_ref(), address))
    }

    /// Trying credentials out costs the address they are tried from.
    fn impostor(&self, address: Option<Address>, bad: ApiError) -> ApiError {
        let charged = self.limits.charge(Class::General, &self.limits.impostor(address));
        charged.map_or_else(|spent| self.over(Class::General, &spent), |_| bad)
    }

    fn over(&self, class: Class, spent: &Spent) -> ApiError {
        self.count(class, spent);
        limits::over(&spent.budget)
    }

    fn count(&self, class: Class, spent: &Spent) {
        let counter = match spent.scope {
            limits::Scope::Own => &self.metrics.rate_limited,
            limits::Scope::Address => &self.metrics.address_limited,
        };
        counter.with_label_values(&[class.as_str()]).inc();
    }
}

fn ticket_of(head: &RequestHead) -> Option<String> {
    let query = head.uri.query().unwrap_or_default();
    let mut pairs = url::form_urlencoded::parse(query.as_bytes());
    pairs.find_map(|(name, value)| (name == "ticket").then(|| value.into_owned()))
}

/// What is left by the count that leaves less.
fn least(one: Option<Budget>, other: Option<Budget>) -> Option<Budget> {
    [one, other]
        .into_iter()
        .flatten()
        .min_by_key(|budget| budget.remaining)
}

/// What reading and moderating need of a credential that has scopes. Commands to rooms are looked at there.
fn scope_of(method: &Method, pattern: &str) -> Option<Scope> {
    let moderates = matches!(
        pattern,
        "/api/v1/reports" | "/api/v1/blocks" | "/api/v1/devices/{participant}/block"
    );
    let reads = method.is_safe();
    if let Some(rest) = pattern.strip_prefix("/internal/realtime/sos/") {
        return Some(match rest {
            _ if reads => Scope::IncidentsRead,
            "{id}/rescuer-location" => Scope::PositionsWrite,
            _ => Scope::IncidentsWrite,
        });
    }
    match pattern {
        "/internal/messaging/broadcast" => return Some(Scope::MessagesWrite),
        "/api/participants/joined" | "/api/participants/left" => return Some(Scope::ParticipantsWrite),
        _ => {}
    }
    if pattern.starts_with("/internal/otp") {
        return Some(Scope::OtpWrite);
    }
    if pattern.starts_with("/internal/contacts/") {
        return Some(Scope::ContactsWrite);
    }
    if pattern.starts_with("/internal/outbox") {
        return Some(if reads {
            Scope::OutboxRead
        } else {
            Scope::OutboxWrite
        });
    }
    if pattern.starts_with("/internal/trips") {
        Some(if reads {
            Scope::TripsRead
        } else {
            Scope::TripsWrite
        })
    } else if moderates || (method.is_safe() && pattern == "/api/v1/sos/{id}/reports") {
        Some(Scope::DevicesWrite)
    } else if method.is_safe() && pattern.starts_with("/api/") {
        Some(Scope::IncidentsRead)
    } else {
        None
    }
}

/// Tokens that clients send on their open sockets.
impl Credentials for Gate {
    fn judge(
        self: Arc<Self>,
        token: String,
    ) -> LocalBoxFuture<'static, Result<(Identity, Timestamp), String>> {
        Box::pin(async move {
            if let Some(jwks) = self.auth.may_be_new(&token) {
                jwks.refreshed().await;
            }
            match self.auth.token_alone(&token) {
                Ok(verified) => Ok((verified.identity, verified.expires_at)),
                Err(error) => {
                    self.refused(&error.clone().into());
                    Err(error.to_string())
                }
            }
        })
    }
}

fn count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

/// Who sent this request, as far as it was asked for.
struct Known(Result<Option<Caller>, ApiError>);

fn needed(caller: Option<Caller>) -> Result<Caller, CredentialError> {
    caller.ok_or(CredentialError::None)
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
        let caller = gate(request).and_then(|gate| {
            let caller = gate.caller(request)?;
            needed(caller).map_err(|error| gate.refused(&error))
        });
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

impl FromRequest for SisterService {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let known = gate(request).and_then(|gate| {
            let known = gate.auth.internal(request.head());
            known.map_err(|error| gate.refused(&error))
        });
        ready(known.map_err(Error::from))
    }
}

/// Has the keys fetched that a request needs, round everything else: `.wrap(from_fn(gate::keys))`.
///
/// # Errors
/// Only those of the routes inside.
pub async fn keys<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    if let Ok(gate) = gate(request.request()) {
        gate.fetch_keys_for(request.head()).await;
    }
    next.call(request).await
}

type Answer<B> = Result<ServiceResponse<EitherBody<B>>, Error>;

/// Refuses whom a route is never for, whatever the incident: 401 to visitors, 403 to others; and whom staff have
/// blocked, unless it is there for them too. Round a route by `from_fn`.
///
/// # Errors
/// Only those of the routes inside; a refusal is an answer.
pub async fn admit<B: MessageBody + 'static>(
    access: &Access,
    for_blocked: bool,
    request: ServiceRequest,
    next: Next<B>,
) -> Answer<B> {
    let checked = gate(request.request()).and_then(|gate| gate.check(access, for_blocked, request.request()));
    match checked {
        Ok(()) => Ok(next.call(request).await?.map_into_left_body()),
        Err(refused) => Ok(request.error_response(refused).map_into_right_body()),
    }
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
    let charged = match gate(request.request()) {
        Ok(gate) => gate.charge_everywhere(class, request.request()).await,
        Err(error) => Err(error),
    };
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
