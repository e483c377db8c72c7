//! JSON Web Tokens: whether one is good, and who its bearer is.

mod claims;
mod issue;

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Validation;
use jsonwebtoken::errors::ErrorKind;
use serde::Deserialize;
use serde::de::IgnoredAny;

pub use issue::{Grant, IssueError, issue};

use self::claims::Claims;
use super::keys::{Jwks, KeyRing, NoKey, library};
use crate::config::{Auth, TokenAlgorithm};
use crate::domain::people::Identity;
use crate::domain::phone::Region;
use crate::domain::time::Timestamp;

/// No honest token comes near; a longer one is not worth the hashing.
const TOKEN_MAX_BYTES: usize = 8_192;

/// Why a token is no good. Clients are told this, so it says nothing of the key or of the token's content.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not a token that can be read, or not signed by a key of ours.
    #[error("the token is not valid")]
    Invalid,
    /// Signed in another way, or not at all.
    #[error("the token's algorithm is not accepted")]
    Algorithm,
    /// Its header asks for something to be understood that is not.
    #[error("the token's header asks for what is not supported (crit)")]
    Critical,
    /// Its key is none of those that are known.
    #[error("the token's key is not known")]
    UnknownKey,
    /// Its issuer has not been heard for too long.
    #[error("the keys of the token's issuer are too old: it cannot be reached")]
    StaleKeys,
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

impl TokenError {
    /// The name that metrics know it by.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Invalid | Self::Critical => "token_invalid",
            Self::Algorithm => "token_algorithm",
            Self::UnknownKey => "token_key_unknown",
            Self::StaleKeys => "token_keys_stale",
            Self::Expired => "token_expired",
            Self::Early => "token_early",
            Self::Party(_) => "token_party",
            Self::Missing(_) | Self::Claim(_) => "token_claims",
        }
    }
}

impl From<NoKey> for TokenError {
    fn from(none: NoKey) -> Self {
        match none {
            NoKey::Algorithm => Self::Algorithm,
            NoKey::Unknown => Self::UnknownKey,
            NoKey::Stale => Self::StaleKeys,
        }
    }
}

/// A verified token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Whose.
    pub identity: Identity,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// What a token says of how it is signed. It chooses among the keys; how a key is used is the key's affair. Other
/// fields, such as those that bring a key along (`jwk`, `jku`, `x5c`), are not looked at.
#[derive(Deserialize)]
struct SignedBy {
    alg: String,
    kid: Option<String>,
    crit: Option<IgnoredAny>,
}

impl SignedBy {
    fn read(token: &str) -> Result<(Self, TokenAlgorithm), TokenError> {
        let (header, _) = token.split_once('.').ok_or(TokenError::Invalid)?;
        let header = URL_SAFE_NO_PAD.decode(header).map_err(|_| TokenError::Invalid)?;
        let header: Self = serde_json::from_slice(&header).map_err(|_| TokenError::Invalid)?;
        let algorithm = TokenAlgorithm::of(&header.alg).ok_or(TokenError::Algorithm)?;
        Ok((header, algorithm))
    }
}

/// Verifies tokens.
pub struct Verifier {
    keys: Arc<KeyRing>,
    /// One for each algorithm, so that none can stand in for another.
    validations: [Validation; TokenAlgorithm::ALL.len()],
    leeway: Duration,
    region: Region,
}

impl Verifier {
    /// By the settings, with these keys.
    pub fn new(auth: &Auth, keys: Arc<KeyRing>, region: Region) -> Self {
        Self {
            keys,
            validations: TokenAlgorithm::ALL.map(|algorithm| validation(auth, algorithm)),
            leeway: auth.leeway(),
            region,
        }
    }

    /// Who the bearer of `token` is. Never waits.
    ///
    /// # Errors
    /// When it is not signed by one of our keys in that key's way, not in time, not from or for whom it should
    /// be, or says nothing we understand.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Verified, TokenError> {
        let claims = self.signed(token, now)?;
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

    /// The issuer's key set, when `token` may be signed by a key that is new in it, or was known and is too old.
    pub fn may_be_new(&self, token: &str, now: Timestamp) -> Option<Arc<Jwks>> {
        self.keys.jwks().filter(|_| token.len() <= TOKEN_MAX_BYTES)?;
        let (header, algorithm) = SignedBy::read(token).ok()?;
        self.keys
            .may_be_new(algorithm, header.kid.as_deref(), now)
            .cloned()
    }

    /// How far clocks may differ.
    pub fn leeway(&self) -> Duration {
        self.leeway
    }

    /// The keys.
    pub fn keys(&self) -> &KeyRing {
        &self.keys
    }

    fn signed(&self, token: &str, now: Timestamp) -> Result<Claims, TokenError> {
        if token.len() > TOKEN_MAX_BYTES {
            return Err(TokenError::Invalid);
        }
        let (header, algorithm) = SignedBy::read(token)?;
        if header.crit.is_some() {
            return Err(TokenError::Critical);
        }
        let validation = &self.validations[algorithm as usize];
        for key in self.keys.candidates(algorithm, header.kid.as_deref(), now)? {
            match jsonwebtoken::decode::<Claims>(token, key.decoding(), validation) {
                Ok(decoded) => return Ok(decoded.claims),
                Err(error) if matches!(error.kind(), ErrorKind::InvalidSignature) => {}
                Err(error) => return Err(refused(error.kind())),
            }
        }
        Err(TokenError::Invalid)
    }
}

fn validation(auth: &Auth, algorithm: TokenAlgorithm) -> Validation {
    let mut validation = Validation::new(library(algorithm));
    let mut required = vec!["exp"];
    let audiences: Vec<&str> = auth.audiences().collect();
    validation.validate_aud = !audiences.is_empty();
    if validation.validate_aud {
        required.push("aud");
        validation.set_audience(&audiences);
    }
    if !auth.issuer.is_empty() {
        required.push("iss");
        validation.set_issuer(&[&auth.issuer]);
    }
    validation.set_required_spec_claims(&required);
    // Times are judged by the clock that was handed in.
    validation.validate_exp = false;
    validation
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

#[cfg(test)]
mod tests;
