//! Keys to sign with, for tests. Those of RSA are costly to make, so there is one, in a file that protects nothing.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use p256::pkcs8::{EncodePrivateKey, EncodePublicKey, LineEnding};
use rsa::pkcs1::DecodeRsaPrivateKey;
use rsa::traits::PublicKeyParts;
use serde_json::{Value, json};

const RSA: &[u8] = include_bytes!("../../../tests/fixtures/rsa-of-the-tests.der");

/// A key pair of an issuer.
#[derive(Clone)]
pub struct Signer {
    algorithm: Algorithm,
    key: EncodingKey,
    id: String,
    /// The public key as a JWK.
    pub jwk: Value,
    /// The public key in PEM form.
    pub pem: String,
}

fn random() -> [u8; 32] {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).unwrap();
    bytes
}

fn text(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

impl Signer {
    /// A new one of P-256.
    pub fn es256(id: &str) -> Self {
        let key = p256::ecdsa::SigningKey::from_slice(&random()).unwrap();
        let public = key.verifying_key();
        let point = public.to_encoded_point(false);
        let (x, y) = (point.x().unwrap(), point.y().unwrap());
        Self {
            algorithm: Algorithm::ES256,
            key: EncodingKey::from_ec_der(key.to_pkcs8_der().unwrap().as_bytes()),
            id: id.into(),
            jwk: json!({"kty": "EC", "crv": "P-256", "kid": id, "x": text(x), "y": text(y), "use": "sig", "alg": "ES256"}),
            pem: public.to_public_key_pem(LineEnding::LF).unwrap(),
        }
    }

    /// A new one of Ed25519.
    pub fn eddsa(id: &str) -> Self {
        let key = ed25519_dalek::SigningKey::from_bytes(&random());
        let public = key.verifying_key();
        Self {
            algorithm: Algorithm::EdDSA,
            key: EncodingKey::from_ed_der(key.to_pkcs8_der().unwrap().as_bytes()),
            id: id.into(),
            jwk: json!({"kty": "OKP", "crv": "Ed25519", "kid": id, "x": text(public.as_bytes()), "use": "sig"}),
            pem: public.to_public_key_pem(LineEnding::LF).unwrap(),
        }
    }

    /// That of RSA, always the same.
    pub fn rs256(id: &str) -> Self {
        let public = rsa::RsaPrivateKey::from_pkcs1_der(RSA).unwrap().to_public_key();
        let (n, e) = (public.n().to_bytes_be(), public.e().to_bytes_be());
        Self {
            algorithm: Algorithm::RS256,
            key: EncodingKey::from_rsa_der(RSA),
            id: id.into(),
            jwk: json!({"kty": "RSA", "kid": id, "n": text(n), "e": text(e), "alg": "RS256"}),
            pem: public.to_public_key_pem(LineEnding::LF).unwrap(),
        }
    }

    /// One of each.
    pub fn all() -> [Self; 3] {
        [Self::rs256("r"), Self::es256("e"), Self::eddsa("d")]
    }

    /// A token with its key's id.
    pub fn sign(&self, claims: &Value) -> String {
        self.sign_as(claims, Some(&self.id))
    }

    /// A token with this key id, or with none.
    pub fn sign_as(&self, claims: &Value, id: Option<&str>) -> String {
        let mut header = Header::new(self.algorithm);
        header.kid = id.map(str::to_owned);
        self.sign_with(&header, claims)
    }

    /// A token with this header, whose algorithm is the key's.
    pub fn sign_with(&self, header: &Header, claims: &Value) -> String {
        let header = Header {
            alg: self.algorithm,
            ..header.clone()
        };
        jsonwebtoken::encode(&header, claims, &self.key).unwrap()
    }
}

/// A key set of these.
pub fn set_of(keys: &[&Signer]) -> Value {
    json!({"keys": keys.iter().map(|key| key.jwk.clone()).collect::<Vec<_>>()})
}
