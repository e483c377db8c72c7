//! Signed tokens (RFC 7519) that vendors want to see, and keeping one until it ends.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey};
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use serde_json::Value;

fn input(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}", part(header), part(claims))
}

/// Makes a token of a header and claims; `None`: the system has no randomness to blind the key with.
pub(super) type Sign = Box<dyn Fn(&Value, &Value) -> Option<String> + Send + Sync>;

/// Signs by ES256.
pub(super) fn es256(key: SigningKey) -> Sign {
    Box::new(move |header, claims| {
        let input = input(header, claims);
        let signature: Signature = key.sign(input.as_bytes());
        Some(format!(
            "{input}.{}",
            URL_SAFE_NO_PAD.encode(signature.to_bytes())
        ))
    })
}

/// Signs by RS256.
pub(super) fn rs256(key: RsaKeyPair) -> Sign {
    Box::new(move |header, claims| {
        let input = input(header, claims);
        let mut signature = vec![0; key.public().modulus_len()];
        let random = SystemRandom::new();
        key.sign(&RSA_PKCS1_SHA256, &random, input.as_bytes(), &mut signature)
            .ok()?;
        Some(format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature)))
    })
}
