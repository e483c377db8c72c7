//! One message, ready to be carried.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::{Channel, Lane, Occasion};
use crate::domain::phone::PhoneNumber;

/// Why something is not a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDestination {
    /// Not an e-mail address.
    #[error("must be an e-mail address of at most 254 characters")]
    Email,
    /// Not a push token.
    #[error("must be a push token of 1 to 4096 printable characters without spaces")]
    Token,
    /// Not a language.
    #[error("must be a language tag such as en or fil-PH")]
    Locale,
}

macro_rules! hidden {
    ($name:ident) => {
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(…)"))
            }
        }

        impl $name {
            /// Its text, for whoever carries the message and for records.
            pub fn reveal(&self) -> &str {
                &self.0
            }
        }
    };
}

/// An e-mail address. It never shows in debug output.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Email(Arc<str>);
hidden!(Email);

impl Email {
    /// Reads `local@domain`: one `@` outside quotes is asked for, no control characters and no spaces; whether it
    /// exists only its server knows (RFC 5321: 64 characters before the `@`, 254 in all).
    ///
    /// # Errors
    /// When it is not one.
    pub fn parse(text: &str) -> Result<Self, InvalidDestination> {
        let text = text.trim();
        let (local, domain) = text.rsplit_once('@').ok_or(InvalidDestination::Email)?;
        let plain = |c: char| {
            !c.is_control() && !c.is_whitespace() && !matches!(c, '<' | '>' | ',' | ';' | '"' | '@')
        };
        let labels = domain
            .split('.')
            .all(|label| !label.is_empty() && !label.starts_with('-') && !label.ends_with('-'));
        let good = (1..=64).contains(&local.len())
            && text.len() <= 254
            && local.chars().all(plain)
            && domain
                .chars()
                .all(|c| c.is_alphanumeric() || matches!(c, '-' | '.'))
            && labels;
        if good {
            Ok(Self(text.into()))
        } else {
            Err(InvalidDestination::Email)
        }
    }
}

/// By which a push service knows a device. It never shows in debug output.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PushToken(Arc<str>);
hidden!(PushToken);

impl PushToken {
    /// Reads one: 1 to 4096 visible ASCII characters.
    ///
    /// # Errors
    /// When it is not one.
    pub fn parse(text: &str) -> Result<Self, InvalidDestination> {
        let good = (1..=4096).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        if good {
            Ok(Self(text.into()))
        } else {
            Err(InvalidDestination::Token)
        }
    }
}

/// A browser's push subscription (W3C Push API): where to post, and the keys to encrypt with, as they come in base64url.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WebPushKeys {
    /// Its `endpoint`, an https URL (http in tests).
    pub endpoint: PushToken,
    /// Its `keys.p256dh`.
    pub p256dh: PushToken,
    /// Its `keys.auth`.
    pub auth: PushToken,
}

/// A language tag (BCP 47): templates are chosen by it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Locale(Arc<str>);

impl Locale {
    /// Reads a tag of 2 to 35 letters, digits and hyphens that begins with a letter.
    ///
    /// # Errors
    /// When it is not one.
    pub fn parse(text: &str) -> Result<Self, InvalidDestination> {
        let good = (2..=35).contains(&text.len())
            && text.starts_with(|c: char| c.is_ascii_alphabetic())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !text.ends_with('-')
            && !text.contains("--");
        if good {
            Ok(Self(text.into()))
        } else {
            Err(InvalidDestination::Locale)
        }
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The tags to try, the most special first: `fil-PH`, `fil`.
    pub fn fallbacks(&self) -> impl Iterator<Item = &str> {
        let mut next = Some(&*self.0);
        std::iter::from_fn(move || {
            let tag = next?;
            next = tag.rsplit_once('-').map(|(shorter, _)| shorter);
            Some(tag)
        })
    }
}

impl Default for Locale {
    fn default() -> Self {
        Self("en".into())
    }
}

/// Where a message goes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Destination {
    /// A number that gets text messages.
    Sms(PhoneNumber),
    /// A number that has WhatsApp.
    Whatsapp(PhoneNumber),
    /// A mailbox.
    Email(Email),
    /// A device, by its FCM registration token.
    Fcm(PushToken),
    /// A device, by its APNs device token (hex digits).
    Apns(PushToken),
    /// A browser.
    WebPush(Box<WebPushKeys>),
    /// The operators' webhook.
    Webhook,
    /// The operators' pager.
    Pager,
}

impl Destination {
    /// Over which channel it is reached.
    pub const fn channel(&self) -> Channel {
        match self {
            Self::Sms(_) => Channel::Sms,
            Self::Whatsapp(_) => Channel::Whatsapp,
            Self::Email(_) => Channel::Email,
            Self::Fcm(_) | Self::Apns(_) | Self::WebPush(_) => Channel::Push,
            Self::Webhook => Channel::Webhook,
            Self::Pager => Channel::Pager,
        }
    }
}

/// What a message says: a template is filled with it. Values are plain text; whoever renders escapes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// Which template.
    pub occasion: Occasion,
    /// In which language, if there is one.
    pub locale: Locale,
    /// It is an exercise, and says so before anything else.
    pub drill: bool,
    /// By name: `person` (who needs help), `kind`, `message`, `place`, `map` (URL), `acknowledge` (URL), `age` (how late
    /// it came), `code`, `minutes`, `reason`, `incident`. What is not there is left out of the text.
    pub values: BTreeMap<String, String>,
}

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// Its name, the same for every attempt and every vendor: of the incident, the step, the person and the channel.
    /// At most 64 letters, digits, `-`, `_`, `:` and `.`: vendors collapse and deduplicate by it.
    pub key: String,
    /// Where to.
    pub to: Destination,
    /// What.
    pub content: Content,
    /// How urgent.
    pub lane: Lane,
    /// For how long it is worth delivering.
    pub ttl: Duration,
    /// An earlier attempt may have got through: the text says so where it can, and logs and staff are told.
    pub possibly_twice: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_address_that_could_carry_another_header_is_refused() {
        for good in ["a@b.ph", "first.last+sos@mail.example.com", "ñ@bücher.example"] {
            assert_eq!(Email::parse(good).unwrap().reveal(), good);
        }
        let long = format!("{}@b.ph", "a".repeat(65));
        for bad in [
            "",
            "@",
            "a@",
            "@b",
            "a b@c.d",
            "a@b\r\nBcc: c@d.e",
            "<a@b.c>",
            "a@b@c",
            "a@b..c",
            "a@-b.c",
            &long,
        ] {
            assert_eq!(Email::parse(bad), Err(InvalidDestination::Email), "{bad}");
        }
    }

    #[test]
    fn a_language_falls_back_to_what_is_less_special() {
        let tag = Locale::parse("zh-Hant-TW").unwrap();
        assert_eq!(
            tag.fallbacks().collect::<Vec<_>>(),
            ["zh-Hant-TW", "zh-Hant", "zh"]
        );
        for bad in ["", "e", "en_US", "en-", "../en", "1en", "en--US"] {
            assert_eq!(Locale::parse(bad), Err(InvalidDestination::Locale), "{bad}");
        }
    }

    #[test]
    fn no_destination_shows_in_debug_output() {
        let to = Destination::Email(Email::parse("secret@example.com").unwrap());
        assert!(!format!("{to:?}").contains("secret"));
        let to = Destination::Fcm(PushToken::parse("secret").unwrap());
        assert!(!format!("{to:?}").contains("secret"));
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parsers_panic(text in "\\PC{0,80}") {
            let _ = (Email::parse(&text), PushToken::parse(&text), Locale::parse(&text));
        }
    }
}
