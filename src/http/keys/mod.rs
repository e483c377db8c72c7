//! The keys that tokens are verified with. Each has one algorithm, which its kind and size decide: what a token
//! says of itself chooses among the keys and never how a key is used.

mod jwk;
mod jwks;
mod pem;
mod ring;
mod source;

use std::fmt;

use jsonwebtoken::{Algorithm, DecodingKey};

pub use jwk::SetError;
use jwk::read_set;
pub use jwks::Jwks;
pub use pem::KeyFileError;
pub use ring::{KeyRing, KeysError, NoKey};
pub use source::{FetchError, Source, SourceError};

use crate::config::TokenAlgorithm;

/// The smallest RSA key, in bits; RFC 7518 forbids smaller ones.
const RSA_MIN_BITS: usize = 2_048;
/// The largest one, in bits: what a signature costs grows with its square.
const RSA_MAX_BITS: usize = 4_096;

/// A key and what it is for.
#[derive(Clone)]
pub struct Key {
    id: Option<String>,
    algorithm: TokenAlgorithm,
    decoding: DecodingKey,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({:?}, {})", self.id, self.algorithm.as_str())
    }
}

impl Key {
    /// The secret of HS256 tokens.
    pub fn shared(secret: &[u8]) -> Self {
        Self {
            id: None,
            algorithm: TokenAlgorithm::Hs256,
            decoding: DecodingKey::from_secret(secret),
        }
    }

    /// The public key that these numbers make, if it is a good one.
    fn rsa(id: Option<String>, modulus: &[u8], exponent: &[u8]) -> Result<Self, Unusable> {
        let leading = modulus.iter().take_while(|byte| **byte == 0).count();
        let modulus = &modulus[leading..];
        let bits = modulus.len() * 8 - modulus.first().map_or(0, |first| first.leading_zeros() as usize);
        if !(RSA_MIN_BITS..=RSA_MAX_BITS).contains(&bits) {
            return Err(Unusable::Size);
        }
        let number = rsa::BigUint::from_bytes_be;
        rsa::RsaPublicKey::new(number(modulus), number(exponent)).map_err(|_| Unusable::Malformed)?;
        Ok(Self {
            id,
            algorithm: TokenAlgorithm::Rs256,
            decoding: DecodingKey::from_rsa_raw_components(modulus, exponent),
        })
    }

    /// The public key of a point on P-256, in SEC 1 form.
    fn p256(id: Option<String>, point: &[u8]) -> Result<Self, Unusable> {
        let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(point).map_err(|_| Unusable::Malformed)?;
        Ok(Self {
            id,
            algorithm: TokenAlgorithm::Es256,
            decoding: DecodingKey::from_ec_der(key.to_encoded_point(false).as_bytes()),
        })
    }

    /// The public key of these 32 bytes.
    fn ed25519(id: Option<String>, bytes: &[u8]) -> Result<Self, Unusable> {
        let bytes: &[u8; 32] = bytes.try_into().map_err(|_| Unusable::Malformed)?;
        let key = ed25519_dalek::VerifyingKey::from_bytes(bytes).map_err(|_| Unusable::Malformed)?;
        if key.is_weak() {
            return Err(Unusable::Malformed);
        }
        Ok(Self {
            id,
            algorithm: TokenAlgorithm::EdDsa,
            decoding: DecodingKey::from_ed_der(bytes),
        })
    }

    /// What it is for.
    pub fn algorithm(&self) -> TokenAlgorithm {
        self.algorithm
    }

    /// For the library.
    pub fn decoding(&self) -> &DecodingKey {
        &self.decoding
    }

    /// Whether a token that names `id` may be signed by it: a key or a token without one does not tell.
    fn may_be(&self, id: Option<&str>) -> bool {
        match (&self.id, id) {
            (Some(own), Some(id)) => own == id,
            _ => true,
        }
    }
}

/// Why a key is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// Not a key, or none that exists.
    #[error("not a valid key")]
    Malformed,
    /// Too small to be safe, or too large to be quick.
    #[error("an RSA key must have {RSA_MIN_BITS} to {RSA_MAX_BITS} bits")]
    Size,
    /// A kind or curve that no accepted algorithm uses.
    #[error("neither RSA nor P-256 nor Ed25519")]
    Kind,
    /// A shared secret has no place where public keys are.
    #[error("a shared secret, not a public key")]
    Secret,
    /// Made for something else.
    #[error("not for verifying signatures")]
    Purpose,
    /// Made for another algorithm than those that are accepted.
    #[error("for an algorithm that is not accepted")]
    Algorithm,
}

/// The library's name of an algorithm.
pub fn library(algorithm: TokenAlgorithm) -> Algorithm {
    match algorithm {
        TokenAlgorithm::Hs256 => Algorithm::HS256,
        TokenAlgorithm::Rs256 => Algorithm::RS256,
        TokenAlgorithm::Es256 => Algorithm::ES256,
        TokenAlgorithm::EdDsa => Algorithm::EdDSA,
    }
}

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
