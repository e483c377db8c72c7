//! Who is speaking: from a request's credentials to a [`Caller`].
//!
//! The same rules serve REST and the WebSocket upgrade, which see the same `RequestHead`. A credential that
//! is there and bad is an error even when a good one is beside it: silently becoming somebody else would be
//! worse than a refusal.

use std::fmt;
use std::sync::Arc;

use actix_http::RequestHead;
use actix_web::http::header::{AUTHORIZATION, COOKIE, HOST, HeaderName, ORIGIN};
use url::form_urlencoded;

use super::device_tokens::DeviceTokens;
use super::error::ApiError;
use super::jwt::Verifier;
use super::tickets::Tickets;
use crate::config::{Auth, Config, Secret, Secrets};
use crate::domain::ids::DeviceId;
use crate::domain::people::Identity;
use crate::domain::time::Timestamp;

/// A device's id on REST.
pub const X_DEVICE_ID: HeaderName = HeaderName::from_static("x-device-id");
/// The proof that the device id is theirs.
pub const X_DEVICE_TOKEN: HeaderName = HeaderName::from_static("x-device-token");
/// A sister service's token.
pub const X_INTERNAL_TOKEN: HeaderName = HeaderName::from_static("x-internal-token");

/// What time it is; handed in, so that tests can turn it.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Somebody whose credential was good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Who.
    pub identity: Arc<Identity>,
    /// When their credential ends; a device's does not.
    pub expires_at: Option<Timestamp>,
}

impl Caller {
    /// Somebody, until their credential ends.
    pub fn new(identity: Identity, expires_at: Option<Timestamp>) -> Self {
        Self {
            identity: Arc::new(identity),
            expires_at,
        }
    }
}

/// Tells who is speaking.
pub struct Authenticator {
    verifier: Verifier,
    settings: Auth,
    internal: Secret,
    devices: DeviceTokens,
    tickets: Arc<Tickets>,
    clock: Clock,
}

impl fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Authenticator(…)")
    }
}

impl Authenticator {
    /// By the settings and secrets; tickets are taken from `tickets`.
    pub fn new(config: &Config, secrets: &Secrets, tickets: Arc<Tickets>, clock: Clock) -> Self {
        Self {
            verifier: Verifier::new(&config.auth, &secrets.jwt, config.contacts.default_region),
            settings: config.auth.clone(),
            internal: secrets.internal.clone(),
            devices: DeviceTokens::new(&secrets.device),
            tickets,
            clock,
        }
    }

    /// Who sent a REST request; `None` when it has no credential.
    ///
    /// # Errors
    /// 401 when a credential is bad.
    pub fn rest(&self, head: &RequestHead) -> Result<Option<Caller>, ApiError> {
        let token = self.token(head)?;
        let (id, proof) = (header(head, &X_DEVICE_ID)?, header(head, &X_DEVICE_TOKEN)?);
        Ok(token.or(self.device([id, None], proof)?))
    }

    /// Who asks for a WebSocket; `None` when the request has no credential. A ticket is used up by this.
    ///
    /// # Errors
    /// 401 when a credential is bad.
    pub fn websocket(&self, head: &RequestHead) -> Result<Option<Caller>, ApiError> {
        let (mut ticket, mut device_id, mut device_token) = (None, None, None);
        for (name, value) in form_urlencoded::parse(head.uri.query().unwrap_or_default().as_bytes()) {
            match &*name {
                "ticket" => ticket = ticket.or(Some(value)),
                "deviceId" => device_id = device_id.or(Some(value)),
                "deviceToken" => device_token = device_token.or(Some(value)),
                _ => {}
            }
        }
        // The other credentials first: a request that is refused for them does not use up the ticket.
        let token = self.token(head)?;
        let ids = [header(head, &X_DEVICE_ID)?, device_id.as_deref()];
        let proof = header(head, &X_DEVICE_TOKEN)?.or(device_token.as_deref());
        let device = self.device(ids, proof)?;
        let ticket = ticket.map(|ticket| self.ticket(&ticket)).transpose()?;
        // A ticket was asked for on purpose, while a browser adds its cookie to everything.
        Ok(ticket.or(token).or(device))
    }

    /// The token that proves that `device` was registered here.
    pub fn device_token(&self, device: DeviceId) -> String {
        self.devices.issue(device)
    }

