//! SES by way of SNS: JSON in JSON, signed by RSA; the certificate is fetched from Amazon.

use std::collections::HashMap;
use std::time::SystemTime;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use parking_lot::Mutex;
use rsa::RsaPublicKey;
use rsa::pkcs1v15::{Signature, VerifyingKey};
use rsa::pkcs8::DecodePublicKey as _;
use rsa::signature::Verifier as _;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::Value;
use sha1::Sha1;
use sha2::Sha256;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use url::Url;
use webpki::EndEntityCert;

use super::super::client::Http;
use super::super::settings::{Common, SettingsError};
use super::super::{code, reference};
use super::{Heard, News, Refused, fresh};
use crate::domain::notify::{DeliveryState, Vendor};
use crate::domain::time::Timestamp;

/// Certificates that are remembered; with more of them all are fetched anew.
const CERTIFICATES_MAX: usize = 16;

/// What is fetched from Amazon.
#[async_trait]
pub trait Amazon: Send + Sync + 'static {
    /// What is at an address of SNS; `None`: it cannot be had now.
    async fn get(&self, url: &Url) -> Option<Vec<u8>>;
}

/// Amazon over HTTPS.
#[derive(Debug)]
pub struct HttpAmazon(Http);

impl HttpAmazon {
    /// With the limits that all vendors have.
    ///
    /// # Errors
    /// When there can be no such client.
    pub fn of(common: &Common) -> Result<Self, SettingsError> {
        Http::of_many(common, false, "notify.ses").map(Self)
    }
}

#[async_trait]
impl Amazon for HttpAmazon {
    async fn get(&self, url: &Url) -> Option<Vec<u8>> {
        let answer = self.0.ask(self.0.get(url.clone())).await.ok()?;
        answer.body.filter(|_| answer.status == 200)
    }
}

/// Reads what SNS calls back with.
pub struct AmazonCallbacks {
    topics: Vec<String>,
    amazon: Box<dyn Amazon>,
    certificates: Mutex<HashMap<Url, Vec<u8>>>,
}

impl std::fmt::Debug for AmazonCallbacks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AmazonCallbacks(…)")
    }
}

impl AmazonCallbacks {
    /// Only these topics, by their ARN: anybody may have SNS sign something of theirs.
    pub fn new(topics: Vec<String>, amazon: impl Amazon) -> Self {
        Self {
            topics,
            amazon: Box::new(amazon),
            certificates: Mutex::new(HashMap::new()),
        }
    }

    /// How messages stand. A topic that asks whether we want its news is told so.
    ///
    /// # Errors
    /// When it is not SNS', too old, of another topic, or cannot be read.
    pub async fn heard(&self, body: &[u8], now: SystemTime) -> Result<Heard, Refused> {
        let envelope = Envelope::read(body)?;
        if !self.topics.contains(&envelope.topic) {
            return Err(Refused::Topic);
        }
        let known = self.certificates.lock().get(&envelope.certificate).cloned();
        let (certificate, new) = match known {
            Some(certificate) => (certificate, false),
            None => (
                self.amazon
                    .get(&envelope.certificate)
                    .await
                    .ok_or(Refused::Signature)?,
                true,
            ),
        };
        envelope.verify(&certificate, now)?;
        if new {
            let mut certificates = self.certificates.lock();
            if certificates.len() >= CERTIFICATES_MAX {
                certificates.clear();
            }
            certificates.insert(envelope.certificate.clone(), certificate);
        }
        if let Some(url) = envelope.subscribe {
            let confirmed = self.amazon.get(&url).await.is_some();
            tracing::info!(confirmed, "a topic of SNS asked to be subscribed to");
            return Ok(Heard::default());
        }
        let news = serde_json::from_str(&envelope.message)
            .ok()
            .and_then(|event: Value| news(&event));
        Ok(Heard {
            news: news.into_iter().collect(),
            replies: vec![],
        })
    }
}

/// What SNS sends, not yet believed.
pub struct Envelope {
    topic: String,
    message: String,
    /// What is signed.
    signed: String,
    signature: Vec<u8>,
    sha256: bool,
    /// Where the certificate of whoever signed is.
    pub certificate: Url,
    /// Where to say that its news are wanted, if that is what it asks.
    pub subscribe: Option<Url>,
    at: SystemTime,
}

