//! JSON Web Tokens: HS256 and nothing else, in the claim shapes that issuers in the field use.

use std::time::Duration;

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};

use crate::config::{Auth, Secret};
use crate::domain::ids::{DeviceId, RoomId, ServiceName, UserId};
use crate::domain::people::{Identity, Role, Subject};
use crate::domain::phone::{PhoneNumber, Region};
use crate::domain::scopes::Scopes;
use crate::domain::time::Timestamp;

/// No honest token comes near; a longer one is not worth the hashing.
const TOKEN_MAX_BYTES: usize = 8_192;
/// Names are shown to others; a longer one is cut.
const NAME_MAX_CHARS: usize = 100;

/// Why a token is no good. Clients are told this, so it says nothing of the key or of the token's content.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not a token that can be read, or not signed by us.
    #[error("the token is not valid")]
    Invalid,
    /// Signed in another way, or not at all.
    #[error("the token's algorithm is not accepted")]
    Algorithm,
    /// Its time is over.
    #[error("the token has expired")]
    Expired,
    /// Its time has not come.
    #[error("the token is not valid yet")]
    Early,
    /// From or for somebody else.
    #[error("the token's {0} is not accepted")]
    Party(&'static str),
    /// A claim that must be there is not.
    #[error("the token has no {0}")]
    Missing(&'static str),
    /// A claim that cannot be understood.
    #[error("the token's {0} is not valid")]
    Claim(&'static str),
}

/// A verified token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Whose.
    pub identity: Identity,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// Verifies tokens.
pub struct Verifier {
    key: DecodingKey,
    validation: Validation,
    leeway: Duration,
    region: Region,
}

impl Verifier {
    /// By the settings, with `secret` as the key.
    pub fn new(auth: &Auth, secret: &Secret, region: Region) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        let mut required = vec!["exp"];
        validation.validate_aud = !auth.audience.is_empty();
        if validation.validate_aud {
            required.push("aud");
            validation.set_audience(&[&auth.audience]);
        }
        if !auth.issuer.is_empty() {
            required.push("iss");
            validation.set_issuer(&[&auth.issuer]);
        }
        validation.set_required_spec_claims(&required);
        // Times are judged below, by the clock that was handed in.
        validation.validate_exp = false;
        Self {
            key: DecodingKey::from_secret(secret.reveal()),
            validation,
            leeway: auth.leeway(),
            region,
        }
    }

    /// Who the bearer of `token` is.
    ///
    /// # Errors
    /// When it is not signed by our key with HS256, not in time, not from or for whom it should be, or says
    /// nothing we understand.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Verified, TokenError> {
        if token.len() > TOKEN_MAX_BYTES {
            return Err(TokenError::Invalid);
        }
        let decoded = jsonwebtoken::decode::<Claims>(token, &self.key, &self.validation);
        let claims = decoded.map_err(|error| refused(error.kind()))?.claims;
        let expires_at = claims.exp.ok_or(TokenError::Missing("exp"))?;
        let expires_at = seconds(expires_at).ok_or(TokenError::Claim("exp"))?;
        if expires_at + self.leeway <= now {
            return Err(TokenError::Expired);
        }
        let starts_at = claims
            .nbf
            .map(|nbf| seconds(nbf).ok_or(TokenError::Claim("nbf")))
            .transpose()?;
        if starts_at.is_some_and(|at| at > now + self.leeway) {
            return Err(TokenError::Early);
        }
        Ok(Verified {
            identity: claims.identity(self.region)?,
            expires_at,
        })
    }
}

fn refused(kind: &ErrorKind) -> TokenError {
    match kind {
        ErrorKind::InvalidAlgorithm | ErrorKind::InvalidAlgorithmName => TokenError::Algorithm,
        ErrorKind::InvalidIssuer => TokenError::Party("issuer"),
        ErrorKind::InvalidAudience => TokenError::Party("audience"),
        ErrorKind::MissingRequiredClaim(claim) => match claim.as_str() {
            "iss" => TokenError::Missing("iss"),
            "aud" => TokenError::Missing("aud"),
            _ => TokenError::Missing("exp"),
        },
        _ => TokenError::Invalid,
    }
}