    /// Whether a request comes from a sister service.
    ///
    /// # Errors
    /// 401 when it does not.
    pub fn internal(&self, head: &RequestHead) -> Result<(), ApiError> {
        let given = head.headers.get(X_INTERNAL_TOKEN);
        if given.is_some_and(|given| self.internal.matches(given.as_bytes())) {
            Ok(())
        } else {
            Err(ApiError::unauthenticated("X-Internal-Token is missing or wrong"))
        }
    }

    /// Now, by the clock that was handed in.
    pub fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// The first device that the request names. `proof` must fit whatever it names.
    fn device(&self, ids: [Option<&str>; 2], proof: Option<&str>) -> Result<Option<Caller>, ApiError> {
        let mut first = None;
        for id in ids.into_iter().flatten() {
            let id = DeviceId::new(id.trim()).map_err(|error| {
                ApiError::unauthenticated(format!("the device id is not valid: it {error}"))
            })?;
            self.prove(id, proof)?;
            first = first.or(Some(id));
        }
        if first.is_none() && proof.is_some() {
            return Err(ApiError::unauthenticated(
                "a device token needs its device id beside it",
            ));
        }
        Ok(first.map(|id| Caller::new(Identity::device(id), None)))
    }

    fn prove(&self, id: DeviceId, proof: Option<&str>) -> Result<(), ApiError> {
        match proof {
            Some(token) if !self.devices.verify(id, token.trim()) => Err(ApiError::unauthenticated(
                "the device token is not that of this device",
            )),
            None if self.settings.require_device_token => Err(ApiError::unauthenticated(
                "a device id needs its token: register the device, then send X-Device-Token",
            )),
            _ => Ok(()),
        }
    }

    fn ticket(&self, ticket: &str) -> Result<Caller, ApiError> {
        let redeemed = self.tickets.redeem(ticket, self.now());
        redeemed.map_err(|error| ApiError::unauthenticated(error.to_string()))
    }

    fn token(&self, head: &RequestHead) -> Result<Option<Caller>, ApiError> {
        let bearer = header(head, &AUTHORIZATION)?.map(bearer).transpose()?;
        let cookie = if self.settings.cookie.is_empty() {
            None
        } else {
            cookie(head, &self.settings.cookie)
        };
        let cookie = cookie.filter(|_| self.may_use_cookie(head));
        let bearer = bearer.map(|token| self.verify(token)).transpose()?;
        let cookie = cookie.map(|token| self.verify(token)).transpose()?;
        Ok(bearer.or(cookie))
    }

    fn verify(&self, token: &str) -> Result<Caller, ApiError> {
        let verified = self.verifier.verify(token, self.now());
        let verified = verified.map_err(|error| ApiError::unauthenticated(error.to_string()))?;
        Ok(Caller::new(verified.identity, Some(verified.expires_at)))
    }

    /// A browser sends the cookie with whatever any site's page asks for, WebSockets included. So it counts
    /// only for pages of this server and of the origins that the settings name.
    fn may_use_cookie(&self, head: &RequestHead) -> bool {
        let Some(origin) = head.headers.get(ORIGIN) else {
            return true;
        };
        let Ok(origin) = origin.to_str() else { return false };
        let host = head.headers.get(HOST).and_then(|host| host.to_str().ok());
        let own = origin
            .split_once("://")
            .zip(host)
            .is_some_and(|((_, from), host)| from.eq_ignore_ascii_case(host));
        own || self
            .settings
            .cookie_origins()
            .any(|allowed| allowed.eq_ignore_ascii_case(origin))
    }
}

fn header<'a>(head: &'a RequestHead, name: &HeaderName) -> Result<Option<&'a str>, ApiError> {
    let unreadable = |_| ApiError::unauthenticated(format!("{name} is not readable"));
    head.headers
        .get(name)
        .map(|value| value.to_str().map_err(unreadable))
        .transpose()
}

fn bearer(header: &str) -> Result<&str, ApiError> {
    match header.trim().split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(token.trim()),
        _ => Err(ApiError::unauthenticated("Authorization must be: Bearer <token>")),
    }
}

/// The cookie's value; an empty one is what a logout leaves behind, and is none.
fn cookie<'a>(head: &'a RequestHead, name: &str) -> Option<&'a str> {
    let headers = head
        .headers
        .get_all(COOKIE)
        .filter_map(|value| value.to_str().ok());
    let mut pairs = headers
        .flat_map(|header| header.split(';'))
        .filter_map(|pair| pair.trim().split_once('='));
    let (_, value) = pairs.find(|(key, _)| *key == name)?;
    Some(value.trim_matches('"')).filter(|value| !value.is_empty())
}

#[cfg(test)]
#[path = "auth_tests.rs"]
mod tests;
