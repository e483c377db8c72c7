//! The settings of messages to people: `[notify]` for all vendors, `[notify.<vendor>]` for each. A vendor is on when all
//! that it needs is there.

mod check;
mod made;
mod secrets;

pub use self::made::{notify_callbacks, notify_settings};
pub use self::secrets::{NotifySecrets, vendors_on};

use super::load::Reader;
use crate::notify::{Credential, SmtpTls};

macro_rules! notify {
    (
        { $($(#[$key_doc:meta])* $key:ident: $type:ty = $default:expr,)* }
        $($(#[$doc:meta])* $section:ident: $name:ident {
            $($(#[$own_doc:meta])* $own:ident: $own_type:ty = $own_default:expr,)*
        })*
    ) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Debug, PartialEq)]
            pub struct $name {
                $($(#[$own_doc])* pub $own: $own_type,)*
            }

            impl Default for $name {
                fn default() -> Self {
                    Self { $($own: $own_default,)* }
                }
            }
        )*

        /// Messages to people who are not connected.
        #[derive(Clone, Debug, PartialEq)]
        pub struct Notify {
            $($(#[$key_doc])* pub $key: $type,)*
            $($(#[$doc])* pub $section: $name,)*
        }

        impl Default for Notify {
            fn default() -> Self {
                Self {
                    $($key: $default,)*
                    $($section: $name::default(),)*
                }
            }
        }

        impl Notify {
            /// The sections and the keys of each.
            pub const KEYS: &'static [(&'static str, &'static [&'static str])] = &[
                ("notify", &[$(stringify!($key)),*]),
                $((concat!("notify.", stringify!($section)), &[$(stringify!($own)),*]),)*
            ];

            pub(in crate::config) fn read(from: &mut Reader) -> Self {
                let default = Self::default();
                Self {
                    $($key: from.take("notify", stringify!($key), default.$key),)*
                    $($section: $name {
                        $($own: from.take(
                            concat!("notify.", stringify!($section)),
                            stringify!($own),
                            default.$section.$own,
                        ),)*
                    },)*
                }
            }
        }
    };
}

notify! {
    {
        /// Where the world reaches this engine; empty: vendors are not asked to call back.
        public_url: String = String::new(),
        /// Vendors may be spoken to in the clear anywhere, not only nearby.
        allow_http: bool = false,
        /// Authorities, PEM, that vouch for vendors beside those of the system.
        ca_file: String = String::new(),
        /// A vendor must have answered by then.
        timeout_ms: u64 = 5_000,
        /// A connection to it must stand by then.
        connect_timeout_ms: u64 = 2_000,
        /// The largest answer that is read.
        answer_max_bytes: usize = 65_536,
        /// Unused connections that are kept for each vendor.
        connections_idle_max: usize = 64,
        /// Templates in place of those in the program; empty: none.
        templates_folder: String = String::new(),
        /// The language for whoever's language has no templates.
        default_locale: String = "en".into(),
        /// Segments of one text message.
        sms_segments_max: usize = 3,
        /// The largest callback of a vendor.
        callback_max_bytes: usize = 1_048_576,
    }
    /// Twilio's Messages.
    twilio: Twilio {
        /// Where it is.
        base_url: String = "https://api.twilio.com".into(),
        /// The account.
        account_sid: String = String::new(),
        /// Its password; none: from the file.
        auth_token: Option<Credential> = None,
        /// From whom messages come: a number, a name, or a messaging service.
        from: String = String::new(),
    }
    /// MSG91's Flow.
    msg91: Msg91 {
        /// Where it is.
        base_url: String = "https://control.msg91.com".into(),
        /// What it knows us by; none: from the file.
        authkey: Option<Credential> = None,
        /// The template that it has approved.
        template_id: String = String::new(),
        /// What its variables are filled with.
        variables: String = "person, message, map, acknowledge".into(),
        /// Templates of single occasions.
        templates: String = String::new(),
        /// What stands in the address of its reports, which it does not sign; none: from the file.
        callback_secret: Option<Credential> = None,
    }
    /// WhatsApp's Cloud API.
    whatsapp: Whatsapp {
        /// Where it is.
        base_url: String = "https://graph.facebook.com".into(),
        /// Its version.
        api_version: String = "v23.0".into(),
        /// Of the number that sends.
        phone_number_id: String = String::new(),
        /// What it knows us by; none: from the file.
        access_token: Option<Credential> = None,
        /// By which it signs callbacks; none: from the file.
        app_secret: Option<Credential> = None,
        /// What it shows when it asks whether callbacks are ours; none: from the file.
        verify_token: Option<Credential> = None,
        /// The template that it has approved.
        template: String = String::new(),
        /// What its parameters are filled with.
        variables: String = "person, message, map, acknowledge".into(),
        /// Templates of single occasions.
        templates: String = String::new(),
        /// The languages in which they are.
        languages: String = "en".into(),
    }
    /// SendGrid v3.
    sendgrid: Sendgrid {
        /// Where it is.
        base_url: String = "https://api.sendgrid.com".into(),
        /// What it knows us by; none: from the file.
        api_key: Option<Credential> = None,
        /// From whom e-mails come.
        from: String = String::new(),
        /// The public key by which its events are checked; empty: none are taken.
        webhook_key: String = String::new(),
    }
    /// Amazon SES v2.
    ses: Ses {
        /// Where it is; empty: where the region is.
        base_url: String = String::new(),
        /// The region.
        region: String = String::new(),
        /// Which key signs.
        access_key_id: String = String::new(),
        /// The key; none: from the file.
        secret_access_key: Option<Credential> = None,
        /// From whom e-mails come.
        from: String = String::new(),
        /// The configuration set; empty: none.
        configuration_set: String = String::new(),
        /// SNS topics whose news are taken, comma-separated; empty: none.
        sns_topics: String = String::new(),
    }
    /// A mail server.
    smtp: Smtp {
        /// Its name or address.
        host: String = String::new(),
        /// Its port.
        port: u16 = 587,
        /// How its connection is made safe.
        tls: SmtpTls = SmtpTls::StartTls,
        /// The name it asks for; empty: it asks for none.
        user: String = String::new(),
        /// The password; none: from the file.
        password: Option<Credential> = None,
        /// From whom e-mails come.
        from: String = String::new(),
    }
    /// Firebase Cloud Messaging.
    fcm: Fcm {
        /// Where it is.
        base_url: String = "https://fcm.googleapis.com".into(),
        /// The JSON of the service account; none: from the file.
        service_account: Option<Credential> = None,
    }
    /// Apple's push service.
    apns: Apns {
        /// Where it is.
        base_url: String = "https://api.push.apple.com".into(),
        /// Whose apps.
        team_id: String = String::new(),
        /// Which key signs.
        key_id: String = String::new(),
        /// The key, PEM; none: from the file.
        key: Option<Credential> = None,
        /// The app's bundle id.
        topic: String = String::new(),
    }
    /// Browsers' push services.
    webpush: WebPush {
        /// The private key of VAPID; none: from the file.
        private_key: Option<Credential> = None,
        /// Whom push services may turn to.
        subject: String = String::new(),
        /// The hosts of push services.
        hosts: String = "fcm.googleapis.com, push.services.mozilla.com, push.apple.com, notify.windows.com".into(),
    }
    /// PagerDuty Events v2.
    pagerduty: Pagerduty {
        /// Where it is.
        base_url: String = "https://events.pagerduty.com".into(),
        /// The integration key; none: from the file.
        routing_key: Option<Credential> = None,
        /// Where alerts say that they come from.
        source: String = "mayday".into(),
    }
    /// An address of the operators.
    webhook: Webhook {
        /// Where.
        url: String = String::new(),
        /// By which requests are signed; none: from the file.
        secret: Option<Credential> = None,
    }
}
