//! What a job says: JSON of this module's own, so that what waits in a store survives an upgrade.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::core::{Progress, Stage};
use crate::domain::notify::{
    Content, DeliveryState, Destination, Email, Locale, Occasion, PushToken, Vendor, WebPushKeys,
};
use crate::domain::phone::PhoneNumber;
use crate::domain::time::Timestamp;

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobBody {
    /// Look at the incident: is somebody to be told?
    Incident,
    /// Look at a check-in: has it become an SOS?
    CheckIn(String),
    /// Send a message.
    Send(Box<SendBody>),
}

/// A message on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendBody {
    /// Its number in its incident; `None`: it belongs to none.
    pub notification: Option<u32>,
    /// How it stands, when it belongs to no incident: there the log says so.
    pub state: DeliveryState,
    /// Where to.
    pub to: Destination,
    /// What it says.
    pub content: Content,
    /// When the incident was raised of which it brings the first news: it is measured how long that took.
    pub raised_at: Option<Timestamp>,
    /// When it is no longer worth sending.
    pub expires_at: Timestamp,
    /// How far it has come.
    pub progress: Progress,
}

/// A job says what this version does not understand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a job cannot be read")]
pub struct BadBody;

impl JobBody {
    /// Writes it.
    pub fn encode(&self) -> String {
        let kept = match self {
            Self::Incident => Kept::Incident,
            Self::CheckIn(id) => Kept::CheckIn(id.clone()),
            Self::Send(send) => Kept::Send(Box::new(KeptSend::of(send))),
        };
        serde_json::to_string(&kept)
            .expect("invariant: it has neither maps with odd keys nor numbers that are none")
    }

