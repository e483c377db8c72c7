//! The vendors of messages, as far as the engine speaks to them: strict about what they take, signing what they call back
//! with, and failing in every way that vendors fail. Each listens on a port of its own, all on one thread.
//!
//! A story reads like this: `vendors.expect_sms(A)`, `vendors.fail(Vendor::Twilio, Fault::Status(503))`,
//! `vendors.expect_sms_by(Vendor::Msg91, A)`, `vendors.expect_nothing_more()`. A message that nobody expected, and a
//! request that the vendor would not understand, fail the test at the latest when this is dropped.

mod apns;
mod fcm;
mod msg91;
mod operators;
mod sendgrid;
mod server;
mod twilio;
mod whatsapp;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use mayday::domain::notify::{Channel, Vendor};
use serde_json::Value;

use self::server::Server;
use super::eventually;

pub use self::twilio::Call;

/// Where vendors believe that the engine is.
pub const PUBLIC_URL: &str = "https://sos.example.org";

/// What none of the engine's logs may hold.
pub const SECRETS: [&str; 10] = [
    twilio::TOKEN,
    msg91::AUTHKEY,
    msg91::CALLBACK_SECRET,
    whatsapp::ACCESS_TOKEN,
    whatsapp::APP_SECRET,
    whatsapp::VERIFY_TOKEN,
    sendgrid::API_KEY,
    fcm::TOKEN,
    operators::ROUTING_KEY,
    operators::WEBHOOK_SECRET,
];

/// A message that a vendor took.
#[derive(Clone, Debug)]
pub struct Message {
    pub vendor: Vendor,
    /// The number, address, token, or what else it is for.
    pub to: String,
    /// What its reader sees; of a template, its variables.
    pub text: String,
    /// What the vendor calls it.
    pub reference: String,
    /// All that was sent, by field.
    pub content: Value,
    pub at: Instant,
    /// Where the vendor was asked to tell what becomes of it.
    pub callback: Option<String>,
}

/// How a vendor fails.
#[derive(Clone, Debug)]
pub enum Fault {
    /// It answers with this status and nothing else, and does not take the message.
    Status(u16),
    /// It refuses the message with a code of its own.
    Code(u16, &'static str),
    /// It wants to be asked again in so many seconds.
    Later(u16, u64),
    /// It takes the message, after a while.
    Slow(Duration),
    /// It takes the message and says so in words that nobody understands.
    Gibberish,
    /// It takes the message and hangs up in the middle of its answer.
    BreaksOff,
    /// It takes the message and says nothing.
    TakesInSilence,
    /// The same, and it answers no question either.
    TakesAndIsGone,
    /// It says nothing, and does not take the message.
    Silence,
    /// It hangs up, and does not take the message.
    HangsUp,
}

impl Fault {
    const fn takes(&self) -> bool {
        matches!(
            self,
            Self::Slow(_) | Self::Gibberish | Self::BreaksOff | Self::TakesInSilence | Self::TakesAndIsGone
        )
    }
}

#[derive(Default)]
struct State {
    faults: HashMap<Vendor, (usize, Fault)>,
    /// Every message, and whether somebody expected it.
    messages: Vec<(Message, bool)>,
    /// Requests that a vendor would not have understood.
    violations: Vec<String>,
    asked: HashMap<Vendor, usize>,
    twilio: twilio::Own,
    fcm: fcm::Own,
    apns: apns::Own,
}

impl State {
    fn take(&mut self, message: Message) {
        self.messages.push((message, false));
    }

    /// Whether a vendor answers nothing at all, questions included.
    fn is_gone(&self, vendor: Vendor) -> bool {
        matches!(self.faults.get(&vendor), Some((_, Fault::TakesAndIsGone)))
    }

