//! What a token says, in the shapes that issuers in the field use, and whom that makes of its bearer.

use serde::Deserialize;

use super::TokenError;
use crate::domain::ids::{DeviceId, RoomId, ServiceName, UserId};
use crate::domain::people::{Identity, Role, Subject};
use crate::domain::phone::{PhoneNumber, Region};
use crate::domain::scopes::{Scope, Scopes};

/// Names are shown to others; a longer one is cut.
const NAME_MAX_CHARS: usize = 100;

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
pub(super) struct Claims {
    pub exp: Option<f64>,
    pub nbf: Option<f64>,
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
    scopes: Option<ScopeNames>,
}

/// A list, or one text as OAuth writes it.
#[derive(Deserialize)]
#[serde(untagged)]
enum ScopeNames {
    List(Vec<String>),
    Text(String),
}

impl ScopeNames {
    /// What the bearer may do in their incident: be there and see it in any case, else only what is named. A
    /// list without a single name of ours speaks of something else: it must not silence a rescuer.
    fn allowed(&self) -> Scopes {
        let names: Vec<&str> = match self {
            Self::List(names) => names.iter().map(String::as_str).collect(),
            Self::Text(text) => text.split_whitespace().collect(),
        };
        let named: Scopes = names.into_iter().filter_map(Scope::parse).collect();
        if named == Scopes::NONE {
            return Scopes::ALL;
        }
        named.with(Scope::IncidentsRead).with(Scope::ParticipantsWrite)
    }
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
    /// Who the bearer is. `region` is where national numbers are from.
    pub fn identity(self, region: Region) -> Result<Identity, TokenError> {
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
        let (nested, scopes) = self
            .mission
            .map_or((None, None), |mission| (mission.sos_id, mission.scopes));
        let mission = said(nested).or(said(self.sos_id));
        // Only the anonymous are bound to an incident: a registered user's token may mention one.
        let mission = mission
            .filter(|_| role == Role::Anon)
            .map(RoomId::new)
            .transpose();
        let mission = mission.map_err(|_| TokenError::Claim("sosId"))?;
        if actor == ActorKind::Anon && claimed == Role::Rescuer && mission.is_none() {
            return Err(TokenError::Missing("mission.sosId"));
        }
        let scopes = scopes.filter(|_| mission.is_some());
        let device_id = said(self.device_id);
        Ok(Identity {
            // A registered user's token may mention a device; one that cannot be read is none.
            device: device_id
                .as_deref()
                .filter(|_| role != Role::Anon && actor == ActorKind::User)
                .and_then(|id| DeviceId::new(id).ok()),
            subject: subject(actor, role, user_id, device_id)?,
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
            scopes: scopes.map_or(Scopes::ALL, |names| names.allowed()),
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
