//! What vendors call back with: how a message stands, and what somebody answers to one. Nothing here waits or listens: bytes
//! and headers in, verified news out. What a vendor does not sign is not believed; what is not understood is left out, and
//! the rest counts. News may come late, twice and in any order: what they change is decided by whoever gets them.

mod amazon;
mod msg91;
mod sendgrid;
mod twilio;
mod whatsapp;

use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use subtle::ConstantTimeEq;
use url::Url;

pub use self::amazon::{Amazon, AmazonCallbacks, Envelope, HttpAmazon};
pub use self::msg91::Msg91Callbacks;
pub use self::sendgrid::SendgridCallbacks;
pub use self::twilio::TwilioCallbacks;
pub use self::whatsapp::WhatsappCallbacks;

use crate::domain::notify::{Channel, DeliveryState};
use crate::domain::phone::PhoneNumber;
use crate::domain::time::Timestamp;

/// News of one call; further ones are left out.
const NEWS_MAX: usize = 1_000;
/// The longest text of an answer, in characters: what it is looked through for stands at its beginning.
const TEXT_MAX: usize = 1_000;
/// A call whose signature holds its time is believed for so long: vendors repeat what was not taken.
const REPLAY_WINDOW: Duration = Duration::from_secs(3_600);
/// A vendor's clock may be ahead of ours by so much.
const AHEAD_MAX: Duration = Duration::from_secs(300);

/// How a message stands, says its vendor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct News {
    /// `TWILIO:SM…`: see [`super::reference`].
    pub reference: String,
    /// `Accepted`, `Delivered`, `Read`, or `FailedTemporary` when it was given back.
    pub state: DeliveryState,
    /// The vendor's code when it failed.
    pub code: Option<String>,
    /// When it came to stand so, where the vendor says that.
    pub at: Option<Timestamp>,
}

/// What somebody answers to a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The vendor's name for it, `TWILIO:SM…`: the same when it is told again.
    pub id: String,
    /// Over which channel.
    pub channel: Channel,
    /// Who.
    pub from: PhoneNumber,
    /// What, without spaces at its ends.
    pub text: String,
}

/// What one call says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// How messages stand.
    pub news: Vec<News>,
    /// What people answer.
    pub replies: Vec<Reply>,
}

/// Why a call is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is not signed as it must be.
    #[error("the signature does not match")]
    Signature,
    /// It was signed too long ago, or by a clock that is ahead.
    #[error("the signature's time is too far from now")]
    Stale,
    /// It cannot be read.
    #[error("the body cannot be read")]
    Malformed,
    /// It is of a topic that the settings do not name.
    #[error("the topic is not one of ours")]
    Topic,
}

/// Whoever gets the news. What it takes must be kept before it answers: a vendor tells nothing twice that was taken.
#[async_trait]
pub trait NewsSink: Send + Sync + 'static {
    /// Takes news of messages.
    ///
    /// # Errors
    /// When they cannot be taken now: the vendor is told to come back.
    async fn news(&self, news: Vec<News>) -> Result<(), NotTaken>;

    /// Takes somebody's answer.
    ///
    /// # Errors
    /// As above.
    async fn reply(&self, reply: Reply) -> Result<(), NotTaken>;
}

/// It cannot be taken now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not taken, try again")]
pub struct NotTaken;

/// All that may call back. A vendor that is not there is not listened to.
#[derive(Debug, Default)]
pub struct Callbacks {
    /// Twilio's statuses, and texts to our number.
    pub twilio: Option<TwilioCallbacks>,
    /// MSG91's reports.
    pub msg91: Option<Msg91Callbacks>,
    /// WhatsApp's statuses and answers.
    pub whatsapp: Option<WhatsappCallbacks>,
    /// SendGrid's events.
    pub sendgrid: Option<SendgridCallbacks>,
    /// SES by way of SNS.
    pub ses: Option<AmazonCallbacks>,
}

/// Whether two signatures are the same. The time it takes tells nothing but their lengths.
fn same(expected: &[u8], given: &[u8]) -> bool {
    expected.ct_eq(given).into()
}

/// Whether a signature of this time still counts.
fn fresh(at: SystemTime, now: SystemTime) -> Result<(), Refused> {
    let old = now.duration_since(at).is_ok_and(|age| age > REPLAY_WINDOW);
    let ahead = at.duration_since(now).is_ok_and(|ahead| ahead > AHEAD_MAX);
    if old || ahead { Err(Refused::Stale) } else { Ok(()) }
}

/// Seconds since 1970, written as a number or as text.
fn seconds(value: &serde_json::Value) -> Option<Timestamp> {
    let seconds = value.as_i64().or_else(|| value.as_str()?.parse().ok())?;
    seconds.checked_mul(1_000).map(Timestamp::from_ms)
}

/// As much of an answer as is looked at.
fn said(text: &str) -> String {
    let text: String = text.trim().chars().take(TEXT_MAX).collect();
    text.trim_end().to_owned()
}

/// An address of ours as vendors know it: `public` and what follows the host in a request.
fn public(public: &Url, path_and_query: &str) -> String {
    format!("{}{path_and_query}", public.as_str().trim_end_matches('/'))
}

#[cfg(test)]
mod tests;
