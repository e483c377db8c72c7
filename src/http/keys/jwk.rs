//! JSON Web Key sets (RFC 7517): which of the keys in one can be used, and for what.

use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;

use super::{Key, Unusable};
use crate::config::{TokenAlgorithm, TokenAlgorithms};

/// Some issuers pad, although they should not.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Why a set is not used: as a whole, the keys before it stay.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SetError {
    /// Not a key set.
    #[error("not a JSON Web Key set")]
    NotASet,
    /// More keys than are looked at.
    #[error("{0} keys, more than auth.jwks_keys_max")]
    TooMany(usize),
    /// No key in it can be used.
    #[error("none of its {0} keys can be used")]
    NoneUsable(usize),
}

#[derive(Deserialize)]
struct Set {
    keys: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

/// Reads a set: the keys that can be used, and why others cannot.
///
/// # Errors
/// When it is no set, has more than `max` keys, or none that can be used.
pub fn read_set(
    text: &[u8],
    max: usize,
    accepted: &TokenAlgorithms,
) -> Result<(Vec<Key>, Vec<Unusable>), SetError> {
    let set: Set = serde_json::from_slice(text).map_err(|_| SetError::NotASet)?;
    let count = set.keys.len();
    if count > max {
        return Err(SetError::TooMany(count));
    }
    let (mut keys, mut unusable) = (Vec::new(), Vec::new());
    for value in set.keys {
        // One key in a form of its own does not spoil the others.
        let jwk = serde_json::from_value::<Jwk>(value).map_err(|_| Unusable::Malformed);
        match jwk.and_then(|jwk| jwk.key(accepted)) {
            Ok(key) => keys.push(key),
            Err(why) => unusable.push(why),
        }
    }
    if keys.is_empty() {
        return Err(SetError::NoneUsable(count));
    }
    Ok((keys, unusable))
}

impl Jwk {
    fn key(self, accepted: &TokenAlgorithms) -> Result<Key, Unusable> {
        if self.purpose.as_deref().is_some_and(|purpose| purpose != "sig") {
            return Err(Unusable::Purpose);
        }
        let verifies = |ops: &Vec<String>| ops.iter().any(|op| op == "verify");
        if self.key_ops.as_ref().is_some_and(|ops| !verifies(ops)) {
            return Err(Unusable::Purpose);
        }
        let algorithm = match (self.kty.as_str(), self.crv.as_deref()) {
            ("RSA", _) => TokenAlgorithm::Rs256,
            ("EC", Some("P-256")) => TokenAlgorithm::Es256,
            ("OKP", Some("Ed25519")) => TokenAlgorithm::EdDsa,
            ("oct", _) => return Err(Unusable::Secret),
            _ => return Err(Unusable::Kind),
        };
        let own = |alg: &str| {
            // RFC 9864 names the curve: the same algorithm by another name.
            alg == algorithm.as_str() || (algorithm == TokenAlgorithm::EdDsa && alg == "Ed25519")
        };
        if !accepted.accept(algorithm) || !self.alg.as_deref().is_none_or(own) {
            return Err(Unusable::Algorithm);
        }
        match algorithm {
            TokenAlgorithm::Rs256 => Key::rsa(self.kid, &bytes(self.n)?, &bytes(self.e)?),
            TokenAlgorithm::Es256 => {
                let (x, y) = (bytes(self.x)?, bytes(self.y)?);
                if (x.len(), y.len()) != (32, 32) {
                    return Err(Unusable::Malformed);
                }
                Key::p256(self.kid, &[&[4][..], &x, &y].concat())
            }
            TokenAlgorithm::EdDsa => Key::ed25519(self.kid, &bytes(self.x)?),
            TokenAlgorithm::Hs256 => Err(Unusable::Secret),
        }
    }
}

fn bytes(field: Option<String>) -> Result<Vec<u8>, Unusable> {
    let text = field.ok_or(Unusable::Malformed)?;
    BASE64.decode(text).map_err(|_| Unusable::Malformed)
}