/// Far enough away for anybody's clock, near enough for no overflow.
#[expect(clippy::cast_possible_truncation, reason = "the range is checked first")]
fn seconds(claim: f64) -> Option<Timestamp> {
    (0.0..=1e12)
        .contains(&claim)
        .then(|| Timestamp::from_ms((claim * 1000.0) as i64))
}

/// Issuers write ids and numbers as text or as a number.
#[derive(Deserialize)]
#[serde(untagged)]
enum Text {
    Text(String),
    Number(i64),
}

impl Text {
    /// The text, unless it is blank.
    fn said(self) -> Option<String> {
        let text = match self {
            Self::Text(text) => text.trim().to_owned(),
            Self::Number(number) => number.to_string(),
        };
        (!text.is_empty()).then_some(text)
    }
}

/// All shapes at once: what is not there is `None`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Claims {
    exp: Option<f64>,
    nbf: Option<f64>,
    user_id: Option<Text>,
    sub: Option<Text>,
    id: Option<Text>,
    role: Option<Text>,
    sos_id: Option<Text>,
    device_id: Option<Text>,
    name: Option<Text>,
    #[serde(rename = "phone_no")]
    phone_no: Option<Text>,
    #[serde(rename = "phone_number")]
    phone_number: Option<Text>,
    email: Option<Text>,
    identity: Option<IdentityClaims>,
    actor: Option<ActorClaims>,
    mission: Option<MissionClaims>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct IdentityClaims {
    user_id: Option<Text>,
    role: Option<Text>,
}

