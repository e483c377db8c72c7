//! Where and how people are told, as records keep it: JSON of this module's own, the same in every store.

use serde::{Deserialize, Serialize};

use super::codec::corrupt;
use super::contract::StoreError;
use crate::domain::notify::{Channel, Destination, Email, Locale, PushToken, QuietHours, WebPushKeys};
use crate::domain::people::Reach;
use crate::domain::phone::PhoneNumber;

#[derive(Serialize, Deserialize)]
struct KeptReach {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    locale: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    channels: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    quiet: Option<(u16, u16, i16)>,
}

/// Writes how somebody is told; `None`: nothing was said of it.
pub fn encode_reach(reach: &Reach) -> Option<String> {
    if *reach == Reach::default() {
        return None;
    }
    let kept = KeptReach {
        email: reach.email.as_ref().map(|email| email.reveal().to_owned()),
        locale: reach.locale.as_ref().map(|locale| locale.as_str().to_owned()),
        channels: reach
            .channels
            .iter()
            .map(|channel| channel.as_str().to_owned())
            .collect(),
        quiet: reach.quiet.map(|hours| (hours.from, hours.to, hours.utc_offset)),
    };
    Some(serde_json::to_string(&kept).expect("invariant: texts and numbers always serialize"))
}

/// Reads what [`encode_reach`] wrote.
///
/// # Errors
/// `Corrupt` when it is something else.
pub fn decode_reach(text: Option<&str>) -> Result<Reach, StoreError> {
    let wrong = || corrupt("how a contact is told");
    let Some(text) = text else {
        return Ok(Reach::default());
    };
    let kept: KeptReach = serde_json::from_str(text).map_err(|_| wrong())?;
    let channels = kept
        .channels
        .iter()
        .map(|name| Channel::parse(name).ok_or_else(wrong));
    Ok(Reach {
        email: kept
            .email
            .map(|text| Email::parse(&text))
            .transpose()
            .map_err(|_| wrong())?,
        locale: kept
            .locale
            .map(|text| Locale::parse(&text))
            .transpose()
            .map_err(|_| wrong())?,
        channels: channels.collect::<Result<_, _>>()?,
        quiet: kept
            .quiet
            .map(|(from, to, utc_offset)| QuietHours { from, to, utc_offset }),
    })
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum KeptDestination {
    Sms(String),
    Whatsapp(String),
    Email(String),
    Fcm(String),
    Apns(String),
    WebPush {
        endpoint: String,
        p256dh: String,
        auth: String,
    },
    Webhook,
    Pager,
}

/// Writes where a message goes.
pub fn encode_destination(to: &Destination) -> String {
    let kept = match to {
        Destination::Sms(phone) => KeptDestination::Sms(phone.reveal().into()),
        Destination::Whatsapp(phone) => KeptDestination::Whatsapp(phone.reveal().into()),
        Destination::Email(email) => KeptDestination::Email(email.reveal().into()),
        Destination::Fcm(token) => KeptDestination::Fcm(token.reveal().into()),
        Destination::Apns(token) => KeptDestination::Apns(token.reveal().into()),
        Destination::WebPush(keys) => KeptDestination::WebPush {
            endpoint: keys.endpoint.reveal().into(),
            p256dh: keys.p256dh.reveal().into(),
            auth: keys.auth.reveal().into(),
        },
        Destination::Webhook => KeptDestination::Webhook,
        Destination::Pager => KeptDestination::Pager,
    };
    serde_json::to_string(&kept).expect("invariant: texts always serialize")
}

/// Reads what [`encode_destination`] wrote.
///
/// # Errors
/// `Corrupt` when it is something else.
pub fn decode_destination(text: &str) -> Result<Destination, StoreError> {
    let wrong = || corrupt("where a message goes");
    let phone = |text: &str| PhoneNumber::from_e164(text).map_err(|_| wrong());
    let token = |text: &str| PushToken::parse(text).map_err(|_| wrong());
    Ok(match serde_json::from_str(text).map_err(|_| wrong())? {
        KeptDestination::Sms(text) => Destination::Sms(phone(&text)?),
        KeptDestination::Whatsapp(text) => Destination::Whatsapp(phone(&text)?),
        KeptDestination::Email(text) => Destination::Email(Email::parse(&text).map_err(|_| wrong())?),
        KeptDestination::Fcm(text) => Destination::Fcm(token(&text)?),
        KeptDestination::Apns(text) => Destination::Apns(token(&text)?),
        KeptDestination::WebPush {
            endpoint,
            p256dh,
            auth,
        } => Destination::WebPush(Box::new(WebPushKeys {
            endpoint: token(&endpoint)?,
            p256dh: token(&p256dh)?,
            auth: token(&auth)?,
        })),
        KeptDestination::Webhook => Destination::Webhook,
        KeptDestination::Pager => Destination::Pager,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn how_somebody_is_told_is_read_as_it_was_written(
            email in any::<bool>(),
            locale in any::<bool>(),
            channels in proptest::collection::vec(proptest::sample::select(Channel::ALL), 0..4),
            quiet in proptest::option::of((0_u16..1_440, 0_u16..1_440, -720_i16..=840)),
        ) {
            let reach = Reach {
                email: email.then(|| Email::parse("a@b.ph").unwrap()),
                locale: locale.then(|| Locale::parse("fil-PH").unwrap()),
                channels,
                quiet: quiet.map(|(from, to, utc_offset)| QuietHours { from, to, utc_offset }),
            };
            prop_assert_eq!(decode_reach(encode_reach(&reach).as_deref()), Ok(reach));
        }

        #[test]
        fn no_text_makes_the_readers_panic(text in "\\PC{0,80}") {
            let _ = (decode_reach(Some(&text)), decode_destination(&text));
        }
    }

    #[test]
    fn every_destination_is_read_as_it_was_written() {
        let phone = PhoneNumber::from_e164("+639171234567").unwrap();
        let token = || PushToken::parse("token").unwrap();
        let keys = WebPushKeys {
            endpoint: PushToken::parse("https://push.example/1").unwrap(),
            p256dh: token(),
            auth: token(),
        };
        for to in [
            Destination::Sms(phone.clone()),
            Destination::Whatsapp(phone),
            Destination::Email(Email::parse("a@b.ph").unwrap()),
            Destination::Fcm(token()),
            Destination::Apns(token()),
            Destination::WebPush(Box::new(keys)),
            Destination::Webhook,
            Destination::Pager,
        ] {
            assert_eq!(decode_destination(&encode_destination(&to)), Ok(to));
        }
    }
}
