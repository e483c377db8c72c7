//! Signs tokens with the engine's own secret: for trying things out, and for those without an issuer.

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;

use crate::config::{Auth, Secret, TokenAlgorithm};
use crate::domain::ids::{RoomId, UserId};
use crate::domain::people::Role;
use crate::domain::phone::PhoneNumber;
use crate::domain::time::Timestamp;

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
    /// The engine takes no tokens that are signed so.
    #[error("auth.algorithms does not have HS256: the engine would refuse the token")]
    NotAccepted,
    /// The key cannot sign.
    #[error("cannot sign: {0}")]
    Sign(#[from] jsonwebtoken::errors::Error),
}

/// Signs a token: flat claims for users, nested ones when it is bound to an incident.
///
/// # Errors
/// When the engine would refuse it, when it is bound to an incident and its role is not a rescuer's, or signing
/// fails.
pub fn issue(grant: &Grant, auth: &Auth, secret: &Secret) -> Result<String, IssueError> {
    if !auth.algorithms.accept(TokenAlgorithm::Hs256) {
        return Err(IssueError::NotAccepted);
    }
    let configured = |text: &'_ str| (!text.is_empty()).then(|| text.to_owned());
    let mut claims = Issued {
        iss: configured(&auth.issuer),
        aud: auth.audiences().next().map(str::to_owned),
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
