//! PagerDuty Events v2. What it knows of an incident is one alert, by the incident's id: telling it twice changes nothing.

use std::sync::Arc;

use async_trait::async_trait;
use reqwest::Url;
use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};

use super::client::{Answer, Http, at};
use super::settings::{Common, PagerdutySettings, SettingsError};
use super::{Credential, Provider, Sent, Templates};
use crate::domain::notify::{Content, Destination, Occasion, Outgoing, Vendor};

/// The longest summary that it takes, in characters.
const SUMMARY_MAX: usize = 1_024;

/// Carries to the operators' pager.
pub(super) struct Pagerduty {
    http: Http,
    enqueue: Url,
    routing_key: Credential,
    source: String,
    templates: Arc<Templates>,
}

impl Pagerduty {
    pub(super) fn of(
        common: &Common,
        settings: &PagerdutySettings,
        templates: Arc<Templates>,
    ) -> Result<Self, SettingsError> {
        Ok(Self {
            http: Http::of(common, &settings.base_url, "notify.pagerduty.base_url")?,
            enqueue: at(&settings.base_url, ["v2", "enqueue"]),
            routing_key: settings.routing_key.clone(),
            source: settings.source.clone(),
            templates,
        })
    }

    fn event(&self, message: &Outgoing) -> Result<Value, super::templates::NoText> {
        let content = &message.content;
        let action = action(content.occasion);
        let values = self.templates.values(content);
        let incident = values.get("incident").unwrap_or(&message.key);
        let mut event = json!({
            "routing_key": self.routing_key.reveal(),
            "event_action": action,
            "dedup_key": incident,
        });
        if action == "trigger" {
            let summary = self.templates.text(content, message.possibly_twice)?;
            event["payload"] = json!({
                "summary": summary.chars().take(SUMMARY_MAX).collect::<String>(),
                "source": self.source,
                "severity": severity(content),
            });
            if let Some(map) = values.get("map") {
                event["links"] = json!([{"href": map, "text": "Map"}]);
            }
        }
        Ok(event)
    }
}

/// What an occasion does to the alert.
const fn action(occasion: Occasion) -> &'static str {
    match occasion {
        Occasion::SosRaised
        | Occasion::SosReminder
        | Occasion::Trouble
        | Occasion::Otp
        | Occasion::CheckInDue => "trigger",
        Occasion::SosAcknowledged => "acknowledge",
        Occasion::SosOver | Occasion::SosFalseAlarm => "resolve",
    }
}

const fn severity(content: &Content) -> &'static str {
    match content.occasion {
        // An exercise wakes nobody.
        _ if content.drill => "info",
        Occasion::SosRaised | Occasion::SosReminder => "critical",
        Occasion::Trouble => "error",
        _ => "warning",
    }
}

fn sent(answer: &Answer) -> Sent {
    let code = answer.code();
    match answer.status {
        200..=299 => Sent::Accepted { reference: None },
        401 | 403 => Sent::Barred { code },
        408 => Sent::Unknown { code },
        429 | 500..=599 => answer.busy(None),
        _ => Sent::Refused { code },
    }
}

#[async_trait]
impl Provider for Pagerduty {
    fn vendor(&self) -> Vendor {
        Vendor::Pagerduty
    }

    fn carries(&self, to: &Destination) -> bool {
        matches!(to, Destination::Pager)
    }

    async fn send(&self, message: &Outgoing) -> Sent {
        let Ok(event) = self.event(message) else {
            return Sent::no_text();
        };
        let request = self
            .http
            .post(self.enqueue.clone())
            .header(CONTENT_TYPE, "application/json")
            .body(event.to_string());
        match self.http.ask(request).await {
            Ok(answer) => sent(&answer),
            Err(silence) => silence.into(),
        }
    }
}
