//! Identifiers, each with one way in.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Why a text is not an identifier.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidId {
    /// Empty, or over the limit.
    #[error("must have 1 to {max} characters")]
    Length {
        /// The most characters allowed.
        max: usize,
    },
    /// A character outside the allowed set.
    #[error("may hold only {allowed}")]
    Character {
        /// What is allowed, for a person.
        allowed: &'static str,
    },
    /// Not a version 4 UUID.
    #[error("must be a version 4 UUID")]
    NotUuid4,
    /// Not a participant id.
    #[error("must be a participant id: 'p-' and 16 hex digits")]
    NotParticipant,
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $max:expr, $allowed:expr, $test:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The most characters it may have.
            pub const MAX_CHARS: usize = $max;

            /// Parses it.
            ///
            /// # Errors
            /// When it is empty, too long, or holds a character that is not allowed.
            pub fn new(text: impl AsRef<str>) -> Result<Self, InvalidId> {
                let text = text.as_ref();
                if text.is_empty() || text.chars().count() > Self::MAX_CHARS {
                    return Err(InvalidId::Length { max: Self::MAX_CHARS });
                }
                if !text.chars().all($test) {
                    return Err(InvalidId::Character { allowed: $allowed });
                }
                Ok(Self(text.into()))
            }

            /// Its text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Self::new(text)
            }
        }
    };
}

const SLUG: &str = "letters, digits and '_', '-', '.', ':'";

fn slug(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ':')
}

fn printable(c: char) -> bool {
    !c.is_control()
}

text_id!(
    /// A room: an incident (`sosId`), a circle, a trip. One name space for all kinds.
    RoomId, 64, SLUG, slug
);
text_id!(
    /// A registered user, as the token's issuer names them. Identity: it stays out of the log.
    UserId, 128, "printable characters", printable
);
text_id!(
    /// A message, unique in its room for each sender; a repeated one is the same message.
    MessageId, 64, SLUG, slug
);
text_id!(
    /// A sister service, by the name of its key.
    ServiceName, 64, SLUG, slug
);

impl fmt::Debug for RoomId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RoomId({})", self.0)
    }
}

impl fmt::Debug for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MessageId({})", self.0)
    }
}

impl fmt::Debug for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServiceName({})", self.0)
    }
}

impl fmt::Debug for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UserId(…)")
    }
}

impl RoomId {
    /// A room id from 16 random bytes: 32 hex digits.
    pub fn from_random(bytes: [u8; 16]) -> Self {
        Self(format!("{:032x}", u128::from_be_bytes(bytes)).into())
    }
}

impl MessageId {
    /// A message id from 16 random bytes: 32 hex digits.
    pub fn from_random(bytes: [u8; 16]) -> Self {
        Self(format!("{:032x}", u128::from_be_bytes(bytes)).into())
    }
}

/// A device's id, a version 4 UUID. It is a credential: it never reaches another participant or a log.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeviceId(u128);

impl DeviceId {
    /// Parses the hyphenated or plain form, any letter case.
    ///
    /// # Errors
    /// When it is not a version 4 UUID.
    pub fn new(text: &str) -> Result<Self, InvalidId> {
        let bytes = text.as_bytes();
        let hyphenated = bytes.len() == 36 && [8, 13, 18, 23].iter().all(|&i| bytes[i] == b'-');
        if !hyphenated && bytes.len() != 32 {
            return Err(InvalidId::NotUuid4);
        }
        let mut value = 0u128;
        for (i, c) in text.chars().enumerate() {
            if hyphenated && [8, 13, 18, 23].contains(&i) {
                continue;
            }
            let digit = c.to_digit(16).ok_or(InvalidId::NotUuid4)?;
            value = (value << 4) | u128::from(digit);
        }
        let version = (value >> 76) & 0xf;
        let variant = (value >> 62) & 0b11;
        if version == 4 && variant == 0b10 { Ok(Self(value)) } else { Err(InvalidId::NotUuid4) }
    }

    /// A fresh one from 16 random bytes.
    pub fn from_random(bytes: [u8; 16]) -> Self {
        let value = u128::from_be_bytes(bytes);
        Self((value & !(0xf << 76) & !(0b11 << 62)) | (4 << 76) | (0b10 << 62))
    }

    /// The id in its canonical hyphenated form. Only for records and for the device itself.
    pub fn reveal(self) -> String {
        let v = self.0;
        format!(
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            v >> 96,
            (v >> 80) & 0xffff,
            (v >> 64) & 0xffff,
            (v >> 48) & 0xffff,
            v & 0xffff_ffff_ffff
        )
    }
}

impl fmt::Debug for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeviceId(…)")
    }
}

/// Who somebody is inside one room: stable there, meaningless outside. What others see instead of a user
/// or device id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ParticipantId(u64);

impl ParticipantId {
    /// From random bits, drawn when somebody first has to do with a room.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// Its bits.
    pub const fn bits(self) -> u64 {
        self.0
    }
}

impl fmt::Display for ParticipantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p-{:016x}", self.0)
    }
}

impl fmt::Debug for ParticipantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for ParticipantId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let digits = text.strip_prefix("p-").filter(|d| d.len() == 16).ok_or(InvalidId::NotParticipant)?;
        if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(InvalidId::NotParticipant);
        }
        u64::from_str_radix(digits, 16).map(Self).map_err(|_| InvalidId::NotParticipant)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_device_id_is_a_version_4_uuid_and_nothing_else() {
        let text = "936da01f-9abd-4d9d-80c7-02af85c822a8";
        assert_eq!(DeviceId::new(text).unwrap().reveal(), text);
        assert_eq!(DeviceId::new(&text.to_uppercase()).unwrap().reveal(), text);
        for bad in ["", "x", "936da01f-9abd-1d9d-80c7-02af85c822a8", "936da01f-9abd-4d9d-00c7-02af85c822a8"] {
            assert_eq!(DeviceId::new(bad), Err(InvalidId::NotUuid4), "{bad}");
        }
    }

    #[test]
    fn a_device_id_does_not_show_in_debug_output() {
        let id = DeviceId::from_random([7; 16]);
        assert!(!format!("{id:?}").contains(&id.reveal()[..8]));
    }

    proptest! {
        #[test]
        fn participant_ids_survive_text(bits in any::<u64>()) {
            let id = ParticipantId::from_bits(bits);
            prop_assert_eq!(id.to_string().parse::<ParticipantId>(), Ok(id));
        }

        #[test]
        fn random_device_ids_are_valid(bytes in any::<[u8; 16]>()) {
            let id = DeviceId::from_random(bytes);
            prop_assert_eq!(DeviceId::new(&id.reveal()), Ok(id));
        }

        #[test]
        fn no_text_makes_an_id_panic(text in ".*") {
            let _ = (RoomId::new(&text), UserId::new(&text), DeviceId::new(&text), text.parse::<ParticipantId>());
        }
    }
}
