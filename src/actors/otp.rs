//! Codes that prove that a number or an address is somebody's: sent by a job of their own lane, kept as a keyed hash only.

use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

use super::clock::random;
use super::error::CommandError;
use super::node::Node;
use super::notify::{JobBody, Progress, SendBody};
use super::push::version;
use crate::domain::budget::Budget;
use crate::domain::notify::{Content, DeliveryState, Destination, Lane, Locale, Occasion};
use crate::domain::otp::{Challenge, Sends, Verdict, code_of};
use crate::domain::time::Timestamp;
use crate::store::reach::encode_destination;
use crate::store::{Card, CardText, CardWrite, JobId, JobWrite, NewJob, StoreError, codec};

/// What is signed beside a code, and beside where it goes to.
const CODE: &[u8] = b"mayday otp code 1\0";
const PLACE: &[u8] = b"mayday otp place 1\0";
/// How often somebody else may be first.
const TRIES_MAX: u32 = 10;
/// For so long after its end it is told that a code came too late, and not that there was none.
const REMEMBERED: std::time::Duration = std::time::Duration::from_secs(600);

/// A code that is on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentOtp {
    /// By which it is typed in.
    pub id: String,
    /// When it is no longer good.
    pub expires_at: Timestamp,
}

/// Why there is no code, or it is not the one.
#[derive(Clone, Debug, thiserror::Error)]
pub enum OtpError {
    /// No vendor carries anything there.
    #[error("no vendor of that channel is on")]
    Off,
    /// Too soon after another one, or too often.
    #[error("too many codes were sent there lately")]
    TooMany(Budget),
    /// There is no such code: it never was, or was used.
    #[error("there is no such code")]
    Unknown,
    /// It is not the one; so often another may be tried.
    #[error("that is not the code")]
    Wrong {
        /// How often.
        left: u32,
    },
    /// Too many were wrong.
    #[error("too many wrong codes were tried")]
    Spent,
    /// It came too late.
    #[error("the code has expired")]
    Expired,
    /// Something failed.
    #[error(transparent)]
    Failed(#[from] CommandError),
}

impl From<StoreError> for OtpError {
    fn from(error: StoreError) -> Self {
        Self::Failed(error.into())
    }
}

/// A code that waits to be typed in, as it is kept.
#[derive(Serialize, Deserialize)]
struct Kept {
    mac: String,
    expires: i64,
    wrong: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    purpose: Option<String>,
}

impl Kept {
    fn of(card: &Card) -> Result<Self, StoreError> {
        serde_json::from_str(&card.text.body).map_err(|_| codec::corrupt("a code"))
    }

    /// The card that keeps it.
    fn write(&self, id: &str, seen: i64) -> CardWrite {
        let text = CardText {
            shelf: None,
            whose: None,
            until: Some(Timestamp::from_ms(self.expires) + REMEMBERED),
            body: serde_json::to_string(self).expect("invariant: texts and numbers always serialize"),
        };
        CardWrite {
            key: key(id),
            seen,
            then: Some((version(), text)),
        }
    }
}

fn key(id: &str) -> String {
    format!("otp:{id}")
}

impl Node {
    /// Sends a code; returns once it is on disk that it is to be sent. `purpose` comes back with the proof.
    ///
    /// # Errors
    /// When nothing goes there, too many went there lately, or the store fails.
    pub async fn send_otp(
        &self,
        to: Destination,
        locale: Option<Locale>,
        purpose: Option<String>,
    ) -> Result<SentOtp, OtpError> {
        let notifier = self.notifier.get().ok_or(OtpError::Off)?;
        let carried = notifier.vendors();
        if !carried
            .iter()
            .any(|(vendor, ..)| vendor.channel() == to.channel())
        {
            return Err(OtpError::Off);
        }
        let policy = self.settings.otp;
        let place = format!(
            "otp-to:{}",
            hex::encode(self.blocks.seal(PLACE, &[encode_destination(&to).as_bytes()]))
        );
        let (id, code) = (hex::encode(random::<16>()), code_of(u64::from_be_bytes(random())));
        for _ in 0..TRIES_MAX {
            let now = self.now();
            let seen = self.store.card(&place).await?;
            let mut sends = Sends::of(times(seen.as_ref())?);
            sends.admit(now, &policy).map_err(|wait| {
                OtpError::TooMany(Budget {
                    limit: u32::try_from(policy.sends_per_hour).unwrap_or(u32::MAX),
                    remaining: 0,
                    reset: sends.until().map_or(wait, |until| until.since(now)),
                    wait,
                })
            })?;
            let expires_at = now + policy.ttl;
            let kept = Kept {
                mac: hex::encode(self.blocks.seal(CODE, &[id.as_bytes(), code.as_bytes()])),
                expires: expires_at.ms(),
                wrong: 0,
                purpose: purpose.clone(),
            };
            let sent: Vec<i64> = sends.times().iter().map(|at| at.ms()).collect();
            let text = CardText {
                shelf: None,
                whose: None,
                until: sends.until(),
                body: serde_json::to_string(&sent).expect("invariant: numbers always serialize"),
            };
            let noted = CardWrite {
                key: place.clone(),
                seen: seen.map_or(0, |card| card.version),
                then: Some((version(), text)),
            };
            let minutes = policy.ttl.as_secs().div_ceil(60).to_string();
            let values = [("code", code.clone()), ("minutes", minutes)];
            let content = Content {
                occasion: Occasion::Otp,
                locale: locale.clone().unwrap_or_default(),
                drill: false,
                values: values.map(|(name, value)| (name.to_owned(), value)).into(),
            };
            let job = job(&id, to.clone(), content, expires_at);
            let cards = vec![kept.write(&id, 0), noted];
            if self.store.write_cards(cards, vec![JobWrite::Add(job)]).await? {
                notifier.wake(Lane::Otp);
                return Ok(SentOtp { id, expires_at });
            }
        }
        Err(CommandError::Busy.into())
    }

