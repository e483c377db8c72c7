//! `PUT /devices/me/push`: where a device is pushed to.

use super::body::{self, BodyError};
use super::fields::Fields;
use crate::domain::notify::{Destination, PushToken, WebPushKeys};
use crate::wire::field;
use crate::wire::loose::Loose;

/// The longest address of a subscription, in characters.
const ENDPOINT_MAX_CHARS: usize = 2_048;

/// A push service, as clients name it.
#[derive(Clone, Copy)]
enum Service {
    Fcm,
    Apns,
    WebPush,
}

impl Service {
    const ALL: [Self; 3] = [Self::Fcm, Self::Apns, Self::WebPush];

    fn as_str(self) -> &'static str {
        match self {
            Self::Fcm => "FCM",
            Self::Apns => "APNS",
            Self::WebPush => "WEBPUSH",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let known = |service: &Self| service.as_str().eq_ignore_ascii_case(text);
        Self::ALL.into_iter().find(known)
    }
}

/// Reads the body of `PUT /devices/me/push`. `in_the_clear`: a subscription may be of a service that is not https.
///
/// # Errors
/// Everything that is wrong with it.
pub fn push_target(body: &[u8], in_the_clear: bool) -> Result<Destination, BodyError> {
    let object = body::object(body)?;
    let mut fields = Fields::of_body(&object);
    let service = fields.required("service", |name, value| {
        field::one_of(name, value, Service::parse, &Service::ALL, Service::as_str)
    });
    let target = match service {
        None => None,
        Some(Service::Fcm) => token(&mut fields, "token").map(Destination::Fcm),
        Some(Service::Apns) => apns(&mut fields).map(Destination::Apns),
        Some(Service::WebPush) => {
            let found = fields.nested("subscription", |fields| subscription(fields, in_the_clear));
            if found.is_none() && !object.contains_key("subscription") {
                fields.reject("subscription", "is missing");
            }
            found.flatten().map(Destination::WebPush)
        }
    };
    fields.finish(target)
}

fn token(fields: &mut Fields<'_>, name: &'static str) -> Option<PushToken> {
    fields.required(name, |name, value: &Loose<'_>| {
        field::parsed(name, value, PushToken::parse)
    })
}

/// A device token of Apple's is hex digits, of which there may be more some day.
fn apns(fields: &mut Fields<'_>) -> Option<PushToken> {
    let token = token(fields, "token")?;
    let text = token.reveal();
    let good = (32..=200).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !good {
        fields.reject("token", "must be 32 to 200 hex digits");
    }
    good.then_some(token)
}

fn subscription(fields: &mut Fields<'_>, in_the_clear: bool) -> Option<Box<WebPushKeys>> {
    let endpoint = token(fields, "endpoint");
    let keys = fields.nested("keys", |keys| {
        Some((base64(keys, "p256dh")?, base64(keys, "auth")?))
    });
    if keys.is_none() {
        fields.reject("keys", "must be an object with p256dh and auth");
    }
    let endpoint = endpoint?;
    if !is_address(endpoint.reveal(), in_the_clear) {
        fields.reject("endpoint", "must be an https URL of a push service");
        return None;
    }
    let (p256dh, auth) = keys.flatten()?;
    Some(Box::new(WebPushKeys {
        endpoint,
        p256dh,
        auth,
    }))
}

fn base64(fields: &mut Fields<'_>, name: &'static str) -> Option<PushToken> {
    let found = token(fields, name)?;
    let good = found.reveal().len() <= 200
        && found
            .reveal()
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'='));
    if !good {
        fields.reject(name, "must be base64url");
    }
    good.then_some(found)
}

/// An address in the world outside: it is ours to post to, and must lead to no neighbour of ours.
fn is_address(text: &str, in_the_clear: bool) -> bool {
    let Ok(url) = url::Url::parse(text) else {
        return false;
    };
    if text.len() > ENDPOINT_MAX_CHARS || !url.username().is_empty() || url.password().is_some() {
        return false;
    }
    if in_the_clear {
        return matches!(url.scheme(), "http" | "https");
    }
    let named = matches!(url.host(), Some(url::Host::Domain(name)) if name.contains('.') && !name.ends_with(".local")
        && !name.ends_with(".internal") && !name.ends_with(".localhost"));
    url.scheme() == "https" && named
}
