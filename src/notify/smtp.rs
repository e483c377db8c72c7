//! A mail server.

use std::error::Error as _;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, TryFutureExt as _};
use lettre::message::{Mailbox, MultiPart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::transport::smtp::{Error, PoolConfig};
use lettre::{Address, AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};

use super::settings::{Common, SettingsError, SmtpSettings, SmtpTls};
use super::templates::Mail;
use super::{Provider, Sent, Templates, code};
use crate::domain::notify::{Destination, Outgoing, Vendor};

/// How long a connection that nobody uses is kept.
const IDLE: Duration = Duration::from_secs(60);

type Transport = AsyncSmtpTransport<Tokio1Executor>;

/// Carries e-mails.
pub(super) struct Smtp {
    own: SmtpSettings,
    from: Address,
    tls: Tls,
    timeout: Duration,
    connections_max: u32,
    /// Made at the first message: its connections are kept by a task.
    transport: OnceLock<Transport>,
    templates: Arc<Templates>,
}

impl Smtp {
    pub(super) fn of(
        common: &Common,
        settings: &SmtpSettings,
        templates: Arc<Templates>,
    ) -> Result<Self, SettingsError> {
        let from = settings
            .from
            .reveal()
            .parse()
            .map_err(|_| SettingsError::new("notify.smtp.from", "must be an e-mail address"))?;
        let failed = |error: Error| SettingsError::new("notify.smtp.tls", error.to_string());
        let tls = match settings.tls {
            SmtpTls::None => Tls::None,
            SmtpTls::StartTls | SmtpTls::Implicit => {
                let mut parameters = TlsParameters::builder(settings.host.clone());
                for authority in &common.authorities {
                    let authority = Certificate::from_der(authority.clone()).map_err(failed)?;
                    parameters = parameters.add_root_certificate(authority);
                }
                let parameters = parameters.build_rustls().map_err(failed)?;
                if settings.tls == SmtpTls::Implicit {
                    Tls::Wrapper(parameters)
                } else {
                    Tls::Required(parameters)
                }
            }
        };
        Ok(Self {
            own: settings.clone(),
            from,
            tls,
            timeout: common.timeout,
            connections_max: u32::try_from(common.connections_idle_max.max(1)).unwrap_or(u32::MAX),
            transport: OnceLock::new(),
            templates,
        })
    }

    fn transport(&self) -> &Transport {
        self.transport.get_or_init(|| {
            let mut builder = Transport::builder_dangerous(self.own.host.as_str())
                .port(self.own.port)
                .tls(self.tls.clone())
                .timeout(Some(self.timeout))
                .pool_config(
                    PoolConfig::new()
                        .max_size(self.connections_max)
                        .idle_timeout(IDLE),
                );
            if let Some((user, password)) = &self.own.login {
                builder = builder.credentials(Credentials::new(user.clone(), password.reveal().to_owned()));
            }
            builder.build()
        })
    }

    /// Hands it over.
    fn deliver(&self, letter: Message) -> BoxFuture<'_, Result<(), Error>> {
        self.transport().send(letter).map_ok(|_| ()).boxed()
    }

    /// The letter. Its id is the same at every attempt, so that mail servers and readers see one.
    fn letter(&self, message: &Outgoing, to: Address, mail: Mail) -> Option<Message> {
        let id = format!("<{}@{}>", code(&message.key), self.from.domain());
        Message::builder()
            .from(Mailbox::new(None, self.from.clone()))
            .to(Mailbox::new(None, to))
            .subject(mail.subject)
            .message_id(Some(id))
            .multipart(MultiPart::alternative_plain_html(mail.text, mail.html))
            .ok()
    }
}

/// What a failure means.
fn failed(error: &Error) -> Sent {
    if let Some(status) = error.status() {
        let code = format!("smtp_{status}");
        if error.is_transient() {
            return Sent::Busy { code, after: None };
        }
        // RFC 3463: no such mailbox, no such system, bad syntax of it, moved away.
        let text = error.source().map(ToString::to_string).unwrap_or_default();
        let gone = ["5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10"];
        let enhanced = text.split_whitespace().next().unwrap_or_default();
        return match u16::from(status) {
            530 | 534 | 535 | 538 => Sent::Barred { code },
            _ if gone.contains(&enhanced) => Sent::Dead { code, forget: false },
            _ => Sent::Refused { code },
        };
    }
    let busy = |code: &str| Sent::Busy {
        code: code.into(),
        after: None,
    };
    // It has no name for this kind but what it says.
    if error.to_string().starts_with("Connection error") {
        busy("connect")
    } else if error.is_tls() {
        busy("tls")
    } else if error.is_client() {
        // The server does not offer what the letter needs.
        Sent::Refused {
            code: "smtp_client".into(),
        }
    } else if error.is_timeout() {
        Sent::Unknown {
            code: "timeout".into(),
        }
    } else {
        Sent::Unknown {
            code: "broken_off".into(),
        }
    }
}

#[async_trait]
impl Provider for Smtp {
    fn vendor(&self) -> Vendor {
        Vendor::Smtp
    }

    fn carries(&self, to: &Destination) -> bool {
        matches!(to, Destination::Email(_))
    }

    async fn send(&self, message: &Outgoing) -> Sent {
        let Destination::Email(to) = &message.to else {
            return Sent::misdirected();
        };
        let Ok(to) = to.reveal().parse() else {
            return Sent::Dead {
                code: "address".into(),
                forget: false,
            };
        };
        let Ok(mail) = self.templates.mail(&message.content, message.possibly_twice) else {
            return Sent::no_text();
        };
        let Some(letter) = self.letter(message, to, mail) else {
            return Sent::no_text();
        };
        // The transport's own limit is for each step.
        match tokio::time::timeout(self.timeout, self.deliver(letter)).await {
            Ok(Ok(())) => Sent::Accepted { reference: None },
            Ok(Err(error)) => failed(&error),
            Err(_) => Sent::Unknown {
                code: "timeout".into(),
            },
        }
    }
}
