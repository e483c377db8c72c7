//! A push that only its browser can read: RFC 8291 over RFC 8188, in one record.

use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::GeneralPurpose;
use base64::engine::general_purpose::{GeneralPurposeConfig, URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac};
use p256::elliptic_curve::sec1::ToEncodedPoint as _;
use p256::{PublicKey, SecretKey};
use ring::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use sha2::Sha256;

/// The size of the record that push services must take.
const RECORD_BYTES: u32 = 4_096;
/// What fits into it: salt, size, key and its length before, the mark of the end and the tag after.
pub(super) const PLAIN_MAX_BYTES: usize = 4_096 - (16 + 4 + 1 + 65) - 1 - 16;
/// The mark of the last record.
const LAST: u8 = 2;

/// Browsers write it without padding; some libraries with.
const BASE64URL: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The whole body. `None`: the keys are none, or there is no randomness.
pub(super) fn seal(plain: &[u8], p256dh: &str, auth: &str) -> Option<Vec<u8>> {
    let mut salt = [0; 16];
    getrandom::fill(&mut salt).ok()?;
    seal_with(plain, p256dh, auth, salt, &fresh_key()?)
}

fn fresh_key() -> Option<SecretKey> {
    // All but a few of 2^256 numbers are keys.
    for _ in 0..4 {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).ok()?;
        if let Ok(key) = SecretKey::from_slice(&bytes) {
            return Some(key);
        }
    }
    None
}

fn seal_with(plain: &[u8], p256dh: &str, auth: &str, salt: [u8; 16], own: &SecretKey) -> Option<Vec<u8>> {
    let theirs = BASE64URL.decode(p256dh).ok()?;
    let auth = BASE64URL.decode(auth).ok().filter(|auth| auth.len() == 16)?;
    let public = PublicKey::from_sec1_bytes(&theirs).ok()?;
    let shared = p256::ecdh::diffie_hellman(own.to_nonzero_scalar(), public.as_affine());
    let ours = own.public_key().to_encoded_point(false);

    let mut info = b"WebPush: info\0".to_vec();
    info.extend_from_slice(&theirs);
    info.extend_from_slice(ours.as_bytes());
    let secret = derive(&auth, shared.raw_secret_bytes(), &info);
    let key = derive(&salt, &secret, b"Content-Encoding: aes128gcm\0");
    let nonce = derive(&salt, &secret, b"Content-Encoding: nonce\0");

    let mut sealed = plain.to_vec();
    sealed.push(LAST);
    let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &key[..16]).ok()?);
    let nonce = Nonce::try_assume_unique_for_key(&nonce[..12]).ok()?;
    key.seal_in_place_append_tag(nonce, Aad::empty(), &mut sealed)
        .ok()?;

    let mut body = salt.to_vec();
    body.extend_from_slice(&RECORD_BYTES.to_be_bytes());
    body.push(65);
    body.extend_from_slice(ours.as_bytes());
    body.extend_from_slice(&sealed);
    Some(body)
}

/// HKDF (RFC 5869) with SHA-256, the first block.
fn derive(salt: &[u8], secret: &[u8], info: &[u8]) -> [u8; 32] {
    let extracted = mac(salt, &[secret]);
    mac(&extracted, &[info, &[1]])
}

fn mac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("invariant: HMAC takes a key of any length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// The number on which a VAPID key pair stands, as tools print it: 32 bytes in base64url.
pub(crate) fn vapid_key(text: &str) -> Option<p256::ecdsa::SigningKey> {
    let bytes = URL_SAFE_NO_PAD.decode(text.trim().trim_end_matches('=')).ok()?;
    p256::ecdsa::SigningKey::from_slice(&bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_is_what_the_rfc_seals() {
        // RFC 8291, section 5.
        let own = URL_SAFE_NO_PAD
            .decode("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw")
            .unwrap();
        let salt = URL_SAFE_NO_PAD.decode("DGv6ra1nlYgDCS1FRnbzlw").unwrap();
        let body = seal_with(
            b"When I grow up, I want to be a watermelon",
            "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
            "BTBZMqHH6r4Tts7J_aSIgg",
            salt.try_into().unwrap(),
            &SecretKey::from_slice(&own).unwrap(),
        )
        .unwrap();
        assert_eq!(
            URL_SAFE_NO_PAD.encode(body),
            "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_y\
             l95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
        );
    }

    #[test]
    fn keys_that_are_none_seal_nothing() {
        let good = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4";
        assert!(seal(b"x", good, "BTBZMqHH6r4Tts7J_aSIgg==").is_some());
        for (p256dh, auth) in [
            (good, "short"),
            ("AAAA", "BTBZMqHH6r4Tts7J_aSIgg"),
            ("", ""),
            ("!", "BTBZMqHH6r4Tts7J_aSIgg"),
        ] {
            assert_eq!(seal(b"x", p256dh, auth), None, "{p256dh} {auth}");
        }
    }
}