    /// Judges a code that was typed in. One that is right is used up; its purpose is the answer.
    ///
    /// # Errors
    /// Why it proves nothing.
    pub async fn verify_otp(&self, id: &str, code: &str) -> Result<Option<String>, OtpError> {
        for _ in 0..TRIES_MAX {
            let Some(card) = self.store.card(&key(id)).await? else {
                return Err(OtpError::Unknown);
            };
            let mut kept = Kept::of(&card)?;
            let mac = hex::encode(self.blocks.seal(CODE, &[id.as_bytes(), code.as_bytes()]));
            let matches = bool::from(mac.as_bytes().ct_eq(kept.mac.as_bytes()));
            let mut challenge = Challenge {
                expires_at: Timestamp::from_ms(kept.expires),
                wrong: kept.wrong,
            };
            let verdict = challenge.judge(self.now(), matches, &self.settings.otp);
            let write = match verdict {
                Verdict::Expired => return Err(OtpError::Expired),
                Verdict::Spent if challenge.wrong == kept.wrong => return Err(OtpError::Spent),
                Verdict::Right => CardWrite {
                    key: key(id),
                    seen: card.version,
                    then: None,
                },
                Verdict::Wrong { .. } | Verdict::Spent => {
                    kept.wrong = challenge.wrong;
                    kept.write(id, card.version)
                }
            };
            // That it was tried is on disk before anybody hears what came of it.
            if self.store.write_cards(vec![write], vec![]).await? {
                return match verdict {
                    Verdict::Right => Ok(kept.purpose),
                    Verdict::Wrong { left } => Err(OtpError::Wrong { left }),
                    Verdict::Spent | Verdict::Expired => Err(OtpError::Spent),
                };
            }
        }
        Err(CommandError::Busy.into())
    }
}

/// When codes were sent to a place.
fn times(card: Option<&Card>) -> Result<Vec<Timestamp>, StoreError> {
    let Some(card) = card else { return Ok(vec![]) };
    let times: Vec<i64> =
        serde_json::from_str(&card.text.body).map_err(|_| codec::corrupt("when codes were sent"))?;
    Ok(times.into_iter().map(Timestamp::from_ms).collect())
}

/// The message: the code is in it, and nowhere else, for as long as it is on its way.
fn job(id: &str, to: Destination, content: Content, expires_at: Timestamp) -> NewJob {
    let body = SendBody {
        notification: None,
        state: DeliveryState::Pending,
        to,
        content,
        raised_at: None,
        expires_at,
        progress: Progress::default(),
    };
    NewJob {
        id: JobId::from_random(u64::from_be_bytes(random())),
        key: key(id),
        lane: Lane::Otp,
        room: None,
        whose: None,
        after: std::time::Duration::ZERO,
        body: JobBody::Send(Box::new(body)).encode(),
    }
}
