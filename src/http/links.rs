//! The links that messages carry: whoever follows one acts for somebody whom an incident knows, and for nobody else.
//!
//! A link names the incident and the person's pseudonym in it and is signed; nothing is kept of it. It is good for as
//! long as the incident is open.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::actors::notify::Links;
use crate::config::Secret;
use crate::domain::ids::{ParticipantId, RoomId};

/// The path of a link that acknowledges; its token follows.
pub const ACKNOWLEDGE: &str = "/a/";
const PURPOSE: &[u8] = b"mayday acknowledge link v1\0";
/// 96 bits: links are short for the sake of text messages, and a guess is one request.
const MAC: usize = 12;
/// The pseudonym's bits.
const WHO: usize = 8;
/// Incidents that the engine names are 16 bytes in hex: they are packed.
const PACKED: u8 = 1;
const PLAIN: u8 = 0;

/// Makes and reads them.
#[derive(Clone)]
pub struct SignedLinks {
    mac: Hmac<Sha256>,
    base: Option<String>,
}

impl SignedLinks {
    /// Signed with a key that comes of `secret`; `public_url` is how the engine is reached from outside, empty: not.
    pub fn new(secret: &Secret, public_url: &str) -> Self {
        let mac = Hmac::<Sha256>::new_from_slice(secret.reveal())
            .expect("invariant: HMAC takes a key of any length");
        let base = public_url.trim_end_matches('/');
        Self {
            mac,
            base: (!base.is_empty()).then(|| format!("{base}{ACKNOWLEDGE}")),
        }
    }

    fn sign(&self, payload: &[u8]) -> [u8; MAC] {
        let whole = self
            .mac
            .clone()
            .chain_update(PURPOSE)
            .chain_update(payload)
            .finalize();
        let mut short = [0; MAC];
        short.copy_from_slice(&whole.into_bytes()[..MAC]);
        short
    }

    /// The token of a link.
    pub fn token(&self, room: &RoomId, who: ParticipantId) -> String {
        let mut payload = who.bits().to_be_bytes().to_vec();
        let text = room.as_str();
        let packed = hex::decode(text)
            .ok()
            .filter(|bytes| bytes.len() == 16 && !text.bytes().any(|digit| digit.is_ascii_uppercase()));
        match packed {
            Some(bytes) => {
                payload.push(PACKED);
                payload.extend(bytes);
            }
            None => {
                payload.push(PLAIN);
                payload.extend(text.as_bytes());
            }
        }
        let mac = self.sign(&payload);
        URL_SAFE_NO_PAD.encode([&mac[..], &payload].concat())
    }

    /// Whose link it is; `None`: it is none of ours.
    pub fn read(&self, token: &str) -> Option<(RoomId, ParticipantId)> {
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (mac, payload) = bytes.split_at_checked(MAC)?;
        if !bool::from(mac.ct_eq(&self.sign(payload)[..])) {
            return None;
        }
        let (who, room) = payload.split_at_checked(WHO)?;
        let who = ParticipantId::from_bits(u64::from_be_bytes(who.try_into().ok()?));
        let room = match room.split_first()? {
            (&PACKED, bytes) => RoomId::new(hex::encode(bytes)),
            (_, text) => RoomId::new(std::str::from_utf8(text).ok()?),
        };
        Some((room.ok()?, who))
    }
}

impl std::fmt::Debug for SignedLinks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SignedLinks(…)")
    }
}

impl Links for SignedLinks {
    fn acknowledge(&self, room: &RoomId, who: ParticipantId) -> Option<String> {
        let base = self.base.as_ref()?;
        Some(format!("{base}{}", self.token(room, who)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn links(key: &str) -> SignedLinks {
        SignedLinks::new(&Secret::new(&key.repeat(32)).unwrap(), "https://sos.example/")
    }

    #[test]
    fn a_link_is_short_and_leads_back() {
        let room = RoomId::new("7b0d3a4f6d0e4a53b6c1f09a77a3d2f1").unwrap();
        let who = ParticipantId::from_bits(7);
        let link = links("k").acknowledge(&room, who).unwrap();
        let token = link.strip_prefix("https://sos.example/a/").unwrap();
        assert_eq!(token.len(), 50);
        assert_eq!(links("k").read(token), Some((room.clone(), who)));
        assert_eq!(links("x").read(token), None, "another engine's");
        let away = SignedLinks::new(&Secret::new(&"k".repeat(32)).unwrap(), "");
        assert_eq!(away.acknowledge(&room, who), None);
    }

    proptest! {
        #[test]
        fn any_incident_leads_back_and_no_changed_byte_does(
            room in "[A-Za-z0-9_.:-]{1,64}", bits in any::<u64>(), place in any::<prop::sample::Index>(), change in 1u8..,
        ) {
            let (links, who) = (links("k"), ParticipantId::from_bits(bits));
            let room = RoomId::new(room).unwrap();
            let token = links.token(&room, who);
            prop_assert_eq!(links.read(&token), Some((room, who)));
            let mut bytes = URL_SAFE_NO_PAD.decode(&token).unwrap();
            let place = place.index(bytes.len());
            bytes[place] ^= change;
            prop_assert_eq!(links.read(&URL_SAFE_NO_PAD.encode(bytes)), None);
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in "\\PC{0,120}") {
            let _ = links("k").read(&text);
        }
    }
}
