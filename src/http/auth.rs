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

use super::credential::CredentialError;
use super::device_tokens::DeviceTokens;
use super::jwt::{TokenError, Verified, Verifier};
use super::keys::{Jwks, KeyRing};
use super::services::{Services, SisterService};
use super::tickets::Tickets;
use crate::config::{Auth, Config, Secrets};
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
    services: Services,
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
    /// By the settings and secrets. Tokens are verified with `keys`, tickets taken from `tickets`.
    pub fn new(
        config: &Config,
        secrets: &Secrets,
        keys: Arc<KeyRing>,
        tickets: Arc<Tickets>,
        clock: Clock,
    ) -> Self {
        Self {
            verifier: Verifier::new(&config.auth, keys, config.contacts.default_region),
            settings: config.auth.clone(),
            services: Services::new(&secrets.internal, &config.auth.api_keys),
            devices: DeviceTokens::new(&secrets.device),
            tickets,
            clock,
        }
    }

    /// Who sent a REST request; `None` when it has no credential.
    ///
    /// # Errors
    /// When a credential is bad.
    pub fn rest(&self, head: &RequestHead) -> Result<Option<Caller>, CredentialError> {
        let service = self.service(head)?;
        let token = self.token(head)?;
        let (id, proof) = (header(head, &X_DEVICE_ID)?, header(head, &X_DEVICE_TOKEN)?);
        let device = self.device([id, None], proof)?;
        Ok(service.or(token).or(device))
    }

    /// Who asks for a WebSocket; `None` when the request has no credential. A ticket is used up by this.
    ///
    /// # Errors
    /// When a credential is bad.
    pub fn websocket(&self, head: &RequestHead) -> Result<Option<Caller>, CredentialError> {
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
        let service = self.service(head)?;
        let token = self.token(head)?;
        let ids = [header(head, &X_DEVICE_ID)?, device_id.as_deref()];
        let proof = header(head, &X_DEVICE_TOKEN)?.or(device_token.as_deref());
        let device = self.device(ids, proof)?;
        let ticket = ticket.map(|ticket| self.ticket(&ticket)).transpose()?;
        // A ticket was asked for on purpose, while a browser adds its cookie to everything.
        Ok(ticket.or(service).or(token).or(device))
    }

    /// The token that proves that `device` was registered here.
    pub fn device_token(&self, device: DeviceId) -> String {
        self.devices.issue(device)
    }

    /// Which sister service sent a request.
    ///
    /// # Errors
    /// When it shows no key of one.
    pub fn internal(&self, head: &RequestHead) -> Result<SisterService, CredentialError> {
        let given = head.headers.get(X_INTERNAL_TOKEN);
        let found = given.and_then(|given| self.services.find(given.as_bytes()));
        found.ok_or(CredentialError::Service)
    }

    /// A token by itself, as it is sent on an open connection.
    ///
    /// # Errors
    /// When it is not good.
    pub fn token_alone(&self, token: &str) -> Result<Verified, TokenError> {
        self.verifier.verify(token.trim(), self.now())
    }

    /// The issuer's key set, when `token` may be signed by a key that is new in it.
    pub fn may_be_new(&self, token: &str) -> Option<Arc<Jwks>> {
        self.verifier.may_be_new(token.trim(), self.now())
    }

    /// The same for the tokens of a request.
    pub fn brings_new_key(&self, head: &RequestHead) -> Option<Arc<Jwks>> {
        self.keys().jwks()?;
        let bearer = header(head, &AUTHORIZATION).ok().flatten();
        let bearer = bearer.and_then(|header| bearer_token(header).ok());
        let cookie = || cookie(head, &self.settings.cookie).filter(|_| self.may_use_cookie(head));
        bearer.or_else(cookie).and_then(|token| self.may_be_new(token))
    }

    /// The keys that tokens are verified with.
    pub fn keys(&self) -> &KeyRing {
        self.verifier.keys()
    }

    /// Now, by the clock that was handed in.
    pub fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// The first device that the request names. `proof` must fit whatever it names.
    fn device(&self, ids: [Option<&str>; 2], proof: Option<&str>) -> Result<Option<Caller>, CredentialError> {
        let mut first = None;
        for id in ids.into_iter().flatten() {
            let id = DeviceId::new(id.trim())?;
            self.prove(id, proof)?;
            first = first.or(Some(id));
        }
        if first.is_none() && proof.is_some() {
            return Err(CredentialError::DeviceTokenAlone);
        }
        Ok(first.map(|id| Caller::new(Identity::device(id), None)))
    }

    fn prove(&self, id: DeviceId, proof: Option<&str>) -> Result<(), CredentialError> {
        match proof {
            Some(token) if !self.devices.verify(id, token.trim()) => Err(CredentialError::DeviceToken),
            None if self.settings.require_device_token => Err(CredentialError::DeviceTokenMissing),
            _ => Ok(()),
        }
    }

    /// A sister service calls as somebody: one that shows a wrong key is refused.
    fn service(&self, head: &RequestHead) -> Result<Option<Caller>, CredentialError> {
        if !head.headers.contains_key(X_INTERNAL_TOKEN) {
            return Ok(None);
        }
        let SisterService { name, scopes } = self.internal(head)?;
        Ok(Some(Caller::new(Identity::service(name, scopes), None)))
    }

    /// A ticket is no better than the credential that it was asked for with.
    fn ticket(&self, ticket: &str) -> Result<Caller, CredentialError> {
        let now = self.now();
        let redeemed = self.tickets.redeem(ticket, now);
        let caller = redeemed.map_err(|_| CredentialError::Ticket)?;
        let over = |end: Timestamp| end + self.verifier.leeway() <= now;
        if caller.expires_at.is_some_and(over) {
            return Err(TokenError::Expired.into());
        }
        Ok(caller)
    }

    fn token(&self, head: &RequestHead) -> Result<Option<Caller>, CredentialError> {
        let bearer = header(head, &AUTHORIZATION)?.map(bearer_token).transpose()?;
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

    fn verify(&self, token: &str) -> Result<Caller, CredentialError> {
        let verified = self.verifier.verify(token, self.now())?;
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

fn header<'a>(head: &'a RequestHead, name: &HeaderName) -> Result<Option<&'a str>, CredentialError> {
    let unreadable = |_| CredentialError::Unreadable(name.clone());
    head.headers
        .get(name)
        .map(|value| value.to_str().map_err(unreadable))
        .transpose()
}

fn bearer_token(header: &str) -> Result<&str, CredentialError> {
    match header.trim().split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(token.trim()),
        _ => Err(CredentialError::Scheme),
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
