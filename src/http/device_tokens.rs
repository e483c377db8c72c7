//! Device tokens: who registered a device id can prove it. An id alone is free to make up, and one that was
//! seen somewhere could be used by anybody.

use std::fmt;

use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::config::{DeviceSecrets, Secret};
use crate::domain::ids::DeviceId;

/// The form of the token; another one would get another number.
const FORM: &str = "d1";
/// What is signed beside the id, so that no other use of the secret could make a token.
const PURPOSE: &[u8] = b"mayday device token 1\0";

/// Makes and checks device tokens: `d1.<which secret>.<HMAC-SHA256 of the device id>`, in hex digits.
///
/// Nothing is kept for a device. The token names the secret it was made with, so that a second secret can
/// replace the first while tokens of both are good.
#[derive(Clone)]
pub struct DeviceTokens {
    /// The first one makes tokens, all of them check.
    keys: Vec<Key>,
}

#[derive(Clone)]
struct Key {
    name: String,
    mac: Hmac<Sha256>,
}

impl fmt::Debug for DeviceTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeviceTokens(…)")
    }
}

impl Key {
    fn new(secret: &Secret) -> Self {
        let digest = Sha256::new()
            .chain_update(b"name of a mayday device secret\0")
            .chain_update(secret.reveal())
            .finalize();
        Self {
            name: hex::encode(&digest[..4]),
            mac: Hmac::new_from_slice(secret.reveal()).expect("invariant: HMAC takes keys of any length"),
        }
    }

    fn sign(&self, device: DeviceId) -> [u8; 32] {
        let mac = self.mac.clone().chain_update(PURPOSE);
        mac.chain_update(device.reveal()).finalize().into_bytes().into()
    }
}

impl DeviceTokens {
    /// By the secrets.
    pub fn new(secrets: &DeviceSecrets) -> Self {
        let all = std::iter::once(&secrets.current).chain(&secrets.previous);
        Self {
            keys: all.map(Key::new).collect(),
        }
    }

    /// The token of `device`, always the same while the secret is.
    pub fn issue(&self, device: DeviceId) -> String {
        let key = &self.keys[0];
        format!("{FORM}.{}.{}", key.name, hex::encode(key.sign(device)))
    }

    /// Whether `token` was issued for `device`. The time it takes tells nothing of the right token.
    pub fn verify(&self, device: DeviceId, token: &str) -> bool {
        let mut parts = token.split('.');
        let (Some(FORM), Some(name), Some(mac), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return false;
        };
        let mut given = [0; 32];
        if hex::decode_to_slice(mac, &mut given).is_err() {
            return false;
        }
        let mut named = self.keys.iter().filter(|key| key.name == name);
        named.any(|key| key.sign(device).ct_eq(&given).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(c: &str) -> Secret {
        Secret::new(&c.repeat(32)).unwrap()
    }

    fn tokens(current: &str, previous: Option<&str>) -> DeviceTokens {
        DeviceTokens::new(&DeviceSecrets {
            current: secret(current),
            previous: previous.map(secret),
        })
    }

    fn device(n: u8) -> DeviceId {
        DeviceId::from_random([n; 16])
    }

    #[test]
    fn a_token_is_good_for_its_device_only() {
        let tokens = tokens("a", None);
        let token = tokens.issue(device(1));
        assert!(tokens.verify(device(1), &token));
        assert!(!tokens.verify(device(2), &token));
        assert_eq!(token, tokens.issue(device(1)), "asking again changes nothing");
        assert!(!token.contains(&device(1).reveal()[..8]), "the id is not in it");
    }

    #[test]
    fn tokens_of_the_previous_secret_stay_good_and_new_ones_are_of_the_current() {
        let old = tokens("a", None).issue(device(1));
        let both = tokens("b", Some("a"));
        assert!(both.verify(device(1), &old));
        let new = both.issue(device(1));
        assert_ne!(new, old);
        let only_new = tokens("b", None);
        assert!(only_new.verify(device(1), &new) && !only_new.verify(device(1), &old));
    }

    #[test]
    fn what_is_no_token_is_refused() {
        let tokens = tokens("a", None);
        let token = tokens.issue(device(1));
        let cut = &token[..token.len() - 1];
        for bad in ["", ".", "..", "d1..", "d1", cut, "d2.00.00", "é.é.é"] {
            assert!(!tokens.verify(device(1), bad), "{bad}");
        }
        assert!(!tokens.verify(device(1), &format!("{token}.")));
        assert!(!tokens.verify(device(1), &token.replacen("d1", "d2", 1)));
        let flipped = if token.ends_with('0') { '1' } else { '0' };
        assert!(!tokens.verify(device(1), &format!("{cut}{flipped}")));
    }
}