    /// Reads it.
    ///
    /// # Errors
    /// When it is nothing that was written here.
    pub fn decode(text: &str) -> Result<Self, BadBody> {
        let kept: Kept = serde_json::from_str(text).map_err(|_| BadBody)?;
        Ok(match kept {
            Kept::Incident => Self::Incident,
            Kept::CheckIn(id) => Self::CheckIn(id),
            Kept::Send(send) => Self::Send(Box::new(send.read()?)),
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Kept {
    Incident,
    CheckIn(String),
    Send(Box<KeptSend>),
}

#[derive(Serialize, Deserialize)]
struct KeptSend {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    n: Option<u32>,
    state: String,
    to: KeptDestination,
    on: String,
    locale: String,
    #[serde(default)]
    drill: bool,
    values: BTreeMap<String, String>,
    expires: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    raised: Option<i64>,
    stage: KeptStage,
    #[serde(default)]
    tries: u32,
    #[serde(default)]
    passed: Vec<String>,
    #[serde(default)]
    twice: bool,
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

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum KeptStage {
    Here,
    Asking {
        vendor: String,
        since: i64,
    },
    Taken {
        vendor: String,
        reference: Option<String>,
        since: i64,
        asked: u32,
    },
}

impl KeptSend {
    fn of(send: &SendBody) -> Self {
        Self {
            n: send.notification,
            state: send.state.as_str().into(),
            to: KeptDestination::of(&send.to),
            on: send.content.occasion.as_str().into(),
            locale: send.content.locale.as_str().into(),
            drill: send.content.drill,
            values: send.content.values.clone(),
            expires: send.expires_at.ms(),
            raised: send.raised_at.map(Timestamp::ms),
            stage: KeptStage::of(&send.progress.stage),
            tries: send.progress.tries,
            passed: send
                .progress
                .passed
                .iter()
                .map(|one| one.as_str().into())
                .collect(),
            twice: send.progress.twice,
        }
    }

    fn read(self) -> Result<SendBody, BadBody> {
        Ok(SendBody {
            notification: self.n,
            state: DeliveryState::parse(&self.state).ok_or(BadBody)?,
            to: self.to.read()?,
            content: Content {
                occasion: Occasion::parse(&self.on).ok_or(BadBody)?,
                locale: Locale::parse(&self.locale).map_err(|_| BadBody)?,
                drill: self.drill,
                values: self.values,
            },
            expires_at: Timestamp::from_ms(self.expires),
            raised_at: self.raised.map(Timestamp::from_ms),
            progress: Progress {
                stage: self.stage.read()?,
                tries: self.tries,
                passed: self
                    .passed
                    .iter()
                    .map(|one| vendor(one))
                    .collect::<Result<_, _>>()?,
                twice: self.twice,
            },
        })
    }
}

impl KeptDestination {
    fn of(to: &Destination) -> Self {
        match to {
            Destination::Sms(phone) => Self::Sms(phone.reveal().into()),
            Destination::Whatsapp(phone) => Self::Whatsapp(phone.reveal().into()),
            Destination::Email(email) => Self::Email(email.reveal().into()),
            Destination::Fcm(token) => Self::Fcm(token.reveal().into()),
            Destination::Apns(token) => Self::Apns(token.reveal().into()),
            Destination::WebPush(keys) => Self::WebPush {
                endpoint: keys.endpoint.reveal().into(),
                p256dh: keys.p256dh.reveal().into(),
                auth: keys.auth.reveal().into(),
            },
            Destination::Webhook => Self::Webhook,
            Destination::Pager => Self::Pager,
        }
    }

    fn read(self) -> Result<Destination, BadBody> {
        let phone = |text: &str| PhoneNumber::from_e164(text).map_err(|_| BadBody);
        let token = |text: &str| PushToken::parse(text).map_err(|_| BadBody);
        Ok(match self {
            Self::Sms(text) => Destination::Sms(phone(&text)?),
            Self::Whatsapp(text) => Destination::Whatsapp(phone(&text)?),
            Self::Email(text) => Destination::Email(Email::parse(&text).map_err(|_| BadBody)?),
            Self::Fcm(text) => Destination::Fcm(token(&text)?),
            Self::Apns(text) => Destination::Apns(token(&text)?),
            Self::WebPush {
                endpoint,
                p256dh,
                auth,
            } => Destination::WebPush(Box::new(WebPushKeys {
                endpoint: token(&endpoint)?,
                p256dh: token(&p256dh)?,
                auth: token(&auth)?,
            })),
            Self::Webhook => Destination::Webhook,
            Self::Pager => Destination::Pager,
        })
    }
}

impl KeptStage {
    fn of(stage: &Stage) -> Self {
        match stage {
            Stage::Here => Self::Here,
            Stage::Asking { vendor, since } => Self::Asking {
                vendor: vendor.as_str().into(),
                since: since.ms(),
            },
            Stage::Taken {
                vendor,
                reference,
                since,
                asked,
            } => Self::Taken {
                vendor: vendor.as_str().into(),
                reference: reference.clone(),
                since: since.ms(),
                asked: *asked,
            },
        }
    }

    fn read(self) -> Result<Stage, BadBody> {
        Ok(match self {
            Self::Here => Stage::Here,
            Self::Asking { vendor: name, since } => Stage::Asking {
                vendor: vendor(&name)?,
                since: Timestamp::from_ms(since),
            },
            Self::Taken {
                vendor: name,
                reference,
                since,
                asked,
            } => Stage::Taken {
                vendor: vendor(&name)?,
                reference,
                since: Timestamp::from_ms(since),
                asked,
            },
        })
    }
}

fn vendor(text: &str) -> Result<Vendor, BadBody> {
    Vendor::parse(text).ok_or(BadBody)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn destination() -> impl Strategy<Value = Destination> {
        let phone = PhoneNumber::from_e164("+639171234567").unwrap();
        let token = || PushToken::parse("token").unwrap();
        let keys = WebPushKeys {
            endpoint: PushToken::parse("https://push.example/1").unwrap(),
            p256dh: token(),
            auth: token(),
        };
        proptest::sample::select(vec![
            Destination::Sms(phone.clone()),
            Destination::Whatsapp(phone),
            Destination::Email(Email::parse("a@b.ph").unwrap()),
            Destination::Fcm(token()),
            Destination::Apns(token()),
            Destination::WebPush(Box::new(keys)),
            Destination::Webhook,
            Destination::Pager,
        ])
    }

    fn stage() -> impl Strategy<Value = Stage> {
        let vendor = || proptest::sample::select(Vendor::ALL);
        let at = || any::<i64>().prop_map(Timestamp::from_ms);
        prop_oneof![
            Just(Stage::Here),
            (vendor(), at()).prop_map(|(vendor, since)| Stage::Asking { vendor, since }),
            (vendor(), any::<Option<String>>(), at(), any::<u32>()).prop_map(
                |(vendor, reference, since, asked)| Stage::Taken {
                    vendor,
                    reference,
                    since,
                    asked
                }
            ),
        ]
    }

    proptest! {
        #[test]
        fn a_job_reads_as_it_was_written(
            (to, stage) in (destination(), stage()),
            notification in any::<Option<u32>>(),
            state in proptest::sample::select(DeliveryState::ALL),
            occasion in proptest::sample::select(Occasion::ALL),
            values in proptest::collection::btree_map(".{0,9}", ".{0,20}", 0..4),
            (drill, twice, tries, ms) in any::<(bool, bool, u32, i64)>(),
            passed in proptest::collection::vec(proptest::sample::select(Vendor::ALL), 0..3),
        ) {
            let body = JobBody::Send(Box::new(SendBody {
                notification,
                state,
                to,
                content: Content { occasion, locale: Locale::default(), drill, values },
                expires_at: Timestamp::from_ms(ms),
                raised_at: drill.then_some(Timestamp::from_ms(ms)),
                progress: Progress { stage, tries, passed, twice },
            }));
            prop_assert_eq!(JobBody::decode(&body.encode()), Ok(body));
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in "\\PC{0,80}") {
            let _ = JobBody::decode(&text);
        }
    }

    #[test]
    fn to_look_at_an_incident_says_nothing_else() {
        assert_eq!(
            JobBody::decode(&JobBody::Incident.encode()),
            Ok(JobBody::Incident)
        );
        assert_eq!(JobBody::decode("{}"), Err(BadBody));
    }
}