impl Envelope {
    /// Reads it.
    ///
    /// # Errors
    /// When it is none, or names a certificate elsewhere than at Amazon's SNS.
    pub fn read(body: &[u8]) -> Result<Self, Refused> {
        let json: Value = serde_json::from_slice(body).map_err(|_| Refused::Malformed)?;
        let text = |name: &str| json[name].as_str().ok_or(Refused::Malformed);
        let kind = text("Type")?;
        let fields: &[&str] = match kind {
            "Notification" => &["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"],
            "SubscriptionConfirmation" => &[
                "Message",
                "MessageId",
                "SubscribeURL",
                "Timestamp",
                "Token",
                "TopicArn",
                "Type",
            ],
            _ => return Err(Refused::Malformed),
        };
        let mut signed = String::new();
        for name in fields {
            match json[*name].as_str() {
                Some(value) => {
                    for part in [name, "\n", value, "\n"] {
                        signed.push_str(part);
                    }
                }
                None if *name == "Subject" => {}
                None => return Err(Refused::Malformed),
            }
        }
        let at = OffsetDateTime::parse(text("Timestamp")?, &Rfc3339).map_err(|_| Refused::Malformed)?;
        let subscribe = match kind {
            "SubscriptionConfirmation" => Some(of_sns(text("SubscribeURL")?)?),
            _ => None,
        };
        let certificate = of_sns(text("SigningCertURL")?)?;
        if !certificate.path().ends_with(".pem") || certificate.query().is_some() {
            return Err(Refused::Signature);
        }
        Ok(Self {
            topic: text("TopicArn")?.to_owned(),
            message: text("Message")?.to_owned(),
            signed,
            signature: STANDARD
                .decode(text("Signature")?)
                .map_err(|_| Refused::Signature)?,
            sha256: match text("SignatureVersion")? {
                "1" => false,
                "2" => true,
                _ => return Err(Refused::Signature),
            },
            certificate,
            subscribe,
            at: at.into(),
        })
    }

    /// Whether whoever has this certificate (PEM) signed it, and not long ago.
    ///
    /// # Errors
    /// When not.
    pub fn verify(&self, certificate: &[u8], now: SystemTime) -> Result<(), Refused> {
        let good = self.is_signed_by(certificate).unwrap_or(false);
        if !good {
            return Err(Refused::Signature);
        }
        fresh(self.at, now)
    }

    fn is_signed_by(&self, certificate: &[u8]) -> Option<bool> {
        let der = CertificateDer::from_pem_slice(certificate).ok()?;
        let certificate = EndEntityCert::try_from(&der).ok()?;
        let key = RsaPublicKey::from_public_key_der(&certificate.subject_public_key_info()).ok()?;
        let signature = Signature::try_from(self.signature.as_slice()).ok()?;
        let signed = self.signed.as_bytes();
        Some(if self.sha256 {
            VerifyingKey::<Sha256>::new(key)
                .verify(signed, &signature)
                .is_ok()
        } else {
            VerifyingKey::<Sha1>::new(key).verify(signed, &signature).is_ok()
        })
    }
}

/// An address of SNS, `https://sns.{region}.amazonaws.com/…`.
fn of_sns(text: &str) -> Result<Url, Refused> {
    let url = Url::parse(text).map_err(|_| Refused::Signature)?;
    let host = url.host_str().unwrap_or_default();
    let region = host.strip_prefix("sns.").and_then(|rest| {
        rest.strip_suffix(".amazonaws.com")
            .or_else(|| rest.strip_suffix(".amazonaws.com.cn"))
    });
    let good = region.is_some_and(|region| {
        !region.is_empty()
            && region
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    });
    let plain = url.scheme() == "https"
        && url.port().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    if good && plain {
        Ok(url)
    } else {
        Err(Refused::Signature)
    }
}

/// What SES says of a message.
fn news(event: &Value) -> Option<News> {
    let id = event["mail"]["messageId"].as_str()?;
    if !(1..=128).contains(&id.len()) {
        return None;
    }
    let kind = event["eventType"]
        .as_str()
        .or_else(|| event["notificationType"].as_str())?;
    let (state, part) = match kind {
        "Send" => (DeliveryState::Accepted, "send"),
        "Delivery" => (DeliveryState::Delivered, "delivery"),
        "Open" => (DeliveryState::Read, "open"),
        "Click" => (DeliveryState::Read, "click"),
        "Bounce" => (DeliveryState::FailedTemporary, "bounce"),
        "Reject" | "Rendering Failure" => (DeliveryState::FailedTemporary, "reject"),
        _ => return None,
    };
    let failed = state == DeliveryState::FailedTemporary;
    let own = event["bounce"]["bounceType"].as_str().unwrap_or(kind);
    let at = event[part]["timestamp"]
        .as_str()
        .and_then(|at| OffsetDateTime::parse(at, &Rfc3339).ok());
    Some(News {
        reference: reference(Vendor::Ses, id),
        state,
        code: failed.then(|| code(own)),
        at: at
            .and_then(|at| i64::try_from(at.unix_timestamp_nanos() / 1_000_000).ok())
            .map(Timestamp::from_ms),
    })
}