    /// The fault of a vendor for one more request.
    fn fault(&mut self, vendor: Vendor) -> Option<Fault> {
        *self.asked.entry(vendor).or_default() += 1;
        let (left, fault) = self.faults.get_mut(&vendor)?;
        if *left == 0 {
            return None;
        }
        *left = left.saturating_sub(1);
        Some(fault.clone())
    }
}

type Shared = Arc<Mutex<State>>;

/// All vendors. They end when this is dropped, which fails the test when something was not expected.
pub struct Vendors {
    state: Shared,
    server: Server,
}

/// Those that there are.
pub const ALL: [Vendor; 8] = [
    Vendor::Twilio,
    Vendor::Msg91,
    Vendor::WhatsappCloud,
    Vendor::Sendgrid,
    Vendor::Fcm,
    Vendor::Apns,
    Vendor::Pagerduty,
    Vendor::Webhook,
];

impl Vendors {
    /// Starts them.
    pub fn start() -> Self {
        let state = Shared::default();
        let server = Server::start(&ALL, &state);
        Self { state, server }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Where one of them listens.
    pub fn address(&self, vendor: Vendor) -> SocketAddr {
        self.server.address(vendor)
    }

    /// Its base URL.
    pub fn url(&self, vendor: Vendor) -> String {
        format!("http://{}", self.address(vendor))
    }

    /// The settings of an engine that uses these of them.
    pub fn settings_of(&self, vendors: &[Vendor]) -> Vec<(String, String)> {
        let mut settings = vec![
            ("notify.public_url".to_owned(), PUBLIC_URL.to_owned()),
            ("notify.timeout_ms".into(), "1000".into()),
            ("notify.connect_timeout_ms".into(), "500".into()),
        ];
        let fixed = |own: &[(&'static str, &str)]| -> Vec<(&'static str, String)> {
            own.iter()
                .map(|(key, value)| (*key, (*value).to_owned()))
                .collect()
        };
        for vendor in vendors {
            let url = self.url(*vendor);
            let (section, own) = match vendor {
                Vendor::Twilio => ("twilio", fixed(&twilio::SETTINGS)),
                Vendor::Msg91 => ("msg91", fixed(&msg91::SETTINGS)),
                Vendor::WhatsappCloud => ("whatsapp", fixed(&whatsapp::SETTINGS)),
                Vendor::Sendgrid => ("sendgrid", fixed(&sendgrid::SETTINGS)),
                Vendor::Fcm => ("fcm", fcm::settings(&url)),
                Vendor::Apns => ("apns", apns::settings()),
                Vendor::Pagerduty => ("pagerduty", fixed(&[("routing_key", operators::ROUTING_KEY)])),
                Vendor::Webhook => ("webhook", fixed(&[("secret", operators::WEBHOOK_SECRET)])),
                other => panic!("no {other:?} here"),
            };
            let at = if *vendor == Vendor::Webhook {
                ("url", format!("{url}/hooks/mayday"))
            } else {
                ("base_url", url)
            };
            let own = own.into_iter().chain([at]);
            settings.extend(own.map(|(key, value)| (format!("notify.{section}.{key}"), value)));
        }
        settings
    }

    /// The settings of an engine that sends text messages only.
    pub fn settings(&self) -> Vec<(String, String)> {
        self.settings_of(&[Vendor::Twilio, Vendor::Msg91])
    }

    /// The settings of an engine that uses these of them, as variables of the environment: `MAYDAY__NOTIFY__…`.
    pub fn env_of(&self, vendors: &[Vendor]) -> Vec<(String, String)> {
        let variable = |key: String| format!("MAYDAY__{}", key.replace('.', "__").to_uppercase());
        self.settings_of(vendors)
            .into_iter()
            .map(|(key, value)| (variable(key), value))
            .collect()
    }

    /// From now on it fails so.
    pub fn fail(&self, vendor: Vendor, fault: Fault) {
        self.fail_times(vendor, usize::MAX, fault);
    }

    /// The next so many times it fails so.
    pub fn fail_times(&self, vendor: Vendor, times: usize, fault: Fault) {
        self.lock().faults.insert(vendor, (times, fault));
    }

    /// From now on it works.
    pub fn heal(&self, vendor: Vendor) {
        self.lock().faults.remove(&vendor);
    }

    /// Nobody listens there any more.
    pub fn close(&self, vendor: Vendor) {
        self.server.close(vendor);
    }

    /// How often it was asked to take something.
    pub fn times_asked(&self, vendor: Vendor) -> usize {
        self.lock().asked.get(&vendor).copied().unwrap_or(0)
    }

    /// Waits until it was asked so often to take something.
    pub async fn was_asked(&self, vendor: Vendor, times: usize) {
        let what = format!("{vendor:?} was asked {times} times");
        eventually(&what, || async {
            (self.times_asked(vendor) >= times).then_some(())
        })
        .await;
    }

    /// Waits for a text message to a number.
    pub async fn expect_sms(&self, to: &str) -> Message {
        self.expect(&format!("a text message to {to}"), |m| {
            m.vendor.channel() == Channel::Sms && m.to == to
        })
        .await
    }

    /// Waits for one by this vendor.
    pub async fn expect_sms_by(&self, vendor: Vendor, to: &str) -> Message {
        self.expect(&format!("a text message to {to} by {vendor:?}"), |m| {
            m.vendor == vendor && m.to == to
        })
        .await
    }

    /// Waits for a WhatsApp message to a number.
    pub async fn expect_whatsapp(&self, to: &str) -> Message {
        self.expect(&format!("a WhatsApp message to {to}"), |m| {
            m.vendor == Vendor::WhatsappCloud && m.to == to
        })
        .await
    }

    /// Waits for an e-mail to an address.
    pub async fn expect_email(&self, to: &str) -> Message {
        self.expect(&format!("an e-mail to {to}"), |m| {
            m.vendor.channel() == Channel::Email && m.to == to
        })
        .await
    }

    /// Waits for a push to a device, by its token.
    pub async fn expect_push(&self, token: &str) -> Message {
        self.expect(&format!("a push to {token}"), |m| {
            m.vendor.channel() == Channel::Push && m.to == token
        })
        .await
    }

    /// Waits until the pager is told to `trigger`, `acknowledge` or `resolve`.
    pub async fn expect_page(&self, action: &str) -> Message {
        self.expect(&format!("the pager to {action}"), |m| {
            m.vendor == Vendor::Pagerduty && m.to == action
        })
        .await
    }

    /// Waits until the webhook is told of an occasion, `SOS_RAISED`.
    pub async fn expect_webhook(&self, occasion: &str) -> Message {
        self.expect(&format!("the webhook to hear {occasion}"), |m| {
            m.vendor == Vendor::Webhook && m.to == occasion
        })
        .await
    }

    /// From now on the app of this token is no longer there.
    pub fn uninstall(&self, token: &str) {
        let mut state = self.lock();
        state.fcm.gone.push(token.to_owned());
        state.apns.gone.push(token.to_owned());
    }

    /// Google gives out no token to us any more, or does again.
    pub fn bar_fcm(&self, barred: bool) {
        self.lock().fcm.barred = barred;
    }

    /// From now on Google's tokens are good for so long.
    pub fn fcm_tokens_live(&self, seconds: u64) {
        self.lock().fcm.lives = Some(seconds);
    }

    /// How many tokens Google gave out.
    pub fn fcm_tokens(&self) -> usize {
        self.lock().fcm.tokens
    }

    /// Google no longer believes the newest of them.
    pub fn fcm_forgets_tokens(&self) {
        self.lock().fcm.tokens += 1;
    }

    /// How many tokens Apple was shown.
    pub fn apns_tokens(&self) -> usize {
        self.lock().apns.shown.len()
    }

    /// Waits for a message like this that nobody has expected yet.
    pub async fn expect(&self, what: &str, like: impl Fn(&Message) -> bool) -> Message {
        eventually(what, || async {
            self.understood();
            let mut state = self.lock();
            let found = state
                .messages
                .iter_mut()
                .find(|(message, expected)| !expected && like(message))?;
            found.1 = true;
            Some(found.0.clone())
        })
        .await
    }

    /// Everything that was sent was expected.
    #[track_caller]
    pub fn expect_nothing_more(&self) {
        self.understood();
        let more = self.unexpected();
        assert!(more.is_empty(), "nobody expected {more:#?}");
    }

    /// Messages that nobody has expected yet: for stories too long to name each.
    pub fn unexpected(&self) -> Vec<Message> {
        let state = self.lock();
        let more = state.messages.iter().filter(|(_, expected)| !expected);
        more.map(|(message, _)| message.clone()).collect()
    }

    /// Takes all that came as expected.
    pub fn expect_all(&self) -> Vec<Message> {
        let mut state = self.lock();
        let new = state.messages.iter_mut().filter(|(_, expected)| !expected);
        new.map(|(message, expected)| {
            *expected = true;
            message.clone()
        })
        .collect()
    }

    #[track_caller]
    fn understood(&self) {
        let violations = self.lock().violations.clone();
        assert!(
            violations.is_empty(),
            "vendors do not understand:\n{}",
            violations.join("\n")
        );
    }
}

impl Drop for Vendors {
    fn drop(&mut self) {
        self.server.end();
        if !std::thread::panicking() {
            self.expect_nothing_more();
        }
    }
}