#[derive(Deserialize)]
struct ActorClaims {
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MissionClaims {
    sos_id: Option<Text>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum ActorKind {
    User,
    Service,
    Anon,
}

fn actor_kind(claims: &ActorClaims) -> Result<ActorKind, TokenError> {
    match claims.kind.to_ascii_uppercase().as_str() {
        "USER" => Ok(ActorKind::User),
        "SERVICE" | "SYSTEM" => Ok(ActorKind::Service),
        "ANON" => Ok(ActorKind::Anon),
        _ => Err(TokenError::Claim("actor.type")),
    }
}

fn said(claim: Option<Text>) -> Option<String> {
    claim.and_then(Text::said)
}

impl Claims {
    fn identity(self, region: Region) -> Result<Identity, TokenError> {
        let actor = self.actor.as_ref().map_or(Ok(ActorKind::User), actor_kind)?;
        let (user_id, role) = match self.identity {
            Some(nested) => (said(nested.user_id), said(nested.role)),
            None => (
                said(self.user_id).or(said(self.sub)).or(said(self.id)),
                said(self.role),
            ),
        };
        let claimed = role.ok_or(TokenError::Missing("role"))?;
        let claimed = Role::parse(&claimed).ok_or(TokenError::Claim("role"))?;
        let role = if actor == ActorKind::Anon {
            anonymous(claimed)?
        } else {
            claimed
        };
        let mission = said(self.mission.and_then(|mission| mission.sos_id)).or(said(self.sos_id));
        // Only the anonymous are bound to an incident: a registered user's token may mention one.
        let mission = mission
            .filter(|_| role == Role::Anon)
            .map(RoomId::new)
            .transpose();
        let mission = mission.map_err(|_| TokenError::Claim("sosId"))?;
        if actor == ActorKind::Anon && claimed == Role::Rescuer && mission.is_none() {
            return Err(TokenError::Missing("mission.sosId"));
        }
        Ok(Identity {
            subject: subject(actor, role, user_id, said(self.device_id))?,
            role,
            name: said(self.name).map(|name| {
                name.chars()
                    .filter(|c| !c.is_control())
                    .take(NAME_MAX_CHARS)
                    .collect()
            }),
            // A number that cannot be read opens no rooms; it is no reason to refuse somebody in danger.
            phone: said(self.phone_no)
                .or(said(self.phone_number))
                .and_then(|text| PhoneNumber::parse(&text, region).ok()),
            email: said(self.email),
            mission,
            scopes: Scopes::ALL,
        })
    }
}

/// An anonymous actor is `Anon` whatever the role says, and an operator is never anonymous.
fn anonymous(claimed: Role) -> Result<Role, TokenError> {
    if claimed.is_staff() {
        Err(TokenError::Claim("role"))
    } else {
        Ok(Role::Anon)
    }
}

fn subject(
    actor: ActorKind,
    role: Role,
    user_id: Option<String>,
    device_id: Option<String>,
) -> Result<Subject, TokenError> {
    if let Some(device) = device_id.filter(|_| role == Role::Anon) {
        return DeviceId::new(&device)
            .map(Subject::Device)
            .map_err(|_| TokenError::Claim("deviceId"));
    }
    let id = user_id.ok_or(TokenError::Missing("userId"))?;
    if actor == ActorKind::Service {
        return ServiceName::new(&id)
            .map(Subject::Service)
            .map_err(|_| TokenError::Claim("userId"));
    }
    UserId::new(&id)
        .map(Subject::User)
        .map_err(|_| TokenError::Claim("userId"))
}

/// What a token to be issued says.
#[derive(Clone, Debug)]
pub struct Grant {
    /// Whose.
    pub user: UserId,
    /// As what.
    pub role: Role,
    /// Their number.
    pub phone: Option<PhoneNumber>,
    /// Their name.
    pub name: Option<String>,
    /// The only incident they may act in; for rescuers without an account.
    pub mission: Option<RoomId>,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// A token cannot be issued.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IssueError {
    /// Only rescuers without an account are bound to an incident.
    #[error("a token for one incident needs the role ANON or RESCUER")]
    MissionRole,
    /// The key cannot sign.
    #[error("cannot sign: {0}")]
    Sign(#[from] jsonwebtoken::errors::Error),
}

/// Signs a token: flat claims for users, nested ones when it is bound to an incident.
///
/// # Errors
/// When it is bound to an incident and its role is not a rescuer's, or signing fails.
pub fn issue(grant: &Grant, auth: &Auth, secret: &Secret) -> Result<String, IssueError> {
    let configured = |text: &'_ str| (!text.is_empty()).then(|| text.to_owned());
    let mut claims = Issued {
        iss: configured(&auth.issuer),
        aud: configured(&auth.audience),
        exp: grant.expires_at.ms() / 1000,
        name: grant.name.clone(),
        phone_no: grant.phone.as_ref().map(|phone| phone.reveal().to_owned()),
        ..Issued::default()
    };
    let user = grant.user.as_str().to_owned();
    if let Some(sos) = &grant.mission {
        if !matches!(grant.role, Role::Anon | Role::Rescuer) {
            return Err(IssueError::MissionRole);
        }
        claims.identity = Some(serde_json::json!({ "userId": user, "role": Role::Rescuer.as_str() }));
        claims.actor = Some(serde_json::json!({ "type": "ANON" }));
        claims.mission = Some(serde_json::json!({ "sosId": sos.as_str() }));
    } else {
        claims.user_id = Some(user);
        claims.role = Some(grant.role.as_str());
    }
    let key = EncodingKey::from_secret(secret.reveal());
    Ok(jsonwebtoken::encode(
        &Header::new(Algorithm::HS256),
        &claims,
        &key,
    )?)
}

#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Issued {
    exp: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    iss: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    aud: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(rename = "phone_no", skip_serializing_if = "Option::is_none")]
    phone_no: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    identity: Option<serde_json::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    actor: Option<serde_json::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mission: Option<serde_json::Value>,
}

#[cfg(test)]
#[path = "jwt_tests.rs"]
mod tests;
